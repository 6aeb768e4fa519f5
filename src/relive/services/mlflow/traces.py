"""Traces, as MLflow's clients use them.

Source: mlflow.store.tracking.sqlalchemy_store, mlflow.server.handlers.
"""

import secrets
from collections.abc import Iterator, Sequence
from typing import Any, Final

import msgspec

from relive.core.access import Caller
from relive.core.trace import NAME_TAG, Trace, TraceState
from relive.services.accounts import require_reader
from relive.services.context import Services
from relive.services.mlflow import keys
from relive.services.mlflow.assessment_values import assessment_of
from relive.services.mlflow.experiments import check_active, get_experiment, location_of, tell
from relive.services.mlflow.faults import SEE_DOCS, invalid, invalid_value, missing, missing_value
from relive.services.mlflow.places import SCHEME
from relive.services.mlflow.rights import maker_name, may_change_all, require_maker
from relive.services.mlflow.runs import get_run
from relive.services.mlflow.trace_json import infos_json, infos_json_v2, span_json
from relive.services.mlflow.trace_numbers import expected_spans, numbers_of, tidy_metadata
from relive.services.mlflow.trace_times import duration_ms, milliseconds_of, stamp
from relive.services.trace_removal import TRACES_A_STEP, remove, steps
from relive.wire.mlflow import traces as wire

LOCATION_TAG: Final = "mlflow.artifactLocation"
SPANS_TAG: Final = "mlflow.trace.spansLocation"
SPANS_HERE: Final = "TRACKING_STORE"
FINAL_KEY: Final = "mlflow.trace.infoFinalized"
_LONGEST_NAME: Final = 4096
_LONGEST_PREVIEW: Final = 100_000
_FIXED_TAGS: Final = (SPANS_TAG, "mlflow.trace.archiveLocation", "mlflow.trace.archivalFailure")
_MOST_LINKS: Final = 100
# By the number that the protocol gives each; the older version's words differ in one.
_STATES: Final[dict[str | int, TraceState]] = {
    **{state.value: state for state in TraceState},
    "TRACE_STATUS_UNSPECIFIED": TraceState.UNSPECIFIED,
    0: TraceState.UNSPECIFIED,
    1: TraceState.OK,
    2: TraceState.ERROR,
    3: TraceState.IN_PROGRESS,
}


def start_trace(services: Services, message: wire.StartTrace, caller: Caller) -> dict[str, Any]:
    """Keep what is known of a trace, at its end; its spans may have come before.

    Raises:
        MlflowFault: It cannot be kept, or its experiment is not there or deleted.
        AccessDenied: It is another's.
    """
    if message.trace is None:
        raise invalid(missing_value("trace") + SEE_DOCS)
    info = message.trace.trace_info
    place = info.trace_location.mlflow_experiment
    if place is None or not place.experiment_id:
        raise invalid("Missing value for required parameter 'trace.trace_info.trace_location'.")
    if not info.trace_id:
        raise invalid("Missing value for required parameter 'trace.trace_info.trace_id'.")
    took = info.execution_duration
    trace = Trace(
        id=info.trace_id,
        experiment_id=place.experiment_id,
        started_ms=milliseconds_of(info.request_time, "request_time"),
        duration_ms=None if took is None else duration_ms(took, "execution_duration"),
        state=state_of(info.state),
        client_request_id=info.client_request_id,
        request_preview=info.request_preview[:_LONGEST_PREVIEW],
        response_preview=info.response_preview[:_LONGEST_PREVIEW],
        created_by=maker_name(caller),
    )
    metadata = info.trace_metadata | {FINAL_KEY: "true"}
    said = [assessment_of(services, each, trace.id) for each in info.assessments]
    with services.store.transaction():
        kept = _keep(services, trace, caller, dict(info.tags), metadata)
        for assessment in said:
            services.store.delete_assessment(kept.id, assessment.id)
            services.store.create_assessment(assessment)
    return infos_json(services, [kept])[0]


