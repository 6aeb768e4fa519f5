"""The hooks' way into the hub, without git: what the server does with each kind of visitor."""

import asyncio
import json
import os
import stat
import subprocess
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import pytest

from relive.hub.git import post_receive, pre_receive
from relive.hub.git.hooks import Handler, HookServer, Push, RefUpdate, install_hooks
from relive.ports.repositories import ARCHIVE

REPORT = {
    "id": "1",
    "project": "demo",
    "actor": "mia",
    "updates": [{"ref": "refs/heads/main", "old": "0" * 40, "new": "a" * 40}],
    "options": ["nowait"],
}


async def two_lines(push: Push) -> AsyncIterator[str]:
    yield f"hello {push.actor}"
    yield "two\nlines"


async def visit(path: Path, report: bytes) -> list[str]:
    """Report as the hook does, and give all lines."""
    reader, writer = await asyncio.open_unix_connection(sock=post_receive.connect(str(path)))
    writer.write(report)
    lines = (await reader.read()).decode().splitlines()
    writer.close()
    return lines


def serve(path: Path, handler: Handler, visitor: Callable[[HookServer], Awaitable[None]]) -> list[str]:
    """Run a visitor against a server; gives the ids it was told."""
    ids: list[str] = []

    async def scenario() -> None:
        server = HookServer(path, handler, on_push=ids.append)
        await server.start()
        try:
            async with asyncio.timeout(60):
                await visitor(server)
        finally:
            await server.close()

    asyncio.run(scenario())
    return ids


def test_each_line_of_the_handler_is_sent_and_then_the_end(tmp_path):
    async def visitor(server: HookServer) -> None:
        lines = await visit(tmp_path / "run/hook.sock", json.dumps(REPORT).encode() + b"\n")
        assert lines == ["hello mia", "two", "lines", post_receive.DONE]

    assert serve(tmp_path / "run/hook.sock", two_lines, visitor) == ["1"]


def test_the_handler_gets_the_push_as_it_was_reported(tmp_path):
    pushes = []

    async def keep(push: Push) -> AsyncIterator[str]:
        pushes.append(push)
        yield ""

    async def visitor(server: HookServer) -> None:
        await visit(tmp_path / "hook.sock", json.dumps(REPORT).encode() + b"\n")

    serve(tmp_path / "hook.sock", keep, visitor)
    update = RefUpdate(ref="refs/heads/main", old="0" * 40, new="a" * 40)
    assert pushes == [Push(id="1", project="demo", actor="mia", updates=(update,), options=("nowait",))]


@pytest.mark.parametrize(
    "report", [b"\n", b"junk\n", b"{}\n", b'{"project": 1}\n', b"x" * (17 * 2**20) + b"\n"]
)
def test_a_report_that_cannot_be_read_is_answered_by_nothing_and_harms_nobody(tmp_path, report):
    async def visitor(server: HookServer) -> None:
        try:
            assert await visit(tmp_path / "hook.sock", report) == []
        except ConnectionError:
            pass  # closed before it took everything
        assert len(await visit(tmp_path / "hook.sock", json.dumps(REPORT).encode() + b"\n")) == 4

    assert serve(tmp_path / "hook.sock", two_lines, visitor) == ["1"]


def test_who_leaves_before_the_first_line_does_not_stop_what_must_be_written_down(tmp_path):
    reached = asyncio.Event()

    async def slow(push: Push) -> AsyncIterator[str]:
        for _ in range(20):
            await asyncio.sleep(0)
        reached.set()
        yield "stored"
        await asyncio.Event().wait()

    async def visitor(server: HookServer) -> None:
        _, writer = await asyncio.open_unix_connection(sock=post_receive.connect(str(tmp_path / "hook.sock")))
        writer.write(json.dumps(REPORT).encode() + b"\n")
        await writer.drain()
        writer.close()
        await reached.wait()

    serve(tmp_path / "hook.sock", slow, visitor)
    assert reached.is_set()


