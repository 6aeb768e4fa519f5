"""What holds for every page: accessible in both themes, few bytes, whole at 320 pixels, all from this hub."""

import gzip
import json
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Browser, Page, Response

from tests.browser.conftest import Reader, reading
from tests.support.seed_evaluation import QUESTIONS
from tests.support.seed_reviews import OWN, TEAM
from tests.support.seed_traces import ANSWERED
from tests.support.site import Site

AXE = Path(__file__).parent / "vendor" / "axe" / "axe.min.js"
_KINDS = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]
_TABLE_BUDGET, _CHART_BUDGET, _MOST_REQUESTS = 60_000, 110_000, 15

FULL = [
    "/",
    "/projects",
    "/p/digits",
    "/p/digits/runs",
    "/p/sentiment/runs?q=status:finished&sort=-metrics.val/accuracy",
    "/p/sentiment/runs?q=status:nonsense",
    "/p/sentiment/runs?q=metrics.a+>+1+AND+params.b+=+x",
    "/p/sentiment/runs?of=params.optimizer+=+'sgd'&deleted=1",
    "/p/sentiment/runs?group=params.optimizer&by=metrics.val/accuracy",
    "/p/digits/pipelines",
    "/p/digits/pipelines/1",
    "/p/digits/pipelines/2",
    "/p/digits/pipelines/3",
    "/p/digits/pipelines/5",
    "/p/digits/pipelines/7",
    "/p/churn/pipelines/1",
    "/models",
    "/m/digits",
    "/m/digits/v/2?verify=1",
    "/endpoints",
    "/e/digits",
    "/pools",
    "/events",
    "/events?kind=push",
    "/settings/tokens",
    "/login",
    "/nothing-here",
    "/p/ideas",
    "/p/ideas/runs",
    "/p/ideas/pipelines",
    "{good}",
    "{good}/charts",
    "{good}/inputs",
    "{good}/replay",
    "{good}/logs",
    "{good}/artifacts",
    "{good}/artifacts?path=reports/confusion.png",
    "{good}/artifacts?path=reports/errors.csv",
    "{good}/artifacts?path=model/labels.json",
    "{good}/lineage",
    "{good}/tests",
    "{good}/diff/{first}",
    "{odd}/replay",
    "{odd}/inputs",
    "{failed}",
    "{failed}/logs",
    "{failed}/tests",
    "{live}",
    "{live}/system",
    "{media}",
    "{media}/media",
    "{media}/media?step=7",
    "{media}/system",
    "{media}/artifacts?path=relive.media/predictions-20.json",
    "{live}/logs",
    "{live}/inputs",
    "/p/sentiment/compare",
    "/p/sentiment/compare?runs={two}",
    "/p/digits/traces",
    "/p/digits/traces?q=status+=+'ERROR'",
    "/p/digits/traces?q=status+=+nothing",
    "/p/digits/traces?q=nowhere",
    f"/p/digits/traces/{ANSWERED}",
    "/p/digits/traces/tr-2",
    "/p/ideas/traces",
    "/p/digits/evaluation",
    f"/p/digits/evaluation/{QUESTIONS}",
    f"/p/digits/evaluation/{QUESTIONS}?after=100",
    "/p/digits/evaluation/d-2",
    "/p/ideas/evaluation",
    "/p/digits/reviews",
    f"/p/digits/reviews/{TEAM}",
    f"/p/digits/reviews/{TEAM}?status=pending",
    f"/p/digits/reviews/{OWN}",
    "/p/ideas/reviews",
]
EMPTY = [
    "/",
    "/projects",
    "/models",
    "/endpoints",
    "/pools",
    "/events",
    "/settings/tokens",
    "/login",
    "/p/none",
]


def address(site: Site, path: str) -> str:
    """Put the ids of the story's runs into an address."""
    if "{" not in path:
        return path
    store = site.services.store
    sweep = store.list_runs(project_id=store.get_project("sentiment").id, limit=2)
    names = {"good": "train #6", "odd": "notebook: try dropout", "failed": "test #3", "live": "train #7"}
    ids = {key: f"/r/{site.run(name, 'digits')}" for key, name in names.items()}
    ids["media"] = f"/r/{site.run('cells #1', 'vision')}"
    first = site.run("train #1", "digits")
    return path.format(**ids, first=first, two=",".join(run.id for run in sweep))


