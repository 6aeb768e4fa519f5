"""How pages are read: by keyboard, in the dark, by charts, without scripts, behind a proxy."""

import re
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Browser, expect

from tests.browser.conftest import Reader, reading
from tests.support.site import Site, served

_ADDRESSES = """[...document.querySelectorAll("[href], [src], [action], [hx-get]")].map(
  (e) => ["hx-get", "href", "src", "action"].map((name) => e.getAttribute(name)).find((at) => at))"""


def test_the_first_stop_of_the_keyboard_skips_to_the_content(reader: Reader) -> None:
    page = reader.open("/p/sentiment/runs")
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.textContent") == "Skip to content"
    page.keyboard.press("Enter")
    assert page.evaluate("document.activeElement.id") == "main"


@pytest.mark.parametrize(
    ("keys", "path"), [("gm", "/models"), ("ge", "/endpoints"), ("ga", "/"), ("gr", "/p/digits/runs")]
)
def test_two_keys_go_anywhere(reader: Reader, keys: str, path: str) -> None:
    page = reader.open("/p/digits")
    for key in keys:
        page.keyboard.press(key)
    expect(page).to_have_url(reader.site.url + path)


def test_keys_for_the_filter_the_rows_and_the_help(reader: Reader) -> None:
    page = reader.open("/p/sentiment/runs")
    page.keyboard.press("/")
    assert page.evaluate("document.activeElement.id") == "q"
    page.keyboard.type("gm?")
    assert page.locator("#q").input_value() == "gm?"
    page.keyboard.press("Escape")
    page.goto(reader.site.url + "/p/digits/pipelines")
    page.keyboard.press("j")
    page.keyboard.press("j")
    page.keyboard.press("k")
    assert page.evaluate("document.activeElement.textContent") == "7"
    page.keyboard.press("Enter")
    expect(page).to_have_url(re.compile("/p/digits/pipelines/7$"))
    page.keyboard.press("?")
    expect(page.get_by_role("dialog")).to_contain_text("compare the selected runs")
    page.keyboard.press("Escape")
    expect(page.get_by_role("dialog")).to_have_count(0)


def test_the_theme_follows_the_system_until_it_is_chosen_and_is_remembered(reader: Reader) -> None:
    page = reader.open("/models")

    def paper() -> str:
        found: str = page.evaluate("getComputedStyle(document.body).backgroundColor")
        return found

    light = paper()
    page.emulate_media(color_scheme="dark")
    dark = paper()
    assert light != dark
    page.locator("#theme-button").click()
    assert paper() == light
    page.goto(reader.site.url + "/endpoints")
    assert paper() == light
    page.keyboard.press("d")
    assert paper() == dark
    page.keyboard.press("d")
    page.emulate_media(color_scheme="light")
    assert paper() == light


def test_a_snippet_is_copied(reader: Reader) -> None:
    page = reader.open("/p/digits")
    page.locator(".snippet button.copy").first.click()
    expect(page.locator(".snippet button.copy").first).to_have_class("copy done")
    assert page.evaluate("navigator.clipboard.readText()") == f"git clone {reader.site.url}/git/digits.git"


def test_a_chart_is_drawn_and_its_values_are_read_by_arrow_keys(reader: Reader) -> None:
    page = reader.open(f"/r/{reader.site.run('bert-small-000', 'sentiment')}/charts")
    chart = page.locator("[data-chart='val/accuracy']")
    expect(chart.locator("canvas")).to_be_visible()
    # Something other than paper was drawn.
    colours = chart.locator("canvas").evaluate(
        """canvas => new Set(new Uint32Array(
            canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height).data.buffer)).size"""
    )
    assert colours > 8
    chart.focus()
    page.keyboard.press("ArrowRight")
    said = chart.locator("xpath=ancestor::figure").locator(".read")
    expect(said).to_have_text(re.compile(r"^step 0: -?[\d.e-]+$"))
    page.keyboard.press("End")
    expect(said).to_have_text(re.compile(r"^step 199: 0\.\d+$"))


def test_smoothing_and_scale_are_part_of_the_address(reader: Reader) -> None:
    path = f"/r/{reader.site.run('bert-small-000', 'sentiment')}/charts"
    page = reader.open(path)
    expect(page.locator("[data-chart='val/loss'] canvas")).to_be_visible()
    page.locator("input[name=smooth]").fill("0.9")
    page.locator("input[name=log]").check()
    expect(page).to_have_url(re.compile(r"smooth=0\.9&log=1$"))
    page.reload()
    assert page.locator("input[name=smooth]").input_value() == "0.9"
    assert page.locator("input[name=log]").is_checked()


