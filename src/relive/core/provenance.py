"""The signed statement about a model version: in-toto Statement v1 with SLSA provenance v1.

Source: in-toto attestation framework, Statement v1; SLSA provenance predicate v1.
"""

from typing import Any

import msgspec

from relive.core.model import ModelVersion
from relive.core.recipe import EnvironmentLock, Recipe

PAYLOAD_TYPE = "application/vnd.in-toto+json"
STATEMENT_TYPE = "https://in-toto.io/Statement/v1"
PREDICATE_TYPE = "https://slsa.dev/provenance/v1"
BUILD_TYPE = "https://relive.dev/training-run/v1"
UPLOAD_TYPE = "https://relive.dev/client-upload/v1"


class Builder(msgspec.Struct, frozen=True, kw_only=True):
    """Who vouches: the hub's address and version, and how the run was isolated."""

    url: str
    version: str
    isolation: str


def statement(
    version: ModelVersion,
    files: dict[str, str],
    recipe: Recipe,
    environment: EnvironmentLock | None,
    builder: Builder,
) -> dict[str, Any]:
    """Build the statement that is signed for a model version.

    Args:
        version: The version; its folder digest is the first subject.
        files: Path to hex SHA-256 of every file of the model folder.
        recipe: All inputs of the run that made it.
        environment: The locked packages, if there was a lock.
        builder: Who vouches.
    """
    declared = recipe.declared
    return {
        "_type": STATEMENT_TYPE,
        "subject": _subjects(version, files),
        "predicateType": PREDICATE_TYPE,
        "predicate": {
            "buildDefinition": {
                "buildType": BUILD_TYPE,
                "externalParameters": {
                    "command": declared.command,
                    "params": declared.params,
                    "stage": version.facts.get("stage", ""),
                },
                "internalParameters": {"env": declared.env, "isolation": builder.isolation},
                "resolvedDependencies": _dependencies(recipe, environment),
            },
            "runDetails": {
                "builder": {"id": builder.url, "version": {"relive": builder.version}},
                "metadata": {"invocationId": version.run_id},
                "byproducts": [
                    {
                        "name": "recipe",
                        "digest": {"blake3": version.facts.get("recipe", "").removeprefix("blake3:")},
                    }
                ],
            },
        },
    }


def upload_statement(version: ModelVersion, files: dict[str, str], builder: Builder) -> dict[str, Any]:
    """Build the statement for a version whose files a client stored, of which nobody saw how they were made.

    Args:
        version: The version; its folder digest is the first subject.
        files: Path to hex SHA-256 of every file of the model folder.
        builder: Who received the files.
    """
    return {
        "_type": STATEMENT_TYPE,
        "subject": _subjects(version, files),
        "predicateType": PREDICATE_TYPE,
        "predicate": {
            "buildDefinition": {
                "buildType": UPLOAD_TYPE,
                "externalParameters": {"source": version.source, "registered_by": version.created_by},
                "internalParameters": {"isolation": builder.isolation},
                "resolvedDependencies": [],
            },
            "runDetails": {
                "builder": {"id": builder.url, "version": {"relive": builder.version}},
                "metadata": {"invocationId": version.run_id},
            },
        },
    }


def _subjects(version: ModelVersion, files: dict[str, str]) -> list[dict[str, Any]]:
    folder = {"name": f"{version.model}@{version.version}", "digest": {"sha256": version.sha256}}
    each = [{"name": path, "digest": {"sha256": digest}} for path, digest in sorted(files.items())]
    return [folder, *each]


def _dependencies(recipe: Recipe, environment: EnvironmentLock | None) -> list[dict[str, Any]]:
    declared = recipe.declared
    found: list[dict[str, Any]] = []
    if declared.code.commit:
        uri = f"git+{declared.code.remote or 'relive'}"
        found.append({"uri": uri, "digest": {"gitCommit": declared.code.commit}})
    found.append({"name": "code", "digest": {"blake3": declared.code.manifest.removeprefix("blake3:")}})
    found += [
        {
            "name": item.path,
            "digest": {"blake3": item.manifest.removeprefix("blake3:")},
            "annotations": {"origin": item.origin},
        }
        for item in declared.data
    ]
    if environment is not None:
        found += [
            {"uri": f"pkg:pypi/{package.name}@{package.version}", "digest": {"sha256": package.sha256}}
            for package in environment.packages
        ]
    return found
