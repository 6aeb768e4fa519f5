"""How many runs go side by side: never more than cores and memory carry, and one where nobody knows."""

import pytest

from relive.core.recipe import Hardware
from relive.core.run import ResourceUse
from relive.replay.room import room_for

GIB = 2**30


def machine(*, cores: int = 8, memory: int = 32 * GIB, limit: int | None = None, gpus: int = 0) -> Hardware:
    return Hardware(
        cpu_model="x",
        cpu_vendor="y",
        cpu_flags_digest="z",
        cores=64,
        cores_allowed=cores,
        memory_bytes=memory,
        memory_limit_bytes=limit,
        gpus=tuple({"name": "g"} for _ in range(gpus)),
    )


def use(*, cores: float = 1.0, memory: int = GIB) -> ResourceUse:
    return ResourceUse(wall_s=10.0, cpu_s=10.0 * cores, max_rss_bytes=memory)


@pytest.mark.parametrize(
    ("uses", "on", "room"),
    [
        ([use(), use()], machine(), 8),
        ([use(cores=0.2)], machine(cores=64), 8),
        ([use(cores=1.9)], machine(), 4),
        ([use(), use(cores=3.0)], machine(), 2),
        ([use(cores=30.0)], machine(), 1),
        ([use(memory=5 * GIB)], machine(), 3),
        ([use(memory=5 * GIB)], machine(limit=10 * GIB), 1),
        ([use(memory=100 * GIB)], machine(), 1),
        ([use(memory=0)], machine(cores=2), 2),
        ([use(), None], machine(), 1),
        ([ResourceUse(wall_s=0.0, cpu_s=0.0, max_rss_bytes=0)], machine(), 1),
        ([], machine(), 1),
        ([use()], machine(gpus=1), 1),
    ],
)
def test_room(uses: list[ResourceUse | None], on: Hardware, room: int) -> None:
    assert room_for(uses, on) == room
