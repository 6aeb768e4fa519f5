"""Outs that say when they were written are equal to the replay's if nothing else of them differs."""

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from relive.client.hub import HubClient
from relive.client.transport import Transport
from relive.core.artifact import Manifest, ManifestEntry
from relive.core.run import Run, RunKind, RunStatus
from relive.replay.out_texts import same_but_times
from tests.support.fake_hub import running_hub

RECORDED, REPLAYED = 1795495413.0, 1795499876.0


@pytest.fixture
def hub(tmp_path: Path) -> Iterator[HubClient]:
    with running_hub(tmp_path / "hub") as fake:
        yield HubClient(Transport(fake.url))


def out(hub: HubClient, at: float, **files: bytes) -> tuple[Run, str]:
    entries = [
        ManifestEntry(path=path, digest=hub.blobs.put_bytes(data), size_bytes=len(data))
        for path, data in files.items()
    ]
    run = Run(
        id="a" * 32,
        project_id="p",
        experiment_id="e",
        name="r",
        kind=RunKind.MANUAL,
        status=RunStatus.FINISHED,
        started_at=at - 1,
        ended_at=at + 1,
    )
    return run, hub.blobs.put_manifest(Manifest.of(entries))


def report(at: float, total: int) -> bytes:
    return f"made at {datetime.fromtimestamp(at, UTC):%Y-%m-%d %H:%M:%SZ}\nsum {total}\n".encode()


def test_a_report_of_the_same_with_another_time_is_the_same(hub: HubClient) -> None:
    one = out(hub, RECORDED, report=report(RECORDED, 15), model=b"\0\1")
    assert same_but_times((one, out(hub, REPLAYED, report=report(REPLAYED, 15), model=b"\0\1")), hub.blobs)


def test_what_else_differs_is_a_difference(hub: HubClient) -> None:
    one = out(hub, RECORDED, report=report(RECORDED, 15), model=b"\0\1")
    for other in (
        {"report": report(REPLAYED, 16), "model": b"\0\1"},
        {"report": report(REPLAYED, 15), "model": b"\0\2"},
        {"report": report(REPLAYED, 15)},
        {"report": report(RECORDED - 100, 15), "model": b"\0\1"},
        {"report": b"\xff" + report(REPLAYED, 15), "model": b"\0\1"},
    ):
        assert not same_but_times((one, out(hub, REPLAYED, **other)), hub.blobs)
