"""A hub reduced to its git remote, as a process that a test may kill.

    python -m tests.unit.hub.git.server FOLDER

Its handler does what push options say: `say=TEXT` yields a line, `wait=NAME` yields a line and waits for the
file NAME in FOLDER, `fail` raises, `nowait` ends at once. What it is told and what becomes of it is written
to FOLDER/pushes, a line of JSON each.
"""

import asyncio
import base64
import json
import sys
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import msgspec
import uvicorn

from relive.core.access import Caller, Scope
from relive.errors import AccessDenied, NotLoggedIn
from relive.hub.git.backend import GitAccess, GitBackend
from relive.hub.git.hooks import HookServer, Push, install_hooks
from relive.hub.git.slots import PackSlots
from relive.stores.git.repositories import GitRepositories

TOKENS = {
    "member-token": Caller(name="mia", scope=Scope.MEMBER),
    "admin-token": Caller(name="ada", scope=Scope.ADMIN),
    "reader-token": Caller(name="rob", scope=Scope.RUNNER),
}
LIMIT_BYTES = 2 * 1024 * 1024


async def authenticate(scope: Any) -> Caller | None:
    """Know who has one of the tokens."""
    header = dict(scope["headers"]).get(b"authorization", b"").decode()
    if not header.startswith("Basic "):
        return None
    token = base64.b64decode(header.removeprefix("Basic ")).decode().partition(":")[2]
    if token == "expired-token":
        raise NotLoggedIn(
            action="use this hub", who="the token of mia, which has expired,", needs="a new one"
        )
    return TOKENS.get(token)


async def may_read(caller: Caller, project: str) -> bool:
    """Let everyone read."""
    return True


async def may_write(caller: Caller, project: str) -> bool:
    """Let members and admins push, and nobody to `frozen`."""
    if project == "frozen":
        raise AccessDenied(action="push to frozen", who=caller.name, needs="a project that is not archived")
    return caller.scope in (Scope.MEMBER, Scope.ADMIN)


async def until(check: Callable[[], bool]) -> None:
    """Wait for something that tells nobody."""
    while not check():  # noqa: ASYNC110
        await asyncio.sleep(0.01)


class Handler:
    """Does what push options say."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def note(self, **facts: Any) -> None:
        """Write down what happened."""
        with open(self._folder / "pushes", "a", encoding="utf-8") as file:
            file.write(json.dumps(facts) + "\n")

    async def __call__(self, push: Push) -> AsyncIterator[str]:
        """Answer one push."""
        await asyncio.sleep(0)
        self.note(event="begun", push=msgspec.to_builtins(push))
        try:
            for option in push.options:
                word, _, value = option.partition("=")
                if word == "nowait":
                    break
                if word == "fail":
                    raise RuntimeError("asked to fail")
                if word == "say":
                    yield value
                if word == "wait":
                    yield f"waiting for {value}"
                    await until((self._folder / value).exists)
            self.note(event="ended")
        except asyncio.CancelledError:
            self.note(event="detached")
            raise


async def main(folder: Path) -> None:
    """Serve until killed; the port is written to FOLDER/port."""
    repositories = GitRepositories(folder / "git", push_limit_bytes=LIMIT_BYTES)
    slots = PackSlots(2, patience_s=60.0)
    hook_server = HookServer(folder / "run/hook.sock", Handler(folder), on_push=slots.free)
    install_hooks(repositories.hooks_folder, folder / "run/hook.sock")
    await hook_server.start()
    repositories.ensure("demo")
    repositories.ensure("frozen")
    access = GitAccess(authenticate=authenticate, may_read=may_read, may_write=may_write)
    app = GitBackend(repositories, access, slots, prefix="/git")
    server = uvicorn.Server(
        uvicorn.Config(app, host="127.0.0.1", port=0, lifespan="off", log_level="warning")
    )
    serving = asyncio.create_task(server.serve())
    await until(lambda: server.started)
    port = server.servers[0].sockets[0].getsockname()[1]
    (folder / ".port").write_text(str(port))
    (folder / ".port").rename(folder / "port")
    await serving
    await hook_server.close()


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1])))
