"""The calls about data in versions; how their bytes are read is in `relive.data`."""

from collections.abc import Iterable

from relive.client.calls.base import Calls
from relive.client.transport import BLOCK_BYTES, path_of
from relive.core.artifact import Manifest
from relive.core.dataset import DatasetRef, DatasetVersion, read_ref
from relive.core.digest import Digest
from relive.errors import BlobDigestMismatch, HubRefused
from relive.formats.hashing import blake3_digest
from relive.formats.layout import Layout
from relive.wire.datasets import AddVersion, CheckPacks, DatasetDetail, PacksFound, VersionDetail

_NOT_FOUND = 404


class DatasetCalls(Calls):
    """Calls about data sets; a version is named as `sales@v3`, `sales@latest` or `sales`."""

    def list_datasets(self, *, project: str = "", limit: int = 1000) -> list[DatasetDetail]:
        """List data sets by name, each with its newest version."""
        query = {"project": project or None, "limit": limit}
        return self.transport.get(path_of("datasets"), list[DatasetDetail], query)

    def get_dataset(self, name: str, *, limit: int = 50) -> DatasetDetail:
        """Give a data set with so many versions, newest first."""
        return self.transport.get(path_of("datasets", name), DatasetDetail, {"limit": limit})

    def get_dataset_version(self, ref: str) -> VersionDetail:
        """Give a version with the run that made it and those that read it."""
        return self.transport.get(_path(read_ref(ref)), VersionDetail)

    def find_dataset_version(self, ref: str) -> DatasetVersion | None:
        """Give a version, or None if there is none."""
        try:
            return self.get_dataset_version(ref).version
        except HubRefused as error:
            if error.status == _NOT_FOUND:
                return None
            raise

    def add_dataset_version(self, message: AddVersion) -> DatasetVersion:
        """Name what was stored; raises `HubRefused` if it is not all there."""
        return self.transport.post(path_of("datasets"), message, DatasetVersion, repeatable=True)

    def check_packs(self, version: DatasetVersion, packs: Iterable[Digest] = ()) -> PacksFound:
        """Have packs read again by the hub that came damaged; tells which are so, and which are not there."""
        message = CheckPacks(tuple(packs))
        return self.transport.post(_path_of(version, "check"), message, PacksFound, repeatable=True)

    def delete_dataset_version(self, ref: str) -> None:
        """Forget a version that no run read."""
        self.transport.delete(_path(read_ref(ref)))

    def dataset_manifest(self, version: DatasetVersion) -> Manifest:
        """Give a version's files.

        Raises:
            BlobDigestMismatch: What came is something else.
        """
        return Manifest.from_bytes(self._checked(version.digest, _path_of(version, "manifest")))

    def dataset_layout(self, version: DatasetVersion) -> Layout:
        """Give where a version's bytes lie; raises as `dataset_manifest`."""
        return Layout.from_bytes(self._checked(version.layout, _path_of(version, "layout")))

    def read_pack(self, version: DatasetVersion, pack: Digest, start: int, end: int) -> bytes:
        """Give the bytes of a pack from `start` to before `end`, as they came."""
        headers = {"Range": f"bytes={start}-{end - 1}"}
        path = _path_of(version, "packs", pack)
        with self.transport.open("GET", path, headers=headers, repeatable=True) as response:
            return b"".join(response.stream(BLOCK_BYTES, decode_content=False))

    def _checked(self, digest: Digest, path: str) -> bytes:
        data = b"".join(self.transport.stream(path))
        actual = blake3_digest(data)
        if actual != digest:
            raise BlobDigestMismatch(digest=digest, actual=actual)
        return data


def _path(ref: DatasetRef) -> str:
    return path_of("datasets", ref.name, "versions", "latest" if ref.number is None else str(ref.number))


def _path_of(version: DatasetVersion, *parts: str) -> str:
    return path_of("datasets", version.name, "versions", str(version.number), *parts)
