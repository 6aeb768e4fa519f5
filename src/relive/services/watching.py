"""What the person who pushed sees: a pipeline's progress as lines of text."""

from collections.abc import Iterator

from relive.core.ids import short_id
from relive.core.pipeline import Pipeline, PipelineStatus, Stage, StageStatus
from relive.errors import NotFound
from relive.services.context import Services
from relive.services.pipelines import page_of

# A glyph and a word each: never colour alone, and readable through git's "remote: ".
_GLYPHS = {
    StageStatus.SUCCEEDED: "✓",
    StageStatus.CACHED: "=",
    StageStatus.FAILED: "✗",
    StageStatus.SKIPPED: "-",
    StageStatus.CANCELLED: "-",
}
_ENDINGS = {
    PipelineStatus.SUCCEEDED: "✓ succeeded",
    PipelineStatus.FAILED: "✗ failed",
    PipelineStatus.GATED: "✗ stopped by its gate",
    PipelineStatus.CANCELLED: "- cancelled",
}
_LOG_TAIL_LINES = 15
_LOG_TAIL_BYTES = 4096
_WIDTH = 100


class Watch:
    """Turns what changed in a pipeline since the last look into lines; for one reader.

    Attributes:
        is_over: There will be no more lines.
    """

    def __init__(self, services: Services, pipeline_id: str) -> None:
        self._services = services
        self._id = pipeline_id
        self._begun = False
        self._said: dict[str, tuple[StageStatus, str]] = {}
        self.is_over = False

    def look(self) -> Iterator[str]:
        """Give the lines about what changed; nothing while the pipeline is not planned yet."""
        try:
            pipeline = self._services.store.get_pipeline(self._id)
        except NotFound:
            yield from self._look_at_plan()
            return
        if not self._begun:
            self._begun = True
            yield from self._head(pipeline)
        for stage in self._services.store.list_stages(pipeline.id):
            yield from self._stage(stage)
        if pipeline.status.is_final:
            yield from self._end(pipeline)
            self.is_over = True

    def _look_at_plan(self) -> Iterator[str]:
        job = self._services.store.get_job(self._id)
        if job.state.is_final:
            self.is_over = True
            yield job.error or "no pipeline: relive.yaml's triggers do not want this push"

    def _head(self, pipeline: Pipeline) -> Iterator[str]:
        project = self._services.store.get_project(pipeline.project_id)
        title = pipeline.title[:60]
        yield f"pipeline {project.name} #{pipeline.number}   {short_id(pipeline.commit)} {title}"
        yield f"  {page_of(self._services, pipeline, project.name)}"
        for warning in pipeline.warnings:
            yield f"  ! {warning}"

    def _stage(self, stage: Stage) -> Iterator[str]:
        now = (stage.status, stage.reason)
        if self._said.get(stage.id) == now or stage.status in (StageStatus.WAITING, StageStatus.QUEUED):
            return
        self._said[stage.id] = now
        if not stage.status.is_final:
            if stage.reason:
                yield f"  ● {stage.key:<24} {stage.reason}".splitlines()[0][:_WIDTH]
            return
        yield from self._final(stage)

    def _final(self, stage: Stage) -> Iterator[str]:
        glyph = _GLYPHS[stage.status]
        first, *rest = stage.reason.splitlines() or [""]
        line = f"  {glyph} {stage.key:<24} {stage.status.value:<9} {_duration(stage):>6}  {first}"
        yield line.rstrip()[: _WIDTH * 2]
        for more in rest:
            yield f"      {more}"
        for name, message in stage.result.get("tests", {}).get("failures", [])[:10]:
            yield f"      ✗ {name}: {message.strip().splitlines()[0] if message.strip() else ''}"[:_WIDTH]
        if stage.status is StageStatus.FAILED and stage.run_id:
            yield from self._log_tail(stage.run_id)

    def _log_tail(self, run_id: str) -> Iterator[str]:
        run = self._services.store.get_run(run_id)
        if run.log:
            size = self._services.blobs.get(run.log).size_bytes
            data = self._services.blobs.read(run.log, max(0, size - _LOG_TAIL_BYTES))
        else:
            data = self._services.store.read_log(run_id, start=max(0, run.log_bytes - _LOG_TAIL_BYTES))
        for line in data.decode(errors="replace").splitlines()[-_LOG_TAIL_LINES:]:
            yield f"      | {line[:_WIDTH]}"

    def _end(self, pipeline: Pipeline) -> Iterator[str]:
        seconds = (pipeline.ended_at or 0) - (pipeline.started_at or 0)
        yield from (f"  {line}" for line in pipeline.error.splitlines())
        yield f"{_ENDINGS[pipeline.status]} after {max(0.0, seconds):.1f} s"


def _duration(stage: Stage) -> str:
    if stage.started_at is None or stage.ended_at is None or stage.status is StageStatus.CACHED:
        return ""
    return f"{max(0.0, stage.ended_at - stage.started_at):.1f} s"
