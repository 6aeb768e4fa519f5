"""A hub without processes: real stores and repositories, and an executor that only remembers."""

import secrets
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec

from relive.core.access import Caller, Scope
from relive.core.artifact import Manifest, ManifestEntry
from relive.core.digest import canonical_json
from relive.core.endpoint import Revision
from relive.core.job import Job, Pool
from relive.core.model import ModelVersion, Signature, TensorSpec
from relive.core.pipeline import Pipeline, Stage
from relive.core.project import Project
from relive.core.recipe import Code, Declared, EnvironmentLock, Hardware, Observed, Recipe
from relive.core.run import Artifact, FailureReason, Metric, Run, RunStatus
from relive.errors import ReliveError
from relive.hub.background import HUB_JOBS, run_hub_job
from relive.hub.keys import FileSigner
from relive.hub.sending import HttpSender
from relive.hub.vault import FileVault
from relive.ports.executors import Launch, ProcessState
from relive.services import jobs as job_calls
from relive.services import runs
from relive.services.context import HubPlace, Services
from relive.services.endpoints import deploy_version
from relive.services.projects import ensure
from relive.services.pushes import Push, record_push
from relive.services.registry import NewVersion, create_version
from relive.services.scheduling import Scheduler
from relive.stores.blobs.local import LocalBlobStore
from relive.stores.git.repositories import GitRepositories
from relive.stores.sql.store import open_store
from relive.wire.jobs import DescribeReport, EnvironmentReport, Progress, StageReport, StageWork
from relive.wire.runs import CreatedRun, CreateRun

IDENTITY = ["-c", "user.name=Ada", "-c", "user.email=ada@example.org"]
ADA = Caller(name="ada", scope=Scope.ADMIN)
SIGNATURE = Signature(
    inputs=(TensorSpec(name="x", datatype="FP64", shape=(-1, 2)),),
    outputs=(TensorSpec(name="predict", datatype="INT64", shape=(-1,)),),
)


