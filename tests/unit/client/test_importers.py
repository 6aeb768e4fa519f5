"""Runs from elsewhere: read from what their trackers wrote, sent once, nothing lost."""

import hashlib
import json
import math
import sqlite3
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from relive.client import exporting
from relive.client.importers.folder import ExportedFolder
from relive.client.importers.foreign import ForeignRun
from relive.client.importers.mlflow_files import MlflowDatabase, MlflowFolder, open_files
from relive.client.importers.receive import PARENT_TAG, SOURCE_TAG, receive
from relive.client.importers.tensorboard import TensorboardFolder
from relive.client.importers.wandb import WandbFolder
from relive.core.artifact import Manifest
from relive.core.run import Artifact, Metric, MetricSummary, Run, RunKind, RunStatus
from relive.core.series import Points
from relive.errors import InvalidInput, NotFound
from relive.wire.hub import RunDetail
from relive.wire.jobs import StageReport
from relive.wire.runs import CreatedRun, CreateRun
from tests.support.foreign import event, field, items, scalar, tensor, write_events, write_wandb


class Kept:
    """One run in the hub below."""

    def __init__(self, asked: CreateRun, run_id: str) -> None:
        self.id = run_id
        self.asked = asked
        self.status = RunStatus.RUNNING
        self.points: dict[str, None] = {}
        self.metrics: list[Metric] = []
        self.batches: set[str] = set()
        self.params: dict[str, Any] = {}
        self.tags: dict[str, str] = {}
        self.report: StageReport | None = None

    def records(
        self,
        batch: str,
        metrics: tuple[Metric, ...] = (),
        params: dict[str, Any] | None = None,
        tags: dict[str, str] | None = None,
    ) -> None:
        self.params |= params or {}
        self.tags |= tags or {}
        if batch in self.batches:
            return
        self.batches.add(batch)
        for it in metrics:
            if repr(it) not in self.points:
                self.points[repr(it)] = None
                self.metrics.append(it)

    def finish(self, report: StageReport) -> None:
        assert self.status is RunStatus.RUNNING or self.status is report.status
        self.status, self.report = report.status, report


