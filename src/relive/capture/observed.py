"""The observed part of a recipe: what was seen of a run, put together once its processes have ended."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from relive.capture.environment import imported_modules, read_distributions, read_interpreter
from relive.capture.hardware import read_hardware
from relive.capture.libraries import read_libraries
from relive.capture.recorder.reads import Opened, printable
from relive.capture.secrets import mask_text, masked_param, recorded_variables
from relive.capture.system_packages import unread_manager
from relive.capture.threads import read_threads
from relive.core.recipe import (
    Distribution,
    Hardware,
    Interpreter,
    Observed,
    ParsedParam,
    Uncommitted,
    UndeclaredRead,
    WrittenFile,
)
from relive.formats.spool import SpoolContents, SpooledProcess
from relive.formats.spool_records import ProcessStart

_MOST_NOTES = 100
_LIBRARY = re.compile(r"\.so(\.[0-9]+)*$")


@dataclass(frozen=True)
class Outside:
    """What was seen of a run from outside its processes.

    Attributes:
        changed: Declared inputs whose bytes changed while it ran.
        opened: What the recorder saw; of no tree if there was none.
        reads: Of that, the files that were read and not declared.
        written: Files that it left without declaring them.
        isolation: The walls that held it, "none" without any.
        hermetic: Whether nothing can have gone past them.
        network: Whether they left every address open all the same.
        tree: The code it ran in.
        unpushed: Whether no remote is known to have its commit.
        uncommitted: What of its code was in no commit.
    """

    changed: Iterable[str] = ()
    opened: Opened = field(default_factory=Opened)
    reads: tuple[UndeclaredRead, ...] = ()
    written: tuple[WrittenFile, ...] = ()
    isolation: str = "none"
    hermetic: bool = False
    network: bool = False
    tree: Path | None = None
    unpushed: bool = False
    uncommitted: Uncommitted = field(default_factory=Uncommitted)


def observe(
    spool: SpoolContents,
    environ: Mapping[str, str],
    *,
    prefix: Path | None = None,
    hardware: Hardware | None = None,
    outside: Outside | None = None,
) -> Observed:
    """Put together what was seen of a run.

    Args:
        spool: What its processes recorded.
        environ: The environment variables that its command was given.
        prefix: The Python environment it ran in; without it, that of its first process.
        hardware: The machine, if it was read already.
        outside: What was seen from outside its processes.
    """
    outside = outside or Outside()
    started = [process for process in spool.processes if process.start is not None]
    first = started[0].start if started else None
    if prefix is None and first is not None and first.prefix:
        prefix = Path(first.prefix)
    paths = {path for process in started if process.exit for path in process.exit.libraries}
    paths |= {path for path in outside.opened.reads if _is_library(path)}  # also of what is not Python
    return Observed(
        hardware=hardware or read_hardware(),
        interpreter=_interpreter(prefix, first, outside.tree) if prefix else None,
        distributions=_distributions(prefix, started, outside.tree) if prefix else (),
        libraries=read_libraries(sorted(paths)),
        variables=recorded_variables(environ, spool.asked),
        threads=read_threads(started),
        random=_random(started),
        parsed=_parsed(spool),
        unpushed=outside.unpushed,
        uncommitted=outside.uncommitted,
        changed=tuple(sorted(outside.changed)),
        reads=outside.reads,
        written=outside.written,
        addresses=tuple(sorted(outside.opened.addresses)),
        completeness=_completeness(outside.opened, started),
        isolation=outside.isolation,
        hermetic=outside.hermetic,
        network=outside.network,
        notes=_notes(spool, started),
    )


def _interpreter(prefix: Path, first: ProcessStart | None, tree: Path | None) -> Interpreter | None:
    return read_interpreter(prefix, first.python if first else "", tree)


def _distributions(
    prefix: Path, started: list[SpooledProcess], tree: Path | None
) -> tuple[Distribution, ...]:
    return read_distributions(prefix, imported_modules(started, prefix), tree)


def _is_library(path: str) -> bool:
    return bool(_LIBRARY.search(path)) and printable(path) == path


def _completeness(opened: Opened, started: list[SpooledProcess]) -> str:
    if opened.is_whole:
        return "full"
    return "python-only" if started else "partial"


def _random(processes: list[SpooledProcess]) -> dict[str, Any]:
    """Give the random generators' states at the end of the first process that trained, or of the first."""
    ended = [process for process in processes if process.exit is not None]
    chosen = next((process for process in ended if process.steps), ended[0] if ended else None)
    return chosen.exit.random if chosen is not None and chosen.exit is not None else {}


def _parsed(spool: SpoolContents) -> tuple[ParsedParam, ...]:
    """Give what the parsers gave, without what could be a secret."""
    return tuple(
        ParsedParam(name=name, value=masked_param(name, it.v), origin=it.by)
        for name, it in sorted(spool.parsed.items())
    )


def _notes(spool: SpoolContents, started: list[SpooledProcess]) -> tuple[str, ...]:
    notes = [mask_text(note) for note in spool.notes[:_MOST_NOTES]]
    if not started:
        notes.append("No Python process recorded itself: libraries, threads and steps are unknown.")
    unfinished = sum(process.exit is None and not _is_forked(process) for process in started)
    if unfinished:
        notes.append(
            f"{unfinished} of {len(started)} Python processes ended without a report (killed, or os._exit): "
            "their libraries and threads are unknown."
        )
    if manager := unread_manager():
        notes.append(f"The operating system's packages are not named: the lists of {manager} are not read.")
    if spool.damaged:
        notes.append(f"{spool.damaged} records were damaged and are missing.")
    return tuple(notes)


def _is_forked(process: SpooledProcess) -> bool:
    # Forked workers end by os._exit as a rule; what they mapped, their parent had mapped.
    return process.start is not None and process.start.forked
