"""Runs that try out a prompt, as MLflow's pages make them.

Source: MLflow's pages, version 2.0 of their calls.
"""

from typing import TypeAlias

import msgspec

from relive.wire.mlflow.common import Int64, KeyValue, Request

Plain: TypeAlias = str | int | float | bool | None


class Setting(msgspec.Struct, frozen=True):
    """A parameter with its value, which is kept as text."""

    key: str
    value: Plain = None


class CreatePromptRun(Request, frozen=True):
    """runs/create-promptlab-run; `start_time` in milliseconds."""

    experiment_id: str = ""
    prompt_template: str = ""
    prompt_parameters: tuple[Setting, ...] = ()
    model_route: str = ""
    model_input: str = ""
    mlflow_version: str = ""
    model_parameters: tuple[Setting, ...] = ()
    model_output: str | None = None
    model_output_parameters: tuple[Setting, ...] = ()
    run_name: str = ""
    tags: tuple[KeyValue, ...] = ()
    user_id: str = ""
    start_time: Int64 | None = None
