"""Which steps of a stream are digested, so that a recording stays cheap and a replay digests the same ones.

Recording: the first steps always, then whenever the running cost stays below its share of the time that
went by. Replay: `RELIVE_DIGEST_STEPS` names a JSON file (or is the JSON itself) that says for each stream
which steps the recorded run digested; exactly those are digested again.
"""

from __future__ import annotations

import json
import os
import time
from typing import Callable

DIGEST_STEPS = "RELIVE_DIGEST_STEPS"
FIRST = 5
BUDGET = 0.005
# Every step up to here, then at most so many for each doubling: a long run stays a small record.
DENSE = 1000


def is_kept(step: int) -> bool:
    """Say whether a step may be recorded at all: by its number only, so every run decides the same."""
    if step < DENSE:
        return True
    return step % (1 << (step // DENSE).bit_length()) == 0


class Schedule:
    """Decide for each stream and step whether to digest, within a budget that all streams share.

    Args:
        plan: Stream to the steps to digest exactly; None to go by the budget.
    """

    def __init__(
        self,
        plan: dict[str, frozenset[int]] | None = None,
        clock: Callable[[], float] = time.perf_counter,
    ) -> None:
        self._plan = plan
        self._clock = clock
        self._accounts: dict[str, _Account] = {}

    @classmethod
    def from_environment(cls) -> Schedule:
        """Make the schedule that this process was asked for.

        Raises:
            ValueError: RELIVE_DIGEST_STEPS is set but holds no plan.
            OSError: Its file cannot be read.
        """
        text = os.environ.get(DIGEST_STEPS, "").strip()
        if text and not text.startswith("{"):
            with open(text, encoding="utf-8") as file:
                text = file.read()
        return cls(parse_plan(text) if text else None)

    def planned(self, stream: str) -> frozenset[int]:
        """Give the steps of a stream that a replay is to digest; none of a recording."""
        return (self._plan or {}).get(stream, frozenset())

    def due(self, stream: str, step: int) -> bool:
        """Say whether this step of the stream is to be digested."""
        if self._plan is not None:
            return step in self._plan.get(stream, ())
        account = self._accounts.get(stream)
        if account is None:
            account = self._accounts[stream] = _Account(self._clock())
        if step < FIRST:
            return True
        if not is_kept(step):
            return False
        share_s = BUDGET / len(self._accounts) * (self._clock() - account.since)
        return account.spent_s + account.last_s < share_s

    def spent(self, stream: str, seconds: float) -> None:
        """Tell what digesting a step of the stream has cost."""
        account = self._accounts.get(stream)
        if account is not None:
            account.spent_s += seconds
            account.last_s = seconds


class _Account:
    __slots__ = ("last_s", "since", "spent_s")

    def __init__(self, since: float) -> None:
        self.since = since
        self.spent_s = 0.0
        self.last_s = 0.0


def parse_plan(text: str) -> dict[str, frozenset[int]]:
    """Read which steps to digest, from JSON: `{"weights:SGD#0": [0, 1, 2]}`.

    Raises:
        ValueError: It is something else.
    """
    document = json.loads(text)
    if not isinstance(document, dict):
        raise ValueError("a plan is an object: stream to a list of steps")
    return {str(stream): frozenset(map(int, steps)) for stream, steps in document.items()}
