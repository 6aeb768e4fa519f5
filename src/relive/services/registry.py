"""Model versions, their signed statements and their aliases."""

import base64
import hashlib
from collections.abc import Sequence
from typing import Any

import msgspec

from relive.core.artifact import Manifest
from relive.core.digest import canonical_json
from relive.core.event import Event
from relive.core.ids import check_name
from relive.core.model import Alias, ModelVersion, RegisteredModel, Signature
from relive.core.pipeline import Stage
from relive.core.project import Project
from relive.core.promotion import Decision, Promotion, promotions
from relive.core.provenance import BUILD_TYPE, PAYLOAD_TYPE, Builder, statement, upload_statement
from relive.core.recipe import EnvironmentLock, Recipe
from relive.errors import Conflict, InvalidName, NotFound, ReliveError
from relive.formats.dsse import Envelope
from relive.services.context import Services
from relive.services.ids import new_id
from relive.services.inputs import load_manifest
from relive.services.stages.outcome import refuse
from relive.services.succession import SETTLED, find_later_promotion, is_settled
from relive.services.view import PipelineView, version_of

DESCRIBED_IN = "described_in"
"""Among the facts of a version that was described when it was first deployed: its environment's digest."""


class NewVersion(msgspec.Struct, frozen=True, kw_only=True):
    """What a version is made of; see `ModelVersion`."""

    project: Project
    model: str
    run_id: str
    manifest: str
    loader: str
    contract: str = ""
    signature: Signature | None = None
    environment: str = ""
    pipeline_id: str = ""
    stage_id: str = ""
    created_by: str = ""
    metrics: dict[str, float] = {}


def create_version(services: Services, new: NewVersion) -> ModelVersion:
    """Write the next version of a model with its signed statement, or give the one its stage made before.

    Raises:
        NotFound: The run that made it has no recipe, so nothing could be said about it.
        Conflict: The model belongs to another project.
    """
    store = services.store
    if (
        new.stage_id
        and (earlier := store.find_version_of_stage(new.stage_id)) is not None
        and earlier.provenance
    ):
        return earlier
    recipe = load_recipe(services, new.run_id)
    model = store.ensure_model(new.project.id, new.model)
    files = file_sha256s(services, load_manifest(services, new.manifest))
    created = store.create_version(_unsigned(services, new, model, folder_sha256(files)))
    signed = sign_statement(services, created, files, recipe)
    with store.transaction():
        version = store.set_version(created.id, provenance=signed)
        services.record(
            Event(
                kind="model.registered",
                actor=new.created_by or "hub",
                subject=f"version:{version.id}",
                project=new.project.name,
                facts={"model": version.model, "version": version.version, "run": version.run_id},
            )
        )
    return version


def find_same_version(services: Services, new: NewVersion, *, statuses: Sequence[str]) -> ModelVersion | None:
    """Find a finished version that is all the new one would be; the newest of several.

    Args:
        statuses: Which of them may stand for it.
    """
    for version in services.store.list_versions_of_run(new.run_id):
        # What was described since was registered without a contract.
        contract = "" if DESCRIBED_IN in version.facts else version.contract
        made_of = (version.model, version.manifest, version.loader, contract)
        if (
            made_of == (new.model, new.manifest, new.loader, new.contract)
            and version.facts.get("environment", "") == new.environment
            and version.provenance
            and version.status in statuses
        ):
            return version
    return None


def sign_statement(
    services: Services, version: ModelVersion, files: dict[str, str], recipe: Recipe | None
) -> str:
    """Sign what is known of how a version was made, and give the statement's digest.

    Not for a transaction: a store in S3 may take seconds.

    Args:
        files: Hex SHA-256 of each file of its folder.
        recipe: All inputs of the run that made it; None if nobody recorded them, as of what a client stored.
    """
    if recipe is None:
        made: dict[str, object] = upload_statement(version, files, _builder(services, "none"))
    else:
        made = _statement(services, version, files, recipe)
    return services.blobs.put(services.signer.sign(PAYLOAD_TYPE, canonical_json(made))).digest