@pytest.mark.parametrize(
    ("path", "text"),
    [
        ("/", "Try a random forest"),
        ("/p/digits/pipelines/2", "at most 0.005 is allowed"),
        ("{good}", "python train.py"),
        ("{good}/inputs", "scikit-learn"),
        ("{good}/logs", "epoch  39"),
        ("{good}/charts", "40 points"),
        ("/m/digits/v/2", "Can it be made again?"),
        ("/settings/tokens", "laptop of Ada"),
    ],
)
def test_pages_say_what_they_say_without_scripts(
    browser: Browser, full_site: Site, path: str, text: str
) -> None:
    with reading(browser, full_site, java_script_enabled=False) as plain:
        page = plain.open(path.format(good=f"/r/{full_site.run('train #6', 'digits')}"))
        expect(page.locator("main")).to_contain_text(text)
        assert page.locator("button.copy:visible").count() == 0


def test_everything_works_under_a_path(browser: Browser, story: Path, tmp_path: Path) -> None:
    with (
        served(tmp_path / "hub", prefix="/teams/ml/relive", copy_of=story) as site,
        reading(browser, site) as person,
    ):
        for path in (
            "/",
            "/p/digits/pipelines/7",
            "/p/sentiment/runs",
            f"/r/{site.run('train #6', 'digits')}/charts",
            "/m/digits/v/2",
            "/e/digits",
        ):
            page = person.open(path)
            addresses = page.evaluate(_ADDRESSES)
            wrong = [at for at in addresses if not at.startswith(("/teams/ml/relive", "#"))]
            assert not wrong
            assert all(urlsplit(url).path.startswith("/teams/ml/relive") for url in person.requests)
        page = person.open("/p/digits")
        page.keyboard.press("g")
        page.keyboard.press("m")
        expect(page).to_have_url(f"{site.url}/models")
        expect(page.locator("h1")).to_have_text("Models")
        page = person.open("/p/digits/pipelines/6")
        page.get_by_role("button", name="Run again", exact=True).click()
        expect(page.locator("h1")).to_contain_text("Planning")


def test_five_seconds_are_enough_to_find_the_best_run(reader: Reader) -> None:
    """Best run, its verdict and its commit stand in the first screen, without scrolling."""
    page = reader.open("/p/sentiment/runs?sort=-metrics.val/accuracy")
    first = page.locator("tbody tr").first
    expect(first).to_be_in_viewport()
    cells = first.locator("td").all_inner_texts()
    assert cells[1].startswith("bert-small-")
    assert re.fullmatch(r"[≡≈≠·].+", cells[3].replace("\n", ""))
    assert re.search(r"[0-9a-f]{8}", " ".join(cells[4:]))


def test_what_a_run_wrote_cannot_act_in_the_page(reader: Reader) -> None:
    page = reader.open(f"/r/{reader.site.run('train #6', 'digits')}/artifacts?path=reports/notes.txt")
    expect(page.locator("pre.block")).to_contain_text("<script>alert(1)</script>")
    page = reader.open(f"/r/{reader.site.run('train #6', 'digits')}/artifacts?path=reports/confusion.png")
    assert page.locator(".preview img").evaluate("image => image.naturalWidth") == 96


def test_links_that_mlflow_prints_lead_to_the_run_its_experiment_and_the_version(reader: Reader) -> None:
    run = reader.site.services.store.get_run(reader.site.run("train #6", "digits"))
    for link, path in (
        (f"experiments/{run.experiment_id}/runs/{run.id}", f"/r/{run.id}"),
        (f"experiments/{run.experiment_id}", "/p/digits/runs?q=attributes.experiment+%3D+%27digits%27"),
        ("models/digits/versions/2", "/m/digits/v/2"),
        ("models/digits", "/m/digits"),
    ):
        page = reader.open(f"/#/{link}")
        expect(page).to_have_url(reader.site.url + path)
    expect(reader.open("/#main")).to_have_url(reader.site.url + "/#main")


def test_a_phone_shows_every_place_and_a_shadow_where_a_table_goes_on(reader: Reader) -> None:
    reader.page.set_viewport_size({"width": 390, "height": 844})
    page = reader.open("/m/digits/v/3")
    for link in page.locator("nav[aria-label=Main] a").all():
        expect(link).to_be_in_viewport(ratio=1)
    graph = page.locator(".graph").first
    assert graph.evaluate("e => e.scrollWidth > e.clientWidth")
    assert "scroll" in graph.evaluate("e => getComputedStyle(e).backgroundAttachment")
