"""Registered models, their tags and aliases, as MLflow's clients use them.

Source: mlflow.store.model_registry.sqlalchemy_store.
"""

from typing import Any

from relive.core.access import Caller
from relive.core.event import Event
from relive.core.model import ModelVersion, RegisteredModel
from relive.core.search import And, Comparison, Condition, Side, conjuncts
from relive.core.search_grammars import REGISTERED_MODELS
from relive.core.search_parser import parse_filter, parse_orders
from relive.errors import Conflict, NotFound
from relive.services.accounts import require_reader
from relive.services.context import Services
from relive.services.ids import new_id
from relive.services.mlflow import registry_rules as rules
from relive.services.mlflow.announcing import announce
from relive.services.mlflow.experiments import PROJECT, own_project
from relive.services.mlflow.faults import MlflowFault, invalid, invalid_value, missing, taken
from relive.services.mlflow.paging import page_offset, page_token
from relive.services.mlflow.registry_json import model_json, models_json, version_json
from relive.services.mlflow.rights import maker_name, require_maker, require_person
from relive.services.projects import find_or_create
from relive.services.registry import point_alias
from relive.wire.mlflow import registry as wire

_MOST_MODELS = 1000
_PAGE = 100


def create_model(services: Services, message: wire.CreateRegisteredModel, caller: Caller) -> dict[str, Any]:
    """Make a registered model, or a prompt, which is one with a tag that says so.

    It belongs to the project of a command's run, else to the one for MLflow's clients.

    Raises:
        MlflowFault: The name is none or taken, or a tag is none.
    """
    rules.check_model_name(message.name)
    tags = rules.check_tags(message.tags)
    store = services.store
    project_id = own_project(caller) or find_or_create(services, PROJECT, by=caller.name).id
    new = RegisteredModel(
        id=new_id(),
        project_id=project_id,
        name=message.name,
        description=message.description,
        created_by=maker_name(caller),
        created_at=store.now(),
    )
    try:
        with store.transaction():
            made = store.create_model(new)
            store.set_model_tags(made.id, tags)
            kind = "prompt" if rules.is_prompt(tags) else "registered_model"
            hidden = {rules.IS_PROMPT, rules.PROMPT_TYPE} if kind == "prompt" else set()
            shown = {key: value for key, value in tags.items() if key not in hidden}
            payload = {"name": made.name, "tags": shown, "description": made.description}
            announce(services, f"{kind}.created", payload)
    except Conflict:
        raise _name_taken(services, message.name, rules.IS_PROMPT in tags) from None
    return model_json(services, made)


def find_model(services: Services, name: str, caller: Caller) -> RegisteredModel:
    """Give a model that the caller may read.

    Raises:
        MlflowFault: There is none, or the name is none.
        AccessDenied: A command asks for one of another project.
    """
    rules.check_model_name(name)
    try:
        model = services.store.get_model(name)
    except NotFound:
        raise missing(f"Registered Model with name={name} not found") from None
    require_reader(caller, model.project_id)
    return model


def update_model(services: Services, message: wire.UpdateRegisteredModel, caller: Caller) -> dict[str, Any]:
    """Change a model's description."""
    model = find_model(services, message.name, caller)
    require_maker(caller, model.created_by, "change a registered model")
    now = services.store.now()
    changed = services.store.set_model(model.id, description=message.description, updated_at=now)
    return model_json(services, changed)


def delete_model(services: Services, name: str, caller: Caller) -> None:
    """Delete a model with all its versions.

    Raises:
        MlflowFault: An endpoint serves one of them, or has.
    """
    model = find_model(services, name, caller)
    require_maker(caller, model.created_by, "delete a registered model")
    with services.store.transaction():
        try:
            services.store.delete_model(model.id)
        except Conflict as error:
            raise MlflowFault(error_code="RESOURCE_CONFLICT", message=str(error)) from None
        _note(services, "model.deleted", model, caller)


def search_models(services: Services, message: wire.Search, caller: Caller) -> dict[str, Any]:
    """Search registered models; prompts only if the filter asks for them.

    Raises:
        MlflowFault: A page that cannot be given.
        InvalidFilter: The filter or the order cannot be read.
    """
    limit = _PAGE if message.max_results is None else message.max_results
    if limit > _MOST_MODELS:
        raise too_many(limit)
    condition, without = read_filter(parse_filter(message.filter, REGISTERED_MODELS))
    orders = parse_orders(message.order_by, REGISTERED_MODELS)
    offset = page_offset(message.page_token)
    found = services.store.search_models(
        condition,
        orders=orders,
        without_tag=without,
        project_id=own_project(caller) or None,
        limit=max(limit, 0) + 1,
        offset=offset,
    )
    reply: dict[str, Any] = {}
    if page := found[: max(limit, 0)]:
        reply["registered_models"] = models_json(services, page)
    if len(found) > max(limit, 0):
        reply["next_page_token"] = page_token(offset + limit)
    return reply


def read_filter(condition: Condition | None) -> tuple[Condition | None, tuple[str, str] | None]:
    """Give the condition without what it says of prompts, and the tag of what it leaves out.

    As in MLflow, prompts are found only by asking for them: `tags.mlflow.prompt.is_prompt = 'true'`.
    """
    about = [part for part in conjuncts(condition) if _is_about_prompts(part)]
    if about:
        first = about[0]
        assert isinstance(first, Comparison)  # as `_is_about_prompts` says
        value = str(first.value).lower()
        if (first.comparator, value) in (("=", "true"), ("!=", "false")):
            return condition, None
    rest = tuple(part for part in conjuncts(condition) if part not in about)
    kept = None if not rest else rest[0] if len(rest) == 1 else And(rest)
    return kept, (rules.IS_PROMPT, "true")


