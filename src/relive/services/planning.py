"""From a commit to a pipeline with its stages: reads relive.yaml from the bare repository, runs nothing."""

import fnmatch
from collections.abc import Iterator

import msgspec

from relive.core.artifact import Manifest
from relive.core.event import Event
from relive.core.expand import plan
from relive.core.graph import descendants
from relive.core.job import Job
from relive.core.pipeline import (
    Action,
    Pipeline,
    PipelineSpec,
    PipelineStatus,
    PlannedStage,
    Stage,
    StageSpec,
    StageStatus,
)
from relive.core.project import Project
from relive.errors import InvalidPipelineFile, NotFound, ReliveError
from relive.formats.pipeline_file import MAX_BYTES, parse_pipeline
from relive.services.context import Services
from relive.services.faults import is_passing
from relive.services.ids import new_id
from relive.services.view import ENVIRONMENT_KEY

PIPELINE_FILE = "relive.yaml"

# A person who asks for a pipeline gets it, whatever the file's triggers say.
_FILTERED = ("push", "github")


class PlanRequest(msgspec.Struct, frozen=True, kw_only=True):
    """What a PLAN job is asked to plan.

    Attributes:
        number: What the pipeline is numbered, taken at the push, so that numbers tell the order of pushes;
            0 takes the next when it is planned.
        behind: Number of a later push of the ref that was told before this one; 0 for none.
        old: The commit the ref had before, empty for a new branch.
        rerun_of: Pipeline that this one repeats.
        from_stage: With `rerun_of`, the stage from which nothing is taken from the cache.
    """

    project_id: str
    ref: str
    commit: str
    number: int = 0
    behind: int = 0
    old: str = ""
    trigger: str = "push"
    actor: str = ""
    rerun_of: str = ""
    from_stage: str = ""


def plan_commit(services: Services, job: Job) -> Pipeline | None:
    """Make the pipeline that a PLAN job asks for; None if the file's triggers do not want this push.

    The pipeline has the job's id, so that a job taken up again after a crash finds what it made.
    """
    store = services.store
    request = msgspec.convert(job.payload, PlanRequest)
    project = store.get_project(request.project_id)
    try:
        return store.get_pipeline(job.id)
    except NotFound:
        pass  # the usual case: this job was not worked on before
    info = services.repositories.commit_info(project.name, request.commit)
    snapshot = services.repositories.snapshot(project.name, request.commit, services.blobs)
    pipeline = Pipeline(
        id=job.id,
        project_id=project.id,
        number=request.number,
        commit=request.commit,
        ref=request.ref,
        trigger=request.trigger,
        actor=request.actor,
        status=PipelineStatus.RUNNING,
        title=info.title,
        code=snapshot.manifest_digest,
        warnings=tuple(snapshot.warnings),
        rerun_of=request.rerun_of,
        created_at=store.now(),
        started_at=store.now(),
    )
    try:
        spec = read_spec(services, snapshot.manifest)
        if request.trigger in _FILTERED and not _wanted(services, project, spec, request):
            return None
        planned = with_environment(
            plan(spec, branch=branch_of(request.ref), commit=request.commit, trigger=request.trigger)
        )
    except ReliveError as error:
        if is_passing(error):
            raise
        return _create_failed(services, project, pipeline, error)
    warnings = (*pipeline.warnings, *_mismatch(project, spec))
    pipeline = msgspec.structs.replace(pipeline, spec=spec, warnings=warnings)
    return _create(services, project, pipeline, planned, request)


def _mismatch(project: Project, spec: PipelineSpec) -> Iterator[str]:
    if spec.project not in ("", project.name):
        yield (
            f"{PIPELINE_FILE} names the project {spec.project!r}, but this commit came to {project.name!r}, "
            "which counts: change the file, or the git remote (relive init --project)"
        )


def read_spec(services: Services, manifest: Manifest) -> PipelineSpec:
    """Read the relive.yaml of a tree.

    Raises:
        InvalidPipelineFile: It is missing, too large, or wrong.
    """
    entry = manifest.find(PIPELINE_FILE)
    if entry is None or entry.link is not None:
        raise InvalidPipelineFile(
            path=PIPELINE_FILE, problems=("the commit has no such file: run `relive init`",)
        )
    if entry.size_bytes > MAX_BYTES:
        raise InvalidPipelineFile(path=PIPELINE_FILE, problems=(f"larger than {MAX_BYTES} bytes",))
    return parse_pipeline(services.blobs.read(entry.digest), path=PIPELINE_FILE)


def branch_of(ref: str) -> str:
    """Give the name people use for a ref."""
    return ref.removeprefix("refs/heads/").removeprefix("refs/tags/")


def with_environment(planned: tuple[PlannedStage, ...]) -> tuple[PlannedStage, ...]:
    """Put the environment's node before every stage that runs a command."""
    node = PlannedStage(
        key=ENVIRONMENT_KEY,
        name=ENVIRONMENT_KEY,
        action=Action.ENVIRONMENT,
        spec=StageSpec(name=ENVIRONMENT_KEY),
    )
    rest = tuple(
        msgspec.structs.replace(stage, needs=(ENVIRONMENT_KEY, *stage.needs))
        if stage.action is Action.RUN
        else stage
        for stage in planned
    )
    return (node, *rest)


def _create(
    services: Services,
    project: Project,
    pipeline: Pipeline,
    planned: tuple[PlannedStage, ...],
    request: PlanRequest,
) -> Pipeline:
    fresh = descendants(planned, request.from_stage) if request.from_stage else frozenset()
    stages = [
        Stage(
            id=new_id(),
            pipeline_id=pipeline.id,
            key=node.key,
            name=node.name,
            action=node.action,
            status=StageStatus.SKIPPED if node.skip else StageStatus.WAITING,
            reason=node.skip,
            planned=node,
            position=position,
            result={"fresh": True} if node.key in fresh else {},
        )
        for position, node in enumerate(planned)
    ]
    store = services.store
    with store.transaction():
        created = store.create_pipeline(pipeline)
        store.create_stages(stages)
        services.record(_event("pipeline.started", project, created))
    return created


def _create_failed(services: Services, project: Project, pipeline: Pipeline, error: ReliveError) -> Pipeline:
    failed = msgspec.structs.replace(
        pipeline, status=PipelineStatus.FAILED, error=str(error), ended_at=services.store.now()
    )
    with services.store.transaction():
        created = services.store.create_pipeline(failed)
        services.record(_event("pipeline.failed", project, created))
    return created


def _wanted(services: Services, project: Project, spec: PipelineSpec, request: PlanRequest) -> bool:
    branch = branch_of(request.ref)
    if spec.branches and not any(fnmatch.fnmatchcase(branch, pattern) for pattern in spec.branches):
        return False
    if not spec.paths or not request.old:
        return True
    changed = services.repositories.changed_files(project.name, request.old, request.commit)
    return any(fnmatch.fnmatchcase(path, pattern) for path in changed for pattern in spec.paths)


def _event(kind: str, project: Project, pipeline: Pipeline) -> Event:
    return Event(
        kind=kind,
        actor=pipeline.actor,
        subject=f"pipeline:{pipeline.id}",
        project=project.name,
        facts={
            "number": pipeline.number,
            "commit": pipeline.commit,
            "ref": pipeline.ref,
            "title": pipeline.title,
        },
    )
