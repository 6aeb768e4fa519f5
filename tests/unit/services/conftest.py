"""A hub without processes: real stores and repositories, and an executor that only remembers."""

import subprocess
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec
import pytest

from relive.core.artifact import Manifest, ManifestEntry
from relive.core.digest import canonical_json
from relive.core.job import Job, Pool
from relive.core.pipeline import Pipeline, Stage
from relive.core.project import Project
from relive.core.recipe import Code, Declared, EnvironmentLock, Hardware, Observed, Recipe
from relive.core.run import Artifact, FailureReason, Metric, RunStatus
from relive.hub.background import HUB_JOBS, run_hub_job
from relive.hub.keys import FileSigner
from relive.ports.executors import Launch, ProcessState
from relive.services import jobs as job_calls
from relive.services.context import HubPlace, Services
from relive.services.projects import ensure
from relive.services.pushes import Push, record_push
from relive.services.scheduling import Scheduler
from relive.stores.blobs.local import LocalBlobStore
from relive.stores.git.repositories import GitRepositories
from relive.stores.sql.store import open_store
from relive.wire.jobs import EnvironmentReport, Progress, StageReport, StageWork

IDENTITY = ["-c", "user.name=Ada", "-c", "user.email=ada@example.org"]


@dataclass
class Remembered:
    """An executor that starts nothing; a test says what becomes of each launched job."""

    launched: list[Launch] = field(default_factory=list)
    states: dict[str, str] = field(default_factory=dict)
    stopped: list[str] = field(default_factory=list)

    def launch(self, request: Launch) -> dict[str, Any]:
        """Remember what was asked."""
        self.launched.append(request)
        return {"job": request.job_id}

    def poll(self, handle: dict[str, Any]) -> ProcessState:
        """Give what the test said, else alive."""
        return ProcessState(state=self.states.get(handle["job"], "alive"))

    def stop(self, handle: dict[str, Any], *, grace_s: float = 10.0) -> None:
        """Remember who was stopped."""
        self.stopped.append(handle["job"])

    def output(self, handle: dict[str, Any], *, limit_bytes: int = 65536) -> str:
        """Give nothing: no process printed anything."""
        return ""

    def close(self) -> None:
        """Nothing to close."""