@dataclass
class Remembered:
    """An executor that starts nothing; a test says what becomes of each launched job."""

    launched: list[Launch] = field(default_factory=list)
    states: dict[str, str] = field(default_factory=dict)
    details: dict[str, str] = field(default_factory=dict)
    stopped: list[str] = field(default_factory=list)
    on_poll: Callable[[], object] = lambda: None
    away: ReliveError | None = None

    def check(self) -> None:
        """Raise what the test said, as a cluster does that is away."""
        if self.away is not None:
            raise self.away

    def launch(self, request: Launch) -> dict[str, Any]:
        """Remember what was asked."""
        self.launched.append(request)
        return {"job": request.job_id}

    def poll(self, handle: dict[str, Any]) -> ProcessState:
        """Give what the test said, else alive."""
        self.on_poll()
        job = handle["job"]
        return ProcessState(state=self.states.get(job, "alive"), detail=self.details.get(job, ""))

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
        new = self.commit(files, branch=branch)
        (job,) = record_push(
            self.services, self.project, [Push(ref=f"refs/heads/{branch}", old="", new=new)], actor="ada"
        )
        return self.plan(job)

    def commit(self, files: dict[str, str], *, branch: str = "main", title: str = "change") -> str:
        """Commit files and put the branch there in the bare repository, as a push without its hook would."""
        for name, text in files.items():
            path = self.work / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
        bare = self.services.place.data_dir / "git" / f"{self.project.name}.git"
        self.git("checkout", "-q", "-B", branch)
        self.git("add", "--all")
        self.git("commit", "-q", "--allow-empty", "-m", title)
        self.git("-c", "core.hooksPath=/dev/null", "push", "-q", "--force", str(bare), f"HEAD:{branch}")
        return self.git("rev-parse", "HEAD")

    def plan(self, job: Job) -> Pipeline:
        """Do a PLAN job as the hub's thread would."""
        self.work_on(job)
        return self.services.store.get_pipeline(job.id)

    def work_on(self, job: Job) -> None:
        """Do a job of the hub's own thread, the oldest of its kind."""
        claimed = self.services.store.claim("here", pools=("hub",), kinds=(job.kind,), lease_s=60)
        assert claimed is not None
        run_hub_job(self.services, claimed, HUB_JOBS[claimed.kind])

    def tick(self) -> None:
        """Let the scheduler look twice: what the first look changes, the second sees."""
        self.scheduler.looked_at = -1e9
        self.scheduler.tick()
        self.scheduler.tick()

    def stages(self, pipeline: Pipeline) -> dict[str, Stage]:
        """Give a pipeline's stages by key."""
        return {stage.key: stage for stage in self.services.store.list_stages(pipeline.id)}

    def again(self, pipeline: Pipeline) -> Pipeline:
        """Read a pipeline again."""
        return self.services.store.get_pipeline(pipeline.id)

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
        assert not pipeline.error, pipeline.error
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

    def start(self, files: dict[str, str], *, branch: str = "main") -> Pipeline:
        """Push, and bring the pipeline to where its first stages have jobs."""
        pipeline = self.push(files, branch=branch)
        self.tick()
        self.resolve_environment(pipeline)
        return self.again(pipeline)

    def finish(self, stage: Stage, *, outs: dict[str, bytes] | None = None, **metrics: float) -> StageReport:
        """Report a stage's run as finished, with its outs and metrics."""
        job, work = self.running(stage)
        report = StageReport(
            fence=job.fence,
            status=RunStatus.FINISHED,
            exit_code=0,
            recipe=self.recipe(work.commands[0], code=work.code, commit=work.commit),
            recipe_digest="blake3:" + "0" * 64,
            artifacts=tuple(self._artifact(work, path, data) for path, data in (outs or {}).items()),
            metrics=tuple(Metric(key=key, value=value) for key, value in metrics.items()),
        )
        self.report(stage, report)
        return report

    def report(self, stage: Stage, report: StageReport) -> None:
        """Hand in a stage's report, and let the scheduler look."""
        job_calls.finish(self.services, stage.job_id, report)
        self.tick()

    def fail(self, stage: Stage, failure: FailureReason, reason: str = "broken") -> None:
        """Report a stage's run as failed."""
        job, _ = self.running(stage)
        status = RunStatus.KILLED if failure is FailureReason.CANCELLED else RunStatus.FAILED
        self.report(
            stage, StageReport(fence=job.fence, status=status, exit_code=1, failure=failure, reason=reason)
        )

    def describe(self, stage: Stage, *, error: str = "") -> None:
        """Report what a model takes and gives, as the job that loaded it would."""
        job = self.services.store.get_job(stage.job_id)
        contract = "" if error else self.services.blobs.put(Manifest(()).to_bytes()).digest
        report = DescribeReport(
            fence=job.fence,
            contract=contract,
            signature=None if error else SIGNATURE,
            loader="" if error else "joblib",
            error=error,
        )
        job_calls.finish(self.services, job.id, report)
        self.tick()

    def ready(self, revision_id: str, address: str = "unix:/nowhere/none") -> None:
        """Say as a revision's serve job that it passed its contract test."""
        revision = self.services.store.get_revision(revision_id)
        job = self.services.store.get_job(revision.job_id)
        facts = {"address": address, "pid": 1}
        job_calls.progress(self.services, job.id, Progress(fence=job.fence, phase="ready", facts=facts))
        self.tick()

    def by_hand(self, caller: Caller = ADA, **asked: Any) -> CreatedRun:
        """Make a run that no job places."""
        return runs.create(self.services, CreateRun(**{"project": self.project.name} | asked), caller)

    def finished_by_hand(self, caller: Caller = ADA, **asked: Any) -> Run:
        """Make a run by hand that has ended well, with a recipe."""
        created = self.by_hand(caller, **asked)
        report = StageReport(
            fence=0, status=RunStatus.FINISHED, exit_code=0, recipe=self.recipe("train"), recipe_digest="x"
        )
        return runs.finish(self.services, self.services.store.get_run(created.run_id), report)

    def finished_by_hand_with(self, lock: EnvironmentLock) -> Run:
        """Make a run by hand that has ended well in a locked environment."""
        environment = self.services.blobs.put(canonical_json(lock)).digest
        recipe = self.recipe("train", environment=environment)
        report = StageReport(
            fence=0, status=RunStatus.FINISHED, exit_code=0, recipe=recipe, recipe_digest="x"
        )
        return runs.finish(self.services, self.services.store.get_run(self.by_hand().run_id), report)

    def version(self, model: str = "digits", **files: bytes) -> ModelVersion:
        """Register a version of a model that has a contract; its folder holds these files."""
        run = self.finished_by_hand()
        new = NewVersion(
            project=self.project,
            model=model,
            run_id=run.id,
            manifest=self.keep(files or {"weights": secrets.token_bytes(8)}),
            loader="auto",
            contract=self.keep({"expected.json": b"[]"}),
            signature=SIGNATURE,
        )
        return create_version(self.services, new)

    def deployed(self, version: ModelVersion, endpoint: str = "digits") -> Revision:
        """Serve a version; its revision is ready and has the traffic."""
        revision = deploy_version(self.services, endpoint, version, by="ada")
        self.tick()
        self.ready(revision.id)
        return self.services.store.get_revision(revision.id)

    def recipe(self, command: str, *, code: str = "", commit: str = "", environment: str = "") -> str:
        """Keep a small recipe and give its digest."""
        hardware = Hardware(
            cpu_model="x", cpu_vendor="y", cpu_flags_digest="z", cores=2, cores_allowed=2, memory_bytes=1
        )
        recipe = Recipe(
            declared=Declared(
                command=command, code=Code(manifest=code, commit=commit), environment=environment
            ),
            observed=Observed(hardware=hardware),
        )
        return self.services.blobs.put(canonical_json(recipe)).digest

    def keep(self, files: dict[str, bytes]) -> str:
        """Store files and give the digest of their manifest."""
        kept = {path: self.services.blobs.put(data) for path, data in files.items()}
        entries = (
            ManifestEntry(path=path, digest=blob.digest, size_bytes=blob.size_bytes)
            for path, blob in sorted(kept.items())
        )
        return self.services.blobs.put(Manifest(tuple(entries)).to_bytes()).digest

    def events(self, kind: str = "") -> list[tuple[str, dict[str, Any]]]:
        """Give what happened, oldest first: kind and facts."""
        found = self.services.store.list_events(kind=kind or None, limit=1000)
        return [(event.kind, event.facts) for event in found]

    def git(self, *args: str) -> str:
        """Run git in the person's repository."""
        done = subprocess.run(
            ["git", *IDENTITY, *args], cwd=self.work, capture_output=True, text=True, check=True
        )
        return done.stdout.strip()

    def _artifact(self, work: StageWork, path: str, data: bytes) -> Artifact:
        out = next(o for o in work.outs if path == o.rstrip("/") or path.startswith(o.rstrip("/") + "/"))
        return Artifact(
            run_id=work.run_id,
            path=out,
            manifest=self.keep({path: data}),
            size_bytes=len(data),
            files=1,
        )


