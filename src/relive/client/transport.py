"""HTTP to the hub: one place for retries, errors, TLS and the token.

Foreign errors end here: whatever urllib3 or the socket raises becomes `HubUnreachable`, and every answer
that is an error becomes `HubRefused`, `Superseded` or `StoreFull`. The token goes into one header and
nowhere else.
"""

import copy
import os
import random
import ssl
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import IO, TYPE_CHECKING, Any, Final, TypeVar
from urllib.parse import quote, urlencode, urlsplit

import msgspec

from relive import __version__
from relive.errors import HubRefused, HubUnreachable, ReliveError, StoreFull, Superseded
from relive.wire.problem import Problem

if TYPE_CHECKING:
    from urllib3 import BaseHTTPResponse, PoolManager

T = TypeVar("T")
Body = bytes | Callable[[], IO[bytes]] | None

JSON: Final = "application/json"
# Metrics may be NaN or infinite, which JSON cannot say, and log chunks are bytes.
MSGPACK: Final = "application/x-msgpack"

BLOCK_BYTES: Final = 1024 * 1024
_FIRST_PAUSE_S: Final = 0.1
_LONGEST_PAUSE_S: Final = 5.0


class Transport:
    """A hub's address and a token for it; safe to use from several threads.

    Args:
        base_url: `http://host:port`, with a path prefix if the hub lies behind one.
        token: Sent as a bearer token; empty for none.
        retry_for_s: How long a call that may be repeated is tried again when the hub does not answer.
        timeout_s: Longest silence of the hub within one try.
    """

    def __init__(
        self, base_url: str, token: str = "", *, retry_for_s: float = 0.0, timeout_s: float = 60.0
    ) -> None:
        self.base_url = base_url.rstrip("/")
        self.retry_for_s = retry_for_s
        self._pause: Callable[[float], None] = time.sleep
        self._timeout_s = timeout_s
        self._headers = {"User-Agent": f"relive/{__version__}", "Accept": f"{MSGPACK}, {JSON}"}
        if token:
            self._headers["Authorization"] = f"Bearer {token}"
        self._pool: PoolManager | None = None

    def __repr__(self) -> str:
        return f"Transport({self.base_url!r})"

    def with_retries(
        self, retry_for_s: float, *, pause: Callable[[float], None] | None = None
    ) -> "Transport":
        """Give the same connections with another patience.

        Args:
            retry_for_s: How long a call that may be repeated is tried again.
            pause: Waits between two tries; what it raises ends the call. None for the one in use.
        """
        self._connections()
        other = copy.copy(self)
        other.retry_for_s = retry_for_s
        other._pause = pause or self._pause
        return other

    def wait(self, pause_s: float) -> None:
        """Wait as between two tries; raises what the pause raises."""
        self._pause(pause_s)

    def get(self, path: str, reply: type[T], query: Mapping[str, Any] | None = None) -> T:
        """Ask for something.

        Args:
            path: Below the hub's address, beginning with `/`.
            reply: What the answer is read as.
            query: Parameters; None values are left out.

        Raises:
            HubUnreachable: No answer within the patience.
            HubRefused: The hub answered with an error, or with something else than `reply`.
        """
        with self.open("GET", _with_query(path, query), repeatable=True) as response:
            return self._read(response, reply)

    def get_page(
        self, path: str, reply: type[T], query: Mapping[str, Any] | None = None
    ) -> tuple[T, Mapping[str, str]]:
        """Ask for a part of a list; gives the answer's headers too, of which one says where the next begins.

        Raises:
            HubUnreachable, HubRefused: As `get`.
        """
        with self.open("GET", _with_query(path, query), repeatable=True) as response:
            return self._read(response, reply), response.headers

    def post(
        self, path: str, message: Any, reply: type[T], *, repeatable: bool = False, encoding: str = JSON
    ) -> T:
        """Send a message, and read the answer.

        Args:
            path: Below the hub's address, beginning with `/`.
            message: A msgspec struct, or values that msgspec encodes.
            reply: What the answer is read as; NoneType to ignore it.
            repeatable: Whether sending it twice is harmless, so that it may be tried again.
            encoding: JSON or MSGPACK.

        Raises:
            HubUnreachable: No answer within the patience.
            HubRefused, Superseded, StoreFull: The hub answered with an error.
        """
        body = msgspec.msgpack.encode(message) if encoding == MSGPACK else msgspec.json.encode(message)
        with self.open("POST", path, body, {"Content-Type": encoding}, repeatable=repeatable) as response:
            return self._read(response, reply)

    def delete(self, path: str) -> None:
        """Ask for something to be deleted; raises as `get` does."""
        with self.open("DELETE", path, repeatable=True):
            pass

    def put_stream(self, path: str, source: Callable[[], IO[bytes]], size_bytes: int) -> None:
        """Send bytes without holding them in memory.

        Args:
            path: Below the hub's address, beginning with `/`.
            source: Opens the bytes; called once for each try.
            size_bytes: Their length.

        Raises:
            HubUnreachable: No answer within the patience.
            HubRefused, Superseded, StoreFull: The hub answered with an error.
        """
        headers = {"Content-Type": "application/octet-stream", "Content-Length": str(size_bytes)}
        with self.open("PUT", path, source, headers, repeatable=True):
            pass

    @contextmanager
    def open(
        self,
        method: str,
        path: str,
        body: Body = None,
        headers: Mapping[str, str] | None = None,
        *,
        repeatable: bool = False,
    ) -> Iterator["BaseHTTPResponse"]:
        """Make one call, tried again while that may help, and give its good answer to read from.

        Raises:
            HubUnreachable: No answer within the patience, or it broke off while being read.
            HubRefused, Superseded, StoreFull: The hub answered with an error.
        """
        response = self._answer(method, path, body, headers or {}, repeatable=repeatable)
        try:
            yield response
        except _network_errors() as error:
            response.close()
            raise HubUnreachable(url=self.base_url, reason=_why(error)) from error
        except BaseException:
            # What is left unread would be taken for the next answer on this connection.
            response.close()
            raise
        else:
            response.drain_conn()
        finally:
            response.release_conn()

    def stream(self, path: str, start: int = 0) -> Iterator[bytes]:
        """Give the answer's bytes piece by piece, from `start`; raises as `get` does, also in the middle."""
        headers = {"Range": f"bytes={start}-"} if start else {}
        with self.open("GET", path, None, headers, repeatable=True) as response:
            yield from response.stream(BLOCK_BYTES, decode_content=False)

    def close(self) -> None:
        """Close the connections; the next call opens new ones."""
        if self._pool is not None:
            self._pool.clear()

    def _answer(
        self, method: str, path: str, body: Body, headers: Mapping[str, str], *, repeatable: bool
    ) -> "BaseHTTPResponse":
        deadline = time.monotonic() + self.retry_for_s
        pause_s = _FIRST_PAUSE_S
        while True:
            try:
                return self._once(method, path, body, headers)
            except ReliveError as error:
                if not _may_repeat(error, repeatable) or time.monotonic() + pause_s > deadline:
                    raise
            # Jitter, or a hundred runners come back in the same instant as their hub.
            self._pause(pause_s * random.uniform(0.5, 1.0))
            pause_s = min(pause_s * 2, _LONGEST_PAUSE_S)

    def _once(self, method: str, path: str, body: Body, headers: Mapping[str, str]) -> "BaseHTTPResponse":
        source = body() if callable(body) else body
        try:
            response = self._connections().request(
                method,
                self.base_url + path,
                body=source,
                headers={**self._headers, **headers},
                preload_content=False,
                redirect=False,  # the token must not follow to another host
                retries=False,
            )
            if response.status < 300:
                return response
            raise self._refusal(response)
        except _network_errors() as error:
            raise _Unanswered(url=self.base_url, reason=_why(error), sent=_was_sent(error)) from error
        finally:
            if source is not None and not isinstance(source, bytes):
                source.close()

    def _refusal(self, response: "BaseHTTPResponse") -> ReliveError:
        """Make the error that an answer says."""
        data = response.read(decode_content=True)
        response.release_conn()
        try:
            problem = msgspec.json.decode(data, type=Problem)
        except (msgspec.MsgspecError, UnicodeDecodeError):
            text = data[:300].decode(errors="replace").strip()
            message = (
                f"The hub at {self.base_url} answered with status {response.status}: {text or 'nothing'}"
            )
            return HubRefused(status=response.status, error_code="unknown", message=message, details={})
        return _error_of(response.status, problem)

    def _read(self, response: "BaseHTTPResponse", reply: type[T]) -> T:
        if reply is type(None):
            return None  # T is None here
        data = response.read(decode_content=True)
        packed = response.headers.get("Content-Type", "").startswith(MSGPACK)
        try:
            return (
                msgspec.msgpack.decode(data, type=reply) if packed else msgspec.json.decode(data, type=reply)
            )
        except (msgspec.MsgspecError, UnicodeDecodeError) as error:
            message = f"The hub at {self.base_url} answered with something else than {reply}: {error}"
            raise HubRefused(
                status=response.status, error_code="unexpected_answer", message=message, details={}
            ) from error

    def _connections(self) -> "PoolManager":
        if self._pool is None:
            self._pool = open_pool(self.base_url, timeout_s=self._timeout_s)
        return self._pool


