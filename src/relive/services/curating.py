"""What people do to runs that are there: notes, tags, putting many aside and taking them back."""

from collections.abc import Sequence
from typing import Final

from relive.core.access import Caller
from relive.core.event import Event
from relive.core.ids import short_id
from relive.core.run import Run
from relive.errors import Conflict, InvalidInput
from relive.services.context import Services
from relive.services.runs import may_write

NOTE: Final = "mlflow.note.content"
"""The tag that holds a run's note, in Markdown; MLflow's pages show the same."""
MOST_RUNS: Final = 1000
_LONGEST_NOTE: Final = 20_000
_LONGEST_KEY, _LONGEST_VALUE = 250, 5000


def set_note(services: Services, run_id: str, text: str, caller: Caller, *, seen: str | None = None) -> Run:
    """Write a run's note; an empty one is taken away.

    Args:
        services: The hub's.
        run_id: Whose note.
        text: Markdown.
        caller: Who writes it.
        seen: The note that they changed; None if they did not look.

    Raises:
        AccessDenied: The run is another's.
        InvalidInput: The note is too long.
        Conflict: Somebody else has changed it since.
    """
    text = text.replace("\r\n", "\n").strip()
    if len(text) > _LONGEST_NOTE:
        wanted = f"at most {_LONGEST_NOTE} characters; longer text is better kept as an artifact"
        raise InvalidInput(field="note", value=f"{len(text)} characters", wanted=wanted)
    store = services.store
    with store.transaction():
        run = may_write(services, caller, run_id)
        kept = store.list_tags([run.id]).get(run.id, {}).get(NOTE, "")
        # The same text is a form that was sent twice.
        if seen is not None and kept.strip() not in (seen.replace("\r\n", "\n").strip(), text):
            raise Conflict(
                subject=f"the note of run {short_id(run.id)}", reason="somebody else has changed it since"
            )
        if text:
            store.set_tags(run.id, {NOTE: text})
        elif kept:
            store.delete_tag(run.id, NOTE)
    return run


def set_tag(services: Services, run_ids: Sequence[str], key: str, value: str, caller: Caller) -> int:
    """Set a tag on runs, all or none; an empty value takes it away. Gives how many runs.

    Raises:
        AccessDenied: One of them is another's.
        InvalidInput: There is no key, or one is too long.
    """
    if not 0 < len(key) <= _LONGEST_KEY:
        raise InvalidInput(field="key of the tag", value=key[:40], wanted=f"1 to {_LONGEST_KEY} characters")
    if len(value) > _LONGEST_VALUE:
        raise InvalidInput(
            field="value of the tag", value=f"{len(value)} characters", wanted=f"at most {_LONGEST_VALUE}"
        )
    with services.store.transaction():
        found = _own(services, run_ids, caller)
        for run in found:
            if value:
                services.store.set_tags(run.id, {key: value})
            else:
                services.store.delete_tag(run.id, key)
    return len(found)


def delete_runs(services: Services, run_ids: Sequence[str], caller: Caller) -> int:
    """Put runs aside, all or none: they are in no list, and can be restored. Gives how many.

    Raises:
        AccessDenied: One of them is another's.
        Conflict: One of them still goes on.
    """
    with services.store.transaction():
        found = [run for run in _own(services, run_ids, caller) if run.deleted_at is None]
        for run in found:
            if not run.status.is_final:
                raise Conflict(subject=f"run {short_id(run.id)}", reason="it still goes on: cancel it first")
            services.store.set_run(run.id, deleted_at=services.store.now())
            _tell(services, "run.deleted", run, caller)
    return len(found)


def restore_runs(services: Services, run_ids: Sequence[str], caller: Caller) -> int:
    """Take deleted runs back, all or none. Gives how many.

    Raises:
        AccessDenied: One of them is another's.
    """
    with services.store.transaction():
        found = [run for run in _own(services, run_ids, caller) if run.deleted_at is not None]
        for run in found:
            services.store.set_run(run.id, deleted_at=None)
            _tell(services, "run.restored", run, caller)
    return len(found)


def _own(services: Services, run_ids: Sequence[str], caller: Caller) -> list[Run]:
    wanted = list(dict.fromkeys(run_ids))
    if not 0 < len(wanted) <= MOST_RUNS:
        raise InvalidInput(field="runs", value=f"{len(wanted)} runs", wanted=f"1 to {MOST_RUNS} of them")
    return [may_write(services, caller, run_id) for run_id in wanted]


def _tell(services: Services, kind: str, run: Run, caller: Caller) -> None:
    project = services.store.get_project(run.project_id).name
    services.record(
        Event(
            kind=kind, actor=caller.name, subject=f"run:{run.id}", project=project, facts={"name": run.name}
        )
    )
