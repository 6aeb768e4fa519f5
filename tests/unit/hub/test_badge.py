"""The badge of a model: drawn from its last verdict, and seen by who may, or has its address."""

from collections.abc import Iterator
from xml.etree import ElementTree as ET

import pytest

from relive.core.trajectory import StepWindow, Verdict, VerdictLevel
from relive.hub.web import badge
from relive.hub.web.marks import VERDICTS, Mark
from tests.support.bench import Bench, open_bench, quick_folder
from tests.support.live import LiveHub, served

PATH = "/api/v1/models/digits/badge.svg"


@pytest.fixture(scope="module")
def bench() -> Iterator[Bench]:
    """A hub with one model version."""
    with quick_folder() as folder, open_bench(folder) as made:
        version = made.version()
        made.services.store.set_alias(version.model, "champion", version.version, by="ada")
        yield made


@pytest.fixture(scope="module")
def live(bench: Bench) -> Iterator[LiveHub]:
    with served(bench.services) as hub:
        yield hub


def judged(bench: Bench, level: VerdictLevel, **fields: object) -> None:
    run_id = bench.services.store.get_version("digits", "champion").run_id
    bench.services.store.record_verdict(Verdict(level=level, run_id=run_id, **fields))  # type: ignore[arg-type]


def words(svg: bytes) -> str:
    """Read a badge as a screen reader does; fails unless it is well-formed."""
    root = ET.fromstring(svg)
    assert root.tag == "{http://www.w3.org/2000/svg}svg"
    return str(root.attrib["aria-label"])


def test_it_shows_the_last_verdict_on_the_champion(bench: Bench, live: LiveHub) -> None:
    assert words(live.ask("GET", PATH).body) == "replay: never"
    judged(bench, VerdictLevel.DIVERGED)
    assert words(live.ask("GET", PATH).body) == "replay: diverged"
    judged(bench, VerdictLevel.BIT_EXACT)
    answer = live.ask("GET", PATH)
    assert words(answer.body) == "replay: bit-exact"
    assert answer.headers["content-type"].startswith("image/svg+xml")
    judged(bench, VerdictLevel.DIVERGED, window=StepWindow(first=0, last=3))
    assert words(live.ask("GET", PATH).body) == "replay: bit-exact"
    assert words(live.ask("GET", f"{PATH}?ref=1").body) == "replay: bit-exact"
    assert words(live.ask("GET", f"{PATH}?ref=none").body) == "replay: no version"


def test_its_address_opens_this_picture_and_no_other(bench: Bench, live: LiveHub) -> None:
    path = badge.address(bench.services, "digits").removeprefix("http://hub")
    assert live.ask("GET", path, token="").status == 200
    assert live.ask("GET", path.replace("badge.svg", ""), token="").status == 401
    other = badge.address(bench.services, "other").removeprefix("http://hub").replace("/other/", "/digits/")
    for wrong in (PATH, other, f"{PATH}?key=x", path[:-9] + "AAAAA" + path[-4:]):
        assert live.ask("GET", wrong, token="").status in (401, 403), wrong


def test_the_page_and_the_api_of_a_model_tell_the_same(bench: Bench, live: LiveHub) -> None:
    judged(bench, VerdictLevel.WITHIN_TOLERANCE, reason="Near enough.")
    told = live.ask("GET", "/api/v1/models/digits").json["verdicts"]["1"]
    assert (told["level"], told["reason"]) == ("within_tolerance", "Near enough.")
    page = live.ask("GET", "/m/digits").body.decode()
    assert "within tolerance" in page
    assert "badge.svg?key=" in page


@pytest.mark.parametrize("mark", [*VERDICTS.values(), Mark("<", 'a "b" & c', "busy")])
def test_every_word_fits_and_none_is_markup(mark: Mark) -> None:
    drawn = badge.draw(mark)
    root = ET.fromstring(drawn)
    assert words(drawn.encode()) == f"replay: {mark.word}"
    said = f"{mark.glyph} {mark.word}"
    assert said in [text.text for text in root.iter("{http://www.w3.org/2000/svg}text")]
    # Verdana's letters are at most that wide on average in words.
    assert float(root.attrib["width"]) >= 6.2 * len(f"replay{said}")
