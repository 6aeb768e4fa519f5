"""What goes over the wire comes out as it went in: NaN, infinities, bytes, names with every character."""

import math

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from relive.client.hub import HubClient, connect
from relive.client.transport import path_of
from relive.core.job import Pool
from relive.core.run import Artifact, Metric, MetricSummary, Run, RunKind, RunStatus
from relive.core.trajectory import Verdict, VerdictLevel
from relive.errors import HubRefused, NotFound
from relive.wire.hub import CreateToken, DeployVersion, RunDetail
from relive.wire.jobs import StageReport
from relive.wire.runs import CreateRun, SeriesPage
from tests.support.bench import Bench
from tests.support.live import MSGPACK, LiveHub

ODD = [math.nan, math.inf, -math.inf, 5e-324, -5e-324, 1.7976931348623157e308, 0.1]


@pytest.fixture
def client(live: LiveHub) -> HubClient:
    """A client with the admin's token."""
    return connect(live.url, live.admin)


def bits(values: list[float]) -> list[str]:
    """Give floats so that NaN equals NaN and minus nought is not nought."""
    return [value.hex() for value in values]


def test_every_float_of_a_series_comes_back_to_the_bit(client: HubClient) -> None:
    run = client.create_run(CreateRun(project="digits"))
    client.run(run.run_id).records(
        "1", metrics=tuple(Metric("m", value, step, 1.5) for step, value in enumerate(ODD))
    )
    found = client.get_series(run.run_id, "m")
    assert bits([point.value for point in found]) == bits(ODD)
    assert [(point.step, point.at) for point in found] == [(step, 1.5) for step in range(len(ODD))]


def test_columns_of_a_series_come_back_to_the_bit(client: HubClient) -> None:
    run = client.create_run(CreateRun(project="digits"))
    client.run(run.run_id).records(
        "1", metrics=tuple(Metric("m", value, step, 1.5) for step, value in enumerate(ODD))
    )
    found = client.get_points(run.run_id, "m")
    assert bits(list(found.values)) == bits(ODD)
    assert list(found.steps) == list(range(len(ODD)))
    assert set(found.times) == {1.5}
    assert len(client.get_points(run.run_id, "m", max_points=4)) == 4
    assert len(client.get_points(run.run_id, "none")) == 0


@pytest.mark.parametrize("key", ["train/loss", "/x//y/", "../..", "a b%2F?#é", "/metrics/"])
def test_the_name_of_a_series_may_be_anything(client: HubClient, key: str) -> None:
    run = client.create_run(CreateRun(project="digits"))
    client.run(run.run_id).records("1", metrics=(Metric(key, 1.0), Metric("loss", 2.0)))
    assert list(client.get_points(run.run_id, key).values) == [1.0]


def test_a_long_series_comes_in_pages(client: HubClient, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("relive.hub.routes.runs.MOST_POINTS", 7)
    run = client.create_run(CreateRun(project="digits"))
    client.run(run.run_id).records("1", metrics=tuple(Metric("m", 0.5, step) for step in range(20)))
    assert list(client.get_points(run.run_id, "m").steps) == list(range(20))
    page = client.transport.get(
        path_of("runs", run.run_id, "metrics", "m"), SeriesPage, {"limit": 3, "start": 2}
    )
    assert (page.points, page.following) == (3, 5)


def test_in_json_what_json_cannot_say_is_null(client: HubClient, live: LiveHub) -> None:
    run = client.create_run(CreateRun(project="digits"))
    client.run(run.run_id).records("1", metrics=(Metric("m", math.nan), Metric("m", 1.0, 1)))
    answer = live.ask("GET", f"/api/v1/runs/{run.run_id}/metrics?key=m", accept="application/json")
    assert answer.headers["content-type"].startswith("application/json")
    assert [point["value"] for point in answer.json] == [None, 1.0]
    packed = live.ask("GET", f"/api/v1/runs/{run.run_id}/metrics?key=m", accept=MSGPACK)
    assert packed.headers["content-type"].startswith(MSGPACK)
    assert math.isnan(packed.packed[0]["value"])


def test_a_summary_keeps_a_nan_that_was_last(client: HubClient) -> None:
    run = client.create_run(CreateRun(project="digits"))
    client.run(run.run_id).records("1", metrics=(Metric("m", 1.0), Metric("m", math.nan, 1)))
    (summary,) = client.get_run(run.run_id).metrics
    assert math.isnan(summary.last)
    assert (summary.min, summary.max, summary.count) == (1.0, 1.0, 2)


def test_a_message_is_read_by_its_content_type(live: LiveHub) -> None:
    message = msgspec.msgpack.encode({"name": "packed"})
    answer = live.ask("POST", "/api/v1/projects", body=message, content_type=MSGPACK)
    assert (answer.status, answer.json["project"]["name"]) == (200, "packed")


@given(
    key=st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), min_size=1, max_size=80),
    value=st.none()
    | st.booleans()
    | st.integers(-(2**53), 2**53)
    | st.text(st.characters(exclude_categories=["Cs"])),
)
@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_every_name_and_value_comes_back(client: HubClient, key: str, value: object) -> None:
    run = client.create_run(CreateRun(project="digits", name="x"))
    client.run(run.run_id).records("1", params={key: value}, tags={key: key})
    detail = client.get_run(run.run_id)
    assert detail.params == {key: value}
    assert detail.tags == {key: key}


