"""What was logged to be looked at: read from an index, or from names, whatever stands there."""

import json

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from relive.hub.web.medianames import INDEX, is_picture
from relive.hub.web.views.media import _bars, _Entry, _read_index, get_media


@pytest.fixture(scope="module")
def run_id(site):
    """The run of the story that logged everything."""
    return site.run("cells #1", "vision")


def test_everything_is_shown_at_its_newest_step(services, run_id):
    tab = get_media(services, run_id)
    shown = {series.name: series for series in tab.series}
    assert list(shown) == ["attention/map", "beep", "predictions", "samples", "summary", "weights"]
    samples = shown["samples"]
    assert (samples.step, samples.earlier, samples.later, samples.place, samples.steps) == (
        20,
        10,
        None,
        3,
        3,
    )
    assert samples.items[0].caption == "sample 0, predicted 6"
    kinds = {name: series.items[0].kind for name, series in shown.items()}
    assert kinds == {
        "attention/map": "image",
        "beep": "audio",
        "predictions": "table",
        "samples": "image",
        "summary": "text",
        "weights": "histogram",
    }
    table = shown["predictions"].items[0]
    assert table.look is not None
    assert table.look.header == ("file", "label", "score")
    assert (len(table.look.rows), table.note) == (50, "The first 50 rows are shown.")
    assert len(shown["weights"].items[0].bars) == 32
    assert "2 left out" in shown["weights"].items[0].note


def test_an_earlier_step_is_looked_at(services, run_id):
    tab = get_media(services, run_id, step=7)
    steps = {series.name: series.step for series in tab.series}
    # What begins later is shown at its first step.
    assert steps == {
        "attention/map": 5,
        "beep": 20,
        "predictions": 20,
        "samples": 0,
        "summary": 20,
        "weights": 20,
    }
    assert [series.name for series in get_media(services, run_id, find="AMP").series] == ["samples"]
    assert [series.name for series in get_media(services, run_id, first=4).series] == ["summary", "weights"]


def test_the_tab_is_there_where_there_is_media(site, run_id):
    assert b"/media" in site.get(f"/r/{run_id}").data
    assert b"/media" not in site.get(f"/r/{site.run('train #6', 'digits')}").data


def test_sound_is_sent_as_sound_and_no_text_is(site, run_id):
    sound = site.get(f"/r/{run_id}/file?path=relive.media/beep-20.wav")
    assert sound.headers["content-type"] == "audio/wav"
    assert "content-disposition" not in sound.headers
    text = site.get(f"/r/{run_id}/file?path=relive.media/summary-20.txt")
    assert text.headers["content-type"] == "application/octet-stream"
    assert text.headers["content-disposition"] == "attachment"


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=6), inner, max_size=4),
    max_leaves=8,
)
_LINE = st.fixed_dictionaries(
    {},
    optional=dict.fromkeys(("name", "step", "kind", "at", "n", "caption", "file", "counts", "edges"), _JSON),
)


@given(st.lists(_LINE.map(json.dumps) | st.text(max_size=20), max_size=5))
def test_an_index_of_nonsense_is_read_as_far_as_it_makes_sense(lines):
    text = "\n".join(lines).encode("utf-8", "surrogatepass")
    for entry in _read_index(text, "relive.media"):
        assert entry.file == "" or entry.file.startswith("relive.media/")
        assert all(0 <= bar.height <= 90 for bar in _bars(entry))


@given(st.lists(st.floats(), max_size=6), st.lists(st.floats(), max_size=7))
@example([0.0, 1.0], [-5.9923104495410534e305, 0.0, 0.0])
def test_a_histogram_of_nonsense_draws_nothing_outside(counts, edges):
    for bar in _bars(_Entry("a", 0, "histogram", counts=counts, edges=sorted(edges))):
        assert 0 <= bar.height <= 90
        assert 0 <= bar.x <= 301


def test_files_of_an_index_stay_in_its_folder():
    line = json.dumps({"name": "a", "step": 0, "kind": "image", "file": "../../secrets/x.png"})
    assert [entry.file for entry in _read_index(line.encode(), "relive.media")] == ["relive.media/x.png"]


def test_names_of_media_are_told_from_others():
    assert INDEX.match("relive.media/index-12.jsonl")
    assert not INDEX.match("other/index-12.jsonl")
    assert is_picture("images/dog+step+3+timestamp+1700000000000+0f-1.png")
    assert is_picture("images/dog%step%3%timestamp%1700000000000%0f-1.png")
    assert not is_picture("images/dog+step+3+timestamp+1700000000000+0f-1+compressed.webp")
    assert not is_picture("images/dog.png")
