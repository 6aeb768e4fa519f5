"""What a hub leaves for this machine's commands when it starts."""

import subprocess
import sys
from dataclasses import replace

from relive.hub.build import ensure_admin_token
from relive.services.context import Services
from tests.support.bench import Bench


def at(services: Services, address: str) -> Services:
    place = replace(services.place, local_url=address)
    return replace(services, place=place)


def test_the_admins_token_names_the_address_it_was_made_for(bench: Bench) -> None:
    for port in (7001, 7002):
        ensure_admin_token(at(bench.services, f"http://127.0.0.1:{port}"), "", lambda _: False)
    labels = [token.label for token in bench.services.store.list_tokens()]
    assert [[str(port) in label for label in labels].count(True) for port in (7001, 7002)] == [1, 1]


def test_a_token_that_is_good_is_kept(bench: Bench) -> None:
    before = bench.services.store.list_tokens()
    assert ensure_admin_token(bench.services, "rlv_known", lambda text: text == "rlv_known") == "rlv_known"
    assert bench.services.store.list_tokens() == before


def test_a_hub_imports_no_types_that_it_has_none_of() -> None:
    code = (
        "import sys, unittest.mock as m; from relive.hub import app;"
        "app.build_litestar(m.Mock(), m.Mock(), m.Mock());"
        "print(*sorted({name.partition('.')[0] for name in sys.modules}))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert {"litestar", "msgspec"} <= set(done.stdout.split())
    assert not {"pydantic", "attr", "attrs"} & set(done.stdout.split())
