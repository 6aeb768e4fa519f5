"""What an export takes out of a hub, and an import brings to one: traces and data sets for evaluation, whole.

Ids stay: applications and people know them. What is here already is left as it is, so an import can be cut
off and done again.
"""

from collections.abc import Sequence

import msgspec

from relive.core.evaluation import EvaluationDataset, EvaluationRecord
from relive.core.project import Project
from relive.core.search import Field, Order, Side
from relive.core.stored_file import StoredFile
from relive.core.trace import Trace
from relive.errors import Conflict, InvalidInput, NotFound
from relive.ports.search import Search
from relive.services.context import Services
from relive.services.copy_checks import check_dataset, check_record, check_span, check_trace
from relive.services.mlflow.experiments import location_of
from relive.services.mlflow.places import SCHEME, safe_path
from relive.services.mlflow.traces import LOCATION_TAG, location_tag, write_pairs
from relive.services.trace_removal import SPANS_A_STEP
from relive.wire.copies import Brought, EvaluationCopy, TraceCopy, TraceFile

_TRACES_A_PAGE = 100
_NEWEST = (Order(Field(Side.ATTRIBUTE, "created_time"), ascending=False),)


def list_traces(services: Services, project: Project, *, after: str = "") -> tuple[list[TraceCopy], str]:
    """Give some traces of a project, the newest first, and where the next begin; empty at the end.

    Raises:
        InvalidInput: `after` is none that a page gave.
    """
    store = services.store
    experiments = {it.id: it for it in store.list_experiments(project.id)}
    page = store.search_traces(list(experiments), limit=_TRACES_A_PAGE, after=after)
    n_spans = store.count_spans([trace.id for trace in page.traces])
    total = 0
    for fitting, trace in enumerate(page.traces):
        total += n_spans.get(trace.id, 0)
        if fitting and total > SPANS_A_STEP:
            page = store.search_traces(list(experiments), limit=fitting, after=after)
            break
    return _copies(services, page.traces, {id_: it.name for id_, it in experiments.items()}), page.next


def bring_traces(services: Services, project: Project, copies: Sequence[TraceCopy]) -> Brought:
    """Keep traces in a project, all or none.

    Raises:
        InvalidInput: One cannot be kept: clients could not read it, or a blob of it is not in the store.
        Conflict: What was said of one has an id that is taken.
    """
    store, new, here = services.store, 0, 0
    elsewhere: list[str] = []
    _check_files(services, copies)
    with store.transaction():
        for copy in copies:
            check_trace(copy)
            found = store.find_trace(copy.trace.id)
            if found is None:
                _bring_trace(services, project, copy)
                new += 1
            elif store.get_experiment(found.experiment_id).project_id == project.id:
                _bring_spans(services, copy)
                here += 1
            else:
                elsewhere.append(copy.trace.id)
    return Brought(new, here, tuple(elsewhere))


def list_datasets(services: Services, project: Project) -> list[EvaluationCopy]:
    """Give the data sets for evaluation of a project, without their records."""
    store, found, after = services.store, list[EvaluationDataset](), ""
    is_last = False
    while not is_last:
        search = Search(orders=_NEWEST, project_id=project.id, limit=1000, after=after)
        page = store.search_evaluation_datasets(search)
        found += page.datasets
        after, is_last = page.next, not page.next
    ids = [dataset.id for dataset in found]
    tags, shared = store.list_evaluation_tags(ids), store.list_evaluation_experiments(ids)
    names = {it.id: it.name for it in store.list_experiments(project.id)}
    return [
        EvaluationCopy(
            dataset=dataset,
            tags=tags.get(dataset.id, {}),
            experiments=tuple(names[id_] for id_ in shared.get(dataset.id, ()) if id_ in names),
        )
        for dataset in found
    ]


def bring_dataset(services: Services, project: Project, copy: EvaluationCopy) -> Brought:
    """Keep a data set for evaluation in a project; its records come later.

    Raises:
        InvalidInput: It cannot be kept: its id is no name, or its fields are no JSON.
    """
    store, dataset = services.store, copy.dataset
    check_dataset(dataset)
    with store.transaction():
        try:
            found = store.get_evaluation_dataset(dataset.id)
        except NotFound:
            ids = [store.ensure_experiment(project.id, name).id for name in copy.experiments]
            kept = msgspec.structs.replace(dataset, project_id=project.id)
            store.create_evaluation_dataset(kept, tags=copy.tags, experiment_ids=ids)
            return Brought(new=1)
    return Brought(here=1) if found.project_id == project.id else Brought(elsewhere=(dataset.id,))


