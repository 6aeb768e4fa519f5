"""DSSE envelopes signed with Ed25519.

Source: Dead Simple Signing Envelope, protocol v1.0.0. `cryptography` is imported on first use: a hub that
has nothing to sign should not pay for it at its start.
"""

import base64
import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import msgspec

from relive.errors import SignatureInvalid

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey


class Signature(msgspec.Struct, frozen=True):
    """One signature of an envelope: the key's id, and base64 of the signature's bytes."""

    keyid: str
    sig: str


class Envelope(msgspec.Struct, frozen=True, rename="camel"):
    """A signed payload; `payload` is base64."""

    payload_type: str
    payload: str
    signatures: tuple[Signature, ...]


def pre_authentication_encoding(payload_type: str, payload: bytes) -> bytes:
    """Give the bytes that are really signed, so that type and payload cannot be moved against each other."""
    kind = payload_type.encode()
    return b"DSSEv1 %d %s %d %s" % (len(kind), kind, len(payload), payload)


@dataclass(frozen=True)
class KeyPair:
    """A private key that signs."""

    private: "Ed25519PrivateKey"

    @staticmethod
    def generate() -> "KeyPair":
        """Make a new key."""
        from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

        return KeyPair(Ed25519PrivateKey.generate())

    @staticmethod
    def from_pem(pem: bytes) -> "KeyPair":
        """Read a private key.

        Raises:
            SignatureInvalid: It is not an unencrypted Ed25519 key.
        """
        from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
        from cryptography.hazmat.primitives.serialization import load_pem_private_key

        key = load_pem_private_key(pem, password=None)
        if not isinstance(key, Ed25519PrivateKey):
            raise SignatureInvalid(subject="signing key", reason="it is not an Ed25519 key")
        return KeyPair(key)

    def to_pem(self) -> bytes:
        """Give the private key as PKCS #8."""
        from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

        return self.private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())

    @property
    def public(self) -> "PublicKey":
        """Give the key that verifies."""
        return PublicKey(self.private.public_key())

    def sign(self, payload_type: str, payload: bytes) -> bytes:
        """Give an envelope as JSON bytes."""
        signature = self.private.sign(pre_authentication_encoding(payload_type, payload))
        envelope = Envelope(
            payload_type=payload_type,
            payload=base64.b64encode(payload).decode(),
            signatures=(Signature(keyid=self.public.key_id, sig=base64.b64encode(signature).decode()),),
        )
        return msgspec.json.encode(envelope)


@dataclass(frozen=True)
class PublicKey:
    """A key that verifies."""

    key: "Ed25519PublicKey"

    @staticmethod
    def from_pem(pem: bytes) -> "PublicKey":
        """Read a public key.

        Raises:
            SignatureInvalid: It is not an Ed25519 key.
        """
        from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
        from cryptography.hazmat.primitives.serialization import load_pem_public_key

        key = load_pem_public_key(pem)
        if not isinstance(key, Ed25519PublicKey):
            raise SignatureInvalid(subject="public key", reason="it is not an Ed25519 key")
        return PublicKey(key)

    def to_pem(self) -> bytes:
        """Give the key as SubjectPublicKeyInfo."""
        from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

        return self.key.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)

    @property
    def key_id(self) -> str:
        """Give the hex SHA-256 of the raw key."""
        from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

        return hashlib.sha256(self.key.public_bytes(Encoding.Raw, PublicFormat.Raw)).hexdigest()

    def verifies(self, payload_type: str, payload: bytes, signature: bytes) -> bool:
        """Tell whether this key made the signature."""
        from cryptography.exceptions import InvalidSignature

        try:
            self.key.verify(signature, pre_authentication_encoding(payload_type, payload))
        except InvalidSignature:
            return False
        return True


def open_envelope(envelope: bytes, keys: dict[str, PublicKey]) -> bytes:
    """Give an envelope's payload if one of the keys signed it.

    Args:
        envelope: JSON bytes.
        keys: Key id to key.

    Raises:
        SignatureInvalid: It is no envelope, none of the keys signed it, or it was altered.
    """
    try:
        read = msgspec.json.decode(envelope, type=Envelope)
        payload = base64.b64decode(read.payload, validate=True)
        signatures = [(item.keyid, base64.b64decode(item.sig, validate=True)) for item in read.signatures]
    except (msgspec.MsgspecError, ValueError) as error:
        raise SignatureInvalid(subject="envelope", reason=f"it cannot be read ({error})") from error
    known = [(keys[key_id], signature) for key_id, signature in signatures if key_id in keys]
    if not known:
        names = ", ".join(key_id[:12] for key_id, _ in signatures) or "nobody"
        raise SignatureInvalid(subject="envelope", reason=f"it is signed by {names}, no key of this hub")
    if not any(key.verifies(read.payload_type, payload, signature) for key, signature in known):
        raise SignatureInvalid(subject="envelope", reason="the signature does not fit the payload")
    return payload


def describe_key(key: PublicKey, *, signs: bool) -> dict[str, Any]:
    """Give what is published about a key."""
    return {"key_id": key.key_id, "algorithm": "ed25519", "pem": key.to_pem().decode(), "signs": signs}
