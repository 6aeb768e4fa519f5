"""What stands beside an open run: the console's copy, the machine's figures, where processes meet."""

import ctypes
import io
import os
import subprocess
import sys
from pathlib import Path

import pytest

from relive.client import ranks, system
from relive.client.console import Console
from relive.client.spool import LocalRun, open_spool, process_started, spool_root
from relive.client.system import Gpus, Sampler


@pytest.fixture
def home(tmp_path, monkeypatch):
    monkeypatch.setenv("RELIVE_HOME", str(tmp_path / "home"))
    for name in (*ranks._LAUNCH, "RANK", "SLURM_PROCID", "SLURM_NTASKS", ranks.SPOOL_OF_PARENT):
        monkeypatch.delenv(name, raising=False)
    return tmp_path / "home"


def a_spool(*, alive: bool = True) -> Path:
    started = process_started(os.getpid()) if alive else "an earlier process"
    return open_spool(LocalRun(project="p", pid=os.getpid(), process_started=started))


class TestConsole:
    """The copy of what is printed."""

    def streams(self, monkeypatch: pytest.MonkeyPatch) -> tuple[io.StringIO, io.StringIO]:
        # Within the test: pytest sets both anew between a fixture and its test.
        out, err = io.StringIO(), io.StringIO()
        monkeypatch.setattr(sys, "stdout", out)
        monkeypatch.setattr(sys, "stderr", err)
        return out, err

    def test_both_streams_are_copied_until_it_stops_and_then_are_as_before(self, tmp_path, monkeypatch):
        out, err = self.streams(monkeypatch)
        console = Console(tmp_path / "console.log")
        out.write("one\n")
        err.write("zwei ü\n")
        console.stop()
        out.write("after\n")
        assert (tmp_path / "console.log").read_text(encoding="utf-8") == "one\nzwei ü\n"
        assert (out.getvalue(), err.getvalue()) == ("one\nafter\n", "zwei ü\n")
        assert "tee" not in repr(out.write)

    def test_who_has_wrapped_the_stream_since_keeps_his_wrapping(self, tmp_path, monkeypatch):
        out, _ = self.streams(monkeypatch)
        console = Console(tmp_path / "console.log")
        before = out.write
        monkeypatch.setattr(out, "write", lambda text: before(f"[{text}]"))
        console.stop()
        out.write("x")
        assert out.getvalue() == "[x]"
        assert (tmp_path / "console.log").read_text() == ""

    def test_a_descriptor_that_became_another_file_is_not_written(self, tmp_path, monkeypatch):
        out, _ = self.streams(monkeypatch)
        console = Console(tmp_path / "console.log")
        with open(tmp_path / "mine", "w") as file:
            os.dup2(file.fileno(), console._fd)
        out.write("printed")
        console.stop()
        assert (tmp_path / "mine").read_text() == ""
        assert out.getvalue() == "printed"

    def test_streams_that_are_missing_are_passed_by(self, tmp_path, monkeypatch):
        monkeypatch.setattr(sys, "stdout", None)
        Console(tmp_path / "console.log").stop()


class TestSystem:
    """The machine's figures."""

    def test_a_machine_without_nvidias_library_has_no_gpus(self, monkeypatch):
        def missing(name: str) -> None:
            raise OSError(name)

        monkeypatch.setattr(ctypes, "CDLL", missing)
        assert Gpus().sample() == {}

    def test_a_gpus_figures_come_from_the_library(self, monkeypatch):
        class Library:
            """Answers as NVML does: 0 for good, values through pointers."""

            def nvmlInit_v2(self) -> int:  # noqa: N802
                return 0

            def nvmlDeviceGetCount_v2(self, count) -> int:  # noqa: N802
                count._obj.value = 1
                return 0

            def nvmlDeviceGetHandleByIndex_v2(self, number, handle) -> int:  # noqa: N802
                return 0

            def nvmlDeviceGetUtilizationRates(self, handle, use) -> int:  # noqa: N802
                use._obj.gpu = 40
                return 0

            def nvmlDeviceGetMemoryInfo(self, handle, memory) -> int:  # noqa: N802
                memory._obj.total, memory._obj.used = 4_000_000, 1_000_000
                return 0

            def nvmlDeviceGetPowerUsage(self, handle, power) -> int:  # noqa: N802
                return 3  # not supported

        monkeypatch.setattr(ctypes, "CDLL", lambda name: Library())
        assert Gpus().sample() == {
            "gpu_0_utilization_percentage": 40.0,
            "gpu_0_memory_usage_megabytes": 1.0,
            "gpu_0_memory_usage_percentage": 25.0,
        }

    def test_work_and_traffic_since_the_last_sample_show(self, tmp_path, monkeypatch):
        ticks = iter([(100, 1000), (150, 1100)])
        traffic = iter([(5_000_000, 0), (7_000_000, 1_000_000)])
        monkeypatch.setattr(system, "_processor_ticks", lambda: next(ticks))
        monkeypatch.setattr(system, "_network_bytes", lambda: next(traffic))
        found = Sampler(tmp_path).sample()
        assert found["system/cpu_utilization_percentage"] == 50.0
        assert found["system/network_receive_megabytes"] == 2.0
        assert found["system/network_transmit_megabytes"] == 1.0


class TestRanks:
    """Where the processes of a training meet."""

    def test_a_process_alone_opens_a_run_of_its_own(self, home):
        ranks.share(a_spool())
        assert ranks.find_shared(0) is None
        assert not (spool_root() / ".groups").exists()

    def test_a_rank_finds_what_rank_0_shares_until_it_takes_it_back(self, home, monkeypatch):
        monkeypatch.setenv("MASTER_PORT", "1234")
        spool = a_spool()
        ranks.share(spool)
        monkeypatch.delenv(ranks.SPOOL_OF_PARENT)
        monkeypatch.setenv("RANK", "3")
        assert ranks.find_shared(0) == spool
        monkeypatch.setenv("MASTER_PORT", "9999")
        assert ranks.find_shared(0) is None
        monkeypatch.setenv("MASTER_PORT", "1234")
        ranks.unshare(spool)
        assert ranks.find_shared(0) is None

    def test_what_an_earlier_launch_left_is_not_taken(self, home, monkeypatch):
        monkeypatch.setenv("MASTER_PORT", "1234")
        monkeypatch.setenv("RANK", "1")
        ranks.share(a_spool(alive=False))
        assert ranks.find_shared(0) is None

    @pytest.mark.parametrize(
        ("variables", "prefix"),
        [
            ({}, ""),
            ({"RANK": "0"}, ""),
            ({"RANK": "2"}, "rank2/"),
            ({"OMPI_COMM_WORLD_RANK": "4"}, "rank4/"),
            ({"SLURM_PROCID": "1"}, "rank1/"),
            ({"RANK": "none"}, ""),
        ],
    )
    def test_ranks_are_read_as_launchers_name_them(self, home, monkeypatch, variables, prefix):
        from relive.capture.hooks.ranks import rank_prefix

        for name, value in variables.items():
            monkeypatch.setenv(name, value)
        assert rank_prefix() == prefix

    def test_a_member_counts_while_its_process_lives(self, home):
        from relive.client.shipping import _members

        spool = a_spool()
        member = ranks.join(spool)
        assert _members(spool) == [member]
        child = subprocess.run(
            [sys.executable, "-c", "import os; print(os.getpid())"], capture_output=True, check=True
        )
        (spool / f"member-{int(child.stdout)}").write_text("a process that has ended")
        assert _members(spool) == [member]
        member.unlink()
        assert _members(spool) == []
