"""Fetch a file of a package index, by the address that a lock holds."""

import base64
import netrc
from pathlib import Path
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

from urllib3.exceptions import HTTPError

from relive.client.transport import BLOCK_BYTES, open_pool
from relive.errors import EnvironmentFailed
from relive.runner.environment.pip_config import index_credentials
from relive.runner.environment.uv import uv_environment, without_logins

if TYPE_CHECKING:
    from urllib3 import PoolManager

_SILENCE_S: Final = 60.0
_TRIES: Final = 3
_LATER: Final = frozenset({408, 429, 500, 502, 503, 504})


def download(url: str, target: Path, *, source: str) -> None:
    """Fetch an address into a file; what it holds has to be verified by whoever knows its hash.

    Args:
        url: https or http; a login in it is used and not shown.
        target: Overwritten.
        source: The lock that names it, for the error.

    Raises:
        EnvironmentFailed: It cannot be had.
    """
    variables = uv_environment()
    login = _login(url, variables)
    headers = {"Authorization": login} if login else {}
    cause = ""
    with open_pool(url, timeout_s=_SILENCE_S, certificates=variables.get("SSL_CERT_FILE", "")) as pool:
        for _ in range(_TRIES):
            cause, may_pass = _try(pool, url, headers, target)
            if not cause:
                return
            if not may_pass:
                break
    raise EnvironmentFailed(
        source=source,
        reason=f"{without_logins(url)} cannot be fetched: {cause}",
        hint="lock again if it is gone; what relive has fetched once it keeps",
    )


def _try(pool: "PoolManager", url: str, headers: dict[str, str], target: Path) -> tuple[str, bool]:
    """Fetch once; give why it failed (empty: it did not) and whether another try may help."""
    try:
        # Indexes redirect to their file servers; urllib3 drops the login when the host changes.
        response = pool.request("GET", url, headers=headers, preload_content=False, redirect=True, retries=5)
        if response.status != 200:
            response.release_conn()
            return f"status {response.status}", response.status in _LATER
        with open(target, "wb") as file:
            file.writelines(response.stream(BLOCK_BYTES, decode_content=False))
    except HTTPError as error:
        return str(error).partition(": ")[2] or str(error), True
    return "", False


def _login(url: str, variables: dict[str, str]) -> str:
    """Give the header for a host that wants a login: from the address, from an index's, from ~/.netrc."""
    parts = urlsplit(url)
    host = parts.hostname or ""
    if parts.username:
        pair = f"{parts.username}:{parts.password or ''}"
    else:
        pair = index_credentials(variables.items()).get(host, "") or _from_netrc(host)
    return "Basic " + base64.b64encode(pair.encode()).decode() if pair else ""


def _from_netrc(host: str) -> str:
    try:
        found = netrc.netrc().authenticators(host)
    except (OSError, netrc.NetrcParseError):
        return ""
    return f"{found[0]}:{found[2]}" if found else ""
