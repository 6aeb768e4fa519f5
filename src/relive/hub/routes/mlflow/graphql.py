"""MLflow's GraphQL, which its classic pages ask: the calls of the table under other names.

The library is imported with the first question: few hubs are asked one.
"""

import asyncio
import json
import math
import re
from collections.abc import Callable, Mapping
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import msgspec
from litestar import Response, route
from litestar.status_codes import HTTP_200_OK

from relive.core.access import Caller
from relive.hub.http import HubRequest, services_of
from relive.hub.routes.mlflow import inputs, registry, search, tracking
from relive.hub.routes.mlflow.answers import failure_of
from relive.hub.routes.mlflow.reading import read_values
from relive.hub.routes.mlflow.table import Table, client_of
from relive.services.context import Services
from relive.services.mlflow.faults import invalid

if TYPE_CHECKING:
    from graphql import DocumentNode, ExecutionResult, GraphQLResolveInfo, GraphQLSchema, SelectionSetNode

_SCHEMA: Final = Path(__file__).with_name("schema.graphql")
_TABLE: Final[Table] = tracking.TABLE | inputs.TABLE | search.TABLE | registry.TABLE
_CALLS: Final = {
    "mlflowGetExperiment": ("GET", "experiments/get"),
    "mlflowGetMetricHistoryBulkInterval": ("GET", "metrics/get-history-bulk-interval"),
    "mlflowGetRun": ("GET", "runs/get"),
    "mlflowListArtifacts": ("GET", "artifacts/list"),
    "mlflowSearchDatasets": ("POST", "experiments/search-datasets"),
    "mlflowSearchModelVersions": ("GET", "model-versions/search"),
    "mlflowSearchRuns": ("POST", "runs/search"),
}
# MLflow's own limits, but for the first: a question of its pages has a few hundred tokens.
_MOST_TOKENS: Final = 5000
_MOST_DEEP: Final = 10
_MOST_FIELDS: Final = 1000
_MOST_AT_ROOT: Final = 10
_MOST_ALIASES: Final = 10
_HUMP: Final = re.compile("([A-Z])")
# In one filter.
_RUNS_A_LOOK: Final = 200


class _Asking:
    """One question: who asks it, and what was looked up for it.

    What is asked of each run of an answer is looked up for all of them at once.
    """

    def __init__(self, services: Services, caller: Caller) -> None:
        self.services = services
        self.caller = caller
        self.experiments: dict[str, Any] = {}
        self.versions: dict[str, list[Any]] = {}
        # Told of, but their versions were not looked up yet.
        self.run_ids: dict[str, None] = {}

    def note(self, answer: Mapping[str, Any]) -> None:
        """Keep in mind which runs an answer tells of."""
        runs = answer.get("runs") or filter(None, (answer.get("run"),))
        ids = [run["info"]["run_id"] for run in runs]
        self.run_ids |= dict.fromkeys(id_ for id_ in ids if id_ not in self.versions)


@route("/graphql", http_method=["GET", "POST"], include_in_schema=False)
async def graphql(request: HubRequest) -> Response[Any]:
    """Answer a question in GraphQL; what fails in a part of it is told beside the rest."""
    try:
        caller = client_of(request, "use the tracking API")
        asked = _asked(request, await request.body())
        found = await asyncio.to_thread(_execute, services_of(request), caller, asked)
    except Exception as error:  # noqa: BLE001 - a defect too has the shape that clients read
        return failure_of(request, error)
    errors = [_told(request, error) for error in found.errors or ()]
    return Response({"data": found.data, "errors": errors or None}, status_code=HTTP_200_OK)


def _asked(request: HubRequest, body: bytes) -> dict[str, Any]:
    """Read the question.

    Raises:
        MlflowFault: There is none.
    """
    if request.method == "GET":
        asked: Any = dict(request.query_params)
        variables = asked.get("variables") or "{}"
    else:
        asked, variables = _json(body), "{}"
    if not isinstance(asked, dict) or not isinstance(asked.get("query"), str):
        raise invalid("Missing value for required parameter 'query'.")
    given = _json(variables) if request.method == "GET" else asked.get("variables") or {}
    if not isinstance(given, dict):
        raise invalid("Invalid value for parameter 'variables' supplied: it must be an object.")
    name = asked.get("operationName")
    return {"query": asked["query"], "variables": given, "name": name if isinstance(name, str) else None}


def _json(text: str | bytes) -> Any:
    try:
        return json.loads(text or "{}")
    except (ValueError, RecursionError):
        raise invalid("Bad Request. The question must be JSON.") from None


def _execute(services: Services, caller: Caller, asked: Mapping[str, Any]) -> "ExecutionResult":
    from graphql import ExecutionResult, GraphQLError, execute_sync, parse, validate

    try:
        document = parse(asked["query"], max_tokens=_MOST_TOKENS)
    except (GraphQLError, RecursionError) as error:
        raise invalid(str(error) if isinstance(error, GraphQLError) else "It is nested too deeply.") from None
    if refusal := _refusal(document):
        return ExecutionResult(None, [GraphQLError(refusal)])
    if problems := validate(_schema(), document):
        return ExecutionResult(None, problems)
    return execute_sync(
        _schema(),
        document,
        context_value=_Asking(services, caller),
        variable_values=asked["variables"],
        operation_name=asked["name"],
        field_resolver=_field,
    )


