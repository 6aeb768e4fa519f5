"""Traces and data sets for evaluation as files that anyone can read, and back.

    DIR/
      traces/traces.parquet        a row a trace; tags, metadata, links and files are JSON
      traces/spans.parquet         a row a span, in the order of the traces
      traces/assessments.parquet   a row a thing that was said of a trace
      traces/files/DIGEST          what is attached to traces, by the digest that `files` names
      evaluation/ID/dataset.json   what the data set is
      evaluation/ID/records.parquet

A folder is written beside and then takes the place of the one before: what is there is whole.
"""

import os
import shutil
import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from itertools import chain
from pathlib import Path
from typing import Any, Final, Generic, Protocol, TypeVar

import msgspec

from relive.core.evaluation import EvaluationRecord
from relive.core.ids import check_name
from relive.core.trace import RUN_KEY, Assessment, Span, Trace, TraceState
from relive.errors import InvalidInput
from relive.formats.parquet import ParquetWriter, read_parquet
from relive.formats.tables import Rows
from relive.wire.copies import Brought, EvaluationCopy, TraceCopy, TraceFile

ROWS_A_GROUP: Final = 5000
# Of one message: far below what a hub takes.
_LETTERS_A_MESSAGE: Final = 16 << 20
_TRACES_A_MESSAGE: Final = 100
_RECORDS_A_MESSAGE: Final = 500

T = TypeVar("T", bound=msgspec.Struct)


class TraceRow(msgspec.Struct, frozen=True, kw_only=True):
    """A trace without its spans and what was said of it."""

    id: str
    experiment: str
    started_ms: int
    duration_ms: int | None
    state: TraceState
    client_request_id: str
    request_preview: str
    response_preview: str
    created_by: str
    tags: dict[str, str]
    metadata: dict[str, str]
    runs: tuple[str, ...]
    prompts: tuple[str, ...]
    files: tuple[TraceFile, ...]


_TRACES: Final = Rows(TraceRow)
_SPANS: Final = Rows(Span)
_SAID: Final = Rows(Assessment)
_RECORDS: Final = Rows(EvaluationRecord)
_OF_TRACE: Final = tuple(it for it in Trace.__struct_fields__ if it != "experiment_id")
_BESIDE: Final = ("experiment", "tags", "metadata", "runs", "prompts", "files")


class Blobs(Protocol):
    """Where bytes are."""

    def get_bytes(self, digest: str) -> bytes: ...
    def put_bytes(self, data: bytes) -> str: ...


class Hub(Protocol):
    """The hub as this needs it; `client.hub.HubClient` is one."""

    def each_trace_copy(self, project: str) -> Iterator[TraceCopy]: ...
    def bring_traces(self, project: str, traces: Sequence[TraceCopy]) -> Brought: ...
    def list_evaluation_copies(self, project: str) -> list[EvaluationCopy]: ...
    def each_evaluation_record(self, dataset_id: str) -> Iterator[EvaluationRecord]: ...
    def bring_evaluation(self, project: str, copy: EvaluationCopy) -> Brought: ...
    def bring_records(self, dataset_id: str, records: Sequence[EvaluationRecord]) -> None: ...
    @property
    def blobs(self) -> Blobs: ...


class Copied(msgspec.Struct, frozen=True, kw_only=True):
    """How many were written or brought; `elsewhere` are ids that another project of the hub has and keeps."""

    traces: int = 0
    datasets: int = 0
    elsewhere: tuple[str, ...] = ()


