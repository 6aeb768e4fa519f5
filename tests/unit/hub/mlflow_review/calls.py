"""What tests of reviews begin with: experiments, traces, questions and queues."""

from typing import Any

from relive.core.trace import Trace
from tests.unit.hub.mlflow_registry.conftest import Registry

BAD, TAKEN, ABSENT = "INVALID_PARAMETER_VALUE", "RESOURCE_ALREADY_EXISTS", "RESOURCE_DOES_NOT_EXIST"
YES_OR_NO = {"pass_fail": {"positive_label": "yes", "negative_label": "no"}}


def experiment(registry: Registry, name: str) -> str:
    """Make an experiment."""
    return str(registry.post("experiments/create", name=name)["experiment_id"])


def deleted(registry: Registry, name: str) -> str:
    """Make an experiment and put it aside."""
    made = experiment(registry, name)
    registry.post("experiments/delete", experiment_id=made)
    return made


def question(registry: Registry, of: str, name: str, **message: Any) -> dict[str, Any]:
    """Make a question of an experiment."""
    asked = {"type": "FEEDBACK", "input": YES_OR_NO} | message
    made: dict[str, Any] = registry.post("label-schemas/create", experiment_id=of, name=name, **asked)
    return dict(made["label_schema"])


def queue(registry: Registry, of: str, name: str, **message: Any) -> dict[str, Any]:
    """Make a queue of an experiment."""
    asked = {"queue_type": "CUSTOM"} | message
    made: dict[str, Any] = registry.post("review-queues/create", experiment_id=of, name=name, **asked)
    return dict(made["review_queue"])


def traces(registry: Registry, of: str, *ids: str) -> None:
    """Keep traces of an experiment."""
    for trace_id in ids:
        registry.bench.services.store.create_trace(Trace(id=trace_id, experiment_id=of, started_ms=1))


def issue(registry: Registry, of: str, name: str, **message: Any) -> dict[str, Any]:
    """Note an issue of an experiment."""
    made: dict[str, Any] = registry.post(
        "issues", **({"experiment_id": of, "name": name, "description": "it is wrong"} | message)
    )
    return dict(made["issue"])
