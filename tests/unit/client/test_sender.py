"""The thread that brings a run to the hub: what passes does not end it, what stays does, and it says so."""

import errno
import os
import time
from pathlib import Path

import pytest

from relive.capture.hooks.run import Run
from relive.capture.hooks.spool import Spool
from relive.client import sender
from relive.client.hub import HubClient
from relive.client.sender import Sender
from relive.client.shipping import Shipment, ship
from relive.client.spool import LocalRun, open_spool, process_started
from relive.client.transport import Transport
from relive.errors import HubRefused, StoreFull
from tests.support.fake_hub import running_hub, wait_for

QUICK_S = 0.02


@pytest.fixture
def spool(tmp_path, monkeypatch):
    monkeypatch.setattr(sender, "SEND_EVERY_S", QUICK_S)
    monkeypatch.setattr(sender, "LONGEST_PAUSE_S", QUICK_S)
    me = LocalRun(project="digits", pid=os.getpid(), process_started=process_started(os.getpid()))
    return open_spool(me, tmp_path / "spool")


def refused(status: int) -> HubRefused:
    return HubRefused(status=status, error_code="x", message="Not now.", details={})


@pytest.mark.parametrize(
    "error",
    [
        refused(503),
        refused(429),
        StoreFull(where="the hub"),
        OSError(errno.ENOSPC, "No space left on device"),
    ],
    ids=["no database", "too many", "hub full", "disk full"],
)
def test_what_passes_is_waited_for(
    tmp_path: Path, spool: Path, monkeypatch: pytest.MonkeyPatch, error
) -> None:
    failures = [error] * 3

    def ship_or_fail(hub: HubClient, folder: Path) -> Shipment:
        if failures:
            raise failures.pop()
        return ship(hub, folder)

    monkeypatch.setattr(sender, "ship", ship_or_fail)
    with running_hub(tmp_path / "hub") as hub:
        thread = Sender(spool, lambda: HubClient(Transport(hub.url)))
        thread.start()
        run = Run(Spool(str(spool)))
        run.log({"loss": 0.5}, step=1)
        wait_for(lambda: not failures and hub.jobs, "the run to be at the hub")
        run.finish()
        shipment = thread.stop(20.0)
        assert shipment is not None
        assert shipment.finished
        (state,) = hub.jobs.values()
        assert [(it.key, it.step) for it in state.metrics] == [("loss", 1)]


def test_what_stays_ends_it_and_loses_nothing(tmp_path: Path, spool: Path, capfd) -> None:
    with running_hub(tmp_path / "hub") as hub:
        hub.failures = [403] * 1000
        thread = Sender(spool, lambda: HubClient(Transport(hub.url)))
        Run(Spool(str(spool))).log({"loss": 0.5})
        thread.start()
        started = time.monotonic()
        assert thread.stop(20.0) is None
        assert time.monotonic() - started < 10.0
        assert "the run cannot be sent" in capfd.readouterr().err
        assert len(hub.failures) == 999
    assert list(spool.glob("*.points"))
