"""What services ask of the store of traces; its promises are those of `ports.stores`.

What belongs to a trace (tags, metadata, numbers, spans, assessments, links) goes with it.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Protocol

import msgspec

from relive.core.search import Condition, Order
from relive.core.trace import Assessment, Span, Trace, Usage
from relive.core.trace_samples import Sample, Samples


class TracePage(msgspec.Struct, frozen=True):
    """Some traces; `next` continues behind them, empty at the end."""

    traces: tuple[Trace, ...]
    next: str = ""


class SpanPage(msgspec.Struct, frozen=True):
    """Some spans of a trace; `next` continues behind them, empty at the end."""

    spans: tuple[Span, ...]
    next: str = ""


class TraceStore(Protocol):
    """Traces, and what is written beside them."""

    def create_trace(self, trace: Trace) -> Trace | None:
        """Keep a new trace; None if there is one with this id."""
        ...

    def find_trace(self, trace_id: str) -> Trace | None: ...
    def list_traces(self, trace_ids: Sequence[str]) -> list[Trace]:
        """Give many at once, in the order asked; those that are not there are left out."""
        ...

    def set_trace(self, trace_id: str, **changes: Any) -> Trace:
        """Change anything but `id` and `created_by`."""
        ...

    def list_old_traces(self, experiment_id: str, *, up_to_ms: int, limit: int | None) -> list[Trace]:
        """Give the traces of an experiment that began no later than that, the oldest first."""
        ...

    def list_trace_makers(self, experiment_id: str, *, up_to_ms: int, limit: int | None) -> set[str]:
        """Name who made those traces: `created_by` of each."""
        ...

    def delete_traces(self, trace_ids: Sequence[str]) -> int:
        """Delete traces with all that is theirs; gives how many there were."""
        ...

    def set_trace_tags(self, trace_id: str, tags: Mapping[str, str]) -> None: ...
    def delete_trace_tag(self, trace_id: str, key: str) -> bool: ...
    def list_trace_tags(self, trace_ids: Sequence[str]) -> dict[str, dict[str, str]]: ...
    def set_trace_metadata(self, trace_id: str, metadata: Mapping[str, str]) -> None: ...
    def list_trace_metadata(self, trace_ids: Sequence[str]) -> dict[str, dict[str, str]]: ...
    def set_trace_numbers(self, trace_id: str, numbers: Mapping[str, float]) -> None:
        """Set what is summed up over traces: tokens and money."""
        ...

    def link_traces(self, run_id: str, trace_ids: Sequence[str]) -> None:
        """Link traces with a run; a link that is there stays, and traces that are not are left out."""
        ...

    def link_prompts(self, trace_id: str, prompts: Sequence[str]) -> None:
        """Link a trace with versions of prompts, each NAME/VERSION."""
        ...

    def list_trace_runs(self, trace_ids: Sequence[str]) -> dict[str, list[str]]:
        """Give the runs that each trace is linked with, by id."""
        ...

    def list_trace_prompts(self, trace_ids: Sequence[str]) -> dict[str, list[str]]:
        """Give the versions of prompts that each trace is linked with, each NAME/VERSION."""
        ...

    def search_traces(
        self,
        experiment_ids: Sequence[str],
        condition: Condition | None = None,
        *,
        orders: Sequence[Order] = (),
        limit: int = 100,
        after: str = "",
    ) -> TracePage:
        """Search the traces of experiments; among equals the newest first.

        A page costs what the first costs, however far behind it is, and what comes and goes between two pages
        moves none of the others.

        Args:
            experiment_ids: Where to look.
            condition: Of the language of `core.trace_filter`; None for all.
            orders: What to sort by first; traces without it last.
            limit: How many at most.
            after: Where the page before ended, as it said; empty for the first page.

        Raises:
            InvalidInput: `after` is none, or of another order.
        """
        ...

    def list_samples(self, experiment_ids: Sequence[str], asked: Samples) -> Iterator[Sample]:
        """Give the numbers that are asked for, one after the other; what has none is left out."""
        ...

    def count_traces(self, experiment_ids: Sequence[str], condition: Condition | None = None) -> int: ...


class SpanStore(Protocol):
    """The steps of traces."""

    def record_spans(self, spans: Sequence[Span]) -> None:
        """Keep spans of traces that are there; a later one of the same id takes its place."""
        ...

    def list_spans(self, trace_ids: Sequence[str]) -> dict[str, list[Span]]:
        """Give the spans of each trace that has any: roots first, then as they began."""
        ...

    def page_spans(self, trace_id: str, *, limit: int = 100, after: str = "") -> SpanPage:
        """Give some spans of a trace, in the order of `list_spans`, without reading the others.

        Raises:
            InvalidInput: `after` is none that a page gave.
        """
        ...

    def name_spans(self, trace_id: str, span_ids: Sequence[str]) -> dict[str, str]:
        """Give the names of those of these spans that are there."""
        ...

    def span_times(self, trace_id: str) -> tuple[int, int]:
        """Give when the first span of a trace began and the last one ended or began; (0, 0) without spans."""
        ...

    def count_spans(self, trace_ids: Sequence[str]) -> dict[str, int]: ...
    def list_usages(self, trace_id: str, *, cost: bool) -> list[Usage]:
        """Give what each span of a trace says of tokens, or of money, without reading what else it holds."""
        ...


class AssessmentStore(Protocol):
    """What was said of traces."""

    def create_assessment(self, assessment: Assessment) -> Assessment:
        """Keep it; raises `Conflict` if its id is taken."""
        ...

    def find_assessment(self, trace_id: str, assessment_id: str) -> Assessment | None: ...
    def list_assessments(self, trace_ids: Sequence[str]) -> dict[str, list[Assessment]]:
        """Give what was said of each trace, in that order."""
        ...

    def set_assessment(self, assessment_id: str, **changes: Any) -> Assessment: ...
    def delete_assessment(self, trace_id: str, assessment_id: str) -> bool: ...
