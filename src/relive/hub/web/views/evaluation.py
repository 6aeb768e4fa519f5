"""Data sets for evaluation and scorers: the list of a project's, and the records of one data set."""

import json
from typing import Any

import msgspec

from relive.core.evaluation import EvaluationDataset, EvaluationRecord, ScorerVersion
from relive.core.project import Experiment, Project
from relive.core.search import Comparison, Field, Order, Side, filter_text
from relive.errors import NotFound
from relive.hub.web.words import clip
from relive.ports.search import Search
from relive.services.context import Services

_NEWEST = (Order(Field(Side.ATTRIBUTE, "created_time"), ascending=False),)
_DATASETS = 100
_RECORDS = 50
_LONGEST_VALUE = 300
# What a scorer is made from, by the part of its text that says so.
_KINDS = {
    "instructions_judge_pydantic_data": "judge",
    "builtin_scorer_class": "built-in",
    "third_party_scorer_data": "third party",
    "memory_augmented_judge_data": "judge with memory",
    "ensemble_scorer_data": "ensemble",
}


class ExperimentLink(msgspec.Struct, frozen=True, kw_only=True):
    """An experiment; `query` finds its runs, on the page of the project's runs."""

    name: str
    project: str
    query: str


class DatasetLine(msgspec.Struct, frozen=True, kw_only=True):
    """A data set in one row; `fields` are the names of its inputs."""

    id: str
    name: str
    records: int
    fields: tuple[str, ...]
    experiments: tuple[ExperimentLink, ...]
    tags: tuple[tuple[str, str], ...]
    author: str
    at: float


class ScorerLine(msgspec.Struct, frozen=True, kw_only=True):
    """The last version of a scorer in one row."""

    name: str
    version: int
    kind: str
    experiment: ExperimentLink
    at: float


class EvaluationPage(msgspec.Struct, frozen=True, kw_only=True):
    """What a project's answers are judged by; `next` is where older data sets begin, empty at the end."""

    project: str
    address: str
    datasets: tuple[DatasetLine, ...]
    next: str
    is_first: bool
    scorers: tuple[ScorerLine, ...]


class RecordLine(msgspec.Struct, frozen=True, kw_only=True):
    """A record, each of its parts as names and values."""

    number: int
    inputs: tuple[tuple[str, str], ...]
    outputs: tuple[tuple[str, str], ...]
    expectations: tuple[tuple[str, str], ...]
    tags: tuple[tuple[str, str], ...]
    source: str
    trace_id: str
    at: float


class DatasetPage(msgspec.Struct, frozen=True, kw_only=True):
    """A data set and some of its records; `next` is the number behind which more begin, 0 at the end."""

    project: str
    line: DatasetLine
    digest: str
    schema: tuple[tuple[str, tuple[tuple[str, str], ...]], ...]
    records: tuple[RecordLine, ...]
    next: int
    after: int


def list_datasets(services: Services, name: str, *, after: str = "") -> EvaluationPage:
    """Give a page of a project's data sets, the newest first, and its scorers.

    Raises:
        NotFound: There is no such project.
        InvalidInput: `after` is none that a page gave.
    """
    store = services.store
    project = store.get_project(name)
    search = Search(orders=_NEWEST, project_id=project.id, limit=_DATASETS, after=after)
    page = store.search_evaluation_datasets(search)
    own = {experiment.id: experiment for experiment in store.list_experiments(project.id)}
    scorers = () if after else store.list_scorers(list(own))
    return EvaluationPage(
        project=project.name,
        address=services.place.public_url,
        datasets=_lines(services, page.datasets),
        next=page.next,
        is_first=not after,
        scorers=tuple(_scorer(it, _link(own[it.experiment_id], project)) for it in scorers),
    )


