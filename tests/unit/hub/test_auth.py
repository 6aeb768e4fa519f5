"""The gatekeeper: no other site's page, no rebound name, no token that is none."""

import asyncio
import base64
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from relive.core.access import Scope
from relive.errors import AccessDenied, NotLoggedIn
from relive.hub.auth import COOKIE, Gatekeeper, headers_of, token_in
from relive.hub.config import HubConfig
from relive.services.accounts import create_login_link_token
from tests.support.bench import ADA, Bench
from tests.support.live import LiveHub, served


def keeper(**options: object) -> Gatekeeper:
    """Give the gatekeeper of a hub with these options."""
    return Gatekeeper(HubConfig(**{"data_dir": Path("/none")} | options))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "host", ["127.0.0.1:7878", "localhost:7878", "LocalHost:7878", "[::1]:7878", "[::1]", "localhost"]
)
def test_on_loopback_the_names_of_this_machine_are_ours(host: str) -> None:
    keeper().check_origin("GET", {"host": host})


@pytest.mark.parametrize(
    "host",
    [
        "evil.example",
        "evil.example:7878",
        "127.0.0.1.evil.example",
        "localhost.evil.example",
        "",
        "::1.evil",
        "0.0.0.0",
    ],
)
def test_a_name_rebound_to_loopback_is_not_ours(host: str) -> None:
    with pytest.raises(AccessDenied, match="under this name") as caught:
        keeper().check_origin("GET", {"host": host})
    assert caught.value.expected() == "--public-url URL"


def test_off_loopback_its_own_and_its_public_name_are_ours() -> None:
    gate = keeper(host="10.0.0.5", public_url="https://Relive.example.org/hub")
    for host in ("10.0.0.5:7878", "relive.example.org", "RELIVE.example.org:443", "127.0.0.1:7878"):
        gate.check_origin("GET", {"host": host})
    with pytest.raises(AccessDenied):
        gate.check_origin("GET", {"host": "evil.example"})


def test_bound_to_all_addresses_without_a_public_name_no_name_can_be_told_from_another() -> None:
    keeper(host="0.0.0.0").check_origin("GET", {"host": "whatever.example"})
    with pytest.raises(AccessDenied):
        keeper(host="0.0.0.0", public_url="https://a.example").check_origin("GET", {"host": "b.example"})


OWN = {"host": "127.0.0.1:7878"}


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE"])
@pytest.mark.parametrize(
    "origin",
    [
        "https://evil.example",
        "http://127.0.0.1:9999",
        "http://localhost:7878",
        "null",
        "http://127.0.0.1:7878.evil.example",
        "",
    ],
)
def test_a_page_of_another_site_changes_nothing(method: str, origin: str) -> None:
    with pytest.raises(AccessDenied, match="change anything"):
        keeper().check_origin(method, OWN | {"origin": origin, "cookie": f"{COOKIE}=x"})


@pytest.mark.parametrize("method", ["POST", "DELETE"])
def test_our_own_pages_and_programs_may(method: str) -> None:
    keeper().check_origin(method, OWN | {"origin": "http://127.0.0.1:7878", "cookie": f"{COOKIE}=x"})
    keeper().check_origin(method, OWN)
    # A sandboxed notebook with a token.
    keeper().check_origin(method, OWN | {"origin": "null", "authorization": "Bearer rlv_a_b"})


@pytest.mark.parametrize("headers", [{}, {"authorization": "Basic eA=="}], ids=["nothing", "basic"])
def test_a_sandboxed_frame_of_another_site_may_not_even_what_needs_no_login(headers: dict[str, str]) -> None:
    with pytest.raises(AccessDenied, match="change anything"):
        keeper().check_origin("POST", OWN | {"origin": "null"} | headers)


def test_reading_is_not_judged_by_its_origin() -> None:
    keeper().check_origin("GET", OWN | {"origin": "https://evil.example"})


