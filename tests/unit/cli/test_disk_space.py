"""`relive gc` and `relive cache`, as typed."""

import os
import time
from pathlib import Path

from relive.services.collecting import DAY_S
from tests.support.bench import Bench
from tests.unit.cli.conftest import Shell


def a_lost_blob(bench: Bench) -> str:
    """Store what nothing refers to, long ago."""
    digest = bench.services.blobs.put(os.urandom(3000)).digest
    at = time.time() - 3 * DAY_S
    for path in (bench.services.place.data_dir / "blobs").rglob("*"):
        if path.is_file():
            os.utime(path, (at, at))
    return digest


def test_a_collection_says_what_it_would_do_and_then_what_it_did(relive: Shell, bench: Bench) -> None:
    run = bench.finished_by_hand()
    bench.services.store.set_run(
        run.id, log=bench.services.blobs.put(b"its log").digest, deleted_at=time.time() - 31 * DAY_S
    )
    digest = a_lost_blob(bench)
    n_blobs = sum(1 for _ in bench.services.blobs.list())
    said = relive("gc", "--dry-run")
    assert said.lines == [
        "1 run, 0 experiments would be purged.",
        f"1 blob of {n_blobs} would be deleted: 2.9 KiB.",
        f"Kept: {n_blobs - 1} referred to, 0 too young, 0 pinned.",
    ]
    assert f"sweep: {n_blobs} blobs looked at" in said.err
    assert bench.services.blobs.find(digest) is not None
    done = relive("gc").lines
    assert done[0] == "1 run, 0 experiments were purged."
    assert done[1].startswith(f"{n_blobs} blobs of {n_blobs} were deleted: ")
    assert bench.services.blobs.find(digest) is None
    report = relive("gc", "--json").json
    assert (report["runs"], report["blobs"], report["deleted"]) == (0, 0, 0)


def test_a_second_collection_is_refused(relive: Shell, bench: Bench) -> None:
    assert bench.services.store.hold_lock("gc", "another", lease_s=60.0)
    assert "another collection is under way" in relive("gc", code=1).err


def test_the_cache_is_shown_and_pruned(shell: Shell, tmp_path: Path) -> None:
    assert shell("cache", "show").out == f"Nothing lies in {tmp_path / 'cache'}.\n"
    old = tmp_path / "cache" / "wheels" / ("a" * 64) / "x.whl"
    old.parent.mkdir(parents=True)
    old.write_bytes(os.urandom(4096))
    os.utime(old, (time.time() - 90 * DAY_S,) * 2)
    shown = shell("cache", "show").lines
    assert shown[1].split() == ["wheels", "1", "4.0", "KiB", "90", "d", "ago"]
    assert shell("cache", "prune", "--days", "100").lines == ["0 things went: 0 bytes.", "4.0 KiB stay."]
    assert shell("cache", "prune", "--dry-run").lines == ["1 thing would go: 4.0 KiB.", "0 bytes stay."]
    assert len(shell("cache", "show", "--json").json["entries"]) == 1
    pruned = shell("cache", "prune", "--json").json
    assert (pruned["entries"], pruned["kept_bytes"]) == (1, 0)
    assert not old.exists()


def test_the_cache_is_pruned_to_a_size(shell: Shell, tmp_path: Path) -> None:
    for number in range(3):
        blob = tmp_path / "cache" / "blobs" / "aa" / str(number)
        blob.parent.mkdir(parents=True, exist_ok=True)
        blob.write_bytes(os.urandom(1 << 20))
        os.utime(blob, (time.time() - (5 - number) * DAY_S,) * 2)
    shell("cache", "prune", "--max-gib", "0.0015")
    assert [path.name for path in (tmp_path / "cache" / "blobs" / "aa").iterdir()] == ["2"]
