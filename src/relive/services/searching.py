"""Searching runs as people do: a filter, an order and words, as text, of one project or of all."""

from typing import Final

import msgspec

from relive.core.run import RunStatus
from relive.core.search import And, Comparison, Condition, Field, Order, Side
from relive.core.search_grammars import OWN_RUNS
from relive.core.search_parser import parse_filter, parse_orders, split_orders
from relive.errors import InvalidInput
from relive.ports.search import RunPage, Search
from relive.services.context import Services

_CREATED: Final = Field(Side.ATTRIBUTE, "created_at")
_STATE: Final = Field(Side.ATTRIBUTE, "state")


def search_runs(
    services: Services, search: Search, *, filter_text: str = "", order_text: str = "", status: str = ""
) -> RunPage:
    """Give a page of runs.

    Args:
        services: The hub's.
        search: Which project, words, lifecycle, how many, and behind which place; no condition and no order.
        filter_text: As in docs/reference/search.md; empty for all.
        order_text: Fields with ASC or DESC, or - before one for descending, between commas; empty for the
            newest first.
        status: Only runs of this status; empty for all.

    Raises:
        InvalidFilter: The filter or the order cannot be read; says at which character.
        InvalidInput: There is no such status, or the place is none that a page of this order gave.
    """
    wanted = [it for it in (parse_filter(filter_text, OWN_RUNS), _of_status(status)) if it is not None]
    condition = And(tuple(wanted)) if len(wanted) > 1 else next(iter(wanted), None)
    whole = msgspec.structs.replace(search, condition=condition, orders=read_orders(order_text))
    return services.store.search_runs(whole)


def read_orders(text: str) -> tuple[Order, ...]:
    """Read what to sort by; runs that are equal in it come by the time they were made.

    Raises:
        InvalidFilter: It cannot be read.
    """
    orders = parse_orders(split_orders(text), OWN_RUNS)
    if not orders:
        return (Order(_CREATED, ascending=False),)
    if any(order.field == _CREATED for order in orders):
        return orders
    first = orders[0]
    # The direction that the index of a project's runs has behind an attribute.
    return (*orders, Order(_CREATED, ascending=first.ascending and first.field.side is Side.ATTRIBUTE))


def _of_status(status: str) -> Condition | None:
    if not status:
        return None
    if status not in set(RunStatus):
        raise InvalidInput(field="status", value=status, wanted=f"one of: {', '.join(RunStatus)}")
    return Comparison(_STATE, "=", status)
