"""A bill of materials of a model version: CycloneDX 1.6 with a model card (ML-BOM).

Source: the CycloneDX specification 1.6 and its JSON schema; package URLs by the purl specification.
"""

import uuid
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any, Final
from urllib.parse import quote

from relive import __version__
from relive.core.digest import hex_of
from relive.core.model import ModelVersion, TensorSpec
from relive.core.recipe import DataInput, EnvironmentLock, Recipe

MEDIA_TYPE: Final = "application/vnd.cyclonedx+json; version=1.6"
_NAMESPACE: Final = uuid.UUID("6f0c7a51-3f0e-5a64-9d3c-6f6d6c2f9a10")
_FROM_INDEX: Final = frozenset({"index", "built"})

Component = dict[str, Any]


def bom_of(
    version: ModelVersion,
    files: dict[str, str],
    recipe: Recipe | None,
    environment: EnvironmentLock | None,
) -> dict[str, Any]:
    """Write what a version is made of; the same version gives the same document.

    Args:
        version: The version.
        files: Path to hex SHA-256 of every file of the model folder.
        recipe: All inputs of the run that made it; None if nobody recorded them.
        environment: The locked packages, if there was a lock.
    """
    packages = list(_packages(recipe, environment))
    data = [_dataset(item) for item in recipe.declared.data] if recipe else []
    code = [_code(recipe)] if recipe else []
    model = _model(version, files, recipe, data)
    parts = [*packages, *data, *code]
    return {
        "$schema": "http://cyclonedx.org/schema/bom-1.6.schema.json",
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "serialNumber": f"urn:uuid:{uuid.uuid5(_NAMESPACE, f'{version.id} {version.sha256}')}",
        "version": 1,
        "metadata": {
            "timestamp": datetime.fromtimestamp(int(version.created_at), UTC).isoformat(),
            "tools": {"components": [{"type": "application", "name": "relive", "version": __version__}]},
            "component": model,
        },
        "components": parts,
        "dependencies": [
            {"ref": model["bom-ref"], "dependsOn": [part["bom-ref"] for part in parts]},
            *({"ref": part["bom-ref"]} for part in parts),
        ],
        "compositions": [_completeness(recipe, environment, parts)],
    }


def _model(
    version: ModelVersion, files: dict[str, str], recipe: Recipe | None, data: list[Component]
) -> Component:
    facts = version.facts
    properties = {
        "relive:run": version.run_id,
        "relive:manifest": version.manifest,
        "relive:commit": str(facts.get("commit", "")),
        "relive:recipe": str(facts.get("recipe", "")),
        "relive:loader": version.loader,
        "relive:source": version.source,
    }
    ref = f"model:{version.model}@{version.version}"
    model: Component = {
        "type": "machine-learning-model",
        "bom-ref": ref,
        "name": version.model,
        "version": str(version.version),
        "hashes": [{"alg": "SHA-256", "content": version.sha256}],
        "components": [
            {
                "type": "file",
                "bom-ref": f"{ref}/{path}",
                "name": path,
                "hashes": [{"alg": "SHA-256", "content": digest}],
            }
            for path, digest in sorted(files.items())
        ],
        "modelCard": _card(version, recipe, data),
        "properties": _properties(properties),
    }
    return {**model, "description": version.description} if version.description else model


def _card(version: ModelVersion, recipe: Recipe | None, data: list[Component]) -> dict[str, Any]:
    parameters: dict[str, Any] = {"datasets": [{"ref": item["bom-ref"]} for item in data]}
    if version.signature is not None:
        parameters["inputs"] = [{"format": _format(it)} for it in version.signature.inputs]
        parameters["outputs"] = [{"format": _format(it)} for it in version.signature.outputs]
    metrics = sorted(version.facts.get("metrics", {}).items())
    card: dict[str, Any] = {
        "modelParameters": parameters,
        "quantitativeAnalysis": {
            "performanceMetrics": [{"type": key, "value": repr(value)} for key, value in metrics]
        },
    }
    if recipe is not None:
        params = {f"relive:param:{key}": str(value) for key, value in sorted(recipe.declared.params.items())}
        card["properties"] = _properties({"relive:command": recipe.declared.command, **params})
    return card


def _format(spec: TensorSpec) -> str:
    return f"{spec.name}: {spec.datatype} {list(spec.shape)}"


def _packages(recipe: Recipe | None, environment: EnvironmentLock | None) -> Iterator[Component]:
    """Give the interpreter and every package: those of the lock, else those that were seen."""
    observed = recipe.observed if recipe else None
    python = environment.python if environment else ""
    if not python and observed is not None and observed.interpreter is not None:
        python = observed.interpreter.version
    if python:
        yield _component("platform", "python", python, f"pkg:generic/python@{quote(python, safe='')}")
    if environment is not None:
        for package in environment.packages:
            hashes = [{"alg": "SHA-256", "content": package.sha256}]
            kind = "pypi" if package.origin in _FROM_INDEX else "generic"
            told = {"relive:file": package.filename, "relive:origin": package.origin}
            yield {
                **_component(
                    "library", package.name, package.version, _purl(kind, package.name, package.version)
                ),
                "hashes": hashes,
                "properties": _properties(told),
            }
    elif observed is not None:
        for seen in observed.distributions:
            kind = "pypi" if seen.origin in _FROM_INDEX and not seen.editable else "generic"
            yield _component("library", seen.name, seen.version, _purl(kind, seen.name, seen.version))


def _component(kind: str, name: str, version: str, purl: str) -> Component:
    return {"type": kind, "bom-ref": purl, "name": name, "version": version, "purl": purl}


def _purl(kind: str, name: str, version: str) -> str:
    return f"pkg:{kind}/{quote(name.lower().replace('_', '-'), safe='')}@{quote(version, safe='')}"


def _dataset(item: DataInput) -> Component:
    return {
        "type": "data",
        "bom-ref": f"data:{item.path}",
        "name": item.path,
        "hashes": _blake3(item.manifest),
        "data": [
            {
                "type": "dataset",
                "name": item.path,
                "contents": {
                    "properties": _properties(
                        {"relive:manifest": item.manifest, "relive:size_bytes": str(item.size_bytes)}
                    )
                },
            }
        ],
        "properties": _properties({"relive:origin": item.origin}),
    }


def _code(recipe: Recipe) -> Component:
    code = recipe.declared.code
    told = {
        "relive:commit": code.commit,
        "relive:remote": code.remote,
        "relive:dirty": str(code.dirty).lower(),
    }
    return {
        "type": "data",
        "bom-ref": "code",
        "name": "code",
        "hashes": _blake3(code.manifest),
        "data": [{"type": "source-code", "name": "code"}],
        "properties": _properties(told),
    }


def _completeness(
    recipe: Recipe | None, environment: EnvironmentLock | None, parts: list[Component]
) -> dict[str, Any]:
    """Say whether all inputs are named: a lock names every package, a hermetic run every file."""
    observed = recipe.observed if recipe else None
    if recipe is None:
        aggregate = "unknown"
    elif environment is not None and observed is not None and observed.hermetic:
        aggregate = "complete"
    else:
        aggregate = "incomplete"
    return {"aggregate": aggregate, "assemblies": [part["bom-ref"] for part in parts]}


def _properties(told: dict[str, str]) -> list[dict[str, str]]:
    return [{"name": name, "value": value} for name, value in told.items() if value]


def _blake3(digest: str) -> list[dict[str, str]]:
    return [{"alg": "BLAKE3", "content": hex_of(digest)}] if digest else []
