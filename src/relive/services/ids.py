"""Random ids and secrets."""

import hashlib
import secrets
from typing import Final

_LEAST: Final = 10**8


def new_id() -> str:
    """Make an id: 32 hex digits, random, so that its first eight tell it apart."""
    return secrets.token_hex(16)


def new_number() -> str:
    """Make an id that is a number of 9 or 10 digits, for what is read by programs that expect one.

    Some have 32 bits for it, so it is below 2**31. Another may have it: whoever keeps it then tries again.
    """
    return str(_LEAST + secrets.randbelow(2**31 - _LEAST))


def named_id(*parts: str) -> str:
    """Make the id of what has a name: the same parts give the same id."""
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()[:32]


def new_secret() -> str:
    """Make the secret part of a token: 256 bits, URL-safe."""
    return secrets.token_urlsafe(32)


def secret_digest(secret: str) -> str:
    """Give the SHA-256 that is kept instead of a secret; high entropy makes a slow hash needless."""
    return hashlib.sha256(secret.encode()).hexdigest()
