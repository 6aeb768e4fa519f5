"""What services ask of the store for files outside of runs; its promises are those of `ports.stores`."""

from typing import Protocol

from relive.core.stored_file import StoredFile


class FileStore(Protocol):
    """Files by their address."""

    def record_file(self, file: StoredFile) -> StoredFile:
        """Keep a file; a later one of the same address takes its place."""
        ...

    def find_file(self, path: str) -> StoredFile | None: ...
    def find_overlapping_file(self, path: str) -> StoredFile | None:
        """Give one that is a folder of this address, or that lies in the folder that it would be."""
        ...

    def list_files(self, folder: str) -> list[StoredFile]:
        """Give all that lies in a folder, however deep, in the order of the addresses."""
        ...

    def delete_files(self, path: str) -> int:
        """Forget the file of this address, or all in the folder of it; gives how many there were."""
        ...

    def delete_idle_folders(self, folder: str, *, before: float) -> int:
        """Forget each folder that lies in a folder and got no file since a time; gives how many files."""
        ...