def test_behind_a_proxy_the_public_name_is_the_origin_whatever_host_the_proxy_says() -> None:
    gate = keeper(behind_proxy=True, public_url="https://relive.example.org/hub")
    gate.check_origin("POST", OWN | {"origin": "https://relive.example.org", "cookie": f"{COOKIE}=x"})
    with pytest.raises(AccessDenied):
        gate.check_origin("POST", OWN | {"origin": "https://evil.example"})


def test_a_token_is_found_where_clients_put_it() -> None:
    basic = base64.b64encode(b"relive:rlv_a_b").decode()
    assert token_in({"authorization": "Bearer rlv_a_b"}) == "rlv_a_b"
    assert token_in({"authorization": "bearer   rlv_a_b "}) == "rlv_a_b"
    assert token_in({"authorization": f"Basic {basic}"}) == "rlv_a_b"
    assert token_in({"cookie": f"theme=dark; {COOKIE}=rlv_a_b; x=y"}) == "rlv_a_b"
    assert token_in({"cookie": f"x{COOKIE}=rlv_a_b"}) == ""
    assert token_in({}) == ""
    assert token_in({"authorization": "Digest x"}) == ""


def test_a_token_in_the_header_wins_over_the_session() -> None:
    assert token_in({"authorization": "Bearer one", "cookie": f"{COOKIE}=two"}) == "one"


@pytest.mark.parametrize("rest", ["!!!", "a", base64.b64encode(b"\xff:\xff").decode()])
def test_a_login_that_cannot_be_read_says_what_it_should_be(rest: str) -> None:
    with pytest.raises(NotLoggedIn) as caught:
        token_in({"authorization": f"Basic {rest}"})
    assert caught.value.expected() == "base64 of name:token"


@given(st.dictionaries(st.sampled_from(["authorization", "cookie"]), st.text(max_size=60)))
def test_no_header_breaks_it(headers: dict[str, str]) -> None:
    with suppress(NotLoggedIn):
        assert isinstance(token_in(headers), str)


@given(st.text(max_size=40), st.text(max_size=40), st.sampled_from(["GET", "POST"]))
def test_no_host_and_no_origin_breaks_it(host: str, origin: str, method: str) -> None:
    with suppress(AccessDenied):
        keeper().check_origin(method, {"host": host, "origin": origin})
        assert host.lower().startswith(("127.0.0.1", "localhost", "[::1]", "::1"))


def test_headers_are_read_in_lower_case() -> None:
    assert headers_of({"headers": [(b"Host", b"a"), (b"X-Y", b"\xff")]}) == {"host": "a", "x-y": "\xff"}


def test_nobody_is_nobody_and_a_bad_token_is_refused(bench: Bench) -> None:
    gate = keeper()
    assert asyncio.run(gate.identify(bench.services, {})) is None
    with pytest.raises(NotLoggedIn):
        asyncio.run(gate.identify(bench.services, {"authorization": "Bearer rlv_x_y"}))


@pytest.mark.parametrize(
    ("options", "is_open"),
    [
        ({}, True),
        ({"auth": "token"}, False),
        ({"host": "0.0.0.0"}, False),
        ({"host": "localhost"}, True),
        ({"behind_proxy": True, "public_url": "https://a.example"}, False),
    ],
    ids=str,
)
def test_who_is_local(options: dict[str, object], is_open: bool) -> None:
    found = keeper(**options).local_caller()
    assert (found is not None) == is_open
    assert found is None or (found.name, found.scope) == ("local", Scope.LOCAL)


def test_a_rebound_name_is_refused_on_every_path_even_the_open_ones(live: LiveHub) -> None:
    for path in (
        "/health",
        "/login",
        "/api/v1/info",
        "/v2/models/x",
        "/git/digits.git/info/refs",
        "/static/x/y",
    ):
        answer = live.ask("GET", path, host="evil.example")
        assert (answer.status, answer.code) == (403, "access_denied"), path


