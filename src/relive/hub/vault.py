"""Encrypts secrets with a key outside the database: RELIVE_SECRET_KEY, or a file of the data folder."""

import base64
import hashlib
import os
import secrets
from pathlib import Path

from relive import settings
from relive.errors import SecretUnreadable
from relive.hub.keys import sync_folder


class FileVault:
    """Seals with AES-128-CBC and HMAC-SHA256 (Fernet); the key is made on first use, 0600."""

    def __init__(self, key_file: Path) -> None:
        self._file = key_file

    def seal(self, plain: bytes) -> str:
        """Give the encrypted text."""
        from cryptography.fernet import Fernet  # late: a hub without secrets never loads it

        return Fernet(self._key()).encrypt(plain).decode()

    def open(self, sealed: str) -> bytes:
        """Give back what was sealed, or raise `SecretUnreadable`."""
        from cryptography.fernet import Fernet, InvalidToken  # late: as above

        try:
            return Fernet(self._key()).decrypt(sealed.encode())
        except InvalidToken as error:
            raise SecretUnreadable(subject="a stored secret") from error

    def _key(self) -> bytes:
        given = settings.get("RELIVE_SECRET_KEY")
        if given:
            # Any text may be given; Fernet wants 32 bytes.
            return base64.urlsafe_b64encode(hashlib.sha256(given.encode()).digest())
        if not self._file.exists():
            self._make()
        return self._file.read_bytes()

    def _make(self) -> None:
        self._file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        partial = self._file.with_suffix(f".{secrets.token_hex(4)}.partial")
        descriptor = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            file.write(base64.urlsafe_b64encode(os.urandom(32)))
            file.flush()
            os.fsync(file.fileno())
        try:
            os.link(partial, self._file)
        except FileExistsError:
            return  # another process was quicker, and its key is the one that counts
        finally:
            partial.unlink()
            sync_folder(self._file.parent)