def bring_records(services: Services, dataset_id: str, records: Sequence[EvaluationRecord]) -> None:
    """Keep records of a data set, all or none; those that are there stay.

    Raises:
        NotFound: There is no such data set.
        InvalidInput: One is of another data set, or says what is no JSON.
        Conflict: Another record asks the same, or has its id.
    """
    store = services.store
    for record in records:
        if record.dataset_id != dataset_id:
            raise InvalidInput(field="data set of a record", value=record.dataset_id, wanted=dataset_id)
        check_record(record)
    with store.transaction():
        store.get_evaluation_dataset(dataset_id)
        there = store.find_evaluation_records(dataset_id, [it.input_digest for it in records])
        new = [it for it in records if it.input_digest not in there]
        for record in records:
            if there.get(record.input_digest, record).id != record.id:
                reason = f"another of its records asks what {record.id} asks"
                raise Conflict(subject=f"data set {dataset_id}", reason=reason)
        _check_ids(services, dataset_id, [it.id for it in new])
        store.keep_evaluation_records(new)


def _check_ids(services: Services, dataset_id: str, ids: Sequence[str]) -> None:
    """Refuse ids that other records have: these would be lost."""
    seen = services.store.name_evaluation_records(ids)
    for id_ in ids:
        if id_ in seen:
            raise Conflict(subject=f"data set {dataset_id}", reason=f"another record has the id {id_}")
        seen.add(id_)


def _copies(services: Services, traces: Sequence[Trace], names: dict[str, str]) -> list[TraceCopy]:
    store, ids = services.store, [trace.id for trace in traces]
    tags, metadata = store.list_trace_tags(ids), store.list_trace_metadata(ids)
    said, spans = store.list_assessments(ids), store.list_spans(ids)
    runs, prompts = store.list_trace_runs(ids), store.list_trace_prompts(ids)
    folders = {id_: _folder(services, id_) for id_ in {trace.experiment_id for trace in traces}}
    filled = {id_ for id_, folder in folders.items() if store.find_overlapping_file(folder) is not None}
    return [
        TraceCopy(
            trace=trace,
            experiment=names[trace.experiment_id],
            tags=tags.get(trace.id, {}),
            metadata=metadata.get(trace.id, {}),
            said=tuple(said.get(trace.id, ())),
            spans=tuple(spans.get(trace.id, ())),
            runs=tuple(runs.get(trace.id, ())),
            prompts=tuple(prompts.get(trace.id, ())),
            files=_files(services, f"{folders[trace.experiment_id]}/{trace.id}")
            if trace.experiment_id in filled
            else (),
        )
        for trace in traces
    ]


def _files(services: Services, folder: str) -> tuple[TraceFile, ...]:
    return tuple(
        TraceFile(path=it.path.removeprefix(f"{folder}/"), digest=it.digest, size_bytes=it.size_bytes)
        for it in services.store.list_files(folder)
    )


def _folder(services: Services, experiment_id: str) -> str:
    location = location_of(services.store.get_experiment(experiment_id))
    return f"{location}/traces".removeprefix(SCHEME).lstrip("/")


def _bring_trace(services: Services, project: Project, copy: TraceCopy) -> None:
    store = services.store
    experiment = store.ensure_experiment(project.id, copy.experiment)
    trace = store.create_trace(msgspec.structs.replace(copy.trace, experiment_id=experiment.id))
    assert trace is not None  # it was not there, and this is one transaction
    tags = dict(copy.tags)
    if LOCATION_TAG in tags:
        tags[LOCATION_TAG] = location_tag(services, experiment.id, trace.id)
    write_pairs(services, trace.id, tags, dict(copy.metadata))
    _bring_spans(services, copy)
    for said in copy.said:
        store.create_assessment(msgspec.structs.replace(said, trace_id=trace.id))
    for run_id in copy.runs:
        run = store.find_run(run_id)
        if run is not None and run.project_id == project.id:
            store.link_traces(run.id, [trace.id])
    store.link_prompts(trace.id, copy.prompts)
    folder = _folder(services, experiment.id)
    for file in copy.files:
        path = f"{safe_path(f'{folder}/{trace.id}')}/{safe_path(file.path)}"
        store.record_file(StoredFile(path=path, digest=file.digest, size_bytes=file.size_bytes))


def _bring_spans(services: Services, copy: TraceCopy) -> None:
    """Keep the spans that are not there: those of a large trace come in several messages."""
    there = services.store.name_spans(copy.trace.id, [span.id for span in copy.spans])
    new = [span for span in copy.spans if span.id not in there]
    for span in new:
        check_span(span)
    services.store.record_spans([msgspec.structs.replace(span, trace_id=copy.trace.id) for span in new])


def _check_files(services: Services, copies: Sequence[TraceCopy]) -> None:
    digests = sorted({file.digest for copy in copies for file in copy.files})
    for digest in services.blobs.missing(digests):
        raise InvalidInput(field="file of a trace", value=digest, wanted="a blob that is in the store")
