"""Data sets as a file system of fsspec: `relive://sales@v3/2026-11.csv` for pandas, pyarrow, Dask and others.

Imported by fsspec alone, through the entry point that names it, so that relive itself does not need fsspec.
Source of the protocol: fsspec's documentation, "Developing with fsspec", AbstractFileSystem.
"""

import errno
import io
import os
from http import HTTPStatus
from typing import Any, ClassVar, Final

from fsspec import AbstractFileSystem

from relive.client.dataset import OpenDataset, dataset
from relive.core.artifact import ManifestEntry
from relive.errors import HubRefused, NotFound

_Info = dict[str, Any]
_BUFFER_BYTES: Final = 1024 * 1024


class _File(io.BufferedReader):
    """A file that says its size, as fsspec expects it of one."""

    def __init__(self, source: Any) -> None:
        super().__init__(source, _BUFFER_BYTES)
        self.size = int(source.size)


class DatasetFileSystem(AbstractFileSystem):  # type: ignore[misc]  # fsspec ships no types
    """Versions of data sets, each a folder by its name: `sales@v3/…`; without a number, the latest.

    Which version is the latest is asked once and holds until `invalidate_cache`.

    Args:
        hub: Address of the hub; empty for the one of this machine or of the last login.
        token: For the hub; empty for the one kept for it.
    """

    protocol: ClassVar[str] = "relive"
    root_marker: ClassVar[str] = ""

    def __init__(self, hub: str = "", token: str = "", **options: Any) -> None:
        super().__init__(hub=hub, token=token, **options)
        self._hub, self._token = hub, token
        self._sets: dict[str, OpenDataset] = {}
        self._listings: dict[str, dict[str, dict[str, _Info]]] = {}

    def ls(self, path: str, detail: bool = True, **options: Any) -> list[Any]:
        """List what lies in a folder, or the file itself.

        Raises:
            FileNotFoundError: There is neither, or no such version.
        """
        path = str(self._strip_protocol(path))
        info = self.info(path)
        found = [info]
        if info["type"] == "directory":
            found = list(self._listed(path.partition("/")[0])[path].values())
        return found if detail else [it["name"] for it in found]

    def info(self, path: str, **options: Any) -> _Info:
        """Give name, size in bytes, type and, of a file, the digest of its bytes.

        Raises:
            FileNotFoundError: There is nothing at the path, or no such version.
        """
        path = str(self._strip_protocol(path))
        ref, _, inside = path.partition("/")
        if not ref:
            raise FileNotFoundError(
                errno.ENOENT, "name a version of a data set: relive://NAME@vNUMBER/PATH", path
            )
        folders = self._listed(ref)
        if path in folders:
            return {"name": path, "size": 0, "type": "directory"}
        folder, _, name = path.rpartition("/")
        if not inside or name not in folders.get(folder, {}):
            raise FileNotFoundError(errno.ENOENT, f"{ref} has no such file or folder", path)
        return folders[folder][name]

    def checksum(self, path: str) -> str:
        """Give the digest of a file's bytes.

        Raises:
            FileNotFoundError: There is no such file.
        """
        info = self.info(path)
        if info["type"] != "file":
            raise FileNotFoundError(errno.ENOENT, "a folder has no digest", path)
        return str(info["digest"])

    ukey = checksum

    def invalidate_cache(self, path: str | None = None) -> None:
        """Forget which versions were opened; the latest is asked for again."""
        self._sets.clear()
        self._listings.clear()
        super().invalidate_cache(path)

    def _open(self, path: str, mode: str = "rb", **options: Any) -> io.BufferedReader:
        path = str(self._strip_protocol(path))
        if mode != "rb":
            raise OSError(errno.EROFS, "a version of a data set never changes: relive data add", path)
        if self.info(path)["type"] != "file":
            raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), path)
        ref, _, inside = path.partition("/")
        return _File(self._opened(ref).raw(inside))

    def _opened(self, ref: str) -> OpenDataset:
        if ref not in self._sets:
            try:
                self._sets[ref] = dataset(ref, hub=self._hub, token=self._token)
            except HubRefused as error:
                if error.status != HTTPStatus.NOT_FOUND:
                    raise
                raise FileNotFoundError(errno.ENOENT, error.message.partition("\n")[0], ref) from error
        return self._sets[ref]

    def _listed(self, ref: str) -> dict[str, dict[str, _Info]]:
        """Give what lies in each folder of a version: the folder's path → names → what is known."""
        if ref not in self._listings:
            opened = self._opened(ref)
            folders: dict[str, dict[str, _Info]] = {ref: {}}
            for entry in opened.manifest.entries:
                file = _file_of(opened, ref, entry)
                if file is not None:
                    _put(folders, file)
            self._listings[ref] = folders
        return self._listings[ref]


def _file_of(opened: OpenDataset, ref: str, entry: ManifestEntry) -> _Info | None:
    """Say what a file is, or what a link leads to; None for a link to a folder: its files are there too."""
    try:
        target = opened.entry(entry.path)
    except NotFound:
        return None
    name = f"{ref}/{entry.path}"
    return {"name": name, "size": target.size_bytes, "type": "file", "digest": target.digest}


def _put(folders: dict[str, dict[str, _Info]], info: _Info) -> None:
    """Put a file, or a folder, into its folder, and that into its own."""
    folder, _, name = info["name"].rpartition("/")
    if folder not in folders:
        folders[folder] = {}
        _put(folders, {"name": folder, "size": 0, "type": "directory"})
    folders[folder][name] = info
