"""Model versions, as MLflow's clients use them.

Source: mlflow.store.model_registry.sqlalchemy_store, mlflow.server.handlers.
"""

import json
from typing import Any

import msgspec

from relive.core.access import Caller
from relive.core.artifact import Manifest
from relive.core.digest import canonical_json
from relive.core.event import Event
from relive.core.ids import is_id
from relive.core.model import ModelVersion, RegisteredModel
from relive.core.provenance import PAYLOAD_TYPE
from relive.core.search_grammars import MODEL_VERSIONS
from relive.core.search_parser import parse_filter, parse_orders
from relive.errors import Conflict, NotFound
from relive.services.context import Services
from relive.services.ids import new_id
from relive.services.inputs import keep_manifest, load_manifest
from relive.services.mlflow import registry_rules as rules
from relive.services.mlflow.announcing import announce
from relive.services.mlflow.experiments import own_project
from relive.services.mlflow.faults import MlflowFault, invalid, taken
from relive.services.mlflow.paging import page_offset, page_token
from relive.services.mlflow.registry import find_model, find_version, is_prompt_model, read_filter, too_many
from relive.services.mlflow.registry_json import location_of, model_json, version_json, versions_json
from relive.services.mlflow.rights import maker_name, require_maker, require_person
from relive.services.mlflow.sources import Source, files_at, prompt_source, resolve
from relive.services.registry import (
    file_sha256s,
    folder_sha256,
    load_recipe,
    read_provenance,
    sign_statement,
)
from relive.wire.mlflow import registry as wire

_MOST_VERSIONS = 200_000
_DEFAULT_ORDER = ("last_updated_timestamp DESC", "name ASC", "version_number DESC")


def create_version(services: Services, message: wire.CreateModelVersion, caller: Caller) -> dict[str, Any]:
    """Register a version; its files, if they are of this hub, are kept by digest and signed for.

    Raises:
        MlflowFault: There is no such model, or the source is not what it could be.
        AccessDenied: A command registers what is another project's.
    """
    tags = {tag.key: tag.value for tag in message.tags}
    is_prompt = rules.is_prompt(tags)
    source = prompt_source(message.source) if is_prompt else resolve(services, caller, message)
    rules.check_model_name(message.name)
    tags = rules.check_tags(message.tags, of_version=True)
    model = find_model(services, message.name, caller)
    manifest = Manifest(()) if is_prompt else files_at(services, caller, source.location)
    store, files = services.store, file_sha256s(services, manifest)
    new = _new(services, message, model, source, (manifest, files))
    with store.transaction():
        made = store.create_version(msgspec.structs.replace(new, created_by=maker_name(caller)))
        store.set_version_tags(made.id, tags)
        store.set_model(model.id, updated_at=made.created_at)
        _tell(services, made, message, source, is_prompt=is_prompt)
        services.record(
            Event(
                kind="model.registered",
                actor=caller.name,
                subject=f"version:{made.id}",
                project=store.get_project(model.project_id).name,
                facts={"model": made.model, "version": made.version, "run": made.run_id},
            )
        )
    if files:
        made = store.set_version(made.id, provenance=_signed(services, made, files))
    if source.model_id and not is_prompt:
        _note_on_logged(services, source.model_id, made)
    return version_json(services, made)


def _new(
    services: Services,
    message: wire.CreateModelVersion,
    model: RegisteredModel,
    source: Source,
    content: tuple[Manifest, dict[str, str]],
) -> ModelVersion:
    manifest, files = content
    facts: dict[str, Any] = {}
    if source.location != source.text:
        facts["location"] = source.location
    if files:
        facts["size_bytes"] = manifest.size_bytes
    now = services.store.now()
    return ModelVersion(
        id=new_id(),
        model_id=model.id,
        model=model.name,
        version=0,  # the store gives it the next number
        run_id=source.run_id,
        manifest=keep_manifest(services, manifest) if files else "",
        sha256=folder_sha256(files) if files else "",
        facts=facts | _facts_of_run(services, source.run_id),
        description=message.description,
        source=source.text,
        run_link=message.run_link,
        logged_model_id=source.model_id,
        created_at=now,
        updated_at=now,
    )


def _facts_of_run(services: Services, run_id: str) -> dict[str, Any]:
    """Give what pages show of a version's run; nothing if it is no run of this hub."""
    if not is_id(run_id):
        return {}  # a shorter text could begin another run's id
    try:
        run = services.store.get_run(run_id)
    except NotFound:
        return {}
    metrics = {metric.key: metric.last for metric in services.store.list_metrics([run.id])}
    finite = {key: value for key, value in metrics.items() if value - value == 0}  # JSON has no others
    return {"commit": run.commit, "metrics": finite, "recipe": run.recipe}