def too_many(limit: int) -> MlflowFault:
    """Make the fault for a page that is too long; it comes as text, in a query."""
    hint = " Hint: Value was of type 'str'."
    see = " See the API docs for more information about request parameters."
    return invalid(invalid_value("max_results", str(limit), hint) + see)


def set_tag(services: Services, message: wire.SetModelTag, caller: Caller) -> None:
    """Set a tag of a model."""
    rules.check_model_name(message.name)
    tags = rules.check_tags([wire.Tag(message.key, message.value)])
    model = find_model(services, message.name, caller)
    require_maker(caller, model.created_by, "tag a registered model")
    with services.store.transaction():
        services.store.set_model_tags(model.id, tags)
        if is_prompt_model(services, model.id):
            facts = {"name": model.name, "key": message.key, "value": message.value}
            announce(services, "prompt_tag.set", facts)


def delete_tag(services: Services, message: wire.DeleteModelTag, caller: Caller) -> None:
    """Take a tag of a model away, if it is there."""
    rules.check_model_name(message.name)
    rules.check_key(message.key)
    model = find_model(services, message.name, caller)
    require_maker(caller, model.created_by, "untag a registered model")
    with services.store.transaction():
        services.store.delete_model_tag(model.id, message.key)
        if is_prompt_model(services, model.id):
            announce(services, "prompt_tag.deleted", {"name": model.name, "key": message.key})


def set_alias(services: Services, message: wire.SetAlias, caller: Caller) -> None:
    """Point an alias at a version; people do this, not commands.

    Raises:
        MlflowFault: The alias is none or reserved, or there is no such version.
        AccessDenied: A command asks, or whoever has no login of a model that is another's.
    """
    rules.check_model_name(message.name)
    rules.check_alias(message.alias)
    rules.check_free_alias(message.alias)
    version = find_version(services, message.name, message.version, caller)
    model = services.store.get_model(version.model)
    require_person(caller, model.created_by, "set an alias")
    with services.store.transaction():
        point_alias(services, model.name, message.alias, version.version, by=caller.name)
        facts = {"name": model.name, "alias": message.alias, "version": message.version}
        announce(services, f"{_kind(services, model.id)}_alias.created", facts)


def delete_alias(services: Services, message: wire.NamedAlias, caller: Caller) -> None:
    """Take an alias away, if it is there; people do this, not commands."""
    rules.check_model_name(message.name)
    rules.check_alias(message.alias)
    model = find_model(services, message.name, caller)
    require_person(caller, model.created_by, "delete an alias")
    with services.store.transaction():
        services.store.delete_alias(model.name, message.alias)
        facts = {"name": model.name, "alias": message.alias}
        announce(services, f"{_kind(services, model.id)}_alias.deleted", facts)


def get_by_alias(services: Services, message: wire.NamedAlias, caller: Caller) -> dict[str, Any]:
    """Give the version that an alias points at; "latest" is the newest one.

    Raises:
        MlflowFault: There is no such model, or no such alias.
    """
    rules.check_model_name(message.name)
    rules.check_alias(message.alias)
    model = find_model(services, message.name, caller)
    if message.alias.lower() == "latest":
        versions = services.store.list_versions(model.name)
        if not versions:
            raise missing(f"Latest version not found for model {model.name}.")
        return version_json(services, versions[0])
    alias = services.store.find_alias(model.name, message.alias)
    if alias is None:
        raise invalid(f"Registered model alias {message.alias} not found.")
    return version_json(services, services.store.get_version(model.name, str(alias.version)))


def find_version(services: Services, name: str, version: str, caller: Caller) -> ModelVersion:
    """Give a version that the caller may read.

    Raises:
        MlflowFault: There is none, or what names it cannot.
    """
    rules.check_model_name(name)
    number = rules.version_number(version)
    try:
        found = services.store.get_version(name, str(number))
        require_reader(caller, services.store.get_model(name).project_id)
    except NotFound:
        raise missing(f"Model Version (name={name}, version={number}) not found") from None
    return found


def is_prompt_model(services: Services, model_id: str) -> bool:
    """Tell whether a model is a prompt."""
    return rules.is_prompt(services.store.list_model_tags([model_id]).get(model_id, {}))


def _kind(services: Services, model_id: str) -> str:
    return "prompt" if is_prompt_model(services, model_id) else "model_version"


def _is_about_prompts(part: Condition) -> bool:
    is_tag = isinstance(part, Comparison) and part.field.side is Side.TAG
    return is_tag and isinstance(part, Comparison) and part.field.key == rules.IS_PROMPT


def _name_taken(services: Services, name: str, is_prompt: bool) -> MlflowFault:
    there = services.store.get_model(name)
    was_prompt = rules.IS_PROMPT in services.store.list_model_tags([there.id]).get(there.id, {})
    words = {True: "Prompt", False: "Registered Model"}
    if was_prompt == is_prompt:
        return taken(f"{words[is_prompt]} (name={name}) already exists.")
    return taken(
        f"Tried to create a {words[is_prompt].lower()} with name {name!r}, but the name is already taken by "
        f"a {words[was_prompt].lower()}. MLflow does not allow creating a model and a prompt with the same "
        "name."
    )


def _note(services: Services, kind: str, model: RegisteredModel, caller: Caller) -> None:
    project = services.store.get_project(model.project_id).name
    event = Event(
        kind=kind,
        actor=caller.name,
        subject=f"model:{model.id}",
        project=project,
        facts={"model": model.name},
    )
    services.record(event)
