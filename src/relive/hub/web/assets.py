"""What pages load: styles, scripts and vendored libraries, under addresses that change with their content.

The address holds a digest over all files, so that every copy may be kept for ever, and modules can import one
another by their relative names.
"""

import gzip
import hashlib
from functools import cache
from pathlib import Path

import msgspec

FOLDER = Path(__file__).parent / "static"

_TYPES = {
    ".css": "text/css",
    ".js": "text/javascript",
    ".svg": "image/svg+xml",
    ".png": "image/png",
}


class Asset(msgspec.Struct, frozen=True):
    """One file as it is sent; `packed` is the same in gzip."""

    body: bytes
    packed: bytes
    media_type: str


def asset_url(name: str) -> str:
    """Give the address of a file of the static folder, from the hub's root."""
    return f"/static/{tree_digest()}/{name}"


@cache
def tree_digest() -> str:
    """Give the digest over every file that can be loaded: names and contents."""
    digest = hashlib.sha256()
    for name in sorted(_names()):
        digest.update(name.encode() + b"\0" + hashlib.sha256((FOLDER / name).read_bytes()).digest())
    return digest.hexdigest()[:16]


def find_asset(name: str) -> Asset | None:
    """Give a file of the static folder, or None; only what lies there by name can be asked for."""
    return _read(name) if name in _names() else None


@cache
def _names() -> frozenset[str]:
    files = (path for path in FOLDER.rglob("*") if path.suffix in _TYPES)
    return frozenset(path.relative_to(FOLDER).as_posix() for path in files)


@cache
def _read(name: str) -> Asset:
    body = (FOLDER / name).read_bytes()
    return Asset(body=body, packed=gzip.compress(body, 9, mtime=0), media_type=_TYPES[Path(name).suffix])