def start_trace_v2(services: Services, message: wire.StartTrace, caller: Caller) -> dict[str, Any]:
    """Begin a trace, as older clients do; raises as `start_trace`."""
    trace = Trace(
        id=secrets.token_hex(16),
        experiment_id=message.experiment_id,
        started_ms=message.timestamp_ms,
        state=TraceState.IN_PROGRESS,
        created_by=maker_name(caller),
    )
    stamp(trace.started_ms)
    tags, metadata = _dict(message.tags), _dict(message.request_metadata)
    with services.store.transaction():
        kept = _keep(services, trace, caller, tags, metadata)
    return infos_json_v2(services, [kept])[0]


def end_trace_v2(services: Services, message: wire.EndTraceV2, caller: Caller) -> dict[str, Any]:
    """End a trace, as older clients do; raises as `start_trace`, and if there is none."""
    trace = writable(services, message.request_id, caller)
    tags, metadata = _dict(message.tags), _dict(message.request_metadata)
    state, took = state_of(message.status), message.timestamp_ms - trace.started_ms
    _check_name(tags)
    with services.store.transaction():
        ended = services.store.set_trace(trace.id, state=state, duration_ms=took)
        write_pairs(services, trace.id, tags, metadata)
    return infos_json_v2(services, [ended])[0]


def get_info(services: Services, trace_id: str, caller: Caller) -> dict[str, Any]:
    """Give what is known of a trace, without its spans.

    Raises:
        MlflowFault: There is none.
        AccessDenied: A command asks for one of another project.
    """
    return infos_json(services, [readable(services, trace_id, caller)])[0]


def get_info_v2(services: Services, trace_id: str, caller: Caller) -> dict[str, Any]:
    """Give what is known of a trace in the older shape; raises as `get_info`."""
    return infos_json_v2(services, [readable(services, trace_id, caller)])[0]


def get_trace(services: Services, message: wire.GetTrace, caller: Caller) -> dict[str, Any]:
    """Give a trace with its spans.

    Raises:
        MlflowFault: There is none, or not all its spans are here yet and a part is not asked for.
        AccessDenied: A command asks for one of another project.
    """
    trace = readable(services, message.trace_id, caller, f"Trace with ID {message.trace_id} is not found.")
    found = _with_spans(services, [trace], partial=message.allow_partial)
    if not found:
        raise missing(f"Trace with ID {message.trace_id} is not fully exported yet, please try again later.")
    return found[0]


def list_traces(services: Services, message: wire.BatchGetTraces, caller: Caller) -> list[dict[str, Any]]:
    """Give traces with their spans; those that are not all here yet are left out."""
    return _with_spans(services, _asked(services, message, caller), partial=False)


def list_infos(services: Services, message: wire.BatchGetTraces, caller: Caller) -> list[dict[str, Any]]:
    """Give what is known of traces, without their spans."""
    return infos_json(services, _asked(services, message, caller))


def delete_traces(services: Services, message: wire.DeleteTraces, caller: Caller) -> int:
    """Delete traces of an experiment: those that are named, or those up to a time, the oldest first.

    Raises:
        MlflowFault: What is asked for contradicts itself.
        AccessDenied: One is another's; none is deleted.
    """
    _check_deletion(message)
    experiment = get_experiment(services, message.experiment_id, caller)
    folder = f"{location_of(experiment)}/traces".removeprefix(SCHEME).lstrip("/")
    n_deleted = 0
    for found in _doomed(services, message, experiment.id, caller):
        for some in steps(services, [trace.id for trace in found]):
            with services.store.transaction():
                gone = remove(services, some, folder)
                if gone:
                    tell(services, "traces.deleted", experiment, caller, count=gone)
            n_deleted += gone
    return n_deleted


def set_tag(services: Services, message: wire.SetTraceTag, caller: Caller) -> None:
    """Set a trace's tag.

    Raises:
        MlflowFault: It cannot be set, or there is no such trace.
        AccessDenied: It is another's.
    """
    if message.key in _FIXED_TAGS:
        raise invalid(f"Tag '{message.key}' is immutable and cannot be set on a trace.")
    keys.check_key(message.key, "key")
    keys.check_length("key", keys.LONGEST_KEY, message.key)
    tags = {message.key: message.value[: keys.LONGEST_TAG]}
    _check_name(tags)
    services.store.set_trace_tags(writable(services, message.trace_id, caller).id, tags)


