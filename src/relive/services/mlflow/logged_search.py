"""Searching logged models for MLflow's clients.

Source: mlflow.store.tracking.sqlalchemy_store, mlflow.utils.search_utils.
"""

import base64
import binascii
import json
from typing import Any

import msgspec

from relive.core.access import Caller
from relive.core.logged_model import OnDataset, Ranking
from relive.core.search import And, Comparison, Condition, Field, Not, Or, Side
from relive.core.search_grammars import LOGGED_MODELS
from relive.core.search_parser import parse_filter
from relive.errors import NotFound
from relive.services.context import Services
from relive.services.mlflow.experiments import get_experiment
from relive.services.mlflow.faults import MlflowFault, invalid, missing_value
from relive.services.mlflow.logged_json import STATUSES, logged_models_json
from relive.wire.mlflow import models as wire

_PAGE = 100
_LONGEST_PAGE = 1000


def search_models(services: Services, message: wire.SearchLoggedModels, caller: Caller) -> dict[str, Any]:
    """Search the logged models of experiments.

    Raises:
        MlflowFault: What is asked for cannot be searched, or the page is of another search.
        InvalidFilter: The filter cannot be read.
    """
    if not message.experiment_ids:
        see = " See the API docs for more information about request parameters."
        raise invalid(missing_value("experiment_ids") + see)
    if not all(dataset.dataset_name for dataset in message.datasets):
        raise invalid("`dataset_name` in the `datasets` clause must be specified.")
    offset = _offset(message)
    limit = min(message.max_results or _PAGE, _LONGEST_PAGE)
    if limit < 0:
        raise invalid(f"Invalid value {limit} for parameter 'max_results' supplied: It must be positive.")
    condition = parse_filter(message.filter, LOGGED_MODELS)
    found = services.store.search_logged_models(
        _experiments(services, message.experiment_ids, caller),
        _in_our_words(services, condition, caller) if condition is not None else None,
        datasets=[OnDataset(name=it.dataset_name, digest=it.dataset_digest) for it in message.datasets],
        rankings=[_ranking(order) for order in message.order_by],
        limit=limit + 1,
        offset=offset,
    )
    reply: dict[str, Any] = {}
    if page := found[:limit]:
        reply["models"] = logged_models_json(services, page)
    if len(found) > limit:
        reply["next_page_token"] = _token(message, offset + limit)
    return reply


def _experiments(services: Services, ids: tuple[str, ...], caller: Caller) -> list[str]:
    """Give the experiments that are there; "0" has another id with us."""
    found = []
    for experiment_id in ids:
        try:
            found.append(get_experiment(services, experiment_id, caller).id)
        except NotFound:
            continue
        except MlflowFault as error:
            if error.error_code != "RESOURCE_DOES_NOT_EXIST":
                raise
    return found


def _in_our_words(services: Services, condition: Condition, caller: Caller) -> Condition:
    """Give a condition with the words for states that we keep."""
    match condition:
        case And(parts=parts):
            return And(tuple(_in_our_words(services, part, caller) for part in parts))
        case Or(parts=parts):
            return Or(tuple(_in_our_words(services, part, caller) for part in parts))
        case Not(part=part):
            return Not(_in_our_words(services, part, caller))
        case Comparison(field=Field(side=Side.ATTRIBUTE, key="status"), value=str() as word):
            ours = STATUSES.get(word, STATUSES.get(f"LOGGED_MODEL_{word}"))
            return msgspec.structs.replace(condition, value=ours.value if ours is not None else word)
        case _:
            return condition


def _ranking(order: wire.OrderBy) -> Ranking:
    side, dot, key = order.field_name.partition(".")
    if dot and side != "metrics":
        raise invalid(f"Invalid order by field name: {order.field_name}. Only metrics are supported.")
    if not dot and side not in LOGGED_MODELS.orders:
        raise invalid(f"Invalid order by field name: {order.field_name}")
    field = Field(Side.METRIC, key) if dot else Field(Side.ATTRIBUTE, LOGGED_MODELS.orders[side])
    dataset = OnDataset(name=order.dataset_name, digest=order.dataset_digest)
    return Ranking(field=field, ascending=order.ascending, dataset=dataset)


def _asked(message: wire.SearchLoggedModels) -> dict[str, Any]:
    """Give what all pages of one search have in common."""
    orders = [
        {
            "field_name": order.field_name,
            "ascending": order.ascending,
            "dataset_name": order.dataset_name or None,
            "dataset_digest": order.dataset_digest or None,
        }
        for order in message.order_by
    ]
    return {
        "experiment_ids": list(message.experiment_ids),
        "filter_string": message.filter or None,
        "order_by": orders or None,
    }


def _token(message: wire.SearchLoggedModels, offset: int) -> str:
    return base64.b64encode(json.dumps(_asked(message) | {"offset": offset}).encode()).decode()


def _offset(message: wire.SearchLoggedModels) -> int:
    if not message.page_token:
        return 0
    try:
        token = json.loads(base64.b64decode(message.page_token))
    except (ValueError, binascii.Error) as error:
        raise invalid(f"Invalid page token: {message.page_token}. {error}") from None
    if not isinstance(token, dict):
        raise invalid(f"Invalid page token: {message.page_token}.")
    asked = _asked(message)
    named = {
        "experiment_ids": "Experiment IDs in the page token do not match the requested experiment IDs.",
        "filter_string": "Filter string in the page token does not match the requested filter string.",
        "order_by": "Order by in the page token does not match the requested order by.",
    }
    for key, sentence in named.items():
        if (token.get(key) or None) != (asked[key] or None):
            raise invalid(f"{sentence} Expected: {asked[key]}. Found: {token.get(key)}")
    offset = token.get("offset") or 0
    if not isinstance(offset, int) or not 0 <= offset < 1 << 62:
        raise invalid(f"Invalid page token: {message.page_token}.")
    return offset
