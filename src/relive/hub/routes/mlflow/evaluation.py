"""Data sets for evaluation, and scorers."""

from typing import Any

from relive.core.access import Caller
from relive.hub.routes.mlflow.table import Table
from relive.services.context import Services
from relive.services.mlflow import evaluation, scorers
from relive.wire.mlflow import evaluation as wire

Reply = dict[str, Any]


def _create(services: Services, caller: Caller, message: wire.CreateEvaluationDataset) -> Reply:
    """Make a data set for evaluation."""
    return {"dataset": evaluation.create_dataset(services, message, caller)}


def _get(services: Services, caller: Caller, message: wire.EvaluationDatasetId) -> Reply:
    """Give a data set for evaluation, without its records."""
    return {"dataset": evaluation.get_dataset(services, message.dataset_id, caller)}


def _delete(services: Services, caller: Caller, message: wire.EvaluationDatasetId) -> Reply:
    """Delete a data set for evaluation with its records."""
    evaluation.delete_dataset(services, message.dataset_id, caller)
    return {}


def _search(services: Services, caller: Caller, message: wire.SearchEvaluationDatasets) -> Reply:
    """Give a page of the data sets for evaluation that fit a filter, in any order."""
    return evaluation.search_datasets(services, message, caller)


def _set_tags(services: Services, caller: Caller, message: wire.SetEvaluationTags) -> Reply:
    """Set tags of a data set for evaluation."""
    evaluation.set_tags(services, message, caller)
    return {}


def _delete_tag(services: Services, caller: Caller, message: wire.DeleteEvaluationTag) -> Reply:
    """Take a tag of a data set for evaluation away."""
    evaluation.delete_tag(services, message, caller)
    return {}


def _upsert(services: Services, caller: Caller, message: wire.UpsertEvaluationRecords) -> Reply:
    """Keep records; those with the same inputs as one that is there are merged with it."""
    return evaluation.upsert_records(services, message, caller)


def _list_records(services: Services, caller: Caller, message: wire.ListEvaluationRecords) -> Reply:
    """Give a page of records, in the order they came."""
    return evaluation.list_records(services, message, caller)


def _delete_records(services: Services, caller: Caller, message: wire.DeleteEvaluationRecords) -> Reply:
    """Delete records of a data set for evaluation."""
    return evaluation.delete_records(services, message, caller)


def _experiment_ids(services: Services, caller: Caller, message: wire.EvaluationDatasetId) -> Reply:
    """Give the experiments that share a data set for evaluation."""
    return evaluation.experiment_ids(services, message.dataset_id, caller)


def _add_experiments(services: Services, caller: Caller, message: wire.LinkEvaluationDataset) -> Reply:
    """Let more experiments share a data set for evaluation."""
    return {"dataset": evaluation.add_experiments(services, message, caller)}


def _remove_experiments(services: Services, caller: Caller, message: wire.LinkEvaluationDataset) -> Reply:
    """Let experiments share a data set for evaluation no more."""
    return {"dataset": evaluation.remove_experiments(services, message, caller)}


def _register_scorer(services: Services, caller: Caller, message: wire.RegisterScorer) -> Reply:
    """Keep a scorer's next version; it is never run here."""
    return scorers.register_scorer(services, message, caller)


def _list_scorers(services: Services, caller: Caller, message: wire.ListScorers) -> Reply:
    """Give the last version of each scorer."""
    return scorers.list_scorers(services, message, caller)


def _list_versions(services: Services, caller: Caller, message: wire.ScorerName) -> Reply:
    """Give all versions of a scorer."""
    return scorers.list_versions(services, message, caller)


def _get_scorer(services: Services, caller: Caller, message: wire.NamedScorer) -> Reply:
    """Give a version of a scorer, without one the last."""
    return scorers.get_scorer(services, message, caller)


def _delete_scorer(services: Services, caller: Caller, message: wire.NamedScorer) -> Reply:
    """Delete a version of a scorer, without one all of them."""
    scorers.delete_scorer(services, message, caller)
    return {}


def _online_configs(_services: Services, _caller: Caller, _message: wire.OnlineConfigs) -> Reply:
    """Say how scorers judge traces as they come in: none does, for the hub runs no scorer."""
    return {"configs": []}


TABLE: Table = {
    ("POST", "datasets/create"): (wire.CreateEvaluationDataset, _create),
    ("GET", "datasets/search"): (wire.SearchEvaluationDatasets, _search),
    ("POST", "datasets/search"): (wire.SearchEvaluationDatasets, _search),
    ("GET", "datasets/{dataset_id}"): (wire.EvaluationDatasetId, _get),
    ("DELETE", "datasets/{dataset_id}"): (wire.EvaluationDatasetId, _delete),
    ("PATCH", "datasets/{dataset_id}/tags"): (wire.SetEvaluationTags, _set_tags),
    ("DELETE", "datasets/{dataset_id}/tags/{key}"): (wire.DeleteEvaluationTag, _delete_tag),
    ("POST", "datasets/{dataset_id}/records"): (wire.UpsertEvaluationRecords, _upsert),
    ("GET", "datasets/{dataset_id}/records"): (wire.ListEvaluationRecords, _list_records),
    ("DELETE", "datasets/{dataset_id}/records"): (wire.DeleteEvaluationRecords, _delete_records),
    ("GET", "datasets/{dataset_id}/experiment-ids"): (wire.EvaluationDatasetId, _experiment_ids),
    ("POST", "datasets/{dataset_id}/add-experiments"): (wire.LinkEvaluationDataset, _add_experiments),
    ("POST", "datasets/{dataset_id}/remove-experiments"): (wire.LinkEvaluationDataset, _remove_experiments),
    ("POST", "scorers/register"): (wire.RegisterScorer, _register_scorer),
    ("GET", "scorers/list"): (wire.ListScorers, _list_scorers),
    ("GET", "scorers/versions"): (wire.ScorerName, _list_versions),
    ("GET", "scorers/get"): (wire.NamedScorer, _get_scorer),
    ("DELETE", "scorers/delete"): (wire.NamedScorer, _delete_scorer),
    ("GET", "scorers/online-configs"): (wire.OnlineConfigs, _online_configs),
}