def _unsigned(services: Services, new: NewVersion, model: RegisteredModel, sha256: str) -> ModelVersion:
    run = services.store.get_run(new.run_id)
    return ModelVersion(
        id=new_id(),
        model_id=model.id,
        model=new.model,
        version=0,  # the store gives it the next number
        run_id=run.id,
        pipeline_id=new.pipeline_id,
        stage_id=new.stage_id,
        manifest=new.manifest,
        sha256=sha256,
        loader=new.loader,
        contract=new.contract,
        signature=new.signature,
        facts={
            "metrics": new.metrics,
            "commit": run.commit,
            "environment": new.environment,
            "recipe": run.recipe,
            "stage": run.stage,
            "size_bytes": load_manifest(services, new.manifest).size_bytes,
        },
        created_by=new.created_by,
        created_at=services.store.now(),
    )


def load_recipe(services: Services, run_id: str) -> Recipe:
    """Read a run's recipe.

    Raises:
        NotFound: The run has not ended, or ended without one.
    """
    run = services.store.get_run(run_id)
    if not run.recipe:
        raise NotFound(kind="recipe of run", name=run.id, hint="a recipe is closed when its run ends")
    return msgspec.json.decode(services.blobs.read(run.recipe), type=Recipe)


def load_environment(services: Services, digest: str) -> EnvironmentLock | None:
    """Read an environment lock; None for an empty digest."""
    return msgspec.json.decode(services.blobs.read(digest), type=EnvironmentLock) if digest else None


def file_sha256s(services: Services, manifest: Manifest) -> dict[str, str]:
    """Give the hex SHA-256 of each file, which is what signatures and other tools want."""
    digests: dict[str, str] = {}
    for entry in manifest.entries:
        if entry.link is None:
            with services.blobs.open(entry.digest) as file:
                digests[entry.path] = hashlib.file_digest(file, "sha256").hexdigest()  # type: ignore[arg-type]
    return digests


def folder_sha256(files: dict[str, str]) -> str:
    """Give one SHA-256 for a folder: over the lines that sha256sum prints, sorted by path."""
    lines = "".join(f"{digest}  {path}\n" for path, digest in sorted(files.items()))
    return hashlib.sha256(lines.encode()).hexdigest()


def verify_version(services: Services, version: ModelVersion) -> dict[str, object]:
    """Check a version's signature, and every byte of its folder against the signed digests.

    Raises:
        NotFound: It has no statement: its registration was never finished.
        SignatureInvalid: No key of this hub signed the statement.
        Conflict: The signed digests are not those of the folder.
    """
    envelope = read_provenance(services, version)
    payload = msgspec.json.decode(services.signer.verify(envelope), type=dict)
    folder, *signed = [(subject["name"], subject["digest"]["sha256"]) for subject in payload["subject"]]
    name = f"{version.model}@{version.version}"
    actual = file_sha256s(services, load_manifest(services, version.manifest))
    if folder != (name, folder_sha256(actual)) or dict(signed) != actual:
        raise Conflict(
            subject=name,
            reason="its files are not those that were signed",
            hint="put them back from a backup",
        )
    return {
        "model": version.model,
        "version": version.version,
        "files": len(actual),
        # Of the key that signed this, which need not be the one that signs today.
        "key_id": msgspec.json.decode(envelope, type=Envelope).signatures[0].keyid,
    }


def read_provenance(services: Services, version: ModelVersion) -> bytes:
    """Give a version's signed statement, byte for byte.

    Raises:
        NotFound: It has none: its registration was never finished.
    """
    if not version.provenance:
        name = f"{version.model}@{version.version}"
        raise NotFound(kind="signed statement of", name=name, hint="its registration was never finished")
    return services.blobs.read(version.provenance)


