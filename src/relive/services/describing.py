"""What must be known of a model version before it is served, where no register stage has learned it.

A version that a client registered is a folder and a name. When it is first deployed, jobs of its revision
make its environment and learn its contract; see "A version that a client registered" in
docs/design/serving.md. All follows from the rows: a hub killed between two steps goes on.
"""

import platform
import sysconfig
from dataclasses import dataclass
from typing import Final

import msgspec

from relive.core.artifact import Manifest, ManifestEntry
from relive.core.endpoint import Revision
from relive.core.event import Event
from relive.core.ids import is_id
from relive.core.job import Job, JobKind, JobState
from relive.core.model import ModelVersion, Signature
from relive.core.pipeline import EnvSpec
from relive.core.recipe import EnvironmentLock
from relive.errors import Conflict, NotFound
from relive.formats.locks import environment_key
from relive.formats.mlflow_folder import (
    MODEL_FILE,
    REQUIREMENTS,
    ModelFile,
    Needs,
    read_model_file,
    read_needs,
    satisfies,
)
from relive.services.context import Services
from relive.services.ids import new_id
from relive.services.inputs import keep_manifest, load_manifest, select_paths
from relive.services.registry import DESCRIBED_IN, load_environment, load_recipe
from relive.services.stages.environment import is_whole
from relive.wire.jobs import DescribeWork, EnvironmentWork

DOING: Final = "doing"
"""Among the facts of a revision: what it does before it is ready, in a few words."""
WAITS: Final = {
    JobKind.ENVIRONMENT: "waits for its environment to be resolved",
    JobKind.DESCRIBE: "waits for its model to be described",
    JobKind.SERVE: "waits for its process",
}
"""What a revision does from the moment a job of it is queued."""
_POOL: Final = "local"
_LARGEST_TEXT: Final = 1 << 20
_WHEELS: Final = "wheels/"
_OF_RUN: Final = "its run"
# Beside it among the facts of a version: where that environment comes from.
_FROM: Final = "environment_from"


@dataclass(frozen=True)
class _Environment:
    """The environment a version is to have: a lock that is known, or what resolves it.

    Attributes:
        lock: Digest of the lock; empty if it must be resolved first.
        origin: What it comes from, for people.
        key: Under which the lock is kept once it was resolved.
    """

    lock: str
    origin: str
    key: str = ""
    work: EnvironmentWork | None = None


def check_deployable(services: Services, version: ModelVersion) -> None:
    """Refuse a version that nothing could test. Not for a transaction: it reads blobs.

    Raises:
        Conflict: It has neither a contract nor what one could be learned from; says what to do.
        EnvironmentFailed: Its folder does not say which packages it needs.
        InvalidInput: A file of its folder is not what it should be.
    """
    if version.contract:
        return
    name = f"{version.model} v{version.version}"
    if not version.manifest:
        raise Conflict(
            subject=name,
            reason=f"its files are not in this hub (they are at {version.source or 'no address'})",
            hint="log the model with MLFLOW_TRACKING_URI set to this hub, and register it from there",
        )
    folder = load_manifest(services, version.manifest)
    model = _model_file(services, version, folder)
    if model is None:
        raise _no_example(name, "it was registered without an example", _hint_without(version))
    if not model.example or folder.find(model.example) is None:
        call = f"mlflow.{model.flavor}.log_model(..., input_example=X[:5], registered_model_name=…)"
        raise _no_example(name, "its model was logged without an input example", f"log it again with {call}")
    if not _recorded_lock(services, version, None):
        _needs(services, folder)


def next_job(services: Services, revision: Revision) -> Job | None:
    """Give the next job of what must be known before a revision's version is served; None if all is.

    Raises:
        NotFound: Its folder is no MLflow model any more.
        EnvironmentFailed: Its folder does not say which packages it needs.
    """
    version = services.store.get_version_by_id(revision.version_id)
    if version.contract:
        return None
    project = services.store.get_project(services.store.get_model(version.model).project_id)
    folder = load_manifest(services, version.manifest)
    environment = _environment(services, version, folder, project.name)
    if environment.work is not None:
        payload = {"work": msgspec.to_builtins(environment.work), "key": environment.key}
        return _job(services, JobKind.ENVIRONMENT, revision, project.id, payload)
    model = _model_file(services, version, folder)
    if model is None:
        raise NotFound(kind="file of the model folder", name=MODEL_FILE)
    work = DescribeWork(
        project=project.name,
        model=version.manifest,
        example=keep_manifest(services, select_paths(folder, model.example)),
        code="",
        environment=environment.lock,
    )
    payload = {"work": msgspec.to_builtins(work), _FROM: environment.origin}
    return _job(services, JobKind.DESCRIBE, revision, project.id, payload)


def take_result(services: Services, revision: Revision, job: Job | None) -> None:
    """Keep what a finished job of a revision found; the same result twice changes nothing."""
    if job is None or job.state is not JobState.DONE:
        return
    if job.kind is JobKind.ENVIRONMENT:
        services.store.record_environment(str(job.payload["key"]), str(job.result["lock"]))
    elif job.kind is JobKind.DESCRIBE:
        _take_contract(services, revision, job)


