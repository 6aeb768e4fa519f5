"""Notes, tags, deleting and restoring: by whom, all or none, and never over what somebody else wrote."""

from urllib.parse import urlencode

import pytest

from relive.core.access import Caller, Scope
from relive.core.run import RunStatus
from relive.errors import AccessDenied, Conflict, InvalidInput, NotFound
from relive.hub.auth import COOKIE
from relive.services.curating import NOTE, delete_runs, restore_runs, set_note, set_tag
from tests.support.site import Site, served

ADA = Caller(name="ada", scope=Scope.MEMBER)
LOCAL = Caller(name="local", scope=Scope.LOCAL)


@pytest.fixture
def own(story, tmp_path):
    """A site that a test may change."""
    with served(tmp_path / "hub", copy_of=story) as found:
        yield found


@pytest.fixture
def ids(own: Site) -> list[str]:
    """Two finished runs."""
    return [own.run(f"bert-small-00{index}", "sentiment") for index in (1, 2)]


def post(site: Site, path: str, token: str | None = None, **fields: str):
    """Send a form as a browser would."""
    return site.ask(
        "POST",
        path,
        urlencode(fields).encode(),
        cookie=f"{COOKIE}={site.token if token is None else token}",
        content_type="application/x-www-form-urlencoded",
        accept="text/html",
    )


def test_a_note_is_not_written_over_anothers(own: Site, ids: list[str]):
    store, services = own.services.store, own.services
    set_note(services, ids[0], "first\r\nline", ADA, seen="")
    assert store.list_tags(ids)[ids[0]][NOTE] == "first\nline"
    with pytest.raises(Conflict, match="somebody else"):
        set_note(services, ids[0], "mine", ADA, seen="")
    set_note(services, ids[0], "second", ADA, seen="first\r\nline\r\n")
    # The same text twice is no conflict: a form that was sent again.
    set_note(services, ids[0], "second", ADA, seen="first\nline")
    set_note(services, ids[0], "  ", ADA)
    assert ids[0] not in store.list_tags([ids[0]])
    with pytest.raises(InvalidInput, match="20000"):
        set_note(services, ids[0], "x" * 20_001, ADA)


def test_whoever_has_no_login_changes_only_their_own(own: Site, ids: list[str]):
    services = own.services
    for act in (
        lambda: set_note(services, ids[0], "x", LOCAL),
        lambda: set_tag(services, ids, "a", "b", LOCAL),
        lambda: delete_runs(services, ids, LOCAL),
        lambda: restore_runs(services, ids, LOCAL),
    ):
        with pytest.raises(AccessDenied):
            act()
    services.store.set_run(ids[0], actor="local")
    assert delete_runs(services, ids[:1], LOCAL) == 1


def test_many_runs_are_tagged_all_or_none(own: Site, ids: list[str]):
    services, store = own.services, own.services.store
    assert set_tag(services, [*ids, ids[0]], "team", "nlp", ADA) == 2
    assert [tags["team"] for tags in store.list_tags(ids).values()] == ["nlp", "nlp"]
    with pytest.raises(NotFound):
        set_tag(services, [*ids, "f" * 32], "team", "other", ADA)
    assert [tags["team"] for tags in store.list_tags(ids).values()] == ["nlp", "nlp"]
    set_tag(services, ids, "team", "", ADA)
    assert store.list_tags(ids) == {}
    for key, value in (("", "x"), ("k" * 251, "x"), ("k", "v" * 5001)):
        with pytest.raises(InvalidInput):
            set_tag(services, ids, key, value, ADA)
    with pytest.raises(InvalidInput, match="1 to 1000"):
        set_tag(services, [], "a", "b", ADA)


def test_runs_are_deleted_and_restored_and_it_is_told(own: Site, ids: list[str]):
    services, store = own.services, own.services.store
    assert delete_runs(services, ids, ADA) == 2
    assert delete_runs(services, ids, ADA) == 0
    assert all(store.get_run(run_id).deleted_at for run_id in ids)
    assert restore_runs(services, ids[:1], ADA) == 1
    assert store.get_run(ids[0]).deleted_at is None
    told = [event.kind for event in store.list_events(project="sentiment", newest_first=True, limit=3)]
    assert told == ["run.restored", "run.deleted", "run.deleted"]


def test_a_run_that_goes_on_is_not_deleted_nor_any_with_it(own: Site, ids: list[str]):
    live = own.run("train #7", "digits")
    assert own.services.store.get_run(live).status is RunStatus.RUNNING
    with pytest.raises(Conflict, match="cancel it first"):
        delete_runs(own.services, [ids[0], live], ADA)
    assert own.services.store.get_run(ids[0]).deleted_at is None


def test_forms_need_a_login_and_a_page_of_ours(own: Site, ids: list[str]):
    paths = (
        f"/r/{ids[0]}/note",
        "/p/sentiment/runs/selected",
        "/p/sentiment/views",
        "/p/sentiment/views/delete",
    )
    for path in paths:
        assert post(own, path, token="", note="x", name="x", do="tag").status in (303, 401)
    foreign = own.ask(
        "POST", paths[0], b"note=x", cookie=f"{COOKIE}={own.token}", origin="http://evil.example"
    )
    assert foreign.status == 403
    assert own.services.store.list_tags(ids) == {}


def test_forms_that_make_no_sense_are_refused(own: Site, ids: list[str]):
    assert post(own, "/p/sentiment/runs/selected", do="explode", runs=ids[0]).status == 400
    assert post(own, "/p/sentiment/runs/selected", do="delete").status == 400
    assert post(own, "/p/sentiment/views", name=" ").status == 400
    assert post(own, "/p/sentiment/views/delete", name="none").status == 404
    assert post(own, "/p/nowhere/views", name="x").status == 404
    assert own.get("/p/sentiment/view?name=none").status == 404


def test_what_is_ticked_elsewhere_is_taken_along_and_the_view_stays(own: Site, ids: list[str]):
    fields = {"do": "tag", "runs": ids[0], "others": ids[1], "key": "team", "value": "nlp", "sort": "name"}
    answer = post(own, "/p/sentiment/runs/selected", **fields)
    assert answer.status == 303
    assert answer.headers["location"] == "/p/sentiment/runs?sort=name&did=tagged%3A2"
    assert own.services.store.list_tags(ids) == {run_id: {"team": "nlp"} for run_id in ids}
    compared = post(own, "/p/sentiment/runs/selected", do="compare", runs=ids[0], others=ids[1])
    assert compared.headers["location"] == f"/p/sentiment/compare?runs={ids[0]}%2C{ids[1]}"


def test_counts_of_points_tell_a_page_what_has_grown(own: Site):
    live = own.run("train #7", "digits")
    answer = own.get(f"/r/{live}/points?key=train/loss&key=none", accept="application/json")
    assert answer.json() == {"": True, "train/loss": 26, "none": 0}
    assert own.get("/p/sentiment/runs/news?since=x").status == 400
    assert own.get("/p/sentiment/runs/news?since=0").json() == {"new": 50}
