"""The table of runs: its whole state is the address, so that nothing is lost and everything can be shared."""

import re

from playwright.sync_api import Browser, Page, expect

from tests.browser.conftest import Reader, reading
from tests.support.site import Site


def names(page: Page) -> list[str]:
    """Give the names of the shown runs."""
    return page.locator("tbody td.main").all_inner_texts()


def statuses(page: Page) -> set[str]:
    """Give the words of the shown statuses, without their glyphs."""
    return {text.split()[-1] for text in page.locator("tbody td:nth-child(3)").all_inner_texts()}


def test_sorting_keeps_the_filter_and_the_columns(reader: Reader) -> None:
    page = reader.open("/p/sentiment/runs?q=status:finished&cols=metrics.val/accuracy,params.lr")
    page.locator("th a", has_text="val/accuracy").click()
    expect(page.locator("th[aria-sort=descending]")).to_have_text("val/accuracy ↓")
    assert page.locator("#q").input_value() == "status:finished"
    assert page.locator("thead th").all_inner_texts()[4:6] == ["val/accuracy ↓", "lr"]
    values = [float(text) for text in page.locator("tbody td:nth-child(5)").all_inner_texts()]
    assert values == sorted(values, reverse=True)
    assert statuses(page) == {"finished"}


def test_filtering_while_typing_keeps_the_order_and_moves_the_address(reader: Reader) -> None:
    page = reader.open("/p/sentiment/runs?sort=-metrics.val/loss")
    page.locator("#q").fill("status:failed")
    expect(page.locator("#table h2")).to_have_text(re.compile(r"^4 runs of 64 match$"))
    expect(page).to_have_url(re.compile(r"q=status%3Afailed|q=status:failed"))
    assert "sort=-metrics.val" in page.url
    assert statuses(page) == {"failed"}
    assert page.locator("th[aria-sort=descending]").inner_text().startswith("val/loss")


def test_back_gives_the_table_as_it_was(reader: Reader) -> None:
    page = reader.open("/p/sentiment/runs")
    before = names(page)
    page.locator("#q").fill("status:failed")
    expect(page.locator("tbody tr")).to_have_count(4)
    page.go_back()
    expect(page.locator("tbody tr")).to_have_count(50)
    assert names(page) == before
    assert page.locator("#q").input_value() == ""


def test_the_second_page_follows_the_first_without_overlap(reader: Reader) -> None:
    page = reader.open("/p/sentiment/runs")
    first = names(page)
    page.get_by_role("link", name="Next page").click()
    expect(page.locator(".pager")).to_contain_text("51 to 64 of 64")
    second = names(page)
    assert len(first) == 50
    assert len({*first, *second}) == 64


def test_columns_are_chosen_and_stay_in_the_address(reader: Reader) -> None:
    page = reader.open("/p/sentiment/runs?q=status:finished")
    page.locator("summary", has_text="Columns").click()
    for box in reversed(page.locator("#columns input:checked").all()):
        box.uncheck()
    page.locator("#columns input[value='params.seed']").check()
    page.get_by_role("button", name="Show these").click()
    expect(page.locator("thead th").nth(4)).to_have_text("seed")
    assert page.locator("thead th").count() == 8
    assert "q=status" in page.url
    # A seed is a whole number and shown with every digit.
    assert re.fullmatch(r"5000\d\d", page.locator("tbody td:nth-child(5)").first.inner_text())


def test_three_runs_are_compared_with_seven_keys(reader: Reader) -> None:
    page = reader.open("/p/sentiment/runs?sort=name")
    for key in "jxjxjx":
        page.keyboard.press(key)
    expect(page.locator("#compare")).to_have_text("Compare 3")
    page.keyboard.press("c")
    expect(page.locator("h1")).to_have_text("Compare 3 runs")
    shown = page.locator("section:has(h2:text('Metrics')) td.main").all_inner_texts()
    assert shown == ["bert-small-000", "bert-small-001", "bert-small-002"]


def test_what_is_ticked_survives_sorting_paging_and_a_copied_link(
    reader: Reader, browser: Browser, full_site: Site
) -> None:
    page = reader.open("/p/sentiment/runs?sort=name")
    page.get_by_label("Select bert-small-000").check()
    page.get_by_role("link", name="Next page").click()
    page.get_by_label("Select bert-small-063").check()
    page.locator("th a", has_text="Run").click()
    expect(page.get_by_label("Select bert-small-063")).to_be_checked()
    expect(page.locator("#compare")).to_have_text("Compare 2")
    address = page.url.removeprefix(full_site.url)
    with reading(browser, full_site) as colleague:
        colleague.open(address)
        expect(colleague.page.locator("#compare")).to_have_text("Compare 2")
        colleague.page.locator("#compare").click()
        expect(colleague.page.locator("h1")).to_have_text("Compare 2 runs")


def test_the_address_of_a_plain_view_is_short(reader: Reader) -> None:
    page = reader.open("/p/sentiment/runs")
    page.locator("#q").fill("status:finished bert")
    expect(page).to_have_url(re.compile("bert"))
    page.locator("th a", has_text="val/accuracy").click()
    expect(page.locator("th[aria-sort]")).to_contain_text("val/accuracy")
    assert len(page.url) < 500


def test_a_filter_that_cannot_be_read_says_what_it_could_be(reader: Reader) -> None:
    page = reader.open("/p/sentiment/runs?q=status:done")
    expect(page.get_by_role("alert")).to_contain_text("finished")


def test_without_scripts_the_table_sorts_filters_and_compares(browser: Browser, full_site: Site) -> None:
    with reading(browser, full_site, java_script_enabled=False) as plain:
        page = plain.open("/p/sentiment/runs")
        page.locator("#q").fill("status:failed")
        page.get_by_role("button", name="Filter").click()
        assert page.locator("tbody tr").count() == 4
        page.locator("th a", has_text="Run").click()
        assert page.locator("#q").input_value() == "status:failed"
        for box in page.locator("input[name=runs]").all()[:2]:
            box.check()
        page.locator("#compare").click()
        assert page.locator("h1").inner_text() == "Compare 2 runs"
        # Without curves the numbers are there all the same.
        assert page.locator("section:has(h2:text('Metrics')) tbody tr").count() == 2


def test_only_what_differs_is_compared_until_all_is_asked_for(reader: Reader) -> None:
    store = reader.site.services.store
    runs = store.list_runs(project_id=store.get_project("sentiment").id, limit=2)
    page = reader.open(f"/p/sentiment/compare?runs={runs[0].id},{runs[1].id}")
    params = page.locator("section:has(h2:text('Params'))")
    assert "epochs" not in params.locator("thead").inner_text()
    assert "seed" in params.locator("thead").inner_text()
    page.get_by_role("link", name="Show what is equal too").click()
    expect(params.locator("thead")).to_contain_text("epochs")
