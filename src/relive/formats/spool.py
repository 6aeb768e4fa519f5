"""Read a spool: what the processes of a run append to its folder (see `docs/design/capture.md`).

Each process has a file of JSON lines, and segments of metrics (`formats.points`) if it logs any.

What is read was written by the user's processes, so nothing in it is trusted: lines that are no records are
counted and skipped, links and pipes are not opened, and what a broken process wrote costs bounded memory.
"""

import os
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, Final

import msgspec

from relive.core.run import Metric, MetricBlock
from relive.core.trajectory import StepRecord, Trajectory
from relive.formats.points import SUFFIX, open_regular, read_points, written_bytes
from relive.formats.series import series_of
from relive.formats.spool_records import (
    ProcessExit,
    ProcessStart,
    Record,
    SpooledArtifact,
    SpooledAsked,
    SpooledError,
    SpooledFinish,
    SpooledMetric,
    SpooledNote,
    SpooledOpened,
    SpooledParam,
    SpooledParsed,
    SpooledStep,
    SpooledTag,
)

LONGEST_LINE: Final = 4 << 20
READ_BYTES: Final = 8 << 20
LINES: Final = ".jsonl"

_DECODER: Final = msgspec.json.Decoder(Record)


class SpoolBatch(msgspec.Struct, frozen=True, kw_only=True):
    """New records of one file.

    Attributes:
        file: The file's name in the spool folder.
        start: Offset of the first byte of the first record.
        end: Offset after the last record; the next batch of this file begins here.
        records: Of a file of lines.
        blocks: Of a segment: its points.
        ended: Nothing will be added to the file: it is not needed any more once this batch was taken.
        damaged: Lines that were no records.
    """

    file: str
    start: int
    end: int
    records: tuple[Record, ...] = ()
    blocks: tuple[MetricBlock, ...] = ()
    ended: bool = False
    damaged: int = 0

    def metrics(self) -> tuple[Metric, ...]:
        """Give the metrics among the records."""
        return tuple(it.metric() for it in self.records if isinstance(it, SpooledMetric))

    @property
    def points(self) -> tuple[Metric, ...]:
        """Give the points of a segment one by one, series by series."""
        series = (it for block in self.blocks for it in series_of(block))
        return tuple(metric for key, points in series for metric in points.as_metrics(key))

    def params(self) -> dict[str, Any]:
        """Give the parameters among the records."""
        return {it.k: it.v for it in self.records if isinstance(it, SpooledParam)}

    def tags(self) -> dict[str, str]:
        """Give the tags among the records."""
        return {it.k: it.v for it in self.records if isinstance(it, SpooledTag)}


class SpoolReader:
    """Read a spool folder while processes append to it; each record is given once.

    Args:
        folder: The spool; need not exist yet.
        offsets: File name to the offset to go on from, as `offsets` gave it.
    """

    def __init__(self, folder: Path, offsets: dict[str, int] | None = None) -> None:
        self._folder = folder
        self._offsets = dict(offsets or {})

    @property
    def offsets(self) -> dict[str, int]:
        """File name to the offset after the last record that was given."""
        return dict(self._offsets)

    def read(self, max_bytes: int = READ_BYTES, *, segments: bool = True) -> Iterator[SpoolBatch]:
        """Give what is new; a record still being written waits.

        Lines come first, in the order in which the processes began, then segments: what a process had logged
        when it said that it ends is in what is read after that.

        Args:
            max_bytes: About so much of a file becomes one batch; there may be several of one file.
            segments: False for the lines only.
        """
        for suffix in (LINES, SUFFIX) if segments else (LINES,):
            # Listed again for the segments: one may have been begun since.
            for name in spool_files(self._folder, suffix):
                while (batch := self._next(name, max_bytes)) is not None:
                    self._offsets[name] = batch.end
                    yield batch

    def _next(self, name: str, max_bytes: int) -> SpoolBatch | None:
        start = self._offsets.get(name, 0)
        if name.endswith(SUFFIX):
            return _points_batch(self._folder, name, start, max_bytes)
        data = b""
        for size in (max_bytes, LONGEST_LINE + 1):
            data = _read_regular(self._folder / name, start, size)
            whole = data.rfind(b"\n") + 1
            if whole:
                return _batch(name, start, data[:whole])
            if len(data) < size:
                return None
        # A line longer than any record is skipped piece by piece, and counted as damaged.
        return _batch(name, start, data)


def read_range(folder: Path, file: str, start: int, end: int) -> SpoolBatch:
    """Read again what was one batch, by the offsets it had."""
    if file.endswith(SUFFIX):
        return _points_batch(folder, file, start, end - start) or SpoolBatch(file=file, start=start, end=end)
    return _batch(file, start, _read_regular(folder / file, start, end - start))


class SpooledProcess(msgspec.Struct, frozen=True, kw_only=True):
    """Everything one process recorded; `start` is None if it could not say who it was."""

    start: ProcessStart | None
    exit: ProcessExit | None
    steps: tuple[StepRecord, ...]


