"""Registered models, their versions, aliases and tags.

Source: MLflow's REST API, version 2.0, Model Registry.
"""

import msgspec

from relive.wire.mlflow.common import Int64, Request


class Tag(msgspec.Struct, frozen=True):
    """A tag of a model or a version."""

    key: str = ""
    value: str = ""


class CreateRegisteredModel(Request, frozen=True):
    """registered-models/create; a prompt is a registered model with a tag that says so."""

    name: str
    tags: tuple[Tag, ...] = ()
    description: str = ""
    deployment_job_id: str = ""


class ModelName(Request, frozen=True):
    """registered-models/get and delete."""

    name: str


class RenameRegisteredModel(Request, frozen=True):
    """registered-models/rename."""

    name: str
    new_name: str


class UpdateRegisteredModel(Request, frozen=True):
    """registered-models/update."""

    name: str
    description: str = ""
    deployment_job_id: str = ""


class Search(Request, frozen=True):
    """registered-models/search and model-versions/search."""

    filter: str = ""
    max_results: Int64 | None = None
    order_by: tuple[str, ...] = ()
    page_token: str = ""


class GetLatestVersions(Request, frozen=True):
    """registered-models/get-latest-versions; without stages, of each stage."""

    name: str
    stages: tuple[str, ...] = ()


class SetModelTag(Request, frozen=True):
    """registered-models/set-tag."""

    name: str
    key: str
    value: str = ""


class DeleteModelTag(Request, frozen=True):
    """registered-models/delete-tag."""

    name: str
    key: str


class SetAlias(Request, frozen=True):
    """POST registered-models/alias."""

    name: str
    alias: str
    version: str


class NamedAlias(Request, frozen=True):
    """GET and DELETE registered-models/alias."""

    name: str
    alias: str


class CreateModelVersion(Request, frozen=True):
    """model-versions/create; an absent `run_id` or `model_id` is taken from the version that is copied."""

    name: str
    source: str
    run_id: str | None = None
    tags: tuple[Tag, ...] = ()
    run_link: str = ""
    description: str = ""
    model_id: str | None = None


class VersionName(Request, frozen=True):
    """model-versions/get and delete."""

    name: str
    version: str


class LooseVersionName(Request, frozen=True):
    """model-versions/get-download-uri, whose fields MLflow checks one by one."""

    name: str = ""
    version: str = ""


class UpdateModelVersion(Request, frozen=True):
    """model-versions/update; without a description it is taken away."""

    name: str
    version: str
    description: str = ""


class TransitionStage(Request, frozen=True):
    """model-versions/transition-stage."""

    name: str
    version: str
    stage: str
    archive_existing_versions: bool = False


class SetVersionTag(Request, frozen=True):
    """model-versions/set-tag."""

    name: str
    version: str
    key: str
    value: str = ""


class DeleteVersionTag(Request, frozen=True):
    """model-versions/delete-tag."""

    name: str
    version: str
    key: str
