"""Deploying from a page: what a client registered, what is on its way, and what stays where it is."""

from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlencode

import pytest

from relive.core.access import Scope, User
from relive.core.artifact import Manifest, ManifestEntry
from relive.core.endpoint import RevisionState
from relive.core.model import ModelVersion
from relive.hub.web.views import endpoints, models
from relive.services.accounts import create_user_token
from relive.services.describing import DOING
from relive.services.ids import new_id
from relive.services.registry import file_sha256s, folder_sha256, sign_statement
from tests.support.site import Site, served
from tests.unit.services.test_describing import FILES


@pytest.fixture
def own(story: Path, tmp_path: Path) -> Iterator[Site]:
    """A site that a test may change."""
    with served(tmp_path / "hub", copy_of=story) as found:
        yield found


def post(site: Site, path: str, token: str = "", **fields: str) -> tuple[int, str]:
    """Send a form as the page does; gives the status, and where it leads or what it says."""
    cookie = f"relive_session={token or site.token}"
    answer = site.ask(
        "POST", path, urlencode(fields).encode(), cookie=cookie, origin=site.url, accept="text/html"
    )
    return answer.status, answer.headers.get("location", "") or answer.data.decode()


def uploaded(site: Site, *, without: str = "") -> ModelVersion:
    """Register the next version of the model digits as an MLflow client does, without one of its files."""
    services = site.services
    files = {name: data for name, data in FILES.items() if name != without}
    blobs = {path: services.blobs.put(data) for path, data in files.items()}
    manifest = Manifest.of(
        ManifestEntry(path=path, digest=it.digest, size_bytes=it.size_bytes) for path, it in blobs.items()
    )
    sums = file_sha256s(services, manifest)
    version = services.store.create_version(
        ModelVersion(
            id=new_id(),
            model_id=services.store.get_model("digits").id,
            model="digits",
            version=0,
            run_id=new_id(),
            manifest=services.blobs.put(manifest.to_bytes()).digest,
            sha256=folder_sha256(sums),
            source="runs:/x/model",
            created_by="local",
        )
    )
    return services.store.set_version(version.id, provenance=sign_statement(services, version, sums, None))


def test_a_version_that_a_client_registered_is_deployed_from_its_page(own: Site) -> None:
    version = uploaded(own)
    status, where = post(own, f"/m/digits/v/{version.version}/deploy", endpoint="fresh")
    assert (status, where) == (303, "/e/fresh")
    (revision,) = endpoints.get_endpoint(own.services, "fresh").revisions
    assert (revision.version, revision.mark.word) == (f"digits v{version.version}", "waiting")


def test_the_page_of_a_version_says_what_is_not_known_of_it(own: Site) -> None:
    page = models.get_version(own.services, "digits", str(uploaded(own).version))
    said = {check.question: (check.mark.word, check.evidence) for check in page.checks}
    assert said["Is its origin signed?"] == (
        "open",
        "Signed is that local stored these files; how they were made, this hub did not see.",
    )
    assert said["Can it be tested before traffic?"][0] == "open"
    assert page.endpoint == "digits"


def test_a_version_without_an_input_example_says_what_to_do_on_its_page_and_when_deployed(own: Site) -> None:
    version = uploaded(own, without="serving_input_example.json")
    page = models.get_version(own.services, "digits", str(version.version))
    said = {check.question: (check.mark.word, check.evidence) for check in page.checks}
    assert said["Can it be tested before traffic?"][0] == "no"
    assert "input_example=X[:5]" in said["Can it be tested before traffic?"][1]
    assert page.endpoint == ""
    status, text = post(own, "/e/digits/deploy", version=str(version.version))
    assert (status, "input_example=X[:5]" in text) == (409, True)


def test_the_deploy_forms_say_that_the_champion_stays(own: Site) -> None:
    version = uploaded(own)
    assert (str(version.version), f"v{version.version}, candidate, described first") in (
        endpoints.get_endpoint(own.services, "digits").others
    )
    for path in ("/e/digits", f"/m/digits/v/{version.version}"):
        assert "No alias moves: champion stays v3." in own.get(path).data.decode()
    assert "No alias moves." in own.get("/m/digits/v/3").data.decode()


def test_what_a_revision_does_is_on_the_page_and_can_be_cancelled(own: Site) -> None:
    store, version = own.services.store, uploaded(own)
    post(own, "/e/digits/deploy", version=str(version.version))
    page = endpoints.get_endpoint(own.services, "digits")
    revision = store.list_revisions(store.get_endpoint("digits").id)[0]
    store.set_revision(revision.id, facts=revision.facts | {DOING: "resolving requirements.txt"})
    after = endpoints.get_endpoint(own.services, "digits")
    assert after.seen != page.seen
    text = own.get("/e/digits").data.decode()
    assert "resolving requirements.txt" in text
    assert 'action="/e/digits/cancel"' in text
    assert post(own, "/e/digits/cancel") == (303, "/e/digits")
    assert store.get_revision(revision.id).state is RevisionState.STOPPED
    assert 'action="/e/digits/cancel"' not in own.get("/e/digits").data.decode()
    assert post(own, "/e/digits/cancel")[0] == 409


def test_without_a_login_nothing_is_deployed_and_nothing_cancelled(own: Site) -> None:
    version = uploaded(own)
    token = create_user_token(own.services, User(id="l", name="local", role=Scope.LOCAL), label="x")
    for path in (f"/m/digits/v/{version.version}/deploy", "/e/digits/deploy", "/e/digits/cancel"):
        assert post(own, path, token, endpoint="x", version=str(version.version))[0] == 403


def test_a_version_that_names_no_packages_is_refused_with_what_to_do(own: Site) -> None:
    version = uploaded(own, without="requirements.txt")
    status, text = post(own, f"/m/digits/v/{version.version}/deploy", endpoint="digits")
    assert (status, "pip_requirements" in text) == (422, True)
