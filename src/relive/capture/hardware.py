"""The machine a run ran on, as far as it can change results: processor, memory, limits, accelerators."""

import csv
import os
import platform
import shutil
import subprocess
from math import ceil
from pathlib import Path
from typing import Any, Final

from relive.core.recipe import Hardware
from relive.formats.hashing import blake3_digest

# It answers in about a second; where the driver hangs, the run must not hang with it.
_GPU_TIMEOUT_S: Final = 15.0
_GPU_FIELDS: Final = ("name", "memory.total", "driver_version", "compute_cap", "vbios_version")
# Older drivers refuse a question with a field they do not know.
_GPU_FIELDS_OF_OLD_DRIVERS: Final = _GPU_FIELDS[:3]
# What was set, not what is drawn or clocked at the moment: that is no input.
_GPU_POWER: Final = (
    "persistence_mode",
    "power.limit",
    "clocks.applications.graphics",
    "clocks.applications.memory",
)
_POWER_FILES: Final = {
    "governor": "cpu0/cpufreq/scaling_governor",
    "frequency driver": "cpu0/cpufreq/scaling_driver",
    "energy preference": "cpu0/cpufreq/energy_performance_preference",
    "highest kHz": "cpu0/cpufreq/scaling_max_freq",
}
# cgroup v1 says "no limit" with the largest page-aligned number.
_NO_LIMIT: Final = 2**62

_CPU_MODEL: Final = ("model name", "Model", "cpu model", "Processor", "CPU part", "uarch")
_CPU_VENDOR: Final = ("vendor_id", "CPU implementer", "mvendorid")
_CPU_FLAGS: Final = ("flags", "Features", "isa")


def read_hardware(root: Path = Path("/")) -> Hardware:
    """Read what this machine is and what of it this process may use.

    Args:
        root: Where `proc`, `sys` and `etc` lie.
    """
    cpu = _first_processor(root)
    cores = os.cpu_count() or 1
    gpus = read_gpus()
    return Hardware(
        cpu_model=_first(cpu, _CPU_MODEL) or platform.machine(),
        cpu_vendor=_first(cpu, _CPU_VENDOR),
        # Which vector instructions exist decides which kernels run, and so the last bits of results.
        cpu_flags_digest=blake3_digest(" ".join(sorted(_first(cpu, _CPU_FLAGS).split())).encode()),
        cores=cores,
        cores_allowed=_cores_allowed(root, cores),
        memory_bytes=_memory_bytes(root),
        memory_limit_bytes=_memory_limit(root),
        gpus=gpus,
        driver=str(gpus[0]["driver"]) if gpus else "",
        kernel=platform.release(),
        os=_os_name(root),
        libc=" ".join(platform.libc_ver()).strip(),
        power=read_power(root, with_gpus=bool(gpus)),
    )


def read_gpus() -> tuple[dict[str, Any], ...]:
    """Ask `nvidia-smi` for each GPU's name, memory and driver; nothing if there is none or it hangs."""
    for fields in (_GPU_FIELDS, _GPU_FIELDS_OF_OLD_DRIVERS):
        rows = _ask_gpus(fields)
        if rows is None:
            return ()  # it hangs, or is not there: the second question would not be answered either
        if rows:
            return tuple(_gpu(row) for row in rows)
    return ()


def _ask_gpus(fields: tuple[str, ...]) -> list[list[str]] | None:
    """Give a row for each GPU, none where the driver refuses the question; None if nobody answers."""
    program = shutil.which("nvidia-smi")
    if program is None:
        return None
    question = [program, f"--query-gpu={','.join(fields)}", "--format=csv,noheader,nounits"]
    try:
        answer = subprocess.run(question, capture_output=True, text=True, timeout=_GPU_TIMEOUT_S)
    except (OSError, subprocess.TimeoutExpired, UnicodeDecodeError):
        return None
    rows = csv.reader(answer.stdout.splitlines(), skipinitialspace=True) if answer.returncode == 0 else ()
    return [[value.strip() for value in row] for row in rows if len(row) == len(fields)]


