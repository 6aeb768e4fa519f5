"""Data sets for evaluation, as MLflow's clients use them.

Source: mlflow.store.tracking.sqlalchemy_store, mlflow.server.handlers.
"""

import base64
import binascii
import hashlib
import json
from collections.abc import Sequence
from typing import Any, Final

from relive.core.access import Caller
from relive.core.evaluation import EvaluationDataset, EvaluationRecord
from relive.core.event import Event
from relive.core.search import Field, Order, Side
from relive.core.search_grammars import EVALUATION_DATASETS
from relive.core.search_parser import parse_filter, parse_orders
from relive.errors import NotFound
from relive.ports.search import Search
from relive.services.accounts import require_reader
from relive.services.context import Services
from relive.services.ids import new_id
from relive.services.mlflow.evaluation_records import (
    digest_of,
    grown_schema,
    merged,
    new_record,
    read_json,
    read_records,
    record_json,
    user_of,
)
from relive.services.mlflow.experiments import PROJECT, get_experiment, own_project
from relive.services.mlflow.faults import MlflowFault, invalid, missing
from relive.services.mlflow.rights import maker_name, require_maker
from relive.services.mlflow.search import MOST, told_of_tokens
from relive.services.mlflow.values import milliseconds
from relive.services.projects import find_or_create
from relive.wire.mlflow import evaluation as wire

_NEWEST: Final = (Order(Field(Side.ATTRIBUTE, "created_time"), ascending=False),)
_NOT_FOUND: Final = "Evaluation dataset with id '{}' not found"
_PAGE: Final = 1000


def create_dataset(
    services: Services, message: wire.CreateEvaluationDataset, caller: Caller
) -> dict[str, Any]:
    """Make a data set without records.

    Raises:
        MlflowFault: The tags are none, or there is no such experiment.
        AccessDenied: A command names an experiment of another project.
    """
    tags = _tags(message.tags) if message.tags else {}
    experiments = [get_experiment(services, id_, caller) for id_ in dict.fromkeys(message.experiment_ids)]
    project_id = own_project(caller) or (experiments[0].project_id if experiments else "")
    now, store = services.store.now(), services.store
    made = store.create_evaluation_dataset(
        EvaluationDataset(
            id=f"d-{new_id()}",
            project_id=project_id or find_or_create(services, PROJECT, by=caller.name).id,
            name=message.name,
            digest=_digest(message.name, now),
            author=user_of(tags),
            last_author=user_of(tags),
            created_by=maker_name(caller),
            created_at=now,
        ),
        tags=tags,
        experiment_ids=[experiment.id for experiment in experiments],
    )
    shared = store.list_evaluation_experiments([made.id]).get(made.id, [])
    return _jsons(services, [made])[0] | ({"experiment_ids": shared} if shared else {})


def get_dataset(services: Services, dataset_id: str, caller: Caller) -> dict[str, Any]:
    """Give a data set without its records.

    Raises:
        MlflowFault: There is none.
        AccessDenied: A command asks for one of another project.
    """
    return _jsons(services, [_found(services, dataset_id, caller)])[0]


def delete_dataset(services: Services, dataset_id: str, caller: Caller) -> None:
    """Delete a data set with its records; one that is not there is no error.

    Raises:
        AccessDenied: It is another's.
    """
    if (dataset := _find(services, dataset_id, caller)) is not None:
        require_maker(caller, dataset.created_by, "delete an evaluation data set")
        store = services.store
        with store.transaction():
            store.delete_evaluation_dataset(dataset.id)
            store.record_event(
                Event(
                    kind="evaluation_dataset.deleted",
                    actor=caller.name,
                    subject=f"evaluation_dataset:{dataset.id}",
                    project=store.get_project(dataset.project_id).name,
                    facts={"name": dataset.name, "records": dataset.records},
                )
            )


def search_datasets(
    services: Services, message: wire.SearchEvaluationDatasets, caller: Caller
) -> dict[str, Any]:
    """Give a page of data sets, the newest first unless another order is asked for.

    Raises:
        MlflowFault: A page that cannot be given.
        InvalidFilter: The filter or the order cannot be read.
    """
    _check_page(message.max_results, MOST)
    search = Search(
        condition=parse_filter(message.filter_string, EVALUATION_DATASETS),
        orders=parse_orders(message.order_by, EVALUATION_DATASETS) or _NEWEST,
        project_id=own_project(caller),
        experiment_ids=_default_among(services, message.experiment_ids, caller) or None,
        limit=message.max_results,
        after=message.page_token,
    )
    with told_of_tokens():
        page = services.store.search_evaluation_datasets(search)
    found = {"datasets": _jsons(services, page.datasets)} if page.datasets else {}
    return found | ({"next_page_token": page.next} if page.next else {})


