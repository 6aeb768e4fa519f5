"""The line on standard input, and how a ticket in it becomes the runner's token; against a real hub."""

import io
import logging
import sys
from collections.abc import Callable, Iterator
from typing import Any

import msgspec
import pytest

from relive.core.access import Scope
from relive.core.job import Job, JobState
from relive.errors import HubRefused, Superseded
from relive.runner import main, order
from relive.runner.order import Order, read_order
from relive.services.accounts import authenticate, create_job_ticket
from relive.serving import job as serving
from tests.e2e.hub import free_port
from tests.support.bench import open_bench, quick_folder
from tests.support.dashboard import answering
from tests.support.live import LiveHub, served

FILES = {"relive.yaml": "version: 1\nstages:\n  train: {cmd: python train.py}\n", "train.py": "1"}
Give = Callable[..., None]


@pytest.fixture(scope="module")
def placed() -> Iterator[tuple[LiveHub, Job]]:
    """A hub that answers, and a job of it that was placed; one for all tests, each makes its own ticket."""
    with quick_folder() as folder, open_bench(folder) as bench, served(bench.services) as hub:
        stage = bench.stages(bench.start(FILES))["train"]
        yield hub, bench.services.store.get_job(stage.job_id)


@pytest.fixture
def give(placed: tuple[LiveHub, Job], monkeypatch: pytest.MonkeyPatch) -> Give:
    """Give a function that puts an order on standard input."""
    hub, job = placed

    def put(line: bytes | None = None, **changes: Any) -> None:
        wanted = {"hub": hub.url, "job": job.id, "fence": job.fence, "token": "x", **changes}
        data = msgspec.json.encode(wanted) + b"\n" if line is None else line
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(data)))

    return put


def test_a_token_is_taken_as_it_is_and_the_input_closed(give: Give, placed: tuple[LiveHub, Job]) -> None:
    give(hub="http://127.0.0.1:9", token="rlv_1_2")
    assert read_order() == Order(hub="http://127.0.0.1:9", job=placed[1].id, fence=1, token="rlv_1_2")
    assert sys.stdin.closed


def test_a_ticket_becomes_the_runners_token(give: Give, placed: tuple[LiveHub, Job]) -> None:
    hub, job = placed
    give(token=create_job_ticket(hub.services, job))
    token = read_order().token
    caller = authenticate(hub.services, token)
    assert (caller.scope, caller.job_id, caller.fence) == (Scope.RUNNER, job.id, job.fence)
    assert hub.ask("GET", f"/api/v1/jobs/{job.id}/spec", token=token).status == 200


def test_a_ticket_that_another_used_is_refused_and_the_hub_remembers(
    give: Give, placed: tuple[LiveHub, Job]
) -> None:
    hub, job = placed
    ticket = create_job_ticket(hub.services, job)
    give(token=ticket)
    read_order()
    give(token=ticket)
    with pytest.raises(HubRefused, match="a ticket that nobody has used before"):
        read_order()
    (event,) = hub.services.store.list_events(kind="job.ticket_replayed")
    assert (event.subject, event.facts["ticket"]) == (job.subject, ticket.split("_")[1])


@pytest.mark.parametrize(
    "ticket", ["rlt_", "rlt_0_0", f"rlt_{'0' * 16}_secret", "rlt_é_é", "rlt_0_" + "0" * 10_000]
)
def test_what_only_looks_like_a_ticket_is_refused(give: Give, ticket: str) -> None:
    give(token=ticket)
    with pytest.raises(HubRefused):
        read_order()


def test_a_ticket_of_a_claim_that_is_over_is_refused(give: Give) -> None:
    with quick_folder() as folder, open_bench(folder) as bench, served(bench.services) as hub:
        stage = bench.stages(bench.start(FILES))["train"]
        job = bench.services.store.get_job(stage.job_id)
        ticket = create_job_ticket(bench.services, job)
        bench.services.store.finish(job.id, job.fence, JobState.LOST, result={})
        give(hub=hub.url, job=job.id, token=ticket)
        with pytest.raises(Superseded):
            read_order()


@pytest.mark.parametrize("line", [b"", b"\n", b"{}\n", b'{"hub": 1}\n', b"\xff\n"])
def test_another_line_is_refused(give: Give, line: bytes) -> None:
    give(line)
    with pytest.raises(msgspec.MsgspecError):
        read_order()


@pytest.mark.parametrize("run", [main.main, serving.main])
def test_a_hub_that_is_not_there_is_the_last_thing_that_is_said(
    give: Give, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, run: Callable[[], int]
) -> None:
    monkeypatch.setattr(order, "_PATIENCE_S", 0.1)
    nobody = f"http://127.0.0.1:{free_port()}"
    give(hub=nobody, token="rlt_0_0")
    with caplog.at_level(logging.ERROR):
        assert run() == 1
    assert caplog.records[-1].message == f"The hub at {nobody} does not answer: connection refused."


def test_an_answer_that_was_lost_is_asked_for_again_with_the_same_secret(give: Give) -> None:
    with answering() as hub:
        hub.breaks = 2
        hub.says("POST /api/v1/jobs/mine/token", {"token": "rlv_1_2"})
        give(hub=hub.url, job="mine", token="rlt_0_0")
        assert read_order().token == "rlv_1_2"
        bodies = [body for _, _, body in hub.asked]
    assert len(bodies) == 3
    assert len(set(bodies)) == 1
