"""The calls about runs."""

from relive.client.calls.base import Calls
from relive.client.calls.reports import ReportClient
from relive.client.transport import path_of
from relive.wire.runs import CreatedRun, CreateRun


class RunCalls(Calls):
    """Calls about runs."""

    def create_run(self, request: CreateRun) -> CreatedRun:
        """Make a new run, which is running from now on."""
        return self.transport.post(path_of("runs"), request, CreatedRun)

    def run(self, run_id: str) -> ReportClient:
        """Speak as the process that does a run by hand."""
        return ReportClient(self.transport, "runs", run_id)
