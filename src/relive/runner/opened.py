"""What the commands opened: where the recorder writes it, and what is said of it when they have ended."""

import json
import re
import shlex
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from relive import settings
from relive.capture.recorder.borders import Borders, environment_folders
from relive.capture.recorder.reads import MOST_READS, Opened, find_undeclared, read_opened
from relive.core.recipe import READ_HINTS, UndeclaredRead
from relive.formats.manifest_io import HashCache

_SHOWN: Final = 10
_OURS: Final = Path(settings.__file__).parent
# A path that YAML takes for nothing but a text; in quotes every other is one, too.
_PLAIN: Final = re.compile(r"[A-Za-z_][\w./+-]*[./_-][\w./+-]*")


@dataclass(frozen=True)
class Watched:
    """What was seen of a run's opens.

    Attributes:
        opened: All of it.
        reads: Of it what was not declared.
        notes: Sentences about what could not be seen.
    """

    opened: Opened
    reads: tuple[UndeclaredRead, ...] = ()
    notes: tuple[str, ...] = ()


def record_file(folder: Path) -> Path | None:
    """Give the file to which the recorder of a run in this folder writes; None if it is switched off."""
    return folder / "opened.jsonl" if settings.get("RELIVE_RECORDER") != "off" else None


def look_at_opened(file: Path | None, borders: Borders, lines: Mapping[str, str]) -> Watched:
    """Read what the recorder wrote, and find what was read without being declared.

    Args:
        file: That it wrote; None if it was left away.
        borders: Where the run's own things end.
        lines: Real path of a file to the line of the program that opened it.
    """
    if file is None:
        return Watched(Opened(), notes=("Opens were not recorded: RELIVE_RECORDER is off.",))
    opened = read_opened(file)
    hashes = HashCache(Path(settings.cache()) / "hashes.msgpack")
    reads = tuple(find_undeclared(opened, borders, hashes, lines))
    hashes.save()
    return Watched(opened, reads, tuple(_notes(opened, reads)))


def _notes(opened: Opened, reads: tuple[UndeclaredRead, ...]) -> Iterator[str]:
    if len(reads) == MOST_READS:
        yield f"Of the files that were read without being declared only {MOST_READS} are listed."
    if opened.unavailable:
        yield f"Opens were not recorded: {opened.unavailable}."
    elif not opened.is_whole:
        why = f" ({'; '.join(sorted(opened.blind)[:_SHOWN])})" if opened.blind else ""
        yield f"Not every open was recorded: some may have been read that are not listed{why}."
    if opened.folders:
        yield f"So many files were opened that of {len(opened.folders)} folders only the name is known."


def told(reads: tuple[UndeclaredRead, ...]) -> str:
    """Say for the run's log what was read and not declared; empty if nothing was."""
    if not reads:
        return ""
    lines = ["relive: read, but not declared:"]
    for belongs, hint in READ_HINTS.items():
        found = [_with_line(read) for read in reads if read.belongs == belongs]
        if found:
            lines.append(f"relive:   {_listed(found)} ({hint})")
    return "\n".join(lines) + "\n"


def in_short(reads: tuple[UndeclaredRead, ...]) -> str:
    """Say it in one sentence, for those who look at many runs; empty if nothing was read."""
    return f"read, but not declared: {_listed([read.path for read in reads])}" if reads else ""


def demand(reads: tuple[UndeclaredRead, ...], *, option: bool) -> str:
    """Say why a hermetic run failed, and what to add so that it does not.

    Args:
        reads: What it was not given; at least one.
        option: Whether inputs are declared by `--dep`, and not in a relive.yaml.
    """
    to_declare = ("commit", "ignored") if option else ("commit",)
    inside = [read.path for read in reads if read.belongs in to_declare]
    lines = [in_short(reads)]
    if inside and option:
        lines.append(
            "declare what it reads: " + " ".join(f"--dep {shlex.quote(path)}" for path in inside[:_SHOWN])
        )
    elif inside:
        lines.append("declare what it reads, in relive.yaml under the stage's `deps`:")
        lines += [f"  - {_in_yaml(path)}" for path in inside[:_SHOWN]]
    for belongs, hint in READ_HINTS.items():
        found = [read.path for read in reads if read.belongs == belongs]
        if found and belongs not in to_declare:
            lines.append(f"{_listed(found)}: {hint}")
    return "\n".join(lines)


def _in_yaml(path: str) -> str:
    return path if _PLAIN.fullmatch(path) else json.dumps(path, ensure_ascii=False)


def _with_line(read: UndeclaredRead) -> str:
    return f"{read.path} at {read.line}" if read.line else read.path


def _listed(paths: list[str]) -> str:
    more = f" and {len(paths) - _SHOWN} more" if len(paths) > _SHOWN else ""
    return ", ".join(paths[:_SHOWN]) + more


def environment_of(prefixes: list[Path], *folders: Path) -> tuple[str, ...]:
    """Give the folders whose files are the environment's, relive's own among them."""
    cache = Path(settings.cache())
    # A run within the run reads relive itself, and what it knows of files.
    return environment_folders(prefixes, _OURS, cache / "agent", cache / "hashes.msgpack", *folders)
