"""What the pages answer besides their content: who gets in, which headers go out, how errors look."""

import gzip
import json
import re

import pytest

from relive.core.access import Scope, Token, User
from relive.hub.web.errors import wants_page
from relive.hub.web.render import POLICY
from relive.services.accounts import create_token, create_user_token
from tests.support.site import Site, served

_HTML = "text/html,application/xhtml+xml,*/*;q=0.8"


@pytest.fixture
def own(story, tmp_path):
    """A site that a test may change."""
    with served(tmp_path / "hub", copy_of=story) as found:
        yield found


def test_every_page_says_what_a_browser_may_do(site: Site):
    answer = site.get("/models")
    assert answer.status == 200
    assert answer.headers["content-type"] == "text/html; charset=utf-8"
    assert answer.headers["content-security-policy"] == POLICY
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.headers["referrer-policy"] == "same-origin"
    assert "no-cache" in answer.headers["cache-control"]
    assert "unsafe" not in POLICY


def test_pages_are_packed_for_who_takes_it(site: Site):
    plain = site.get("/p/sentiment/runs")
    packed = site.ask("GET", "/p/sentiment/runs", cookie=_cookie(site), accept=_HTML, accept_encoding="gzip")
    assert packed.headers["content-encoding"] == "gzip"
    assert int(packed.headers["content-length"]) * 4 < len(plain.data)
    assert "content-encoding" not in plain.headers


def test_a_browser_without_a_login_is_led_to_it(site: Site):
    answer = site.ask("GET", "/p/digits", accept=_HTML)
    assert (answer.status, answer.headers["location"]) == (303, "/login")
    assert site.ask("GET", "/login", accept=_HTML).status == 200


def test_a_program_without_a_token_gets_the_one_shape_of_errors(site: Site):
    answer = site.ask("GET", "/p/digits", accept="application/json")
    assert answer.status == 401
    assert json.loads(answer.data)["code"] == "not_logged_in"


def test_a_session_that_has_ended_leads_to_the_login_page_with_its_styles(site: Site):
    stale = "relive_session=rlv_0000000000000000_gone"
    answer = site.ask("GET", "/", accept=_HTML, cookie=stale)
    assert (answer.status, answer.headers["location"]) == (303, "/login")
    assert "relive_session" in answer.headers["set-cookie"]
    login = site.ask("GET", "/login", accept=_HTML, cookie=stale)
    style = re.search(r'href="(/static/[^"]+base\.css)"', login.data.decode())
    assert style is not None
    assert site.ask("GET", style.group(1), cookie=stale).status == 200


@pytest.mark.parametrize(
    "path", ["/nothing", "/p/nowhere", "/m/digits/v/99", "/r/ffffffff", "/p/digits/pipelines/99", "/e/none"]
)
def test_what_is_not_there_is_a_page_for_browsers_and_a_problem_for_programs(site: Site, path: str):
    answer = site.ask("GET", path, cookie=_cookie(site), accept=_HTML)
    assert answer.status == 404
    assert b"Nothing here" in answer.data
    answer = site.ask("GET", path, cookie=_cookie(site), accept="application/json")
    assert answer.status == 404
    assert json.loads(answer.data)["code"] == "not_found"


@pytest.mark.parametrize(
    "path", ["/p/digits/series?runs=a", "/p/digits/runs?page=x&sort=%00", "/r/{id}/logs?at=-1"]
)
def test_an_address_that_makes_no_sense_is_no_crash(site: Site, path: str):
    answer = site.get(path.format(id=site.run("train #6", "digits")))
    assert answer.status in (200, 400, 404)


def test_the_api_never_answers_with_a_page(site: Site):
    answer = site.ask("GET", "/api/v1/projects/nowhere", cookie=_cookie(site), accept=_HTML)
    assert answer.headers["content-type"].startswith("application/json")
    assert not wants_page("/git/x.git/info/refs", _HTML)
    assert wants_page("/p/x", _HTML)
    assert not wants_page("/p/x", "*/*")


