"""`relive traces`: what a person sees of an application's requests."""

import re
import time

import pytest

from relive.core.trace import Trace
from tests.support.bench import Bench
from tests.support.seed_traces import ANSWERED, tell_traces
from tests.unit.cli.conftest import Shell


@pytest.fixture
def told(bench: Bench) -> Bench:
    """Three traces of the project digits, and one of another."""
    store = bench.services.store
    tell_traces(store, store.ensure_experiment(bench.project.id, "chat").id, now=time.time())
    other = bench.services.store.get_run(bench.by_hand(project="other").run_id)
    store.create_trace(Trace(id="tr-other", experiment_id=other.experiment_id, started_ms=1))
    return bench


def test_nothing_to_list_says_so(relive: Shell) -> None:
    assert relive("traces", "list").out == "No traces yet: applications send them.\n"
    assert relive("traces", "list", "--filter", "status = 'ERROR'").out == "No traces.\n"
    assert "no trace 'tr-none'" in relive("traces", "show", "tr-none", code=1).err


def test_traces_are_listed_newest_first(relive: Shell, told: Bench) -> None:
    lines = relive("traces", "list", "--project", "digits").lines
    assert " ".join(lines[0].split()) == "TRACE NAME STATUS TOOK TOKENS SPANS SAID REQUEST STARTED"
    assert len(lines) == 4
    (answered,) = (line for line in lines if line.startswith(ANSWERED))
    assert re.search(r"answer +● ok +420 ms +138 +3 +answer: seven, correct: true", answered)
    assert "Which digit is this?" in answered
    assert "tr-other" in relive("traces", "list").out


def test_traces_are_narrowed(relive: Shell, told: Bench) -> None:
    def ids(*args: str) -> list[str]:
        return [item["trace"]["id"] for item in relive("traces", "list", "--json", *args).json]

    assert ids("--project", "other") == ["tr-other"]
    assert ids("--experiment", "chat", "--filter", "feedback.correct = 'true'") == [ANSWERED]
    assert len(ids("--limit", "1")) == 1
    assert "no experiment 'none'" in relive("traces", "list", "--experiment", "none", code=1).err
    assert "no project 'none'" in relive("traces", "list", "--project", "none", code=1).err
    wrong = relive("traces", "list", "--filter", "state = 'ERROR'", code=2)
    assert "state" in wrong.err


def test_a_trace_is_shown_with_the_tree_of_its_spans(relive: Shell, told: Bench) -> None:
    said = relive("traces", "show", ANSWERED)
    assert said.lines[0] == f"answer {ANSWERED}"
    assert "in         digits, experiment chat" in said.lines
    assert "tokens     138" in said.lines
    assert "cost       0.0004" in said.lines
    spans = [line for line in said.lines if re.match(r" *(answer|find documents|ask model) ", line)]
    assert [line[:8].rstrip() for line in spans[1:4]] == ["answer", "  find d", "  ask mo"]
    assert re.search(r"^correct +feedback +true +human ada +It has a bar\.$", said.out, re.MULTILINE)
    assert said.lines[-1].endswith(f"/p/digits/traces/{ANSWERED}")
    detail = relive("traces", "show", ANSWERED, "--json").json
    assert [span["name"] for span in detail["spans"]] == ["answer", "find documents", "ask model"]
    assert detail["item"]["tags"]["channel"] == "web"


def test_what_a_trace_says_moves_no_cursor(relive: Shell, told: Bench) -> None:
    told.services.store.set_trace("tr-other", request_preview="\x1b[2Jgone [bold]\nand on")
    for said in (relive("traces", "list"), relive("traces", "show", "tr-other")):
        assert "\x1b" not in said.out
        assert "gone [bold] and on" in said.out
