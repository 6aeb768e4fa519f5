"""A run as an RO-Crate: a Process Run Crate 0.5 on RO-Crate 1.1, the metadata file of an archive.

Source: RO-Crate Metadata Specification 1.1; Workflow Run RO-Crate, profile Process Run Crate 0.5.
"""

from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any, Final

import msgspec

from relive.core.recipe import DataInput
from relive.core.run import Artifact, MetricSummary, Run

METADATA: Final = "ro-crate-metadata.json"
_CRATE: Final = "https://w3id.org/ro/crate/1.1"
_PROFILE: Final = "https://w3id.org/ro/wfrun/process/0.5"
_COMMAND: Final = "#command"
_ACTION: Final = "#run"

Entity = dict[str, Any]


class Crate(msgspec.Struct, frozen=True, kw_only=True):
    """What is told of a run.

    Attributes:
        params: Declared params.
        inputs: Each with the folder of the archive that holds it; empty for one that is part of the code, or
            named by its digest only.
        results: Each with its folder.
        files: Other members worth naming, with a sentence for people.
        folders: Other folders, ending in a slash, with a sentence.
    """

    run: Run
    project: str
    command: str
    params: dict[str, Any]
    metrics: tuple[MetricSummary, ...]
    inputs: tuple[tuple[DataInput, str], ...]
    results: tuple[tuple[Artifact, str], ...]
    files: dict[str, str]
    folders: dict[str, str]


def metadata_of(crate: Crate) -> dict[str, Any]:
    """Write the metadata document; the same run gives the same document."""
    run = crate.run
    inputs = [_input(item, folder) for item, folder in crate.inputs]
    results = [_result(artifact, folder) for artifact, folder in crate.results]
    params = [_value(f"#param/{key}", key, str(value)) for key, value in sorted(crate.params.items())]
    metrics = [_value(f"#metric/{it.key}", it.key, repr(it.last)) for it in crate.metrics]
    files = [_file(path, told) for path, told in crate.files.items()]
    folders = [_part(path, "Dataset", told) for path, told in crate.folders.items()]
    # Entities that lie in the crate; what is named by its digest only is no part of it.
    parts = [it for it in (*inputs, *results, *files, *folders) if not it["@id"].startswith("#")]
    agent = _person(run.actor)
    graph = [
        _descriptor(),
        _root(crate, parts),
        {"@id": _PROFILE, "@type": "CreativeWork", "name": "Process Run Crate", "version": "0.5"},
        {"@id": "#license", "@type": "CreativeWork", "name": "Not stated by whoever made the run"},
        agent,
        _instrument(crate),
        _action(crate, agent, [*inputs, *params], [*results, *metrics]),
        *_once([*inputs, *results, *params, *metrics, *files, *folders]),
    ]
    return {"@context": f"{_CRATE}/context", "@graph": graph}


def _descriptor() -> Entity:
    return {
        "@id": METADATA,
        "@type": "CreativeWork",
        "conformsTo": {"@id": _CRATE},
        "about": {"@id": "./"},
    }


def _root(crate: Crate, parts: list[Entity]) -> Entity:
    run = crate.run
    return {
        "@id": "./",
        "@type": "Dataset",
        "name": f"Run {run.name or run.id} of {crate.project}",
        "description": "A training run with its inputs, environment and results, which replays itself.",
        "identifier": run.id,
        "datePublished": _time(run.ended_at or run.created_at),
        "license": {"@id": "#license"},
        "author": {"@id": _person(run.actor)["@id"]},
        "conformsTo": {"@id": _PROFILE},
        "hasPart": _refs(_once(parts)),
        "mentions": {"@id": _ACTION},
    }


def _instrument(crate: Crate) -> Entity:
    run = crate.run
    told = {
        "@id": _COMMAND,
        "@type": "SoftwareApplication",
        "name": crate.command.splitlines()[0] if crate.command.strip() else "command",
        "description": crate.command,
        "softwareRequirements": "The wheels in wheels/, as archive.json locks them",
    }
    return {**told, "softwareVersion": run.commit} if run.commit else {**told, "softwareVersion": "no commit"}


def _action(crate: Crate, agent: Entity, objects: list[Entity], results: list[Entity]) -> Entity:
    run = crate.run
    failed = run.status.value != "finished"
    action: Entity = {
        "@id": _ACTION,
        "@type": "CreateAction",
        "name": f"{run.name or run.id}: {crate.command.strip()[:200]}",
        "description": f"{crate.command.strip()}\nIt {run.status.value}. {run.reason}".strip(),
        "instrument": {"@id": _COMMAND},
        "agent": {"@id": agent["@id"]},
        "object": _refs(_once(objects)),
        "result": _refs(_once(results)),
        "startTime": _time(run.started_at or run.created_at),
        "endTime": _time(run.ended_at or run.created_at),
        "actionStatus": f"http://schema.org/{'FailedActionStatus' if failed else 'CompletedActionStatus'}",
    }
    return {**action, "error": run.reason} if failed and run.reason else action


def _input(item: DataInput, folder: str) -> Entity:
    told = f"{item.size_bytes} bytes, from {item.origin}; manifest {item.manifest}"
    if not folder:
        return {"@id": f"#input/{item.path}", "@type": "Thing", "name": item.path, "description": told}
    return _part(f"{folder}/", "Dataset", told, name=item.path)


def _result(artifact: Artifact, folder: str) -> Entity:
    told = f"{artifact.kind}, {artifact.files} files, {artifact.size_bytes} bytes, {artifact.manifest}"
    return _part(f"{folder}/", "Dataset", told, name=artifact.path)


def _part(path: str, kind: str, told: str, *, name: str = "") -> Entity:
    return {"@id": path, "@type": kind, "name": name or path, "description": told}


def _file(path: str, told: str) -> Entity:
    kinds = {"html": "text/html", "json": "application/json", "jsonl": "application/jsonl"}
    return {**_part(path, "File", told), "encodingFormat": kinds[path.rpartition(".")[2]]}


def _value(name: str, key: str, value: str) -> Entity:
    return {"@id": name, "@type": "PropertyValue", "name": key, "value": value}


def _person(actor: str) -> Entity:
    return {"@id": f"#agent/{actor or 'nobody'}", "@type": "Person", "name": actor or "not recorded"}


def _refs(entities: Iterable[Entity]) -> Entity | list[Entity]:
    """Refer to entities; the specification asks for one by itself rather than in a list of one."""
    found = [{"@id": it["@id"]} for it in entities]
    return found[0] if len(found) == 1 else found


def _once(entities: Iterable[Entity]) -> list[Entity]:
    return list({it["@id"]: it for it in entities}.values())


def _time(at: float) -> str:
    return datetime.fromtimestamp(int(at), UTC).isoformat()
