"""Registered models: a name, immutable versions, movable aliases."""

from typing import Any

import msgspec


class TensorSpec(msgspec.Struct, frozen=True, kw_only=True):
    """One input or output; `datatype` in the Open Inference Protocol's words, -1 in `shape` is the batch."""

    name: str
    datatype: str
    shape: tuple[int, ...]


class Signature(msgspec.Struct, frozen=True, kw_only=True):
    """What a model takes and gives."""

    inputs: tuple[TensorSpec, ...]
    outputs: tuple[TensorSpec, ...]


class RegisteredModel(msgspec.Struct, frozen=True, kw_only=True):
    """A name under which versions are kept; unique in the hub."""

    id: str
    project_id: str
    name: str
    created_at: float = 0.0
    description: str = ""
    created_by: str = ""
    updated_at: float | None = None


class ModelVersion(msgspec.Struct, frozen=True, kw_only=True):
    """One immutable version.

    Attributes:
        version: Counts from 1 within the model.
        run_id: The run that made it.
        pipeline_id: The pipeline that registered it, empty if none.
        stage_id: The register stage, unique: registering twice gives the same version.
        manifest: Digest of the model folder's manifest.
        sha256: SHA-256 over the folder's files, as signed.
        loader: "auto" or "module:function".
        contract: Digest of the manifest of signature, example and predictions; empty without example.
        signature: What it takes and gives; None without an example.
        provenance: Digest of the signed statement's blob.
        status: "candidate", "promoted" or "rejected" (a gate failed).
        facts: Metrics at registration, commit, environment, …
        source: Address a client registered it from; empty for what a pipeline made.
        run_link: A client's link to its run.
        stage: The stage of MLflow's old life cycle; empty for none.
        logged_model_id: The logged model it was registered from, if any.
    """

    id: str
    model_id: str
    model: str
    version: int
    run_id: str
    manifest: str
    sha256: str
    pipeline_id: str = ""
    stage_id: str = ""
    loader: str = "auto"
    contract: str = ""
    signature: Signature | None = None
    provenance: str = ""
    status: str = "candidate"
    facts: dict[str, Any] = {}
    created_by: str = ""
    created_at: float = 0.0
    description: str = ""
    source: str = ""
    run_link: str = ""
    stage: str = ""
    logged_model_id: str = ""
    updated_at: float | None = None


class Alias(msgspec.Struct, frozen=True, kw_only=True):
    """A movable pointer; `previous` is the version it pointed to before."""

    model: str
    alias: str
    version: int
    previous: int | None = None
    moved_by: str = ""
    moved_at: float = 0.0
