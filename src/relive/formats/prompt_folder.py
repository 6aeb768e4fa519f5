"""The model folder of a prompt that MLflow's pages tried out: a template, its parameters and the model asked.

Source: MLflow documentation, "MLflow Model Format", "Prompt Engineering UI".
"""

import json
from dataclasses import dataclass
from typing import Any, Final

import yaml

from relive.formats.mlflow_folder import MODEL_FILE

_LOADER: Final = "mlflow.prompt.promptlab_model"


@dataclass(frozen=True)
class PromptModel:
    """A prompt as a model.

    Attributes:
        run_id: The run that it comes from.
        model_id: Id of its own, 32 hex digits.
        made_at: When, as MLflow writes it: UTC, "2026-01-31 12:00:00.000000".
        python: Version of Python that its environment gets, "3.11.7".
        mlflow: Version of MLflow that loads it.
        route: The model that is asked, by the name its gateway has for it.
        parameters: What fills the template.
        options: How the model is asked ("temperature").
    """

    run_id: str
    model_id: str
    made_at: str
    python: str
    mlflow: str
    route: str
    template: str
    parameters: dict[str, str]
    options: dict[str, str]


def flavors_of(model: PromptModel) -> dict[str, Any]:
    """Give what MLmodel says of how the model is loaded."""
    return {
        "python_function": {
            "env": {"conda": "conda.yaml", "virtualenv": "python_env.yaml"},
            "loader_module": _LOADER,
            "parameters_path": "parameters.yaml",
            "python_version": model.python,
        }
    }


def write_prompt_folder(model: PromptModel) -> dict[str, bytes]:
    """Write the folder, file by file; its environment is MLflow with its gateway and nothing else."""
    needs = f"mlflow[gateway]=={model.mlflow}"
    example = {"inputs": list(model.parameters.values())}
    return {
        MODEL_FILE: _yaml(_model_file(model)),
        "parameters.yaml": _yaml(
            {
                "prompt_template": model.template,
                "prompt_parameters": model.parameters,
                "model_parameters": model.options,
                "model_route": model.route,
            }
        ),
        "requirements.txt": needs.encode(),
        "conda.yaml": _yaml(
            {
                "name": "mlflow-env",
                "channels": ["conda-forge"],
                "dependencies": [f"python={model.python}", "pip", {"pip": [needs]}],
            }
        ),
        "python_env.yaml": _yaml(
            {
                "python": model.python,
                "build_dependencies": ["pip", "setuptools", "wheel"],
                "dependencies": ["-r requirements.txt"],
            }
        ),
        "input_example.json": json.dumps(example).encode(),
        "serving_input_example.json": json.dumps({"inputs": example}).encode(),
    }


def _model_file(model: PromptModel) -> dict[str, Any]:
    columns = [_column(name) for name in model.parameters]
    return {
        "artifact_path": "model",
        "flavors": flavors_of(model),
        "mlflow_version": model.mlflow,
        "model_uuid": model.model_id,
        "run_id": model.run_id,
        "saved_input_example_info": {
            "artifact_path": "input_example.json",
            "serving_input_path": "serving_input_example.json",
            "type": "json_object",
        },
        "signature": {
            "inputs": json.dumps(columns),
            "outputs": json.dumps([_column("output")]),
            "params": None,
        },
        "utc_time_created": model.made_at,
    }


def _column(name: str) -> dict[str, Any]:
    return {"type": "string", "name": name, "required": True}


def _yaml(values: dict[str, Any]) -> bytes:
    return yaml.safe_dump(values, allow_unicode=True, sort_keys=False).encode()
