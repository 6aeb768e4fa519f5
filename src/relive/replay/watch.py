"""Follow a replay while it runs: how far it agrees, and when there is nothing left to learn from it.

What is found here is for people who wait, and for stopping early. A spool that several processes write is not
followed: which of them is which is only known at the end.
"""

import logging
import re
import threading
from collections.abc import Callable, Iterator, Mapping
from enum import StrEnum
from pathlib import Path
from typing import Final

import msgspec

from relive.core.compare import Follower, within
from relive.core.trajectory import FINAL, FirstDivergence, StepPlace, StepRecord, StepWindow, Trajectory
from relive.errors import ReliveError
from relive.formats.spool import SpoolBatch, SpoolReader
from relive.formats.spool_records import ProcessStart, SpooledStep
from relive.runner.lease import Lease, Over

_log = logging.getLogger(__name__)

_EVERY_S: Final = 0.5
_OF_SECOND_PROCESS: Final = re.compile(r"^p\d+/")


class Stop(StrEnum):
    """Why a replay was ended before its own end."""

    DIVERGED = "diverged"
    ALL_SEEN = "all seen"


class Seen(msgspec.Struct, frozen=True, kw_only=True):
    """How far a replay has come.

    Attributes:
        compared: Steps compared so far.
        last_equal: The last that agreed before the two part.
        first: Where they part; None so far.
        stop: Why it was ended early; None if it was not.
        failure: Why it could not even start; empty if it could.
    """

    compared: int = 0
    last_equal: StepPlace | None = None
    first: FirstDivergence | None = None
    stop: Stop | None = None
    failure: str = ""


class Watch:
    """Reads the spool of one replay from a thread of its own.

    Args:
        recorded: The steps to compare with.
        window: Only these steps; the command is ended once it has passed them.
        until_divergence: End the command at the first step that differs.
        is_part: What is recorded is a part of the run; the command is ended once it has passed it.
        told: Called with each new state, from the thread.
    """

    def __init__(
        self,
        recorded: Trajectory,
        *,
        window: StepWindow | None = None,
        until_divergence: bool = False,
        is_part: bool = False,
        told: Callable[[Seen], None] = lambda seen: None,
    ) -> None:
        self.purpose = "replay"
        self.variables: Mapping[str, str] = {}
        self._window = window
        self._until_divergence = until_divergence
        self._is_part = is_part or window is not None
        self._told = told
        self._follower = Follower(within(recorded, window) if window else recorded)
        self._is_followed = not any(_OF_SECOND_PROCESS.match(step.stream) for step in recorded.steps)
        self._processes = _Processes()
        self._seen = Seen()
        self._stop: Stop | None = None
        self._ending = threading.Event()
        self._thread: threading.Thread | None = None

    @property
    def seen(self) -> Seen:
        """How far the replay has come."""
        return self._seen

    def start(self, spool: Path, lease: Lease) -> None:
        """Begin to follow what is written into a spool; `lease` is how the command is ended."""
        if not self._is_followed:
            return
        self._thread = threading.Thread(
            target=self._run, args=(SpoolReader(spool), lease), name="watch", daemon=True
        )
        self._thread.start()

    def end(self) -> None:
        """Stop following; what was seen stays."""
        self._ending.set()
        if self._thread is not None:
            self._thread.join()

    def _run(self, reader: SpoolReader, lease: Lease) -> None:
        while not self._ending.wait(_EVERY_S) and self._stop is None:
            try:
                self._read(reader)
            except (ReliveError, OSError):
                # The end decides; nothing may be stopped for what could not be read.
                _log.warning("the replay can no longer be followed", exc_info=True)
                return
            if self._stop is not None:
                lease.lose(Over.CANCELLED)

    def _read(self, reader: SpoolReader) -> None:
        before = self._seen
        for batch in reader.read(segments=False):
            for step in self._processes.steps(batch):
                if self._window is None or (step.step in self._window and not step.stream.endswith(FINAL)):
                    self._follower.take(step)
                elif step.step > self._window.last:
                    self._follower.passed(step)
        self._stop = self._reason()
        follower = self._follower
        self._seen = Seen(
            compared=follower.compared,
            last_equal=follower.last_equal,
            first=follower.first,
            stop=self._stop,
        )
        if self._seen != before:
            self._told(self._seen)

    def _reason(self) -> Stop | None:
        if self._until_divergence and self._follower.first is not None:
            return Stop.DIVERGED
        return Stop.ALL_SEEN if self._is_part and self._follower.is_complete else None


class _Processes:
    """Tells whose steps are whose: those of the first process that takes any, and those of ranks."""

    def __init__(self) -> None:
        self._who: dict[str, tuple[object, str]] = {}
        self._first: object = None

    def steps(self, batch: SpoolBatch) -> Iterator[StepRecord]:
        for record in batch.records:
            if isinstance(record, ProcessStart):
                # A script that brings its own relive writes a second file, of the same process.
                self._who[batch.file] = ((record.pid, record.ppid, record.argv), record.rank)
            elif isinstance(record, SpooledStep):
                who, rank = self._who.get(batch.file, (batch.file, ""))
                if not rank and self._first is None:
                    self._first = who
                if rank or who == self._first:
                    stream = f"rank{rank}/{record.stream}" if rank else record.stream
                    yield StepRecord(stream=stream, step=record.s, digests=record.d, values=record.v)
