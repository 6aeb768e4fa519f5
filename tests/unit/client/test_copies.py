"""What a hub says names no folder outside the one that is written to."""

from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from relive.client import copies
from relive.client.copies import Blobs, Copied, bring_copies, write_copies
from relive.core.evaluation import EvaluationDataset, EvaluationRecord
from relive.core.trace import Span, Trace
from relive.errors import InvalidInput
from relive.wire.copies import Brought, EvaluationCopy, TraceCopy, TraceFile


class Hub:
    """A hub that says what it is told to, and remembers what it is brought."""

    def __init__(self, *, dataset: str = "", digest: str = "") -> None:
        self.dataset = dataset
        self.digest = digest
        self.traces: list[TraceCopy] = []
        self.records: list[EvaluationRecord] = []
        self.messages: list[Sequence[TraceCopy]] = []
        self.sent: list[Sequence[EvaluationRecord]] = []

    def each_trace_copy(self, _project: str) -> Iterator[TraceCopy]:
        yield from self.traces
        if self.digest:
            file = TraceFile(path="a.png", digest=self.digest, size_bytes=1)
            yield TraceCopy(
                trace=Trace(id="tr-1", experiment_id="e", started_ms=1), experiment="chat", files=(file,)
            )

    def bring_traces(self, _project: str, traces: Sequence[TraceCopy]) -> Brought:
        self.messages.append(traces)
        return Brought(new=len(traces))

    def list_evaluation_copies(self, _project: str) -> list[EvaluationCopy]:
        made = EvaluationDataset(id=self.dataset, project_id="p", name="n", digest="x")
        return [] if self.digest else [EvaluationCopy(dataset=made)]

    def each_evaluation_record(self, _dataset_id: str) -> Iterator[EvaluationRecord]:
        return iter(self.records)

    def bring_evaluation(self, _project: str, _copy: EvaluationCopy) -> Brought:
        return Brought(new=1)

    def bring_records(self, _dataset_id: str, records: Sequence[EvaluationRecord]) -> None:
        self.sent.append(records)

    @property
    def blobs(self) -> Blobs:
        return Bytes()


class Bytes:
    """Blobs of one byte each."""

    def get_bytes(self, _digest: str) -> bytes:
        return b"7"

    def put_bytes(self, data: bytes) -> str:
        # Copies are read here only: a call would be a defect of what is tested.
        raise NotImplementedError(data)


@pytest.mark.parametrize("id_", ["../../precious", "..", ".", "", "/precious", "a/../../../precious"])
def test_a_data_set_replaces_no_folder_elsewhere(tmp_path: Path, id_: str) -> None:
    precious = tmp_path / "precious" / "file"
    precious.parent.mkdir()
    precious.write_text("kept")
    with pytest.raises(InvalidInput, match="evaluation data set name"):
        write_copies(Hub(dataset=id_), "digits", tmp_path / "out")
    assert precious.read_text() == "kept"
    assert [path.name for path in tmp_path.iterdir()] == ["precious"]


def test_an_ordinary_one_is_written(tmp_path: Path) -> None:
    id_ = "d-" + "1" * 32
    assert write_copies(Hub(dataset=id_), "digits", tmp_path) == Copied(datasets=1)
    assert sorted(path.name for path in (tmp_path / "evaluation" / id_).iterdir()) == [
        "dataset.json",
        "records.parquet",
    ]


@pytest.mark.parametrize("digest", ["../../x", "blake3:../x", "blake3:", "/x"])
def test_what_is_no_digest_names_no_file(tmp_path: Path, digest: str) -> None:
    with pytest.raises(InvalidInput, match="file of a trace"):
        write_copies(Hub(digest=digest), "digits", tmp_path / "out")
    assert not (tmp_path / "x").exists()
    assert not list(tmp_path.rglob("*.parquet"))


def a_trace(number: int, *sizes: int) -> TraceCopy:
    """Make a trace whose spans have so many letters."""
    trace = Trace(id=f"tr-{number}", experiment_id="e", started_ms=1)
    spans = tuple(
        Span(trace_id=trace.id, id=f"{n:016x}", started_ns=n, content="x" * size)
        for n, size in enumerate(sizes)
    )
    return TraceCopy(trace=trace, experiment="chat", spans=spans)


@pytest.mark.parametrize(
    ("sizes", "wanted"),
    [
        ([[30, 30, 30]], [[2], [1]]),
        ([[60, 1]], [[2]]),
        ([[61, 1]], [[2]]),
        ([[10, 200, 10]], [[1], [1], [1]]),
        ([[20], [20], [20], [3]], [[1, 1, 1], [1]]),
        ([[], [], []], [[0, 0, 0]]),
        ([[200], [], [5]], [[1], [0, 1]]),
    ],
    ids=str,
)
def test_no_message_is_larger_than_it_has_to_be(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, sizes: list[list[int]], wanted: list[list[int]]
) -> None:
    monkeypatch.setattr(copies, "_LETTERS_A_MESSAGE", 62)
    hub = Hub(dataset="d-1")
    hub.traces = [a_trace(number, *of) for number, of in enumerate(sizes)]
    write_copies(hub, "digits", tmp_path)
    bring_copies(hub, tmp_path, "digits", {})
    assert [[len(copy.spans) for copy in message] for message in hub.messages] == wanted
    came = [span for message in hub.messages for copy in message for span in copy.spans]
    assert came == [span for copy in hub.traces for span in copy.spans]


def test_spans_with_pictures_in_them_come_in_several_messages(tmp_path: Path) -> None:
    hub = Hub(dataset="d-1")
    hub.traces = [a_trace(1, *[1 << 20] * 40)]
    write_copies(hub, "digits", tmp_path)
    bring_copies(hub, tmp_path, "digits", {})
    assert [len(message[0].spans) for message in hub.messages] == [16, 16, 8]


def test_records_come_in_messages_of_a_bounded_size_in_their_order(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(copies, "_LETTERS_A_MESSAGE", 100)
    monkeypatch.setattr(copies, "_RECORDS_A_MESSAGE", 3)
    hub = Hub(dataset="d-1")
    sizes = (40, 40, 40, 1, 1, 1, 500, 1)
    hub.records = [
        EvaluationRecord(
            id=f"dr-{n}", dataset_id="d-1", input_digest=str(n), number=n, inputs="{}", outputs="x" * size
        )
        for n, size in enumerate(sizes, 1)
    ]
    write_copies(hub, "digits", tmp_path)
    assert bring_copies(hub, tmp_path, "digits", {}) == Copied(datasets=1)
    assert [[record.number for record in some] for some in hub.sent] == [[1, 2], [3, 4, 5], [6], [7], [8]]
    assert [record for some in hub.sent for record in some] == hub.records
