"""What changes while it is looked at: stages, logs, the activity page; and what a reader asks of the hub."""

import re

from playwright.sync_api import Browser, expect

from relive.core.pipeline import StageStatus
from relive.core.run import Metric, RunStatus
from relive.services.context import Services
from tests.browser.conftest import Reader, reading
from tests.support.site import Site


def running(services: Services) -> tuple[str, str]:
    """Give the ids of the story's running stage and its run."""
    project = services.store.get_project("digits")
    pipeline = services.store.find_pipeline(project.id, 7)
    assert pipeline is not None
    stage = next(s for s in services.store.list_stages(pipeline.id) if s.key == "train")
    return stage.id, stage.run_id


def test_a_stage_that_ends_is_shown_without_a_reload(writer: Reader) -> None:
    page = writer.open("/p/digits/pipelines/7")
    row = page.locator("#stages tr", has_text="train")
    expect(row).to_contain_text("running")
    page.evaluate("window.stillTheSamePage = true")
    page.get_by_text("why", exact=False).first.wait_for(state="attached")
    stage, _ = running(writer.site.services)
    store = writer.site.services.store
    store.set_stage(stage, status=StageStatus.SUCCEEDED, reason="accuracy 0.97", ended_at=store.now())
    expect(row).to_contain_text("passed")
    expect(row).to_contain_text("accuracy 0.97")
    expect(page.locator(".graph a", has_text="train")).to_have_class("n-good")
    assert page.evaluate("window.stillTheSamePage")


def test_news_does_not_close_what_a_reader_opened(writer: Reader) -> None:
    page = writer.open("/p/digits/pipelines/7")
    menu = page.locator("details.menu")
    menu.locator("summary").click()
    stage, _ = running(writer.site.services)
    writer.site.services.store.set_stage(stage, reason="epoch 30 of 40")
    expect(page.locator("#stages")).to_contain_text("epoch 30 of 40")
    assert menu.get_attribute("open") is not None


def test_a_page_without_news_asks_for_little_and_gets_nothing(writer: Reader) -> None:
    site = writer.site
    answer = site.get("/p/digits/pipelines/7")
    found = re.search(rb"seen=([0-9a-f]+)", answer.data)
    assert found is not None
    seen = found.group(1).decode()
    quiet = site.get(f"/p/digits/pipelines/7?seen={seen}", hx_request="true")
    assert (quiet.status, quiet.data) == (204, b"")
    # A person who opens that address still gets the page.
    assert site.get(f"/p/digits/pipelines/7?seen={seen}").status == 200


def test_a_finished_pipeline_asks_for_nothing_at_all(reader: Reader) -> None:
    page = reader.open("/p/digits/pipelines/1")
    page.wait_for_load_state("networkidle")
    reader.requests.clear()
    page.wait_for_timeout(4000)
    assert reader.requests == []


def test_new_lines_of_a_log_appear_and_the_end_is_said(writer: Reader) -> None:
    store = writer.site.services.store
    _, run_id = running(writer.site.services)
    page = writer.open(f"/r/{run_id}/logs")
    log = page.get_by_role("log")
    expect(log).to_contain_text("epoch  25")
    start = len(store.read_log(run_id))
    store.append_log(run_id, b"epoch  26  <b>not bold</b>\nTraceback (most recent call last)\n", offset=start)
    expect(log).to_contain_text("epoch  26  <b>not bold</b>")
    expect(log.locator("p.err")).to_have_text("Traceback (most recent call last)")
    store.set_run(run_id, status=RunStatus.FAILED, ended_at=store.now())
    expect(page.get_by_role("status")).to_have_text("ended: failed")


def test_a_flood_of_lines_keeps_the_page_small(writer: Reader) -> None:
    store = writer.site.services.store
    _, run_id = running(writer.site.services)
    page = writer.open(f"/r/{run_id}/logs")
    flood = b"".join(b"line %06d of a flood\n" % number for number in range(10_000))
    store.append_log(run_id, flood, offset=len(store.read_log(run_id)))
    expect(page.get_by_role("log")).to_contain_text("line 009999 of a flood")
    assert page.locator(".log p").count() < 5000
    # The newest line is in sight, because the reader follows.
    assert (
        page.evaluate(
            "(() => { const log = document.querySelector('.log');"
            " return log.scrollHeight - log.scrollTop - log.clientHeight; })()"
        )
        < 60
    )


def test_cancelling_asks_the_hub_and_shows_it(writer: Reader) -> None:
    page = writer.open("/p/digits/pipelines/7")
    page.get_by_role("button", name="Cancel").click()
    expect(page.locator("#stages tr", has_text="deploy")).to_contain_text("cancelled")


