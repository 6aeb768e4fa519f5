"""The `register` action: an out becomes a model version with a signed statement.

With an example a DESCRIBE job first loads the model in its own environment, to learn the signature and
the predictions that later are the contract test. The version is written after that, once: it is found
again by its stage.
"""

import msgspec

from relive.core.artifact import Manifest
from relive.core.job import Job, JobKind, JobState
from relive.core.model import ModelVersion, Signature
from relive.core.pipeline import Register, Stage, StageStatus
from relive.core.run import FailureReason
from relive.errors import NotFound, ReliveError
from relive.services.context import Services
from relive.services.describing import check_deployable
from relive.services.ids import new_id
from relive.services.inputs import find_out, keep_manifest, load_manifest, select_paths
from relive.services.registry import NewVersion, create_version, find_same_version
from relive.services.stages.outcome import fail, refuse, retry_or_fail, succeed
from relive.services.view import PipelineView, merged_metrics
from relive.wire.jobs import DescribeWork


def start(services: Services, view: PipelineView, stage: Stage) -> None:
    """Find the model folder among the outs; describe it first if there is an example."""
    register = stage.planned.spec.register
    if register is None:
        fail(services, stage, "the stage has nothing to register")
        return
    try:
        model, source = _folder(services, view, stage, register.artifact)
        example = _example(services, view, stage, register)
    except ReliveError as error:
        refuse(services, stage, error)
        return
    found = {"model": model, "source_stage": source.key, "source_run": source.run_id}
    if not example:
        _write(services, view, stage, {**stage.result, **found})
        return
    work = DescribeWork(
        project=view.project.name,
        model=model,
        example=example,
        code=view.pipeline.code,
        environment=view.pipeline.environment,
        loader=register.loader or "auto",
    )
    _queue_description(services, view, stage, work, found | {"pool": source.planned.spec.resources.pool})


def _queue_description(
    services: Services, view: PipelineView, stage: Stage, work: DescribeWork, found: dict[str, str]
) -> None:
    job = Job(
        id=new_id(),
        kind=JobKind.DESCRIBE,
        state=JobState.QUEUED,
        pool=found["pool"],
        subject=f"stage:{stage.id}",
        project_id=view.project.id,
        payload={"work": msgspec.to_builtins(work)},
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
            started_at=job.created_at,
            result=stage.result | found,
        )
        if moved is not None:
            services.store.put(job)


def check(services: Services, view: PipelineView, stage: Stage) -> None:
    """Write the version when its description has come."""
    job = services.store.get_job(stage.job_id)
    if not job.state.is_final:
        return
    if job.state is JobState.DONE and job.result.get("contract"):
        _write(services, view, stage, {**stage.result, **job.result})
    elif job.state is JobState.CANCELLED or job.cancel_requested:
        retry_or_fail(services, stage, FailureReason.CANCELLED, "cancelled")
    elif job.state is JobState.LOST:
        retry_or_fail(services, stage, FailureReason.WORKER_LOST, job.error)
    else:
        fail(services, stage, f"the model could not be described: {job.result.get('error') or job.error}")


def _write(services: Services, view: PipelineView, stage: Stage, found: dict[str, object]) -> None:
    register = stage.planned.spec.register
    assert register is not None  # `start` refused a stage without it
    signature = found.get("signature")
    new = NewVersion(
        project=view.project,
        model=register.model,
        run_id=str(found["source_run"]),
        manifest=str(found["model"]),
        loader=str(found.get("loader") or register.loader or "auto"),
        contract=str(found.get("contract", "")),
        signature=msgspec.convert(signature, Signature) if signature else None,
        environment=view.pipeline.environment,
        pipeline_id=view.pipeline.id,
        stage_id=stage.id,
        created_by=view.pipeline.actor,
        metrics=merged_metrics(services, view, stage),
    )
    try:
        version = _find_earlier(services, view, new) or create_version(services, new)
    except ReliveError as error:
        refuse(services, stage, error)
        return
    told = "signed" if version.stage_id == stage.id else f"already registered from run {version.run_id[:8]}"
    note = _note(services, version)
    succeed(
        services,
        stage,
        reason=f"{version.model} v{version.version}, {told}{note}",
        result={
            **_plain(found),
            "model_name": version.model,
            "version": version.version,
            "version_id": version.id,
        },
    )


def _note(services: Services, version: ModelVersion) -> str:
    """Say of a version without a contract what becomes of it when it is deployed."""
    if version.contract:
        return ""
    try:
        check_deployable(services, version)
    except ReliveError:
        return "; without an example it cannot be deployed: add `register.example`"
    return "; its contract is learned from its input example when it is first deployed"


def _find_earlier(services: Services, view: PipelineView, new: NewVersion) -> ModelVersion | None:
    """Find the version that a push made before of the same run: one more would say nothing new.

    What was rejected, or is judged by a pipeline of the default branch, cannot stand for what this pipeline
    may promote. No other branch promotes, so there a candidate does.
    """
    if services.store.find_version_of_stage(new.stage_id) is not None:
        return None  # made just before a hub was killed
    statuses = ("promoted",) if view.is_protected else ("promoted", "candidate")
    return find_same_version(services, new, statuses=statuses)


def _plain(found: dict[str, object]) -> dict[str, object]:
    return {key: value for key, value in found.items() if key != "signature"}


def _folder(services: Services, view: PipelineView, stage: Stage, path: str) -> tuple[str, Stage]:
    """Give the digest of the model folder's manifest, with paths relative to the folder, and its stage."""
    found = find_out(services, view, stage, path)
    if found is None:
        raise NotFound(
            kind="model folder", name=path, hint="name it in the outs of a stage that this one needs"
        )
    artifact, source = found
    manifest = load_manifest(services, artifact.manifest)
    inside = manifest.subtree(path)
    if not inside.entries:  # a single file counts as a folder that holds it
        entry = manifest.find(path.rstrip("/"))
        if entry is None:
            raise NotFound(
                kind="model folder", name=path, hint=f"{source.key} wrote {artifact.path}, but not this"
            )
        inside = Manifest((msgspec.structs.replace(entry, path=entry.path.rsplit("/", 1)[-1]),))
    return keep_manifest(services, inside), source


def _example(services: Services, view: PipelineView, stage: Stage, register: Register) -> str:
    if not register.example:
        return ""
    found = find_out(services, view, stage, register.example)
    code = load_manifest(services, view.pipeline.code)
    manifest = select_paths(load_manifest(services, found[0].manifest) if found else code, register.example)
    if len(manifest.entries) != 1:
        raise NotFound(
            kind="example file",
            name=register.example,
            hint="one file: rows.csv, rows.json or rows.npz, an out or committed",
        )
    return keep_manifest(services, manifest)