def set_tags(services: Services, message: wire.SetEvaluationTags, caller: Caller) -> None:
    """Set tags; a value of null is passed over.

    Raises:
        MlflowFault: They are no object of tags, or there is no such data set.
        AccessDenied: It is another's.
    """
    tags = _tags(message.tags)
    text = "Could not find evaluation dataset with ID {}"
    services.store.set_evaluation_tags(_writable(services, message.dataset_id, caller, text).id, tags)


def delete_tag(services: Services, message: wire.DeleteEvaluationTag, caller: Caller) -> None:
    """Take a tag away; if there is none, nothing happens."""
    if (dataset := _find(services, message.dataset_id, caller)) is not None:
        require_maker(caller, dataset.created_by, "change an evaluation data set")
        services.store.delete_evaluation_tag(dataset.id, message.key)


def upsert_records(
    services: Services, message: wire.UpsertEvaluationRecords, caller: Caller
) -> dict[str, int]:
    """Keep records, all or none; those that ask what is asked already are merged.

    Raises:
        MlflowFault: One is no record, or there is no such data set.
        AccessDenied: It is another's.
    """
    given = [(digest_of(record), record) for record in read_records(message.records)]
    store = services.store
    with store.transaction():
        dataset = _writable(services, message.dataset_id, caller)
        now, before = store.now(), store.find_evaluation_records(dataset.id, [digest for digest, _ in given])
        kept: dict[str, EvaluationRecord] = dict(before)
        for digest, record in given:
            if digest in kept:
                kept[digest] = merged(kept[digest], record, now)
            else:
                kept[digest] = new_record(dataset.id, record, digest, now)
        inserted = len(kept) - len(before)
        store.keep_evaluation_records(list(kept.values()))
        users = [user for _, record in given if (user := user_of(record.get("tags")))]
        store.set_evaluation_dataset(
            dataset.id,
            schema=grown_schema(dataset.schema, [record for _, record in given]),
            records=dataset.records + inserted,
            digest=_digest(dataset.name, now),
            last_author=users[-1] if users else "",
            updated_at=now,
        )
    return {"inserted_count": inserted, "updated_count": len(given) - inserted}


def list_records(services: Services, message: wire.ListEvaluationRecords, caller: Caller) -> dict[str, Any]:
    """Give a page of records, in the order they came; a data set that is not there has none.

    Raises:
        MlflowFault: There is no such page.
        AccessDenied: A command asks for those of another project.
    """
    _check_page(message.max_results or _PAGE, None)
    after, limit = _number(message.page_token), min(message.max_results or _PAGE, MOST)
    if _find(services, message.dataset_id, caller) is None:
        return {"records": "[]"}
    found = services.store.list_evaluation_records(message.dataset_id, after=after, limit=limit + 1)
    records = json.dumps([record_json(record) for record in found[:limit]])
    if len(found) <= limit:
        return {"records": records}
    return {"records": records, "next_page_token": _token(found[limit - 1].number)}


def delete_records(
    services: Services, message: wire.DeleteEvaluationRecords, caller: Caller
) -> dict[str, int]:
    """Delete records; those that are not there are passed over.

    Raises:
        AccessDenied: The data set is another's.
    """
    store = services.store
    with store.transaction():
        dataset = _find(services, message.dataset_id, caller)
        if dataset is None:
            return {"deleted_count": 0}
        require_maker(caller, dataset.created_by, "change an evaluation data set")
        gone = store.delete_evaluation_records(dataset.id, message.dataset_record_ids)
        if gone:
            store.set_evaluation_dataset(dataset.id, records=dataset.records - gone)
    return {"deleted_count": gone}


def experiment_ids(services: Services, dataset_id: str, caller: Caller) -> dict[str, list[str]]:
    """Give the experiments that share a data set; none if it is not there."""
    if _find(services, dataset_id, caller) is None:
        return {}
    shared = services.store.list_evaluation_experiments([dataset_id]).get(dataset_id, [])
    return {"experiment_ids": shared} if shared else {}


def add_experiments(
    services: Services, message: wire.LinkEvaluationDataset, caller: Caller
) -> dict[str, Any]:
    """Let more experiments share a data set, all or none.

    Raises:
        MlflowFault: There is no such data set, or no such experiment.
        AccessDenied: It is another's.
    """
    dataset = _writable(services, message.dataset_id, caller, "Dataset '{}' not found")
    ids = [_experiment(services, id_, caller) for id_ in message.experiment_ids]
    store = services.store
    with store.transaction():
        store.link_evaluation_dataset(dataset.id, ids)
        changed = store.set_evaluation_dataset(dataset.id, updated_at=store.now())
    return _jsons(services, [changed])[0]


