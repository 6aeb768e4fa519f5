"""The hub's signing keys: one file a key, readable by the hub's user alone.

`signing-0001.pem`, `signing-0002.pem`, …: the newest signs, all verify. The key is made on first use, so
that a hub which never registers a model never loads the cryptography library.
"""

import os
import secrets
import threading
from pathlib import Path
from typing import Any

from relive.formats.dsse import KeyPair, describe_key, open_envelope


class FileSigner:
    """Signs with the newest key of a folder."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._lock = threading.Lock()
        self._pairs: list[KeyPair] = []

    @property
    def key_id(self) -> str:
        """Id of the key that signs now."""
        return self._keys()[-1].public.key_id

    def sign(self, payload_type: str, payload: bytes) -> bytes:
        """Give a DSSE envelope as JSON bytes."""
        return self._keys()[-1].sign(payload_type, payload)

    def verify(self, envelope: bytes) -> bytes:
        """Give the payload of an envelope that any of our keys signed, or raise `SignatureInvalid`."""
        return open_envelope(envelope, {pair.public.key_id: pair.public for pair in self._keys()})

    def public_keys(self) -> list[dict[str, Any]]:
        """Give what is published about each key, the one that signs last."""
        pairs = self._keys()
        return [describe_key(pair.public, signs=pair is pairs[-1]) for pair in pairs]

    def rotate(self) -> dict[str, Any]:
        """Make a new key that signs from now on; the old ones still verify."""
        self._keys()
        with self._lock:
            self._pairs.append(self._create(len(self._pairs) + 1))
            return describe_key(self._pairs[-1].public, signs=True)

    def _keys(self) -> list[KeyPair]:
        with self._lock:
            self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            files = sorted(self._folder.glob("signing-*.pem"))
            # Another hub on the same folder may have rotated: what it signs must verify here, too.
            self._pairs += [KeyPair.from_pem(file.read_bytes()) for file in files[len(self._pairs) :]]
            if not self._pairs:
                self._pairs.append(self._create(1))
            return list(self._pairs)

    def _create(self, number: int) -> KeyPair:
        pair = KeyPair.generate()
        path = self._folder / f"signing-{number:04d}.pem"
        # Of its own: two hubs that start at once must not write, or remove, one another's.
        partial = path.with_suffix(f".{secrets.token_hex(4)}.partial")
        descriptor = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            file.write(pair.to_pem())
            file.flush()
            os.fsync(file.fileno())
        try:
            os.link(partial, path)
        except FileExistsError:
            # Another hub on the same folder was quicker; its key is the one that counts.
            return KeyPair.from_pem(path.read_bytes())
        finally:
            partial.unlink()
            sync_folder(self._folder)
        return pair


def sync_folder(folder: Path) -> None:
    """Have a folder's names on the disk: a key that a power cut takes back is worse than none."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
