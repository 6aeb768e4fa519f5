"""The calls about jobs."""

from relive.client.calls.base import Calls
from relive.client.calls.reports import ReportClient


class JobCalls(Calls):
    """Calls about jobs."""

    def job(self, job_id: str, fence: int) -> ReportClient:
        """Speak as the process that holds this claim of a job."""
        return ReportClient(self.transport, "jobs", job_id, fence)