def _signed(services: Services, version: ModelVersion, files: dict[str, str]) -> str:
    """Sign what the hub saw: that a run made these files only if its recorder kept them as outs of it."""
    try:
        recipe = load_recipe(services, version.run_id) if _is_recorded(services, version) else None
    except NotFound:
        recipe = None
    return sign_statement(services, version, files, recipe)


def _is_recorded(services: Services, version: ModelVersion) -> bool:
    if not is_id(version.run_id):
        return False
    outs = [it for it in services.store.list_artifacts(version.run_id) if it.kind == "out"]
    kept = {digest for it in outs for digest in load_manifest(services, it.manifest).digests}
    return set(load_manifest(services, version.manifest).digests) <= kept


def _note_on_logged(services: Services, model_id: str, version: ModelVersion) -> None:
    """Write on a logged model under which names it is registered, as MLflow does."""
    store, key = services.store, "mlflow.modelVersions"
    known = store.list_logged_model_tags([model_id]).get(model_id, {}).get(key, "[]")
    try:
        versions = msgspec.json.decode(known, type=list[Any])
    except msgspec.MsgspecError:
        versions = []  # a client may write anything there
    versions.append({"name": version.model, "version": version.version})
    store.set_logged_model_tags(model_id, {key: json.dumps(versions)})


def _tell(
    services: Services,
    made: ModelVersion,
    message: wire.CreateModelVersion,
    source: Source,
    *,
    is_prompt: bool,
) -> None:
    tags = {tag.key: tag.value for tag in message.tags}
    facts: dict[str, Any] = {"name": made.model, "version": str(made.version)}
    if is_prompt:
        facts["template"] = tags.pop(rules.PROMPT_TEXT, None)
        tags = {key: tags[key] for key in tags if key not in (rules.IS_PROMPT, rules.PROMPT_TYPE)}
    else:
        facts |= {"source": source.text, "run_id": source.run_id or None}
    facts |= {"tags": tags, "description": message.description or None}
    announce(services, f"{'prompt' if is_prompt else 'model'}_version.created", facts)


def update_version(services: Services, message: wire.UpdateModelVersion, caller: Caller) -> dict[str, Any]:
    """Change a version's description."""
    version = find_version(services, message.name, message.version, caller)
    require_maker(caller, version.created_by, "change a model version")
    now = services.store.now()
    changed = services.store.set_version(version.id, description=message.description, updated_at=now)
    return version_json(services, changed)


def delete_version(services: Services, message: wire.VersionName, caller: Caller) -> None:
    """Delete a version.

    Raises:
        MlflowFault: An endpoint serves it, or has.
    """
    rules.version_number(message.version)
    version = find_version(services, message.name, message.version, caller)
    require_maker(caller, version.created_by, "delete a model version")
    store = services.store
    with store.transaction():
        try:
            store.delete_version(version.id)
        except Conflict as error:
            raise MlflowFault(error_code="RESOURCE_CONFLICT", message=str(error)) from None
        model = store.set_model(version.model_id, updated_at=store.now())
        services.record(
            Event(
                kind="version.deleted",
                actor=caller.name,
                subject=f"version:{version.id}",
                project=store.get_project(model.project_id).name,
                facts={"model": version.model, "version": version.version},
            )
        )


def transition_stage(services: Services, message: wire.TransitionStage, caller: Caller) -> dict[str, Any]:
    """Move a version to another stage of MLflow's old life cycle; people do this, not commands.

    Raises:
        MlflowFault: There is no such stage, or what is in it cannot be archived.
    """
    stage = rules.stage_of(message.stage)
    if message.archive_existing_versions:
        rules.check_archiving(message.stage)
    version = find_version(services, message.name, message.version, caller)
    store = services.store
    require_person(caller, store.get_model(version.model).created_by, "move a version to another stage")
    now, kept = store.now(), "" if stage == "None" else stage
    with store.transaction():
        if message.archive_existing_versions:
            for other in store.list_versions(version.model):
                if other.stage == stage and other.id != version.id:
                    store.set_version(other.id, stage="Archived", updated_at=now)
        changed = store.set_version(version.id, stage=kept, updated_at=now)
        store.set_model(version.model_id, updated_at=now)
    return version_json(services, changed)


def latest_versions(services: Services, message: wire.GetLatestVersions, caller: Caller) -> dict[str, Any]:
    """Give the newest version of each stage, or of some stages."""
    model = find_model(services, message.name, caller)
    stages = {rules.stage_of(stage) for stage in message.stages or rules.STAGES}
    newest = services.store.list_latest_versions([model.name])
    found = [version for version in newest if (version.stage or "None") in stages]
    return {"model_versions": versions_json(services, found)} if found else {}


