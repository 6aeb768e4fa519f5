"""The hub's side of the git hooks: it installs them, and listens to what `post-receive` reports."""

import asyncio
import logging
import os
import shlex
import socket
import stat
import sys
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final, TypeAlias

import msgspec

from relive.hub.git import post_receive, pre_receive

_LONGEST_REPORT: Final = 16 * 1024 * 1024
"""Bytes; a push of a hundred thousand refs."""

_logger = logging.getLogger(__name__)


class RefUpdate(msgspec.Struct, frozen=True, kw_only=True):
    """One ref that moved; `old` or `new` is forty zeros where it did not exist before or after."""

    ref: str
    old: str
    new: str

    @property
    def is_deletion(self) -> bool:
        """Tell whether the ref is gone."""
        return self.new.strip("0") == ""


class Push(msgspec.Struct, frozen=True, kw_only=True):
    """What `post-receive` reports, after the refs have moved.

    Attributes:
        id: Of the request that brought the push; empty if it did not come by HTTP.
        actor: Who pushed; empty if it did not come by HTTP.
        options: As given with `git push -o`.
    """

    project: str
    actor: str
    updates: tuple[RefUpdate, ...]
    options: tuple[str, ...] = ()
    id: str = ""


Handler: TypeAlias = Callable[[Push], AsyncIterator[str]]


def install_hooks(folder: Path, socket_path: Path) -> None:
    """Write the hooks that every repository of this hub runs, in the place of any that were there.

    They are short shell scripts, because a shebang line can hold neither a long path nor one with spaces.

    Args:
        socket_path: Where the hub's `HookServer` listens.
    """
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    scripts = {
        "pre-receive": (pre_receive.__file__,),
        "post-receive": (post_receive.__file__, str(socket_path)),
    }
    for name, command in scripts.items():
        # -I -S: no user's or site's package is loaded into what judges a push.
        line = shlex.join([sys.executable, "-I", "-S", *command])
        partial = folder / f".{name}.{os.getpid()}"
        partial.write_text(f"#!/bin/sh\nexec {line}\n", encoding="utf-8")
        partial.chmod(stat.S_IRWXU)
        partial.replace(folder / name)
    for stranger in folder.iterdir():
        if stranger.name not in scripts and not stranger.name.startswith("."):
            stranger.unlink()


class HookServer:
    """Listens on a unix socket, and sends each push what its handler yields, line by line.

    The handler's first line is always waited for, also if the pusher has gone meanwhile: until then it writes
    down what must not be lost. After it, a pusher who goes (Ctrl-C) ends the handler's generator by
    `CancelledError` and nothing else: what the push has started goes on.

    Args:
        socket_path: Its folder is made for this user only; a socket left there by a killed hub is replaced.
        handler: An async generator function. Its lines should be at most 100 columns wide.
        on_push: Told the id of each push as it begins to be handled.
    """

    def __init__(
        self, socket_path: Path, handler: Handler, *, on_push: Callable[[str], None] = lambda _: None
    ) -> None:
        self._path = socket_path.absolute()
        self._handler = handler
        self._on_push = on_push
        self._server: asyncio.Server | None = None
        self._inode = 0
        self._conversations: set[asyncio.Task[None]] = set()

    async def start(self) -> None:
        """Begin to listen."""
        with _bound_socket(self._path) as listening:
            self._inode = self._path.stat().st_ino
            self._server = await asyncio.start_unix_server(
                self._accept, sock=listening, limit=_LONGEST_REPORT
            )

    async def keep(self) -> None:
        """Listen again if nobody does: another hub that had taken the socket's place has ended."""
        if self._server is None or await asyncio.to_thread(_is_heard, self._path, self._inode):
            return
        self._server.close()
        await self.start()

    async def close(self) -> None:
        """Stop listening and end the printing of every push; what they have started goes on."""
        if self._server is None:
            return
        self._server.close()
        with suppress(FileNotFoundError):
            if self._path.stat().st_ino == self._inode:  # else another hub listens there now
                self._path.unlink()
        for conversation in self._conversations:
            conversation.cancel()
        await asyncio.gather(*self._conversations, return_exceptions=True)

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        conversation = asyncio.current_task()
        assert conversation is not None
        self._conversations.add(conversation)
        try:
            await self._converse(reader, writer)
        except (ConnectionError, asyncio.CancelledError):
            pass  # the pusher has gone, or the hub ends: the hook says what that means
        finally:
            self._conversations.discard(conversation)
            writer.close()

    async def _converse(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        line = await reader.readline()
        if not line:
            return  # another hub asks whether anybody listens
        try:
            push = msgspec.json.decode(line, type=Push)
        except (msgspec.MsgspecError, ValueError) as error:
            _logger.warning("a hook's report cannot be read: %s", error)
            return
        self._on_push(push.id)
        gone = asyncio.create_task(reader.read())  # it says nothing more, so this ends when it goes
        try:
            await self._print(push, writer, gone)
        finally:
            gone.cancel()
            with suppress(asyncio.CancelledError):
                await gone

    async def _print(self, push: Push, writer: asyncio.StreamWriter, gone: "asyncio.Task[bytes]") -> None:
        lines = self._handler(push)
        first = True
        try:
            while (line := await _next(lines, gone=None if first else gone)) is not None:
                first = False
                writer.write("".join(f"{part}\n" for part in line.split("\n")).encode(errors="replace"))
                await writer.drain()
        except ConnectionError:
            raise
        except Exception:
            _logger.exception("the push to %s is stored, but handling it failed", push.project)
            writer.write(b"relive: your push is stored; the hub's log says why its pipeline is not shown.\n")
        finally:
            if isinstance(lines, AsyncGenerator):
                await lines.aclose()
        if not gone.done():
            writer.write(f"{post_receive.DONE}\n".encode())
            await writer.drain()


async def _next(lines: AsyncIterator[str], *, gone: "asyncio.Task[bytes] | None") -> str | None:
    """Give the next line; None at the end, or when the reader has gone."""
    line = asyncio.ensure_future(anext(lines, None))
    try:
        await asyncio.wait({line, *([gone] if gone else [])}, return_when=asyncio.FIRST_COMPLETED)
        return line.result() if line.done() else None
    finally:
        if not line.done():
            line.cancel()
            with suppress(asyncio.CancelledError):
                await line


def _is_heard(path: Path, own_inode: int) -> bool:
    """Tell whether somebody listens at a socket: this hub itself, or another that took its place."""
    try:
        if path.stat().st_ino == own_inode:
            return True
        post_receive.connect(str(path)).close()
    except OSError:
        return False
    return True


@contextmanager
def _bound_socket(path: Path) -> Iterator[socket.socket]:
    """Give a unix socket bound for this user only, whatever lies at the path, however long the path is."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    partial = path.with_name(f".{path.name}.{os.getpid()}")
    partial.unlink(missing_ok=True)
    listening = socket.socket(socket.AF_UNIX)
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        # An address holds 107 bytes; by the folder's descriptor it is short.
        listening.bind(f"/proc/self/fd/{folder}/{partial.name}")
        partial.chmod(stat.S_IRUSR | stat.S_IWUSR)
        partial.replace(path)
        yield listening
    except BaseException:
        listening.close()
        raise
    finally:
        os.close(folder)