def test_who_leaves_later_ends_the_handler(tmp_path):
    ended = asyncio.Event()

    async def endless(push: Push) -> AsyncIterator[str]:
        try:
            yield "first"
            await asyncio.Event().wait()
        finally:
            ended.set()

    async def visitor(server: HookServer) -> None:
        reader, writer = await asyncio.open_unix_connection(
            sock=post_receive.connect(str(tmp_path / "hook.sock"))
        )
        writer.write(json.dumps(REPORT).encode() + b"\n")
        assert await reader.readline() == b"first\n"
        writer.close()
        await ended.wait()

    serve(tmp_path / "hook.sock", endless, visitor)


def test_closing_ends_every_conversation_without_saying_that_it_is_done(tmp_path):
    async def endless(push: Push) -> AsyncIterator[str]:
        yield "first"
        await asyncio.Event().wait()

    async def visitor(server: HookServer) -> None:
        reader, writer = await asyncio.open_unix_connection(
            sock=post_receive.connect(str(tmp_path / "hook.sock"))
        )
        writer.write(json.dumps(REPORT).encode() + b"\n")
        assert await reader.readline() == b"first\n"
        await server.close()
        assert await reader.read() == b""
        writer.close()

    serve(tmp_path / "hook.sock", endless, visitor)
    assert not (tmp_path / "hook.sock").exists()


def test_only_this_user_can_reach_the_socket_also_under_a_very_long_path(tmp_path):
    path = tmp_path.joinpath(*["a" * 50] * 4, "run", "hook.sock")

    async def visitor(server: HookServer) -> None:
        mode = path.stat().st_mode
        assert stat.S_ISSOCK(mode)
        assert stat.S_IMODE(mode) == 0o600
        assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
        assert (await visit(path, json.dumps(REPORT).encode() + b"\n"))[0] == "hello mia"

    serve(path, two_lines, visitor)


def test_installed_hooks_run_whatever_the_paths_are_called(tmp_path):
    folder, path = tmp_path / "it's a $folder\\", tmp_path / 'a "strange" place' / "hook.sock"
    install_hooks(folder, path)
    project = tmp_path / "demo.git"
    project.mkdir()

    async def visitor(server: HookServer) -> None:
        hook = await asyncio.create_subprocess_exec(
            folder / "post-receive",
            cwd=project,
            env={"PATH": os.environ["PATH"], "RELIVE_PUSH_ACTOR": "mia"},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )
        out, _ = await hook.communicate(f"{'0' * 40} {'a' * 40} refs/heads/main\n".encode())
        assert out.decode().splitlines() == ["hello mia", "two", "lines"]
        assert hook.returncode == 0

    serve(path, two_lines, visitor)


def test_installing_replaces_what_was_there(tmp_path):
    for name in ("post-receive", "update", "reference-transaction"):
        (tmp_path / name).write_text("#!/bin/sh\nexit 1\n")
    install_hooks(tmp_path, tmp_path / "hook.sock")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["post-receive", "pre-receive"]
    for path in tmp_path.iterdir():
        assert stat.S_IMODE(path.stat().st_mode) == 0o700
        assert "-I -S" in path.read_text()


@pytest.mark.parametrize("module", [pre_receive, post_receive])
def test_a_hook_needs_nothing_but_the_standard_library(module):
    code = "import runpy, sys; before = set(sys.modules); runpy.run_path(sys.argv[1]); print(*sys.modules)"
    done = subprocess.run(
        [sys.executable, "-I", "-S", "-c", code, module.__file__], capture_output=True, text=True, check=True
    )
    loaded = {name.partition(".")[0] for name in done.stdout.split()}
    assert loaded - set(sys.stdlib_module_names) - {"__main__"} == set()


def test_hooks_and_store_agree_on_where_archived_commits_are():
    assert pre_receive.ARCHIVE == ARCHIVE
