"""The `gate` action: checks that can stop a pipeline."""

import msgspec

from relive.core.event import Event
from relive.core.gates import GateResult, evaluate
from relive.core.model import ModelVersion
from relive.core.pipeline import Action, Stage
from relive.errors import NotFound
from relive.services.context import Services
from relive.services.stages.outcome import fail, succeed
from relive.services.view import PipelineView, merged_metrics

CHAMPION = "champion"


def start(services: Services, view: PipelineView, stage: Stage) -> None:
    """Judge the metrics of the runs upstream by every gate of the stage."""
    metrics = merged_metrics(services, view, stage)
    champion = find_champion(services, view, stage)
    reference = None if champion is None else _metrics_of(champion)
    name = "" if champion is None else f"champion {champion.model} v{champion.version}"
    results = [evaluate(gate, metrics, reference, champion_name=name) for gate in stage.planned.spec.gates]
    compared = {"champion": name} if name else {}
    result = {"gates": [msgspec.to_builtins(item) for item in results], **compared}
    failed = [item for item in results if not item.ok]
    with services.store.transaction():
        for item in results:
            services.record(_event(view, stage, item))
        if failed:
            fail(services, stage, "; ".join(item.reason for item in failed), result=result)
        else:
            succeed(services, stage, reason="; ".join(item.reason for item in results), result=result)


def find_champion(services: Services, view: PipelineView, stage: Stage) -> ModelVersion | None:
    """Give the champion of the model that this pipeline registers, if there is one."""
    names = [
        s.planned.spec.register.model
        for s in view.stages.values()
        if s.action is Action.REGISTER and s.planned.spec.register is not None
    ]
    for name in names:
        try:
            return services.store.get_version(name, CHAMPION)
        except NotFound:
            continue  # the first version of a model has nothing to be compared with
    return None


def _metrics_of(version: ModelVersion) -> dict[str, float]:
    return {str(key): float(value) for key, value in version.facts.get("metrics", {}).items()}


def _event(view: PipelineView, stage: Stage, result: GateResult) -> Event:
    return Event(
        kind="gate.passed" if result.ok else "gate.failed",
        actor="hub",
        subject=f"stage:{stage.id}",
        project=view.project.name,
        facts={"pipeline": view.pipeline.id, "gate": result.name, "reason": result.reason},
    )
