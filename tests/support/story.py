"""The story itself: a project `digits` as the demo makes it, others beside it, and one that is empty."""

from pathlib import Path
from typing import Any

from relive.core.job import Job, JobKind, JobState
from relive.core.pipeline import Action, Pipeline, PipelineStatus, Stage, StageStatus
from relive.core.project import Project
from relive.core.run import FailureReason, Input, Run, RunKind, RunStatus
from relive.core.trajectory import FirstDivergence, MetricDifference, VerdictLevel
from relive.hub.config import HubConfig
from relive.services.context import Services
from tests.support import seed_texts as texts
from tests.support.seed import (
    Revision,
    RevisionState,
    Seeder,
    Signature,
    TensorSpec,
    digits_rows,
    exact_metrics,
    gate_rows,
    json,
    open_hub,
    picture,
    projects,
    registry,
    seeder_of,
)
from tests.support.seed_evaluation import tell_evaluation
from tests.support.seed_media import tell_media
from tests.support.seed_reviews import tell_reviews
from tests.support.seed_traces import tell_traces

_DAY = 86400.0
P, S = PipelineStatus, StageStatus
_SIGNATURE = Signature(
    inputs=(TensorSpec(name="input-0", datatype="FP64", shape=(-1, 64)),),
    outputs=(
        TensorSpec(name="predict", datatype="INT64", shape=(-1,)),
        TensorSpec(name="probabilities", datatype="FP64", shape=(-1, 10)),
    ),
)


def full_hub(folder: Path, *, now: float, **options: Any) -> tuple[HubConfig, Services]:
    """Make a hub with the whole story, whose last events are fresh at `now`."""
    config, services = open_hub(folder, **options)
    seeder = seeder_of(config, services, now - 9 * _DAY)
    tell_digits(seeder, now)
    store = seeder.services.store
    digits = store.ensure_experiment(store.get_project("digits").id, "assistant")
    tell_traces(store, digits.id, now=now)
    tell_evaluation(store, digits.id, now=now)
    tell_reviews(store, digits.id, now=now)
    tell_sweep(seeder, now)
    tell_matrix(seeder, now)
    tell_media(seeder, now)
    projects.ensure(seeder.services, "ideas", by="ben")
    seeder.services.store.close()
    return config, services


def tell_digits(seeder: Seeder, now: float) -> None:
    """Seven pushes: a first model, a gate that stops, failing tests, better ones, a broken file, one live."""
    project = projects.ensure(seeder.services, "digits", by="ada")
    lock = seeder.lock()
    first = _good(seeder, project, "First classifier: logistic regression", 0.9361, "", 0.0, lock)
    seeder.clock.at += 300
    seeder.verdict(
        first,
        VerdictLevel.BIT_EXACT,
        "Equal: 2 metrics, 40 steps, 2 outs.",
        steps_compared=40,
        metrics=exact_metrics(accuracy=0.9361),
        outs={"model/": "same bytes", "example/rows.npz": "same bytes"},
    )
    seeder.clock.at += 1.6 * _DAY
    _gated(seeder, project, "Train on 200 images only", 0.8917, "champion digits v1", 0.9361)
    seeder.clock.at += 0.5 * _DAY
    _tests_fail(seeder, project, "Shuffle before splitting")
    seeder.clock.at += 1.2 * _DAY
    best = _good(seeder, project, "Use a support vector machine", 0.9889, "champion digits v1", 0.9361, lock)
    seeder.clock.at += 0.3 * _DAY
    seeder.verdict(
        best,
        VerdictLevel.BIT_EXACT,
        "Equal: 2 metrics, 40 steps, 2 outs.",
        steps_compared=40,
        metrics=exact_metrics(accuracy=0.9889, log_loss=0.1056),
        outs={"model/": "same bytes", "example/rows.npz": "same bytes"},
    )
    _diverged(seeder, project)
    seeder.clock.at += 1.5 * _DAY
    message = 'relive.yaml has 1 problem:\n  - stages.train.neds: unknown key "neds"; the nearest is "needs"'
    broken = seeder.pipeline(
        project, "Rename a stage", P.FAILED, error=message, branch="cleanup", actor="ben", took=0.4
    )
    assert broken.number > 0
    seeder.clock.at = now - 3 * 3600
    _good(seeder, project, "Calibrate the probabilities", 0.9917, "champion digits v2", 0.9889, lock)
    seeder.clock.at = now - 41
    _running(seeder, project, "Try a random forest of 200 trees")


