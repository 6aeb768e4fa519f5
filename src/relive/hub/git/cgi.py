"""Runs `git http-backend` for one request, and ends it with everything it started when the client goes."""

import asyncio
import logging
import os
import signal
from asyncio.subprocess import PIPE, Process
from collections.abc import Awaitable, Callable, Mapping, MutableMapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Final, TypeAlias

from relive.errors import GitFailed
from relive.hub.git.pktline import Explainer
from relive.stores.git.command import command_line, environment

Message: TypeAlias = MutableMapping[str, Any]
Receive: TypeAlias = Callable[[], Awaitable[Message]]
Send: TypeAlias = Callable[[Message], Awaitable[None]]

_CHUNK_BYTES: Final = 256 * 1024
_IDLE_S: Final = 300.0
"""A client that neither sends nor takes anything for so long in the middle of a body has gone."""
_GRACE_S: Final = 5.0
_LONGEST_COMPLAINT: Final = 2000

_logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Exchange:
    """One request and its answer, by ASGI."""

    receive: Receive
    send: Send
    explainer: Explainer | None = None

    async def run(self, env: Mapping[str, str], *, hold: int | None = None) -> None:
        """Let git answer the request.

        Args:
            env: The request as a CGI sees it (RFC 3875).
            hold: A file descriptor that git's processes keep open while they live.

        Raises:
            GitFailed: git ended before it began to answer; nothing was sent.
        """
        process = await asyncio.create_subprocess_exec(
            *command_line("http-backend"),
            env=environment(env),
            stdin=PIPE,
            stdout=PIPE,
            stderr=PIPE,
            limit=_CHUNK_BYTES,
            start_new_session=True,  # its group is what a client that goes takes with it
            pass_fds=() if hold is None else (hold,),
        )
        assert process.stdin is not None
        assert process.stdout is not None
        assert process.stderr is not None
        complaint = asyncio.create_task(_tail(process.stderr))
        feeding = asyncio.create_task(self._feed(process.stdin))
        answering = asyncio.create_task(self._answer(process.stdout))
        try:
            await asyncio.wait({feeding, answering}, return_when=asyncio.FIRST_COMPLETED)
            if answering.done():
                answering.result()
        except asyncio.IncompleteReadError:
            raise GitFailed(action="http-backend", reason=await complaint or "it gave no answer") from None
        finally:
            finished = answering.done() and not answering.cancelled() and answering.exception() is None
            for task in (feeding, answering):
                task.cancel()
            await asyncio.gather(feeding, answering, return_exceptions=True)
            await _end(process, patience_s=_GRACE_S if finished else 0.0)
            if words := await complaint:
                _logger.info("git http-backend: %s", words)

    async def _feed(self, stdin: asyncio.StreamWriter) -> None:
        """Hand the request's body to git; ends when the client has gone."""
        more = True
        while more:
            async with asyncio.timeout(_IDLE_S):
                message = await self.receive()
            if message["type"] == "http.disconnect":
                return
            more = message.get("more_body", False)
            # A git that has seen enough closes its end; the rest is read past, so that the client hears why.
            with suppress(BrokenPipeError, ConnectionResetError):
                stdin.write(message.get("body", b""))
                await stdin.drain()
        with suppress(BrokenPipeError, ConnectionResetError):
            stdin.close()
            await stdin.wait_closed()
        while (await self.receive())["type"] != "http.disconnect":
            pass

    async def _answer(self, stdout: asyncio.StreamReader) -> None:
        """Send git's answer, as it comes."""
        status, headers = _parse_head(await stdout.readuntil(b"\r\n\r\n"))
        await self._send({"type": "http.response.start", "status": status, "headers": headers})
        while chunk := await stdout.read(_CHUNK_BYTES):
            await self._send_body(self.explainer.feed(chunk) if self.explainer else chunk)
        await self._send_body(self.explainer.end() if self.explainer else b"", more=False)

    async def _send_body(self, data: bytes, *, more: bool = True) -> None:
        if data or not more:
            await self._send({"type": "http.response.body", "body": data, "more_body": more})

    async def _send(self, message: Message) -> None:
        async with asyncio.timeout(_IDLE_S):
            await self.send(message)


def _parse_head(head: bytes) -> tuple[int, list[tuple[bytes, bytes]]]:
    status, headers = 200, []
    for line in head.split(b"\r\n"):
        name, _, value = line.partition(b":")
        if name.lower() == b"status":
            status = int(value.split()[0])
        elif name:
            headers.append((name.lower(), value.strip()))
    return status, headers


async def _tail(stream: asyncio.StreamReader) -> str:
    """Read to the end and give the last words."""
    tail = b""
    while chunk := await stream.read(4096):
        tail = (tail + chunk)[-_LONGEST_COMPLAINT:]
    return tail.decode(errors="replace").strip()


async def _end(process: Process, *, patience_s: float) -> None:
    """Wait for git to end by itself, then make its whole group end."""
    for number, wait_s in ((None, patience_s), (signal.SIGTERM, _GRACE_S), (signal.SIGKILL, None)):
        if process.returncode is not None:
            return
        if number is not None:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, number)  # on the first, git removes its lock files
        with suppress(TimeoutError):
            async with asyncio.timeout(wait_s):
                await process.wait()