class Hub:
    """The hub as importing and exporting see it."""

    def __init__(self) -> None:
        self.kept: dict[str, Kept] = {}
        self.bytes: dict[str, bytes] = {}
        self.trees: dict[str, tuple[Path, Manifest]] = {}

    @property
    def blobs(self) -> Any:
        return self

    def create_run(self, request: CreateRun) -> CreatedRun:
        if request.resume:
            self.kept[request.resume].status = RunStatus.RUNNING
            return CreatedRun(run_id=request.resume)
        run_id = hashlib.sha256(f"{request.project}{request.key}".encode()).hexdigest()[:32]
        self.kept.setdefault(run_id, Kept(request, run_id))
        return CreatedRun(run_id=run_id, name=request.name)

    def run(self, run_id: str) -> Any:
        return self.kept[run_id]

    def set_tags(self, run_id: str, tags: dict[str, str]) -> None:
        self.kept[run_id].tags |= tags

    def put_bytes(self, data: bytes) -> str:
        digest = "blake3:" + hashlib.sha256(data).hexdigest()
        self.bytes[digest] = data
        return digest

    def get_bytes(self, digest: str) -> bytes:
        return self.bytes[digest]

    def put_tree(self, root: Path, manifest: Manifest) -> str:
        for entry in manifest.entries:
            self.bytes[entry.digest] = (root / entry.path).read_bytes()
        digest = self.put_bytes(manifest.to_bytes())
        self.trees[digest] = (root, manifest)
        return digest

    def materialise(self, manifest: Any, target: Path) -> Manifest:
        _, found = self.trees[manifest]
        for entry in found.entries:
            (target / entry.path).parent.mkdir(parents=True, exist_ok=True)
            (target / entry.path).write_bytes(self.bytes[entry.digest])
        return found

    def get_run(self, run_id: str) -> RunDetail:
        kept = self.kept[run_id]
        report = kept.report or StageReport(fence=0, status=kept.status)
        counts: dict[str, int] = {}
        for it in kept.metrics:
            counts[it.key] = counts.get(it.key, 0) + 1
        summary = {"last": 0.0, "last_step": 0, "min": 0.0, "max": 0.0, "first": 0.0, "at": 0.0}
        return RunDetail(
            run=Run(
                id=run_id,
                project_id="p",
                experiment_id="e",
                name=kept.asked.name,
                kind=RunKind.CLIENT,
                status=kept.status,
                reason=report.reason,
                command=kept.asked.command,
                commit=kept.asked.commit,
                started_at=kept.asked.started_at,
                ended_at=report.ended_at,
                recipe=report.recipe,
                recipe_digest=report.recipe_digest,
                trajectory=report.trajectory,
                log=report.log,
                log_bytes=report.log_bytes,
            ),
            project=kept.asked.project,
            experiment=kept.asked.experiment,
            url="",
            metrics=tuple(
                MetricSummary(run_id=run_id, key=key, count=count, **summary)  # type: ignore[arg-type]
                for key, count in sorted(counts.items())
            ),
            params=kept.params,
            tags=kept.tags,
            artifacts=report.artifacts,
        )

    def each_run(self, project: str) -> Iterator[Run]:
        for it in list(self.kept.values()):
            if it.asked.project == project:
                yield self.get_run(it.id).run

    def get_points(self, run_id: str, key: str) -> Points:
        from array import array

        found = [it for it in self.kept[run_id].metrics if it.key == key]
        return Points(
            array("q", [it.step for it in found]),
            array("d", [it.at for it in found]),
            array("d", [it.value for it in found]),
        )

    def read_log(self, run_id: str) -> Iterator[bytes]:
        report = self.kept[run_id].report
        assert report is not None
        yield self.bytes[report.log]

    def by_name(self) -> dict[str, Kept]:
        return {it.asked.name: it for it in self.kept.values()}

    def files(self, artifact: Artifact) -> dict[str, bytes]:
        return {it.path: self.bytes[it.digest] for it in self.trees[artifact.manifest][1].entries}


@pytest.fixture
def hub():
    return Hub()


def artifacts(hub: Hub, kept: Kept) -> dict[str, dict[str, bytes]]:
    assert kept.report is not None
    return {it.path: hub.files(it) for it in kept.report.artifacts}


def ids(hub: Hub) -> Iterator[str]:
    return (run.id for run in hub.each_run("p"))


class Given:
    """A source of runs that a test made."""

    name = "given"

    def __init__(self, *runs: ForeignRun) -> None:
        self.given = runs

    def runs(self) -> Iterator[ForeignRun]:
        yield from self.given


def points(*values: float) -> Any:
    return lambda: (Metric("x", value, step, 1.0) for step, value in enumerate(values))


class TestReceive:
    """Sending what a source has."""

    def test_done_again_nothing_changes_and_what_is_new_is_added(self, hub):
        run = ForeignRun(key="1", name="a", status=RunStatus.KILLED, metrics=points(1, 2), params={"p": 1})
        (first,) = receive(hub, Given(run), "p")
        (again,) = receive(hub, Given(run), "p")
        assert (first.sent, first.stored, again.stored, len(hub.kept)) == (2, 2, 2, 1)
        grown = ForeignRun(key="1", name="a", metrics=points(1, 2, 3))
        (more,) = receive(hub, Given(grown), "p")
        assert (more.sent, more.stored, more.is_whole) == (3, 3, True)
        assert hub.kept[more.run_id].status is RunStatus.FINISHED

    def test_equal_points_are_counted_and_what_is_missing_is_seen(self, hub):
        twice = ForeignRun(key="1", metrics=lambda: iter([Metric("x", math.nan, 0, 1.0)] * 3))
        (received,) = receive(hub, Given(twice), "p")
        assert (received.sent, received.stored, received.repeated, received.is_whole) == (3, 1, 2, True)
        hub.kept[received.run_id].metrics.clear()
        (lost,) = receive(hub, Given(twice), "p")
        assert not lost.is_whole

    def test_a_child_names_its_parent_by_the_id_it_has_now(self, hub):
        child = ForeignRun(key="c", name="child", parent="q", tags={PARENT_TAG: "q"})
        receive(hub, Given(child, ForeignRun(key="q", name="parent")), "p")
        found = hub.by_name()
        assert found["child"].tags == {PARENT_TAG: found["parent"].id, SOURCE_TAG: "given#c"}


