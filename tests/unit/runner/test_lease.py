"""The claim: renewed, waited for, believed when it is gone; and what is streamed under it."""

import threading
import time
from pathlib import Path

import pytest

from relive.client.calls.reports import ReportClient
from relive.client.transport import Transport
from relive.errors import HubRefused, HubUnreachable, InvalidInput, StoreFull, Superseded
from relive.runner.lease import Lease, Over, is_passing
from relive.runner.output import OutputLog
from relive.runner.stream import Streamer
from tests.support.fake_hub import FakeHub, running_hub, stage_work, wait_for


@pytest.fixture
def hub(tmp_path):
    with running_hub(tmp_path / "hub") as running:
        yield running


@pytest.fixture
def job(hub):
    return hub.add_job(stage_work(hub, {"a": ""}, "true"), lease_s=0.6)


def reports_of(hub: FakeHub, job: str) -> ReportClient:
    return ReportClient(Transport(hub.url, timeout_s=5), "jobs", job, 1)


@pytest.fixture
def lease(hub, job):
    found = Lease(reports_of(hub, job), interval_s=0.2)
    found.start()
    yield found
    found.end()


def test_it_is_renewed_three_times_a_lease(hub, job, lease):
    wait_for(lambda: hub.jobs[job].heartbeats >= 4, "it is renewed")
    assert lease.over is None
    lease.check()


def test_a_hub_that_is_away_loses_no_claim(hub, job, lease):
    wait_for(lambda: hub.jobs[job].heartbeats, "it is renewed")
    hub.go_away()
    time.sleep(1.0)  # longer than the lease
    assert lease.over is None
    hub.come_back()
    before = hub.jobs[job].heartbeats
    wait_for(lambda: hub.jobs[job].heartbeats > before, "it is renewed again")


def test_a_cancellation_is_heard_and_the_claim_still_renewed(hub, job, lease):
    heard = threading.Event()
    lease.when_over(heard.set)
    hub.jobs[job].cancel = True
    assert heard.wait(30)
    assert lease.over is Over.CANCELLED
    lease.check()
    before = hub.jobs[job].heartbeats
    wait_for(lambda: hub.jobs[job].heartbeats > before, "it is renewed while the end is reported")


@pytest.mark.parametrize("status", [401, 403, 404, 409, 410])
def test_an_answer_that_the_claim_is_gone_is_believed(hub, job, lease, status):
    wait_for(lambda: hub.jobs[job].heartbeats, "it is renewed")
    hub.failures = [status] * 3
    wait_for(lambda: lease.over is Over.SUPERSEDED, "the claim is given up")
    with pytest.raises(Superseded):
        lease.check()
    with pytest.raises(Superseded):
        lease.pause(60)


def test_a_hub_that_stumbles_is_not_believed(hub, job, lease):
    wait_for(lambda: hub.jobs[job].heartbeats, "it is renewed")
    hub.failures = [500, 507, 503]
    wait_for(lambda: not hub.failures, "it has stumbled")
    before = hub.jobs[job].heartbeats
    wait_for(lambda: hub.jobs[job].heartbeats > before, "it is renewed again")
    assert lease.over is None


def test_losing_it_to_another_wins_over_a_cancellation(hub, job):
    lease = Lease(reports_of(hub, job))
    told: list[Over | None] = []
    lease.when_over(lambda: told.append(lease.over))
    lease.lose(Over.CANCELLED)
    lease.lose(Over.CANCELLED)
    lease.lose(Over.SUPERSEDED)
    lease.lose(Over.CANCELLED)
    assert told == [Over.CANCELLED, Over.SUPERSEDED]
    late: list[str] = []
    listener = lambda: late.append("told")  # noqa: E731  # taken back by its identity
    lease.when_over(listener)
    assert late == ["told"]
    lease.forget(listener)


def test_a_pause_ends_early_when_the_claim_does(hub, job):
    lease = Lease(reports_of(hub, job))
    threading.Timer(0.2, lambda: lease.lose(Over.SUPERSEDED)).start()
    with pytest.raises(Superseded):
        lease.pause(3600)


