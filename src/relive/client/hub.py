"""The hub's API as typed methods: one class joined from the calls of each noun in `client.calls`."""

from relive.client.blobs import BlobClient
from relive.client.calls.admin import AdminCalls
from relive.client.calls.copies import CopyCalls
from relive.client.calls.datasets import DatasetCalls
from relive.client.calls.jobs import JobCalls
from relive.client.calls.models import ModelCalls
from relive.client.calls.pipelines import PipelineCalls
from relive.client.calls.reading import RunReadingCalls
from relive.client.calls.runs import RunCalls
from relive.client.calls.traces import TraceCalls
from relive.client.credentials import find_hub, find_token
from relive.client.transport import Transport


class HubClient(
    AdminCalls,
    CopyCalls,
    DatasetCalls,
    JobCalls,
    ModelCalls,
    PipelineCalls,
    RunCalls,
    RunReadingCalls,
    TraceCalls,
):
    """Everything a program can ask the hub.

    Each method raises `HubUnreachable` if the hub does not answer, and `HubRefused` with the hub's own
    words if it says no.
    """

    @property
    def blobs(self) -> BlobClient:
        """The hub's blob store."""
        return BlobClient(self.transport)


def connect(address: str = "", token: str = "", *, retry_for_s: float = 0.0) -> HubClient:
    """Speak with a hub.

    Args:
        address: Of the hub; empty for the one of this machine or of the last login.
        token: For the hub; empty for the one kept for it.
        retry_for_s: Patience with a hub that does not answer.

    Raises:
        HubUnknown: No hub is known.
    """
    url = address or find_hub()
    return HubClient(Transport(url, token or find_token(url), retry_for_s=retry_for_s))
