"""Searching traces, and how two filters go together."""

import math
from collections.abc import Sequence
from contextlib import suppress
from typing import Any, Final

from relive.core.access import Caller
from relive.core.search import And, Condition
from relive.core.trace import Trace
from relive.core.trace_filter import parse_trace_filter, parse_trace_orders
from relive.services.context import Services
from relive.services.mlflow.experiments import get_experiment
from relive.services.mlflow.faults import SEE_DOCS, MlflowFault, invalid, invalid_value
from relive.services.mlflow.search import told_of_tokens
from relive.services.mlflow.trace_json import infos_json, infos_json_v2
from relive.wire.mlflow import traces as wire

_MOST: Final = 500


def search_traces(services: Services, message: wire.SearchTraces, caller: Caller) -> dict[str, Any]:
    """Give a page of traces, the newest first among those that are equal in what is asked for.

    Raises:
        MlflowFault: A page that cannot be given.
        InvalidFilter: The filter or the order cannot be read.
    """
    places = [place.mlflow_experiment for place in message.locations]
    experiment_ids = [place.experiment_id for place in places if place is not None]
    found, reply = _page(services, experiment_ids, message, caller)
    return ({"traces": infos_json(services, found)} if found else {}) | reply


def search_traces_v2(services: Services, message: wire.SearchTracesV2, caller: Caller) -> dict[str, Any]:
    """Give a page of traces in the older shape; raises as `search_traces`."""
    found, reply = _page(services, message.experiment_ids, message, caller)
    return ({"traces": infos_json_v2(services, found)} if found else {}) | reply


def correlate(services: Services, message: wire.Correlation, caller: Caller) -> dict[str, Any]:
    """Say how much the traces that fit one filter are those that fit another: from -1 (none) to 1 (the same).

    Raises:
        InvalidFilter: A filter cannot be read.
    """
    ids = readable_experiments(services, message.experiment_ids, caller)
    base = parse_trace_filter(message.base_filter)
    one, two = parse_trace_filter(message.filter_string1), parse_trace_filter(message.filter_string2)
    count = services.store.count_traces
    n_one, n_two = count(ids, _all(base, one)), count(ids, _all(base, two))
    n_both, n_total = count(ids, _all(base, one, two)), count(ids, base)
    reply: dict[str, Any] = {
        "filter1_count": n_one,
        "filter2_count": n_two,
        "joint_count": n_both,
        "total_count": n_total,
    }
    plain, smoothed = npmi(n_both, n_one, n_two, n_total), npmi(n_both, n_one, n_two, n_total, extra=0.5)
    reply["npmi"] = "NaN" if math.isnan(plain) else plain
    return reply | ({} if math.isnan(smoothed) else {"npmi_smoothed": smoothed})


def npmi(both: int, one: int, two: int, total: int, *, extra: float = 0.0) -> float:
    """Give the normalised pointwise mutual information of two sets (no unit, -1 to 1); NaN without meaning.

    Args:
        both: How many are in both.
        one: How many are in the first.
        two: How many are in the second.
        total: How many there are.
        extra: What is added to each of the four cells, so that small counts say less.

    Source: G. Bouma, Normalized (Pointwise) Mutual Information in Collocation Extraction, 2009.
    """
    cells = (both, one - both, two - both, total - one - two + both)
    if total <= 0 or min(cells) < 0 or one == 0 or two == 0:
        return math.nan
    if not extra and both == 0:
        return -1.0
    if not extra and both == total:
        return 1.0
    n_all = total + 4 * extra
    p_both, p_one, p_two = ((n + k * extra) / n_all for n, k in ((both, 1), (one, 2), (two, 2)))
    found = math.log(p_both / (p_one * p_two)) / -math.log(p_both)
    return max(-1.0, min(1.0, found))


def _page(
    services: Services,
    experiment_ids: Sequence[str],
    message: wire.SearchTraces | wire.SearchTracesV2,
    caller: Caller,
) -> tuple[Sequence[Trace], dict[str, Any]]:
    wanted = message.max_results
    if wanted > _MOST:
        raise invalid(invalid_value("max_results", wanted, " Hint: Value was of type 'int'.") + SEE_DOCS)
    if wanted < 1:
        raise invalid(
            f"Invalid value {wanted} for parameter 'max_results' supplied. It must be a positive integer"
        )
    condition, orders = parse_trace_filter(message.filter), parse_trace_orders(list(message.order_by))
    ids = readable_experiments(services, experiment_ids, caller)
    with told_of_tokens():
        page = services.store.search_traces(
            ids, condition, orders=orders, limit=wanted, after=message.page_token
        )
    return page.traces, {"next_page_token": page.next} if page.next else {}


def readable_experiments(services: Services, experiment_ids: Sequence[str], caller: Caller) -> list[str]:
    """Give those of the experiments that there are, by their own ids; another project's are refused."""
    found = []
    for experiment_id in dict.fromkeys(experiment_ids):
        with suppress(MlflowFault):
            found.append(get_experiment(services, experiment_id, caller).id)
    return found


def _all(*parts: Condition | None) -> Condition | None:
    found = tuple(part for part in parts if part is not None)
    return And(found) if found else None