def delete_tag(services: Services, message: wire.DeleteTraceTag, caller: Caller) -> None:
    """Take a trace's tag away; raises as `set_tag`, and if it is not there."""
    if message.key in _FIXED_TAGS[:2]:
        raise invalid(f"Tag '{message.key}' is immutable and cannot be deleted on a trace.")
    said = f"No trace tag with key '{message.key}' for trace with ID '{message.trace_id}'"
    trace = readable(services, message.trace_id, caller, said)
    require_maker(caller, trace.created_by, "change a trace")
    if not services.store.delete_trace_tag(trace.id, message.key):
        raise missing(said)


def link_to_run(services: Services, message: wire.LinkTraces, caller: Caller) -> None:
    """Link traces with a run; those that are not there are left out.

    Raises:
        MlflowFault: There is no such run, or there are too many traces.
    """
    count = len(message.trace_ids)
    if count > _MOST_LINKS:
        raise invalid(
            f"Cannot link more than {_MOST_LINKS} traces to a run in a single request. "
            f"Provided {count} traces."
        )
    run = get_run(services, message.run_id, caller)
    found = _all_readable(services, services.store.list_traces(message.trace_ids), caller)
    services.store.link_traces(run.id, [trace.id for trace in found])


def link_prompts(services: Services, message: wire.LinkPrompts, caller: Caller) -> None:
    """Link a trace with versions of prompts.

    Raises:
        MlflowFault: There is no such trace, or a version is no number.
    """
    for prompt in message.prompt_versions:
        if not prompt.version.isdecimal():
            raise invalid(invalid_value("prompt_versions", prompt.version))
    trace = writable(services, message.trace_id, caller)
    prompts = [f"{prompt.name}/{int(prompt.version)}" for prompt in message.prompt_versions]
    services.store.link_prompts(trace.id, prompts)


def readable(services: Services, trace_id: str, caller: Caller, said: str = "") -> Trace:
    """Give a trace that the caller may read.

    Raises:
        MlflowFault: There is none.
        AccessDenied: A command asks for one of another project.
    """
    trace = services.store.find_trace(trace_id)
    if trace is None:
        raise missing(said or f"Trace with ID '{trace_id}' not found.")
    require_reader(caller, services.store.get_experiment(trace.experiment_id).project_id)
    return trace


def writable(services: Services, trace_id: str, caller: Caller) -> Trace:
    """Give a trace that the caller may change; raises as `readable`, and if it is another's."""
    trace = readable(services, trace_id, caller)
    require_maker(caller, trace.created_by, "change a trace")
    return trace


def state_of(said: str | int) -> TraceState:
    """Read a state, which is a word or a number."""
    state = _STATES.get(int(said) if isinstance(said, str) and said.isdecimal() else said or 0)
    if state is None:
        raise invalid(invalid_value("state", said))
    return state


def spans_of(services: Services, trace_id: str, caller: Caller) -> str:
    """Give the spans of a trace as the file that clients download.

    Raises:
        MlflowFault: There is no such trace.
        AccessDenied: A command asks for one of another project.
    """
    trace = readable(services, trace_id, caller, f"Trace with ID {trace_id} is not found.")
    spans = services.store.list_spans([trace.id]).get(trace.id, [])
    return f'{{"spans":[{",".join(span.content for span in spans)}]}}'


def location_tag(services: Services, experiment_id: str, trace_id: str) -> str:
    """Give the address below which clients keep files of a trace."""
    experiment = services.store.get_experiment(experiment_id)
    return f"{location_of(experiment)}/traces/{trace_id}/artifacts"


def write_pairs(services: Services, trace_id: str, tags: dict[str, str], metadata: dict[str, str]) -> None:
    """Set tags and metadata, and the numbers that metadata says."""
    store = services.store
    store.set_trace_tags(trace_id, tags)
    store.set_trace_metadata(trace_id, tidy_metadata(metadata))
    store.set_trace_numbers(trace_id, numbers_of(metadata))