class TestMlflow:
    """What MLflow leaves on a disk."""

    def folder(self, root: Path) -> Path:
        run = root / "mlruns/1/abc"
        (run / "artifacts/model").mkdir(parents=True)
        (run / "artifacts/model/weights.bin").write_bytes(b"weights")
        (run / "artifacts/top.txt").write_text("top")
        for part, name, text in (
            ("metrics", "train/loss", "1000 0.5 0\n2000 nan 1\n3500 -inf 1\n"),
            ("params", "lr", "0.1"),
            ("tags", "mlflow.user", "ada"),
        ):
            (run / part / name).parent.mkdir(parents=True, exist_ok=True)
            (run / part / name).write_text(text)
        (root / "mlruns/1/meta.yaml").write_text("name: sizes\nexperiment_id: '1'\nlifecycle_stage: active\n")
        (run / "meta.yaml").write_text(
            "run_id: abc\nrun_name: first\nstatus: 3\nstart_time: 1000\nend_time: 61000\n"
            "lifecycle_stage: active\nartifact_uri: file:///elsewhere/artifacts\n"
        )
        return root

    def test_a_folder_is_read_whole(self, hub, tmp_path):
        source = open_files(self.folder(tmp_path))
        assert isinstance(source, MlflowFolder)
        (received,) = receive(hub, source, "p")
        kept = hub.kept[received.run_id]
        assert (received.sent, received.stored, received.artifacts) == (3, 3, 2)
        assert (kept.asked.name, kept.asked.experiment, kept.asked.started_at) == ("first", "sizes", 1.0)
        assert kept.params == {"lr": "0.1"}
        assert kept.tags["mlflow.user"] == "ada"
        assert [(it.key, it.step, it.at) for it in kept.metrics] == [
            ("train/loss", 0, 1.0),
            ("train/loss", 1, 2.0),
            ("train/loss", 1, 3.5),
        ]
        assert math.isnan(kept.metrics[1].value)
        assert kept.report is not None
        assert (kept.report.status, kept.report.ended_at) == (RunStatus.FINISHED, 61.0)
        assert artifacts(hub, kept) == {
            "model": {"weights.bin": b"weights"},
            "top.txt": {"top.txt": b"top"},
        }

    def test_what_was_deleted_stays_behind_and_a_broken_line_is_named(self, tmp_path):
        root = self.folder(tmp_path)
        meta = root / "mlruns/1/abc/meta.yaml"
        (root / "mlruns/1/abc/metrics/bad").write_text("1000 half\n")
        (run,) = open_files(root / "mlruns").runs()
        with pytest.raises(InvalidInput, match="bad, line 1"):
            list(run.metrics())
        meta.write_text(meta.read_text().replace("active", "deleted"))
        assert list(open_files(root).runs()) == []
        with pytest.raises(NotFound):
            open_files(tmp_path / "mlruns/1/abc/params")

    def test_a_database_is_read_whole(self, hub, tmp_path):
        path = tmp_path / "mlflow.db"
        with sqlite3.connect(path) as database:
            database.executescript(
                "CREATE TABLE experiments (experiment_id INTEGER, name TEXT, lifecycle_stage TEXT);"
                "CREATE TABLE runs (run_uuid TEXT, name TEXT, status TEXT, start_time INTEGER,"
                " end_time INTEGER, lifecycle_stage TEXT, artifact_uri TEXT, experiment_id INTEGER);"
                "CREATE TABLE metrics (key TEXT, value REAL, timestamp INTEGER, step INTEGER, is_nan INTEGER,"
                " run_uuid TEXT);"
                "CREATE TABLE params (key TEXT, value TEXT, run_uuid TEXT);"
                "CREATE TABLE tags (key TEXT, value TEXT, run_uuid TEXT);"
                "INSERT INTO experiments VALUES (1, 'sizes', 'active');"
                "INSERT INTO runs VALUES ('abc', 'first', 'RUNNING', 1000, NULL, 'active',"
                " 'mlflow-artifacts:/1/abc/artifacts', 1),"
                " ('def', 'gone', 'FINISHED', 1, 2, 'deleted', '', 1);"
                "INSERT INTO metrics VALUES ('x', 0.5, 1500, 3, 0, 'abc'), ('x', 0, 1600, 4, 1, 'abc');"
                "INSERT INTO params VALUES ('lr', '0.1', 'abc'); INSERT INTO tags VALUES ('k', NULL, 'abc');"
            )
        database.close()
        source = open_files(tmp_path)
        assert isinstance(source, MlflowDatabase)
        (received,) = receive(hub, source, "p")
        assert "which is not on this machine" in received.note
        kept = hub.kept[received.run_id]
        first = kept.metrics[0]
        assert (first.value, first.step, first.at) == (0.5, 3, 1.5)
        assert math.isnan(kept.metrics[1].value)
        assert (kept.params, kept.tags["k"], kept.status) == ({"lr": "0.1"}, "", RunStatus.KILLED)
        assert kept.report is not None
        assert "had not ended" in kept.report.reason
        (tmp_path / "mlartifacts/1/abc/artifacts").mkdir(parents=True)
        (tmp_path / "mlartifacts/1/abc/artifacts/a.txt").write_text("a")
        (received,) = receive(hub, open_files(path), "other")
        assert (received.note, received.artifacts) == ("", 1)

    def test_a_file_of_something_else_is_named(self, tmp_path):
        path = tmp_path / "mlflow.db"
        path.write_text("no database, but long enough to be read as one")
        with pytest.raises(InvalidInput, match=r"mlflow\.db"):
            list(open_files(path).runs())


