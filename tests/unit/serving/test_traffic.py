"""What the router counts reads back by Prometheus' own parser."""

from typing import Any

import pytest
from prometheus_client.parser import text_string_to_metric_families

from relive.serving.traffic import Traffic


def samples(traffic: Any) -> Any:
    text = traffic.expose().decode()
    return {
        (sample.name, tuple(sorted(sample.labels.items()))): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def test_requests_are_counted_by_endpoint_revision_and_code():
    traffic = Traffic()
    for code in ("200", "200", "503"):
        traffic.count("digits", "3", code, 0.004)
    found = samples(traffic)
    labels = (("endpoint", "digits"), ("revision", "3"))
    assert found["relive_endpoint_requests_total", (("code", "200"), *labels)] == 2
    assert found["relive_endpoint_requests_total", (("code", "503"), *labels)] == 1
    assert found["relive_endpoint_request_seconds_count", labels] == 3
    assert found["relive_endpoint_request_seconds_sum", labels] == pytest.approx(0.012)
    assert found["relive_endpoint_request_seconds_bucket", (labels[0], ("le", "0.0025"), labels[1])] == 0
    assert found["relive_endpoint_request_seconds_bucket", (labels[0], ("le", "0.005"), labels[1])] == 3


def test_names_with_quotes_and_newlines_are_escaped():
    traffic = Traffic()
    traffic.count('a"b\n\\', "1", "200", 0.1)
    assert any(dict(labels).get("endpoint") == 'a"b\n\\' for _, labels in samples(traffic))


def test_the_tables_version_is_told():
    traffic = Traffic()
    traffic.table_in_use(7)
    assert samples(traffic)["relive_routing_table_version", ()] == 7


def test_two_routers_in_one_process_count_apart():
    first, second = Traffic(), Traffic()
    first.count("a", "1", "200", 0.1)
    assert not [name for name, labels in samples(second) if labels and name.endswith("_total")]