def world_of(services: Services, version: ModelVersion) -> tuple[str, str]:
    """Give the code and the environment that a version is served with, by their digests.

    Raises:
        NotFound: A register stage made it of a run whose recipe is gone.
    """
    if DESCRIBED_IN in version.facts:
        return "", str(version.facts[DESCRIBED_IN])
    declared = load_recipe(services, version.run_id).declared
    return declared.code.manifest, declared.environment


def _take_contract(services: Services, revision: Revision, job: Job) -> None:
    store = services.store
    with store.transaction():
        version = store.get_version_by_id(revision.version_id)
        if version.contract:
            return  # another revision of it was faster
        lock, origin = str(job.payload["work"]["environment"]), str(job.payload[_FROM])
        store.set_version(
            version.id,
            contract=str(job.result["contract"]),
            signature=msgspec.convert(job.result["signature"], Signature),
            facts=version.facts | {DESCRIBED_IN: lock, _FROM: origin},
        )
        told = {"model": version.model, "version": version.version, _FROM: origin}
        services.record(
            Event(
                kind="model.described",
                actor=str(revision.facts.get("by") or "hub"),
                subject=f"version:{version.id}",
                project=store.get_project(job.project_id).name,
                facts=told | {"registered_by": version.created_by},
            )
        )


def _environment(services: Services, version: ModelVersion, folder: Manifest, project: str) -> _Environment:
    recorded = _recorded_lock(services, version, folder)
    if recorded:
        return _Environment(recorded, _OF_RUN)
    needs = _needs(services, folder)
    tree = keep_manifest(services, _tree(services, folder, needs))
    env = EnvSpec(python=needs.python, lock=REQUIREMENTS)
    # Wheels beside the requirements are part of the tree, whose digest therefore is part of the name.
    place = f"{_POOL}:{sysconfig.get_platform()}:model:{tree}"
    files = {REQUIREMENTS: needs.requirements}
    key = environment_key(files, env, python=platform.python_version(), platform=place)
    known = services.store.find_environment(key)
    if known is not None and is_whole(services, known):
        return _Environment(known, REQUIREMENTS)
    return _Environment("", REQUIREMENTS, key, EnvironmentWork(project=project, code=tree, env=env))


def _recorded_lock(services: Services, version: ModelVersion, folder: Manifest | None) -> str:
    """Give the lock that the version's run was recorded with, if the model can live in it here.

    Args:
        folder: Whose requirements it must satisfy; None to ask for none.
    """
    try:
        recipe = load_recipe(services, version.run_id) if is_id(version.run_id) else None
    except NotFound:
        recipe = None  # a run that did not end, or that only a client told of
    digest = recipe.declared.environment if recipe else ""
    if not digest or not is_whole(services, digest):
        return ""
    lock = load_environment(services, digest)
    wanted = (_read(services, folder, REQUIREMENTS) or b"") if folder else b""
    return digest if lock and _is_for_here(lock) and satisfies(lock, wanted) else ""


def _is_for_here(lock: EnvironmentLock) -> bool:
    return "linux" in lock.platform and lock.platform.endswith(platform.machine())


def _needs(services: Services, folder: Manifest) -> Needs:
    return read_needs(lambda path: _read(services, folder, path))


def _tree(services: Services, folder: Manifest, needs: Needs) -> Manifest:
    """Give the part of a folder that its environment is made of."""
    entries = {
        entry.path: entry
        for entry in folder.entries
        if ("/" not in entry.path and entry.path.endswith(".txt")) or entry.path.startswith(_WHEELS)
    }
    blob = services.blobs.put(needs.requirements)
    entries[REQUIREMENTS] = ManifestEntry(path=REQUIREMENTS, digest=blob.digest, size_bytes=blob.size_bytes)
    return Manifest.of(entries.values())


def _model_file(services: Services, version: ModelVersion, folder: Manifest) -> ModelFile | None:
    """Read MLmodel; None if the folder has none, or is loaded by code of the repository."""
    data = _read(services, folder, MODEL_FILE) if version.loader == "auto" else None
    return None if data is None else read_model_file(data)


def _read(services: Services, folder: Manifest, path: str) -> bytes | None:
    entry = folder.find(path)
    readable = entry is not None and entry.link is None and entry.size_bytes <= _LARGEST_TEXT
    return services.blobs.read(entry.digest) if entry is not None and readable else None


def _job(
    services: Services, kind: JobKind, revision: Revision, project_id: str, payload: dict[str, object]
) -> Job:
    return Job(
        id=new_id(),
        kind=kind,
        state=JobState.QUEUED,
        pool=_POOL,
        subject=f"revision:{revision.id}",
        project_id=project_id,
        payload=payload,
        max_attempts=1,
        created_at=services.store.now(),
    )


def _no_example(name: str, what: str, hint: str) -> Conflict:
    return Conflict(subject=name, reason=f"{what}, so there is no contract test to pass", hint=hint)


def _hint_without(version: ModelVersion) -> str:
    if version.source:
        return "log it as an MLflow model: mlflow.sklearn.log_model(..., input_example=X[:5])"
    return "name an out with some input rows: register: {example: rows.csv}"
