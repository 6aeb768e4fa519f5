"""`relive import` and `relive export`, as they are typed, against a hub over its real stores."""

import json
import math
from pathlib import Path

from relive.core.run import Metric, RunStatus
from relive.formats.parquet import read_parquet
from relive.services import runs
from relive.wire.jobs import Records, StageReport
from tests.support.bench import Bench
from tests.support.foreign import event, scalar, write_events
from tests.support.seed_evaluation import tell_evaluation
from tests.support.seed_traces import tell_traces
from tests.unit.cli.conftest import Shell

VALUES = (0.1 + 0.2, math.nan, math.inf, -math.inf, -1e-300)


def logged(bench: Bench, name: str) -> str:
    """Make a finished run with points, params, tags and a tree of files."""
    store = bench.services.store
    run = store.get_run(bench.by_hand(name=name, experiment="sizes", started_at=1000.25).run_id)
    points = tuple(Metric("loss", value, step, 1000.0 + step / 8) for step, value in enumerate(VALUES))
    runs.record(
        bench.services,
        run,
        Records(
            fence=0, batch="1", metrics=points, params={"lr": 0.1, "deep": [1, None]}, tags={"who": "me"}
        ),
    )
    runs.finish(
        bench.services, run, StageReport(fence=0, status=RunStatus.FAILED, reason="x", ended_at=2000.5)
    )
    return run.id


def test_a_project_goes_out_and_comes_back_without_loss(relive: Shell, bench: Bench) -> None:
    ids = [logged(bench, name) for name in ("one", "two")]
    said = relive("export", "digits", "out")
    assert said.out == "2 runs written to out.\n"
    assert "5 points" in said.err
    document = json.loads(Path(f"out/runs/{ids[0]}/run.json").read_text())
    assert (document["experiment"], document["params"]["lr"]) == ("sizes", 0.1)
    (table,) = read_parquet(Path(f"out/runs/{ids[0]}/metrics.parquet"))
    assert sorted(map(repr, table["value"])) == sorted(map(repr, VALUES))

    back = relive("import", "relive", "out", "--project", "back")
    assert back.out == "2 runs in project back: 10 points sent, 10 stored.\n"
    store = bench.services.store
    (project,) = [it for it in store.list_projects() if it.name == "back"]
    for run in store.list_runs(project_id=project.id):
        before = store.get_run(next(it for it in ids if store.get_run(it).name == run.name))
        assert (run.status, run.reason, run.started_at, run.ended_at) == (
            before.status,
            before.reason,
            before.started_at,
            before.ended_at,
        )
        assert store.list_params([run.id])[run.id] == store.list_params([before.id])[before.id]
        assert repr(store.get_series(run.id, "loss")) == repr(store.get_series(before.id, "loss"))
        assert store.list_tags([run.id])[run.id]["who"] == "me"


def test_one_run_by_the_beginning_of_its_id_and_what_is_neither(relive: Shell, bench: Bench) -> None:
    run_id = logged(bench, "one")
    assert relive("export", run_id[:8], "out", "--json").json == {"folder": "out", "runs": 1}
    assert relive("export", run_id[:8], "out", "--json").json == {"folder": "out", "runs": 0}
    assert "no project and no run 'absent'" in relive("export", "absent", "out", code=2).err


def test_traces_and_data_sets_of_a_project_go_along(relive: Shell, bench: Bench) -> None:
    store, run = bench.services.store, logged(bench, "one")
    experiment = store.get_run(run).experiment_id
    tell_traces(store, experiment, now=1000.0)
    tell_evaluation(store, experiment, now=1000.0)
    said = relive("export", "digits", "out")
    assert said.out == "1 run, 3 traces, 2 data sets for evaluation written to out.\n"
    assert relive("export", "digits", "out", "--json").json == {
        "folder": "out",
        "runs": 0,
        "traces": 3,
        "datasets": 2,
    }
    # Ids stay, so in one hub they are in one project.
    here = relive("import", "relive", "out", "--project", "copy")
    assert "5 stay in another project of this hub" in here.err
    store.delete_traces([trace.id for trace in store.search_traces([experiment]).traces])
    back = relive("import", "relive", "out", "--project", "copy")
    assert "3 traces brought." in back.out
    assert "data set" not in back.out
    again = relive("import", "relive", "out", "--project", "copy", "--json").json
    assert (again["traces"], again["datasets"], len(again["elsewhere"])) == (0, 0, 2)


def test_event_files_come_in_once_and_their_counts_are_said(relive: Shell, bench: Bench) -> None:
    events = [event(step, 10.0 + step, scalar("loss", 0.5)) for step in range(3)]
    write_events(Path("logs/train/events.out.tfevents.1"), events)
    for _ in range(2):
        said = relive("import", "tensorboard", "logs", "--project", "boards")
        assert said.out == "1 run in project boards: 3 points sent, 3 stored.\n"
    write_events(Path("logs/train/events.out.tfevents.2"), [event(3, 20.0, scalar("loss", 0.25))])
    (run,) = relive("import", "tensorboard", "logs", "--project", "boards", "--json").json["runs"]
    assert (run["sent"], run["stored"], run["name"]) == (4, 4, "train")


def test_without_a_project_of_the_folder_it_is_named_by_the_source(relive: Shell) -> None:
    write_events(Path("logs/events.out.tfevents.1"), [event(0, 1.0, scalar("x", 1.0))])
    assert "1 run in project tensorboard" in relive("import", "tensorboard", "logs").out


def test_a_hub_is_asked_as_an_mlflow_server_is(relive: Shell, bench: Bench, live: object) -> None:
    logged(bench, "one")
    url, token = getattr(live, "url", ""), getattr(live, "admin", "")
    said = relive("import", "mlflow", url, "--token", token, "--project", "again")
    assert "1 run in project again: 5 points sent, 5 stored." in said.out


def test_a_folder_with_nothing_to_take_is_named(relive: Shell) -> None:
    Path("empty").mkdir()
    for kind, wanted in (
        ("mlflow", "name a folder mlruns"),
        ("tensorboard", "tensorboard --logdir"),
        ("wandb", "offline runs"),
        ("relive", "relive export"),
    ):
        assert wanted in relive("import", kind, "empty", code=1).err