class _Unanswered(HubUnreachable):
    """No answer; remembers whether the hub may have seen the request."""

    def __init__(self, url: str, reason: str, *, sent: bool) -> None:
        super().__init__(url=url, reason=reason)
        self.sent = sent


def open_pool(url: str, *, timeout_s: float, certificates: str = "") -> "PoolManager":
    """Make the connections for an address, through the proxy that the environment names for it.

    Args:
        url: The address; only its scheme and host matter.
        timeout_s: Longest silence.
        certificates: File of trusted authorities; empty for the machine's, or what SSL_CERT_FILE names.
    """
    import urllib3  # late: half of what `import relive` costs, needed only when something is sent

    settings: dict[str, Any] = {
        "maxsize": 8,
        "timeout": urllib3.Timeout(connect=min(10.0, timeout_s), read=timeout_s),
        "blocksize": BLOCK_BYTES // 4,
        "retries": False,
    }
    parts = urlsplit(url)
    if parts.scheme == "https":
        # The default context reads SSL_CERT_FILE and SSL_CERT_DIR.
        settings["ssl_context"] = ssl.create_default_context(cafile=certificates or None)
    proxy = _proxy_of(parts.scheme, parts.hostname or "")
    return urllib3.ProxyManager(proxy, **settings) if proxy else urllib3.PoolManager(**settings)


