"""A hub's data folder with a story in it, written through the real store, blobs and signer.

Everything is drawn from one seed and a clock of its own, so that pages look the same on every machine.
"""

import dataclasses
import hashlib
import json
import math
import random
import struct
import zlib
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec

from relive.core.artifact import Manifest, ManifestEntry
from relive.core.digest import canonical_json
from relive.core.endpoint import Revision, RevisionState
from relive.core.event import Event
from relive.core.gates import GateResult
from relive.core.model import ModelVersion, Signature, TensorSpec
from relive.core.pipeline import (
    Action,
    Gate,
    Pipeline,
    PipelineSpec,
    PipelineStatus,
    PlannedStage,
    Stage,
    StageSpec,
    StageStatus,
)
from relive.core.project import Project
from relive.core.recipe import (
    Code,
    DataInput,
    Declared,
    EnvironmentLock,
    Hardware,
    Interpreter,
    LoadedLibrary,
    LockedPackage,
    Observed,
    Recipe,
)
from relive.core.run import (
    Artifact,
    FailureReason,
    Input,
    Metric,
    ResourceUse,
    Run,
    RunKind,
    RunStatus,
)
from relive.core.trajectory import FirstDivergence, MetricDifference, Verdict, VerdictLevel
from relive.hub.build import build_services
from relive.hub.config import HubConfig
from relive.services import projects, registry
from relive.services.context import Services
from relive.stores.sql.store import open_store
from tests.support import seed_texts as texts

S = StageStatus


@dataclass
class Clock:
    """A clock that stands still until it is told to go on."""

    at: float

    def __call__(self) -> float:
        return self.at