class SpoolContents(msgspec.Struct, frozen=True, kw_only=True):
    """Everything in a spool after the run.

    Attributes:
        processes: In the order in which they began.
        notes: Sentences for people, errors included.
        damaged: Lines that were no records, torn last ones included.
        parsed: Parameters as the program's parser gave them; the last one of a name.
        asked: Variables of the environment that the program's own code looked up.
        lines: File, by its real path, to the first line of the program that opened it.
    """

    metrics: tuple[Metric, ...] = ()
    params: dict[str, Any] = {}
    parsed: dict[str, SpooledParsed] = {}
    tags: dict[str, str] = {}
    artifacts: tuple[SpooledArtifact, ...] = ()
    processes: tuple[SpooledProcess, ...] = ()
    finish: SpooledFinish | None = None
    notes: tuple[str, ...] = ()
    damaged: int = 0
    asked: frozenset[str] = frozenset()
    lines: dict[str, str] = {}

    def trajectory(self) -> Trajectory:
        """Join the steps of all processes; those of a second process get "p1/" before their streams.

        Ranks of a distributed training are told apart by their rank instead.
        """
        steps: list[StepRecord] = []
        numbered = 0
        for process in self.processes:
            if not process.steps:
                continue
            if process.start is not None and process.start.rank:
                prefix = f"rank{process.start.rank}/"
            else:
                prefix = f"p{numbered}/" if numbered else ""
                numbered += 1
            steps += (msgspec.structs.replace(it, stream=prefix + it.stream) for it in process.steps)
        return Trajectory(steps=tuple(steps))


def read_spool(folder: Path, *, with_metrics: bool = True) -> SpoolContents:
    """Read a whole spool at once.

    Args:
        with_metrics: False to leave out what was logged, which may be more than memory holds.
    """
    files: dict[str, list[Record]] = {}
    metrics: list[Metric] = []
    damaged = 0
    for batch in SpoolReader(folder).read(segments=with_metrics):
        if batch.records:
            files.setdefault(batch.file, []).extend(batch.records)
        if with_metrics:
            metrics += batch.metrics()
            metrics += batch.points
        damaged += batch.damaged
    records = [record for of_file in files.values() for record in of_file]
    notes = [_sentence(it) for it in records if isinstance(it, SpooledNote | SpooledError)]
    finishes = [it for it in records if isinstance(it, SpooledFinish)]
    return SpoolContents(
        metrics=tuple(metrics),
        params={it.k: it.v for it in records if isinstance(it, SpooledParam)},
        parsed={it.k: it for it in records if isinstance(it, SpooledParsed)},
        tags={it.k: it.v for it in records if isinstance(it, SpooledTag)},
        artifacts=tuple({it.name: it for it in records if isinstance(it, SpooledArtifact)}.values()),
        processes=_processes(files.values()),
        finish=finishes[-1] if finishes else None,
        notes=tuple(dict.fromkeys(notes)),
        damaged=damaged + _torn(folder),
        asked=frozenset(it.k for it in records if isinstance(it, SpooledAsked)),
        lines={it.k: it.at for it in reversed(records) if isinstance(it, SpooledOpened)},
    )


def spool_files(folder: Path, suffix: str | tuple[str, ...] = (LINES, SUFFIX)) -> list[str]:
    """Name the files of a spool in the order in which they were begun."""
    try:
        return sorted(name for name in os.listdir(folder) if name.endswith(suffix))
    except FileNotFoundError:
        return []


def spooled_bytes(folder: Path, name: str, start: int = 0) -> int:
    """Give how many bytes of records a file of a spool holds after an offset."""
    if name.endswith(SUFFIX):
        return written_bytes(folder / name, start) - start
    try:
        return max(0, (folder / name).stat().st_size - start)
    except FileNotFoundError:
        return 0


def _processes(files: Iterable[list[Record]]) -> tuple[SpooledProcess, ...]:
    """Join the files of one process: a script that brings its own relive writes one beside the hooks'."""
    joined: dict[object, list[Record]] = {}
    for number, records in enumerate(files):
        start = next((record for record in records if isinstance(record, ProcessStart)), None)
        who = (start.pid, start.ppid, start.argv) if start is not None else number
        joined.setdefault(who, []).extend(records)
    return tuple(map(_process, joined.values()))


def _process(records: list[Record]) -> SpooledProcess:
    start = next((record for record in records if isinstance(record, ProcessStart)), None)
    exits = [record for record in records if isinstance(record, ProcessExit)]
    steps = tuple(
        StepRecord(stream=record.stream, step=record.s, digests=record.d, values=record.v)
        for record in records
        if isinstance(record, SpooledStep)
    )
    return SpooledProcess(start=start, exit=exits[-1] if exits else None, steps=steps)


def _sentence(record: SpooledNote | SpooledError) -> str:
    return record.message if isinstance(record, SpooledNote) else f"{record.where}: {record.message}"


def _torn(folder: Path) -> int:
    """Count the files that end within a line: their process was stopped by a full disk."""
    ends = (_read_regular(folder / name, -1, 1) for name in spool_files(folder, LINES))
    return sum(end not in (b"", b"\n") for end in ends)


def _batch(file: str, start: int, data: bytes) -> SpoolBatch:
    records, damaged = _decode(data.split(b"\n"))
    return SpoolBatch(file=file, start=start, end=start + len(data), records=records, damaged=damaged)


def _decode(lines: list[bytes]) -> tuple[tuple[Record, ...], int]:
    records: list[Record] = []
    damaged = 0
    for line in lines:
        if not line:
            continue
        try:
            record: Record = _DECODER.decode(line)
            if isinstance(record, SpooledMetric):
                record.metric()
        except (msgspec.MsgspecError, ValueError, RecursionError):
            damaged += 1
        else:
            records.append(record)
    return tuple(records), damaged


def _points_batch(folder: Path, file: str, start: int, size: int) -> SpoolBatch | None:
    end, blocks, ended, damaged = read_points(folder / file, start, size)
    if end == start:
        return None
    return SpoolBatch(file=file, start=start, end=end, blocks=blocks, ended=ended, damaged=damaged)


def _read_regular(path: Path, offset: int, size: int) -> bytes:
    """Read a piece of a regular file; nothing of a link, a pipe, or a file that is gone."""
    fd = open_regular(path)
    if fd < 0:
        return b""
    try:
        return os.pread(fd, size, offset if offset >= 0 else max(0, os.fstat(fd).st_size + offset))
    finally:
        os.close(fd)
