"""Traces of applications as people and programs read them; MLflow's clients have `services.mlflow.traces`."""

from collections.abc import Sequence

from relive.core.project import Experiment
from relive.core.trace import NAME_TAG, Trace
from relive.core.trace_filter import parse_trace_filter
from relive.errors import NotFound
from relive.services.context import Services
from relive.wire.traces import TraceDetail, TraceItem


def list_traces(
    services: Services,
    *,
    project_id: str,
    experiment: str = "",
    filter_text: str = "",
    limit: int,
    after: str = "",
) -> tuple[list[TraceItem], str]:
    """Give traces, the newest first, and where the next page begins; empty at the end.

    Args:
        services: The hub's.
        project_id: Whose; empty for those of all projects.
        experiment: Only those of the experiments with this name or id; empty for all.
        filter_text: In the language of `core.trace_filter`; empty for all.
        limit: How many at most.
        after: Where the page before ended, as it said; empty for the first page.

    Raises:
        NotFound: There is no such experiment.
        InvalidFilter: The filter cannot be read; says at which character.
        InvalidInput: `after` is none.
    """
    condition, store = parse_trace_filter(filter_text), services.store
    known = store.list_experiments(project_id or None)
    asked = [it for it in known if experiment in ("", it.name, it.id)]
    if experiment and not asked:
        raise NotFound(kind="experiment", name=experiment)
    ids = [it.id for it in asked]
    page = store.search_traces(ids, condition, limit=limit, after=after)
    return _items(services, page.traces, asked), page.next


def find_trace(services: Services, trace_id: str) -> tuple[Trace, Experiment]:
    """Give a trace by its whole id, and where it is.

    Raises:
        NotFound: There is none.
    """
    found = services.store.find_trace(trace_id)
    if found is None:
        raise NotFound(kind="trace", name=trace_id, hint="relive traces list")
    return found, services.store.get_experiment(found.experiment_id)


def get_detail(services: Services, trace: Trace, experiment: Experiment) -> TraceDetail:
    """Give a trace with its spans."""
    (item,) = _items(services, [trace], [experiment])
    return TraceDetail(
        item=item,
        url=f"{services.place.public_url}/p/{item.project}/traces/{trace.id}",
        spans=tuple(services.store.list_spans([trace.id]).get(trace.id, ())),
    )


def _items(services: Services, traces: Sequence[Trace], experiments: Sequence[Experiment]) -> list[TraceItem]:
    store, ids = services.store, [trace.id for trace in traces]
    tags, metadata = store.list_trace_tags(ids), store.list_trace_metadata(ids)
    n_spans, said = store.count_spans(ids), store.list_assessments(ids)
    places = {it.id: it for it in experiments}
    owners = {places[trace.experiment_id].project_id for trace in traces}
    projects = {project_id: store.get_project(project_id).name for project_id in owners}
    return [
        TraceItem(
            trace=trace,
            project=projects[places[trace.experiment_id].project_id],
            experiment=places[trace.experiment_id].name,
            name=tags.get(trace.id, {}).get(NAME_TAG, ""),
            n_spans=n_spans.get(trace.id, 0),
            tags=tags.get(trace.id, {}),
            metadata=metadata.get(trace.id, {}),
            said=tuple(said.get(trace.id, ())),
        )
        for trace in traces
    ]