@dataclass
class Seeder:
    """Writes the story; each method is a sentence of it."""

    services: Services
    clock: Clock
    chance: random.Random = field(default_factory=lambda: random.Random(7))

    # --- names, digests, blobs ---------------------------------------------------------------------------

    def id(self) -> str:
        return f"{self.chance.getrandbits(128):032x}"

    def sha(self, text: str) -> str:
        return hashlib.sha256(text.encode()).hexdigest()

    def blob(self, data: bytes) -> str:
        return self.services.blobs.put(data).digest

    def tree(self, files: dict[str, bytes]) -> Manifest:
        entries = [ManifestEntry(path=p, digest=self.blob(d), size_bytes=len(d)) for p, d in files.items()]
        return Manifest.of(entries)

    def event(self, kind: str, subject: str, project: str, actor: str = "hub", **facts: Any) -> None:
        event = Event(kind=kind, subject=subject, project=project, actor=actor, facts=facts)
        self.services.record(event)

    # --- runs --------------------------------------------------------------------------------------------

    def run(self, project: Project, name: str, status: RunStatus = RunStatus.FINISHED, **more: Any) -> Run:
        store = self.services.store
        took = more.pop("took", 30.0)
        final = status.is_final
        run = Run(
            id=self.id(),
            project_id=project.id,
            experiment_id=store.ensure_experiment(project.id, project.name).id,
            name=name,
            kind=more.pop("kind", RunKind.STAGE),
            status=status,
            created_at=self.clock.at,
            started_at=None if status is RunStatus.SCHEDULED else self.clock.at,
            ended_at=self.clock.at + took if final else None,
            usage=ResourceUse(wall_s=took, cpu_s=took * 1.7, max_rss_bytes=412_000_000) if final else None,
            exit_code=(0 if status is RunStatus.FINISHED else 1) if final else None,
            **more,
        )
        return store.create_run(run)

    def log(self, run: Run, text: str) -> None:
        data = text.encode()
        if run.status.is_final:
            self.services.store.set_run(run.id, log=self.blob(data), log_bytes=len(data))
        else:
            self.services.store.append_log(run.id, data, offset=0)

    def recipe(self, run: Run, params: dict[str, Any], data: dict[str, bytes], lock: str) -> Manifest:
        tree = self.tree(data)
        code = self.tree({"train.py": texts.TRAIN.encode(), "relive.yaml": texts.PIPELINE.encode()})
        inputs = tuple(
            DataInput(
                path=e.path,
                manifest=self.blob(tree.to_bytes()),
                size_bytes=e.size_bytes,
                origin="stage:prepare",
            )
            for e in tree.entries
        )
        declared = Declared(
            command=run.command or "python train.py",
            code=Code(
                manifest=self.blob(code.to_bytes()),
                commit=run.commit,
                branch="main",
                remote="digits",
                withheld={".env": "a secret"},
            ),
            env={"PYTHONHASHSEED": "0", "OMP_NUM_THREADS": "2"},
            environment=lock,
            params=params,
            data=inputs,
            outs=("model/", "example/rows.npz"),
            metrics_files=("metrics.json",),
        )
        observed = Observed(
            hardware=Hardware(
                cpu_model="AMD EPYC 7763",
                cpu_vendor="AuthenticAMD",
                cpu_flags_digest="1f2e",
                cores=8,
                cores_allowed=2,
                memory_bytes=25_769_803_776,
                kernel="6.8.0",
                os="Debian GNU/Linux 12",
                libc="glibc 2.36",
            ),
            interpreter=Interpreter(
                version="3.11.9", implementation="cpython", executable_sha256=self.sha("python")
            ),
            libraries=tuple(
                LoadedLibrary(path=f"/usr/lib/{name}", soname=name, build_id=self.sha(name)[:40])
                for name in ("libopenblas.so.0", "libgomp.so.1", "libc.so.6", "libstdc++.so.6")
            ),
            variables={"LANG": "C.UTF-8", "TZ": "UTC"},
            threads=({"internal_api": "openblas", "num_threads": 2, "version": "0.3.27"},),
            random={"python": "seeded", "numpy": 1},
            isolation="bubblewrap",
            notes=("Files read by libraries were seen through the audit hook only.",),
        )
        recipe = Recipe(declared=declared, observed=observed)
        digest = self.blob(canonical_json(recipe))
        name = self.blob(canonical_json(declared))
        self.services.store.set_run(run.id, recipe=digest, recipe_digest=name)
        return tree

    def lock(self) -> str:
        packages = tuple(
            LockedPackage(
                name=name,
                version=version,
                filename=f"{name}-{version}-py3-none-any.whl",
                sha256=self.sha(name),
                size_bytes=1_200_000,
                blob=self.blob(name.encode()),
            )
            for name, version in texts.PACKAGES
        )
        lock = EnvironmentLock(
            python="3.11.9",
            implementation="cpython",
            platform="linux_x86_64",
            source="requirements.txt",
            packages=packages,
        )
        return self.blob(canonical_json(lock))

    def outs(self, run: Run, files: dict[str, bytes], path: str, kind: str = "out") -> Manifest:
        tree = self.tree(files)
        digest = self.blob(tree.to_bytes())
        artifact = Artifact(
            run_id=run.id,
            path=path,
            manifest=digest,
            size_bytes=tree.size_bytes,
            files=tree.n_files,
            kind=kind,
        )
        self.services.store.record_artifact(artifact)
        return tree

    def curves(self, run: Run, steps: int, **ends: float) -> None:
        for key, end in ends.items():
            rising = end > 0.5 and "loss" not in key
            pace = 4 / steps * self.chance.uniform(0.7, 1.5)
            points = []
            for step in range(steps):
                decay = math.exp(-pace * step)
                noise = self.chance.gauss(0, 0.012) * (1 + decay)
                value = end * (1 - decay) + noise if rising else end + (2.3 - end) * decay + abs(noise)
                points.append(Metric(key, value, step, self.clock.at + step))
            self.services.store.record_metrics(run.id, points)

    def numbers(self, run: Run, **values: float) -> None:
        points = [Metric(key, value, 0, self.clock.at) for key, value in values.items()]
        self.services.store.record_metrics(run.id, points)

    def verdict(self, run: Run, level: VerdictLevel, reason: str, **more: Any) -> None:
        verdict = Verdict(id=self.id(), level=level, run_id=run.id, reason=reason, at=self.clock.at, **more)
        self.services.store.record_verdict(verdict)
        project = self.services.store.get_project(run.project_id).name
        self.event("replay.judged", f"run:{run.id}", project, "ada", level=level.value, reason=reason)

    # --- pipelines ---------------------------------------------------------------------------------------

    def pipeline(self, project: Project, title: str, status: PipelineStatus, **more: Any) -> Pipeline:
        commit = self.sha(f"{project.name}{title}")[:40]
        took = more.pop("took", 70.0)
        ref = f"refs/heads/{more.pop('branch', 'main')}"
        pipeline = Pipeline(
            id=self.id(),
            project_id=project.id,
            number=0,
            commit=commit,
            ref=ref,
            trigger="push",
            actor=more.pop("actor", "ada"),
            status=status,
            title=title,
            spec=PipelineSpec(stages=(StageSpec(name="gate", gates=(Gate(metric="accuracy", min=0.9),)),)),
            created_at=self.clock.at,
            started_at=self.clock.at,
            ended_at=self.clock.at + took if status.is_final else None,
            **more,
        )
        created = self.services.store.create_pipeline(pipeline)
        self.event("push", f"project:{project.id}", project.name, pipeline.actor, branch=ref[11:], new=commit)
        facts: dict[str, Any] = {"number": created.number, "commit": commit, "title": title}
        self.event("pipeline.started", f"pipeline:{created.id}", project.name, pipeline.actor, **facts)
        if status.is_final:
            self.clock.at += took
            self.event(f"pipeline.{status.value}", f"pipeline:{created.id}", project.name, **facts)
            self.clock.at -= took
        return created

    def stages(
        self, pipeline: Pipeline, rows: list[tuple[str, Action, StageStatus, tuple[str, ...]]], **more: Any
    ) -> dict[str, Stage]:
        """Write stages; `more` holds changes by key."""
        made, at = [], self.clock.at
        for position, (key, action, status, needs) in enumerate(rows):
            name = key.partition("[")[0].partition(":")[0]
            changes = dict(more.get(key, {}))
            took = changes.pop("took", 9.0 if action is Action.RUN else 0.6)
            began = status not in (S.WAITING, S.QUEUED, S.SKIPPED)
            planned = PlannedStage(key=key, name=name, action=action, spec=StageSpec(name=name), needs=needs)
            made.append(
                Stage(
                    id=self.id(),
                    pipeline_id=pipeline.id,
                    key=key,
                    name=name,
                    action=action,
                    status=status,
                    planned=planned,
                    position=position,
                    attempts=int(began),
                    queued_at=at if began else None,
                    started_at=at if began else None,
                    ended_at=at + took if status.is_final else None,
                    **changes,
                )
            )
            if status.is_final and began:
                at += took
        self.services.store.create_stages(made)
        return {stage.key: stage for stage in made}


