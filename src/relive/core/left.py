"""Compare the files that two runs left without declaring them: evidence where there is no other."""

from collections.abc import Mapping, Sequence
from typing import Final

from relive.core.timestamps import pair_by_name
from relive.core.trajectory import VerdictLevel

SAME_BYTES: Final = "same bytes"
DIFFERS: Final = "differs"
ONLY_RECORDED: Final = "not written by the replay"
ONLY_REPLAYED: Final = "written by the replay alone"
_SHOWN: Final = 4


def compare_files(recorded: Mapping[str, str], replayed: Mapping[str, str]) -> dict[str, str]:
    """Compare files that were left undeclared, path to digest; what has no digest is left out.

    One whose name holds the time of its run is compared with the replay's of the same name but for that.
    """
    gone, new = sorted(recorded.keys() - replayed.keys()), sorted(replayed.keys() - recorded.keys())
    pairs = pair_by_name(gone, new)
    renamed = {other: path for path, other in pairs.items()}
    replayed = {renamed.get(path, path): digest for path, digest in replayed.items()}
    words: dict[str, str] = {}
    for path in sorted(recorded.keys() | replayed.keys()):
        one, other = recorded.get(path), replayed.get(path)
        if one is None or other is None:
            words[path] = ONLY_REPLAYED if one is None else ONLY_RECORDED
        elif one and other:
            words[path] = SAME_BYTES if one == other else DIFFERS
    return words


def level_of_files(files: dict[str, str]) -> tuple[VerdictLevel, str]:
    """Judge by the files alone: equal ones are equal results, of others nobody knows."""
    nothing = "The run recorded no metric, no out and no step to compare"
    if not files:
        return VerdictLevel.NOT_COMPARABLE, f"{nothing}."
    other = [f"{path} ({word})" for path, word in files.items() if word != SAME_BYTES]
    if not other:
        count = f"{len(files)} {'file' if len(files) == 1 else 'files'}"
        return VerdictLevel.BIT_EXACT, f"Equal: {count} that it wrote."
    reason = (
        f"{nothing}, and of {len(files)} files that were written {len(other)} are not equal: {shown(other)}. "
        "Whether the result is, bytes cannot tell: name a metric (--metrics FILE) or an out (--out PATH)."
    )
    return VerdictLevel.NOT_COMPARABLE, reason


def shown(names: Sequence[str]) -> str:
    """Give the first few names."""
    return ", ".join(names[:_SHOWN]) + (", …" if len(names) > _SHOWN else "")
