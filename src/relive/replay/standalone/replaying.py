"""Replay the run of an archive: make its world, run its command, and gather what there is to compare."""

import csv
import hashlib
import io
import json
import os
import platform
import shutil
import subprocess
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from .contents import Archive, CannotMake
from .environment import make_environment
from .judging import SAME_BYTES, compare, judge
from .spooled import Step, read_spool, read_steps
from .world import lay_tree, variables, working_folder

_LOG_END: Final = 300


@dataclass
class Repeated:
    """What came of a replay.

    Attributes:
        failure: Why it did not come to its end; empty if it did.
        outs: Path of each recorded out to "same bytes" or "differs".
        notes: What was different on this machine, and what could not be read.
    """

    failure: str = ""
    metrics: dict[str, float] = field(default_factory=dict)
    steps: list[Step] = field(default_factory=list)
    outs: dict[str, str] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)


def repeat(archive: Archive, folder: Path, *, python: str = "", quiet: bool = False) -> Repeated:
    """Run the archive's command in its own world.

    Args:
        folder: Empty; the world is made in it, and it is not removed.
        python: Interpreter to use; empty to look for one.
        quiet: Do not show what the command prints.

    Raises:
        CannotMake: This machine lacks something.
        ArchiveError: The archive is damaged.
    """
    document = archive.document
    if document["lacking"]:
        raise CannotMake("; ".join(document["lacking"]))
    prefix, tree = folder / "environment", folder / "tree"
    interpreter = make_environment(archive, prefix, python)
    lack = lay_tree(archive, tree, has_repository=True)
    environ = variables(archive, folder, prefix, interpreter.environ(os.environ))
    found = Repeated(notes=[*_other_machine(document, interpreter.version), *([lack] if lack else [])])
    with open(folder / "log.txt", "wb") as log:
        output = log if quiet else None
        code = subprocess.run(
            _shell(document["command"]),
            cwd=working_folder(tree, document["workdir"]),
            env=environ,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT if quiet else None,
            check=False,
        ).returncode
    if code:
        said = (folder / "log.txt").read_bytes()[-_LOG_END:].decode(errors="replace").strip()
        found.failure = f"the command ended with exit code {code}" + (f": {said}" if said else "")
        return found
    spooled = read_spool(folder / "spool")
    found.metrics, found.steps = spooled.metrics, spooled.steps
    for path in document["metrics_files"]:
        found.metrics |= _read_metrics(tree / path, path, found.notes)
    found.outs = {
        path: _compare_out(tree, path, entries) for path, entries in document["record"]["outs"].items()
    }
    return found


def verdict_of(archive: Archive, repeated: Repeated) -> dict[str, Any]:
    """Judge a replay by the record in the archive."""
    record = archive.document["record"]
    if repeated.failure:
        verdict = {"level": "unresolved", "reason": f"The replay itself failed: {repeated.failure}"}
    else:
        recorded = {key: float.fromhex(value) for key, value in record["metrics"].items()}
        steps = (
            compare(read_steps(archive.read(record["steps"])), repeated.steps) if record["steps"] else None
        )
        unread = set(record["unread_metrics"])
        replayed = {key: value for key, value in repeated.metrics.items() if key not in unread}
        verdict = judge(recorded, replayed, steps, repeated.outs)
    return {
        **verdict,
        "run_id": archive.document["run"]["id"],
        "archive": archive.digest,
        "notes": [*repeated.notes, *record["notes"]],
    }


def _shell(command: str) -> list[str]:
    bash = shutil.which("bash")
    return [bash, "-eo", "pipefail", "-c", command] if bash else ["/bin/sh", "-e", "-c", command]


def _other_machine(document: dict[str, Any], version: str) -> list[str]:
    notes = []
    if version != document["environment"]["python"]:
        notes.append(f"Python {version} in the place of {document['environment']['python']}")
    here, there = cpu_model(), document["machine"]["cpu_model"]
    if here and there and here != there:
        notes.append(f"the record was made on {there}, this is {here}")
    return notes


def cpu_model() -> str:
    """Give the name of this machine's processor; empty if the kernel does not say."""
    try:
        text = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return platform.processor()
    names = (line.partition(":")[2].strip() for line in text.splitlines() if line.startswith("model name"))
    return next(names, "")


def _compare_out(tree: Path, path: str, entries: list[dict[str, Any]]) -> str:
    """Compare an out with the record, file by file."""
    there = sorted(_files(tree, path))
    if there != sorted(entry["path"] for entry in entries):
        return "differs"
    for entry in entries:
        place = tree / entry["path"]
        if "link" in entry:
            same = place.is_symlink() and os.readlink(place) == entry["link"]
        else:
            same = _sha256(place) == entry["sha256"]
        if not same:
            return "differs"
    return SAME_BYTES


def _files(tree: Path, path: str) -> Iterator[str]:
    start = tree / path
    if start.is_symlink() or not start.is_dir():
        yield from [os.path.relpath(start, tree)] if os.path.lexists(start) else []
        return
    for folder, folders, names in os.walk(start):
        links = [name for name in folders if os.path.islink(os.path.join(folder, name))]
        yield from (os.path.relpath(os.path.join(folder, name), tree) for name in [*names, *links])


def _sha256(path: Path) -> str:
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _read_metrics(file: Path, path: str, notes: list[str]) -> dict[str, float]:
    """Read the numbers of a metrics file under dotted names; one that cannot be read is noted."""
    reader = _READERS.get(path.rpartition(".")[2])
    if reader is None:
        return {}  # the record names what is not compared
    try:
        tree = reader(file.read_text(encoding="utf-8-sig"))
    except (OSError, ValueError, csv.Error) as error:
        notes.append(f"{path}: {error}")
        return {}
    return {name: float(value) for name, value in _leaves("", tree) if isinstance(value, int | float)}


def _leaves(prefix: str, tree: Any) -> Iterator[tuple[str, Any]]:
    if not isinstance(tree, dict):
        yield prefix, tree
        return
    for key, value in tree.items():
        yield from _leaves(f"{prefix}.{key}" if prefix else str(key), value)


def _read_table(text: str, delimiter: str) -> dict[str, Any]:
    rows = [row for row in csv.reader(io.StringIO(text), delimiter=delimiter) if any(map(str.strip, row))]
    if len(rows) < 2:
        return {}
    return {name.strip(): _cell(cell) for name, cell in zip(rows[0], rows[-1], strict=True)}


def _cell(text: str) -> float | str:
    word = text.strip().lower()
    if word in ("true", "false"):
        return float(word == "true")
    try:
        return float(word.replace("_", "?"))  # "1_000" is a number to Python alone
    except ValueError:
        return text


_READERS: Final[dict[str, Any]] = {
    "json": json.loads,
    "toml": tomllib.loads,
    "csv": lambda text: _read_table(text, ","),
    "tsv": lambda text: _read_table(text, "\t"),
}
