"""Which process of a distributed training this is."""

from __future__ import annotations

import os

# As torchrun and its kin, Open MPI, MPICH and Slurm name it.
_RANKS = ("RANK", "OMPI_COMM_WORLD_RANK", "PMI_RANK", "SLURM_PROCID")


def rank() -> int:
    """Give this process's rank; 0 for the first and where there is only one."""
    for name in _RANKS:
        text = os.environ.get(name, "")
        if text.isdigit():
            return int(text)
    return 0


def rank_prefix() -> str:
    """Give what stands before the names of this process's metrics: nothing for rank 0, else "rank1/"."""
    number = rank()
    return f"rank{number}/" if number else ""
