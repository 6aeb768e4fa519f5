"""What a hermetic run may read, write and reach: written down for the two walls that hold it to that.

An offline replay is kept from the network alone, by one of them.

docs/design/hermetic.md says why there are two, and what each holds.
"""

import ipaddress
import json
import os
import shutil
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

from relive.capture.recorder import landlock
from relive.capture.recorder.borders import Borders, program_roots, system_folders
from relive.capture.recorder.reads import Opened, printable
from relive.runner.commands import CommandPlan
from relive.runner.opened import environment_of
from relive.runner.supervisor import start_line

# The name of the wall that keeps a run from the network, and from nothing else.
NETWORK: Final = "network"
_DNS_PORT: Final = 53
_SHOWN: Final = 10
# What a program does with a device, and with its own entry (its name, its score when memory is short).
_WRITABLE: Final = ("/dev", "/proc")
# Each names a folder of the person or the machine; without them programs take the home.
_NAMES_FOLDER: Final = ("TMP", "TEMP", "XDG_CACHE_HOME", "XDG_CONFIG_HOME", "XDG_DATA_HOME", "XDG_STATE_HOME")


@dataclass(frozen=True)
class Walls:
    """What held a run to its declared inputs.

    Attributes:
        names: Joined by "+"; "none" without any.
        hold: Whether nothing can have gone past them.
        notes: Sentences about what they refused, and why they did not hold.
    """

    names: str = "none"
    hold: bool = False
    notes: tuple[str, ...] = ()

    @property
    def told(self) -> str:
        """Give the notes as lines for the run's log."""
        return "".join(f"relive: {note}\n" for note in self.notes)


def confine(plan: CommandPlan, borders: Borders, folder: Path, *, network: bool) -> CommandPlan:
    """Give the plan of commands that get nothing but what lies within the borders.

    Args:
        plan: Of the same commands without walls.
        borders: Of the run, as they are before it starts.
        folder: The run's own; a home and a place for passing files are made in it.
        network: Whether all addresses may be reached, and not the hub's alone.
    """
    scratch = folder / "scratch"
    home, temporary = scratch / "home", scratch / "tmp"
    for own in (home, temporary):
        own.mkdir(parents=True, exist_ok=True)
    environment = {name: value for name, value in plan.environment.items() if name not in _NAMES_FOLDER}
    environment |= {"HOME": str(home), "TMPDIR": str(temporary)}
    known = replace(borders, environment=_environment(plan, borders, folder))
    spool = plan.environment.get("RELIVE_SPOOL_DIR", "")
    own_folders = [str(scratch), *([spool] if spool else [])]
    policy = {
        "borders": known.as_document(),
        "folders": own_folders,
        "network": network,
        "addresses": sorted(_addresses(plan.environment.get("RELIVE_HUB", ""))),
        "readable": [*system_folders(), *known.environment],
        "writable": [*own_folders, str(borders.tree), *_WRITABLE],
    }
    file = folder / "policy.json"
    file.write_text(json.dumps(policy))
    return replace(plan, environment=environment, policy=file)


def unplug(plan: CommandPlan, borders: Borders, folder: Path) -> CommandPlan:
    """Give the plan of commands that reach no network but the hub, and every file as before.

    Args:
        plan: Of the same commands with the network.
        folder: The run's own.
    """
    policy = {
        "borders": borders.as_document(),
        "folders": [],
        "network": False,
        "addresses": sorted(_addresses(plan.environment.get("RELIVE_HUB", ""))),
        "all_files": True,
    }
    file = folder / "policy.json"
    file.write_text(json.dumps(policy))
    return replace(plan, policy=file)


def network_wall_of(opened: Opened) -> Walls:
    """Say whether the network was kept from a run that has ended, and what of it was refused."""
    refused = sorted(opened.refused - {"io_uring"})  # whoever uses that has another way
    notes = [f"Refused without a network: {_listed(refused)}."] if refused else []
    if not opened.is_whole:
        why = opened.unavailable or "; ".join(sorted(opened.blind)) or "not every call was seen"
        notes.append(f"Its network was not walled off: {why}.")
    return Walls(names=NETWORK if opened.is_whole else "none", notes=tuple(notes))


