"""How far a training is to come out the same: on machines of one type, or on any with the same instructions.

Which instructions a numeric library uses, and how many threads it starts, decide the last bits of a result.
The number of threads is fixed for every run; the portable profile has one, and pins the instructions as well,
to those that every x86-64 server processor of the last ten years has. It costs what the rest would save.
"""

from enum import StrEnum
from typing import Final

_PORTABLE: Final = {
    "RELIVE_DETERMINISM": "portable",
    "ATEN_CPU_CAPABILITY": "avx2",
    "MKL_CBWR": "AVX2,STRICT",
    "ONEDNN_MAX_CPU_ISA": "AVX2",
    "OPENBLAS_CORETYPE": "Haswell",
    "MKL_DYNAMIC": "FALSE",
    "OMP_DYNAMIC": "FALSE",
    # The order in which threads add up changes bits even where the instructions are pinned.
    "OMP_NUM_THREADS": "1",
    "MKL_NUM_THREADS": "1",
    "OPENBLAS_NUM_THREADS": "1",
    "NUMEXPR_NUM_THREADS": "1",
}


class Determinism(StrEnum):
    """What a project asks for."""

    MACHINE = "machine"
    PORTABLE = "portable"


def switches(profile: Determinism) -> dict[str, str]:
    """Give the environment variables of a profile beyond those that every run gets.

    They are inputs like any others: part of the recipe and of the cache key, and the same in a replay.
    """
    return dict(_PORTABLE) if profile is Determinism.PORTABLE else {}
