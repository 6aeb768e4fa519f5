"""Which bytes a stage reads: its deps, found in the commit or among the outs of earlier stages."""

from collections.abc import Iterable
from dataclasses import dataclass

import msgspec

from relive.core.artifact import Manifest, ManifestEntry
from relive.core.pipeline import Stage
from relive.core.recipe import DataInput
from relive.core.run import Artifact
from relive.errors import InvalidInput, NotFound
from relive.formats.params_file import collect_params
from relive.services.context import Services
from relive.services.planning import PIPELINE_FILE
from relive.services.view import PipelineView

WHOLE_TREE = "."


@dataclass(frozen=True)
class ResolvedInput:
    """One dep with where it came from; `source_run_id` is empty for what the commit holds."""

    data: DataInput
    source_run_id: str = ""


def resolve_inputs(services: Services, view: PipelineView, stage: Stage) -> list[ResolvedInput]:
    """Find every dep of a stage.

    A stage without deps depends on the whole tree of its commit (but for relive.yaml, whose every key has
    its own place in the cache key) and on the outs of the stages it needs.

    Raises:
        NotFound: A dep is neither in the commit nor an out of an earlier stage.
    """
    code = load_manifest(services, view.pipeline.code)
    if not stage.planned.spec.deps:
        tree = Manifest(tuple(entry for entry in code.entries if entry.path != PIPELINE_FILE))
        whole = _data(services, WHOLE_TREE, tree, origin="code")
        return [ResolvedInput(whole), *_outs_of_needs(services, view, stage)]
    return [
        _from_outs(services, view, stage, dep.path) or _from_code(services, stage, code, dep.path)
        for dep in stage.planned.spec.deps
    ]


def resolve_params(services: Services, view: PipelineView, stage: Stage) -> dict[str, object]:
    """Read the declared params from the commit's files."""
    code = load_manifest(services, view.pipeline.code)
    return collect_params(
        stage.planned.spec.params, lambda file: _read_params_file(services, code, stage, file)
    )


def load_manifest(services: Services, digest: str) -> Manifest:
    """Read a manifest from the blob store."""
    return Manifest.from_bytes(services.blobs.read(digest))


def keep_manifest(services: Services, manifest: Manifest) -> str:
    """Store a manifest and give its digest."""
    return services.blobs.put(manifest.to_bytes()).digest


def select_paths(manifest: Manifest, path: str) -> Manifest:
    """Give the part of a manifest that is this file or lies in this folder, with unchanged paths."""
    wanted = path.rstrip("/")
    return Manifest(tuple(entry for entry in manifest.entries if _is_under(entry, wanted)))


def find_out(
    services: Services, view: PipelineView, stage: Stage, path: str
) -> tuple[Artifact, Stage] | None:
    """Find the nearest earlier run whose out is this path or holds it."""
    wanted = path.rstrip("/")
    for source in view.upstream_runs(stage):
        for artifact in services.store.list_artifacts(source.run_id):
            made = artifact.path.rstrip("/")
            if artifact.kind == "out" and (wanted == made or wanted.startswith(f"{made}/")):
                return artifact, source
    return None


def _from_outs(services: Services, view: PipelineView, stage: Stage, path: str) -> ResolvedInput | None:
    found = find_out(services, view, stage, path)
    if found is None:
        return None
    artifact, source = found
    part = select_paths(load_manifest(services, artifact.manifest), path)
    if not part.entries:
        raise NotFound(
            kind="dep", name=path, hint=f"stage {source.key} wrote {artifact.path}, but not this in it"
        )
    return ResolvedInput(_data(services, path, part, origin=f"stage:{source.key}"), source.run_id)


def _from_code(services: Services, stage: Stage, code: Manifest, path: str) -> ResolvedInput:
    part = select_paths(code, path)
    if not part.entries:
        hint = f"commit it, or declare it in the outs of a stage that {stage.name} needs"
        raise NotFound(kind="dep", name=path, hint=hint)
    return ResolvedInput(_data(services, path, part, origin="code"))


def _outs_of_needs(services: Services, view: PipelineView, stage: Stage) -> Iterable[ResolvedInput]:
    direct = {
        view.stages[key].run_id: view.stages[key] for key in stage.planned.needs if view.stages[key].run_id
    }
    for run_id, source in direct.items():
        for artifact in services.store.list_artifacts(run_id):
            if artifact.kind == "out":
                data = DataInput(
                    path=artifact.path,
                    manifest=artifact.manifest,
                    size_bytes=artifact.size_bytes,
                    origin=f"stage:{source.key}",
                )
                yield ResolvedInput(data, run_id)


def _data(services: Services, path: str, manifest: Manifest, *, origin: str) -> DataInput:
    digest = keep_manifest(services, manifest)
    return DataInput(path=path, manifest=digest, size_bytes=manifest.size_bytes, origin=origin)


def _read_params_file(services: Services, code: Manifest, stage: Stage, file: str) -> bytes:
    entry = code.find(file)
    if entry is None:
        raise InvalidInput(
            field=f"stages.{stage.name}.params", value=file, wanted="a params file that is in the commit"
        )
    return services.blobs.read(entry.digest)


def _is_under(entry: ManifestEntry, wanted: str) -> bool:
    return wanted in (WHOLE_TREE, entry.path) or entry.path.startswith(f"{wanted}/")


def as_facts(inputs: Iterable[ResolvedInput]) -> dict[str, str]:
    """Give path → digest, as the cache key wants it."""
    return {item.data.path: item.data.manifest for item in inputs}


def replace_stage(stage: Stage, **changes: object) -> Stage:
    """Give the stage with some attributes changed."""
    return msgspec.structs.replace(stage, **changes)
