"""Benchmarks are work that most test runs need not do: they run in CI, and with `-m bench`."""

import os

import pytest


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Skip what is marked `bench` unless it was asked for."""
    if os.environ.get("RELIVE_CI") == "1" or "bench" in config.getoption("-m"):
        return
    for item in items:
        if item.get_closest_marker("bench"):
            item.add_marker(pytest.mark.skip(reason="a benchmark: runs in CI and with -m bench"))
