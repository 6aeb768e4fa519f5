"""An answer to why is kept as a run, and found again as it was."""

from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from relive.client.hub import HubClient
from relive.client.transport import Transport
from relive.core.causes import AFTER_TAG, ANSWER, BEFORE_TAG, Cause, Tried, WhyReport, WhyStatus
from relive.core.run import RunStatus
from relive.errors import HubRefused
from relive.replay.answers import keep_answer
from tests.support.bench import open_bench, quick_folder
from tests.support.live import served

ONE, OTHER = "a" * 32, "b" * 32


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[HubClient]:
    """A client of a hub that answers, with an empty cache on this side."""
    monkeypatch.setenv("RELIVE_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("RELIVE_CACHE", str(tmp_path / "cache"))
    with quick_folder() as folder, open_bench(folder) as bench, served(bench.services) as live:
        yield HubClient(Transport(live.url, live.admin))


def report(**more: object) -> WhyReport:
    values = {
        "before": ONE,
        "after": OTHER,
        "status": WhyStatus.FOUND,
        "reason": "1 input makes the second out of the first",
        "causes": (
            Cause(name="params.yaml:lr", group="params", before="0.1", after="0.2", shares={"loss": 0.5}),
        ),
    }
    return WhyReport(**(values | more))  # type: ignore[arg-type]


def kept(hub: HubClient, run_id: str) -> WhyReport:
    """Read the report that a run holds, by way of its artifact."""
    (artifact,) = [it for it in hub.get_run(run_id).artifacts if it.path == ANSWER]
    (entry,) = hub.blobs.fetch_manifest(artifact.manifest).entries
    assert (artifact.files, artifact.size_bytes, entry.path) == (1, entry.size_bytes, ANSWER)
    return msgspec.json.decode(hub.blobs.get_bytes(entry.digest), type=WhyReport)


def test_an_answer_is_a_run_that_names_the_two_and_holds_the_report(hub: HubClient) -> None:
    given = report()
    made = keep_answer(given, "digits", hub)
    run = hub.get_run(made.run_id)
    assert run.run.status is RunStatus.FINISHED
    assert (run.tags[BEFORE_TAG], run.tags[AFTER_TAG]) == (ONE, OTHER)
    assert run.run.command == "relive why aaaaaaaa bbbbbbbb"
    assert kept(hub, made.run_id) == msgspec.structs.replace(given, id=made.run_id)


def test_the_command_is_one_that_asks_the_same_again(hub: HubClient) -> None:
    made = keep_answer(report(metric="loss"), "digits", hub)
    assert hub.get_run(made.run_id).run.command == "relive why aaaaaaaa bbbbbbbb --metric loss"


def test_an_answer_that_was_stopped_is_kept_as_such_with_what_was_known(hub: HubClient) -> None:
    tried = tuple(
        Tried(names=(), run_id=str(number), outcome="otherwise", phase="search", reused=number == 0)
        for number in range(3)
    )
    given = report(status=WhyStatus.STOPPED, causes=(), tried=tried, reason="stopped after 2 runs")
    made = keep_answer(given, "digits", hub)
    run = hub.get_run(made.run_id)
    assert (run.run.status, run.run.reason) == (RunStatus.KILLED, "stopped after 2 runs")
    assert kept(hub, made.run_id).tried == tried
    assert {it.key: it.last for it in run.metrics} == {"runs": 2.0, "causes": 0.0}


def test_each_answer_is_kept_beside_those_before_it(hub: HubClient) -> None:
    first, second = (keep_answer(report(), "digits", hub).run_id for _ in range(2))
    assert first != second
    assert kept(hub, first).id == first
    assert {it.id for it in hub.list_runs(project="digits")} == {first, second}


def test_what_the_hub_does_not_take_is_an_error_and_no_half_answer(hub: HubClient) -> None:
    with pytest.raises(HubRefused):
        keep_answer(report(), "no/project", hub)
    assert hub.list_runs() == []