def read_power(root: Path = Path("/"), *, with_gpus: bool = True) -> dict[str, str]:
    """Read how processors and accelerators are set to spend power; nothing where a machine does not say.

    Args:
        root: Where `sys` lies.
        with_gpus: Whether there are any to be asked.
    """
    cpu = root / "sys/devices/system/cpu"
    found = {name: _read(cpu / path).strip() for name, path in _POWER_FILES.items()}
    no_turbo, boost = _read(cpu / "intel_pstate/no_turbo").strip(), _read(cpu / "cpufreq/boost").strip()
    if no_turbo or boost:
        found["turbo"] = "on" if no_turbo == "0" or boost == "1" else "off"
    return {name: value for name, value in found.items() if value} | (_gpu_power() if with_gpus else {})


def _gpu_power() -> dict[str, str]:
    rows = _ask_gpus(_GPU_POWER) or []
    return {
        f"gpu {index} {name}": value
        for index, row in enumerate(rows)
        for name, value in zip(_GPU_POWER, row, strict=True)
        if value and not value.startswith("[")  # "[N/A]", "[Not Supported]"
    }


def _gpu(row: list[str]) -> dict[str, Any]:
    name, memory_mib, driver, *rest = row
    # "[N/A]" stands where memory is shared with the processor.
    memory = int(memory_mib) * 2**20 if memory_mib.isdigit() else None
    return {
        "name": name,
        "memory_bytes": memory,
        "driver": driver,
        **dict(zip(("compute_capability", "vbios"), rest, strict=False)),
    }


def _first_processor(root: Path) -> dict[str, str]:
    found: dict[str, str] = {}
    for line in _read(root / "proc/cpuinfo").splitlines():
        key, colon, value = line.partition(":")
        if colon:
            found.setdefault(key.strip(), value.strip())
    return found


def _first(fields: dict[str, str], names: tuple[str, ...]) -> str:
    return next((fields[name] for name in names if fields.get(name)), "")


def _cores_allowed(root: Path, cores: int) -> int:
    allowed = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else cores
    quotas = [quota for folder in _cgroups(root, "cpu") if (quota := _cpu_quota(folder)) is not None]
    return max(1, min([allowed, *(ceil(quota) for quota in quotas)]))


def _cpu_quota(folder: Path) -> float | None:
    """Give how many processors a cgroup may use at once, None for no limit."""
    if limit := _read(folder / "cpu.max").split():
        quota, period = limit[0], limit[-1]
    else:
        quota = _read(folder / "cpu.cfs_quota_us").strip()
        period = _read(folder / "cpu.cfs_period_us").strip()
    return int(quota) / int(period) if quota.isdigit() and period.isdigit() and int(period) else None


def _memory_limit(root: Path) -> int | None:
    texts = [
        _read(folder / name).strip()
        for folder in _cgroups(root, "memory")
        for name in ("memory.max", "memory.limit_in_bytes")
    ]
    return min((int(text) for text in texts if text.isdigit() and int(text) < _NO_LIMIT), default=None)


def _memory_bytes(root: Path) -> int:
    for line in _read(root / "proc/meminfo").splitlines():
        key, _, value = line.partition(":")
        if key == "MemTotal" and value.split()[:1] and value.split()[0].isdigit():
            return int(value.split()[0]) * 1024
    return 0


def _cgroups(root: Path, controller: str) -> list[Path]:
    """Give this process's cgroup folder and those above it: the tightest limit of all of them holds."""
    top = root / "sys/fs/cgroup"
    found: list[Path] = []
    for line in _read(root / "proc/self/cgroup").splitlines():
        number, _, rest = line.partition(":")
        controllers, _, path = rest.partition(":")
        if number == "0" and not controllers:
            base = top
        elif controller in controllers.split(","):
            base = top / controllers if (top / controllers).is_dir() else top / controller
        else:
            continue
        folder = base / path.strip("/")
        # In a container the path may be that of the host, which is not visible here.
        found += [it for it in (folder, *folder.parents) if it == base or base in it.parents]
    return found


def _os_name(root: Path) -> str:
    for line in _read(root / "etc/os-release").splitlines():
        key, _, value = line.partition("=")
        if key == "PRETTY_NAME":
            return value.strip().strip("\"'")
    return platform.system()


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""