class TestTensorboard:
    """Event files."""

    def test_scalars_of_both_kinds_with_their_times(self, hub, tmp_path):
        packed = field(1, 1) + field(4, struct.pack("<f", 0.25))
        listed = field(1, 2) + field(6, struct.pack("<d", 0.125))
        write_events(
            tmp_path / "logs/train/events.out.tfevents.1.host",
            [
                field(1, 10.0) + field(3, "brain.Event:2"),
                event(1, 11.5, scalar("loss", 0.5), tensor("acc", "scalars", packed)),
                event(-2, 12.5, scalar("loss", math.nan), tensor("f1", "scalars", listed)),
            ],
        )
        (received,) = receive(hub, TensorboardFolder(tmp_path / "logs"), "p")
        kept = hub.kept[received.run_id]
        assert (kept.asked.name, received.sent, received.stored) == ("train", 4, 4)
        assert [(it.key, it.value, it.step, it.at) for it in kept.metrics if it.value == it.value] == [
            ("loss", 0.5, 1, 11.5),
            ("acc", 0.25, 1, 11.5),
            ("f1", 0.125, -2, 12.5),
        ]
        assert (kept.asked.started_at, kept.report.ended_at if kept.report else 0) == (11.5, 12.5)

    def test_a_record_that_was_cut_off_ends_its_file_and_the_next_file_goes_on(self, hub, tmp_path):
        first = tmp_path / "events.out.tfevents.1"
        write_events(first, [event(0, 1.0, scalar("x", 1.0)), event(1, 2.0, scalar("x", 2.0))])
        first.write_bytes(first.read_bytes()[:-9])
        write_events(tmp_path / "events.out.tfevents.2", [event(2, 3.0, scalar("x", 3.0))])
        (received,) = receive(hub, TensorboardFolder(tmp_path), "p")
        assert [it.step for it in hub.kept[received.run_id].metrics] == [0, 2]

    def test_media_and_hyperparameters(self, hub, tmp_path):
        params = field(1, "lr") + field(2, field(2, 0.5)), field(1, "opt") + field(2, field(3, "adam"))
        session = field(3, b"".join(field(1, it) for it in params))
        hparams = field(1, "_hparams_") + field(9, field(1, field(1, "hparams") + field(2, session)))
        histogram = field(1, 0.0) + field(2, 2.0)
        for number, row in ((6, (1.0, 2.0)), (7, (3.0, 4.0))):
            histogram += field(number, struct.pack("<2d", *row))
        png = b"\x89PNG rest"
        write_events(
            tmp_path / "events.out.tfevents.1",
            [
                event(0, 1.0, hparams),
                event(
                    3,
                    2.0,
                    field(1, "note")
                    + field(8, field(1, 7) + field(8, "hello"))
                    + field(9, field(1, field(1, "text"))),
                ),
                event(4, 3.0, field(1, "img") + field(4, field(1, 1) + field(4, png))),
                event(5, 4.0, field(1, "h") + field(5, histogram)),
            ],
        )
        (received,) = receive(hub, TensorboardFolder(tmp_path), "p")
        kept = hub.kept[received.run_id]
        assert kept.params == {"lr": 0.5, "opt": "adam"}
        files = artifacts(hub, kept)["relive.media"]
        (index,) = [data for name, data in files.items() if name.startswith("index-")]
        lines = [json.loads(it) for it in index.splitlines()]
        assert [(it["name"], it["kind"], it["step"], it["at"]) for it in lines] == [
            ("note", "text", 3, 2.0),
            ("img", "image", 4, 3.0),
            ("h", "histogram", 5, 4.0),
        ]
        assert (files[lines[0]["file"]], files[lines[1]["file"]]) == (b"hello", png)
        assert (lines[2]["counts"], lines[2]["edges"]) == ([3.0, 4.0], [0.0, 1.0, 2.0])

    def test_a_folder_without_any_is_named(self, tmp_path):
        with pytest.raises(NotFound, match="event file"):
            TensorboardFolder(tmp_path)


