"""Where the hub is and which token opens it: the files that `relive up` and `relive login` leave.

`hub.json` is written last by a hub that starts on this machine, and never taken from one that still answers;
`tokens.json` (0600) holds a token for each address. The settings RELIVE_HUB and RELIVE_TOKEN win over both.
"""

import contextlib
import os
import socket
import tempfile
from collections.abc import Iterator
from fcntl import LOCK_EX, flock
from pathlib import Path
from typing import TypeVar
from urllib.parse import urlsplit

import msgspec

from relive import settings
from relive.errors import HubUnknown, InvalidInput

T = TypeVar("T")

_ANSWER_S = 1.0


class HubAddress(msgspec.Struct, frozen=True, omit_defaults=True):
    """What `hub.json` says: where the hub of this machine listens, and which process it is.

    Attributes:
        blobs: The folder of its blobs; empty if they lie elsewhere than on a disk.
        others: Hubs with other data that run here as well; commands do not speak with them of themselves.
    """

    address: str
    pid: int = 0
    blobs: str = ""
    others: tuple["HubAddress", ...] = ()


class _Tokens(msgspec.Struct):
    tokens: dict[str, str] = {}
    current: str = ""


def find_hub() -> str:
    """Give the address of the hub to speak with.

    RELIVE_HUB wins, then the hub of the last login, then the one that runs on this machine.

    Raises:
        HubUnknown: None of them is known.
        InvalidInput: A file that names it is damaged.
    """
    address = settings.get("RELIVE_HUB") or _read_tokens().current
    if address:
        return normalised(address)
    local = local_hub()
    if local is None:
        raise HubUnknown
    return normalised(local.address)


def local_hub() -> HubAddress | None:
    """Give the hub of this machine that commands speak with; it may have ended since."""
    return _read(_folder() / "hub.json", HubAddress)


def announce_hub(hub: HubAddress) -> None:
    """Write `hub.json`, before the first answer; another living hub that was there before stays the first."""
    with _locked(_folder()):
        _write_hubs([*_living_beside(hub), hub])


def withdraw_hub(hub: HubAddress) -> None:
    """Leave commands to another hub that lives here; without one `hub.json` stays, for when this is back."""
    with _locked(_folder()):
        if living := _living_beside(hub):
            _write_hubs(living)


def _living_beside(hub: HubAddress) -> list[HubAddress]:
    known = local_hub()
    if known is None:
        return []
    beside = [it for it in (known, *known.others) if normalised(it.address) != normalised(hub.address)]
    return [msgspec.structs.replace(it, others=()) for it in beside if _lives(it)]


def _lives(hub: HubAddress) -> bool:
    """Tell whether its process is there and its address taken: either alone may by now be a stranger's."""
    address = urlsplit(hub.address)
    port = address.port or (443 if address.scheme == "https" else 80)
    try:
        os.kill(hub.pid, 0)
        socket.create_connection((address.hostname, port), timeout=_ANSWER_S).close()
    except (OSError, ValueError):
        return False
    return True


def _write_hubs(hubs: list[HubAddress]) -> None:
    first = msgspec.structs.replace(hubs[0], others=tuple(hubs[1:]))
    _write(_folder() / "hub.json", msgspec.json.format(msgspec.json.encode(first)))


def find_token(address: str) -> str:
    """Give the token for a hub; empty if none is known. RELIVE_TOKEN wins."""
    return settings.get("RELIVE_TOKEN") or _read_tokens().tokens.get(normalised(address), "")


def store_token(address: str, token: str, *, make_current: bool = False) -> None:
    """Keep a token for a hub, readable by this user only.

    Args:
        address: Of the hub.
        token: It replaces the one before; empty forgets it.
        make_current: Whether commands speak with this hub from now on.
    """
    key = normalised(address)
    with _locked(_folder()):
        kept = _read_tokens()
        if token:
            kept.tokens[key] = token
        else:
            kept.tokens.pop(key, None)
        if make_current:
            kept.current = key
        elif not token and kept.current == key:
            kept.current = ""
        _write(_folder() / "tokens.json", msgspec.json.format(msgspec.json.encode(kept)))


def normalised(address: str) -> str:
    """Write an address in the one way that tokens are kept under.

    Raises:
        InvalidInput: It is no http or https address.
    """
    text = address.strip().rstrip("/")
    if not text.startswith(("http://", "https://")) or len(text) <= len("https://"):
        raise InvalidInput(field="hub address", value=address, wanted="http://HOST:PORT or https://HOST")
    scheme, _, rest = text.partition("://")
    host, slash, path = rest.partition("/")
    return f"{scheme}://{host.lower()}{slash}{path}"


def _folder() -> Path:
    return Path(settings.home())


def _read_tokens() -> _Tokens:
    return _read(_folder() / "tokens.json", _Tokens) or _Tokens()


def _read(path: Path, kind: type[T]) -> T | None:
    try:
        return msgspec.json.decode(path.read_bytes(), type=kind)
    except FileNotFoundError:
        return None
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise InvalidInput(
            field=path.name,
            value=str(path),
            wanted=f"the file as relive wrote it ({error})",
            hint=f"rm {path}",
        ) from error


@contextlib.contextmanager
def _locked(folder: Path) -> Iterator[None]:
    """Keep two logins at once from losing one of their tokens."""
    folder.mkdir(parents=True, exist_ok=True)
    with open(folder / ".tokens.lock", "ab") as file:
        flock(file, LOCK_EX)
        yield


def _write(path: Path, data: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    # mkstemp makes the file 0600, so the token is never readable by others, not even for a moment.
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(data + b"\n")
            file.flush()
            os.fsync(file.fileno())
        os.replace(name, path)
    except BaseException:
        os.unlink(name)
        raise
