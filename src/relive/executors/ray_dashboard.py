"""HTTP to the dashboard of a Ray cluster, with foreign errors ended here.

Source: Ray's Jobs REST API, version 4 (Ray 2.0 and newer). All that is sent may be sent twice: jobs and
packages have names.
"""

import sys
import time
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, Final, TypeVar

import msgspec

from relive.errors import InvalidInput, PoolUnfit, PoolUnreachable

if TYPE_CHECKING:
    from urllib3 import BaseHTTPResponse

_CONNECT_S: Final = 3.0
_ANSWER_S: Final = 8.0
_SUBMIT_S: Final = 30.0
_UPLOAD_S: Final = 300.0
# The scheduler asks about every job; a cluster that is away, or hangs, must cost it little of its time.
_AWAY_S: Final = 15.0
_LEAST_API: Final = 4

T = TypeVar("T")
Body = bytes | IO[bytes] | None


class _Version(msgspec.Struct):
    version: str
    ray_version: str = "?"


class _About(msgspec.Struct):
    python: str = msgspec.field(name="pythonVersion", default="")


class _Metadata(msgspec.Struct):
    data: _About


class Dashboard:
    """One cluster's dashboard; may be used from any thread.

    Args:
        address: http://HOST:8265.
        token_file: Holds the token of a cluster that asks for one, and is read at each call: a token that
            was renewed works at once, and none lies in the database. Empty for none.

    Raises:
        InvalidInput: The address is not one of HTTP.
    """

    def __init__(self, address: str, token_file: str = "") -> None:
        if not address.startswith(("http://", "https://")):
            wanted = "the HTTP address of the cluster's dashboard, such as http://head:8265"
            raise InvalidInput(field="ray", value=address, wanted=wanted)
        self.address = address.rstrip("/")
        self._token_file = token_file
        self._away, self._away_until = "", 0.0

    def check(self) -> None:
        """Do nothing if jobs of this hub can run there.

        Raises:
            PoolUnreachable: It does not answer, or it is no dashboard of Ray.
            PoolUnfit: Its API is too old, or its Python is another than the hub's.
        """
        found = self.get("/api/version", _Version)
        if found is None:
            raise self._stranger("it has no /api/version")
        if not found.version.isdigit() or int(found.version) < _LEAST_API:
            reason = f"Ray {found.ray_version} has version {found.version} of the Jobs API, not {_LEAST_API}"
            raise PoolUnfit(pool=self.address, reason=reason, hint="install Ray 2.0 or newer there")
        about = self.get("/api/v0/cluster_metadata", _Metadata)
        python = about.data.python if about is not None else ""
        wanted = f"{sys.version_info.major}.{sys.version_info.minor}"
        if python and python.split(".")[:2] != wanted.split("."):
            raise PoolUnfit(
                pool=self.address,
                reason=f"it has Python {python}, the hub {wanted}, and the minor versions must be the same",
                hint=f"start the hub with Python {'.'.join(python.split('.')[:2])}",
            )

    def get(self, path: str, kind: type[T]) -> T | None:
        """Ask for something; None if there is no such thing.

        Raises:
            PoolUnreachable: It does not answer, or with something else.
        """
        status, data = self.call("GET", path)
        if status == 404:
            return None
        if status >= 300:
            raise PoolUnreachable(pool=self.address, reason=said(data))
        try:
            return msgspec.json.decode(data, type=kind)
        except msgspec.MsgspecError as error:
            raise self._stranger(f"{path}: {error}") from error

    def post(self, path: str, message: Any) -> tuple[int, bytes]:
        """Send something; gives the status and what was answered."""
        return self.call("POST", path, msgspec.json.encode(message), answer_s=_SUBMIT_S)

    def put(self, path: str, file: IO[bytes]) -> tuple[int, bytes]:
        """Send a file, which is not held in memory; gives the status and what was answered."""
        return self.call("PUT", path, file, answer_s=_UPLOAD_S)

    def call(
        self, method: str, path: str, body: Body = None, *, answer_s: float = _ANSWER_S
    ) -> tuple[int, bytes]:
        """Make one call; gives the status and what was answered.

        Raises:
            PoolUnreachable: It does not answer, did not a moment ago, or refuses us.
        """
        if time.monotonic() < self._away_until:
            raise PoolUnreachable(pool=self.address, reason=self._away)
        try:
            reply = self._request(method, path, body, answer_s)
        except OSError as error:
            self._away, self._away_until = _why(error), time.monotonic() + _AWAY_S
            raise PoolUnreachable(pool=self.address, reason=self._away) from error
        if reply.status in (401, 403):
            hint = "name the file with its token: relive pool add NAME --ray ADDRESS --token-file FILE"
            reason = f"it refuses us ({said(reply.data)})"
            raise PoolUnreachable(pool=self.address, reason=reason, hint=hint)
        return reply.status, reply.data

    def _request(self, method: str, path: str, body: Body, answer_s: float) -> "BaseHTTPResponse":
        import urllib3  # late: a hub without a cluster never needs it

        timeout = urllib3.Timeout(connect=_CONNECT_S, read=answer_s)
        # A connection that was kept is sometimes closed just when it is used again; a file is read only once.
        tries = 2 if body is None or isinstance(body, bytes) else 1
        while True:
            tries -= 1
            try:
                return urllib3.request(
                    method,
                    self.address + path,
                    body=body,
                    headers=self._headers(body),
                    timeout=timeout,
                    retries=False,
                )
            except urllib3.exceptions.HTTPError as error:
                if not tries or not isinstance(error, urllib3.exceptions.ProtocolError):
                    raise OSError(str(error)) from error

    def _headers(self, body: Body) -> dict[str, str]:
        headers = {"Content-Type": "application/json"} if isinstance(body, bytes) else {}
        if body is not None and not isinstance(body, bytes):
            headers["Content-Length"] = str(Path(body.name).stat().st_size)
        if self._token_file:
            try:
                token = Path(self._token_file).read_text(encoding="ascii").strip()
            except (OSError, UnicodeDecodeError) as error:
                raise PoolUnreachable(pool=self.address, reason=f"its token: {error}") from error
            headers["Authorization"] = f"Bearer {token}"
        return headers

    def _stranger(self, why: str) -> PoolUnreachable:
        hint = "use the address of the dashboard, which is http://HEAD:8265 unless it was changed"
        return PoolUnreachable(
            pool=self.address, reason=f"what answers there is no dashboard of Ray ({why})", hint=hint
        )


def said(data: bytes) -> str:
    """Give what an answer says, in one line; of a traceback the last."""
    text = data.decode(errors="replace").strip()
    return text.splitlines()[-1][:500] if text else "without a reason"


def _why(error: BaseException) -> str:
    """Say the cause in a few words, without the address objects of urllib3's own text."""
    cause: BaseException = error
    while (below := cause.__cause__ or cause.__context__) is not None:
        cause = below
    if isinstance(cause, OSError) and cause.strerror:
        return cause.strerror.lower()
    return str(cause) or type(cause).__name__
