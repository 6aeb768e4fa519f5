"""Data in versions: naming what was stored, and reading it by its name."""

from collections.abc import Sequence
from threading import Lock
from typing import Any, Final

from relive.core.access import Caller, Scope
from relive.core.artifact import Manifest
from relive.core.dataset import Dataset, DatasetRead, DatasetRef, DatasetVersion, read_ref
from relive.core.digest import Digest
from relive.core.event import Event
from relive.core.ids import check_name
from relive.core.project import Project
from relive.core.recipe import DataInput
from relive.core.run import Input, Run
from relive.errors import AccessDenied, BlobNotFound, Conflict, InvalidInput, NotFound
from relive.formats.layout import Layout, pack_digests
from relive.formats.packs import raw
from relive.formats.possession import prove
from relive.services import projects
from relive.services.collecting import find_missing
from relive.services.context import Services
from relive.services.ids import new_id
from relive.wire.datasets import AddVersion, DatasetDetail, PacksFound, VersionDetail

_LONGEST_MESSAGE: Final = 10_000
# What one profile takes in the database.
_LONGEST_PROFILE: Final = 1 << 20
_ORIGIN: Final = "dataset:"
# Which packs a layout names, for as many layouts as are read at the same time: it is asked for each pack.
_PACKS: Final[dict[Digest, frozenset[Digest]]] = {}
_MOST_LAYOUTS: Final = 64
_LOCK: Final = Lock()


def add_version(services: Services, message: AddVersion, caller: Caller) -> DatasetVersion:
    """Name what was stored as the next version; the newest one is given back if it is the same data.

    Raises:
        InvalidName, InvalidInput: A part of it cannot be used; nothing was named.
        NotFound: A blob of it is not here, or the run that made it.
        Conflict: The name is another project's, or packs are not here: add it again.
        AccessDenied: A run's command names another run or project, or bytes that it did not send.
    """
    store = services.store
    check_name("data set", message.name)
    if len(message.message) > _LONGEST_MESSAGE or len(str(message.profile)) > _LONGEST_PROFILE:
        wanted = f"at most {_LONGEST_MESSAGE} characters, and a profile of a megabyte"
        raise InvalidInput(field="message", value=message.message[:60], wanted=wanted)
    run_id = _maker_of(services, message, caller)
    manifest = _check(services, message)
    if caller.scope is Scope.COMMAND:
        _require_possession(services, message, caller)
    project = _project_of(services, message, caller)
    named = Dataset(id=new_id(), project_id=project.id, name=message.name, created_by=caller.name)
    version = DatasetVersion(
        id=new_id(),
        dataset_id=store.ensure_dataset(named).id,
        name=message.name,
        number=0,
        digest=message.digest,
        layout=message.layout,
        message=message.message,
        files=manifest.n_files,
        size_bytes=manifest.size_bytes,
        added_bytes=message.added_bytes,
        profile=message.profile,
        source=message.source,
        source_run_id=run_id,
        created_by=caller.name,
    )
    kept = store.add_dataset_version(version)
    if kept.id == version.id:
        facts = {"version": kept.number, "digest": kept.digest, "files": kept.files}
        _record(services, "dataset.added", kept, facts, by=caller.name)
    elif kept.layout != message.layout and check_packs(services, kept, ()).lost:
        services.store.set_dataset_layout(kept.dataset_id, kept.number, message.layout)
        return find_version(services, DatasetRef(kept.name, kept.number))
    return kept


def _maker_of(services: Services, message: AddVersion, caller: Caller) -> str:
    """Give the run that made a version: for a run's command that run, and no other."""
    if caller.scope is Scope.COMMAND:
        if message.source_run_id not in ("", caller.run_id):
            needs = "the token of that run"
            raise AccessDenied(action="add data as another run's", who=caller.name, needs=needs)
        return caller.run_id
    return services.store.get_run(message.source_run_id).id if message.source_run_id else ""