@dataclass
class Bench:
    """A hub's services, and the hands of everyone around them."""

    services: Services
    executor: Remembered
    scheduler: Scheduler
    project: Project
    work: Path

    def push(self, files: dict[str, str], *, branch: str = "main") -> Pipeline:
        """Commit files, push them into the bare repository, and plan."""
        for name, text in files.items():
            path = self.work / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
        bare = self.services.place.data_dir / "git" / f"{self.project.name}.git"
        self._git("checkout", "-q", "-B", branch)
        self._git("add", "--all")
        self._git("commit", "-q", "--allow-empty", "-m", "change")
        self._git("-c", "core.hooksPath=/dev/null", "push", "-q", "--force", str(bare), f"HEAD:{branch}")
        new = self._git("rev-parse", "HEAD")
        (job,) = record_push(
            self.services, self.project, [Push(ref=f"refs/heads/{branch}", old="", new=new)], actor="ada"
        )
        return self.plan(job)

    def plan(self, job: Job) -> Pipeline:
        """Do a PLAN job as the hub's thread would."""
        claimed = self.services.store.claim("here", pools=("hub",), kinds=(job.kind,), lease_s=60)
        assert claimed is not None
        run_hub_job(self.services, claimed, HUB_JOBS[claimed.kind])
        return self.services.store.get_pipeline(job.id)

    def tick(self) -> None:
        """Let the scheduler look twice: what the first look changes, the second sees."""
        self.scheduler.looked_at = -1e9
        self.scheduler.tick()
        self.scheduler.tick()

    def stages(self, pipeline: Pipeline) -> dict[str, Stage]:
        """Give a pipeline's stages by key."""
        return {stage.key: stage for stage in self.services.store.list_stages(pipeline.id)}

    def running(self, stage: Stage) -> tuple[Job, StageWork]:
        """Give the job that works on a stage."""
        job = self.services.store.get_job(stage.job_id)
        return job, msgspec.convert(job.payload["work"], StageWork)

    def manifest(self, digest: str) -> Manifest:
        """Read a manifest from the blob store."""
        return Manifest.from_bytes(self.services.blobs.read(digest))

    def begin(self, stage: Stage) -> None:
        """Say as the stage's runner that the command began."""
        job = self.services.store.get_job(stage.job_id)
        job_calls.progress(self.services, job.id, Progress(fence=job.fence, phase="command"))

    def resolve_environment(self, pipeline: Pipeline) -> None:
        """Report an empty environment as its runner would, if the pipeline waits for one."""
        stage = self.stages(pipeline)["environment"]
        if not stage.job_id or stage.status.is_final:
            return
        lock = EnvironmentLock(
            python="3.11.7", implementation="cpython", platform="linux_x86_64", source="", packages=()
        )
        digest = self.services.blobs.put(canonical_json(lock)).digest
        job = self.services.store.get_job(stage.job_id)
        job_calls.finish(self.services, job.id, EnvironmentReport(fence=job.fence, lock=digest))
        self.tick()

    def finish(self, stage: Stage, *, outs: dict[str, bytes] | None = None, **metrics: float) -> StageReport:
        """Report a stage's run as finished, with its outs and metrics."""
        job, work = self.running(stage)
        report = StageReport(
            fence=job.fence,
            status=RunStatus.FINISHED,
            exit_code=0,
            recipe=self._recipe(work),
            recipe_digest="blake3:" + "0" * 64,
            artifacts=tuple(self._artifact(work, path, data) for path, data in (outs or {}).items()),
            metrics=tuple(Metric(key=key, value=value) for key, value in metrics.items()),
        )
        job_calls.finish(self.services, job.id, report)
        self.tick()
        return report

    def fail(self, stage: Stage, failure: FailureReason, reason: str = "broken") -> None:
        """Report a stage's run as failed."""
        job, _ = self.running(stage)
        status = RunStatus.KILLED if failure is FailureReason.CANCELLED else RunStatus.FAILED
        job_calls.finish(
            self.services,
            job.id,
            StageReport(fence=job.fence, status=status, exit_code=1, failure=failure, reason=reason),
        )
        self.tick()

    def _recipe(self, work: StageWork) -> str:
        hardware = Hardware(
            cpu_model="x", cpu_vendor="y", cpu_flags_digest="z", cores=2, cores_allowed=2, memory_bytes=1
        )
        recipe = Recipe(
            declared=Declared(command=work.commands[0], code=Code(manifest=work.code, commit=work.commit)),
            observed=Observed(hardware=hardware),
        )
        return self.services.blobs.put(canonical_json(recipe)).digest

    def _artifact(self, work: StageWork, path: str, data: bytes) -> Artifact:
        out = next(o for o in work.outs if path == o.rstrip("/") or path.startswith(o.rstrip("/") + "/"))
        blob = self.services.blobs.put(data)
        manifest = Manifest((ManifestEntry(path=path, digest=blob.digest, size_bytes=blob.size_bytes),))
        return Artifact(
            run_id=work.run_id,
            path=out,
            manifest=self.services.blobs.put(manifest.to_bytes()).digest,
            size_bytes=blob.size_bytes,
            files=1,
        )

    def _git(self, *args: str) -> str:
        done = subprocess.run(
            ["git", *IDENTITY, *args], cwd=self.work, capture_output=True, text=True, check=True
        )
        return done.stdout.strip()


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    """A hub's services on real stores, with one project and an empty repository beside it."""
    data = tmp_path / "hub"
    data.mkdir()
    store = open_store(f"sqlite:///{data / 'relive.db'}")
    store.create_pool(Pool(name="local", executor="remembered", slots=4))
    executor = Remembered()
    services = Services(
        store=store,
        blobs=LocalBlobStore(data / "blobs"),
        repositories=GitRepositories(data / "git"),
        signer=FileSigner(data / "keys"),
        executor_of=lambda _pool: executor,
        place=HubPlace(
            owner="here", data_dir=data, local_url="http://127.0.0.1:1", public_url="http://hub", version="0"
        ),
    )
    work = tmp_path / "work"
    work.mkdir()
    subprocess.run(["git", "init", "-q", "-b", "main", str(work)], check=True)
    project = ensure(services, "digits", by="ada")
    yield Bench(services, executor, Scheduler(services), project, work)
    store.close()
