"""Models that a client logged with a run or by themselves, before anybody registers one."""

from enum import StrEnum

import msgspec

from relive.core.search import Field


class LoggedModelStatus(StrEnum):
    """Where a logged model stands: its files are on their way, there, or did not arrive."""

    UNSPECIFIED = "unspecified"
    PENDING = "pending"
    READY = "ready"
    UPLOAD_FAILED = "upload_failed"


class LoggedModel(msgspec.Struct, frozen=True, kw_only=True):
    """One model with its own folder of artifacts.

    Attributes:
        id: "m-" and 32 hex digits, as MLflow's clients expect.
        artifact_location: Address under which clients store and find its files.
        source_run_id: The run that made it; empty for none.
        deleted_at: When it was put aside.
    """

    id: str
    experiment_id: str
    name: str
    artifact_location: str
    status: LoggedModelStatus = LoggedModelStatus.PENDING
    status_message: str = ""
    source_run_id: str = ""
    model_type: str = ""
    created_by: str = ""
    created_at: float = 0.0
    updated_at: float = 0.0
    deleted_at: float | None = None


class ModelMetric(msgspec.Struct, frozen=True, kw_only=True):
    """One point that a run measured of a logged model, perhaps on a data set."""

    model_id: str
    key: str
    run_id: str
    value: float
    step: int = 0
    at: float = 0.0
    dataset_name: str = ""
    dataset_digest: str = ""


class OnDataset(msgspec.Struct, frozen=True, kw_only=True):
    """A data set that metrics were measured on; without a digest any of this name."""

    name: str = ""
    digest: str = ""


class Ranking(msgspec.Struct, frozen=True, kw_only=True):
    """What logged models are sorted by: an attribute or a metric, the latter perhaps on a data set."""

    field: Field
    ascending: bool = True
    dataset: OnDataset = OnDataset()