def digits_rows(marks: str) -> list[tuple[str, Action, StageStatus, tuple[str, ...]]]:
    """Give the digits pipeline's graph; `marks` has a letter a stage, in the order below."""
    words = {
        "s": S.SUCCEEDED,
        "c": S.CACHED,
        "f": S.FAILED,
        "x": S.SKIPPED,
        "r": S.RUNNING,
        "q": S.QUEUED,
        "w": S.WAITING,
    }
    graph = [
        ("environment", Action.ENVIRONMENT, ()),
        ("build", Action.RUN, ("environment",)),
        ("test", Action.RUN, ("environment",)),
        ("prepare", Action.RUN, ("environment", "build")),
        ("train", Action.RUN, ("environment", "test", "build", "prepare")),
        ("gate", Action.GATE, ("train",)),
        ("register", Action.REGISTER, ("gate",)),
        ("deploy", Action.DEPLOY, ("register",)),
    ]
    return [
        (key, action, words[mark], needs) for (key, action, needs), mark in zip(graph, marks, strict=True)
    ]


def gate_rows(accuracy: float, champion: str, other: float) -> list[dict[str, Any]]:
    """Give what the two gates of digits found."""
    passed = accuracy >= 0.9
    delta = accuracy - other
    first = GateResult(
        name="accuracy ≥ 0.9",
        ok=passed,
        value=accuracy,
        limit=0.9,
        other=None,
        reason=f"accuracy {accuracy:.4f} {'≥' if passed else '<'} 0.9 (min)",
    )
    side = "above" if delta >= 0 else "below"
    second = GateResult(
        name="accuracy vs champion",
        ok=delta >= -0.005,
        value=accuracy,
        limit=-0.005,
        other=other,
        reason=f"accuracy {accuracy:.4f} is {abs(delta):.4f} {side} {champion} ({other:.4f})"
        + ("" if delta >= -0.005 else "; at most 0.005 is allowed"),
    )
    rows = [first, second] if champion else [first]
    return [msgspec.to_builtins(row) for row in rows]


def exact_metrics(**values: float) -> tuple[MetricDifference, ...]:
    """Give metrics that a replay gave bit by bit."""
    return tuple(
        MetricDifference(key=k, recorded=v, replayed=v, difference=0.0, limit=0.02, relative=False, ok=True)
        for k, v in values.items()
    )


def picture(width: int = 96, height: int = 64) -> bytes:
    """Draw a small PNG."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    rows = b"".join(
        b"\0" + bytes((40 + 160 * x // width) ^ (90 * ((x // 12 + y // 12) % 2)) for x in range(width))
        for y in range(height)
    )
    head = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", head)
        + chunk(b"IDAT", zlib.compress(rows))
        + chunk(b"IEND", b"")
    )


def open_hub(folder: Path, **options: Any) -> tuple[HubConfig, Services]:
    """Give a hub's services on a new data folder."""
    config = HubConfig(data_dir=folder, **options)
    return config, build_services(config)


def seeder_of(config: HubConfig, services: Services, start: float) -> Seeder:
    """Give a seeder whose store tells its clock's time."""
    clock = Clock(start)
    store = open_store(config.database_url, clock=clock)
    return Seeder(dataclasses.replace(services, store=store), clock)


__all__ = [
    "Clock",
    "FailureReason",
    "FirstDivergence",
    "Input",
    "ModelVersion",
    "Revision",
    "RevisionState",
    "Seeder",
    "Signature",
    "TensorSpec",
    "digits_rows",
    "exact_metrics",
    "gate_rows",
    "json",
    "open_hub",
    "picture",
    "projects",
    "registry",
    "seeder_of",
]
