"""Segments are drawn from what is kept, and a state that cannot be had ends a spot check before it begins."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from relive.core.artifact import Manifest, ManifestEntry
from relive.core.trajectory import StepRecord, Trajectory
from relive.errors import BlobNotFound, CannotReplay
from relive.replay.spots import SpotWatch, draw_spots
from relive.runner.lease import Lease, Over

RUN = "7f3a" + "0" * 28
MANIFEST = "blake3:" + "a" * 64


class Blobs:
    """The hub's blobs: a list of checkpoints, and states of which some are lost."""

    def __init__(self, *kept: int, lost: frozenset[int] = frozenset(), list_is_lost: bool = False) -> None:
        self._entries = tuple(
            ManifestEntry(path=f"checkpoints/{step}.state", digest=f"blake3:{step:064x}", size_bytes=5)
            for step in kept
        )
        self._lost = {f"blake3:{step:064x}" for step in lost}
        self._list_is_lost = list_is_lost

    def fetch_manifest(self, digest: str) -> Manifest:
        if self._list_is_lost:
            raise BlobNotFound(kind="blob", name=digest)
        return Manifest(entries=self._entries)

    def get_file(self, digest: str, target: Path) -> None:
        if digest in self._lost:
            raise BlobNotFound(kind="blob", name=digest)
        target.write_bytes(b"state")


def plan(*streams: str, marks: tuple[int, ...] = (), env: dict[str, str] | None = None) -> Any:
    steps = [StepRecord(stream=stream, step=0, digests={"w": "00"}) for stream in streams]
    steps += [StepRecord(stream="checkpoint", step=step, digests={"weights": "aa"}) for step in marks]
    return SimpleNamespace(
        run_id=RUN,
        trajectory=Trajectory(steps=tuple(steps)),
        detail=SimpleNamespace(artifacts=(SimpleNamespace(kind="checkpoint", manifest=MANIFEST),)),
        recipe=SimpleNamespace(declared=SimpleNamespace(env=env or {})),
    )


def hub(blobs: Blobs) -> Any:
    return SimpleNamespace(blobs=blobs)


@pytest.mark.parametrize(
    ("recorded", "said"),
    [
        (plan("weights:SGD#0"), "record it with `relive run --checkpoints 100"),
        (plan("weights:SGD#0", env={"RELIVE_CHECKPOINTS": "500"}), "a smaller --checkpoints"),
        (plan("round:xgboost"), "its training is that of boosted trees"),
        (plan("fit:Ridge"), "its training is that of scikit-learn"),
        (plan("weights:keras.SGD#0"), "its training is that of Keras"),
        (plan("p1/weights:SGD#0"), "several of its processes train"),
        (plan(), "it recorded no training"),
    ],
)
def test_why_a_run_has_no_segments_is_said_with_what_to_do(recorded, said):
    with pytest.raises(CannotReplay) as raised:
        draw_spots(recorded, hub(Blobs()), 1)
    assert said in str(raised.value)


def test_segments_lie_between_the_states_that_are_kept():
    spots = draw_spots(plan("weights:SGD#0", marks=(10, 20, 30)), hub(Blobs(10, 30)), 9, seed=4)
    assert [(it.first, it.last) for it in spots.drawn] == [(1, 10), (11, 30)]
    assert (spots.segments, spots.seed) == (2, 4)


def test_a_list_of_checkpoints_that_the_hub_lost_is_named():
    with pytest.raises(CannotReplay, match="the list of its checkpoints cannot be had"):
        draw_spots(plan("weights:SGD#0", marks=(10,)), hub(Blobs(10, list_is_lost=True)), 1)


@pytest.fixture
def lease() -> Lease:
    """Give a claim that nobody renews: it is only ever lost."""
    nobody: Any = None
    return Lease(nobody)


def started(blobs: Blobs, folder: Path, lease: Lease) -> SpotWatch:
    recorded = plan("weights:SGD#0", marks=(10, 20))
    spots = draw_spots(recorded, hub(Blobs(10, 20)), 2, seed=0)
    watch = SpotWatch(recorded, hub(blobs), spots)
    watch.start(folder / "spool", lease)
    watch.end()
    return watch


def test_states_are_laid_out_for_the_segments_that_begin_with_one(tmp_path, lease):
    watch = started(Blobs(10, 20), tmp_path, lease)
    assert [it.name for it in (tmp_path / "states").iterdir()] == ["10.state"]
    assert watch.variables["RELIVE_SPOT"] == f'{{"states":"{tmp_path}/states","segments":[[0,10],[10,20]]}}'
    assert (watch.seen.failure, lease.over) == ("", None)


def test_a_state_that_is_lost_ends_it_and_is_named(tmp_path, lease):
    watch = started(Blobs(10, 20, lost=frozenset({10})), tmp_path, lease)
    assert "the state of step 10 cannot be had" in watch.seen.failure
    assert lease.over is Over.CANCELLED


def test_a_place_that_cannot_be_written_ends_it_with_the_reason(tmp_path, lease):
    (tmp_path / "states").write_text("a file where the folder is to be")
    watch = started(Blobs(10, 20), tmp_path, lease)
    assert "File exists" in watch.seen.failure
    assert lease.over is Over.CANCELLED
