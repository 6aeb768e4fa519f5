"""What a hub leaves for this machine's commands when it starts."""

import copy
import os
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from litestar import Litestar, get
from litestar._kwargs import KwargsModel
from litestar.exceptions import ImproperlyConfiguredException
from litestar.handlers import HTTPRouteHandler
from litestar.routes import HTTPRoute
from litestar.utils import normalize_path

from relive.hub.api import build_api, build_pages
from relive.hub.app import Hub, _normal
from relive.hub.application import Application, Group
from relive.hub.build import ensure_admin_token
from relive.hub.config import HEALTH, HubConfig
from relive.hub.vault import FileVault
from relive.services.context import Services
from relive.services.forging import Forging
from tests.e2e.hub import free_port
from tests.support.bench import Bench
from tests.support.live import PATIENCE_S, served


def built(bench: Bench) -> list[Litestar]:
    config = HubConfig(data_dir=bench.services.place.data_dir)
    forging = Forging(bench.services, {}, FileVault(config.data_dir / "key"))
    return [build(config, bench.services, forging) for build in (build_api, build_pages)]


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
        "import sys, unittest.mock as m; from relive.hub import api as app;"
        "app.build_api(m.Mock(), m.Mock(), m.Mock()); app.build_pages(m.Mock(), m.Mock(), m.Mock());"
        "print(*sorted({name.partition('.')[0] for name in sys.modules}))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert {"litestar", "msgspec"} <= set(done.stdout.split())
    assert not {"pydantic", "attr", "attrs"} & set(done.stdout.split())


def test_each_handler_can_be_prepared_though_none_is_before_its_first_request(bench: Bench) -> None:
    for app in built(bench):
        for route in app.routes:
            assert isinstance(route, HTTPRoute)
            for method, (handler, model) in list(route.route_handler_map.items()):
                model.has_kwargs  # noqa: B018  # what a request asks first
                assert isinstance(route.route_handler_map[method][1], KwargsModel), f"{method} {handler}"


def test_what_the_published_description_shows_is_prepared_at_the_start_and_nothing_else(bench: Bench) -> None:
    for app in built(bench):
        for route in app.routes:
            assert isinstance(route, HTTPRoute)
            for handler, model in route.route_handler_map.values():
                is_ready = type(model) is KwargsModel
                assert is_ready == handler.resolve_include_in_schema(), route.path


def test_no_page_has_an_address_of_the_api(bench: Bench) -> None:
    api, pages = ({route.path.split("/")[1] for route in app.routes} for app in built(bench))
    assert "api" in api
    assert "runs" in pages
    assert not api & pages


def test_two_handlers_of_one_address_are_refused() -> None:
    @get("/twice", sync_to_thread=False)
    def one() -> None: ...

    @get("/twice", sync_to_thread=False)
    def other() -> None: ...

    with pytest.raises(ImproperlyConfiguredException, match="GET /twice has two handlers"):
        Application([one, other])


def test_a_hub_that_starts_imports_only_what_its_first_answer_needs() -> None:
    """Each of these costs a start some hundredths of a second."""
    late = {"rich", "urllib3", "packaging", "h11", "jinja2", "alembic", "cryptography", "google", "obstore"}
    late |= {"litestar", "multidict"}
    code = (
        "import sys; from relive.cli import main, up; from relive.hub import app;"
        "print(*sorted({name.partition('.')[0] for name in sys.modules}))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert not late & set(done.stdout.split())


def test_a_hub_is_well_before_its_api_is_loaded_and_requests_wait_for_it(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    may_load, load = threading.Event(), Hub._load_api

    def when_allowed(hub: Hub) -> Any:
        assert may_load.wait(timeout=PATIENCE_S)
        return load(hub)

    monkeypatch.setattr(Hub, "_load_api", when_allowed)
    paths = ["/api/v1/runs?limit=1", "/api/2.0/mlflow/experiments/search?max_results=5"] * 5
    with served(bench.services) as live, ThreadPoolExecutor(len(paths)) as threads:
        waiting = [threads.submit(live.ask, "GET", path) for path in paths]
        health = live.ask("GET", "/health")
        assert (health.status, health.json) == (200, HEALTH)
        assert health.headers["content-type"] == "application/json"
        assert live.ask("GET", "/health", token="rlv_bad").status == 401
        assert not any(answer.done() for answer in waiting)
        may_load.set()
        assert {answer.result(timeout=PATIENCE_S).status for answer in waiting} == {200}


def test_a_hub_that_cannot_load_its_api_ends_and_says_why(tmp_path: Path) -> None:
    code = (
        "from relive.cli.main import cli; from relive.hub.app import Hub\n"
        "def broken(hub): raise ImportError('a module is missing')\n"
        "Hub._load_api = broken\n"
        f"cli(['up', '--port', '{free_port()}'])"
    )
    environment = os.environ | {"RELIVE_HOME": str(tmp_path), "RELIVE_CACHE": str(tmp_path / "cache")}
    done = subprocess.run(
        [sys.executable, "-c", code], env=environment, capture_output=True, text=True, timeout=PATIENCE_S
    )
    assert done.returncode != 0
    assert "a module is missing" in done.stderr
    assert "relive is up" not in done.stdout + done.stderr


@pytest.mark.parametrize("path", ["/", "//runs", "/runs/", "runs//x/", "///", "/a/./b", ""])
def test_addresses_are_read_as_the_framework_reads_them(path: str) -> None:
    assert _normal(path) == normalize_path(path)


def test_first_requests_in_parallel_find_one_handler_prepared_once(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    prepared: list[str] = []
    registered = HTTPRouteHandler.on_registration

    def on_registration(handler: HTTPRouteHandler, app: Litestar) -> None:
        prepared.append(str(handler))
        registered(handler, app)

    monkeypatch.setattr(HTTPRouteHandler, "on_registration", on_registration)
    with served(bench.services) as live:
        prepared.clear()
        paths = ["/api/2.0/mlflow/experiments/search?max_results=5", "/api/v1/runs?limit=1"] * 50
        gate = threading.Barrier(len(paths))

        def first(path: str) -> int:
            gate.wait(timeout=PATIENCE_S)
            return live.ask("GET", path).status

        with ThreadPoolExecutor(len(paths)) as threads:
            assert set(threads.map(first, paths)) == {200}
        assert len(prepared) == len(set(prepared)) > 0, "no handler is put into a thread of a thread"
        assert [live.ask("GET", path).status for path in paths[:2]] == [200, 200]


def test_a_hub_answers_wrong_methods_and_unknown_addresses_before_anything_was_prepared(
    bench: Bench,
) -> None:
    with served(bench.services) as live:
        assert live.ask("DELETE", "/health").status == 405
        assert live.ask("GET", "/api/v1/nothing").status == 404
        assert live.ask("GET", "/api/2.0/mlflow/nothing").status == 501
        assert live.ask("GET", "/health").status == 200


def test_a_group_is_made_for_one_application_and_needs_no_copy() -> None:
    @get("/one", sync_to_thread=False)
    def one() -> str:
        return "one"

    group = Group("/group", route_handlers=[one])
    assert copy.deepcopy(group) is group
    assert [route.path for route in Application([group]).routes if "one" in route.path] == ["/group/one"]
