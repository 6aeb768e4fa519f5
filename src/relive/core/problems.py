"""What is wrong in a file that a person wrote: where, what, and the word that was probably meant."""

from collections.abc import Iterable
from difflib import get_close_matches

import msgspec

_LONGEST_WORD = 64  # comparing words costs their lengths multiplied; no word of ours is longer
_LONGEST_SHOWN = 80


class Problem(msgspec.Struct, frozen=True, order=True):
    """One thing that is wrong in a file.

    Attributes:
        line: Counts from 1; 0 if unknown.
        where: Path of keys, "stages.train.resources.memory"; empty for the file as a whole.
        what: The rest of the sentence that begins with `where`.
    """

    line: int
    where: str
    what: str

    def __str__(self) -> str:
        place = f"line {self.line}: " if self.line else ""
        return f"{place}{self.where or 'the file'} {self.what}"


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """Give "; did you mean `outs`?" for the nearest known word, or nothing if none is near."""
    near = nearest(word, known, count=1)
    return f"; did you mean `{near[0]}`?" if near else ""


def nearest(word: str, known: Iterable[str], *, count: int = 3) -> list[str]:
    """Give up to `count` known words that resemble this one, the nearest first."""
    if len(word) > _LONGEST_WORD:
        return []
    by_lower = {candidate.lower(): candidate for candidate in known}
    close = get_close_matches(word.lower(), by_lower, n=count, cutoff=0.6)
    return [by_lower[match] for match in close]


def shown(value: object) -> str:
    """Write a value for a sentence, cut if it is long."""
    text = repr(value)
    return text if len(text) <= _LONGEST_SHOWN else f"{text[: _LONGEST_SHOWN - 1]}…"
