"""Logs in pieces: whole lines, no escapes, nothing lost between two pieces, the first error found."""

import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from relive.core.run import RunStatus
from relive.hub.web.views import logs
from tests.support.seed import open_hub, seeder_of


@pytest.fixture(scope="module")
def hub(tmp_path_factory):
    config, services = open_hub(tmp_path_factory.mktemp("logs") / "hub")
    seeder = seeder_of(config, services, time.time())
    project = services.store.create_project("logs")
    yield services, seeder, project
    seeder.services.store.close()
    services.store.close()


def finished(hub, text: bytes):
    services, seeder, project = hub
    run = seeder.run(project, "done")
    services.store.set_run(run.id, log=services.blobs.put(text).digest, log_bytes=len(text))
    return services, services.store.get_run(run.id)


def live(hub, text: bytes):
    services, seeder, project = hub
    run = seeder.run(project, "live", RunStatus.RUNNING)
    services.store.append_log(run.id, text, offset=0)
    return services, run


def read_all(services, run) -> list[str]:
    at, found = 0, []
    for _ in range(1000):
        piece = logs.read_piece(services, run, at)
        found += [line.text for line in piece.lines]
        assert piece.start == at
        if piece.done or piece.next == at:
            return found
        at = piece.next
    raise AssertionError("it never ends")


@pytest.mark.parametrize(
    ("raw", "texts"),
    [
        (b"one\ntwo\n", ["one", "two"]),
        (b"one\n\nthree", ["one", "", "three"]),
        (b"", []),
        (b"\x1b[31mred\x1b[0m and \x1b[1;4mmore\x1b[m\n", ["red and more"]),
        (b"\x1b]0;title\x07shell\n", ["shell"]),
        (b"10%\r50%\r100%\n", ["100%"]),
        (b"windows\r\n", ["windows"]),
        (b"bell\x07 null\x00 tab\tkept\n", ["bell null tab\tkept"]),
        ("größe ✔\n".encode(), ["größe ✔"]),
        (b"\xff\xfe broken\n", ["\ufffd\ufffd broken"]),
    ],
)
def test_lines_are_for_people(raw, texts):
    assert [line.text for line in logs.lines_of(raw, 0)] == texts


def test_each_line_knows_where_it_begins():
    raw = b"first\n\x1b[1msecond\x1b[0m\nthird"
    assert [raw[line.at :].split(b"\n")[0] for line in logs.lines_of(raw, 0)] == raw.split(b"\n")


def test_a_line_of_a_megabyte_is_cut_and_says_so():
    (line,) = logs.lines_of(b"x" * 1_000_000 + b"\n", 0)
    assert len(line.text) < 2100
    assert line.text.endswith("(1000000 characters)")


@pytest.mark.parametrize(
    "line",
    [
        b"Traceback (most recent call last):",
        b"ValueError: no such column",
        b"torch.cuda.OutOfMemoryError: CUDA out of memory.",
        b"ERROR: could not build wheels",
        b"FAILED tests/test_data.py::test_split",
        b"E       AssertionError: 1 == 2",
        b"fatal: not a git repository",
        b"Killed",
    ],
)
def test_what_looks_like_an_error_is_one(line):
    (found,) = logs.lines_of(line + b"\n", 0)
    assert found.is_error


@pytest.mark.parametrize(
    "line",
    [b"val_error: 0.03", b"epoch 3 error 0.1", b"0 errors", b"error_rate 0.2", b"Exceptions are handled"],
)
def test_what_only_has_the_word_is_none(line):
    (found,) = logs.lines_of(line + b"\n", 0)
    assert not found.is_error


@settings(max_examples=25, deadline=None)
@given(
    st.lists(st.text(st.characters(codec="utf-8", exclude_categories=["Cc", "Cs"]), max_size=40), max_size=30)
)
def test_pieces_join_to_the_whole(hub, lines):
    text = "".join(f"{line}\n" for line in lines).encode()
    assert read_all(*finished(hub, text)) == lines
    assert read_all(*live(hub, text)) == lines


def test_a_log_larger_than_a_piece_is_read_on(hub):
    lines = [f"line {number:06d} of many" for number in range(20_000)]
    text = "".join(f"{line}\n" for line in lines).encode()
    assert len(text) > 3 * logs.PIECE
    assert read_all(*finished(hub, text)) == lines


def test_a_line_without_its_end_waits_while_the_run_goes_on(hub):
    services, run = live(hub, b"whole\nhal")
    piece = logs.read_piece(services, run, 0)
    assert ([line.text for line in piece.lines], piece.next, piece.done) == (["whole"], 6, False)
    services.store.append_log(run.id, b"f\n", offset=9)
    assert [line.text for line in logs.read_piece(services, run, piece.next).lines] == ["half"]


def test_a_line_longer_than_a_piece_does_not_stop_the_reader(hub):
    text = b"x" * (2 * logs.PIECE) + b"\nafter\n"
    found = read_all(*live(hub, text))
    assert found[-1] == "after"


@pytest.mark.parametrize("size", [0, 1, 2, 3, 4, 5, 1000, 70_000])
def test_the_length_of_a_live_log_is_found(hub, size):
    services, run = live(hub, b"a" * size)
    assert logs.log_length(services, run) == size


def test_the_tab_shows_the_end_and_finds_the_beginning_of_trouble(hub):
    quiet = b"".join(b"step %d is fine\n" % number for number in range(9_000))
    services, run = finished(hub, quiet + b"ValueError: broken\n" + quiet + b"last\n")
    tab = logs.get_logs(services, run.id)
    assert tab.piece.lines[-1].text == "last"
    assert tab.piece.start > 0
    assert tab.error_at == len(quiet)
    jumped = logs.get_logs(services, run.id, start=tab.error_at)
    assert jumped.piece.lines[0].text == "ValueError: broken"


def test_searching_gives_lines_and_where_they_are(hub):
    services, run = finished(hub, b"loss 2\nLoss 1\nother\n")
    tab = logs.get_logs(services, run.id, find="LOSS")
    assert [(hit.at, hit.text) for hit in tab.hits] == [(0, "loss 2"), (7, "Loss 1")]


def test_a_search_with_too_many_hits_ends(hub):
    services, run = finished(hub, b"same\n" * 5000)
    assert len(logs.get_logs(services, run.id, find="same").hits) == 200


def test_a_log_without_an_error_has_none(hub):
    services, run = finished(hub, b"all good\n" * 100)
    assert logs.get_logs(services, run.id).error_at == -1