def search_versions(services: Services, message: wire.Search, caller: Caller) -> dict[str, Any]:
    """Search versions; those of prompts only if the filter asks for them.

    Raises:
        MlflowFault: A page that cannot be given.
        InvalidFilter: The filter or the order cannot be read.
    """
    limit = _MOST_VERSIONS if message.max_results is None else message.max_results
    if limit > _MOST_VERSIONS:
        raise too_many(limit)
    if limit < 1:
        raise invalid(f"Invalid value for max_results. It must be a positive integer, but got {limit}")
    condition, without = read_filter(parse_filter(message.filter, MODEL_VERSIONS))
    orders = parse_orders(message.order_by or _DEFAULT_ORDER, MODEL_VERSIONS)
    offset = page_offset(message.page_token)
    found = services.store.search_versions(
        condition,
        orders=orders,
        without_tag=without,
        project_id=own_project(caller) or None,
        limit=limit + 1,
        offset=offset,
    )
    reply: dict[str, Any] = {}
    if page := found[:limit]:
        reply["model_versions"] = versions_json(services, page, with_aliases=False)
    if len(found) > limit:
        reply["next_page_token"] = page_token(offset + limit)
    return reply


def download_uri(services: Services, message: wire.LooseVersionName, caller: Caller) -> dict[str, Any]:
    """Give the address from which a version's files are downloaded."""
    return {
        "artifact_uri": location_of(find_version(services, message.name, message.version, caller)),
    }


def set_version_tag(services: Services, message: wire.SetVersionTag, caller: Caller) -> None:
    """Set a tag of a version."""
    rules.check_model_name(message.name)
    rules.version_number(message.version)
    tags = rules.check_tags([wire.Tag(message.key, message.value)], of_version=True)
    version = find_version(services, message.name, message.version, caller)
    require_maker(caller, version.created_by, "tag a model version")
    with services.store.transaction():
        services.store.set_version_tags(version.id, tags)
        facts = {"name": message.name, "version": message.version}
        facts |= {"key": message.key, "value": message.value}
        announce(services, f"{_kind(services, version)}_tag.set", facts)


def delete_version_tag(services: Services, message: wire.DeleteVersionTag, caller: Caller) -> None:
    """Take a tag of a version away, if it is there."""
    rules.check_model_name(message.name)
    rules.version_number(message.version)
    rules.check_key(message.key)
    version = find_version(services, message.name, message.version, caller)
    require_maker(caller, version.created_by, "untag a model version")
    with services.store.transaction():
        services.store.delete_version_tag(version.id, message.key)
        facts = {"name": message.name, "version": message.version, "key": message.key}
        announce(services, f"{_kind(services, version)}_tag.deleted", facts)


def rename_model(services: Services, message: wire.RenameRegisteredModel, caller: Caller) -> dict[str, Any]:
    """Give a model another name; what is signed of its versions is signed again under it.

    Raises:
        MlflowFault: The name is none, or taken.
    """
    rules.check_model_name(message.new_name, "new_name")
    model = find_model(services, message.name, caller)
    require_maker(caller, model.created_by, "rename a registered model")
    store = services.store
    versions = store.list_versions(model.name)
    signed = {it.id: _signed_as(services, it, message.new_name) for it in versions if it.provenance}
    now = store.now()
    try:
        with store.transaction():
            store.rename_model(model.id, message.new_name)
            for version in versions:
                provenance = signed.get(version.id, version.provenance)
                store.set_version(version.id, updated_at=now, provenance=provenance)
            renamed = store.set_model(model.id, updated_at=now)
            services.record(
                Event(
                    kind="model.renamed",
                    actor=caller.name,
                    subject=f"model:{model.id}",
                    project=store.get_project(model.project_id).name,
                    facts={"model": renamed.name, "was": model.name},
                )
            )
    except Conflict as error:
        text = f"Registered Model (name={message.new_name}) already exists. Error: {error}"
        raise taken(text) from None
    return model_json(services, renamed)


def _signed_as(services: Services, version: ModelVersion, name: str) -> str:
    """Sign a version's statement again under another name; what it says is otherwise the same."""
    payload = msgspec.json.decode(services.signer.verify(read_provenance(services, version)), type=dict)
    payload["subject"][0]["name"] = f"{name}@{version.version}"
    return services.blobs.put(services.signer.sign(PAYLOAD_TYPE, canonical_json(payload))).digest


def _kind(services: Services, version: ModelVersion) -> str:
    return "prompt_version" if is_prompt_model(services, version.model_id) else "model_version"