@pytest.mark.parametrize("name", ["a\0b", "\0"])
def test_a_name_that_no_database_holds_is_refused_and_nothing_kept(client: HubClient, name: str) -> None:
    run = client.create_run(CreateRun(project="digits"))
    with pytest.raises(HubRefused, match="NUL"):
        client.run(run.run_id).records("1", params={"good": 1, name: 1})
    assert client.get_run(run.run_id).params == {}


def test_a_name_of_ten_megabytes_is_refused_in_few_words(client: HubClient) -> None:
    run = client.create_run(CreateRun(project="digits"))
    with pytest.raises(HubRefused) as caught:
        client.run(run.run_id).records("1", metrics=(Metric("x" * 10_000_000, 1.0),))
    assert len(str(caught.value)) < 1000
    assert client.get_run(run.run_id).metrics == ()


def test_records_of_a_newer_client_are_refused_and_not_taken_in_part(
    live: LiveHub, client: HubClient
) -> None:
    run = client.create_run(CreateRun(project="digits")).run_id
    newer = {
        "fence": 0,
        "batch": "1",
        "metrics": [Metric("m", 1.0)],
        "tensors": [b"what this hub cannot keep"],
    }
    path, body = path_of("runs", run, "records"), msgspec.msgpack.encode(newer)
    answer = live.ask("POST", path, body=body, content_type=MSGPACK)
    assert answer.status == 400
    assert b"tensors" in answer.body
    assert client.get_run(run).metrics == ()


def test_numbers_beyond_64_bits_are_refused(live: LiveHub, client: HubClient) -> None:
    run = client.create_run(CreateRun(project="digits")).run_id
    for text in ("9" * 30, "-" + "9" * 30, "1e400"):
        body = f'{{"run_id": "{run}", "key": "m", "value": 1.0, "timestamp": {text}}}'
        answer = live.ask("POST", "/api/2.0/mlflow/runs/log-metric", body=body.encode())
        assert answer.status == 400, text
        step = f'{{"run_id": "{run}", "key": "m", "value": 1.0, "timestamp": 0, "step": {text}}}'
        assert live.ask("POST", "/api/2.0/mlflow/runs/log-metric", body=step.encode()).status == 400
        start = f'{{"start_time": {text}}}'
        assert live.ask("POST", "/api/2.0/mlflow/runs/create", body=start.encode()).status == 400
    for path in (
        "runs?offset=",
        "events?after=",
        f"runs/{run}/log?start=",
        f"runs/{run}/metrics?key=m&max_points=",
    ):
        answer = live.ask("GET", f"/api/v1/{path}{'9' * 30}")
        assert answer.status in (200, 400), answer.body


@pytest.mark.parametrize("limit", [-5, 0, 1, 10**6])
def test_a_limit_is_taken_within_bounds(live: LiveHub, bench: Bench, limit: int) -> None:
    for _ in range(3):
        bench.by_hand()
    bench.push({"relive.yaml": "version: 1\nstages: {a: {cmd: x}}\n"})
    for path in ("runs", "events", "pipelines", "jobs"):
        answer = live.ask("GET", f"/api/v1/{path}?limit={limit}")
        assert answer.status == 200
        assert len(answer.json) == 0 if limit <= 0 else len(answer.json) >= 1
        assert limit != 1 or len(answer.json) == 1


