"""The machine, from the files of many kinds of machines and from this one."""

import os
import platform
from pathlib import Path

import pytest

from relive.capture import hardware as hardware_module
from relive.capture.hardware import read_gpus, read_hardware, read_power

X86 = """processor\t: 0
vendor_id\t: GenuineIntel
model name\t: Intel(R) Xeon(R) Gold
flags\t\t: fpu avx2 avx512f

processor\t: 1
vendor_id\t: Other
model name\t: Other
flags\t\t: none
"""
ARM = "processor\t: 0\nFeatures\t: fp asimd\nCPU implementer\t: 0x41\nCPU part\t: 0xd0c\n"


@pytest.fixture
def root(tmp_path, monkeypatch):
    """Give an empty machine whose program search finds nothing."""
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    (tmp_path / "bin").mkdir()
    return tmp_path


def put(root: Path, **files: str) -> None:
    for name, text in files.items():
        path = root / name.replace("__", "/").replace("_dot_", ".")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)


def test_this_machine_is_described():
    found = read_hardware()
    assert found.cores == os.cpu_count()
    assert 1 <= found.cores_allowed <= found.cores
    assert found.memory_bytes > 2**28
    assert found.cpu_model
    assert found.cpu_flags_digest.startswith("blake3:")
    assert found.kernel == platform.release()
    assert read_hardware() == found


def test_the_first_processor_counts(root):
    put(root, proc__cpuinfo=X86, proc__meminfo="MemTotal:  1024 kB\nMemFree: 5 kB\n")
    found = read_hardware(root)
    assert (found.cpu_model, found.cpu_vendor) == ("Intel(R) Xeon(R) Gold", "GenuineIntel")
    assert found.memory_bytes == 1024 * 1024


def test_processors_without_a_model_name_are_told_apart_too(root):
    put(root, proc__cpuinfo=ARM)
    found = read_hardware(root)
    assert (found.cpu_model, found.cpu_vendor) == ("0xd0c", "0x41")


def test_the_order_of_flags_does_not_count_but_each_flag_does(root):
    def digest(flags: str) -> str:
        put(root, proc__cpuinfo=f"flags : {flags}\n")
        return read_hardware(root).cpu_flags_digest

    assert digest("avx2 sse") == digest("sse avx2") != digest("sse")


def test_an_empty_machine_is_described_without_an_error(root):
    found = read_hardware(root)
    assert (found.memory_bytes, found.memory_limit_bytes, found.gpus, found.driver) == (0, None, (), "")
    assert found.cpu_model == platform.machine()


def test_the_name_of_the_system_comes_from_os_release(root):
    put(root, etc__os_dash_release="x")
    (root / "etc/os-release").write_text('NAME="Debian"\nPRETTY_NAME="Debian GNU/Linux 12 (bookworm)"\n')
    assert read_hardware(root).os == "Debian GNU/Linux 12 (bookworm)"


@pytest.fixture
def many_cores(monkeypatch):
    monkeypatch.setattr(os, "cpu_count", lambda: 64)
    monkeypatch.setattr(os, "sched_getaffinity", lambda pid: set(range(48)), raising=False)


@pytest.mark.usefixtures("many_cores")
class TestLimits:
    """The tightest of affinity and every cgroup above the process."""

    def test_without_a_cgroup_the_affinity_counts(self, root):
        found = read_hardware(root)
        assert (found.cores, found.cores_allowed) == (64, 48)

    def test_version_2_the_tightest_of_all_levels_counts(self, root):
        put(root, proc__self__cgroup="0::/a.slice/b\n")
        for folder, cpu, memory in (
            ("", "max 100000", "max"),
            ("a.slice", "250000 100000", "1000000"),
            ("a.slice/b", "800000 100000", "2000000"),
        ):
            path = root / "sys/fs/cgroup" / folder
            path.mkdir(parents=True, exist_ok=True)
            (path / "cpu.max").write_text(f"{cpu}\n")
            (path / "memory.max").write_text(f"{memory}\n")
        found = read_hardware(root)
        assert (found.cores_allowed, found.memory_limit_bytes) == (3, 1_000_000)

    def test_version_2_inside_a_container_the_top_is_what_is_seen(self, root):
        put(root, proc__self__cgroup="0::/docker/host/path\n")
        top = root / "sys/fs/cgroup"
        top.mkdir(parents=True)
        (top / "cpu.max").write_text("50000 100000\n")
        (top / "memory.max").write_text("536870912\n")
        found = read_hardware(root)
        assert (found.cores_allowed, found.memory_limit_bytes) == (1, 536870912)

    def test_version_1_each_controller_has_a_tree_of_its_own(self, root):
        put(root, proc__self__cgroup="5:cpu,cpuacct:/docker/x\n4:memory:/docker/x\n1:name=systemd:/y\n0::/\n")
        cpu = root / "sys/fs/cgroup/cpu,cpuacct/docker/x"
        memory = root / "sys/fs/cgroup/memory/docker/x"
        for path in (cpu, memory):
            path.mkdir(parents=True)
        (cpu / "cpu.cfs_quota_us").write_text("400000\n")
        (cpu / "cpu.cfs_period_us").write_text("100000\n")
        (memory / "memory.limit_in_bytes").write_text("4294967296\n")
        found = read_hardware(root)
        assert (found.cores_allowed, found.memory_limit_bytes) == (4, 2**32)

    def test_version_1_no_limit_is_none(self, root):
        put(root, proc__self__cgroup="5:cpu:/\n4:memory:/\n")
        for name in ("cpu", "memory"):
            (root / "sys/fs/cgroup" / name).mkdir(parents=True)
        (root / "sys/fs/cgroup/cpu/cpu.cfs_quota_us").write_text("-1\n")
        (root / "sys/fs/cgroup/cpu/cpu.cfs_period_us").write_text("100000\n")
        (root / "sys/fs/cgroup/memory/memory.limit_in_bytes").write_text("9223372036854771712\n")
        found = read_hardware(root)
        assert (found.cores_allowed, found.memory_limit_bytes) == (48, None)

    @pytest.mark.parametrize("text", ["", "garbage", "max", "-5 100", "100000 0", "1e5 1"])
    def test_a_limit_that_cannot_be_read_is_none(self, root, text):
        put(root, proc__self__cgroup="0::/\nbroken line\n:\n")
        (root / "sys/fs/cgroup").mkdir(parents=True)
        (root / "sys/fs/cgroup/cpu.max").write_text(text)
        (root / "sys/fs/cgroup/memory.max").write_text(text)
        found = read_hardware(root)
        assert found.cores_allowed == 48
        assert found.memory_limit_bytes is None


