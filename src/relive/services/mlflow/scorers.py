"""Scorers, as MLflow's clients use them: what they are made of is kept and never run.

Source: mlflow.store.tracking.sqlalchemy_store, mlflow.server.handlers, mlflow.genai.scorers.scorer_utils.
"""

import json
from typing import Any, Final

from relive.core.access import Caller
from relive.core.evaluation import ScorerVersion
from relive.core.project import Experiment
from relive.services.context import Services
from relive.services.mlflow.experiments import check_active, get_experiment, own_project, tell
from relive.services.mlflow.faults import MlflowFault, invalid, missing
from relive.services.mlflow.rights import maker_name, require_maker
from relive.services.mlflow.values import milliseconds
from relive.wire.mlflow import evaluation as wire

_GATEWAY: Final = "gateway:/"
# Where a serialized scorer says which model judges, by its kind.
_WITH_MODEL: Final = (
    "instructions_judge_pydantic_data",
    "builtin_scorer_pydantic_data",
    "third_party_scorer_data",
)
_MEMORY: Final = "memory_augmented_judge_data"
_NO_SOURCE: Final = (
    "Custom scorer registration (using @scorer decorator) is disabled by default outside of Databricks "
    "tracking environments due to security concerns. Custom scorers require arbitrary code execution during "
    "deserialization.\n\nTo use custom scorers, manage your custom scorer code in a source code repository "
    "(e.g., GitHub) and import it directly, or use built-in scorers or make_judge() scorers instead."
)
_LARGEST: Final = 2**31 - 1


def register_scorer(services: Services, message: wire.RegisterScorer, caller: Caller) -> dict[str, Any]:
    """Keep a scorer's next version.

    Raises:
        MlflowFault: It is no scorer, or there is no such experiment, or it is deleted.
        AccessDenied: A command names an experiment of another project.
    """
    _check_body(message.serialized_scorer)
    if not message.name.strip():
        raise invalid("Scorer name cannot be empty or contain only whitespace.")
    experiment = _active(services, message.experiment_id, caller)
    made = services.store.create_scorer_version(
        experiment.id, message.name, message.serialized_scorer, created_by=maker_name(caller)
    )
    return {
        "version": made.version,
        "scorer_id": made.id,
        "experiment_id": made.experiment_id,
        "name": made.name,
        "serialized_scorer": made.body,
        "creation_time": milliseconds(made.created_at),
    }


def list_scorers(services: Services, message: wire.ListScorers, caller: Caller) -> dict[str, Any]:
    """Give the last version of each scorer, of one experiment, of some, or of all that are not deleted.

    Raises:
        MlflowFault: Both are asked for, or the one is not there or deleted.
        AccessDenied: A command names an experiment of another project.
    """
    if message.experiment_id and message.experiment_ids:
        raise invalid(
            "Cannot specify both 'experiment_id' and 'experiment_ids'. Use 'experiment_ids' to scope the "
            "query to multiple experiments, or 'experiment_id' to scope it to a single experiment."
        )
    if message.experiment_id:
        ids = [_active(services, message.experiment_id, caller).id]
    else:
        active = services.store.list_experiments(own_project(caller) or None)
        ids = [experiment.id for experiment in active]
        if message.experiment_ids:
            asked = set(message.experiment_ids)
            if "0" in asked:
                asked.add(get_experiment(services, "0", caller).id)
            ids = [id_ for id_ in ids if id_ in asked]
    return _jsons(services.store.list_scorers(ids))


def list_versions(services: Services, message: wire.ScorerName, caller: Caller) -> dict[str, Any]:
    """Give all versions of a scorer, the first first.

    Raises:
        MlflowFault: There is none, or no such experiment, or it is deleted.
    """
    return _jsons(_versions(services, message.experiment_id, message.name, caller))


def get_scorer(services: Services, message: wire.NamedScorer, caller: Caller) -> dict[str, Any]:
    """Give a version of a scorer, without one the last; raises as `list_versions`."""
    found = _versions(services, message.experiment_id, message.name, caller)
    if message.version is None:
        return {"scorer": _json(found[-1])}
    for scorer in found:
        if scorer.version == message.version:
            return {"scorer": _json(scorer)}
    raise _no_version(message)