def test_a_verdict_with_nan_comes_back(bench: Bench, client: HubClient) -> None:
    run = bench.by_hand().run_id
    copy = bench.by_hand(kind=RunKind.REPLAY, replay_of=run).run_id
    reason = "no metric is a number"
    verdict = Verdict(level=VerdictLevel.UNRESOLVED, reason=reason, run_id=run, replay_run_id=copy)
    assert client.record_verdict(verdict).reason == "no metric is a number"
    assert client.get_run(run).verdicts[0].level is VerdictLevel.UNRESOLVED


def test_a_list_of_runs_goes_on_behind_its_page(bench: Bench, client: HubClient) -> None:
    runs = [bench.by_hand(name=name).run_id for name in ("one", "two", "three")]
    found = client.list_runs(filter="name IN ('one', 'two')", order="name DESC")
    assert [run.id for run in found] == [runs[1], runs[0]]
    assert [run.id for run in client.list_runs(order="name", limit=2, offset=2)] == [runs[1]]
    with pytest.raises(HubRefused) as caught:
        client.list_runs(filter="name = 'one' AND wrong = 1")
    assert caught.value.error_code == "invalid_filter"
    assert caught.value.details["at"] == 17


def test_the_calls_about_everything_else_fit_their_routes(bench: Bench, client: HubClient) -> None:
    """Each call of the client once, against the real hub: names, messages and replies fit."""
    version = bench.version(w=b"w")
    revision = bench.deployed(version)
    assert client.get_info().auth == "local"
    assert client.create_project("fresh").git_url.endswith("/git/fresh.git")
    assert {detail.project.name for detail in client.list_projects()} == {"digits", "fresh"}
    assert client.get_project("fresh").project.default_branch == "main"
    assert [pool.name for pool in client.list_pools()] == ["local"]
    assert [job.subject for job in client.list_jobs()] == [f"revision:{revision.id}"]
    assert client.list_events(kind="project.created", newest_first=True)[0].project == "fresh"
    assert client.list_events(after=10**6) == []
    (key,) = client.list_keys()
    assert client.rotate_key()["signs"]
    assert [item["signs"] for item in client.list_keys()] == [False, True]
    token = client.create_token(CreateToken(label="ci", life_s=60.0))
    assert {item.label for item in client.list_tokens()} == {"test", "ci"}
    client.revoke_token(token.split("_")[1])
    assert client.create_login_link().startswith("http://hub/login?link=rlv_")
    assert [model.model.name for model in client.list_models(project="digits")] == ["digits"]
    assert client.get_model("digits").versions == (version,)
    assert client.get_version("digits", "1") == version
    assert client.verify_version("digits", "1")["key_id"] == key["key_id"]
    assert msgspec.json.decode(client.get_provenance("digits", "1"))["payloadType"].startswith("application/")
    assert client.move_alias("digits", "champion", 1).version == 1
    assert [item.endpoint.name for item in client.list_endpoints(project="digits")] == ["digits"]
    assert client.get_endpoint("digits").endpoint.live == revision.id
    # What is live already keeps its revision.
    assert client.deploy_version("digits", "digits", "champion").revisions[0].number == 1
    with pytest.raises(HubRefused, match="no revision before"):
        client.roll_back("digits")
    client.delete_endpoint("digits")
    assert client.list_endpoints() == []


def test_a_log_that_is_gone_is_said_before_anything_is_sent(bench: Bench, live: LiveHub) -> None:
    run = bench.finished_by_hand()
    kept = bench.services.blobs.put(b"the log").digest
    bench.services.store.set_run(run.id, log=kept)
    assert live.ask("GET", f"/api/v1/runs/{run.id}/log?start=4").body == b"log"
    bench.services.blobs.delete(kept)
    answer = live.ask("GET", f"/api/v1/runs/{run.id}/log")
    assert (answer.status, answer.code) == (404, "blob_not_found")