def _project_of(services: Services, message: AddVersion, caller: Caller) -> Project:
    if caller.scope is not Scope.COMMAND:
        return projects.find_or_create(services, message.project, by=caller.name)
    project = services.store.get_project(caller.project_id)
    if message.project != project.name:
        action = f"add data to project {message.project}"
        raise AccessDenied(action=action, who=caller.name, needs=f"its own project, {project.name}")
    return project


def _require_possession(services: Services, message: AddVersion, caller: Caller) -> None:
    """Refuse what a run's command did not send and could not read: naming it would let it be read."""
    named = {message.digest, message.layout, *pack_digests(services.blobs.read(message.layout))}
    dataset = services.store.find_dataset(message.name)
    if dataset is not None and dataset.project_id == caller.project_id:
        for version in services.store.list_dataset_versions(dataset.id):
            if not named - message.proofs.keys():
                break
            named -= {version.digest, version.layout, *_packs_of(services, version)}
    for digest in sorted(named):
        proof = message.proofs.get(digest, "")
        if not proof or prove(caller.run_id, services.blobs.iter_chunks(digest)) != proof:
            action = f"add a version that holds {digest}"
            raise AccessDenied(action=action, who=caller.name, needs="to have its bytes: relive data add")


def check_packs(services: Services, version: DatasetVersion, asked: Sequence[Digest]) -> PacksFound:
    """Read packs again that somebody found damaged, take out those that are, and say which are not here.

    Raises:
        BlobNotFound: One is no pack of this version.
    """
    for digest in asked:
        if not holds_pack(services, version, digest):
            raise BlobNotFound(kind="pack", name=digest)
    here = [digest for digest in asked if services.blobs.find(digest) is not None]
    damaged = [digest for digest in here if services.blobs.set_aside(digest)]
    if damaged:
        facts = {"version": version.number, "packs": damaged}
        _record(services, "dataset.damaged", version, facts, by="hub")
    return PacksFound(tuple(damaged), tuple(find_missing(services, sorted(_packs_of(services, version)))))


def get_version(services: Services, name: str, ref: str) -> DatasetVersion:
    """Give a version by 3, v3 or latest.

    Raises:
        NotFound: There is none.
        InvalidInput: The reference has another form.
    """
    return find_version(services, read_ref(f"{name}@{ref}"))


def find_version(services: Services, ref: DatasetRef) -> DatasetVersion:
    """Give the version that a reference names; raises as `get_version`."""
    found = services.store.find_dataset_version(ref.name, ref.number)
    if found is None:
        which = ref.name if ref.number is None else f"{ref.name}@v{ref.number}"
        raise NotFound(kind="data set", name=which, hint="relive data list")
    return found


def get_dataset(services: Services, name: str) -> Dataset:
    """Give a data set.

    Raises:
        NotFound: There is none of this name.
    """
    found = services.store.find_dataset(name)
    if found is None:
        raise NotFound(kind="data set", name=name, hint="relive data list")
    return found


def get_detail(services: Services, dataset: Dataset, *, limit: int) -> DatasetDetail:
    """Give a data set with so many of its versions, newest first."""
    versions = services.store.list_dataset_versions(dataset.id, limit=limit)
    return DatasetDetail(
        dataset=dataset,
        project=services.store.get_project(dataset.project_id).name,
        url=f"{services.place.public_url}/d/{dataset.name}",
        versions=tuple(versions),
    )


def list_datasets(services: Services, project_id: str, *, limit: int) -> list[DatasetDetail]:
    """Give data sets by name, each with its newest version."""
    found = services.store.list_all_datasets(project_id, limit=limit)
    return [get_detail(services, dataset, limit=1) for dataset in found]


def version_detail(services: Services, version: DatasetVersion) -> VersionDetail:
    """Give a version with the run that made it and those that read it."""
    store = services.store
    dataset = get_dataset(services, version.name)
    return VersionDetail(
        version=version,
        project=store.get_project(dataset.project_id).name,
        url=f"{services.place.public_url}/d/{version.name}/v/{version.number}",
        made_by=store.find_run(version.source_run_id) if version.source_run_id else None,
        reads=tuple(store.list_dataset_reads(version.dataset_id, version.number)),
    )