class TestWandb:
    """Offline files."""

    def records(self) -> list[bytes]:
        run = (field(1, "abc1") + field(3, "proj") + field(4, items(1, {"lr": "0.1", "_wandb": "{}"}))) + (
            field(8, "first")
            + field(9, "notes")
            + field(10, "short")
            + field(17, field(1, 100) + field(2, 500_000_000))
        )
        return [
            field(17, run),
            field(5, items(1, {"m": '{"d": 3}'})),
            field(2, items(1, {"loss": "0.5", "_step": "0", "_timestamp": "101.5", "_runtime": "1"})),
            field(
                2,
                items(1, {"loss": "NaN", "text": '"x"', "big": json.dumps("y" * 70_000)})
                + field(2, field(1, 7)),
            ),
            field(7, field(2, field(1, 103)) + items(3, {"cpu": "12.5"})),
            field(3, items(1, {"best": '"good"', "loss": "0.5"})),
            field(18, field(1, 0)),
        ]

    def test_a_run_is_read_whole_over_blocks(self, hub, tmp_path):
        folder = tmp_path / "wandb/offline-run-1-abc1"
        write_wandb(folder / "run-abc1.wandb", self.records())
        (folder / "files").mkdir()
        (folder / "files/output.log").write_text("said\n")
        (received,) = receive(hub, WandbFolder(tmp_path / "wandb"), "p")
        kept = hub.kept[received.run_id]
        assert (kept.asked.name, kept.asked.experiment, kept.asked.started_at) == ("first", "proj", 100.5)
        assert kept.params == {"lr": 0.1, "m.d": 3}
        assert kept.tags | {SOURCE_TAG: ""} == {
            "short": "true",
            "mlflow.note.content": "notes",
            "summary.best": "good",
            SOURCE_TAG: "",
        }
        assert [(it.key, it.step, it.at) for it in kept.metrics] == [
            ("loss", 0, 101.5),
            ("loss", 7, 100.5),
            ("system/cpu", 0, 103.0),
        ]
        assert kept.report is not None
        assert (kept.report.status, kept.report.ended_at) == (RunStatus.FINISHED, 103.0)
        assert hub.bytes[kept.report.log] == b"said\n"

    def test_a_run_that_was_killed_ends_where_its_file_does(self, hub, tmp_path):
        write_wandb(tmp_path / "run-a.wandb", self.records())
        path = tmp_path / "run-a.wandb"
        path.write_bytes(path.read_bytes()[:300])
        (received,) = receive(hub, WandbFolder(tmp_path), "p")
        assert received.sent == 1
        assert hub.kept[received.run_id].status is RunStatus.KILLED

    def test_a_file_of_something_else_is_named(self, tmp_path):
        (tmp_path / "a.wandb").write_bytes(b"something else")
        with pytest.raises(InvalidInput, match=r"a\.wandb"):
            list(WandbFolder(tmp_path).runs())