@pytest.mark.parametrize(
    "path",
    [
        "/settings/tokens",
        "/p/digits/pipelines/7/cancel",
        "/e/digits/rollback",
        "/e/digits/cancel",
        "/m/digits/v/1/deploy",
        "/m/digits/aliases",
        "/logout",
    ],
)
def test_another_site_cannot_make_a_browser_change_anything(site: Site, path: str):
    answer = site.ask(
        "POST", path, b"label=x", cookie=_cookie(site), origin="http://evil.example", accept=_HTML
    )
    assert answer.status == 403


def test_a_token_of_a_job_reads_no_pages(own: Site):
    run_id = own.run("train #7", "digits")
    text = create_token(own.services, Token(id="", scope=Scope.COMMAND, subject="user:ada", run_id=run_id))
    assert own.ask("GET", "/events", authorization=f"Bearer {text}").status == 403


def test_a_member_cannot_make_an_admin_token(own: Site):
    member = create_user_token(own.services, User(id="u", name="ben", role=Scope.MEMBER), label="x")
    cookie = f"relive_session={member}"
    refused = own.ask(
        "POST", "/settings/tokens", b"label=x&scope=admin&life=1+day", cookie=cookie, accept=_HTML
    )
    assert refused.status == 403
    made = own.ask(
        "POST", "/settings/tokens", b"label=mine&scope=member&life=1+day", cookie=cookie, accept=_HTML
    )
    assert made.status == 200
    assert made.headers["cache-control"] == "no-store"
    shown = own.ask("GET", "/settings/tokens", cookie=cookie, accept=_HTML).data.decode()
    assert "mine" in shown
    assert ">laptop of Ada" not in shown


def test_a_picture_is_shown_and_everything_else_is_kept_away_from_the_page(site: Site):
    run_id = site.run("train #6", "digits")
    picture = site.get(f"/r/{run_id}/file?path=reports/confusion.png")
    assert picture.headers["content-type"] == "image/png"
    assert "content-disposition" not in picture.headers
    text = site.get(f"/r/{run_id}/file?path=reports/notes.txt")
    assert text.headers["content-disposition"] == "attachment"
    assert text.headers["content-type"] == "application/octet-stream"
    for answer in (picture, text):
        assert "sandbox" in answer.headers["content-security-policy"]
        assert answer.headers["x-content-type-options"] == "nosniff"


def test_assets_are_kept_for_ever_and_old_addresses_lead_nowhere(site: Site):
    page = site.get("/login").data.decode()
    path = re.search(r'src="(/static/[^"]+theme\.js)"', page)
    assert path is not None
    found = site.ask("GET", path.group(1))
    assert "immutable" in found.headers["cache-control"]
    packed = site.ask("GET", path.group(1), accept_encoding="gzip")
    assert packed.headers["content-encoding"] == "gzip"
    assert packed.data == found.data or gzip.decompress(packed.data) == found.data
    assert (
        site.ask("GET", re.sub(r"static/[0-9a-f]+", "static/0123456789abcdef", path.group(1))).status == 404
    )


def test_short_ids_and_pipeline_ids_lead_to_their_pages(site: Site):
    run_id = site.run("train #6", "digits")
    answer = site.get(f"/runs/{run_id[:8]}")
    assert (answer.status, answer.headers["location"]) == (303, f"/r/{run_id}")


def test_the_log_comes_in_pieces_that_say_where_to_go_on(site: Site):
    run_id = site.run("train #6", "digits")
    first = json.loads(site.get(f"/r/{run_id}/logs/more?at=0", accept="application/json").data)
    assert first["lines"][0]["text"] == "loading data/train.npz: 1437 images"
    assert first["done"]
    again = json.loads(site.get(f"/r/{run_id}/logs/more?at={first['next']}", accept="application/json").data)
    assert (again["lines"], again["next"]) == ([], first["next"])


def test_the_statement_is_given_byte_for_byte(site: Site):
    answer = site.get("/m/digits/v/2/provenance")
    envelope = json.loads(answer.data)
    assert envelope["payloadType"] == "application/vnd.in-toto+json"
    assert 'filename="digits-v2.dsse.json"' in answer.headers["content-disposition"]


def _cookie(site: Site) -> str:
    return f"relive_session={site.token}"
