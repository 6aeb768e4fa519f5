"""Data sets as tracking clients name them.

What a client says of a data set is kept as it said it: its digest need not be one over all bytes. What relive
knows itself of a run's inputs is `core.run.Input`.
"""

import msgspec


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
