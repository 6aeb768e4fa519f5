"""The ways in which chance enters a program that a preflight knows, and what of each is not looked into."""

import ast
import os
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Final

import msgspec

from relive.runner.variables import fixed_variables

_MOST_PLACES: Final = 3
_MOST_FILES: Final = 200

Notes = frozenset[tuple[str, str]]


class Chance(msgspec.Struct, frozen=True, kw_only=True):
    """One way in which chance enters a program.

    Attributes:
        key: As the probe knows it; for those of the environment our own word.
        what: For people.
        fix: What takes it away.
        variables: Set to take it away; for the others the probe does it.
    """

    key: str
    what: str
    fix: str
    variables: dict[str, str] = {}


class Cause(msgspec.Struct, frozen=True, kw_only=True):
    """What makes two runs differ: where it was seen, as FILE:LINE, and what takes it away."""

    what: str
    fix: str
    where: tuple[str, ...] = ()


HASH: Final = Chance(
    key="hash",
    what="the order of sets, and whatever else hash() decides",
    fix="set PYTHONHASHSEED=0, as `relive run` and every stage do, or go through sorted(a_set)",
    variables={"PYTHONHASHSEED": "0"},
)
THREADS: Final = Chance(
    key="threads",
    what="the number of threads, or the order in which they come",
    fix="set OMP_NUM_THREADS=1, MKL_NUM_THREADS=1 and OPENBLAS_NUM_THREADS=1",
    variables={name: value for name, value in fixed_variables(1).items() if name != "PYTHONHASHSEED"},
)
CHANCES: Final = (
    Chance(key="random", what="`random` without a seed", fix="random.seed(0)"),
    Chance(key="instance", what="a `random.Random()` without a seed", fix="random.Random(0)"),
    Chance(
        key="numpy",
        what="NumPy's global generator without a seed",
        fix="numpy.random.seed(0), or random_state=0 where a library takes it",
    ),
    Chance(key="generator", what="a NumPy generator without a seed", fix="numpy.random.default_rng(0)"),
    Chance(key="torch", what="PyTorch's generators without a seed", fix="torch.manual_seed(0)"),
    Chance(key="listing", what="the order in which a folder is listed", fix="sorted(os.listdir(...))"),
    HASH,
    Chance(key="entropy", what="os.urandom, as uuid4 and secrets use it", fix="derive it from a seed"),
    Chance(key="device", what="bytes of /dev/urandom", fix="random.Random(0).randbytes(...)"),
    Chance(key="clock", what="the time of day", fix="pass the time as a parameter"),
    Chance(
        key="cuda",
        what="algorithms on the GPU",
        fix="torch.backends.cudnn.benchmark = False; torch.use_deterministic_algorithms(True); "
        "CUBLAS_WORKSPACE_CONFIG=:4096:8",
        variables={"CUBLAS_WORKSPACE_CONFIG": ":4096:8"},
    ),
    THREADS,
)
_RACE: Final = Chance(
    key="threads started",
    what="threads that come in another order each time",
    fix="take results in the order of the tasks (executor.map, not as_completed), or one worker",
)
_PROGRAM: Final = Chance(
    key="programs",
    what="a program that it starts, and that is not looked into",
    fix="run `relive preflight` on that program alone",
)


def may_be(chance: Chance, notes: Notes) -> bool:
    """Tell whether a chance can have entered: what was seeded, set or never used cannot."""
    kinds = {kind for kind, _ in notes}
    if chance is HASH:
        return os.environ.get("PYTHONHASHSEED", "random") == "random"
    if chance is THREADS:
        return any(os.environ.get(name) != value for name, value in THREADS.variables.items())
    if chance.key in ("numpy", "torch"):
        # Libraries draw from the global generators without a call that could be seen.
        return f"imports {chance.key}" in kinds and f"seeded {chance.key}" not in kinds
    return chance.key in kinds and f"seeded {chance.key}" not in kinds