def delete_scorer(services: Services, message: wire.NamedScorer, caller: Caller) -> None:
    """Delete a version of a scorer, without one all of them.

    Raises:
        MlflowFault: There is none, or no such experiment, or it is deleted.
        AccessDenied: It is another's.
    """
    found = _versions(services, message.experiment_id, message.name, caller)
    require_maker(caller, found[0].created_by, "delete a scorer")
    store, experiment_id = services.store, found[0].experiment_id
    with store.transaction():
        if not store.delete_scorer(experiment_id, message.name, message.version):
            raise _no_version(message)
        what = {"scorer": message.name, "version": message.version}
        tell(services, "scorer.deleted", store.get_experiment(experiment_id), caller, **what)


def _active(services: Services, experiment_id: str, caller: Caller) -> Experiment:
    experiment = get_experiment(services, experiment_id, caller)
    check_active(experiment)
    return experiment


def _versions(services: Services, experiment_id: str, name: str, caller: Caller) -> list[ScorerVersion]:
    experiment = _active(services, experiment_id, caller)
    found = services.store.list_scorer_versions(experiment.id, name)
    if not found:
        raise missing(f"Scorer with name '{name}' not found for experiment {experiment_id}.")
    return found


def _no_version(message: wire.NamedScorer) -> MlflowFault:
    named = f"Scorer with name '{message.name}' and version {message.version}"
    return missing(f"{named} not found for experiment {message.experiment_id}.")


def _check_body(text: str) -> None:
    """Refuse what is no scorer, or would run code where it is loaded, or names a model that is not here."""
    try:
        body = json.loads(text)
    except (ValueError, RecursionError):
        body = None
    if not isinstance(body, dict):
        raise invalid("serialized_scorer must be valid JSON")
    if _has_source(body):
        raise invalid(_NO_SOURCE)
    model = _model_of(body)
    if model is None:
        return
    if not isinstance(model, str):
        raise invalid(f"Scorer model must be a string, got {type(model).__name__}.")
    if not model.strip():
        raise invalid("Scorer model cannot be empty or contain only whitespace.")
    if model.startswith(_GATEWAY):
        raise missing(f"GatewayEndpoint not found (name='{model.removeprefix(_GATEWAY)}')")


def _has_source(value: Any) -> bool:
    """Tell whether Python source lies anywhere in a serialized scorer."""
    rest = [value]
    while rest:
        part = rest.pop()
        if isinstance(part, dict):
            if part.get("call_source") is not None:
                return True
            rest += part.values()
        elif isinstance(part, list):
            rest += part
    return False


def _model_of(body: dict[str, Any]) -> Any:
    """Give which model judges; None if none is named."""
    for kind in _WITH_MODEL:
        if found := body.get(kind):
            return found.get("model") if isinstance(found, dict) else None
    memory = body.get(_MEMORY)
    judge = memory.get("base_judge") if isinstance(memory, dict) else None
    return _model_of(judge) if isinstance(judge, dict) else None


def _jsons(scorers: list[ScorerVersion]) -> dict[str, Any]:
    return {"scorers": [_json(scorer) for scorer in scorers]} if scorers else {}


def _json(scorer: ScorerVersion) -> dict[str, Any]:
    """Write a version as MLflow does, whose message has room for a number of 32 bits as experiment's id.

    The ids of experiments that MLflow's clients make are such numbers; those of a project's own are none.
    """
    id_ = scorer.experiment_id
    fits = id_.isascii() and id_.isdecimal() and len(id_) <= len(str(_LARGEST)) and int(id_) <= _LARGEST
    return {
        "scorer_name": scorer.name,
        "scorer_version": scorer.version,
        "serialized_scorer": scorer.body,
        "creation_time": milliseconds(scorer.created_at),
        "scorer_id": scorer.id,
    } | ({"experiment_id": int(id_)} if fits else {})