def was_seen(services: Services, version: ModelVersion) -> bool:
    """Tell whether the signed statement says how a version was made, rather than only who stored its files.

    Raises:
        NotFound: It has no statement.
    """
    envelope = msgspec.json.decode(read_provenance(services, version), type=Envelope)
    said = msgspec.json.decode(base64.b64decode(envelope.payload), type=dict[str, Any])
    return bool(said["predicate"]["buildDefinition"]["buildType"] == BUILD_TYPE)


def move_alias(services: Services, model: str, alias: str, version: int, *, by: str) -> Alias:
    """Point an alias at a version.

    Raises:
        InvalidName: This cannot be an alias: it is no name, or reads like a version's number.
        NotFound: There is no such version.
    """
    if check_name("alias", alias).removeprefix("v").isdecimal():
        raise InvalidName(field="alias", value=alias, wanted="a word that does not read like a number")
    return point_alias(services, model, alias, version, by=by)


def point_alias(services: Services, model: str, alias: str, version: int, *, by: str) -> Alias:
    """Point an alias, whose name was checked, at a version; where it points there already nothing happens.

    Raises:
        NotFound: There is no such version.
    """
    target = services.store.get_version(model, str(version))
    with services.store.transaction():
        there = services.store.find_alias(model, alias)
        if there is not None and there.version == target.version:
            return there
        moved = services.store.set_alias(model, alias, target.version, by=by)
        project = services.store.get_project(services.store.get_model(model).project_id)
        services.record(
            Event(
                kind="alias.moved",
                actor=by,
                subject=f"version:{target.id}",
                project=project.name,
                facts={"model": model, "alias": alias, "version": version, "previous": moved.previous},
            )
        )
    return moved


def settle_promotions(services: Services, view: PipelineView) -> bool:
    """Promote versions whose gates have passed, reject those whose gates failed; tells if any changed.

    One that cannot be promoted fails its stage: else its pipeline would go on for ever.
    """
    changed = False
    for due in promotions(view.planned, view.statuses, protected=view.is_protected):
        if due.decision not in (Decision.PROMOTE, Decision.REJECT):
            continue
        version = version_of(services, view.stages[due.key])
        if version is not None and not is_settled(view.stages[due.key], version):
            try:
                changed = _settle(services, view, due, version) or changed
            except ReliveError as error:
                refuse(services, view.stages[due.key], error)
                changed = True
    return changed


def _settle(services: Services, view: PipelineView, due: Promotion, version: ModelVersion) -> bool:
    store, promoted = services.store, due.decision is Decision.PROMOTE
    with store.transaction():
        stage = store.get_stage(view.stages[due.key].id)
        version = store.get_version_by_id(version.id)
        if is_settled(stage, version):
            return False  # of two hubs that both believe to hold the lock one moves the alias
        if version.stage_id == stage.id:
            store.set_version(version.id, status="promoted" if promoted else "rejected")
        else:  # its own pipeline has judged it; this one has its alias follow, once
            store.set_stage(stage.id, result=stage.result | {SETTLED: True})
        if promoted and due.alias:
            _move_unless_later(services, view, stage, version, due.alias)
    return True


def _move_unless_later(
    services: Services, view: PipelineView, stage: Stage, version: ModelVersion, alias: str
) -> None:
    later = find_later_promotion(services, view, version.model, alias)
    if later is None:
        by = f"pipeline {view.project.name} #{view.pipeline.number}"
        move_alias(services, version.model, alias, version.version, by=by)
        return
    stays = f"{alias} stays where pipeline #{later.number} of a later push has moved it"
    services.store.set_stage(stage.id, reason=f"{stage.reason}; {stays}")


def _statement(
    services: Services, version: ModelVersion, files: dict[str, str], recipe: Recipe
) -> dict[str, object]:
    isolation = recipe.observed.isolation if recipe.observed else "none"
    environment = load_environment(services, recipe.declared.environment)
    return statement(version, files, recipe, environment, _builder(services, isolation))


def _builder(services: Services, isolation: str) -> Builder:
    return Builder(url=services.place.public_url, version=services.place.version, isolation=isolation)