def check(page: Page, what: dict[str, object]) -> list[str]:
    """Give every violation that axe finds, of any impact."""
    found = page.evaluate("what => axe.run(document, {runOnly: what, resultTypes: ['violations']})", what)
    return [
        f"{rule['id']} ({rule['impact']}): {node['html'][:160]} {node['failureSummary'][:200]}"
        for rule in found["violations"]
        for node in rule["nodes"]
    ]


def look_at(reader: Reader, path: str) -> None:
    """Hold a page to everything that holds for every page."""
    page = reader.open(path)
    assert page.locator("h1").count() == 1
    assert page.title().endswith(" · relive")
    assert page.locator("main").count() == 1
    foreign = [url for url in reader.requests if urlsplit(url).netloc != urlsplit(reader.site.url).netloc]
    assert not foreign
    assert len(reader.requests) <= _MOST_REQUESTS
    page.evaluate(AXE.read_text(encoding="utf-8"))
    assert check(page, {"type": "tag", "values": _KINDS}) == []
    page.emulate_media(color_scheme="dark")
    # The other theme is the same page in other colours.
    assert check(page, {"type": "rule", "values": ["color-contrast", "link-in-text-block"]}) == []
    page.set_viewport_size({"width": 320, "height": 700})
    assert page.evaluate("document.documentElement.scrollWidth") <= 320


@pytest.mark.parametrize("path", FULL)
def test_a_page_of_the_full_story_is_sound(reader: Reader, path: str) -> None:
    look_at(reader, address(reader.site, path))


@pytest.mark.parametrize("path", EMPTY)
def test_a_page_of_an_empty_hub_is_sound(browser: Browser, empty_site: Site, path: str) -> None:
    with reading(browser, empty_site) as reader:
        look_at(reader, path)


@pytest.mark.parametrize(
    ("path", "budget"),
    [
        ("/", _TABLE_BUDGET),
        ("/p/sentiment/runs", _TABLE_BUDGET),
        ("/p/digits/pipelines/7", _TABLE_BUDGET),
        ("/m/digits/v/2", _TABLE_BUDGET),
        ("{live}/logs", _TABLE_BUDGET),
        ("/e/digits", _TABLE_BUDGET),
        ("{good}/charts", _CHART_BUDGET),
        ("/p/sentiment/compare?runs={two}", _CHART_BUDGET),
    ],
)
def test_scripts_and_styles_keep_their_budget(reader: Reader, path: str, budget: int) -> None:
    answers = responses(reader, address(reader.site, path))
    sizes = {answer.url: packed_size(answer) for answer in answers if is_static(answer)}
    assert 0 < sum(sizes.values()) <= budget, json.dumps(sizes, indent=1)


def test_a_table_of_runs_is_a_hundredth_of_what_peers_send(reader: Reader) -> None:
    """8,654,766 bytes were measured for the same table of the most used peer."""
    answers = responses(reader, "/p/sentiment/runs")
    assert 0 < sum(len(gzip.compress(answer.body())) for answer in answers) <= 86_547


def responses(reader: Reader, path: str) -> list[Response]:
    """Open a page and give everything that was answered for it."""
    found: list[Response] = []

    def keep(answer: Response) -> None:
        found.append(answer)

    reader.page.on("response", keep)
    reader.open(path).wait_for_load_state("networkidle")
    return found


def is_static(answer: Response) -> bool:
    """Tell whether this is a script or a style."""
    kind = answer.headers.get("content-type", "")
    return "javascript" in kind or "css" in kind


def packed_size(answer: Response) -> int:
    """Give the bytes that went over the wire."""
    assert answer.headers["content-encoding"] == "gzip"
    assert "immutable" in answer.headers["cache-control"]
    return len(gzip.compress(answer.body(), 9))