def no_recorder() -> str:
    """Say why calls cannot be answered by the recorder here, by trying it elsewhere; empty if they can."""
    tried = subprocess.run(start_line("capture.recorder.seccomp"), capture_output=True, text=True)
    return tried.stderr.strip().rpartition("\n")[2] if tried.returncode else ""


def walls_of(plan: CommandPlan, opened: Opened) -> Walls:
    """Say which walls held a run that has ended, and whether nothing can have gone past them."""
    if plan.policy is None:
        return Walls()
    is_answered = opened.begun > 0
    names = [name for name, held in (("landlock", landlock.version() > 0), ("seccomp", is_answered)) if held]
    notes = list(_refusals(opened))
    if not opened.is_whole:
        why = opened.unavailable or "; ".join(sorted(opened.blind)) or "not every open was seen"
        notes.append(f"Not held to its declared inputs: {why}.")
    return Walls(names="+".join(names) or "none", hold=opened.is_whole, notes=tuple(notes))


def _refusals(opened: Opened) -> Iterator[str]:
    """Say what was refused and fails no run, and what allows it; files to be read are told as such."""
    others = sorted(opened.refused - opened.reads.keys())
    files = [name for name in others if name.startswith("/")]
    addresses = [name for name in others if not name.startswith("/") and name != "io_uring"]
    if addresses:
        yield f"Refused: {_listed(addresses)} (`network: true` in relive.yaml, or --network, allows it)."
    if files:
        yield f"Refused to write: {_listed(files)} (write into the repository, $HOME or $TMPDIR)."


def _listed(names: list[str]) -> str:
    more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    return ", ".join(map(printable, names[:_SHOWN])) + more


def _environment(plan: CommandPlan, borders: Borders, folder: Path) -> tuple[str, ...]:
    """Give the folders of everything that is installed for the command: what it finds without a path."""
    search = plan.environment.get("PATH", os.defpath)
    programs = {os.path.join(place, "any") for place in search.split(os.pathsep) if place.startswith("/")}
    programs |= set(_first_words(plan, search))
    keep_out = (str(borders.tree), os.path.expanduser("~"), str(folder))
    roots = program_roots(programs, keep_out=keep_out)
    prefixes = {Path(root).parent for root in roots} | {Path(sys.base_prefix)}
    libraries = plan.environment.get("LD_LIBRARY_PATH", "").split(os.pathsep)
    pythons = [prefix for prefix in prefixes if (prefix / "bin" / "python").exists()]
    found = {*borders.environment, *roots, *environment_of(pythons)}
    return tuple(sorted({place for place in (*found, *libraries) if place.startswith("/")}))


def _first_words(plan: CommandPlan, search: str) -> Iterator[str]:
    for command in plan.commands:
        if isinstance(command, tuple):
            found = shutil.which(
                str(plan.workdir / command[0]) if "/" in command[0] else command[0], path=search
            )
            if found:
                yield os.path.abspath(found)


def _addresses(hub: str) -> Iterator[str]:
    """Give the hub's addresses, and those of who knows them if it has a name."""
    parts = urlsplit(hub)
    if not parts.hostname:
        return
    port = parts.port or (443 if parts.scheme == "https" else 80)
    with suppress(OSError):  # who cannot be found is not reached either
        for *_, address in socket.getaddrinfo(parts.hostname, port, type=socket.SOCK_STREAM):
            yield _written(str(address[0]), port)
    if parts.hostname != "localhost" and not _is_number(parts.hostname):
        yield from (_written(server, _DNS_PORT) for server in _name_servers())


def _name_servers() -> list[str]:
    try:
        lines = Path("/etc/resolv.conf").read_text(errors="replace").splitlines()
    except OSError:
        return []
    words = [line.split() for line in lines]
    return [word[1] for word in words if len(word) > 1 and word[0] == "nameserver" and _is_number(word[1])]


def _is_number(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True


def _written(host: str, port: int) -> str:
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
