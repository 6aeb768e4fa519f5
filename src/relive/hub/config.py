"""How one hub was asked to run."""

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from relive import __version__

DEFAULT_PORT = 7878
HEALTH: Final = {"status": "ok", "version": __version__}


@dataclass(frozen=True)
class HubConfig:
    """Options of `relive up`.

    Attributes:
        data_dir: Where everything lies that is not in `db` and `store`.
        db: Database URL; empty for SQLite in the data folder.
        store: Blob store URL; empty for a folder in the data folder.
        auth: "local" lets recording and inference in without a token from this machine; "token" does not.
        public_url: Address others reach it at; empty for its own.
        behind_proxy: Trust X-Forwarded-* of the proxy in front.
        slots: Jobs placed at once on this machine.
        poll_s: Seconds between looks for pushes that nothing told of.
    """

    data_dir: Path
    host: str = "127.0.0.1"
    port: int = DEFAULT_PORT
    db: str = ""
    store: str = ""
    auth: str = "local"
    public_url: str = ""
    behind_proxy: bool = False
    tls_cert: str = ""
    tls_key: str = ""
    slots: int = max(1, os.cpu_count() or 1)
    poll_s: float = 60.0

    @property
    def database_url(self) -> str:
        """Give the database that is really used."""
        return self.db or f"sqlite:///{self.data_dir / 'relive.db'}"

    @property
    def store_url(self) -> str:
        """Give the blob store that is really used."""
        return self.store or str(self.data_dir / "blobs")

    @property
    def blob_folder(self) -> str:
        """Give the folder that blobs lie in; empty if they lie elsewhere than on a disk."""
        return "" if "://" in self.store_url else str(Path(self.store_url).absolute())

    @property
    def local_url(self) -> str:
        """Give the address for processes on this machine."""
        everywhere = {"0.0.0.0": "127.0.0.1", "::": "[::1]"}  # noqa: S104  # compared, not bound
        host = everywhere.get(self.host, self.host)
        return f"{'https' if self.tls_cert else 'http'}://{host}:{self.port}"

    @property
    def url(self) -> str:
        """Give the address for people."""
        return (self.public_url or self.local_url).rstrip("/")

    @property
    def is_loopback(self) -> bool:
        """Tell whether only this machine can reach it."""
        return self.host in ("127.0.0.1", "::1", "localhost")
