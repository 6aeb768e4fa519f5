"""What the router counts, in Prometheus' format.

prometheus-client does it, as in the hub: its escaping and exposition are tested by others, and an update
costs about a microsecond once the labelled child is at hand, so children are kept.
"""

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    disable_created_metrics,
    generate_latest,
)
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4

BUCKETS_S = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)
CONTENT_TYPE = CONTENT_TYPE_PLAIN_0_0_4


class Traffic:
    """Requests by endpoint, revision and status code, and how long they took."""

    def __init__(self) -> None:
        # A second series for every counter, which no page or rule here reads.
        disable_created_metrics()  # type: ignore[no-untyped-call]
        self._registry = CollectorRegistry()
        labels = ("endpoint", "revision")
        self._requests = Counter(
            "relive_endpoint_requests", "Requests answered.", (*labels, "code"), registry=self._registry
        )
        self._seconds = Histogram(
            "relive_endpoint_request_seconds",
            "Time from the request's head to the end of its answer.",
            labels,
            buckets=BUCKETS_S,
            registry=self._registry,
        )
        self._version = Gauge(
            "relive_routing_table_version", "Version of the routing table in use.", registry=self._registry
        )
        self._counters: dict[tuple[str, str, str], Counter] = {}
        self._timers: dict[tuple[str, str], Histogram] = {}

    def count(self, endpoint: str, revision: str, code: str, seconds: float) -> None:
        """Note one request; endpoint and revision are empty where none was found."""
        counter = self._counters.get((endpoint, revision, code))
        if counter is None:
            counter = self._counters[endpoint, revision, code] = self._requests.labels(
                endpoint, revision, code
            )
        counter.inc()
        timer = self._timers.get((endpoint, revision))
        if timer is None:
            timer = self._timers[endpoint, revision] = self._seconds.labels(endpoint, revision)
        timer.observe(seconds)

    def table_in_use(self, version: int) -> None:
        """Note the version of the routing table."""
        self._version.set(version)

    def expose(self) -> bytes:
        """Give everything in Prometheus' text format."""
        return generate_latest(self._registry)
