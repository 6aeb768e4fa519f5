"""Run real Pythons with the agent in them, and read what they recorded."""

import os
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from relive.capture.agent import AgentPaths, agent_environment, install_agent
from relive.formats.spool import SpoolContents, read_spool


@dataclass(frozen=True)
class Recorded:
    """What a recorded Python said and left behind."""

    returncode: int
    stdout: str
    stderr: str
    spool: SpoolContents


Record = Callable[..., Recorded]


@pytest.fixture(scope="session")
def agent(tmp_path_factory: pytest.TempPathFactory) -> AgentPaths:
    """Lay out the agent once; it is never changed by a test that uses this."""
    return install_agent(tmp_path_factory.mktemp("agent"))


@pytest.fixture
def spool_folder(tmp_path: Path) -> Path:
    """Give an empty spool."""
    folder = tmp_path / "spool"
    folder.mkdir()
    return folder


@pytest.fixture
def record(agent: AgentPaths, spool_folder: Path, tmp_path: Path) -> Record:
    """Give a function that runs a script with the agent and reads the spool; each call empties it first."""

    def run(script: str, **how: Any) -> Recorded:
        for path in spool_folder.iterdir():
            path.unlink()
        return _run(agent, tmp_path, spool_folder, script, **how)

    return run


@pytest.fixture(scope="session")
def record_once(agent: AgentPaths, tmp_path_factory: pytest.TempPathFactory) -> Record:
    """Give `record` with a memory: importing a training library takes seconds on a loaded machine."""
    known: dict[str, Recorded] = {}

    def run(script: str) -> Recorded:
        if script not in known:
            folder = tmp_path_factory.mktemp("recorded")
            (folder / "spool").mkdir()
            known[script] = _run(agent, folder, folder / "spool", script)
        return known[script]

    return run


def _run(
    agent: AgentPaths,
    folder: Path,
    spool: Path,
    script: str,
    *,
    options: Sequence[str] = (),
    plan: Path | None = None,
) -> Recorded:
    path = folder / "script.py"
    path.write_text(script, encoding="utf-8")
    environ = {**os.environ, "OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        [sys.executable, *options, str(path)],
        env=agent_environment(agent, spool, environ, digest_steps=plan),
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=240,
    )
    return Recorded(done.returncode, done.stdout, done.stderr, read_spool(spool))