def get_dataset(services: Services, name: str, dataset_id: str, *, after: int = 0) -> DatasetPage:
    """Give a data set with the records behind a number.

    Raises:
        NotFound: There is no such project, or it has no such data set.
    """
    store = services.store
    project, dataset = store.get_project(name), store.get_evaluation_dataset(dataset_id)
    if dataset.project_id != project.id:
        raise NotFound(kind="evaluation data set", name=dataset_id)
    found = store.list_evaluation_records(dataset.id, after=after, limit=_RECORDS + 1)
    records = found[:_RECORDS]
    schema = json.loads(dataset.schema or "{}")
    return DatasetPage(
        project=project.name,
        line=_lines(services, [dataset])[0],
        digest=dataset.digest,
        schema=tuple((side, _pairs(schema[side])) for side in ("inputs", "expectations") if schema.get(side)),
        records=tuple(_record(record) for record in records),
        next=records[-1].number if len(found) > len(records) else 0,
        after=after,
    )


def _lines(services: Services, datasets: Any) -> tuple[DatasetLine, ...]:
    store, ids = services.store, [dataset.id for dataset in datasets]
    tags, shared = store.list_evaluation_tags(ids), store.list_evaluation_experiments(ids)
    experiments = {id_: store.get_experiment(id_) for some in shared.values() for id_ in some}
    projects = {it.project_id: store.get_project(it.project_id) for it in experiments.values()}
    links = {id_: _link(it, projects[it.project_id]) for id_, it in experiments.items()}
    return tuple(
        _line(dataset, tags.get(dataset.id, {}), tuple(links[id_] for id_ in shared.get(dataset.id, ())))
        for dataset in datasets
    )


def _line(
    dataset: EvaluationDataset, tags: dict[str, str], experiments: tuple[ExperimentLink, ...]
) -> DatasetLine:
    schema = json.loads(dataset.schema or "{}")
    return DatasetLine(
        id=dataset.id,
        name=dataset.name,
        records=dataset.records,
        fields=tuple(schema.get("inputs") or ()),
        experiments=experiments,
        tags=tuple(_said(tags).items()),
        author=dataset.author or dataset.created_by,
        at=dataset.updated_at,
    )


def _link(experiment: Experiment, project: Project) -> ExperimentLink:
    of_it = Comparison(Field(Side.ATTRIBUTE, "experiment"), "=", experiment.name)
    return ExperimentLink(name=experiment.name, project=project.name, query=filter_text(of_it))


def _scorer(scorer: ScorerVersion, experiment: ExperimentLink) -> ScorerLine:
    body = json.loads(scorer.body)
    kind = next((word for part, word in _KINDS.items() if body.get(part)), "other")
    return ScorerLine(
        name=scorer.name, version=scorer.version, kind=kind, experiment=experiment, at=scorer.created_at
    )


def _record(record: EvaluationRecord) -> RecordLine:
    source = json.loads(record.source) if record.source else {}
    kind = source.get("source_type", "")
    trace_id = source.get("source_data", {}).get("trace_id", "") if kind == "TRACE" else ""
    return RecordLine(
        number=record.number,
        inputs=_pairs(json.loads(record.inputs)),
        outputs=_pairs(json.loads(record.outputs or "{}")),
        expectations=_pairs(json.loads(record.expectations or "{}")),
        tags=_pairs(_said(json.loads(record.tags or "{}"))),
        source=kind.lower(),
        trace_id=trace_id if isinstance(trace_id, str) else "",
        at=record.updated_at,
    )


def _said(tags: dict[str, Any]) -> dict[str, Any]:
    """Leave out what clients add by themselves: who it was stands in its own place."""
    return {key: value for key, value in tags.items() if not key.startswith("mlflow.")}


def _pairs(value: Any) -> tuple[tuple[str, str], ...]:
    """Give names and values as a person reads them; what has no names has the empty one."""
    items = value.items() if isinstance(value, dict) else [("", value)]
    return tuple((_shown(key), _shown(part)) for key, part in items)


def _shown(value: Any) -> str:
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    # A lone surrogate, which JSON can hold and a page cannot.
    return clip(text.encode(errors="replace").decode(), _LONGEST_VALUE)