@contextmanager
def quick_folder() -> Iterator[Path]:
    """Give an empty folder, in memory where there is such a place.

    For tests that ask nothing about durability: waiting for a disk would take five sixths of their time.
    """
    memory = Path("/dev/shm")
    folder = Path(tempfile.mkdtemp(prefix="relive-", dir=memory if memory.is_dir() else None))
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def open_bench(folder: Path, database_url: str = "") -> Iterator[Bench]:
    """Give a hub's services on real stores, with one project and an empty repository beside it.

    Args:
        folder: Where everything lies.
        database_url: An empty database; SQLite in the folder if not given.
    """
    data = folder / "hub"
    data.mkdir()
    store = open_store(database_url or f"sqlite:///{data / 'relive.db'}")
    store.create_pool(Pool(name="local", executor="remembered", slots=4))
    executor = Remembered()
    services = Services(
        store=store,
        blobs=LocalBlobStore(data / "blobs"),
        repositories=GitRepositories(data / "git"),
        signer=FileSigner(data / "keys"),
        vault=FileVault(data / "keys" / "secrets.key"),
        sender=HttpSender(anywhere=True),
        executor_of=lambda _pool: executor,
        place=HubPlace(
            owner="here", data_dir=data, local_url="http://127.0.0.1:1", public_url="http://hub", version="0"
        ),
    )
    work = folder / "work"
    subprocess.run(["git", "init", "-q", "-b", "main", str(work)], check=True)
    try:
        yield Bench(services, executor, Scheduler(services), ensure(services, "digits", by="ada"), work)
    finally:
        store.close()