def write_copies(hub: Hub, project: str, target: Path) -> Copied:
    """Write the traces and the data sets for evaluation of a project.

    Raises:
        HubUnreachable, HubRefused: As the calls have it.
        InvalidName: A data set has an id that can be no folder's name.
        OSError: The folder cannot be written.
    """
    copies = hub.each_trace_copy(project)
    first = next(copies, None)
    traces = 0
    if first is not None:
        with _replaced(target / "traces") as folder:
            traces = _write_traces(hub, chain([first], copies), folder)
    datasets = hub.list_evaluation_copies(project)
    for copy in datasets:
        # An id that is a path would have a folder elsewhere replaced.
        name = check_name("evaluation data set", copy.dataset.id)
        with _replaced(target / "evaluation" / name) as folder:
            text = msgspec.json.format(msgspec.json.encode(copy), indent=2)
            (folder / "dataset.json").write_bytes(text)
            with _table(folder / "records.parquet", _RECORDS) as table:
                for record in hub.each_evaluation_record(copy.dataset.id):
                    table.add(record)
    return Copied(traces=traces, datasets=len(datasets))


def bring_copies(hub: Hub, source: Path, project: str, runs: Mapping[str, str]) -> Copied:
    """Bring what `write_copies` wrote to a project.

    Args:
        runs: The id in the hub of each run that came along, by the id that it had.

    Raises:
        HubUnreachable, HubRefused: What was sent is kept; begin again.
        InvalidInput, OSError: The files cannot be read.
    """
    traces, datasets, elsewhere = 0, 0, list[str]()
    with _readable(source):
        if (source / "traces").is_dir():
            found = _read_traces(hub, source / "traces", runs)
            for batch in _parts(found, _TRACES_A_MESSAGE, _letters_of_trace):
                brought = hub.bring_traces(project, batch)
                traces += brought.new
                elsewhere += brought.elsewhere
        # Not what an export left that was killed.
        for path in sorted((source / "evaluation").glob("[!.]*/dataset.json")):
            copy = msgspec.json.decode(path.read_bytes(), type=EvaluationCopy)
            brought = hub.bring_evaluation(project, copy)
            datasets += brought.new
            elsewhere += brought.elsewhere
            if not brought.elsewhere:
                rows = _read(path.parent / "records.parquet", _RECORDS)
                for records in _parts(rows, _RECORDS_A_MESSAGE, _letters_of_record):
                    hub.bring_records(copy.dataset.id, records)
    return Copied(traces=traces, datasets=datasets, elsewhere=tuple(dict.fromkeys(elsewhere)))


class _Table(Generic[T]):
    """A file of rows, written some at a time."""

    def __init__(self, writer: ParquetWriter, rows: Rows[T]) -> None:
        self._writer = writer
        self._rows = rows
        self._waiting: list[T] = []

    def add(self, row: T) -> None:
        """Write a row, sooner or later."""
        self._waiting.append(row)
        if len(self._waiting) >= ROWS_A_GROUP:
            self.flush()

    def flush(self) -> None:
        """Write what waits."""
        if self._waiting:
            self._writer.write(self._rows.write(self._waiting))
        self._waiting = []


@contextmanager
def _table(path: Path, rows: Rows[T]) -> Iterator[_Table[T]]:
    with open(path, "wb") as file:
        writer = ParquetWriter(file, rows.columns)
        table = _Table(writer, rows)
        yield table
        table.flush()
        writer.close()


def _write_traces(hub: Hub, copies: Iterable[TraceCopy], folder: Path) -> int:
    count = 0
    with (
        _table(folder / "traces.parquet", _TRACES) as traces,
        _table(folder / "spans.parquet", _SPANS) as spans,
        _table(folder / "assessments.parquet", _SAID) as said,
    ):
        for copy in copies:
            its = {name: getattr(copy.trace, name) for name in _OF_TRACE}
            traces.add(TraceRow(**its, **{name: getattr(copy, name) for name in _BESIDE}))
            for span in copy.spans:
                spans.add(span)
            for assessment in copy.said:
                said.add(assessment)
            for file in copy.files:
                _write_file(hub, file, folder / "files")
            count += 1
    return count


def _write_file(hub: Hub, file: TraceFile, folder: Path) -> None:
    folder.mkdir(exist_ok=True)
    path = folder / _name(file.digest)
    if not path.exists():
        path.write_bytes(hub.blobs.get_bytes(file.digest))


