"""What the machine does while a run goes on, under the names that MLflow's clients use.

Read from `/proc` and from NVIDIA's own library where it is installed: no package is needed for it, and no
process is started.
"""

import ctypes
import os
import time
from pathlib import Path
from typing import Any, Final

_MEGABYTE: Final = 1e6
_PAGE: Final = os.sysconf("SC_PAGE_SIZE")
PREFIX: Final = "system/"


class Sampler:
    """Give the machine's figures, of the time since the last sample where they are rates.

    Args:
        folder: The disk that holds it is measured.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._busy = _processor_ticks()
        self._network = _network_bytes()
        self._gpus = Gpus()

    def sample(self) -> dict[str, float]:
        """Give name to figure; what this machine does not tell is left out."""
        found: dict[str, float] = {}
        for read in (self._processor, _memory, self._disk, self._traffic, self._gpus.sample):
            try:
                found |= read()
            except (OSError, ValueError, IndexError, KeyError):
                continue  # another kernel, another form; the rest is as good without it
        return {PREFIX + name: value for name, value in found.items()}

    def _processor(self) -> dict[str, float]:
        before, self._busy = self._busy, _processor_ticks()
        busy, total = (now - then for now, then in zip(self._busy, before, strict=True))
        return {"cpu_utilization_percentage": 100.0 * busy / total} if total else {}

    def _disk(self) -> dict[str, float]:
        disk = os.statvfs(self._folder)
        free, used = disk.f_bavail * disk.f_frsize, (disk.f_blocks - disk.f_bfree) * disk.f_frsize
        total = used + free  # of what this user can have, as `df` reckons
        return {
            "disk_usage_megabytes": used / _MEGABYTE,
            "disk_usage_percentage": 100.0 * used / total if total else 0.0,
            "disk_available_megabytes": free / _MEGABYTE,
        }

    def _traffic(self) -> dict[str, float]:
        received, sent = (now - then for now, then in zip(_network_bytes(), self._network, strict=True))
        return {
            "network_receive_megabytes": received / _MEGABYTE,
            "network_transmit_megabytes": sent / _MEGABYTE,
        }


def _processor_ticks() -> tuple[int, int]:
    fields = [int(it) for it in Path("/proc/stat").read_text().split("\n", 1)[0].split()[1:9]]
    return sum(fields) - fields[3] - fields[4], sum(fields)


def _network_bytes() -> tuple[int, int]:
    received = sent = 0
    for line in Path("/proc/net/dev").read_text().splitlines()[2:]:
        name, _, numbers = line.partition(":")
        if name.strip() != "lo":
            fields = numbers.split()
            received, sent = received + int(fields[0]), sent + int(fields[8])
    return received, sent


def _memory() -> dict[str, float]:
    lines = Path("/proc/meminfo").read_text().splitlines()
    sizes = {name: int(rest.split()[0]) * 1024 for name, _, rest in (line.partition(":") for line in lines)}
    used = sizes["MemTotal"] - sizes["MemAvailable"]
    own = int(Path("/proc/self/statm").read_text().split()[1]) * _PAGE
    return {
        "system_memory_usage_megabytes": used / _MEGABYTE,
        "system_memory_usage_percentage": 100.0 * used / sizes["MemTotal"],
        "process_memory_megabytes": own / _MEGABYTE,
    }


class _Utilization(ctypes.Structure):
    _fields_ = (("gpu", ctypes.c_uint), ("memory", ctypes.c_uint))


class _Memory(ctypes.Structure):
    _fields_ = (("total", ctypes.c_ulonglong), ("free", ctypes.c_ulonglong), ("used", ctypes.c_ulonglong))


class Gpus:
    """The GPUs that NVIDIA's management library (NVML) knows; none if it is not installed."""

    def __init__(self) -> None:
        self._library: Any = None
        self._handles: list[ctypes.c_void_p] = []
        self._opened_by = 0

    def sample(self) -> dict[str, float]:
        """Give use, memory and power of each GPU."""
        if self._opened_by != os.getpid():
            self._open()
        found: dict[str, float] = {}
        for number, handle in enumerate(self._handles):
            found |= {f"gpu_{number}_{name}": value for name, value in self._one(handle).items()}
        return found

    def _open(self) -> None:
        self._opened_by = os.getpid()
        try:
            library: Any = ctypes.CDLL("libnvidia-ml.so.1")
        except OSError:
            return
        count = ctypes.c_uint()
        if library.nvmlInit_v2() or library.nvmlDeviceGetCount_v2(ctypes.byref(count)):
            return
        for number in range(count.value):
            handle = ctypes.c_void_p()
            if library.nvmlDeviceGetHandleByIndex_v2(number, ctypes.byref(handle)) == 0:
                self._handles.append(handle)
        self._library = library

    def _one(self, handle: ctypes.c_void_p) -> dict[str, float]:
        library, found = self._library, dict[str, float]()
        use, memory, power, limit = _Utilization(), _Memory(), ctypes.c_uint(), ctypes.c_uint()
        if library.nvmlDeviceGetUtilizationRates(handle, ctypes.byref(use)) == 0:
            found["utilization_percentage"] = float(use.gpu)
        if library.nvmlDeviceGetMemoryInfo(handle, ctypes.byref(memory)) == 0 and memory.total:
            found["memory_usage_megabytes"] = memory.used / _MEGABYTE
            found["memory_usage_percentage"] = 100.0 * memory.used / memory.total
        if library.nvmlDeviceGetPowerUsage(handle, ctypes.byref(power)) == 0:
            found["power_usage_watts"] = power.value / 1000
            if library.nvmlDeviceGetEnforcedPowerLimit(handle, ctypes.byref(limit)) == 0 and limit.value:
                found["power_usage_percentage"] = 100.0 * power.value / limit.value
        return found


def records(figures: dict[str, float], step: int) -> list[dict[str, Any]]:
    """Give figures as records of a spool."""
    now = time.time()
    return [{"t": "metric", "k": name, "v": value, "s": step, "w": now} for name, value in figures.items()]