@pytest.mark.parametrize(
    ("error", "passing"),
    [
        (HubUnreachable("u", "r"), True),
        (StoreFull("w"), True),
        (HubRefused(500, "c", "m", {}), True),
        (HubRefused(422, "c", "m", {}), False),
        (InvalidInput("f", 1, "w"), False),
    ],
)
def test_what_may_go_away_is_told_from_what_will_not(error, passing):
    assert is_passing(error) is passing


class TestStreaming:
    """Log and records arrive once and in order, whatever happens in between."""

    @pytest.fixture
    def spool(self, tmp_path):
        folder = tmp_path / "spool"
        folder.mkdir()
        return folder

    @pytest.fixture
    def log(self, tmp_path):
        found = OutputLog(tmp_path / "log")
        yield found
        found.close()

    @pytest.fixture
    def streamer(self, hub, job, log, spool):
        reports = reports_of(hub, job)
        return Streamer(reports, Lease(reports), log, spool)

    def test_output_and_records_arrive_while_they_are_made(self, hub, job, streamer, log, spool):
        streamer.start()
        log.write(b"first\n")
        line(spool, '{"t":"metric","k":"loss","v":0.5,"s":1}')
        wait_for(lambda: hub.jobs[job].log and hub.jobs[job].metrics, "both have arrived")
        log.write(b"second\n")
        line(spool, '{"t":"param","k":"lr","v":0.1}')
        line(spool, '{"t":"tag","k":"team","v":"a"}')
        log.close()
        assert streamer.drain() == ()
        state = hub.jobs[job]
        assert state.log == b"first\nsecond\n"
        assert (state.params, state.tags) == ({"lr": 0.1}, {"team": "a"})

    def test_what_was_made_while_the_hub_was_away_arrives_once(self, hub, job, streamer, log, spool):
        streamer.start()
        log.write(b"a")
        wait_for(lambda: hub.jobs[job].log, "the first has arrived")
        hub.go_away()
        for i in range(50):
            log.write(b"%d\n" % i)
            line(spool, f'{{"t":"metric","k":"loss","v":{i},"s":{i}}}')
        log.close()
        drained = threading.Thread(target=streamer.drain)
        drained.start()
        time.sleep(0.3)
        assert drained.is_alive()
        hub.come_back()
        drained.join(60)
        assert hub.jobs[job].log == b"a" + b"".join(b"%d\n" % i for i in range(50))
        assert [it.step for it in hub.jobs[job].metrics] == list(range(50))

    def test_a_hub_that_already_has_a_part_is_not_sent_it_twice(self, hub, job, streamer, log):
        hub.jobs[job].log.extend(b"hello ")
        log.write(b"hello world")
        log.close()
        streamer.start()
        streamer.drain()
        assert hub.jobs[job].log == b"hello world"

    def test_what_the_hub_will_never_take_is_named_and_the_rest_goes_on(self, hub, job, streamer, log, spool):
        hub.failures = [422]
        line(spool, '{"t":"metric","k":"loss","v":1,"s":0}')
        streamer.start()
        wait_for(lambda: not hub.failures, "it was refused")
        log.write(b"later")
        log.close()
        (note,) = streamer.drain()
        assert "the hub did not take" in note
        assert hub.jobs[job].log == b"later"

    def test_a_claim_that_is_gone_ends_it(self, hub, job, log, spool):
        reports = reports_of(hub, job)
        lease = Lease(reports)
        streamer = Streamer(reports, lease, log, spool)
        hub.jobs[job].fence = 2
        log.write(b"x")
        log.close()
        streamer.start()
        with pytest.raises(Superseded):
            streamer.drain()
        assert lease.over is Over.SUPERSEDED


def line(spool: Path, text: str) -> None:
    with open(spool / "00000000000000000001-1.jsonl", "a", encoding="utf-8") as file:
        file.write(text + "\n")
