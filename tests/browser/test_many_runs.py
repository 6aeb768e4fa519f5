"""What is done with many runs at once: filters with conditions, columns, groups, views, ticked runs."""

import re
from urllib.parse import quote

import msgspec
from playwright.sync_api import Browser, expect

from tests.browser.conftest import Reader, reading
from tests.support.site import Site

RUNS = "/p/sentiment/runs"


def test_a_condition_narrows_and_every_row_fits_it(reader: Reader) -> None:
    page = reader.open(RUNS)
    page.locator("#q").fill("metrics.val/accuracy > 0.9 AND params.optimizer = 'adamw'")
    expect(page.locator("#table h2")).to_have_text(re.compile(r"^\d runs? of 64 match$"))
    page.goto(page.url + "&cols=metrics.val/accuracy,params.optimizer")
    rows = page.locator("tbody tr")
    for accuracy, optimizer in zip(
        rows.locator("td:nth-child(5)").all_inner_texts(),
        rows.locator("td:nth-child(6)").all_inner_texts(),
        strict=True,
    ):
        assert float(accuracy) > 0.9
        assert optimizer == "adamw"


def test_a_filter_that_is_not_finished_keeps_the_rows_and_marks_the_place(reader: Reader) -> None:
    page = reader.open(RUNS)
    page.locator("#q").fill("metrics.val/accuracy > 0.9 AND params.optimizer = adamw")
    expect(page.locator("#problem mark")).to_have_text("adamw")
    expect(page.locator("#problem")).to_contain_text("at character 51")
    assert page.locator("tbody tr").count() == 50
    assert "q=" not in page.url
    page.locator("#q").fill("metrics.val/accuracy > 0.9 AND params.optimizer = 'adamw'")
    expect(page.locator("#table h2")).to_contain_text("of 64 match")
    assert page.locator("#problem mark").count() == 0


def test_names_are_completed_with_the_keyboard(reader: Reader) -> None:
    page = reader.open(RUNS)
    box = page.locator("#q")
    box.press_sequentially("params.opt")
    expect(page.get_by_role("option")).to_have_text(["params.optimizer"])
    box.press("ArrowDown")
    expect(page.get_by_role("option")).to_have_attribute("aria-selected", "true")
    box.press("Enter")
    expect(box).to_have_value("params.optimizer ")
    box.press_sequentially("= 'sgd' AND accur")
    expect(page.get_by_role("option")).to_have_text(["metrics.val/accuracy"])
    page.get_by_role("option").click()
    expect(box).to_have_value("params.optimizer = 'sgd' AND metrics.val/accuracy ")
    box.press_sequentially("> 0.9")
    expect(page.locator("#table h2")).to_contain_text("of 64 match")


def test_a_column_is_found_by_name_and_shown_beside_the_others(reader: Reader) -> None:
    page = reader.open(RUNS)
    page.locator("summary", has_text="Columns").click()
    page.get_by_label("Find a column").fill("epo")
    box = page.locator("#choices input[value='params.epochs']")
    box.check()
    page.get_by_role("button", name="Show these").click()
    expect(page.locator("thead")).to_contain_text("epochs")
    assert "val/accuracy" in page.locator("thead").inner_text()


def test_the_table_sorts_by_a_param(reader: Reader) -> None:
    page = reader.open(f"{RUNS}?cols=params.optimizer")
    page.locator("th a", has_text="optimizer").click()
    expect(page.locator("th[aria-sort=ascending]")).to_contain_text("optimizer")
    values = page.locator("tbody td:nth-child(5)").all_inner_texts()
    assert values == sorted(values)


def test_groups_sum_a_metric_up_and_lead_to_their_runs(reader: Reader) -> None:
    page = reader.open(RUNS)
    page.locator("summary", has_text="Group").click()
    page.get_by_label("Group by a param").fill("params.optimizer")
    page.get_by_label("Mean, lowest").fill("metrics.val/accuracy")
    page.get_by_role("button", name="Group", exact=True).click()
    expect(page.locator("#table h2")).to_contain_text("3 groups")
    row = page.locator("tbody tr", has_text="lion")
    runs = row.locator("td").nth(1).inner_text()
    row.get_by_role("link").click()
    expect(page.locator("#table h2")).to_have_text(f"{runs} runs")
    expect(page.locator(".chips")).to_contain_text("params.optimizer = 'lion'")


def test_a_saved_view_is_shared_by_its_name_and_deleted(writer: Reader, browser: Browser) -> None:
    page = writer.open(f"{RUNS}?sort=-metrics.val/accuracy&q=" + quote("params.optimizer = 'sgd'"))
    before = page.locator("tbody td.main").all_inner_texts()
    page.locator("summary", has_text="Views").click()
    page.get_by_label("Save what is shown as").fill("best of sgd")
    page.get_by_role("button", name="Save", exact=True).click()
    expect(page.locator(".chips")).to_contain_text("view best of sgd")
    with reading(browser, writer.site) as colleague:
        shown = colleague.open("/p/sentiment/view?name=best%20of%20sgd")
        assert shown.locator("tbody td.main").all_inner_texts() == before
        shown.locator("th a", has_text="Run").click()
        expect(shown.locator(".chips")).to_contain_text("best of sgd, changed")
        shown.locator("summary", has_text="Views (1)").click()
        shown.get_by_role("button", name="Delete view best of sgd").click()
        expect(shown.locator("summary", has_text="Views")).to_have_text("Views")