def cause_of(chance: Chance, notes: Notes, command: Sequence[str], folder: Path) -> Cause:
    """Say where a chance was seen to enter; of sets, which no call tells of, where the code makes one."""
    where = sorted({where for kind, where in notes if kind == chance.key and where})
    if chance is HASH:
        where = list(lines_with_sets(command, folder))
    return Cause(what=chance.what, fix=chance.fix, where=tuple(where[:_MOST_PLACES]))


def suspects(notes: Notes) -> tuple[Cause, ...]:
    """Name what was seen and cannot be taken away from outside: nobody has shown that it is the cause."""
    kinds = {kind for kind, _ in notes}
    found = [chance for chance in (_RACE, _PROGRAM) if chance.key in kinds]
    return tuple(cause_of(chance, notes, (), Path()) for chance in found)


def unexamined(notes: Notes, *, times: int, steps: int, is_cut: bool) -> tuple[str, ...]:
    """Say what this preflight has not looked at.

    Args:
        times: How often each state was run.
        steps: How many steps were asked for.
        is_cut: Whether a run was ended before its end.
    """
    return tuple(_unexamined({kind for kind, _ in notes}, times=times, steps=steps, is_cut=is_cut))


def _unexamined(kinds: set[str], *, times: int, steps: int, is_cut: bool) -> Iterator[str]:
    if "python" not in kinds:
        yield "anything but what it printed: it started no Python that could be looked into"
        return
    if is_cut:
        yield f"what comes after the first {steps} steps, or after the time that was given"
    yield f"chance that came out the same {times} times (--times N runs each state more often)"
    yield "what compiled code draws by itself, and races of its threads"
    yield "the date alone, timers, process ids, addresses of objects (in a repr), names of temporary files"
    if _PROGRAM.key in kinds:
        yield "programs that it started and that are no Python"
    if "cuda" not in kinds:
        yield "GPUs: it used none through PyTorch"
    yield "other machines, other versions of packages, other data"


def lines_with_sets(command: Sequence[str], folder: Path) -> Iterator[str]:
    """Give the lines of a command's own code that make a set or ask for a hash: script, `-c`, modules."""
    waiting = list(_entry(command, folder))
    seen: set[str] = set()
    while waiting and len(seen) < _MOST_FILES:
        name, source, beside = waiting.pop(0)
        if name in seen:
            continue
        seen.add(name)
        try:
            tree = ast.parse(source)
        except (SyntaxError, ValueError):
            continue
        for line in sorted({it.lineno for it in ast.walk(tree) if isinstance(it, ast.expr) and _makes(it)}):
            yield f"{name}:{line}"
        for imported in _imported(tree):
            waiting += _module(beside, imported, folder)


def _entry(command: Sequence[str], folder: Path) -> Iterable[tuple[str, str, Path]]:
    words = list(command)
    if "-c" in words[:-1]:
        return [("<string>", words[words.index("-c") + 1], folder)]
    if "-m" in words[:-1]:
        return _module(folder, words[words.index("-m") + 1], folder)
    scripts = [folder / word for word in words if word.endswith(".py") and (folder / word).is_file()]
    return [_read(script, script.parent, folder) for script in scripts[:1]]


def _module(beside: Path, name: str, folder: Path) -> list[tuple[str, str, Path]]:
    place = beside.joinpath(*name.split("."))
    files = [place.with_suffix(".py"), place / "__init__.py", place / "__main__.py"]
    return [_read(file, beside, folder) for file in files if file.is_file()]


def _read(file: Path, beside: Path, folder: Path) -> tuple[str, str, Path]:
    return os.path.relpath(file, folder), file.read_text(encoding="utf-8", errors="replace"), beside


def _imported(tree: ast.AST) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            yield node.module


def _makes(node: ast.expr) -> bool:
    if isinstance(node, ast.Call):
        return isinstance(node.func, ast.Name) and node.func.id in ("set", "frozenset", "hash")
    return isinstance(node, ast.Set | ast.SetComp)
