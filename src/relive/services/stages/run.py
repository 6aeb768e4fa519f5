"""The `run` action: a command on a pool, or the earlier Run that already did it."""

from typing import Any

import msgspec

from relive.core.cachekey import cache_facts
from relive.core.ids import short_id
from relive.core.job import Job, JobKind, JobState
from relive.core.pipeline import Stage, StageStatus
from relive.core.run import FailureReason, Input, Run, RunKind, RunStatus
from relive.errors import ReliveError
from relive.formats.cachekey import cache_key
from relive.services.context import Services
from relive.services.datasets import read_of
from relive.services.ids import new_id
from relive.services.inputs import ResolvedInput, as_facts, has_outs, resolve_inputs, resolve_params
from relive.services.stages.outcome import refuse, retry_or_fail
from relive.services.view import PipelineView
from relive.wire.jobs import StageWork


def start(services: Services, view: PipelineView, stage: Stage) -> None:
    """Link the earlier run of the same inputs, or queue a job for a new one."""
    try:
        services.store.get_pool(stage.planned.spec.resources.pool)  # else nobody would ever take its job
        inputs = resolve_inputs(services, view, stage)
        params = resolve_params(services, view, stage)
    except ReliveError as error:
        refuse(services, stage, error)
        return
    facts = cache_facts(
        stage.planned.spec, params=params, environment=view.pipeline.environment, deps=as_facts(inputs)
    )
    key = cache_key(facts)
    stage = msgspec.structs.replace(stage, cache_key=key, cache_facts=facts)
    if not _link_cached(services, view, stage):
        _queue(services, view, stage, inputs, params)


def check(services: Services, view: PipelineView, stage: Stage) -> None:
    """Settle a stage whose job was lost or ended without a report."""
    job = services.store.get_job(stage.job_id)
    if not job.state.is_final:
        return
    reason = job.error or f"its job ended as {job.state.value} without a report"
    # A process that dies after its end was asked for is not missed.
    was_asked = job.state is JobState.CANCELLED or job.cancel_requested
    failure = FailureReason.CANCELLED if was_asked else FailureReason.WORKER_LOST
    status = RunStatus.KILLED if failure is FailureReason.CANCELLED else RunStatus.LOST
    run = services.store.get_run(stage.run_id)
    if not run.status.is_final:
        services.store.set_run(
            run.id, status=status, failure=failure, reason=reason, ended_at=services.store.now()
        )
    retry_or_fail(services, stage, failure, reason)


def _link_cached(services: Services, view: PipelineView, stage: Stage) -> bool:
    if not stage.planned.spec.cache or stage.result.get("fresh") or stage.attempts:
        return False
    run_id = services.store.find_cached(view.project.id, stage.cache_key, scopes=view.scopes)
    if run_id is None or not has_outs(services, run_id):
        return False
    now = services.store.now()
    services.store.set_stage(
        stage.id,
        expect=StageStatus.WAITING,
        status=StageStatus.CACHED,
        run_id=run_id,
        cache_key=stage.cache_key,
        cache_facts=stage.cache_facts,
        reason=f"nothing it depends on changed since run {short_id(run_id)}",
        started_at=now,
        ended_at=now,
    )
    return True


def _queue(
    services: Services,
    view: PipelineView,
    stage: Stage,
    inputs: list[ResolvedInput],
    params: dict[str, Any],
) -> None:
    store = services.store
    run = _new_run(services, view, stage)
    job = _new_job(stage, run, _work(view, stage, run, inputs, params))
    with store.transaction():
        moved = store.set_stage(
            stage.id,
            expect=StageStatus.WAITING,
            status=StageStatus.QUEUED,
            run_id=run.id,
            job_id=job.id,
            cache_key=stage.cache_key,
            cache_facts=stage.cache_facts,
            attempts=stage.attempts + 1,
            queued_at=run.created_at,
        )
        if moved is None:
            return  # cancelled meanwhile
        store.create_run(run)
        if stage.run_id and stage.attempts:
            store.set_run(stage.run_id, superseded_by=run.id)
        store.put(job)
        store.record_inputs(_lineage(run, inputs))
        reads = [read_of(run.id, it.version, it.data.path) for it in inputs if it.version is not None]
        store.record_dataset_reads(reads)


def _new_run(services: Services, view: PipelineView, stage: Stage) -> Run:
    store, pipeline = services.store, view.pipeline
    return Run(
        id=new_id(),
        project_id=view.project.id,
        experiment_id=store.ensure_experiment(view.project.id, view.project.name).id,
        name=f"{stage.key} #{pipeline.number}",
        kind=RunKind.STAGE,
        status=RunStatus.SCHEDULED,
        actor=pipeline.actor,
        pipeline_id=pipeline.id,
        stage_id=stage.id,
        stage=stage.key,
        job_id=new_id(),
        fence=1,  # a stage's job is claimed once; another try is another job
        command="\n".join(stage.planned.spec.cmd),
        commit=pipeline.commit,
        created_at=store.now(),
    )


def _new_job(stage: Stage, run: Run, work: StageWork) -> Job:
    resources = stage.planned.spec.resources
    return Job(
        id=run.job_id,
        kind=JobKind.STAGE,
        state=JobState.QUEUED,
        pool=resources.pool,
        subject=f"stage:{stage.id}",
        project_id=run.project_id,
        payload={"work": msgspec.to_builtins(work), "resources": msgspec.to_builtins(resources)},
        max_attempts=1,
        created_at=run.created_at,
    )


def _work(
    view: PipelineView, stage: Stage, run: Run, inputs: list[ResolvedInput], params: dict[str, Any]
) -> StageWork:
    spec = stage.planned.spec
    return StageWork(
        run_id=run.id,
        project=view.project.name,
        stage=stage.key,
        commands=spec.cmd,
        code=view.pipeline.code,
        commit=view.pipeline.commit,
        branch=view.branch,
        workdir=spec.wdir,
        environment=view.pipeline.environment,
        env=spec.env,
        deps=tuple(item.data for item in inputs),
        outs=spec.outs,
        params=params,
        params_files=spec.params,
        metrics_files=spec.metrics,
        plots=spec.plots,
        junit=spec.junit,
        timeout_s=spec.timeout_s,
        memory_bytes=spec.resources.memory_bytes,
        cpus=spec.resources.cpu,
        hermetic=spec.hermetic,
        network=spec.network,
        out_limit_bytes=spec.resources.disk_bytes,
    )


def _lineage(run: Run, inputs: list[ResolvedInput]) -> list[Input]:
    edges: list[Input] = []
    for item in inputs:
        data, alone = item.data, len(item.made_of) < 2
        edges += [
            Input(
                run_id=run.id,
                path=data.path if alone else artifact.path,
                manifest=data.manifest if alone else artifact.manifest,
                origin=data.origin,
                source_run_id=artifact.run_id,
            )
            for artifact in item.made_of
        ]
        if not item.made_of:
            edges.append(Input(run_id=run.id, path=data.path, manifest=data.manifest, origin=data.origin))
    return edges