def test_ticked_runs_are_tagged_deleted_and_restored(writer: Reader) -> None:
    page = writer.open(f"{RUNS}?sort=name")
    for key in "jxjx":
        page.keyboard.press(key)
    page.locator("summary", has_text="With the 2 ticked").click()
    page.get_by_label("Tag", exact=True).fill("team")
    page.get_by_label("Value", exact=True).fill("nlp")
    page.get_by_role("button", name="Set tag").click()
    expect(page.get_by_role("status")).to_contain_text("2 runs tagged")
    page.goto(f"{writer.site.url}{RUNS}?q=" + quote("tags.team = 'nlp'"))
    assert page.locator("tbody tr").count() == 2
    page.get_by_label("Select all on this page").check()
    page.on("dialog", lambda dialog: dialog.accept())
    page.locator("summary", has_text="With the 2 ticked").click()
    page.get_by_role("button", name="Delete", exact=True).click()
    expect(page.get_by_role("status")).to_contain_text("2 runs deleted")
    page.get_by_role("link", name="Deleted runs can be restored").click()
    assert sorted(page.locator("tbody td.main").all_inner_texts()) == ["bert-small-000", "bert-small-001"]
    page.get_by_label("Select bert-small-000").check()
    page.locator("summary", has_text="With the 1 ticked").click()
    page.get_by_role("button", name="Restore").click()
    expect(page.get_by_role("status")).to_contain_text("1 run restored")
    assert page.locator("tbody td.main").all_inner_texts() == ["bert-small-001"]


def test_without_scripts_runs_are_tagged_grouped_and_columns_found(browser: Browser, own_site: Site) -> None:
    with reading(browser, own_site, java_script_enabled=False) as plain:
        page = plain.open(f"{RUNS}?sort=name")
        page.get_by_label("Select bert-small-003").check()
        page.locator("summary", has_text="With the ticked").click()
        page.get_by_label("Tag", exact=True).fill("team")
        page.get_by_label("Value", exact=True).fill("nlp")
        page.get_by_role("button", name="Set tag").click()
        assert "1 run tagged" in page.get_by_role("status").inner_text()
        assert "sort=name" in page.url
        page.locator("summary", has_text="Columns").click()
        page.get_by_label("Find a column").fill("team")
        page.get_by_role("button", name="Find").click()
        page.locator("summary", has_text="Columns").click()
        page.locator("#choices input[value='tags.team']").check()
        page.get_by_role("button", name="Show these").click()
        assert "team" in page.locator("thead").inner_text()


def test_a_note_is_written_shown_and_stands_in_the_table(writer: Reader) -> None:
    page = writer.open(f"/r/{writer.site.run('bert-small-001', 'sentiment')}")
    page.get_by_text("Write a note").click()
    page.get_by_label("In Markdown").fill("# Best so far\n\n**bold** <script>alert(1)</script>")
    page.get_by_role("button", name="Save the note").click()
    expect(page.locator(".note strong")).to_have_text("bold")
    expect(page.locator(".note")).to_contain_text("<script>alert(1)</script>")
    page.goto(f"{writer.site.url}{RUNS}?sort=name")
    expect(page.locator("tbody tr", has_text="bert-small-001")).to_contain_text("Best so far")


def test_a_new_run_is_told_of_and_moves_nothing(writer: Reader) -> None:
    page = writer.open(RUNS)
    first = page.locator("tbody td.main").first.inner_text()
    store = writer.site.services.store
    old = store.get_run(writer.site.run("bert-small-000", "sentiment"))
    store.create_run(msgspec.structs.replace(old, id="e" * 32, name="newest", created_at=store.now()))
    link = page.get_by_role("link", name="1 new run: show")
    expect(link).to_be_visible()
    assert page.locator("tbody td.main").first.inner_text() == first
    link.click()
    expect(page.locator("tbody td.main").first).to_have_text("newest")


def test_fifty_runs_are_compared(reader: Reader) -> None:
    store = reader.site.services.store
    runs = store.list_runs(project_id=store.get_project("sentiment").id, limit=50)
    page = reader.open(f"/p/sentiment/compare?runs={','.join(run.id for run in runs)}")
    expect(page.locator("h1")).to_have_text("Compare 50 runs")
    expect(page.locator(".plot canvas").first).to_be_visible()
    assert page.locator(".plane path").count() == 50
    page.locator("tr[data-run='3'] a").first.hover()
    expect(page.locator(".plane path.lit")).to_have_attribute("data-line", "3")
    page.locator("select[name=sx]").select_option("params.lr")
    page.get_by_role("button", name="Show", exact=True).click()
    expect(page.get_by_role("group", name="metrics.train/loss by params.lr")).to_be_visible()
    assert "sx=params.lr" in page.url


def test_how_charts_are_drawn_is_part_of_the_address(reader: Reader, browser: Browser) -> None:
    page = reader.open(f"/r/{reader.site.run('bert-small-001', 'sentiment')}/charts")
    expect(page.locator(".plot canvas").first).to_be_visible()
    page.get_by_label("Along").select_option("relative")
    page.get_by_label("log x").check()
    page.locator(".plot").first.focus()
    page.keyboard.press("End")
    expect(page.locator(".read").first).to_contain_text("s:")
    assert "x=relative" in page.url
    assert "logx=1" in page.url
    address = page.url.removeprefix(reader.site.url)
    with reading(browser, reader.site) as colleague:
        shown = colleague.open(address)
        expect(shown.get_by_label("Along")).to_have_value("relative")
        expect(shown.get_by_label("log x")).to_be_checked()
