"""Compare the files that two runs left without declaring them: evidence where there is no other."""

from collections.abc import Mapping, Sequence
from typing import Final

from relive.core.timestamps import pair_by_name
from relive.core.trajectory import VerdictLevel

SAME_BYTES: Final = "same bytes"
SAME_BUT_TIMES: Final = "same but for times"
DIFFERS: Final = "differs"
ONLY_RECORDED: Final = "not written by the replay"
ONLY_REPLAYED: Final = "written by the replay alone"
EQUAL: Final = frozenset({SAME_BYTES, SAME_BUT_TIMES})
_NAME_ONE: Final = "name a metric (--metrics FILE) or an out (--out PATH)"
_SHOWN: Final = 4


def compare_files(
    recorded: Mapping[str, str],
    replayed: Mapping[str, str],
    timeless: tuple[Mapping[str, str], Mapping[str, str]] = ({}, {}),
) -> dict[str, str]:
    """Compare files that were left undeclared, path to digest; what has no digest is left out.

    One whose name holds the time of its run is compared with the replay's of the same name but for that.

    Args:
        timeless: Of either side, path to the digest of the text without the moments of its run.
    """
    gone, new = sorted(recorded.keys() - replayed.keys()), sorted(replayed.keys() - recorded.keys())
    pairs = pair_by_name(gone, new)
    renamed = {other: path for path, other in pairs.items()}
    replayed = {renamed.get(path, path): digest for path, digest in replayed.items()}
    texts = {renamed.get(path, path): digest for path, digest in timeless[1].items()}
    words: dict[str, str] = {}
    for path in sorted(recorded.keys() | replayed.keys()):
        one, other = recorded.get(path), replayed.get(path)
        if one is None or other is None:
            words[path] = ONLY_REPLAYED if one is None else ONLY_RECORDED
        elif one and other:
            is_same_text = timeless[0].get(path, "") == texts.get(path) != ""
            words[path] = SAME_BYTES if one == other else SAME_BUT_TIMES if is_same_text else DIFFERS
    return words


def level_of_files(files: dict[str, str]) -> tuple[VerdictLevel, str]:
    """Judge by the files alone: equal ones are equal results, of others nobody knows."""
    nothing = "The run recorded no metric, no out and no step to compare"
    if not files:
        return VerdictLevel.NOT_COMPARABLE, f"{nothing}: {_NAME_ONE}."
    other = [f"{path} ({word})" for path, word in files.items() if word not in EQUAL]
    if not other:
        count = f"{len(files)} {'file' if len(files) == 1 else 'files'}"
        timed = but_for_times(files)
        level = VerdictLevel.WITHIN_TOLERANCE if timed else VerdictLevel.BIT_EXACT
        return level, f"Equal: {count} that it wrote.{timed}"
    reason = (
        f"{nothing}, and of {len(files)} files that were written {len(other)} are not equal: {shown(other)}. "
        f"Whether the result is, bytes cannot tell: {_NAME_ONE}."
    )
    return VerdictLevel.NOT_COMPARABLE, reason


def but_for_times(files: Mapping[str, str]) -> str:
    """Say, as a sentence with a space before it, which are equal only without the times of their runs."""
    timed = [path for path, word in files.items() if word == SAME_BUT_TIMES]
    return f" Equal but for the times and the folder of the run: {shown(timed)}." if timed else ""


def shown(names: Sequence[str]) -> str:
    """Give the first few names."""
    return ", ".join(names[:_SHOWN]) + (", …" if len(names) > _SHOWN else "")