def _name(digest: str) -> str:
    name = digest.rpartition(":")[2]
    if not name.isalnum():
        raise InvalidInput(field="file of a trace", value=digest, wanted="a digest")
    return name


def _read_traces(hub: Hub, folder: Path, runs: Mapping[str, str]) -> Iterator[TraceCopy]:
    """Give traces, one of many spans in several parts."""
    spans = _Following(_read(folder / "spans.parquet", _SPANS))
    said = _Following(_read(folder / "assessments.parquet", _SAID))
    for row in _read(folder / "traces.parquet", _TRACES):
        for file in row.files:
            hub.blobs.put_bytes((folder / "files" / _name(file.digest)).read_bytes())
        metadata = dict(row.metadata)
        if RUN_KEY in metadata:
            metadata[RUN_KEY] = runs.get(metadata[RUN_KEY], metadata[RUN_KEY])
        its_said = tuple(
            msgspec.structs.replace(it, source_run_id=runs.get(it.source_run_id, it.source_run_id))
            for it in said.of(row.id)
        )
        whole = TraceCopy(
            trace=Trace(experiment_id="", **{name: getattr(row, name) for name in _OF_TRACE}),
            said=its_said,
            **{name: getattr(row, name) for name in _BESIDE}
            | {"metadata": metadata, "runs": tuple(runs.get(it, it) for it in row.runs)},
        )
        parts = _parts(spans.of(row.id), ROWS_A_GROUP, _letters_of_span)
        yield msgspec.structs.replace(whole, spans=tuple(next(parts, ())))
        for some in parts:
            yield msgspec.structs.replace(whole, spans=tuple(some))


class _Following(Generic[T]):
    """Rows that stand in the order of the traces that they are of."""

    def __init__(self, rows: Iterator[T]) -> None:
        self._rows: Iterator[Any] = rows
        self._next: Any = next(self._rows, None)

    def of(self, trace_id: str) -> Iterator[T]:
        """Give the next rows, as far as they are of this trace."""
        while self._next is not None and self._next.trace_id == trace_id:
            yield self._next
            self._next = next(self._rows, None)


def _parts(rows: Iterable[T], most: int, letters_of: Callable[[T], int]) -> Iterator[list[T]]:
    """Give rows in messages of a bounded number and size; one that is larger goes alone."""
    part: list[T] = []
    letters = 0
    for row in rows:
        size = letters_of(row)
        if part and (len(part) == most or letters + size > _LETTERS_A_MESSAGE):
            yield part
            part, letters = [], 0
        part.append(row)
        letters += size
    if part:
        yield part


def _letters_of_trace(copy: TraceCopy) -> int:
    return sum(_letters_of_span(span) for span in copy.spans)


def _letters_of_span(span: Span) -> int:
    return len(span.content)


def _letters_of_record(record: EvaluationRecord) -> int:
    parts = (record.inputs, record.outputs, record.expectations, record.tags, record.source)
    return sum(len(text) for text in parts)


def _read(path: Path, rows: Rows[T]) -> Iterator[T]:
    for table in read_parquet(path):
        yield from rows.read(table)


@contextmanager
def _readable(folder: Path) -> Iterator[None]:
    try:
        yield
    except (msgspec.MsgspecError, KeyError) as error:
        wanted = f"what `relive export` wrote ({error})"
        raise InvalidInput(field="folder", value=str(folder), wanted=wanted) from error


@contextmanager
def _replaced(place: Path) -> Iterator[Path]:
    """Give an empty folder that takes its place once it is whole."""
    place.parent.mkdir(parents=True, exist_ok=True)
    beside = Path(tempfile.mkdtemp(dir=place.parent, prefix=".partial-"))
    try:
        yield beside
        beside.chmod(0o755)
        if place.exists():
            shutil.rmtree(place)
        os.rename(beside, place)
    finally:
        shutil.rmtree(beside, ignore_errors=True)
