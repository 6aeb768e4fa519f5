"""Data sets that runs read, and logged models that they read or made.

Source: MLflow's REST API, version 2.0.
"""

import msgspec

from relive.wire.mlflow.common import Int64, Request


class Dataset(msgspec.Struct, frozen=True):
    """A data set as a client names it; `schema` and `profile` are JSON as text."""

    name: str
    digest: str
    source_type: str = ""
    source: str = ""
    schema: str = ""
    profile: str = ""


class InputTag(msgspec.Struct, frozen=True):
    """What the data set is to the run."""

    key: str
    value: str


class DatasetInput(msgspec.Struct, frozen=True):
    """A data set that a run read."""

    tags: tuple[InputTag, ...] = ()
    dataset: Dataset | None = None


class ModelInput(msgspec.Struct, frozen=True):
    """A logged model that a run read."""

    model_id: str


class ModelOutput(msgspec.Struct, frozen=True):
    """A logged model that a run made."""

    model_id: str
    step: Int64 = 0


class LogInputs(Request, frozen=True):
    """runs/log-inputs."""

    run_id: str
    datasets: tuple[DatasetInput, ...] = ()
    models: tuple[ModelInput, ...] = ()


class LogOutputs(Request, frozen=True):
    """runs/outputs."""

    run_id: str
    models: tuple[ModelOutput, ...]


class LogModel(Request, frozen=True):
    """runs/log-model; `model_json` is what the file MLmodel says."""

    run_id: str
    model_json: str


class SearchDatasets(Request, frozen=True):
    """experiments/search-datasets."""

    experiment_ids: tuple[str, ...] = ()