def program(root: Path, body: str) -> None:
    path = root / "bin/nvidia-smi"
    path.write_text(f"#!/bin/sh\n{body}\n")
    path.chmod(0o755)


class TestGpus:
    """`nvidia-smi` as a program that answers, refuses, hangs or is not there."""

    def test_each_gpu_is_described(self, root):
        answer = "NVIDIA H100 80GB HBM3, 81559, 570.86.15, 9.0, 96.00.74.00.01"
        program(root, f'echo "{answer}"; echo "{answer}"')
        one, other = read_gpus()
        assert one == other
        assert one == {
            "name": "NVIDIA H100 80GB HBM3",
            "memory_bytes": 81559 * 2**20,
            "driver": "570.86.15",
            "compute_capability": "9.0",
            "vbios": "96.00.74.00.01",
        }
        assert read_hardware(root).driver == "570.86.15"

    def test_an_old_driver_is_asked_for_less(self, root):
        program(root, 'case "$1" in *compute_cap*) exit 2;; esac; echo "Tesla K80, 11441, 470.1"')
        assert read_gpus() == ({"name": "Tesla K80", "memory_bytes": 11441 * 2**20, "driver": "470.1"},)

    def test_shared_memory_has_no_size(self, root):
        program(root, 'echo "GB10, [N/A], 580.1, 12.1, 9"')
        assert read_gpus()[0]["memory_bytes"] is None

    @pytest.mark.parametrize("body", ["exit 9", "echo nonsense", "echo", "printf '\\377\\376, 1, 2, 3, 4'"])
    def test_a_program_that_says_nothing_useful_finds_no_gpu(self, root, body):
        program(root, body)
        assert read_gpus() == ()

    def test_a_driver_that_hangs_does_not_hang_the_run(self, root, monkeypatch):
        monkeypatch.setattr(hardware_module, "_GPU_TIMEOUT_S", 0.3)
        program(root, "exec /bin/sleep 300")
        assert read_gpus() == ()


class TestPower:
    """What sets clocks, as the kernel and `nvidia-smi` tell it."""

    @pytest.mark.parametrize(
        ("switch", "turbo"),
        [
            (("intel_pstate/no_turbo", "1"), "off"),
            (("intel_pstate/no_turbo", "0"), "on"),
            (("cpufreq/boost", "1"), "on"),
            (("cpufreq/boost", "0"), "off"),
        ],
    )
    def test_governor_and_turbo_are_read(self, root, switch, turbo):
        for path, text in {"cpu0/cpufreq/scaling_governor": "performance", switch[0]: switch[1]}.items():
            place = root / "sys/devices/system/cpu" / path
            place.parent.mkdir(parents=True, exist_ok=True)
            place.write_text(text + "\n")
        assert read_power(root) == {"governor": "performance", "turbo": turbo}

    def test_limits_of_gpus_are_read_where_a_driver_tells_them(self, root):
        program = root / "bin/nvidia-smi"
        program.write_text(
            "#!/bin/sh\necho 'Enabled, 700.00, 1980, 2619'\necho 'Disabled, [N/A], [Not Supported], [N/A]'\n"
        )
        program.chmod(0o755)
        assert read_power(root) == {
            "gpu 0 persistence_mode": "Enabled",
            "gpu 0 power.limit": "700.00",
            "gpu 0 clocks.applications.graphics": "1980",
            "gpu 0 clocks.applications.memory": "2619",
            "gpu 1 persistence_mode": "Disabled",
        }

    def test_a_machine_that_does_not_say_has_none(self, root):
        assert read_power(root) == {}
