"""Two runs are picked, what differs is looked at, a pool is asked for the causes: by a real hub."""

import json
import os
import re
from collections.abc import Iterator
from typing import Any, cast

import pytest
from playwright.sync_api import Browser, expect

from relive.core.run import Run, RunStatus
from tests.browser.conftest import Reader, reading
from tests.browser.test_every_page import AXE, check
from tests.e2e.hub import RealHub, running_hub, wait_for
from tests.e2e.test_why import KEYS, SUM, recorded
from tests.support.site import Site


@pytest.fixture(scope="module")
def hub(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RealHub]:
    """A hub with its scheduler, as trials are to be run."""
    home = tmp_path_factory.mktemp("home")
    with running_hub(home, PIP_CONFIG_FILE=os.devnull, PIP_NO_INDEX="1") as running:
        yield running


@pytest.fixture(scope="module")
def pair(hub: RealHub, tmp_path_factory: pytest.TempPathFactory) -> tuple[str, str]:
    """Two runs whose sums differ by two of eight params."""
    folder, found = tmp_path_factory.mktemp("sums"), []
    (folder / "train.py").write_text("import time\ntime.sleep(1)\n" + SUM)
    (folder / "requirements.txt").write_text("")
    for value in (0, 1):
        params = dict.fromkeys(KEYS, 0) | {"a": value, "c": value, "f": value}
        (folder / "params.json").write_text(json.dumps(params))
        options = ("--env", "requirements.txt", "--metrics", "m.json", "--", "python", "train.py")
        found.append(recorded(hub, folder, "sums", *options))
    return found[0], found[1]


@pytest.fixture
def writer(browser: Browser, hub: RealHub) -> Iterator[Reader]:
    token = json.loads((hub.home / "tokens.json").read_text())["tokens"][hub.address]
    # The pages are another process's: nothing of it is reached but its address.
    site = Site(url=hub.address, token=token, services=cast(Any, None), config=cast(Any, None))
    with reading(browser, site) as found:
        yield found


def run_of(hub: RealHub, address: str) -> Run:
    return hub.client().get_run(re.findall("/r/([0-9a-f]+)/why", address)[0]).run


def test_from_two_runs_to_the_causes(writer: Reader, hub: RealHub, pair: tuple[str, str]) -> None:
    page = writer.open("/p/sums/runs")
    for run_id in pair:
        page.locator(f"input[type=checkbox][value='{run_id}']").check()
    page.get_by_role("button", name="Compare").or_(page.get_by_role("link", name="Compare")).first.click()
    page.locator("a[href*='/diff/']").first.click()
    expect(page.get_by_role("heading", level=1)).to_have_text("What two runs do not share")
    expect(page.locator("main")).to_contain_text("params.json")
    page.get_by_label("On pool").select_option("local")
    page.get_by_role("button", name="Find the causes").click()
    page.wait_for_url("**/why")
    page.evaluate("window.stillTheSamePage = true")
    status = page.get_by_role("status")
    expect(status).to_contain_text("Looking for what makes the second result")
    expect(page.get_by_role("table")).to_contain_text("why: copy of")
    expect(page.get_by_label("What the search said")).to_contain_text("the first as it is → as the first")
    page.evaluate(AXE.read_text())
    assert check(page, {"type": "tag", "values": ["wcag2a", "wcag2aa", "best-practice"]}) == []
    # It is shown without a reload once it is there.
    expect(page.locator("section[aria-label=Answer]")).to_contain_text(
        "2 inputs make the second", timeout=60_000
    )
    causes = page.get_by_label("Causes", exact=True)
    expect(causes).to_contain_text("params.json:c")
    expect(causes).to_contain_text("params.json:f")
    expect(causes).not_to_contain_text("params.json:a")
    assert page.evaluate("window.stillTheSamePage")
    assert run_of(hub, page.url).status is RunStatus.FINISHED
    page.get_by_role("link", name="all that differs").click()
    expect(page.locator("a[href$='/why']")).to_have_count(1)


def test_a_search_is_cancelled_on_its_page(writer: Reader, hub: RealHub, pair: tuple[str, str]) -> None:
    page = writer.open(f"/r/{pair[1]}/diff/{pair[0]}")
    page.get_by_label("Explain").select_option("sum")
    page.get_by_role("button", name="Find the causes").click()
    expect(page.get_by_role("status")).to_contain_text("Looking for what makes the second result")
    asked = page.url
    page.get_by_role("button", name="Cancel run").click()
    ended = wait_for(lambda: (run := run_of(hub, asked)).status.is_final and run)
    assert ended.status is RunStatus.KILLED
    page.goto(asked)
    expect(page.locator("section[aria-label=Answer]")).to_contain_text("goes on from here")