def test_a_form_of_another_site_with_the_session_changes_nothing(bench: Bench, live: LiveHub) -> None:
    session = session_of(bench, live)
    headers = {"cookie": f"{COOKIE}={session}", "content-type": "application/x-www-form-urlencoded"}
    for origin in ("https://evil.example", "null"):
        answer = live.ask("POST", "/settings/tokens", token="", body=b"label=x", origin=origin, **headers)
        assert answer.status == 403
    own = live.ask("POST", "/settings/tokens", token="", body=b"label=mine", origin=live.url, **headers)
    assert own.status == 200
    assert [t.label for t in bench.services.store.list_tokens() if t.label in ("x", "mine")] == ["mine"]


def session_of(bench: Bench, live: LiveHub) -> str:
    """Log in as a browser does; gives the session's cookie."""
    link = create_login_link_token(bench.services, ADA)
    answer = live.ask("GET", f"/login?link={link}", token="")
    assert answer.status == 303
    return answer.headers["set-cookie"].partition(";")[0].partition("=")[2]


def test_the_sessions_cookie_is_for_this_site_alone_and_no_script_reads_it(
    bench: Bench, live: LiveHub
) -> None:
    link = create_login_link_token(bench.services, ADA)
    cookie = live.ask("GET", f"/login?link={link}", token="").headers["set-cookie"].lower()
    parts = {part.strip() for part in cookie.split(";")}
    assert {"httponly", "samesite=lax", "path=/"} <= parts
    assert "secure" not in parts  # plain HTTP on loopback


def test_over_https_the_cookie_never_goes_out_in_the_clear(bench: Bench) -> None:
    with served(bench.services, public_url="https://relive.example.org/hub", behind_proxy=True) as live:
        link = create_login_link_token(bench.services, ADA)
        cookie = live.ask("GET", f"/login?link={link}", token="").headers["set-cookie"].lower()
    parts = {part.strip() for part in cookie.split(";")}
    assert {"secure", "path=/hub"} <= parts


def test_a_login_link_works_once_and_logging_out_ends_the_session(bench: Bench, live: LiveHub) -> None:
    link = live.ask("POST", "/api/v1/login-link", {}).json["url"].partition("?link=")[2]
    first = live.ask("GET", f"/login?link={link}", token="")
    assert first.status == 303
    assert live.ask("GET", f"/login?link={link}", token="").status == 401
    session = first.headers["set-cookie"].partition(";")[0]
    assert live.ask("GET", "/api/v1/info", token="", cookie=session).status == 200
    assert live.ask("POST", "/logout", token="", cookie=session, origin=live.url).status == 303
    assert live.ask("GET", "/api/v1/projects", token="", cookie=session).status == 401


def test_logging_out_leaves_the_token_of_a_client_alone(live: LiveHub) -> None:
    link = live.ask("POST", "/api/v1/login-link", {}).json["url"].partition("?link=")[2]
    session = live.ask("GET", f"/login?link={link}", token="").headers["set-cookie"].partition(";")[0]
    assert live.ask("POST", "/logout", cookie=session, origin=live.url).status == 303
    assert live.ask("GET", "/api/v1/projects").status == 200


def test_a_revoked_and_an_expired_token_let_nobody_in(bench: Bench, live: LiveHub) -> None:
    gone = live.ask("POST", "/api/v1/tokens", {"label": "gone"}).json["token"]
    brief = live.ask("POST", "/api/v1/tokens", {"label": "brief", "life_s": 1e-6}).json["token"]
    assert live.ask("GET", "/api/v1/info", token=gone).status == 200
    assert live.ask("DELETE", f"/api/v1/tokens/{gone.split('_')[1]}").status in (200, 204)
    for token in (gone, brief):
        answer = live.ask("GET", "/api/v1/info", token=token)
        assert (answer.status, answer.code) == (401, "not_logged_in")
        assert answer.headers["www-authenticate"] == 'Bearer realm="relive"'
        assert token not in answer.body.decode()
