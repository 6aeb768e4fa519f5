"""How blobs lie in a folder, for the hub that keeps them and for a client of the same user beside it.

ROOT/blake3/AB/AB…   the blobs, by the digits of their digests
ROOT/tmp/*.part      what is being written
"""

import re
import secrets
from pathlib import Path
from typing import Final

from relive.core.digest import Digest, hex_of, parse_digest

BLOBS: Final = "blake3"
PARTS: Final = "tmp"
_GIVEN: Final = re.compile(r"[0-9a-f]{32}\.part")


def blob_path(root: Path, digest: Digest) -> Path:
    """Say where a blob lies, or would lie.

    Raises:
        InvalidDigest: It is none.
    """
    name = hex_of(parse_digest(digest))
    return root / BLOBS / name[:2] / name


def given_name() -> str:
    """Make a name for a part that a client writes; who cannot list the folder cannot guess it."""
    return f"{secrets.token_hex(16)}.part"


def is_given_name(name: str) -> bool:
    """Tell whether a name is one that `given_name` makes, and so no path."""
    return _GIVEN.fullmatch(name) is not None
