"""Data sets: as tracking clients name them, and as relive keeps them, in versions.

What a client says of a data set is kept as it said it: its digest need not be one over all bytes. What relive
knows itself of a run's inputs is `core.run.Input`; the bytes of a `DatasetVersion` are its own.
"""

import re
from typing import Any, Final, NamedTuple

import msgspec

from relive.core.digest import Digest
from relive.errors import InvalidInput

# The name as `core.ids.check_name` wants it.
_REF: Final = re.compile(r"([A-Za-z0-9][A-Za-z0-9._-]{0,62})(?:@(?:v?([1-9][0-9]{0,8})|latest))?")


class LoggedDataset(msgspec.Struct, frozen=True, kw_only=True):
    """A data set of an experiment, known by name and digest.

    Attributes:
        source_type: How `source` is to be read, in the client's words: "local", "s3", "code", …
        schema: JSON as text, or empty; `profile` too.
    """

    name: str
    digest: str
    source_type: str = ""
    source: str = ""
    schema: str = ""
    profile: str = ""


class DatasetUse(msgspec.Struct, frozen=True, kw_only=True):
    """A data set that a run read, and what it was to the run."""

    dataset: LoggedDataset
    tags: dict[str, str] = {}


class DatasetSummary(msgspec.Struct, frozen=True, kw_only=True):
    """A data set that runs of an experiment read; `context` is what it was to them, None if not said."""

    experiment_id: str
    name: str
    digest: str
    context: str | None = None


class ModelUse(msgspec.Struct, frozen=True, kw_only=True):
    """A logged model that a run read, or made at a step.

    Attributes:
        role: "input" or "output".
    """

    model_id: str
    role: str
    step: int = 0


class Dataset(msgspec.Struct, frozen=True, kw_only=True):
    """A name under which versions of data are kept; unique in the hub."""

    id: str
    project_id: str
    name: str
    created_by: str = ""
    created_at: float = 0.0


class DatasetVersion(msgspec.Struct, frozen=True, kw_only=True):
    """One immutable version of a data set.

    Attributes:
        name: Of its data set.
        number: Counts from 1 within the data set.
        digest: Of its manifest: over path, size and content of every file, however they are stored.
        layout: Digest of the document that says in which packs the bytes lie.
        added_bytes: What it added to the store beside what earlier versions have there.
        profile: What is known of its tables: columns, types, statistics; see `relive.data.profile`.
        source: Where the data came from, in words.
        source_run_id: The run that made it, empty if none.
    """

    id: str
    dataset_id: str
    name: str
    number: int
    digest: Digest
    layout: Digest
    message: str = ""
    files: int = 0
    size_bytes: int = 0
    added_bytes: int = 0
    profile: dict[str, Any] = {}
    source: str = ""
    source_run_id: str = ""
    created_by: str = ""
    created_at: float = 0.0

    @property
    def ref(self) -> str:
        """The version's name, such as `sales@v3`."""
        return write_ref(self.name, self.number)


class DatasetRead(msgspec.Struct, frozen=True, kw_only=True):
    """A run read a version; `path` is where it lay for the run, empty if nowhere."""

    run_id: str
    dataset_id: str
    number: int
    path: str = ""


class DatasetRef(NamedTuple):
    """A data set's name, and which version is meant: None for the newest."""

    name: str
    number: int | None


def write_ref(name: str, number: int) -> str:
    """Name a version, such as `sales@v3`."""
    return f"{name}@v{number}"


def read_ref(text: str) -> DatasetRef:
    """Read `sales@v3`, `sales@3`, `sales@latest` or `sales`.

    Raises:
        InvalidInput: It has another form.
    """
    found = _REF.fullmatch(text)
    if found is None:
        wanted = "NAME@vNUMBER, NAME@latest or NAME, such as sales@v3"
        raise InvalidInput(field="data set", value=text, wanted=wanted)
    name, number = found.groups()
    return DatasetRef(name, int(number) if number else None)
