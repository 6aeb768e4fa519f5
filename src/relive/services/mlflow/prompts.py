"""Runs that try out a prompt: what was asked, what came back, and the prompt as a model folder."""

import json
import platform
from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Final

import msgspec

from relive.core.access import Caller
from relive.core.run import Run
from relive.errors import ReliveError
from relive.formats.prompt_folder import PromptModel, flavors_of, write_prompt_folder
from relive.services.context import Services
from relive.services.ids import new_id
from relive.services.mlflow.artifacts import record_artifact
from relive.services.mlflow.faults import invalid
from relive.services.mlflow.inputs import log_model
from relive.services.mlflow.records import log_batch
from relive.services.mlflow.run_json import param_text
from relive.services.mlflow.runs import create_run, update_run
from relive.wire.mlflow import tracking
from relive.wire.mlflow.common import KeyValue
from relive.wire.mlflow.inputs import LogModel
from relive.wire.mlflow.prompts import CreatePromptRun, Setting

_TABLE: Final = "eval_results_table.json"
_TAGS: Final = (
    KeyValue("mlflow.loggedArtifacts", json.dumps([{"path": _TABLE, "type": "table"}])),
    KeyValue("mlflow.runSourceType", "PROMPT_ENGINEERING"),
)
_REQUIRED: Final = (
    "experiment_id",
    "prompt_template",
    "prompt_parameters",
    "model_route",
    "model_input",
    "mlflow_version",
)


def create_prompt_run(services: Services, message: CreatePromptRun, caller: Caller) -> Run:
    """Make a run of one answer to a prompt; it is finished with all its files, or failed.

    Raises:
        MlflowFault: Something is missing or cannot be kept, or there is no such experiment.
    """
    for name in _REQUIRED:
        if not getattr(message, name):
            raise invalid(f"CreatePromptlabRun request must specify {name}.")
    begun = tracking.CreateRun(
        experiment_id=message.experiment_id,
        start_time=message.start_time,
        run_name=message.run_name,
        user_id=message.user_id,
        tags=message.tags,
    )
    run = create_run(services, begun, caller)
    try:
        _record(services, run, message, caller)
    except ReliveError:
        update_run(services, tracking.UpdateRun(run_id=run.id, status="FAILED"), caller)
        raise
    return update_run(services, tracking.UpdateRun(run_id=run.id, status="FINISHED"), caller)


def _record(services: Services, run: Run, message: CreatePromptRun, caller: Caller) -> None:
    params = _pairs(message.model_parameters)
    params += _pairs((Setting("model_route", message.model_route),))
    params += _pairs((Setting("prompt_template", message.prompt_template),))
    batch = tracking.LogBatch(run_id=run.id, params=tuple(params), tags=_TAGS)
    log_batch(services, batch, caller)
    model = _model(services, run, message)
    said = {
        "run_id": run.id,
        "artifact_path": "model",
        "utc_time_created": model.made_at,
        "model_uuid": model.model_id,
        "flavors": flavors_of(model),
    }
    log_model(services, LogModel(run_id=run.id, model_json=msgspec.json.encode(said).decode()), caller)
    files = {f"model/{name}": data for name, data in write_prompt_folder(model).items()}
    for path, data in {_TABLE: _table(message), **files}.items():
        record_artifact(services, run, path, services.blobs.put(data))


def _model(services: Services, run: Run, message: CreatePromptRun) -> PromptModel:
    made_at = datetime.fromtimestamp(services.store.now(), UTC)
    return PromptModel(
        run_id=run.id,
        model_id=new_id(),
        made_at=made_at.strftime("%Y-%m-%d %H:%M:%S.%f"),
        python=platform.python_version(),
        mlflow=message.mlflow_version,
        route=message.model_route,
        template=message.prompt_template,
        parameters={pair.key: pair.value for pair in _pairs(message.prompt_parameters)},
        options={pair.key: pair.value for pair in _pairs(message.model_parameters)},
    )


def _table(message: CreatePromptRun) -> bytes:
    """Write the answer as the one row of a table, as MLflow's pages show it."""
    asked, more = _pairs(message.prompt_parameters), _pairs(message.model_output_parameters)
    columns = [*(pair.key for pair in asked), "prompt", "output", *(pair.key for pair in more)]
    row = [
        *(pair.value for pair in asked),
        message.model_input,
        message.model_output,
        *(pair.value for pair in more),
    ]
    return json.dumps({"columns": columns, "data": [row]}).encode()


def _pairs(settings: Iterable[Setting]) -> list[KeyValue]:
    return [KeyValue(setting.key, param_text(setting.value)) for setting in settings]