class TestExport:
    """Out and back."""

    def test_everything_comes_back_as_it_was(self, hub, tmp_path):
        def lay_model(folder: Path) -> None:
            (folder / "m").mkdir()
            (folder / "m/a.bin").write_bytes(b"\0")

        run = ForeignRun(
            key="1",
            name="first",
            experiment="sizes",
            status=RunStatus.FAILED,
            reason="out of memory",
            started_at=1.5,
            ended_at=2.5,
            command="python x.py",
            commit="c" * 40,
            params={"lr": 0.1, "layers": [1, 2], "name": "ä"},
            tags={"who": "me"},
            metrics=points(0.1, math.nan, math.inf, -0.0, 1e-300),
            lay_files=lay_model,
            log=b"printed\n",
            documents={"recipe": b"{}", "trajectory": b'{"steps": []}'},
            recipe_digest="blake3:" + "a" * 64,
        )
        receive(hub, Given(run), "p")
        target = tmp_path / "out"
        assert exporting.export(hub, ids(hub), target) == 1
        assert exporting.export(hub, ids(hub), target) == 0
        other = Hub()
        (received,) = receive(other, ExportedFolder(target), "p2")
        assert received.is_whole
        before, after = hub.get_run(next(iter(hub.kept))), other.get_run(received.run_id)
        for name in ("params", "tags", "experiment", "metrics"):
            left, right = getattr(before, name), getattr(after, name)
            assert repr(left).replace(before.run.id, "") == repr(right).replace(after.run.id, ""), name
        assert [repr(it) for it in hub.kept[before.run.id].metrics] == [
            repr(it) for it in other.kept[after.run.id].metrics
        ]
        for name in (
            "name",
            "status",
            "reason",
            "started_at",
            "ended_at",
            "command",
            "commit",
            "recipe_digest",
        ):
            assert getattr(before.run, name) == getattr(after.run, name), name
        assert [(it.path, it.manifest, it.kind) for it in before.artifacts] == [
            (it.path, it.manifest, it.kind) for it in after.artifacts
        ]
        for name in ("log", "recipe", "trajectory"):
            assert getattr(before.run, name) == getattr(after.run, name)

    def test_a_folder_of_something_else_and_a_newer_form_are_named(self, hub, tmp_path):
        with pytest.raises(NotFound, match="export"):
            ExportedFolder(tmp_path)
        receive(hub, Given(ForeignRun(key="1", name="a")), "p")
        exporting.export(hub, ids(hub), tmp_path)
        (path,) = tmp_path.glob("runs/*/run.json")
        path.write_text(path.read_text().replace("relive.export/1", "relive.export/9"))
        with pytest.raises(InvalidInput, match=r"relive\.export/9"):
            list(ExportedFolder(tmp_path).runs())

    def test_an_export_that_was_cut_off_leaves_no_half_of_a_run(self, hub, tmp_path, monkeypatch):
        receive(hub, Given(ForeignRun(key="1", name="a")), "p")
        monkeypatch.setattr(exporting, "_write_documents", lambda *args: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            exporting.export(hub, ids(hub), tmp_path)
        assert list((tmp_path / "runs").iterdir()) == []
