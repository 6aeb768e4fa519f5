"""Chromium with no way out, and hubs with a full and an empty story."""

import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, expect, sync_playwright

from relive.hub.auth import COOKIE
from tests.conftest import require
from tests.support.site import Site, served
from tests.support.story import full_hub

# A loaded machine may take its time; what does not come at all fails.
expect.set_options(timeout=30_000)

# No name resolves and no proxy is asked: whatever a page wants from elsewhere fails and is seen.
_ISOLATED = ["--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1", "--no-proxy-server"]


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """One Chromium for the tests of a module: starting it costs seconds.

    Not for the whole session: Playwright keeps an event loop running in this thread, and every later test of
    this worker that wants one of its own would fail.
    """
    path = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    require(path is not None, "Chromium is not installed (Debian, Ubuntu: apt install chromium)")
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=path, args=_ISOLATED)
        yield chromium
        chromium.close()


@pytest.fixture(scope="session")
def story(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data folder with the whole story; each site is a copy of it."""
    folder = tmp_path_factory.mktemp("story") / "hub"
    _, services = full_hub(folder, now=time.time())
    services.store.close()
    return folder


@pytest.fixture(scope="session")
def full_site(story: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """A hub with a story, for tests that only look."""
    with served(tmp_path_factory.mktemp("full") / "hub", copy_of=story) as site:
        yield site


@pytest.fixture
def own_site(story: Path, tmp_path: Path) -> Iterator[Site]:
    """A hub with a story, for a test that changes it."""
    with served(tmp_path / "hub", copy_of=story) as site:
        yield site


@pytest.fixture(scope="session")
def empty_site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """A hub on which nothing was done."""
    folder = tmp_path_factory.mktemp("empty") / "hub"
    with served(folder) as site:
        yield site


class Reader:
    """A person with a browser who is logged in; keeps what went wrong in it."""

    def __init__(self, page: Page, site: Site) -> None:
        self.page = page
        self.site = site
        self.problems: list[str] = []
        self.requests: list[str] = []
        page.on("console", self._on_console)
        page.on("pageerror", lambda error: self.problems.append(str(error)))
        page.on("request", lambda request: self.requests.append(request.url))

    def open(self, path: str) -> Page:
        """Open a page of the site and wait until it is quiet."""
        self.requests.clear()
        self.page.goto(self.site.url + path)
        self.page.wait_for_load_state("load")
        return self.page

    def _on_console(self, message: Any) -> None:
        # A status is told by the page as well; what counts is what the page did wrong.
        if message.type in ("error", "warning") and "Failed to load resource" not in message.text:
            self.problems.append(message.text)


@contextmanager
def reading(browser: Browser, site: Site, **options: Any) -> Iterator[Reader]:
    """Give a reader in a fresh profile; what went wrong in the browser fails the test."""
    logged_in = options.pop("logged_in", True)
    context: BrowserContext = browser.new_context(viewport={"width": 1440, "height": 900}, **options)
    context.set_default_timeout(30_000)
    context.grant_permissions(["clipboard-read", "clipboard-write"])
    if logged_in:
        context.add_cookies([{"name": COOKIE, "value": site.token, "url": site.url}])
    reader = Reader(context.new_page(), site)
    try:
        yield reader
        assert reader.problems == []
    finally:
        context.close()


@pytest.fixture
def reader(browser: Browser, full_site: Site) -> Iterator[Reader]:
    """A reader of the full story."""
    with reading(browser, full_site) as found:
        yield found


@pytest.fixture
def writer(browser: Browser, own_site: Site) -> Iterator[Reader]:
    """A reader who may change the story."""
    with reading(browser, own_site) as found:
        yield found
