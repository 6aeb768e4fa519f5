"""What every test may use: real components, or a clear word that one is missing."""

import os
import signal
from collections.abc import Iterator

import pytest
from hypothesis import HealthCheck, settings

from tests.postgres import PostgresServer, find_binaries, running_server

# A deadline would measure the machine; an example that hangs is ended by pytest's own timeout.
# CI tries the same examples each time, so that its word is about the change; everyone else tries new ones.
settings.register_profile(
    "relive",
    deadline=None,
    derandomize=os.environ.get("RELIVE_CI") == "1",
    suppress_health_check=[HealthCheck.too_slow],
)
settings.load_profile("relive")

# Started in the background of a script, pytest and all that it starts ignore Ctrl-C; some tests press it.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)


def require(component_available: bool, reason: str) -> None:
    """Skip the test that needs an absent component; in CI (RELIVE_CI=1), where all are installed, fail it.

    Args:
        component_available: Whether the component is here.
        reason: Which component is missing, and how to install it.
    """
    if component_available:
        return
    if os.environ.get("RELIVE_CI") == "1":
        pytest.fail(f"missing in CI: {reason}", pytrace=False)
    pytest.skip(reason)


@pytest.fixture(scope="session")
def postgres_url() -> Iterator[PostgresServer]:
    """Give a function that makes a fresh, empty PostgreSQL database and gives its URL.

    One server for each xdist worker, started by the first test that asks: about 2 s and 40 MB.
    """
    binaries = find_binaries()
    require(binaries is not None, "PostgreSQL is not installed (Debian, Ubuntu: apt install postgresql)")
    assert binaries is not None
    with running_server(binaries) as server:
        yield server
