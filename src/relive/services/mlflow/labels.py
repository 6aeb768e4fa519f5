"""Questions that reviewers are asked of traces, as MLflow's clients use them (label schemas).

They say what a page asks; what is said of a trace is an assessment, and is not held to them.
Source: mlflow.store.tracking.sqlalchemy_store, mlflow.genai.label_schemas.validation.
"""

from contextlib import suppress
from typing import Any, Final

from relive.core.access import Caller
from relive.core.project import Experiment
from relive.core.review import LabelKind, LabelSchema
from relive.errors import Conflict, NotFound
from relive.ports.review import Within
from relive.services.accounts import require_reader
from relive.services.context import Services
from relive.services.ids import new_id
from relive.services.mlflow.experiments import get_experiment, tell
from relive.services.mlflow.faults import MlflowFault, invalid, missing, taken
from relive.services.mlflow.label_inputs import check_same_kind, input_of
from relive.services.mlflow.pages import a_page, check_limit, reply
from relive.services.mlflow.rights import maker_name, require_maker
from relive.services.mlflow.values import milliseconds
from relive.wire.mlflow import review as wire

_DEFAULT: Final = "Feedback"
_ASKS: Final = "Share any feedback on this trace."
_LONGEST_NAME: Final = 250
_LONGEST_INSTRUCTION: Final = 1000
# By name, and by the number that MLflow's protocol gives each.
_KINDS: Final[dict[str | int, LabelKind]] = {
    "FEEDBACK": LabelKind.FEEDBACK,
    "EXPECTATION": LabelKind.EXPECTATION,
    1: LabelKind.FEEDBACK,
    2: LabelKind.EXPECTATION,
}


def create_schema(services: Services, message: wire.CreateLabelSchema, caller: Caller) -> dict[str, Any]:
    """Make a question.

    Raises:
        MlflowFault: It is none, its name is taken, or there is no such experiment, or it is deleted.
        AccessDenied: A command names an experiment of another project.
    """
    if message.type not in _KINDS:
        raise invalid("Label schema `type` must be one of FEEDBACK or EXPECTATION; got proto enum value 0.")
    given = input_of(message.input)
    _check_name(message.name)
    _check_instruction(message.instruction)
    experiment = active_experiment(services, message.experiment_id, caller)
    made = LabelSchema(
        id=f"ls-{new_id()}",
        experiment_id=experiment.id,
        name=message.name,
        kind=_KINDS[message.type],
        input=given,
        instruction=message.instruction,
        enable_comment=message.enable_comment,
        created_by=maker_name(caller),
    )
    try:
        return _json(services.store.create_label_schema(made))
    except Conflict:
        raise _taken(message.name, experiment.id) from None


def get_schema(services: Services, schema_id: str, caller: Caller) -> dict[str, Any]:
    """Give a question.

    Raises:
        MlflowFault: There is none.
        AccessDenied: A command asks for one of another project.
    """
    return _json(_found(services, schema_id, caller))


def get_schema_by_name(services: Services, message: wire.NamedInExperiment, caller: Caller) -> dict[str, Any]:
    """Give the question of this name; raises as `get_schema`, and if there is no such experiment."""
    experiment = active_experiment(services, message.experiment_id, caller)
    found = services.store.find_label_schema(experiment.id, message.name)
    if found is None:
        where = f"for experiment '{message.experiment_id}'"
        raise missing(f"Label schema with name '{message.name}' not found {where}.")
    return _json(found)


def list_schemas(services: Services, message: wire.ListLabelSchemas, caller: Caller) -> dict[str, Any]:
    """Give a page of an experiment's questions, the newest first; every experiment has the default one.

    Raises:
        MlflowFault: A page that cannot be given, or there is no such experiment, or it is deleted.
    """
    check_limit(message.max_results)
    experiment = active_experiment(services, message.experiment_id, caller)
    _ensure_default(services, experiment.id)
    page, token = a_page(
        message.max_results,
        message.page_token,
        lambda offset, limit: services.store.list_label_schemas(
            Within(experiment_id=experiment.id), offset=offset, limit=limit
        ),
    )
    return reply("label_schemas", [_json(schema) for schema in page], token)


