"""What a hub says names no folder outside the one that is written to."""

from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from relive.client.copies import Blobs, Copied, write_copies
from relive.core.evaluation import EvaluationDataset, EvaluationRecord
from relive.core.trace import Trace
from relive.errors import InvalidInput
from relive.wire.copies import Brought, EvaluationCopy, TraceCopy, TraceFile


class Hub:
    """A hub that says what it is told to."""

    def __init__(self, *, dataset: str = "", digest: str = "") -> None:
        self.dataset = dataset
        self.digest = digest

    def each_trace_copy(self, _project: str) -> Iterator[TraceCopy]:
        if self.digest:
            file = TraceFile(path="a.png", digest=self.digest, size_bytes=1)
            yield TraceCopy(
                trace=Trace(id="tr-1", experiment_id="e", started_ms=1), experiment="chat", files=(file,)
            )

    def bring_traces(self, _project: str, traces: Sequence[TraceCopy]) -> Brought:
        raise NotImplementedError(traces)

    def list_evaluation_copies(self, _project: str) -> list[EvaluationCopy]:
        made = EvaluationDataset(id=self.dataset, project_id="p", name="n", digest="x")
        return [] if self.digest else [EvaluationCopy(dataset=made)]

    def each_evaluation_record(self, _dataset_id: str) -> Iterator[EvaluationRecord]:
        return iter(())

    def bring_evaluation(self, _project: str, copy: EvaluationCopy) -> Brought:
        raise NotImplementedError(copy)

    def bring_records(self, _dataset_id: str, records: Sequence[EvaluationRecord]) -> None:
        raise NotImplementedError(records)

    @property
    def blobs(self) -> Blobs:
        return Bytes()


class Bytes:
    """Blobs of one byte each."""

    def get_bytes(self, _digest: str) -> bytes:
        return b"7"

    def put_bytes(self, data: bytes) -> str:
        raise NotImplementedError(data)


@pytest.mark.parametrize("id_", ["../../precious", "..", ".", "", "/tmp/precious", "a/../../../precious"])
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
