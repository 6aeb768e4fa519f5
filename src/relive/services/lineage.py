"""Where something came from, and what came from it: the graph behind a run, a model version or an endpoint.

Followed hop by hop through the inputs that runs recorded, so that no question reads more than it shows.
"""

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field

from relive.core.endpoint import Endpoint
from relive.core.ids import short_id
from relive.core.model import ModelVersion
from relive.core.run import Input, Run
from relive.errors import NotFound
from relive.ports.search import Search
from relive.services.context import Services
from relive.services.runs import PARENT
from relive.services.searching import search_runs
from relive.wire.hub import Lineage, LineageNode

HOPS = 4
MOST_NODES = 60
_DIGITS = 10

# Adds what lies one hop from a run, and gives the runs found there.
_Look = Callable[[str], list[str]]


def of_run(services: Services, run_id: str, *, hops: int = HOPS) -> Lineage:
    """Give the lineage around a run."""
    walk = _Walk(services, hops)
    walk.around_run(services.store.get_run(run_id).id)
    return walk.result()


def of_version(services: Services, version: ModelVersion, *, hops: int = HOPS) -> Lineage:
    """Give the lineage around a model version."""
    walk = _Walk(services, hops)
    if version.run_id:
        walk.around_run(version.run_id, forth=False)
    walk.add_version(version)
    return walk.result()


def of_endpoint(services: Services, name: str, *, hops: int = HOPS) -> Lineage:
    """Give what an endpoint's live revision was made of; the endpoint alone while it has none."""
    walk = _Walk(services, hops)
    endpoint = services.store.get_endpoint(name)
    if not endpoint.live:
        walk.add(_endpoint_node(endpoint))
        return walk.result()
    version = services.store.get_version_by_id(services.store.get_revision(endpoint.live).version_id)
    walk.around_run(version.run_id, forth=False)
    walk.add_version(version)
    return walk.result()


@dataclass
class _Walk:
    services: Services
    hops: int
    nodes: dict[str, LineageNode] = field(default_factory=dict)
    edges: dict[tuple[str, str], None] = field(default_factory=dict)

    def result(self) -> Lineage:
        return Lineage(nodes=tuple(self.nodes.values()), edges=tuple(self.edges))

    def add(self, node: LineageNode) -> bool:
        """Add a node if there is room or it is there; tells whether it is in the graph."""
        if node.id not in self.nodes and len(self.nodes) >= MOST_NODES:
            return False
        self.nodes.setdefault(node.id, node)
        return True

    def join(self, source: LineageNode, target: LineageNode) -> bool:
        if self.add(source) and self.add(target):
            self.edges[source.id, target.id] = None
            return True
        return False

    def around_run(self, run_id: str, *, forth: bool = True) -> None:
        """Follow a run's inputs back and, if asked, what was made of it forth."""
        self._follow(run_id, self._behind)
        if forth:
            self._follow(run_id, self._ahead)

    def add_version(self, version: ModelVersion) -> None:
        """Add a version behind its run, and the endpoints that serve it."""
        node = _version_node(version)
        if version.run_id:
            self.join(self._run_node(version.run_id), node)
        else:
            self.add(node)  # a client registered it from elsewhere
        for endpoint in self.services.store.list_endpoints():
            if endpoint.live and endpoint.model == version.model:
                live = self.services.store.get_revision(endpoint.live)
                if live.version_id == version.id:
                    self.join(node, _endpoint_node(endpoint))

    def _follow(self, run_id: str, look: _Look) -> None:
        seen, waiting = {run_id}, deque([(run_id, 0)])
        while waiting:
            at, hop = waiting.popleft()
            for other in look(at):
                if other not in seen and hop + 1 < self.hops:
                    seen.add(other)
                    waiting.append((other, hop + 1))

    def _behind(self, run_id: str) -> list[str]:
        try:
            run = self.services.store.get_run(run_id)
        except NotFound:
            self.add(self._run_node(run_id))
            return []
        node = _run_node(run)
        self.add(node)
        if run.commit:
            self.join(_commit_node(run.commit), node)
        found = []
        if run.replay_of and self.join(self._run_node(run.replay_of), node):
            found.append(run.replay_of)
        parent = self.services.store.list_tags([run_id]).get(run_id, {}).get(PARENT, "")
        if parent and self.join(self._run_node(parent), node):
            found.append(parent)
        for item in self.services.store.list_inputs(run_id):
            if item.source_run_id:
                self._through_data(item, self._run_node(item.source_run_id), node)
                found.append(item.source_run_id)
            elif item.origin not in ("code", ""):
                self.join(_data_node(item), node)
        return found

    def _ahead(self, run_id: str) -> list[str]:
        node = self._run_node(run_id)
        self.add(node)
        for version in self.services.store.list_versions_of_run(run_id):
            self.add_version(version)
        for child in self._children(run_id):
            self.join(node, _run_node(child))
        return [
            item.run_id
            for item in self.services.store.list_consumers(run_id)
            if self._through_data(item, node, self._run_node(item.run_id))
        ]

    def _children(self, run_id: str) -> tuple[Run, ...]:
        """Give the newest runs that say that they are a part of this one."""
        run = self.services.store.find_run(run_id)
        if run is None:
            return ()
        wanted = Search(project_id=run.project_id, limit=MOST_NODES)
        return search_runs(self.services, wanted, filter_text=f"tags.`{PARENT}` = '{run_id}'").runs

    def _through_data(self, item: Input, maker: LineageNode, user: LineageNode) -> bool:
        data = _data_node(item)
        return self.join(maker, data) and self.join(data, user)

    def _run_node(self, run_id: str) -> LineageNode:
        known = self.nodes.get(f"run:{run_id}")
        if known is not None:
            return known
        try:
            return _run_node(self.services.store.get_run(run_id))
        except NotFound:
            return LineageNode(id=f"run:{run_id}", kind="run", label=short_id(run_id), detail="deleted")


def _run_node(run: Run) -> LineageNode:
    detail = f"{short_id(run.id)} {run.status.value}"
    return LineageNode(id=f"run:{run.id}", kind="run", label=run.name, detail=detail, url=f"/r/{run.id}")


def _commit_node(commit: str) -> LineageNode:
    return LineageNode(id=f"commit:{commit}", kind="commit", label=commit[:_DIGITS], detail="commit")


def _data_node(item: Input) -> LineageNode:
    digest = item.manifest.removeprefix("blake3:")[:_DIGITS]
    # The same bytes made by two runs are two nodes: else a graph over time could run into itself.
    return LineageNode(
        id=f"data:{item.source_run_id}:{item.manifest}", kind="data", label=item.path, detail=digest
    )


def _version_node(version: ModelVersion) -> LineageNode:
    return LineageNode(
        id=f"version:{version.id}",
        kind="model_version",
        label=f"{version.model} v{version.version}",
        detail=version.status,
        url=f"/m/{version.model}/v/{version.version}",
    )


def _endpoint_node(endpoint: Endpoint) -> LineageNode:
    return LineageNode(
        id=f"endpoint:{endpoint.id}",
        kind="endpoint",
        label=endpoint.name,
        detail="endpoint",
        url=f"/e/{endpoint.name}",
    )
