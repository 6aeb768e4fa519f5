"""Data in versions beside plain copies: many small files, one large one, and what did not change.

A step of relive is a whole command, start-up and hub included, so that it can be laid beside DVC's (its
program in RELIVE_BENCH_DVC). The floor of storing is: read, BLAKE3, write; for small files a file for each
object. The columns `step …` are what counts: the others include the making of new bytes, without which the
hub would have them already.
"""

import os
import resource
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

from blake3 import blake3

from tests.bench.harness import Benchmark, Case, Facts, tree_cpu_s
from tests.bench.servers import start_hub
from tests.bench.sqlite_floor import Folder

# Small files, bytes of each, MiB of the large file.
SIZES = {"small": (300, 4096, 8), "full": (50_000, 4096, 2048)}
_PIECE = 1 << 20
_NEW_EACH = 16 * _PIECE  # in every pack


class Data:
    """A hub, data to work with, and steps that are measured."""

    def __init__(self, size: str) -> None:
        n_files, n_bytes, n_mib = SIZES[size]
        self.folder = Folder()
        self.home = self.folder.path / "home"
        self.home.mkdir()
        self.hub, port = start_hub(self.folder, self.home)
        self.environment = os.environ | {
            "RELIVE_HOME": str(self.home),
            "RELIVE_HUB": f"http://127.0.0.1:{port}",
            "RELIVE_CACHE": str(self.home / "cache"),
        }
        self.small = self.folder.path / "small"
        for number in range(n_files):
            file = self.small / f"{number % 100:02d}" / f"{number:06d}.bin"
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_bytes(os.urandom(n_bytes))
        self.large = self.folder.path / "large"
        self.large.mkdir()
        with open(self.large / "one", "wb") as written:
            written.writelines(os.urandom(_PIECE) for _ in range(n_mib))
        self.added = 0

    def renew(self, source: Path) -> None:
        """Write new bytes into each file, and into each part of a large one."""
        for path in source.rglob("*"):
            if path.is_file():
                with open(path, "r+b") as file:
                    for at in range(0, path.stat().st_size, _NEW_EACH):
                        file.seek(at)
                        file.write(os.urandom(8))
        time.sleep(0.2)  # at rest, so that stamps are believed

    def relive(self, *args: str) -> None:
        """Run a command."""
        command = [sys.executable, "-m", "relive.cli", "data", *args]
        subprocess.run(command, env=self.environment, cwd=self.folder.path, check=True, capture_output=True)

    def step(self, work: Callable[[], None]) -> Facts:
        """Do work, and say what it took of this process, its children and the hub."""
        cpu, wall = self._cpu_s(), time.perf_counter()
        work()
        return {"step CPU s": self._cpu_s() - cpu, "step wall s": time.perf_counter() - wall}

    def _cpu_s(self) -> float:
        used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
        return sum(it.ru_utime + it.ru_stime for it in used) + tree_cpu_s(self.hub.pid)


def benchmark(size: str) -> Benchmark:
    """Compare each step with its floor."""
    data = Data(size)
    cases = [*_cases(data, data.small, "small"), *_cases(data, data.large, "large")]
    cases += [Case("large: 1 % inserted in the middle, added again", lambda: _insert(data))]
    n_files, n_bytes, n_mib = SIZES[size]
    return Benchmark(f"{n_files} files of {n_bytes} bytes, and one of {n_mib} MiB", cases)


def _cases(data: Data, source: Path, what: str) -> list[Case]:
    target, each = data.folder.path / "out", what == "small"

    def stored() -> Facts:
        return _cleared(target, data.step(lambda: _store(source, target, each=each)))

    def added() -> Facts:
        data.renew(source)
        data.added += 1  # a new name: nothing of an earlier version is there to be taken over
        return data.step(lambda: data.relive("add", str(source), "--name", f"{what}{data.added}"))

    def copied() -> Facts:
        return _cleared(target, data.step(lambda: _run("cp", "-r", str(source), str(target))))

    def got() -> Facts:
        data.relive("add", str(source), "--name", what)
        return _cleared(target, data.step(lambda: data.relive("get", what, "--to", str(target))))

    def unchanged() -> Facts:
        data.relive("add", str(source), "--name", what)
        return data.step(lambda: data.relive("verify", what, str(source)))

    cases = [
        Case(f"{what}: read + BLAKE3 + write", stored),
        Case(f"{what}: relive data add", added),
        Case(f"{what}: cp -r", copied),
        Case(f"{what}: relive data get", got),
        Case(f"{what}: nothing changed, relive data verify", unchanged),
    ]
    dvc = os.environ.get("RELIVE_BENCH_DVC")
    return cases + (
        [Case(f"{what}: nothing changed, dvc status", lambda: _dvc(data, source, dvc))] if dvc else []
    )


def _store(source: Path, target: Path, *, each: bool) -> None:
    """Read, hash and write; with `each` under its digest, in 256 folders."""
    target.mkdir()
    for path in filter(Path.is_file, source.rglob("*")):
        if each:
            content = path.read_bytes()
            name = blake3(content).hexdigest()
            (target / name[:2]).mkdir(exist_ok=True)
            (target / name[:2] / name).write_bytes(content)
            continue
        hasher = blake3()
        with open(path, "rb", buffering=0) as read, open(target / path.name, "wb", buffering=0) as written:
            while piece := read.read(_PIECE):
                hasher.update(piece)
                written.write(piece)


def _insert(data: Data) -> Facts:
    """Insert 1 % of new bytes in the middle of the large file."""
    data.relive("add", str(data.large), "--name", "large")
    file = data.large / "one"
    size = file.stat().st_size
    with open(file, "r+b") as opened:
        opened.seek(size // 2)
        rest = opened.read()
        opened.seek(size // 2)
        opened.write(os.urandom(size // 100))
        opened.write(rest)
    time.sleep(0.2)
    before = _stored_bytes(data)
    facts = dict(data.step(lambda: data.relive("add", str(data.large), "--name", "large")))
    with open(file, "r+b") as opened:
        opened.truncate(size)
    return facts | {"store grows by %": 100 * (_stored_bytes(data) - before) / size}


def _dvc(data: Data, source: Path, dvc: str) -> Facts:
    """Ask DVC whether a folder that it tracks has changed."""
    tracked = data.folder.path / f"dvc-{source.name}"
    if not tracked.exists():
        tracked.mkdir()
        for command in (("init", "--no-scm", "-q"), ("config", "core.analytics", "false")):
            _run(dvc, *command, folder=tracked)
        _run("cp", "-r", str(source), str(tracked / "data"))
        _run(dvc, "add", "-q", "data", folder=tracked)
    return data.step(lambda: _run(dvc, "status", "-q", folder=tracked))


def _stored_bytes(data: Data) -> int:
    return sum(path.stat().st_size for path in (data.home / "hub/blobs/blake3").rglob("*") if path.is_file())


def _cleared(target: Path, facts: Facts) -> Facts:
    shutil.rmtree(target)
    return facts


def _run(*command: str, folder: Path | None = None) -> None:
    subprocess.run(command, cwd=folder, check=True, capture_output=True)
