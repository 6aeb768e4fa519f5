"""The calls about runs."""

from collections.abc import Iterator
from typing import Final

from relive.client.calls.base import Calls
from relive.client.calls.reports import ReportClient
from relive.client.transport import path_of
from relive.core.run import Run
from relive.wire.runs import CreatedRun, CreateRun

_RUNS_A_PAGE: Final = 500


class RunCalls(Calls):
    """Calls about runs."""

    def create_run(self, request: CreateRun) -> CreatedRun:
        """Make a new run, which is running from now on; asked again with the same key, it is the same run."""
        return self.transport.post(path_of("runs"), request, CreatedRun, repeatable=bool(request.key))

    def run(self, run_id: str) -> ReportClient:
        """Speak as the process that does a run by hand."""
        return ReportClient(self.transport, "runs", run_id)

    def each_run(self, project: str) -> Iterator[Run]:
        """Give every run of a project, oldest first, a page at a time."""
        after = ""
        while True:
            query = {"project": project, "order": "created_at", "limit": _RUNS_A_PAGE, "after": after or None}
            page, headers = self.transport.get_page(path_of("runs"), list[Run], query)
            yield from page
            after = headers.get("x-next-page", "")
            if not after:
                return