def tell_sweep(seeder: Seeder, now: float, count: int = 64) -> Project:
    """Runs by hand with curves: what the table and the comparison are for."""
    project = projects.ensure(seeder.services, "sentiment", by="cleo")
    seeder.clock.at = now - 4 * _DAY
    levels = [VerdictLevel.BIT_EXACT, VerdictLevel.WITHIN_TOLERANCE, VerdictLevel.DIVERGED]
    for index in range(count):
        seeder.clock.at += 2400
        chance = seeder.chance
        status = (
            RunStatus.FAILED
            if index % 17 == 5
            else RunStatus.KILLED
            if index % 29 == 11
            else RunStatus.FINISHED
        )
        rate = 10 ** chance.uniform(-4.5, -2)
        run = seeder.run(
            project,
            f"bert-small-{index:03d}",
            status,
            kind=RunKind.MANUAL,
            actor=chance.choice(["ada", "ben", "cleo"]),
            command="python finetune.py",
            commit=f"{chance.getrandbits(160):040x}",
            took=chance.uniform(200, 900),
            failure=FailureReason.OOM if status is RunStatus.FAILED else None,
            reason="killed: out of memory (8.1 GB of 8 GB)" if status is RunStatus.FAILED else "",
        )
        seeder.services.store.record_params(
            run.id,
            {
                "lr": float(f"{rate:.3g}"),
                "batch_size": chance.choice([16, 32, 64]),
                "optimizer": chance.choice(["adamw", "lion", "sgd"]),
                "dropout": round(chance.uniform(0, 0.5), 2),
                "epochs": 4,
                "seed": 500000 + index,
            },
        )
        best = 0.93 - abs(-3.2 - _log10(rate)) * 0.08 + chance.uniform(-0.02, 0.02)
        seeder.curves(run, 200, **{"val/accuracy": best, "val/loss": 1 - best, "train/loss": 0.9 - best})
        if index % 3 == 0 and status is RunStatus.FINISHED:
            level = levels[index // 3 % 3]
            seeder.verdict(run, level, texts.VERDICTS[level.value], steps_compared=200)
    return project


def tell_matrix(seeder: Seeder, now: float) -> None:
    """A matrix of twelve, a select, and a queue."""
    project = projects.ensure(seeder.services, "churn", by="ben")
    seeder.clock.at = now - 2 * _DAY
    pipeline = seeder.pipeline(project, "Sweep over models and seeds", P.SUCCEEDED, took=310, actor="ben")
    keys = [f"train[model={m}, seed={s}]" for m in ("lr", "gbm", "mlp") for s in (1, 2, 3, 4)]
    rows: list[Any] = [
        ("environment", Action.ENVIRONMENT, S.CACHED, ()),
        ("prepare", Action.RUN, S.CACHED, ("environment",)),
    ]
    more: dict[str, Any] = {}
    for index, key in enumerate(keys):
        rows.append(
            (key, Action.RUN, S.CACHED if index % 4 == 0 else S.SUCCEEDED, ("environment", "prepare"))
        )
        run = seeder.run(
            project, key, pipeline_id=pipeline.id, stage=key, actor="ben", took=22, commit=pipeline.commit
        )
        seeder.numbers(run, auc=0.81 + 0.004 * index)
        more[key] = {"run_id": run.id, "took": 22.0, "reason": f"auc {0.81 + 0.004 * index:.3f}"}
    rows += [
        ("select", Action.SELECT, S.SUCCEEDED, tuple(keys)),
        ("gate", Action.GATE, S.SUCCEEDED, ("select",)),
    ]
    more["select"] = {"reason": "train[model=mlp, seed=4]: auc 0.854, max of 12"}
    seeder.stages(pipeline, rows, **more)
    seeder.clock.at = now - 20
    waiting = seeder.pipeline(project, "Add tenure as a feature", P.RUNNING, actor="cleo", branch="tenure")
    made = seeder.stages(
        waiting,
        [
            ("environment", Action.ENVIRONMENT, S.CACHED, ()),
            ("prepare", Action.RUN, S.QUEUED, ("environment",)),
            ("train", Action.RUN, S.WAITING, ("prepare",)),
        ],
    )
    job = Job(
        id=seeder.id(),
        kind=JobKind.STAGE,
        state=JobState.QUEUED,
        pool="local",
        subject=f"stage:{made['prepare'].id}",
        project_id=project.id,
        created_at=seeder.clock.at,
    )
    seeder.services.store.put(job)


def many_runs(folder: Path, count: int, *, now: float, **options: Any) -> tuple[HubConfig, Services]:
    """Make a hub with one project of many runs."""
    config, services = open_hub(folder, **options)
    seeder = seeder_of(config, services, now - 4 * _DAY)
    tell_sweep(seeder, now, count)
    seeder.services.store.close()
    return config, services


def _good(
    seeder: Seeder, project: Project, title: str, accuracy: float, champion: str, other: float, lock: str
) -> Run:
    pipeline = seeder.pipeline(project, title, P.SUCCEEDED, environment=lock)
    loss = round(0.6 - accuracy / 2, 4)
    prepare = _stage_run(seeder, project, pipeline, "prepare", 4.0)
    data = {"data/train.npz": b"images" * 9000, "data/test.npz": b"images" * 2200}
    seeder.outs(prepare, data, "data/")
    train = _stage_run(seeder, project, pipeline, "train", 31.0, command="python train.py")
    test = _stage_run(seeder, project, pipeline, "test", 3.0)
    seeder.log(test, texts.TEST_LOG)
    seeder.log(train, texts.train_log(accuracy))
    params = {"model": "svc" if accuracy > 0.98 else "logistic", "seed": 1, "examples": 1437, "C": 8.0}
    seeder.services.store.record_params(train.id, params)
    tree = seeder.recipe(train, params, data, lock)
    seeder.services.store.record_inputs(
        [
            Input(
                run_id=train.id,
                path="data/",
                manifest=seeder.blob(tree.to_bytes()),
                origin="stage:prepare",
                source_run_id=prepare.id,
            )
        ]
    )
    seeder.numbers(train, accuracy=accuracy, log_loss=loss)
    seeder.curves(train, 40, **{"train/loss": loss})
    model = seeder.outs(
        train,
        {
            "model/model.joblib": f"weights {title}".encode() * 4000,
            "model/labels.json": json.dumps({"digits": list(range(10)), "scale": 16}).encode(),
        },
        "model/",
    )
    seeder.outs(train, {"example/rows.npz": b"rows" * 300}, "example/rows.npz")
    seeder.outs(
        train,
        {
            "reports/confusion.png": picture(),
            "reports/errors.csv": b"row,digit,predicted\n"
            + b"".join(b"%d,%d,%d\n" % (i, i % 10, (i * 3) % 10) for i in range(30)),
            "reports/notes.txt": b"<script>alert(1)</script>\nNothing unusual.\n",
        },
        "reports/",
        "report",
    )
    gates = gate_rows(accuracy, champion, other)
    tests = {
        "tests": 14,
        "passed": 14,
        "failed": 0,
        "errors": 0,
        "skipped": 0,
        "duration_s": 0.91,
        "failures": [],
    }
    version = _version(
        seeder, project, pipeline, train, model, {"accuracy": accuracy, "log_loss": loss}, lock
    )
    facts = {"commands": seeder.sha("c"), "deps.train.py": seeder.sha(title), "environment": lock}
    stages = seeder.stages(
        pipeline,
        digits_rows("csssssss" if champion else "ssssssss"),
        environment={"reason": "11 packages locked, every wheel kept", "took": 0.2 if champion else 14.0},
        build={"took": 2.1},
        test={"run_id": test.id, "reason": "14 of 14 tests passed", "result": {"tests": tests}, "took": 3.0},
        prepare={"run_id": prepare.id, "took": 4.0},
        train={
            "run_id": train.id,
            "took": 31.0,
            "reason": f"accuracy {accuracy}, log_loss {loss}",
            "cache_facts": facts,
            "cache_key": seeder.blob(title.encode()),
        },
        gate={"reason": "; ".join(g["reason"] for g in gates), "result": {"gates": gates}},
        register={
            "reason": f"digits v{version.version}, signed",
            "result": {"model_name": "digits", "version": version.version},
            "took": 5.0,
        },
        deploy={
            "reason": f"revision {version.version} passed its contract test and has the traffic",
            "result": {"endpoint": "digits"},
            "took": 6.0,
        },
    )
    for key, run in (("train", train), ("test", test), ("prepare", prepare)):
        seeder.services.store.set_run(run.id, stage_id=stages[key].id)
    _deploy(seeder, project, version, stages["deploy"])
    return train


def _stage_run(
    seeder: Seeder, project: Project, pipeline: Pipeline, stage: str, took: float, **more: Any
) -> Run:
    return seeder.run(
        project,
        f"{stage} #{pipeline.number}",
        pipeline_id=pipeline.id,
        stage=stage,
        actor="ada",
        took=took,
        commit=pipeline.commit,
        **more,
    )


def _version(
    seeder: Seeder,
    project: Project,
    pipeline: Pipeline,
    run: Run,
    model: Any,
    metrics: dict[str, float],
    lock: str,
) -> Any:
    folder = model.subtree("model")
    example = {
        "inputs": [
            {
                "name": "input-0",
                "shape": [3, 64],
                "datatype": "FP64",
                "data": [float(i % 17) for i in range(192)],
            }
        ]
    }
    contract = seeder.tree(
        {"signature.json": json.dumps({"example": example}).encode(), "expected.json": b"{}"}
    )
    new = registry.NewVersion(
        project=project,
        model="digits",
        run_id=run.id,
        manifest=seeder.blob(folder.to_bytes()),
        loader="auto",
        contract=seeder.blob(contract.to_bytes()),
        signature=_SIGNATURE,
        environment=lock,
        pipeline_id=pipeline.id,
        created_by="ada",
        metrics=metrics,
    )
    version = registry.create_version(seeder.services, new)
    version = seeder.services.store.set_version(version.id, status="promoted")
    registry.move_alias(
        seeder.services, "digits", "champion", version.version, by=f"pipeline digits #{pipeline.number}"
    )
    return version


def _deploy(seeder: Seeder, project: Project, version: Any, stage: Stage) -> None:
    store = seeder.services.store
    endpoint = store.ensure_endpoint(project.id, "digits", "digits")
    facts = {"model": "digits", "version": version.version}
    for old in store.list_revisions(endpoint.id):
        if old.id == endpoint.previous:
            store.set_revision(old.id, state=RevisionState.STOPPED)
    revision = store.create_revision(
        Revision(
            id=seeder.id(),
            endpoint_id=endpoint.id,
            number=0,
            version_id=version.id,
            state=RevisionState.READY,
            stage_id=stage.id,
            address="unix:/run/model.sock",
            facts=facts,
            created_at=seeder.clock.at + 60,
            ready_at=seeder.clock.at + 66,
        )
    )
    store.route(endpoint.id, live=revision.id, previous=endpoint.live)
    seeder.event(
        "endpoint.deployed",
        f"endpoint:{endpoint.id}",
        project.name,
        endpoint="digits",
        revision=revision.number,
        **facts,
    )


def _gated(
    seeder: Seeder, project: Project, title: str, accuracy: float, champion: str, other: float
) -> None:
    pipeline = seeder.pipeline(project, title, P.GATED, actor="ben", branch="small-data")
    train = seeder.run(
        project,
        f"train #{pipeline.number}",
        pipeline_id=pipeline.id,
        stage="train",
        actor="ben",
        commit=pipeline.commit,
    )
    seeder.numbers(train, accuracy=accuracy, log_loss=0.41)
    seeder.services.store.record_params(train.id, {"model": "logistic", "seed": 1, "examples": 200, "C": 8.0})
    seeder.log(train, texts.train_log(accuracy))
    gates = gate_rows(accuracy, champion, other)
    reason = "; ".join(g["reason"] for g in gates if not g["ok"])
    seeder.stages(
        pipeline,
        digits_rows("cccssfxx"),
        train={"run_id": train.id, "took": 8.0, "reason": f"accuracy {accuracy}"},
        gate={"reason": reason, "result": {"gates": gates}},
        register={"reason": "gate failed"},
        deploy={"reason": "gate failed, so register did not run"},
    )
    seeder.event("gate.failed", f"pipeline:{pipeline.id}", project.name, pipeline=pipeline.id, reason=reason)


def _tests_fail(seeder: Seeder, project: Project, title: str) -> None:
    pipeline = seeder.pipeline(project, title, P.FAILED, took=9)
    run = seeder.run(
        project,
        f"test #{pipeline.number}",
        RunStatus.FAILED,
        pipeline_id=pipeline.id,
        stage="test",
        actor="ada",
        commit=pipeline.commit,
        failure=FailureReason.FAILURE,
        reason="exit code 1: 1 of 14 tests failed",
        took=3.0,
    )
    seeder.log(run, texts.FAILED_TEST_LOG)
    tests = {
        "tests": 14,
        "passed": 13,
        "failed": 1,
        "errors": 0,
        "skipped": 0,
        "duration_s": 1.02,
        "failures": [["tests.test_data::test_no_image_is_in_both_splits", texts.FAILURE]],
    }
    skipped = {key: {"reason": "test failed"} for key in ("train", "gate", "register", "deploy")}
    stages = seeder.stages(
        pipeline,
        digits_rows("csfcxxxx"),
        test={
            "run_id": run.id,
            "reason": "exit code 1: 1 of 14 tests failed",
            "result": {"tests": tests},
            "took": 3.0,
        },
        **skipped,
    )
    seeder.services.store.set_run(run.id, stage_id=stages["test"].id)


def _diverged(seeder: Seeder, project: Project) -> None:
    run = seeder.run(
        project, "notebook: try dropout", kind=RunKind.MANUAL, actor="cleo", command="python try.py", took=55
    )
    seeder.curves(run, 120, **{"train/loss": 0.21, "val/accuracy": 0.95})
    seeder.recipe(run, {"dropout": 0.3}, {"data/train.npz": b"x" * 400}, "")
    difference = MetricDifference(
        key="val/accuracy",
        recorded=0.9512,
        replayed=0.9104,
        difference=0.0408,
        limit=0.02,
        relative=False,
        ok=False,
    )
    seeder.verdict(
        run,
        VerdictLevel.DIVERGED,
        "Differs first in weights:SGD#0 at step 7 (layer1.weight); outside their limit: val/accuracy.",
        metrics=(difference,),
        first_divergence=FirstDivergence(stream="weights:SGD#0", step=7, names=("layer1.weight",)),
        steps_compared=120,
        inputs_differ=("OMP_NUM_THREADS: 2 → 8",),
        outs={"model/": "differs"},
    )


def _running(seeder: Seeder, project: Project, title: str) -> None:
    pipeline = seeder.pipeline(project, title, P.RUNNING)
    train = seeder.run(
        project,
        f"train #{pipeline.number}",
        RunStatus.RUNNING,
        pipeline_id=pipeline.id,
        stage="train",
        actor="ada",
        commit=pipeline.commit,
        command="python train.py",
    )
    seeder.log(train, texts.train_log(0.5, 26).rsplit("\n", 2)[0] + "\n")
    seeder.curves(train, 26, **{"train/loss": 0.4})
    stages = seeder.stages(
        pipeline,
        digits_rows("csscrwww"),
        train={"run_id": train.id, "reason": "command"},
        test={"reason": "14 of 14 tests passed", "took": 3.0},
    )
    seeder.services.store.set_run(train.id, stage_id=stages["train"].id)


def _log10(value: float) -> float:
    import math

    return math.log10(value)
