"""What a serve job tells the hub arrives, also at a hub that stumbles or has no room just then."""

import threading
from typing import Any

import pytest

from relive.core.endpoint import Address
from relive.errors import HubRefused, HubUnreachable, ReliveError, StoreFull
from relive.serving import job
from relive.serving.supervise import Serving

PATIENCE_S = 30.0
SERVING = Serving(
    address=Address(path="/run/model.sock"), pid=1, restarts=0, values=3, largest_difference=0.0
)


def refused(status: int) -> HubRefused:
    """Give an answer of the hub with this status."""
    return HubRefused(status=status, error_code="x", message="no", details={})


class Lease:
    """A claim that holds."""

    over = None


class Reports:
    """Answers with errors first, and remembers what was told."""

    def __init__(self, *errors: ReliveError) -> None:
        self.errors = list(errors)
        self.told: list[str] = []
        self.heard = threading.Event()

    def progress(self, phase: str, message: str = "", **facts: Any) -> None:
        """Take a phase, unless an error is left."""
        if self.errors:
            raise self.errors.pop(0)
        self.told.append(phase)
        if phase == "failed":
            self.heard.set()


def tell(reports: Reports, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Tell that a model is ready and then that it failed; gives what arrived."""
    monkeypatch.setattr(job, "_TELL_AGAIN_S", 0.0)
    teller = job.Teller(reports, Lease())  # type: ignore[arg-type]  # as much of both as it asks
    teller.ready(SERVING)
    teller.failed("gone")
    assert reports.heard.wait(PATIENCE_S)
    return reports.told


@pytest.mark.parametrize(
    "error",
    [
        HubUnreachable(url="http://hub", reason="away"),
        refused(500),
        refused(503),
        StoreFull(where="the hub", needed_bytes=1, free_bytes=0),
    ],
    ids=repr,
)
def test_what_passes_is_told_again(error: ReliveError, monkeypatch: pytest.MonkeyPatch) -> None:
    assert tell(Reports(error, error), monkeypatch) == ["ready", "failed"]


def test_what_the_hub_will_never_take_holds_up_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    assert tell(Reports(refused(400)), monkeypatch) == ["failed"]
