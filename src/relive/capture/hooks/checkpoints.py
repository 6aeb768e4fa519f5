"""Save the state of a training every so many steps; in a spot check, load it and make some steps only.

Steps are those of all optimizers of the process together. The digests of a state are a step of the stream
`checkpoint`, the state itself a file. Asked for by `RELIVE_CHECKPOINTS`, the number of steps between two.
A replay, which has `RELIVE_DIGEST_STEPS`, saves nothing: it takes the recorded digests again.

A spot check is asked for by `RELIVE_SPOT`, JSON: `{"states": "/folder", "segments": [[0, 10], [40, 50]]}`. A
segment begins behind a step, with the state that the folder has for it, and ends with another, or with
the program. Outside of segments, `is_skipping` holds.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Mapping
from typing import Any

from .digests import digest_of
from .schedule import DIGEST_STEPS, Schedule
from .spool import Spool

CHECKPOINTS = "RELIVE_CHECKPOINTS"
SPOT = "RELIVE_SPOT"
STREAM = "checkpoint"
FOLDER = "checkpoints"
SUFFIX = ".state"
# One more than either, and every second file goes.
MOST = 64
MOST_BYTES = 4 << 30
# Before the name of a part of a state that is saved, and need not be the same in a replay.
NO_DIGEST = "_"


class State:
    """What a library's hook knows of a training; its steps are those of the optimizers."""

    def collect(self) -> Mapping[str, Any]:
        """Give the state by kind (weights, optimizers, random, …), as it is now and not a copy.

        Raises:
            TypeError: It holds what cannot be saved.
        """
        raise NotImplementedError

    def save(self, state: Mapping[str, Any], path: str) -> None:
        """Write a state to a file."""
        raise NotImplementedError

    def load(self, path: str) -> None:
        """Make the state of a file the training's.

        Raises:
            ValueError: It is the state of another training.
        """
        raise NotImplementedError


class Checkpoints:
    """What is to be done at each step of a training.

    Args:
        spool: Where digests go; files go into a folder in it.
        every: Steps between two checkpoints; 0 to save none.
        planned: Steps whose digests are to be taken.
        segments: Begin and end of what a spot check makes for real; None for all of the training.
        states: Folder with the states at their beginnings.

    Attributes:
        is_spot: Whether only some of the steps are to be made for real.
        is_skipping: Whether the next one is not.
    """

    def __init__(
        self,
        spool: Spool,
        every: int,
        planned: frozenset[int] = frozenset(),
        segments: list[tuple[int, int]] | None = None,
        states: str = "",
    ) -> None:
        self._spool = spool
        self._every, self._planned = every, planned
        self._begins = {first for first, _ in segments or ()}
        self._ends = {last for _, last in segments or ()}
        self._states = states
        self._pid = os.getpid()
        self._step = 0
        self._kept: dict[int, int] = {}
        self._spent_s = 0.0
        self._since = time.perf_counter()
        self.is_spot = segments is not None
        self._is_skipping = self.is_spot and 0 not in self._begins

    @classmethod
    def from_environment(cls, spool: Spool, schedule: Schedule) -> Checkpoints | None:
        """Make what was asked for; None if nothing was.

        Raises:
            KeyError, TypeError, ValueError: It cannot be understood.
        """
        every = os.environ.get(CHECKPOINTS, "")
        if not every:
            return None
        is_replay = bool(os.environ.get(DIGEST_STEPS))
        spot = os.environ.get(SPOT, "")
        asked = json.loads(spot) if spot else {}
        segments = [(int(first), int(last)) for first, last in asked["segments"]] if spot else None
        number = 0 if is_replay else max(0, int(every))
        return cls(spool, number, schedule.planned(STREAM), segments, str(asked.get("states", "")))

    @property
    def is_skipping(self) -> bool:
        """Whether what trains is left out for now; never in another process than this one."""
        return self._is_skipping and os.getpid() == self._pid

    def stepped(self, training: State) -> None:
        """Note that an optimizer has made a step, and do what is due."""
        if os.getpid() != self._pid:
            return
        self._step += 1
        step = self._step
        if step in self._planned and not self.is_skipping:
            self._record(step, training.collect())
        if step in self._ends & self._planned:  # one without a checkpoint is that of the program
            self._is_skipping = True
        if step in self._begins and self._is_skipping:
            self._load(step, training)
        if self._every and step % self._every == 0:
            self._save(step, training)

    def _load(self, step: int, training: State) -> None:
        try:
            training.load(os.path.join(self._states, f"{step}{SUFFIX}"))
        except Exception as error:
            self._spool.error(f"state of step {step}", error)
            return
        # What is there now, not what was in the file: the two are to be the same.
        self._record(step, training.collect())
        self._is_skipping = False

    def _save(self, step: int, training: State) -> None:
        began = time.perf_counter()
        try:
            if not self._kept and not self._take_place():
                self._every = 0
                return
            state = training.collect()
            self._record(step, state)
            self._kept[step] = _write(training, state, self._path(step))
            while len(self._kept) > MOST or sum(self._kept.values()) > MOST_BYTES:
                self._thin()
        except Exception as error:
            self._every = 0
            self._spool.error(f"checkpoint of step {step}; no other is made", error)
        self._spent_s += time.perf_counter() - began

    def _take_place(self) -> bool:
        """Make the folder; a run has one, and so the checkpoints of one process."""
        if os.environ.get("RANK") and os.environ.get("WORLD_SIZE", "1") != "1":
            self._spool.note("no checkpoint was made: those of a distributed training are not yet supported")
            return False
        try:
            os.mkdir(os.path.join(self._spool.folder, FOLDER))
        except FileExistsError:
            self._spool.note("only the first process that trained has checkpoints")
            return False
        return True

    def _thin(self) -> None:
        """Let every second file go, and leave twice as much room between those to come."""
        self._every *= 2
        dropped = [step for step in self._kept if step % self._every] or list(self._kept)
        for step in dropped:
            os.unlink(self._path(step))
            del self._kept[step]
        if not self._kept:
            self._every = 0
            self._spool.note(f"no checkpoint was kept: one is larger than {MOST_BYTES >> 30} GiB")

    def _path(self, step: int) -> str:
        return os.path.join(self._spool.folder, FOLDER, f"{step}{SUFFIX}")

    def _record(self, step: int, state: Mapping[str, Any]) -> None:
        digests = {name: digest_of(part) for name, part in state.items() if name[:1] != NO_DIGEST}
        self._spool.write({"t": "step", "stream": STREAM, "s": step, "d": digests, "v": {}})

    def close(self) -> None:
        """Say at the program's end what checkpoints have cost, or why there is none."""
        if self._kept:
            share = 100 * self._spent_s / max(time.perf_counter() - self._since, 1e-9)
            size = sum(self._kept.values()) / 1e6
            took = f"took {self._spent_s:.2f} s, {share:.1f} % of the process's time"
            self._spool.note(f"{len(self._kept)} checkpoints, {size:.1f} MB, {took}")


def _write(training: State, state: Mapping[str, Any], path: str) -> int:
    """Write a state whole or not at all, and give its size in bytes."""
    partial = f"{path}.partial"
    try:
        training.save(state, partial)
        os.replace(partial, path)
    finally:
        if os.path.exists(partial):
            os.unlink(partial)
    return os.path.getsize(path)