def path_of(*parts: str) -> str:
    """Join parts of an address, each escaped: `path_of("runs", id)` is `/api/v1/runs/…`."""
    # A part of dots alone would be taken for a step up.
    escaped = (quote(part, safe=":") if part.strip(".") else part.replace(".", "%2E") for part in parts)
    return "/api/v1/" + "/".join(escaped)


def _with_query(path: str, query: Mapping[str, Any] | None) -> str:
    given = {key: value for key, value in (query or {}).items() if value is not None}
    return f"{path}?{urlencode(given, doseq=True)}" if given else path


def _proxy_of(scheme: str, host: str) -> str:
    excluded = _variable("no_proxy").replace(" ", "").split(",")
    if host in {"localhost", "::1"} or host.startswith("127.") or "*" in excluded:
        return ""
    if any(name and (host == name.lstrip(".") or host.endswith("." + name.lstrip("."))) for name in excluded):
        return ""
    return _variable(f"{scheme}_proxy") or _variable("all_proxy")


def _variable(name: str) -> str:
    return os.environ.get(name) or os.environ.get(name.upper()) or ""


def _network_errors() -> tuple[type[BaseException], ...]:
    from urllib3.exceptions import HTTPError  # late: see open_pool

    return (HTTPError, OSError)


def _why(error: BaseException) -> str:
    """Say the cause in a few words, without the address objects of urllib3's own text."""
    cause: BaseException = error
    while (below := cause.__cause__ or cause.__context__) is not None:
        cause = below
    if isinstance(cause, OSError) and cause.strerror:
        return cause.strerror.lower()
    return str(cause) or type(cause).__name__


def _was_sent(error: BaseException) -> bool:
    from urllib3.exceptions import ConnectTimeoutError, NewConnectionError  # late: see open_pool

    return not isinstance(error, (NewConnectionError, ConnectTimeoutError))


def _may_repeat(error: ReliveError, repeatable: bool) -> bool:
    if isinstance(error, _Unanswered):
        return repeatable or not error.sent
    return isinstance(error, HubRefused) and error.is_passing


def _error_of(status: int, problem: Problem) -> ReliveError:
    facts = problem.facts
    if problem.code == Superseded.code:
        return Superseded(
            subject=str(facts.get("subject", "this job")),
            reason=str(facts.get("reason", problem.message)),
            hint=facts.get("hint"),
        )
    if problem.code == StoreFull.code:
        return StoreFull(
            where=str(facts.get("where", "the hub")),
            needed_bytes=facts.get("needed_bytes"),
            free_bytes=facts.get("free_bytes"),
            limit=str(facts.get("limit", "disk")),
        )
    # Most messages end with what to do already.
    is_told = problem.todo is None or problem.todo in problem.message
    message = problem.message if is_told else f"{problem.message}\n  try:      {problem.todo}"
    return HubRefused(status=status, error_code=problem.code, message=message, details=facts)
