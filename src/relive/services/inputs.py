"""Which bytes a stage reads: its deps, found in the commit or among the outs of earlier stages."""

from collections.abc import Iterable
from dataclasses import dataclass
from itertools import islice

import msgspec

from relive.core.artifact import Manifest, ManifestEntry
from relive.core.dataset import DatasetVersion
from relive.core.pipeline import Action, Dep, Stage
from relive.core.recipe import DataInput
from relive.core.run import Artifact
from relive.errors import InvalidInput, NotFound
from relive.formats.params_file import collect_params
from relive.services import datasets
from relive.services.context import Services
from relive.services.planning import PIPELINE_FILE
from relive.services.view import PipelineView

WHOLE_TREE = "."
# In a bucket each costs a request, and the scheduler waits for it.
_MOST_LOOKED_AT = 1000


@dataclass(frozen=True)
class ResolvedInput:
    """One dep, and the outs or the version that it is made of; neither for what the commit holds."""

    data: DataInput
    made_of: tuple[Artifact, ...] = ()
    version: DatasetVersion | None = None


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
        _resolve_dataset(services, dep) if dep.dataset else _resolve(services, view, stage, code, dep.path)
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
    """Find the run before this stage whose out is this path or holds it."""
    wanted = path.rstrip("/")
    keys = stage.planned.sources.get(wanted)
    sources = view.upstream_runs(stage) if keys is None else _runs_of(view, keys)
    for source in sources:
        for artifact in _outs(services, source):
            made = artifact.path.rstrip("/")
            if wanted == made or wanted.startswith(f"{made}/"):
                return artifact, source
    return None


def has_outs(services: Services, run_id: str) -> bool:
    """Tell whether the blob store still has what a run made; of very many files it looks at the first."""
    blobs = services.blobs
    manifests = [item.manifest for item in services.store.list_artifacts(run_id) if item.kind == "out"]
    if blobs.missing(manifests):
        return False
    files = (digest for it in manifests for digest in load_manifest(services, it).digests)
    return not blobs.missing(islice(files, _MOST_LOOKED_AT))


def _resolve_dataset(services: Services, dep: Dep) -> ResolvedInput:
    data, version = datasets.resolve(services, dep.dataset, dep.path)
    return ResolvedInput(data, version=version)


def _resolve(
    services: Services, view: PipelineView, stage: Stage, code: Manifest, path: str
) -> ResolvedInput:
    """Find one dep: what the commit has of it, with the outs of earlier stages laid over that."""
    found = {entry.path: entry for entry in select_paths(code, path).entries}
    sources = [it for it in _runs_of(view, stage.planned.sources.get(path, ())) if it.run_id]
    made_of: list[Artifact] = []
    for source in sources:
        for artifact in _outs(services, source):
            part = select_paths(load_manifest(services, artifact.manifest), path)
            found |= {entry.path: entry for entry in part.entries}
            made_of += [artifact] if part.entries else []
    if not found:
        made = f"; {', '.join(it.key for it in sources)} did not write it" if sources else ""
        hint = f"commit it, or declare it in the outs of a stage that {stage.name} needs{made}"
        raise NotFound(kind="dep", name=path, hint=hint)
    origin = "+".join(f"stage:{source.key}" for source in sources) or "code"
    data = _data(services, path, Manifest.of(found.values()), origin=origin)
    return ResolvedInput(data, tuple(made_of))


def _outs_of_needs(services: Services, view: PipelineView, stage: Stage) -> Iterable[ResolvedInput]:
    for source in _runs_of(view, stage.planned.needs):
        for artifact in _outs(services, source):
            data = DataInput(
                path=artifact.path,
                manifest=artifact.manifest,
                size_bytes=artifact.size_bytes,
                origin=f"stage:{source.key}",
            )
            yield ResolvedInput(data, (artifact,))


def _runs_of(view: PipelineView, keys: Iterable[str]) -> Iterable[Stage]:
    """Give the stages with a run that these nodes stand for, each once.

    A select stands for the run it picked; a gate or a registration for the run of its own stage.
    """
    seen: dict[str, Stage] = {}
    for key in keys:
        node = view.stages[key]
        if node.action is Action.SELECT and "key" in node.result:
            node = view.stages[str(node.result["key"])]
        elif node.action is not Action.RUN:
            own = (it for it in view.upstream(node) if it.name == node.name and it.action is Action.RUN)
            node = next(own, node)
        if node.action is Action.RUN and node.run_id:
            seen.setdefault(node.key, node)
    return list(seen.values())


def _outs(services: Services, source: Stage) -> list[Artifact]:
    return [item for item in services.store.list_artifacts(source.run_id) if item.kind == "out"]


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
