"""The words that are added to git's answer."""

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from relive.hub.git.pktline import Explainer, printed

FLUSH = b"0000"


def packet(content: bytes) -> bytes:
    return f"{len(content) + 4:04x}".encode() + content


def explain(text: str) -> str | None:
    return "because" if "too large" in text else None


def passed_on(pieces: list[bytes]) -> bytes:
    explainer = Explainer(explain)
    return b"".join([*(explainer.feed(piece) for piece in pieces), explainer.end()])


def cut(data: bytes, places: list[int]) -> list[bytes]:
    edges = [0, *sorted(place % (len(data) + 1) for place in places), len(data)]
    return [data[start:end] for start, end in pairwise(edges)]


packets = st.lists(
    st.one_of(st.just(FLUSH), st.binary(min_size=1, max_size=200).map(packet)), max_size=8
).map(b"".join)
places = st.lists(st.integers(min_value=0, max_value=10_000), max_size=10)


@given(before=packets, after=packets, places=places)
def test_an_explanation_stands_right_after_what_it_explains_however_the_bytes_are_cut(before, after, places):
    complaint = packet(b"\x02fatal: too large\n")
    answer = cut(before + complaint + after, places)
    assert passed_on(answer) == before + complaint + printed("because") + after


@given(data=packets, places=places)
def test_packets_that_need_no_word_pass_unchanged(data, places):
    assert passed_on(cut(data, places)) == data


@given(data=st.binary(max_size=300), places=places)
def test_what_is_no_packets_passes_whole(data, places):
    with_added_words = passed_on(cut(data, places))
    assert with_added_words.replace(printed("because"), b"") == data


@given(text=st.binary(max_size=100).map(lambda data: b"\x01 too large" + data))
def test_the_report_is_not_what_git_prints(text):
    assert passed_on([packet(text)]) == packet(text)


def test_it_explains_once():
    complaint = packet(b"\x02too large\n")
    assert passed_on([complaint, complaint]) == complaint + printed("because") + complaint


def test_a_client_that_asked_for_no_bands_gets_the_answer_as_it_is():
    report = packet(b"unpack ok\n") + packet(b"ok refs/heads/main\n") + FLUSH
    assert passed_on([report]) == report
