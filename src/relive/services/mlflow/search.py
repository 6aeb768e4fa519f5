"""Searching runs and experiments, as MLflow's clients do."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final

from relive.core.access import Caller
from relive.core.search import Field, Order, Side
from relive.core.search_grammars import EXPERIMENTS, RUNS
from relive.core.search_parser import parse_filter, parse_orders
from relive.errors import InvalidInput
from relive.ports.search import PAGE_TOKEN, Search, View
from relive.services.context import Services
from relive.services.mlflow.experiments import (
    DEFAULT_EXPERIMENT,
    experiments_json,
    get_experiment,
    own_project,
)
from relive.services.mlflow.faults import invalid, invalid_value
from relive.services.mlflow.run_json import runs_json
from relive.wire.mlflow import search as wire

MOST: Final = 50_000
_SEE: Final = " See the API docs for more information about request parameters."
_VIEWS: Final[dict[str | int, View]] = {
    "ACTIVE_ONLY": View.ACTIVE,
    "DELETED_ONLY": View.DELETED,
    "ALL": View.ALL,
    1: View.ACTIVE,
    2: View.DELETED,
    3: View.ALL,
}
_START: Final = Order(Field(Side.ATTRIBUTE, "start_time"), ascending=False)
_NEWEST: Final = tuple(
    Order(Field(Side.ATTRIBUTE, key), ascending)
    for key, ascending in (("creation_time", False), ("experiment_id", True))
)


def search_runs(services: Services, message: wire.SearchRuns, caller: Caller) -> dict[str, Any]:
    """Give a page of runs: newest begun first among those that are equal in what is asked for.

    Raises:
        MlflowFault: A page that cannot be given.
        InvalidFilter: The filter or the order cannot be read.
    """
    if message.max_results > MOST:
        hint = " Hint: Value was of type 'int'."
        raise invalid(invalid_value("max_results", message.max_results, hint) + _SEE)
    _check_positive(message.max_results)
    condition = parse_filter(message.filter, RUNS)
    orders = parse_orders(message.order_by, RUNS)
    if not any(order.field == _START.field for order in orders):
        orders = (*orders, _START)
    search = Search(
        condition=condition,
        orders=orders,
        project_id=own_project(caller),
        experiment_ids=_experiments(services, message.experiment_ids, caller),
        view=_view(message.run_view_type),
        limit=message.max_results,
        after=message.page_token,
    )
    with told_of_tokens():
        page = services.store.search_runs(search)
    return _reply("runs", runs_json(services, page.runs) if page.runs else [], page.next)


def search_experiments(services: Services, message: wire.SearchExperiments, caller: Caller) -> dict[str, Any]:
    """Give a page of experiments, the newest first unless another order is asked for.

    Raises:
        MlflowFault: A page that cannot be given.
        InvalidFilter: The filter or the order cannot be read.
    """
    _check_positive(message.max_results)
    if message.max_results > MOST:
        wanted = f"It must be at most {MOST}"
        raise invalid(f"Invalid value {message.max_results} for parameter 'max_results' supplied. {wanted}")
    if not own_project(caller):
        get_experiment(services, DEFAULT_EXPERIMENT, caller)  # clients count on it, also on a new hub
    search = Search(
        condition=parse_filter(message.filter, EXPERIMENTS),
        orders=parse_orders(message.order_by, EXPERIMENTS) or _NEWEST,
        project_id=own_project(caller),
        view=_view(message.view_type),
        limit=message.max_results,
        after=message.page_token,
    )
    with told_of_tokens():
        page = services.store.search_experiments(search)
    return _reply("experiments", experiments_json(services, page.experiments), page.next)


def _experiments(services: Services, ids: tuple[str, ...], caller: Caller) -> tuple[str, ...]:
    """Give the experiments' own ids, each once: clients call the default one "0"."""
    if DEFAULT_EXPERIMENT in ids:
        default = get_experiment(services, DEFAULT_EXPERIMENT, caller).id
        ids = tuple(default if it == DEFAULT_EXPERIMENT else it for it in ids)
    return tuple(dict.fromkeys(ids))


def _check_positive(max_results: int) -> None:
    if max_results < 1:
        wanted = "It must be a positive integer"
        raise invalid(f"Invalid value {max_results} for parameter 'max_results' supplied. {wanted}")


def _view(given: str | int) -> View:
    """Give the view that is asked for; as in MLflow, one that nobody knows is the usual one."""
    return _VIEWS.get(int(given) if isinstance(given, str) and given.isdecimal() else given, View.ACTIVE)


@contextmanager
def told_of_tokens() -> Iterator[None]:
    """Say in MLflow's words that a page token is none."""
    try:
        yield
    except InvalidInput as error:
        if error.field != PAGE_TOKEN:
            raise
        raise invalid("Invalid page token, could not base64-decode") from error


def _reply(called: str, items: list[dict[str, Any]], next_token: str) -> dict[str, Any]:
    """Write a page; as in MLflow's JSON, what is empty is absent."""
    reply: dict[str, Any] = {}
    if items:
        reply[called] = items
    if next_token:
        reply["next_page_token"] = next_token
    return reply