def delete_version(services: Services, version: DatasetVersion, *, by: str) -> None:
    """Forget a version; gc frees what no other one needs.

    Raises:
        Conflict: A run read it.
    """
    if services.store.delete_dataset_version(version.dataset_id, version.number):
        facts = {"version": version.number, "digest": version.digest}
        _record(services, "dataset.deleted", version, facts, by=by)


def _record(
    services: Services, kind: str, version: DatasetVersion, facts: dict[str, Any], *, by: str
) -> None:
    project = services.store.get_project(get_dataset(services, version.name).project_id).name
    subject = f"dataset:{version.name}"
    services.record(Event(kind=kind, actor=by, subject=subject, project=project, facts=facts))


def holds_pack(services: Services, version: DatasetVersion, digest: Digest) -> bool:
    """Tell whether a pack belongs to a version: who may read the one may read the other."""
    return digest in _packs_of(services, version)


def _packs_of(services: Services, version: DatasetVersion) -> frozenset[Digest]:
    with _LOCK:
        packs = _PACKS.get(version.layout)
    if packs is None:
        packs = pack_digests(services.blobs.read(version.layout))
        with _LOCK:
            while len(_PACKS) >= _MOST_LAYOUTS:
                del _PACKS[next(iter(_PACKS))]
            _PACKS[version.layout] = packs
    return packs


def resolve(services: Services, ref_text: str, path: str) -> tuple[DataInput, DatasetVersion]:
    """Give a version as a stage's input that lies at a path.

    Raises:
        NotFound: There is no such version.
        InvalidManifest: Its paths would become too long there.
    """
    version = find_version(services, read_ref(ref_text))
    manifest = Manifest.from_bytes(services.blobs.read(version.digest)).below(path)
    digest = services.blobs.put(manifest.to_bytes()).digest
    origin = f"{_ORIGIN}{version.ref}"
    return DataInput(path=path, manifest=digest, size_bytes=manifest.size_bytes, origin=origin), version


def read_of(run_id: str, version: DatasetVersion, path: str = "") -> DatasetRead:
    """Say that a run reads a version."""
    return DatasetRead(run_id=run_id, dataset_id=version.dataset_id, number=version.number, path=path)


def _check(services: Services, message: AddVersion) -> Manifest:
    """Make sure that every byte of a version is here, and pinned until it has a name."""
    if find_missing(services, [message.digest, message.layout]):
        raise NotFound(kind="blob", name=f"{message.digest} or {message.layout}", hint="store it first")
    manifest = Manifest.from_bytes(services.blobs.read(message.digest))
    layout = Layout.from_bytes(services.blobs.read(message.layout))
    for entry in manifest.entries:
        if entry.size_bytes and not layout.has(raw(entry.digest)):
            wanted = f"a layout that has every file; {entry.path} is missing"
            raise InvalidInput(field="layout", value=message.layout, wanted=wanted)
    gone = find_missing(services, [pack.digest for pack in layout.packs])
    if gone:
        raise Conflict(
            subject=f"data set {message.name!r}",
            reason=f"{len(gone)} of its packs are not in the store any more",
            hint="add it again: what is there is not sent twice",
        )
    return manifest


def record_read(services: Services, run: Run, version: DatasetVersion, path: str) -> None:
    """Keep that a run reads a version: as an edge of the lineage, and among the run's inputs."""
    store = services.store
    name = path or version.name
    edge = Input(
        run_id=run.id,
        path=name,
        manifest=version.digest,
        origin=f"{_ORIGIN}{version.ref}",
        source_run_id=version.source_run_id,
    )
    with store.transaction():
        store.record_inputs([edge])
        store.record_dataset_reads([read_of(run.id, version, path)])
