"""Data sets for evaluation, and scorers.

Source: MLflow's REST API, version 3.0, datasets and scorers.
"""

from relive.wire.mlflow.common import Int32, Request


class CreateEvaluationDataset(Request, frozen=True):
    """POST datasets/create; `tags` is JSON as text."""

    name: str
    experiment_ids: tuple[str, ...] = ()
    tags: str = ""


class EvaluationDatasetId(Request, frozen=True):
    """GET and DELETE datasets/ID, and GET datasets/ID/experiment-ids."""

    dataset_id: str


class SearchEvaluationDatasets(Request, frozen=True):
    """GET and POST datasets/search."""

    experiment_ids: tuple[str, ...] = ()
    filter_string: str = ""
    max_results: Int32 = 1000
    order_by: tuple[str, ...] = ()
    page_token: str = ""


class SetEvaluationTags(Request, frozen=True):
    """PATCH datasets/ID/tags; `tags` is JSON as text."""

    tags: str
    dataset_id: str


class DeleteEvaluationTag(Request, frozen=True):
    """DELETE datasets/ID/tags/KEY."""

    dataset_id: str
    key: str


class UpsertEvaluationRecords(Request, frozen=True):
    """POST datasets/ID/records; `records` is JSON as text."""

    records: str
    dataset_id: str


class ListEvaluationRecords(Request, frozen=True):
    """GET datasets/ID/records."""

    dataset_id: str
    max_results: Int32 = 1000
    page_token: str = ""


class DeleteEvaluationRecords(Request, frozen=True):
    """DELETE datasets/ID/records."""

    dataset_id: str
    dataset_record_ids: tuple[str, ...] = ()


class LinkEvaluationDataset(Request, frozen=True):
    """POST datasets/ID/add-experiments and datasets/ID/remove-experiments."""

    dataset_id: str
    experiment_ids: tuple[str, ...] = ()


class RegisterScorer(Request, frozen=True):
    """POST scorers/register; `serialized_scorer` is JSON as text."""

    experiment_id: str
    name: str
    serialized_scorer: str


class ListScorers(Request, frozen=True):
    """GET scorers/list."""

    experiment_id: str = ""
    experiment_ids: tuple[str, ...] = ()


class ScorerName(Request, frozen=True):
    """GET scorers/versions."""

    experiment_id: str
    name: str


class NamedScorer(Request, frozen=True):
    """GET scorers/get and DELETE scorers/delete; without a version the last, or all."""

    experiment_id: str
    name: str
    version: Int32 | None = None


class OnlineConfigs(Request, frozen=True):
    """GET scorers/online-configs."""

    scorer_ids: tuple[str, ...]
