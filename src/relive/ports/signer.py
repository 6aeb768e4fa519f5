"""What services ask of whoever holds the signing key."""

from typing import Any, Protocol


class Signer(Protocol):
    """Signs statements; the private key never leaves it."""

    @property
    def key_id(self) -> str:
        """Id of the key that signs now: hex SHA-256 of the raw public key."""
        ...

    def sign(self, payload_type: str, payload: bytes) -> bytes:
        """Give a DSSE envelope as JSON bytes."""
        ...

    def verify(self, envelope: bytes) -> bytes:
        """Give the payload of an envelope signed by any of our keys, or raise `SignatureInvalid`."""
        ...

    def public_keys(self) -> list[dict[str, Any]]:
        """Give each key's id, PEM and whether it still signs."""
        ...

    def rotate(self) -> dict[str, Any]:
        """Sign with a new key from now on, and give what is published about it; old ones still verify."""
        ...
