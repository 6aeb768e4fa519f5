"""The calls about traces of applications."""

from collections.abc import Iterator
from typing import Final

from relive.client.calls.base import Calls
from relive.client.transport import path_of
from relive.wire.traces import TraceDetail, TraceItem

_TRACES_A_PAGE: Final = 200


class TraceCalls(Calls):
    """Calls that read traces."""

    def list_traces(
        self,
        *,
        project: str = "",
        experiment: str = "",
        filter: str = "",  # noqa: A002 - the word that the command line and the API have for it
        limit: int = 50,
        offset: int = 0,
    ) -> list[TraceItem]:
        """List traces that fit a filter, newest first, without their spans.

        Raises:
            HubRefused: The filter cannot be read; its facts say at which character.
        """
        query = {"project": project or None, "experiment": experiment or None, "filter": filter or None}
        page = {"limit": limit, "offset": offset or None}
        return self.transport.get(path_of("traces"), list[TraceItem], query | page)

    def each_trace(self, project: str) -> Iterator[TraceItem]:
        """Give every trace of a project, the newest first, a page at a time."""
        after = ""
        while True:
            query = {"project": project, "limit": _TRACES_A_PAGE, "after": after or None}
            page, headers = self.transport.get_page(path_of("traces"), list[TraceItem], query)
            yield from page
            after = headers.get("x-next-page", "")
            if not after:
                return

    def get_trace(self, trace_id: str) -> TraceDetail:
        """Give a trace with its spans."""
        return self.transport.get(path_of("traces", trace_id), TraceDetail)
