"""How many copies of a run this machine has room for at a time, by what the run used when it was recorded."""

import math
from collections.abc import Sequence
from typing import Final

from relive.core.recipe import Hardware
from relive.core.run import ResourceUse

# What is left is for the hub and for what else the machine does.
_PART_OF_MEMORY: Final = 0.5
_MOST: Final = 8


def room_for(uses: Sequence[ResourceUse | None], machine: Hardware) -> int:
    """Give how many such runs go side by side without taking cores or memory from one another.

    Args:
        uses: What each kind of run used; None if nobody knows.
        machine: The machine that they are to run on.

    Returns:
        At least 1, and 1 for what is not known or on a machine with a GPU, whose memory nobody measured.
    """
    if machine.gpus or not uses:
        return 1
    return max(1, min(_MOST, *(_room(it, machine) for it in uses)))


def _room(use: ResourceUse | None, machine: Hardware) -> int:
    if use is None or use.wall_s <= 0:
        return 1
    cores = max(1, math.ceil(use.cpu_s / use.wall_s))
    memory = _PART_OF_MEMORY * min(machine.memory_bytes, machine.memory_limit_bytes or machine.memory_bytes)
    return min(machine.cores_allowed // cores, int(memory // max(use.max_rss_bytes, 1)))