@cache
def _schema() -> "GraphQLSchema":
    from graphql import GraphQLObjectType, build_schema

    schema = build_schema(_SCHEMA.read_text(encoding="utf-8"))
    for kind in (schema.query_type, schema.mutation_type):
        assert kind is not None  # both are in the file
        for name, field in kind.fields.items():
            field.resolve = _caller_of(*_CALLS[name]) if name in _CALLS else _echo
    run = schema.type_map["MlflowRunExtension"]
    assert isinstance(run, GraphQLObjectType)  # as the file says
    run.fields["experiment"].resolve = _experiment_of
    run.fields["modelVersions"].resolve = _versions_of
    return schema


def _caller_of(method: str, path: str) -> Callable[..., Any]:
    """Give what answers a question with a call of the table."""

    def resolve(_source: Any, info: "GraphQLResolveInfo[Any]", **asked: Any) -> Any:
        named = asked.get("input") or {}
        given = {_snake(name): value for name, value in named.items() if value is not None}
        answer = _call(info.context, (method, path), given)
        info.context.note(answer)
        return answer

    return resolve


def _call(asking: _Asking, row: tuple[str, str], given: dict[str, Any]) -> Any:
    kind, handle = _TABLE[row]
    message = given if kind is None else read_values(kind, given)
    return msgspec.to_builtins(handle(asking.services, asking.caller, message))


def _echo(_source: Any, _info: "GraphQLResolveInfo[Any]", inputString: str = "") -> dict[str, str]:  # noqa: N803
    """Give back what was given, as MLflow's test fields do."""
    return {"output": inputString}


def _experiment_of(run: Mapping[str, Any], info: "GraphQLResolveInfo[Any]") -> Any:
    asking: _Asking = info.context
    id_ = run["info"]["experiment_id"]
    if id_ not in asking.experiments:
        answer = _call(asking, _CALLS["mlflowGetExperiment"], {"experiment_id": id_})
        asking.experiments[id_] = answer["experiment"]
    return asking.experiments[id_]


def _versions_of(run: Mapping[str, Any], info: "GraphQLResolveInfo[Any]") -> Any:
    asking: _Asking = info.context
    while some := list(asking.run_ids)[:_RUNS_A_LOOK]:
        given = {"filter": f"run_id IN ({', '.join(map(repr, some))})"}
        found = _call(asking, _CALLS["mlflowSearchModelVersions"], given).get("model_versions", ())
        for id_ in some:
            asking.versions[id_] = [version for version in found if version["run_id"] == id_]
            del asking.run_ids[id_]
    return asking.versions[run["info"]["run_id"]]


def _field(source: Mapping[str, Any], info: "GraphQLResolveInfo[Any]") -> Any:
    """Give a field of an answer; what is absent has the value that MLflow's messages give it."""
    from graphql import get_nullable_type, is_list_type, is_object_type

    value, kind = source.get(_snake(info.field_name)), get_nullable_type(info.return_type)
    if is_list_type(kind):
        return value or []
    if is_object_type(kind):
        return value if value is not None or info.field_name == "apiError" else {}
    match str(kind):
        case "LongString":
            return str(value or 0)
        case "Float":
            return value if isinstance(value, int | float) and math.isfinite(value) else None
        case "Boolean":
            return bool(value)
        case "String":
            return "" if value is None else str(value)
    return value


def _snake(name: str) -> str:
    return _HUMP.sub(r"_\1", name).lower()


def _refusal(document: "DocumentNode") -> str:
    """Say why a question is too large with all its fragments in place, or if they go in circles; else ""."""
    from graphql import FragmentDefinitionNode, OperationDefinitionNode

    fragments = {it.name.value: it for it in document.definitions if isinstance(it, FragmentDefinitionNode)}
    level = [it.selection_set for it in document.definitions if isinstance(it, OperationDefinitionNode)]
    deep = total = 0
    while level:
        deep += 1
        if deep > _MOST_DEEP:
            return f"Query exceeds maximum depth of {_MOST_DEEP}"
        sets = [_fields(selected, fragments) for selected in level]
        fields = [field for some in sets for field in some]
        total += len(fields)
        if total > _MOST_FIELDS:
            return f"Query exceeds maximum total selections of {_MOST_FIELDS}"
        if deep == 1 and len(fields) > _MOST_AT_ROOT:
            return _too_many(_MOST_AT_ROOT, len(fields), "root fields")
        aliases = max(sum(field.alias is not None for field in some) for some in sets)
        if aliases > _MOST_ALIASES:
            return _too_many(_MOST_ALIASES, aliases, "aliases")
        level = [field.selection_set for field in fields if field.selection_set]
    return ""


def _too_many(most: int, found: int, what: str) -> str:
    return f"GraphQL queries should have at most {most} {what}, got {found} {what}."


def _fields(selected: "SelectionSetNode", fragments: Mapping[str, Any]) -> list[Any]:
    """Give the fields of one level, those of fragments among them; beyond the most the rest is left."""
    from graphql import FieldNode, FragmentSpreadNode

    found, rest, left = [], [selected], 2 * _MOST_FIELDS
    while rest and left > 0:
        for part in rest.pop().selections:
            left -= 1
            if isinstance(part, FieldNode):
                found.append(part)
            elif isinstance(part, FragmentSpreadNode):
                # One that is not there is told of by the validation.
                rest += [it.selection_set for it in [fragments.get(part.name.value)] if it is not None]
            else:
                rest.append(part.selection_set)  # type: ignore[attr-defined] # an inline fragment
    return found


def _told(request: HubRequest, error: Any) -> str:
    """Say what failed; of a defect no more than the other routes say."""
    if error.original_error is None:
        return str(error.message)
    return str(failure_of(request, error.original_error).content["message"])


ROUTES: Final = [graphql]
