"""The Lineage tab of a run."""

import msgspec

from relive.hub.web.views.graphs import Graph, draw_lineage
from relive.hub.web.views.run import RunHead, get_head
from relive.services import lineage
from relive.services.context import Services


class LineageTab(msgspec.Struct, frozen=True, kw_only=True):
    """Where a run's inputs came from, and what was made of it."""

    head: RunHead
    graph: Graph


def get_lineage(services: Services, run_id: str) -> LineageTab:
    """Give the lineage of a run."""
    head = get_head(services, run_id)
    found = lineage.of_run(services, head.id)
    return LineageTab(head=head, graph=draw_lineage(found, f"run:{head.id}", f"Lineage of {head.name}"))
