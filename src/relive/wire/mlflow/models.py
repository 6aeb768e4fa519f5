"""Logged models.

Source: MLflow's REST API, version 2.0, logged models.
"""

import msgspec

from relive.wire.mlflow.common import Int64, KeyValue, Request


class CreateLoggedModel(Request, frozen=True):
    """POST logged-models."""

    experiment_id: str
    name: str = ""
    model_type: str = ""
    source_run_id: str = ""
    params: tuple[KeyValue, ...] = ()
    tags: tuple[KeyValue, ...] = ()


class LoggedModelId(Request, frozen=True):
    """GET and DELETE logged-models/ID."""

    model_id: str
    allow_deleted: bool = False


class FinalizeLoggedModel(Request, frozen=True):
    """PATCH logged-models/ID; `status` is a name or a number of MLflow's."""

    model_id: str
    status: str | int


class LogLoggedModelParams(Request, frozen=True):
    """POST logged-models/ID/params."""

    model_id: str
    params: tuple[KeyValue, ...] = ()


class SetLoggedModelTags(Request, frozen=True):
    """PATCH logged-models/ID/tags."""

    model_id: str
    tags: tuple[KeyValue, ...] = ()


class DeleteLoggedModelTag(Request, frozen=True):
    """DELETE logged-models/ID/tags/KEY."""

    model_id: str
    tag_key: str


class ListLoggedModelFiles(Request, frozen=True):
    """GET logged-models/ID/artifacts/directories."""

    model_id: str
    artifact_directory_path: str = ""
    page_token: str = ""


class OnDataset(msgspec.Struct, frozen=True):
    """A data set that metrics were measured on; without a digest any of this name."""

    dataset_name: str = ""
    dataset_digest: str = ""


class OrderBy(msgspec.Struct, frozen=True):
    """What to sort by: an attribute, or `metrics.KEY`, perhaps as measured on a data set."""

    field_name: str = ""
    ascending: bool = True
    dataset_name: str = ""
    dataset_digest: str = ""


class SearchLoggedModels(Request, frozen=True):
    """POST logged-models/search."""

    experiment_ids: tuple[str, ...] = ()
    filter: str = ""
    datasets: tuple[OnDataset, ...] = ()
    max_results: Int64 = 50
    order_by: tuple[OrderBy, ...] = ()
    page_token: str = ""
