"""What is said about data sets, under `/api/v1/datasets`.

GET    ?project=                            → [DatasetDetail]        with the newest version of each
    POST                           AddVersion   → DatasetVersion    its packs, layout, manifest are there
GET    {name}                               → DatasetDetail          with its versions, newest first
GET    {name}/versions/{ref}                → VersionDetail          ref: 3, v3 or latest
GET    {name}/versions/{ref}/manifest, …/layout, …/packs/{digest}    bytes; ranges of packs
POST   {name}/versions/{ref}/check          CheckPacks → PacksFound
DELETE {name}/versions/{ref}
"""

from typing import Any

import msgspec

from relive.core.dataset import Dataset, DatasetRead, DatasetVersion
from relive.core.digest import Digest
from relive.core.run import Run


class AddVersion(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Names what was stored; the newest version is given back if it is the same data.

    Attributes:
        project: Where a new data set belongs, made if there is none of this name.
        digest: Of its manifest.
        added_bytes: What the packs take that were sent for it.
        proofs: Digest of a blob → that the run has it (`formats.possession`); asked of a run's command.
    """

    name: str
    project: str
    digest: Digest
    layout: Digest
    message: str = ""
    profile: dict[str, Any] = {}
    source: str = ""
    source_run_id: str = ""
    added_bytes: int = 0
    proofs: dict[Digest, str] = {}


class CheckPacks(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Names packs of a version that somebody read and found damaged; the hub reads them again itself."""

    packs: tuple[Digest, ...] = ()


class PacksFound(msgspec.Struct, frozen=True):
    """What the hub found of a version's packs.

    Attributes:
        damaged: Those that it was asked for, found damaged and took out of its store.
        lost: All that are not in its store, those too: adding the same files again brings them back.
    """

    damaged: tuple[Digest, ...]
    lost: tuple[Digest, ...]


class DatasetDetail(msgspec.Struct, frozen=True, kw_only=True):
    """A data set with versions, newest first."""

    dataset: Dataset
    project: str
    url: str
    versions: tuple[DatasetVersion, ...] = ()


class VersionDetail(msgspec.Struct, frozen=True, kw_only=True):
    """A version, the run that made it, and the runs that read it, newest first."""

    version: DatasetVersion
    project: str
    url: str
    made_by: Run | None = None
    reads: tuple[DatasetRead, ...] = ()
