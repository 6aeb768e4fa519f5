"""Runs a Ray cluster as its tests say; run by the Python of `.venv-ray`, in namespaces of its own.

Reads a JSON line a command from standard input, and answers each with one on standard output:

    {"do": "start", "cpus": 0, "port": 8265}   the head with its dashboard   → {"node": ID}
    {"do": "add", "cpus": 2}                   one more node                 → {"node": ID}
    {"do": "kill", "node": ID}                 all of that node's processes  → {}
"""

import json
import os
import sys
from typing import Any

from ray.cluster_utils import Cluster

_STORE_BYTES = 80 * 1024 * 1024  # Ray asks for 75 MiB at least


class Driver:
    """One cluster on one machine."""

    def __init__(self) -> None:
        self._cluster = Cluster()
        self._nodes: dict[str, Any] = {}

    def start(self, cpus: int, port: int) -> dict[str, Any]:
        """Start the head."""
        dashboard = {"include_dashboard": True, "dashboard_host": "127.0.0.1", "dashboard_port": port}
        return self._add(num_cpus=cpus, include_log_monitor=False, **dashboard)

    def add(self, cpus: int) -> dict[str, Any]:
        """Add a node."""
        return self._add(num_cpus=cpus)

    def kill(self, node: str) -> dict[str, Any]:
        """Kill a node as a power cut would."""
        self._cluster.remove_node(self._nodes.pop(node), allow_graceful=False)
        return {}

    def _add(self, **options: Any) -> dict[str, Any]:
        made = self._cluster.add_node(wait=True, object_store_memory=_STORE_BYTES, **options)
        self._nodes[made.node_id] = made
        return {"node": made.node_id}


def main() -> None:
    """Do what is asked until nobody asks any more."""
    # What Ray prints must not come between the answers.
    answers = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(2, 1)
    driver = Driver()
    for line in sys.stdin:
        asked = json.loads(line)
        answers.write(json.dumps(getattr(driver, asked.pop("do"))(**asked)) + "\n")


if __name__ == "__main__":
    main()
