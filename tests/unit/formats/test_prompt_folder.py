"""The model folder of a prompt, as MLflow's loader and relive's own reading of such folders want it."""

import json
from dataclasses import replace

import pytest
import yaml

from relive.formats.mlflow_folder import read_model_file
from relive.formats.prompt_folder import PromptModel, flavors_of, write_prompt_folder

MODEL = PromptModel(
    run_id="a" * 32,
    model_id="b" * 32,
    made_at="2026-01-31 12:00:00.000000",
    python="3.11.7",
    mlflow="3.17.2",
    route="chat",
    template="Say {{what}}: {{how}}.",
    parameters={"what": "héllo", "how": "yes"},
    options={"temperature": "0.5"},
)


def test_the_folder_is_one_that_is_served_with_its_environment() -> None:
    files = write_prompt_folder(MODEL)
    read = read_model_file(files["MLmodel"])
    assert (read.example, read.python) == ("serving_input_example.json", "3.11")
    assert files["requirements.txt"] == b"mlflow[gateway]==3.17.2"
    conda = yaml.safe_load(files["conda.yaml"])
    assert conda["dependencies"] == ["python=3.11.7", "pip", {"pip": ["mlflow[gateway]==3.17.2"]}]
    assert yaml.safe_load(files["python_env.yaml"])["python"] == "3.11.7"


def test_the_model_file_says_where_the_loader_finds_its_parameters() -> None:
    files = write_prompt_folder(MODEL)
    said = yaml.safe_load(files["MLmodel"])
    assert said["flavors"] == flavors_of(MODEL)
    generic = said["flavors"]["python_function"]
    assert generic["parameters_path"] in files
    assert set(generic["env"].values()) <= files.keys()
    assert (said["run_id"], said["model_uuid"]) == (MODEL.run_id, MODEL.model_id)
    inputs = json.loads(said["signature"]["inputs"])
    assert [column["name"] for column in inputs] == list(MODEL.parameters)


@pytest.mark.parametrize(
    "text", ["no", "1e3", "null", "2026-01-31", "a: b", "- x", "'", '"', "#", "é\n\tü", ""]
)
def test_values_stay_the_text_that_they_were(text: str) -> None:
    changed = replace(MODEL, parameters={"k": text}, template=text, options={text: text})
    files = write_prompt_folder(changed)
    kept = yaml.safe_load(files["parameters.yaml"])
    assert kept["prompt_parameters"] == {"k": text}
    assert kept["prompt_template"] == text
    assert kept["model_parameters"] == {text: text}
    assert json.loads(files["input_example.json"]) == {"inputs": [text]}
    assert json.loads(files["serving_input_example.json"]) == {"inputs": {"inputs": [text]}}
