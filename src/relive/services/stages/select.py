"""The `select` action: the best run of a stage with a matrix."""

import math

from relive.core.ids import short_id
from relive.core.pipeline import Stage
from relive.services.context import Services
from relive.services.stages.outcome import fail, succeed
from relive.services.view import PipelineView


def start(services: Services, view: PipelineView, stage: Stage) -> None:
    """Choose, by the last value of the metric; runs without it do not take part."""
    select = stage.planned.spec.select
    if select is None:
        fail(services, stage, "the stage has nothing to select from")
        return
    candidates = {s.run_id: s for s in view.stages.values() if s.name == select.from_stage and s.run_id}
    values = {
        summary.run_id: summary.last
        for summary in services.store.list_metrics(list(candidates))
        if summary.key == select.metric and math.isfinite(summary.last)
    }
    if not values:
        fail(
            services, stage, f"none of the {len(candidates)} runs of {select.from_stage} has {select.metric}"
        )
        return
    sign = 1.0 if select.mode == "max" else -1.0
    # Ties go to the earlier stage in the file's order, so that the same commit selects the same run.
    best = max(values, key=lambda run_id: (sign * values[run_id], -candidates[run_id].position))
    chosen = candidates[best]
    succeed(
        services,
        stage,
        reason=f"{chosen.key}, run {short_id(best)}: {select.metric} {values[best]:.6g} ({select.mode})",
        result={"key": chosen.key, "run_id": best, "metric": select.metric, "value": values[best]},
    )
