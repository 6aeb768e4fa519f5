"""What a command prints and records, handed to the hub while it runs.

Everything lies on disk first, so a hub that is away costs nothing but time: this goes on where it stopped,
and `drain` waits until all of it has arrived.
"""

import logging
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from relive.client.calls.reports import ReportClient
from relive.client.sender import Keeper
from relive.errors import ReliveError, Superseded
from relive.formats.spool import SpoolBatch, SpoolReader
from relive.runner.lease import Lease, Over, is_passing
from relive.runner.output import OutputLog

_log = logging.getLogger(__name__)

_EVERY_S: Final = 0.5
_LONGEST_PAUSE_S: Final = 5.0
_PIECE_BYTES: Final = 512 * 1024


class Streamer:
    """Sends a run's log and records from a thread of its own.

    Args:
        reports: Speaks for the run.
        lease: Is told here, too, when the claim is over.
        log: What the command prints.
        spool: Folder to which the command's processes write their records.
    """

    def __init__(self, reports: ReportClient, lease: Lease, log: OutputLog, spool: Path) -> None:
        self._reports = reports
        self._lease = lease
        self._log = log
        self._sent_bytes = 0
        self._refused: list[str] = []
        self._spool = SpoolReader(spool)
        self._unsent: Iterator[SpoolBatch] = iter(())
        self._batch: SpoolBatch | None = None
        # What the command logged is on the disk soon, however long the hub is away.
        self._keeper = Keeper(spool)
        self._ending = threading.Event()
        self._thread = threading.Thread(target=self._run, name="stream", daemon=True)

    def start(self) -> None:
        """Begin to send."""
        self._keeper.start()
        self._thread.start()

    def drain(self) -> tuple[str, ...]:
        """Wait until the hub has everything; nothing may be printed or recorded any more.

        Returns:
            Sentences about what the hub would not take.

        Raises:
            Superseded: Another claim took over meanwhile.
        """
        self._keeper.stop()
        self._ending.set()
        while self._thread.is_alive():
            self._thread.join(0.2)
            self._lease.check()
        self._lease.check()
        return tuple(self._refused)

    def _run(self) -> None:
        pause_s = _EVERY_S
        while True:
            is_last = self._ending.is_set()
            try:
                self._send_all()
            except Superseded:
                self._lease.lose(Over.SUPERSEDED)
                return
            except ReliveError as error:
                _log.warning("%s; it is kept here and sent later", error.what())
                pause_s = min(pause_s * 2, _LONGEST_PAUSE_S)
            else:
                if is_last:
                    return
                pause_s = _EVERY_S
            if self._lease.over is Over.SUPERSEDED:
                return
            if is_last:
                time.sleep(pause_s)
            else:
                self._ending.wait(pause_s)

    def _send_all(self) -> None:
        while piece := self._log.read(self._sent_bytes, _PIECE_BYTES):
            self._sent_bytes = self._try_log(piece)
        while (batch := self._next()) is not None:
            self._try_records(batch)
            self._batch = None

    def _try_log(self, piece: bytes) -> int:
        """Send a piece, and say from where to go on: the hub knows how much it has."""
        try:
            return self._reports.log(self._sent_bytes, piece)
        except ReliveError as error:
            self._note(error, "part of the output")
            return self._sent_bytes + len(piece)

    def _try_records(self, batch: SpoolBatch) -> None:
        metrics, params, tags = batch.metrics(), batch.params(), batch.tags()
        if not metrics and not params and not tags and not batch.blocks:
            return
        try:
            # The name says which bytes of which file these are, so a second sending is recognised.
            self._reports.records(f"{batch.file}:{batch.start}", metrics, params, tags, batch.blocks)
        except ReliveError as error:
            n_records = len(metrics) + len(params) + len(tags) + len(batch.points)
            self._note(error, f"{n_records} records")

    def _next(self) -> SpoolBatch | None:
        """Give the batch that is to be sent: the last one again if it did not arrive."""
        if self._batch is None:
            self._batch = next(self._unsent, None)
        if self._batch is None:
            self._unsent = self._spool.read()
            self._batch = next(self._unsent, None)
        return self._batch

    def _note(self, error: ReliveError, what: str) -> None:
        """Let an error pass that may go away; note one that will not, and go on without what caused it."""
        if isinstance(error, Superseded) or is_passing(error):
            raise error
        self._refused.append(f"the hub did not take {what}: {error.what()}")
        _log.error("the hub did not take %s: %s", what, error.what())