def remove_experiments(
    services: Services, message: wire.LinkEvaluationDataset, caller: Caller
) -> dict[str, Any]:
    """Let experiments share a data set no more; those that did not are passed over.

    Raises:
        MlflowFault: There is no such data set.
        AccessDenied: It is another's.
    """
    dataset = _writable(services, message.dataset_id, caller, "Dataset '{}' not found")
    ids, store = _default_among(services, message.experiment_ids, caller), services.store
    with store.transaction():
        if store.unlink_evaluation_dataset(dataset.id, ids):
            dataset = store.set_evaluation_dataset(dataset.id, updated_at=store.now())
    return _jsons(services, [dataset])[0]


def _find(services: Services, dataset_id: str, caller: Caller) -> EvaluationDataset | None:
    try:
        dataset = services.store.get_evaluation_dataset(dataset_id)
    except NotFound:
        return None
    require_reader(caller, dataset.project_id)
    return dataset


def _found(
    services: Services, dataset_id: str, caller: Caller, absent: str = _NOT_FOUND
) -> EvaluationDataset:
    dataset = _find(services, dataset_id, caller)
    if dataset is None:
        raise missing(absent.format(dataset_id))
    return dataset


def _writable(
    services: Services, dataset_id: str, caller: Caller, absent: str = _NOT_FOUND
) -> EvaluationDataset:
    dataset = _found(services, dataset_id, caller, absent)
    require_maker(caller, dataset.created_by, "change an evaluation data set")
    return dataset


def _experiment(services: Services, experiment_id: str, caller: Caller) -> str:
    """Give an experiment's own id; one that is not there is told of in fewer words than elsewhere."""
    try:
        return get_experiment(services, experiment_id, caller).id
    except MlflowFault:
        raise missing(f"No Experiment with id={experiment_id}") from None


def _default_among(services: Services, ids: Sequence[str], caller: Caller) -> tuple[str, ...]:
    """Give the experiments' own ids: clients call the default one "0"."""
    return tuple(get_experiment(services, "0", caller).id if id_ == "0" else id_ for id_ in ids)


def _tags(text: str) -> dict[str, str]:
    given = read_json(text, "tags")
    if given is None:
        return {}
    if not isinstance(given, dict):
        raise invalid("Invalid value for parameter 'tags' supplied: it must be an object.")
    return {key: str(value) for key, value in given.items() if value is not None}


def _digest(name: str, at: float) -> str:
    text = f"{name}:{milliseconds(at)}".encode(errors="surrogatepass")
    return hashlib.sha256(text).hexdigest()[:8]


def _check_page(limit: int, most: int | None) -> None:
    if limit < 1 or (most is not None and limit > most):
        wanted = "It must be a positive integer" if limit < 1 else f"It must be at most {most}"
        # As in MLflow, whose handler takes zero for nothing.
        raise invalid(f"Invalid value {limit or None} for parameter 'max_results' supplied. {wanted}")


def _token(number: int) -> str:
    return base64.b64encode(f"{number}:".encode()).decode()


def _number(token: str) -> int:
    """Give the number of the record that the page before ended with."""
    try:
        number = base64.b64decode(token, validate=True).decode().removesuffix(":")
    except (binascii.Error, ValueError):
        number = "none"
    if token and not (number.isdecimal() and len(number) < 19):
        raise invalid("Invalid page token, could not base64-decode")
    return int(number or 0)


def _jsons(services: Services, datasets: Sequence[EvaluationDataset]) -> list[dict[str, Any]]:
    tags = services.store.list_evaluation_tags([dataset.id for dataset in datasets])
    return [_json(dataset, tags.get(dataset.id, {})) for dataset in datasets]


def _json(dataset: EvaluationDataset, tags: dict[str, str]) -> dict[str, Any]:
    optional = {
        "schema": dataset.schema,
        "profile": _profile(dataset),
        "created_by": dataset.author,
        "last_updated_by": dataset.last_author,
    }
    return {
        "dataset_id": dataset.id,
        "name": dataset.name,
        "tags": json.dumps(tags),
        "digest": dataset.digest,
        "created_time": milliseconds(dataset.created_at),
        "last_update_time": milliseconds(dataset.updated_at),
    } | {name: text for name, text in optional.items() if text}


def _profile(dataset: EvaluationDataset) -> str:
    if dataset.records:
        return json.dumps({"num_records": dataset.records})
    return "null" if dataset.schema else ""