def _keep(
    services: Services, trace: Trace, caller: Caller, tags: dict[str, str], metadata: dict[str, str]
) -> Trace:
    """Keep a trace, new or not, with its tags and metadata."""
    experiment = get_experiment(services, trace.experiment_id, caller)
    check_active(experiment)
    _check_name(tags)
    keys.check_length("Session ID", keys.LONGEST_KEY, metadata.get("mlflow.trace.session", ""))
    trace = msgspec.structs.replace(trace, experiment_id=experiment.id)
    kept = services.store.create_trace(trace)
    if kept is None:
        earlier = writable(services, trace.id, caller)
        kept = services.store.set_trace(trace.id, **_over(earlier, trace))
    tags[LOCATION_TAG] = location_tag(services, experiment.id, trace.id)
    write_pairs(services, trace.id, tags, metadata)
    return kept


def _over(earlier: Trace, later: Trace) -> dict[str, Any]:
    """Give what a client's own word changes in what was known from spans."""
    changes = {
        field: getattr(later, field)
        for field in ("experiment_id", "started_ms", "duration_ms", "state", "client_request_id")
    }
    previews = {field: getattr(later, field) for field in ("request_preview", "response_preview")}
    return changes | {field: text for field, text in previews.items() if text}


def _with_spans(services: Services, traces: Sequence[Trace], *, partial: bool) -> list[dict[str, Any]]:
    ids = [trace.id for trace in traces]
    spans = services.store.list_spans(ids)
    found = []
    for trace, info in zip(traces, infos_json(services, traces), strict=True):
        its = spans.get(trace.id, [])
        if partial or (its and len(its) >= expected_spans(info.get("trace_metadata", {}))):
            written = {"spans": [span_json(span) for span in its]} if its else {}
            found.append({"trace_info": info} | written)
    return found


def _asked(services: Services, message: wire.BatchGetTraces, caller: Caller) -> Sequence[Trace]:
    found = _all_readable(services, services.store.list_traces(message.trace_ids), caller)
    within = message.experiment_ids
    return found if within is None else [trace for trace in found if trace.experiment_id in within]


def _all_readable(services: Services, traces: Sequence[Trace], caller: Caller) -> Sequence[Trace]:
    """Give traces, if the caller may read all of them."""
    for experiment_id in {trace.experiment_id for trace in traces}:
        require_reader(caller, services.store.get_experiment(experiment_id).project_id)
    return traces


def _doomed(
    services: Services, message: wire.DeleteTraces, experiment_id: str, caller: Caller
) -> Iterator[Sequence[Trace]]:
    """Give the traces to delete, some at a time; the next when those are gone."""
    store, up_to_ms, left = services.store, message.max_timestamp_millis, message.max_traces
    if up_to_ms is None:
        named = [it for it in store.list_traces(message.request_ids) if it.experiment_id == experiment_id]
        for trace in named:
            require_maker(caller, trace.created_by, "delete a trace")
        yield named
        return
    if not may_change_all(caller):
        for made_by in store.list_trace_makers(experiment_id, up_to_ms=up_to_ms, limit=left):
            require_maker(caller, made_by, "delete a trace")
    while left is None or left > 0:
        limit = TRACES_A_STEP if left is None else min(left, TRACES_A_STEP)
        found = store.list_old_traces(experiment_id, up_to_ms=up_to_ms, limit=limit)
        if not found:
            return
        yield found
        left = None if left is None else left - len(found)


def _check_deletion(message: wire.DeleteTraces) -> None:
    if message.max_timestamp_millis is None and not message.request_ids:
        raise invalid("Either `max_timestamp_millis` or `trace_ids` must be specified.")
    if message.max_timestamp_millis is not None and message.request_ids:
        raise invalid("Only one of `max_timestamp_millis` and `trace_ids` can be specified.")
    if message.request_ids and message.max_traces is not None:
        raise invalid("`max_traces` can't be specified if `trace_ids` is specified.")
    if message.max_traces is not None and message.max_traces <= 0:
        raise invalid(f"`max_traces` must be a positive integer, received {message.max_traces}.")


def _check_name(tags: dict[str, str]) -> None:
    keys.check_length("Trace name", _LONGEST_NAME, tags.get(NAME_TAG, ""))


def _dict(said: Sequence[Any]) -> dict[str, str]:
    return {pair.key: pair.value for pair in said}
