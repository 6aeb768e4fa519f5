"""Variants as runs: run once, found again by their key, and read back with what they opened."""

from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from relive.client.hub import HubClient
from relive.client.transport import Transport
from relive.core.artifact import Manifest, ManifestEntry
from relive.core.recipe import Code
from relive.core.run import FailureReason, Run, RunKind, RunStatus
from relive.core.trajectory import Trajectory
from relive.replay.variant import BEGINNING_TAG, TAG, Variants, _counts, beginning_key
from relive.replay.watch import Seen, Stop, Watch
from relive.runner.lease import Lease
from relive.wire.jobs import StageWork
from relive.wire.runs import CreateRun
from tests.support.bench import open_bench, quick_folder
from tests.support.live import served

SCRIPT = "import json; open('seen.txt').read(); json.dump({'n': 2}, open('m.json', 'w'))\n"


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[HubClient]:
    """A client of a hub that answers, with an empty cache on this side."""
    monkeypatch.setenv("RELIVE_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("RELIVE_CACHE", str(tmp_path / "cache"))
    with quick_folder() as folder, open_bench(folder) as bench, served(bench.services) as live:
        yield HubClient(Transport(live.url, live.admin))


def work(hub: HubClient, script: str = SCRIPT, **more: object) -> StageWork:
    files = {"train.py": script, "seen.txt": "1", "unseen.txt": "1"}
    entries = [
        ManifestEntry(path=path, digest=hub.blobs.put_bytes(text.encode()), size_bytes=len(text))
        for path, text in files.items()
    ]
    code = hub.blobs.put_manifest(Manifest.of(entries))
    values: dict[str, object] = {"commands": ("python train.py",), "metrics_files": ("m.json",)}
    return StageWork(run_id="", project="digits", stage="", code=code, **(values | more))  # type: ignore[arg-type]


def test_a_variant_is_run_once_and_found_again(hub: HubClient) -> None:
    variants, todo = Variants(hub), work(hub)
    key = variants.key(todo)
    assert variants.find("digits", key) is None
    made = variants.run(todo, key, name="why: a copy")
    assert (made.failure, made.metrics) == ("", {"n": 2.0})
    assert made.opened is None or {"train.py", "seen.txt"} <= made.opened
    assert made.opened is None or "unseen.txt" not in made.opened
    found = Variants(hub).find("digits", key)
    assert found == msgspec.structs.replace(made, reused=True)
    kept = hub.get_run(made.run_id)
    assert (kept.run.kind, kept.tags[TAG], kept.run.replay_of) == (RunKind.REPLAY, key, "")


def test_a_failure_is_kept_as_one(hub: HubClient) -> None:
    variants, todo = Variants(hub), work(hub, "raise SystemExit('no')\n")
    key = variants.key(todo)
    made = variants.run(todo, key, name="why: it fails")
    assert "exit code 1: no" in made.failure
    found = variants.find("digits", key)
    assert found is not None
    assert (found.failure, found.is_cancelled) == (made.failure, False)


def test_a_variant_s_script_may_ask_git_for_its_commit(hub: HubClient) -> None:
    asks = "import subprocess\nprint(subprocess.check_output(['git', 'rev-parse', 'HEAD'], text=True))\n"
    variants, commit = Variants(hub), "3228f045f24a58dd6613a6d08402f2c761ebc714"
    bare = work(hub, asks, metrics_files=())
    assert "exit code" in variants.run(bare, variants.key(bare), name="why: in bare files").failure
    todo = work(hub, asks, metrics_files=(), repository=Code(manifest="", commit=commit))
    assert variants.key(todo) != variants.key(bare)
    made = variants.run(todo, variants.key(todo), name="why: in a repository")
    assert made.failure == ""
    assert commit in b"".join(hub.read_log(made.run_id)).decode()


class TooLate(Watch):
    """Sees all it waits for, but only when the command has come to its own end."""

    def __init__(self) -> None:
        super().__init__(Trajectory())
        self._seen = Seen(stop=Stop.ALL_SEEN)

    def start(self, spool: Path, lease: Lease) -> None:
        """End nothing."""


@pytest.mark.parametrize("ending", ["", "raise SystemExit('no')\n"])
def test_what_ended_before_its_watch_could_end_it_is_a_whole_run(hub: HubClient, ending: str) -> None:
    steps = "import relive\nrelive.step({'w': [1.0]}, stream='net')\n"
    variants, todo = Variants(hub), work(hub, steps + SCRIPT + ending)
    key = variants.key(todo)
    created = hub.create_run(CreateRun(project="digits", kind=RunKind.REPLAY, heartbeats=True))
    hub.set_tags(created.run_id, {TAG: key})
    todo = msgspec.structs.replace(todo, run_id=created.run_id, command_token=created.token)
    variants.execute(todo, hub, TooLate(), beginning_key(key, 0))
    found = variants.find("digits", key)
    assert found is not None
    assert not found.is_beginning
    assert (found.metrics, bool(found.failure)) == ({} if ending else {"n": 2.0}, bool(ending))
    # Nor is one that an older search took for a beginning.
    hub.set_tags(created.run_id, {BEGINNING_TAG: beginning_key(key, 0)})
    assert variants.find("digits", key) == found


def test_nothing_starts_once_it_was_stopped(hub: HubClient) -> None:
    variants, todo = Variants(hub), work(hub)
    variants.stop()
    assert variants.run(todo, variants.key(todo), name="why").is_cancelled
    assert hub.list_runs(project="digits") == []


def test_the_key_names_all_that_goes_in(hub: HubClient) -> None:
    variants = Variants(hub)
    keys = {
        variants.key(work(hub)),
        variants.key(work(hub), repeat=1),
        variants.key(work(hub, env={"A": "1"})),
        variants.key(work(hub, params={"lr": 0.1})),
        variants.key(work(hub, "pass")),
    }
    assert len(keys) == 5
    assert variants.key(work(hub)) in keys


@pytest.mark.parametrize(
    ("status", "failure", "counts"),
    [
        (RunStatus.FINISHED, None, True),
        (RunStatus.FAILED, FailureReason.FAILURE, True),
        (RunStatus.FAILED, FailureReason.OOM, True),
        (RunStatus.FAILED, FailureReason.WORKER_LOST, False),
        (RunStatus.FAILED, FailureReason.STORE_FULL, False),
        (RunStatus.KILLED, FailureReason.CANCELLED, False),
        (RunStatus.RUNNING, None, False),
        (RunStatus.LOST, FailureReason.WORKER_LOST, False),
    ],
)
def test_only_what_would_end_the_same_way_again_counts(
    status: RunStatus, failure: FailureReason | None, counts: bool
) -> None:
    run = Run(
        id="r",
        project_id="p",
        experiment_id="e",
        name="n",
        kind=RunKind.REPLAY,
        status=status,
        failure=failure,
        log="blake3:x",
    )
    assert _counts(run) is counts
