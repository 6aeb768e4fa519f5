"""`relive doctor`: is everything there that relive stands on?"""

import importlib.metadata
import os
import platform
import shutil
import sys
from collections.abc import Iterator
from typing import Final

import click

from relive import __version__, settings
from relive.capture.recorder import landlock
from relive.cli.output import escape, json_option, out, print_json
from relive.client.credentials import find_hub
from relive.client.hub import connect
from relive.errors import ReliveError
from relive.runner.hermetic import no_recorder

Check = tuple[str, bool, str]

_OFFLINE: Final = "the network of `relive replay --offline`"


@click.command()
@json_option
def doctor(as_json: bool) -> None:
    """Check this machine and the hub; exits with 1 if something is missing, and says what to do.

    \b
    Example:
      relive doctor
    """
    checks = [*_machine(), *_hub()]
    if as_json:
        print_json([{"check": name, "ok": ok, "detail": detail} for name, ok, detail in checks])
    else:
        for name, ok, detail in checks:
            out.print(f"{'[green]✓[/]' if ok else '[red]✗[/]'} {name:<12} {escape(detail)}")
    if not all(ok for _, ok, _ in checks):
        raise SystemExit(1)


def _machine() -> Iterator[Check]:
    yield "relive", True, f"{__version__}, Python {platform.python_version()} at {sys.executable}"
    git = shutil.which("git")
    yield "git", git is not None, git or "not found: install git"
    yield "uv", *_uv()
    yield "walls", True, _walls()
    home = os.path.abspath(settings.home())
    existing = home
    while not os.path.exists(existing):
        existing = os.path.dirname(existing)
    free = shutil.disk_usage(existing).free
    reserve = settings.get_int("RELIVE_RESERVE_MIB") << 20
    yield (
        "disk",
        free > reserve,
        f"{free / 2**30:.1f} GiB free for {home} (RELIVE_RESERVE_MIB keeps {reserve >> 20} MiB)",
    )


def _walls() -> str:
    """Say what holds a hermetic run here; a kernel that has less is told of, and no fault."""
    wall = landlock.version()
    why = no_recorder()
    kernel = f"Landlock {wall}" if wall else "no Landlock"
    if not why:
        rest = "" if wall else ": it keeps honest programs honest, and is no border for others"
        held = f"hermetic stages are held{rest}"
        return f"{kernel}, seccomp user notification: every open is recorded, {held}; {_OFFLINE} is shut"
    hold = (
        "Landlock alone holds hermetic stages, folder by folder" if wall else "hermetic stages are not held"
    )
    opens = f"only Python's opens are recorded, {hold}"
    return f"{kernel}, no seccomp user notification ({why}): {opens}; {_OFFLINE} stays open"


def _uv() -> tuple[bool, str]:
    on_path = shutil.which("uv")
    if on_path:
        return True, on_path
    try:
        return True, f"{importlib.metadata.version('uv')} from this environment"
    except importlib.metadata.PackageNotFoundError:
        return False, "not found: pip install 'relive[runner]'"


def _hub() -> Iterator[Check]:
    try:
        address = find_hub()
        info = connect().get_info()
    except ReliveError as error:
        yield "hub", False, str(error).replace("\n", " ")
        return
    yield (
        "hub",
        True,
        f"relive {info.version} at {address}, {info.database}, store {info.store}, auth {info.auth}",
    )