def test_the_calls_about_runs_fit_their_routes(bench: Bench, client: HubClient) -> None:
    created = client.create_run(CreateRun(project="digits", name="first"))
    assert [run.name for run in client.list_runs(project="digits", text="first", status="running")] == [
        "first"
    ]
    reports = client.run(created.run_id)
    assert not reports.heartbeat().cancel
    reports.progress("upload", "two of three", outs=2)
    assert client.get_run(created.run_id).run.reason == "two of three"
    assert reports.log(0, b"hello\n") == 6
    assert b"".join(client.read_log(created.run_id)) == b"hello\n"
    client.set_tags(created.run_id, {"who": "ada"})
    with pytest.raises(NotFound, match="recipe"):
        client.get_recipe(created.run_id)
    manifest = bench.keep({"out.txt": b"hello"})
    artifact = Artifact(run_id=created.run_id, path="out.txt", manifest=manifest, size_bytes=5, files=1)
    report = StageReport(
        fence=0,
        status=RunStatus.FINISHED,
        exit_code=0,
        recipe=bench.recipe("train"),
        recipe_digest="d",
        artifacts=(artifact,),
    )
    reports.finish(report)
    reports.finish(report)  # the first answer may have been lost
    detail = client.get_run(created.run_id[:10])
    assert (detail.run.status, detail.tags, detail.artifacts) == (
        RunStatus.FINISHED,
        {"who": "ada"},
        (artifact,),
    )
    assert client.get_recipe(created.run_id).declared.command == "train"
    with pytest.raises(HubRefused, match="already ended"):
        client.cancel_run(created.run_id)
    other = client.create_run(CreateRun(project="digits"))
    assert client.cancel_run(other.run_id).status is RunStatus.KILLED
    assert client.run(other.run_id).heartbeat().cancel


def test_the_calls_about_pipelines_fit_their_routes(bench: Bench, client: HubClient) -> None:
    pipeline = bench.start({"relive.yaml": "version: 1\nstages: {a: {cmd: x}}\n"})
    assert [item.pipeline.id for item in client.list_pipelines(project="digits")] == [pipeline.id]
    assert client.list_pipelines(commit="f" * 40) == []
    assert client.get_pipeline("digits:1") == client.get_pipeline(pipeline.id)
    assert [item.stage for item in client.explain_pipeline("digits:1", stage="a")] == ["a"]
    assert client.cancel_pipeline("digits:1").pipeline.id == pipeline.id


@pytest.mark.parametrize("kind", [Run, RunDetail, MetricSummary, Pool, StageReport, DeployVersion])
def test_a_newer_hub_may_say_more(kind: type) -> None:
    """A field that this version does not know is passed over, so that old clients read new hubs."""
    assert not getattr(kind, "__struct_config__").forbid_unknown_fields  # noqa: B009  # mypy knows no such name


def replay_of(client: HubClient, run_id: str) -> str:
    """Make a run that says it repeats another."""
    copy = client.create_run(CreateRun(project="digits", kind=RunKind.REPLAY, replay_of=run_id))
    return copy.run_id


def test_a_number_of_more_than_64_bits_makes_no_run_unreadable(client: HubClient) -> None:
    run_id = client.create_run(CreateRun(project="digits")).run_id
    verdict = Verdict(
        level=VerdictLevel.BIT_EXACT,
        run_id=run_id,
        replay_run_id=replay_of(client, run_id),
        facts={"huge": 10**30},
    )
    assert client.record_verdict(verdict).facts == {"huge": 10**30}
    (found,) = client.get_run(run_id).verdicts
    assert found.facts == {"huge": 10**30}


@pytest.mark.parametrize("window", [{"first": -1, "last": 3}, {"first": 0, "last": 10**23}, {"first": 0}])
def test_a_window_of_steps_that_there_cannot_be_is_refused(
    live: LiveHub, client: HubClient, window: object
) -> None:
    run_id = client.create_run(CreateRun(project="digits")).run_id
    body = {"level": "bit_exact", "replay_run_id": replay_of(client, run_id), "window": window}
    path = f"/api/v1/runs/{run_id}/verdicts"
    said = live.ask("POST", path, body)
    assert said.status == 400
    assert b"window" in said.body
    assert client.get_run(run_id).verdicts == ()
