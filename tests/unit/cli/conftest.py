"""The command line against a hub on a real port, in this process: as typed, without the start-up."""

import io
import json
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from relive.cli.main import main
from tests.support.bench import Bench, open_bench, quick_folder
from tests.support.live import LiveHub, served


@dataclass(frozen=True)
class Said:
    """What a command printed, and how it ended."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        """Read what was printed as JSON."""
        return json.loads(self.out, parse_constant=_refuse)

    @property
    def lines(self) -> list[str]:
        """Give the lines that were printed."""
        return self.out.splitlines()


def _refuse(word: str) -> Any:
    raise AssertionError(f"{word} is no JSON")


class Shell:
    """Runs relive's commands."""

    def __init__(self, capfd: pytest.CaptureFixture[str], patch: pytest.MonkeyPatch) -> None:
        self._capfd, self.patch = capfd, patch
        self.stdin = ""  # nobody is there to be asked

    def __call__(self, *args: str, code: int | None = 0) -> Said:
        """Run a command; fails unless it ends with this code (None: with any)."""
        self._capfd.readouterr()
        self.patch.setattr(sys, "argv", ["relive", *args])
        self.patch.setattr(sys, "stdin", io.StringIO(self.stdin))
        with pytest.raises(SystemExit) as ended:
            main()
        out, err = self._capfd.readouterr()
        found = ended.value.code
        said = Said(found if isinstance(found, int) else 0, out, err)
        assert "Traceback" not in said.err, said.err
        assert code is None or said.code == code, f"{args}: {said}"
        return said


@pytest.fixture
def shell(capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Shell:
    """A shell in an empty folder of a person who knows no hub yet."""
    for name in ("RELIVE_HUB", "RELIVE_TOKEN", "RELIVE_DB", "RELIVE_STORE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("RELIVE_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("RELIVE_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", "/dev/null")
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path))
    monkeypatch.setenv("COLUMNS", "160")
    place = tmp_path / "place"
    place.mkdir()
    monkeypatch.chdir(place)
    return Shell(capfd, monkeypatch)


@pytest.fixture
def bench() -> Iterator[Bench]:
    """A hub's services on real stores, with one project and an empty repository beside it."""
    with quick_folder() as folder, open_bench(folder) as made:
        yield made


@pytest.fixture
def live(bench: Bench) -> Iterator[LiveHub]:
    """A hub that answers, over the services of the bench."""
    with served(bench.services) as hub:
        yield hub


@pytest.fixture
def relive(shell: Shell, live: LiveHub) -> Shell:
    """The shell of the admin of a hub."""
    shell.patch.setenv("RELIVE_HUB", live.url)
    shell.patch.setenv("RELIVE_TOKEN", live.admin)
    return shell