def update_schema(services: Services, message: wire.UpdateLabelSchema, caller: Caller) -> dict[str, Any]:
    """Change what is named of a question; whether it is feedback and how it is answered stay.

    Raises:
        MlflowFault: There is none, it is the default one, or it would be none or another's namesake.
        AccessDenied: It is another's.
    """
    given = input_of(message.input) if message.input is not None else None
    schema = _found(services, message.schema_id, caller)
    if schema.is_default:
        raise invalid("The experiment's default question cannot be edited.")
    require_maker(caller, schema.created_by, "change a label schema")
    if message.name is not None:
        _check_name(message.name)
    _check_instruction(message.instruction)
    if given is not None:
        check_same_kind(schema.input, given)
    said = {
        "name": message.name,
        "instruction": message.instruction,
        "enable_comment": message.enable_comment,
        "input": given,
    }
    changes = {field: value for field, value in said.items() if value is not None}
    try:
        changed = services.store.set_label_schema(schema.id, **changes, updated_at=services.store.now())
    except Conflict:
        raise _taken(message.name or "", schema.experiment_id) from None
    return _json(changed)


def delete_schema(services: Services, schema_id: str, caller: Caller) -> None:
    """Delete a question; what was answered stays. One that is not there is no error.

    Raises:
        MlflowFault: It is the default one.
        AccessDenied: It is another's.
    """
    schema = _find(services, schema_id, caller)
    if schema is None:
        return
    if schema.is_default:
        raise invalid("The experiment's default question cannot be deleted.")
    require_maker(caller, schema.created_by, "delete a label schema")
    store = services.store
    with store.transaction():
        store.delete_label_schema(schema.id)
        experiment = store.get_experiment(schema.experiment_id)
        tell(services, "label_schema.deleted", experiment, caller, label_schema=schema.name)


def active_experiment(services: Services, experiment_id: str, caller: Caller) -> Experiment:
    """Give an experiment; a deleted one is not there.

    Raises:
        MlflowFault: There is none.
        AccessDenied: A command asks for one of another project.
    """
    experiment = get_experiment(services, experiment_id, caller)
    if experiment.deleted_at is not None:
        raise missing(f"No Experiment with id={experiment_id} exists")
    return experiment


def _find(services: Services, schema_id: str, caller: Caller) -> LabelSchema | None:
    try:
        schema = services.store.get_label_schema(schema_id)
    except NotFound:
        return None
    require_reader(caller, services.store.get_experiment(schema.experiment_id).project_id)
    return schema


def _found(services: Services, schema_id: str, caller: Caller) -> LabelSchema:
    schema = _find(services, schema_id, caller)
    if schema is None:
        raise missing(f"Label schema with id '{schema_id}' not found.")
    return schema


def _ensure_default(services: Services, experiment_id: str) -> None:
    """Make the question that every experiment has, when it is first asked for its questions."""
    if services.store.find_label_schema(experiment_id, _DEFAULT) is not None:
        return
    default = LabelSchema(
        id=f"ls-{new_id()}",
        experiment_id=experiment_id,
        name=_DEFAULT,
        kind=LabelKind.FEEDBACK,
        input={"text": {}},
        instruction=_ASKS,
        is_default=True,
    )
    with suppress(Conflict):  # another made it in between
        services.store.create_label_schema(default)


def _check_name(name: str) -> None:
    if not name:
        raise invalid(f"Label schema `name` must be a non-empty string; got {name!r}.")
    if len(name) > _LONGEST_NAME:
        raise invalid(f"Label schema `name` must be at most {_LONGEST_NAME} characters; got {len(name)}.")
    if name.strip().lower() == _DEFAULT.lower():
        raise invalid(
            f"`{name}` is reserved for the experiment's default question and cannot be used for another "
            "label schema."
        )


def _check_instruction(instruction: str | None) -> None:
    if instruction is not None and len(instruction) > _LONGEST_INSTRUCTION:
        wanted = f"must be at most {_LONGEST_INSTRUCTION} characters"
        raise invalid(f"Label schema `instruction` {wanted}; got {len(instruction)}.")


def _taken(name: str, experiment_id: str) -> MlflowFault:
    return taken(f"Label schema with name '{name}' already exists for experiment '{experiment_id}'.")


def _json(schema: LabelSchema) -> dict[str, Any]:
    return {
        "schema_id": schema.id,
        "experiment_id": schema.experiment_id,
        "name": schema.name,
        "type": schema.kind.name,
        "input": schema.input,
        "enable_comment": schema.enable_comment,
        "created_at": milliseconds(schema.created_at),
        "last_updated_at": milliseconds(schema.updated_at),
        "is_default": schema.is_default,
    } | ({} if schema.instruction is None else {"instruction": schema.instruction})
