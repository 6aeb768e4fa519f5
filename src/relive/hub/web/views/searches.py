"""The page of a search for causes that has no answer yet: what it tries, and what it says meanwhile."""

import hashlib
from typing import Final

import msgspec

from relive.core.causes import AFTER_TAG, BEFORE_TAG
from relive.core.run import Run, RunStatus
from relive.hub.web.views.logs import read_piece
from relive.hub.web.views.run import RunHead, get_head
from relive.hub.web.views.runs import RunLine, run_lines
from relive.services.context import Services
from relive.services.differing import find_answer, list_trials

_MOST_SAID: Final = 200
# What a cancelled search still has to say comes with its next heartbeat.
_LAST_WORDS_S: Final = 60.0


class SearchTab(msgspec.Struct, frozen=True, kw_only=True):
    """A search for causes.

    Attributes:
        before: The run it starts from; `after` the one to arrive at.
        trials: Its runs, newest first; those that were known before are not among them.
        said: The last lines of its log.
        is_awaited: Whether an answer may still come.
        seen: Stands for all that the page shows.
    """

    head: RunHead
    before: str
    after: str
    trials: tuple[RunLine, ...]
    said: tuple[str, ...]
    is_awaited: bool
    seen: str


def find_search(services: Services, run_id: str) -> SearchTab | None:
    """Give the search that a run is; None if it is none, or has its answer.

    Raises:
        NotFound: There is no such run.
    """
    run = services.store.get_run(run_id)
    tags = services.store.list_tags([run.id]).get(run.id, {})
    if BEFORE_TAG not in tags or find_answer(services, run.id) is not None:
        return None
    trials = run_lines(services, list_trials(services, run))
    said = tuple(line.text for line in read_piece(services, run, 0).lines[-_MOST_SAID:])
    shown = repr((run.status, run.reason, said, [(it.id, it.mark) for it in trials]))
    return SearchTab(
        head=get_head(services, run.id),
        before=tags[BEFORE_TAG],
        after=tags.get(AFTER_TAG, ""),
        trials=trials,
        said=said,
        is_awaited=_is_awaited(services, run),
        seen=hashlib.blake2b(shown.encode(), digest_size=8).hexdigest(),
    )


def _is_awaited(services: Services, run: Run) -> bool:
    if run.status is RunStatus.KILLED:
        return services.store.now() - (run.ended_at or 0.0) < _LAST_WORDS_S
    return not run.status.is_final