def test_running_again_from_a_stage_leads_to_the_plan(writer: Reader) -> None:
    page = writer.open("/p/digits/pipelines/6")
    page.locator("summary", has_text="Run again from").click()
    page.locator("select[name=from_stage]").select_option("train")
    page.get_by_role("button", name="Run", exact=True).click()
    expect(page.locator("h1")).to_contain_text("Planning")
    jobs = writer.site.services.store.list_jobs(limit=100)
    assert any(job.payload.get("from_stage") == "train" for job in jobs)


def test_a_rollback_moves_the_traffic_and_the_alias(writer: Reader) -> None:
    page = writer.open("/e/digits")
    page.get_by_role("button", name="Roll back to digits v2").click()
    expect(page.locator("tr", has_text="digits v2").first).to_contain_text("live")
    store = writer.site.services.store
    assert store.get_version("digits", "champion").version == 2
    expect(page.locator("tr", has_text="digits v3").first).to_contain_text("rolled back from")
    expect(page.locator("#use")).to_contain_text("relive deploy digits@3 digits")
    expect(page.get_by_role("button", name="Roll back to")).to_have_count(0)
    page.goto(writer.site.url + "/")
    expect(page.locator(".feed")).to_contain_text("went back to revision 2")


def test_an_alias_is_moved_by_hand(writer: Reader) -> None:
    page = writer.open("/m/digits")
    page.locator("summary", has_text="Point an alias").click()
    page.locator("input[name=alias]").fill("shadow")
    page.locator("select[name=version]").select_option("1")
    page.get_by_role("button", name="Move").click()
    expect(page.locator("h1")).to_contain_text("★ shadow")


def test_a_token_is_shown_once_and_can_be_revoked(writer: Reader) -> None:
    page = writer.open("/settings/tokens")
    page.locator("input[name=label]").fill("cluster of Ben")
    page.get_by_role("button", name="Create token").click()
    shown = page.locator("[role=status] pre").inner_text()
    assert shown.startswith("rlv_")
    answer = writer.site.ask("GET", "/api/v1/info", authorization=f"Bearer {shown}")
    assert answer.status == 200
    page.goto(writer.site.url + "/settings/tokens")
    assert shown not in page.content()
    page.get_by_role("button", name="Revoke token cluster of Ben").click()
    expect(page.locator("table")).not_to_contain_text("cluster of Ben")
    assert writer.site.ask("GET", "/api/v1/info", authorization=f"Bearer {shown}").status == 401


def test_a_login_link_opens_one_session_and_logging_out_ends_it(browser: Browser, own_site: Site) -> None:
    link = own_site.login_link().removeprefix(own_site.url)
    with reading(browser, own_site, logged_in=False) as person:
        page = person.open("/projects")
        expect(page.locator("h1")).to_have_text("Log in")
        page = person.open(link)
        expect(page.locator("h1")).to_have_text("Activity")
        cookie = page.context.cookies()[0]
        assert (cookie["httpOnly"], cookie["sameSite"], cookie["secure"]) == (True, "Lax", False)
        page.locator("details.menu summary").click()
        page.get_by_role("button", name="Log out").click()
        expect(page.locator("h1")).to_have_text("Log in")
        assert page.context.cookies() == []
    # The session is over on the hub as well, not only forgotten by the browser.
    ended = own_site.ask("GET", "/projects", accept="text/html", cookie=f"{cookie['name']}={cookie['value']}")
    assert (ended.status, ended.headers["location"]) == (303, "/login")
    with reading(browser, own_site, logged_in=False) as other:
        page = other.open(link)
        expect(page.get_by_role("alert")).to_contain_text("Links work once")


def test_a_request_to_an_endpoint_shows_what_it_answers(reader: Reader) -> None:
    page = reader.open("/e/digits")
    assert '"input-0"' in page.locator("textarea").input_value()
    page.get_by_role("button", name="Send").click()
    # No model process runs behind this story: the router's own word is shown.
    expect(page.locator("[data-took]")).to_contain_text("HTTP 503")
    expect(page.locator("[data-answer]")).to_contain_text("error")
    page.locator("textarea").fill("{broken")
    page.get_by_role("button", name="Send").click()
    expect(page.locator("[data-took]")).to_have_text("not sent")


def test_a_run_that_goes_on_shows_new_numbers_and_its_end(writer: Reader) -> None:
    store = writer.site.services.store
    _, run_id = running(writer.site.services)
    page = writer.open(f"/r/{run_id}")
    page.evaluate("window.stillTheSamePage = true")
    expect(page.locator(".plot canvas")).to_be_visible()
    store.record_metrics(run_id, [Metric("val/accuracy", 0.875, step) for step in range(2)])
    expect(page.locator(".tile", has_text="val/accuracy")).to_contain_text("0.875")
    store.set_run(run_id, status=RunStatus.FINISHED, ended_at=store.now())
    expect(page.locator("#run-head h1")).to_contain_text("finished")
    assert page.evaluate("window.stillTheSamePage")
