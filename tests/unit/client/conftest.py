"""A hub, and scripts that log to it."""

import pytest

from tests.support.fake_hub import running_hub
from tests.support.scripts import Script


@pytest.fixture
def hub(tmp_path):
    with running_hub(tmp_path / "hub") as running:
        yield running


@pytest.fixture
def script(tmp_path, hub):
    return Script(tmp_path / "digits", hub.url)
