"""The `environment` action: the lock that every command of the pipeline runs in."""

import platform
import sysconfig

import msgspec

from relive.core.job import Job, JobKind, JobState
from relive.core.pipeline import EnvSpec, Stage, StageStatus
from relive.core.run import FailureReason
from relive.errors import EnvironmentFailed, ReliveError
from relive.formats.locks import environment_files, environment_key
from relive.services.context import Services
from relive.services.ids import new_id
from relive.services.inputs import keep_manifest, load_manifest, select_paths
from relive.services.registry import load_environment
from relive.services.stages.outcome import fail, refuse, retry_or_fail, succeed
from relive.services.view import PipelineView
from relive.wire.jobs import EnvironmentWork


def start(services: Services, view: PipelineView, stage: Stage) -> None:
    """Take the lock that is known for these files, or queue a job that resolves them."""
    env = view.pipeline.spec.env if view.pipeline.spec else EnvSpec()
    try:
        services.store.get_pool(_pool(view))  # else nobody would ever take its job
        keys = _keys(services, view, env)
    except ReliveError as error:
        refuse(services, stage, error)
        return
    found = (lock for key in keys if (lock := services.store.find_environment(key)))
    known = next((lock for lock in found if is_whole(services, lock)), None)
    if known is not None:
        _use(services, view, stage, known, status=StageStatus.CACHED, reason="resolved and kept before")
        return
    job = Job(
        id=new_id(),
        kind=JobKind.ENVIRONMENT,
        state=JobState.QUEUED,
        pool=_pool(view),
        subject=f"stage:{stage.id}",
        project_id=view.project.id,
        payload={
            "work": msgspec.to_builtins(
                EnvironmentWork(project=view.project.name, code=view.pipeline.code, env=env)
            ),
            "key": keys[-1],
        },
        max_attempts=1,
        created_at=services.store.now(),
    )
    with services.store.transaction():
        moved = services.store.set_stage(
            stage.id,
            expect=StageStatus.WAITING,
            status=StageStatus.QUEUED,
            job_id=job.id,
            attempts=stage.attempts + 1,
            queued_at=job.created_at,
        )
        if moved is not None:
            services.store.put(job)


def is_whole(services: Services, lock: str) -> bool:
    """Tell whether the blob store still has a lock and its wheels: without them no command could start."""
    if services.blobs.missing([lock]):
        return False
    environment = load_environment(services, lock)
    packages = environment.packages if environment else ()
    return not services.blobs.missing(package.blob for package in packages if package.blob)


def check(services: Services, view: PipelineView, stage: Stage) -> None:
    """Take up the result of the job."""
    job = services.store.get_job(stage.job_id)
    if not job.state.is_final:
        return
    lock = str(job.result.get("lock", ""))
    if job.state is JobState.DONE and lock:
        services.store.record_environment(str(job.payload["key"]), lock)
        reason = f"{job.result.get('packages', 0)} packages locked, every wheel kept"
        _use(services, view, stage, lock, status=StageStatus.SUCCEEDED, reason=reason)
    elif job.state is JobState.CANCELLED or job.cancel_requested:
        retry_or_fail(services, stage, FailureReason.CANCELLED, "cancelled")
    elif job.state is JobState.LOST:
        retry_or_fail(services, stage, FailureReason.WORKER_LOST, job.error)
    else:
        fail(services, stage, job.error or str(job.result.get("error", "the environment could not be built")))


def _use(
    services: Services, view: PipelineView, stage: Stage, lock: str, *, status: StageStatus, reason: str
) -> None:
    with services.store.transaction():
        services.store.set_pipeline(view.pipeline.id, environment=lock)
        if status is StageStatus.CACHED:
            now = services.store.now()
            services.store.set_stage(
                stage.id, expect=stage.status, status=status, reason=reason, started_at=now, ended_at=now
            )
        else:
            succeed(services, stage, reason=reason, result={"environment": lock})


def _files(services: Services, view: PipelineView, env: EnvSpec) -> dict[str, bytes]:
    if not env.lock:
        return {}
    code = load_manifest(services, view.pipeline.code)

    def read(path: str) -> bytes | None:
        entry = code.find(path)
        return None if entry is None or entry.link is not None else services.blobs.read(entry.digest)

    def folder_digest(path: str) -> str:
        return keep_manifest(services, select_paths(code, path))

    if read(env.lock) is None:
        near = [e.path for e in code.entries if e.path.endswith((".lock", "requirements.txt", "pylock.toml"))]
        raise EnvironmentFailed(
            source=env.lock,
            reason="relive.yaml names this lock, but the commit does not hold it.",
            hint=f"git add {env.lock}" + (f"    (the commit holds: {', '.join(near[:5])})" if near else ""),
        )
    return environment_files(env.lock, read, folder_digest)


def _keys(services: Services, view: PipelineView, env: EnvSpec) -> list[str]:
    """Give the keys under which the lock may be known; what is resolved now is kept under the last.

    Two Pythons and two platforms take different wheels of the same lock.
    """
    files, python = _files(services, view, env), platform.python_version()
    place = f"{_pool(view)}:{sysconfig.get_platform()}"
    return [environment_key(files, env, python=python, platform=f"{place}:{scope}") for scope in view.scopes]


def _pool(view: PipelineView) -> str:
    """The environment is resolved where its first command will run, so that the platform is the same."""
    return next((s.planned.spec.resources.pool for s in view.stages.values() if s.planned.spec.cmd), "local")
