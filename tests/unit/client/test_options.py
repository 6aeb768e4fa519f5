"""How a run is opened and what beside numbers it keeps: modes, tags, resuming, media, console, machine."""

import json
import struct
import wave
import zlib
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest

from relive.client.hub import HubClient
from relive.client.shipping import ship
from relive.client.system import Sampler
from relive.client.transport import Transport
from relive.core.run import RunStatus
from tests.support.fake_hub import FakeHub, wait_for
from tests.support.scripts import Script, only


def send(hub: FakeHub, script: Script) -> None:
    for waiting in script.waiting():
        assert ship(HubClient(Transport(hub.url)), waiting).finished


def artifact(hub: FakeHub, name: str) -> dict[str, bytes]:
    (found,) = [it for it in only(hub).report.artifacts if it.path == name]
    return hub.tree(found.manifest)


def index_of(files: dict[str, bytes]) -> list[dict[str, object]]:
    (index,) = [data for name, data in files.items() if name.startswith("index-")]
    return [json.loads(line) for line in index.splitlines()]


def test_offline_sends_nothing_until_it_is_told_to(hub, script):
    done = script.run("import relive\nrelive.init(mode='offline').log({'x': 1})\nrelive.finish()\n")
    assert done.returncode == 0
    assert "`relive sync` sends them" in done.stderr
    assert hub.requests == []
    send(hub, script)
    assert [it.key for it in only(hub).metrics] == ["x"]
    assert only(hub).report.status == RunStatus.FINISHED


def test_disabled_leaves_nothing_anywhere(hub, script):
    script.env["RELIVE_MODE"] = "disabled"
    done = script.run("import relive\nwith relive.init(config={'a': 1}) as run: run.log({'x': 1})\n")
    assert (done.returncode, done.stderr) == (0, "")
    assert hub.requests == []
    assert not script.home.exists()


def test_a_mode_or_an_option_that_is_none_is_said_and_the_run_is_open(hub, script):
    done = script.run("import relive\nrelive.init(mode='fast', entity='me').log({'x': 1})\nrelive.finish()\n")
    assert done.returncode == 0
    assert "mode 'fast' is none of online, offline, disabled" in done.stderr
    assert "init has no 'entity'" in done.stderr
    assert [it.key for it in only(hub).metrics] == ["x"]


def test_tags_experiment_and_summary_reach_the_hub(hub, script):
    script.run(
        "import relive\n"
        "run = relive.init(project='p', experiment='sizes', tags=['baseline', 'short'])\n"
        "for i in range(4): run.log({'loss': i})\n"
        "run.summary['best'] = {'acc': 0.5}\nrelive.summary.update(verdict='good')\nrelive.finish()\n"
    )
    state = only(hub)
    assert state.created is not None
    assert state.created.experiment == "sizes"
    assert state.tags == {"baseline": "true", "short": "true", "verdict": "good"}
    assert [(it.key, it.step, it.value) for it in state.metrics][-1] == ("best/acc", 3, 0.5)


def test_a_run_that_is_resumed_goes_on_as_the_same_run(hub, script):
    script.run("import relive\nrelive.init(name='a').log({'x': 1}, step=0)\nrelive.finish()\n")
    (run_id,) = hub.jobs
    script.run(
        f"import relive\nrelive.init(resume={run_id!r}).log({{'x': 2}}, step=1)\n"
        "print('again')\nrelive.finish()\n"
    )
    assert list(hub.jobs) == [run_id]
    assert [it.step for it in only(hub).metrics] == [0, 1]
    created = only(hub).created
    assert created is not None
    assert created.resume == run_id
    (printed,) = only(hub).report.artifacts
    assert list(hub.tree(printed.manifest).values()) == [b"again\n"]
    assert bytes(only(hub).log) == b""


class TestConsole:
    """What a script prints."""

    def test_it_is_kept_with_secrets_masked_and_printing_stays_as_it_is(self, hub, script):
        secret = "ghp_" + "a1" * 18
        done = script.run(
            "import relive, sys\nrun = relive.init()\n"
            f"print('one'); print('token {secret}'); sys.stderr.write('two\\n'); print('end', end='')\n"
            "relive.finish()\nprint()\nprint('after')\n"
        )
        assert done.stdout == f"one\ntoken {secret}\nend\nafter\n"
        state = only(hub)
        assert bytes(state.log).decode().splitlines()[:3] == ["one", "token ***", "two"]
        assert b"after" not in state.log
        assert hub.read(state.report.log) == bytes(state.log)
        assert state.report.log_bytes == len(state.log)

    @pytest.mark.parametrize("off", ["relive.init(console=False)", "relive.init()"])
    def test_it_can_be_switched_off(self, hub, script, off):
        if "False" not in off:
            script.env["RELIVE_CONSOLE"] = "0"
        script.run(f"import relive\nrun = {off}\nprint('one')\nrun.log({{'x': 1}})\nrelive.finish()\n")
        assert bytes(only(hub).log) == b""
        assert only(hub).report.log == ""

    def test_it_arrives_while_the_script_runs(self, hub, script):
        child = script.start(
            "import relive\nrelive.init()\nprint('on', flush=True)\ninput()\nrelive.finish()\n"
        )
        wait_for(lambda: hub.jobs and bytes(only(hub).log) == b"on\n", "the line arrives", timeout_s=120)
        child.communicate("\n", timeout=120)
        assert child.returncode == 0


class TestSystemMetrics:
    """The machine, beside the run."""

    def test_they_arrive_under_the_names_of_mlflow(self, hub, script):
        script.run("import relive, time\nrelive.init(system_metrics_s=1)\ntime.sleep(1.7)\nrelive.finish()\n")
        found = {it.key: it.value for it in only(hub).metrics}
        assert 0 < found["system/system_memory_usage_percentage"] < 100
        assert 0 <= found["system/cpu_utilization_percentage"] <= 100
        assert found["system/process_memory_megabytes"] > 5

    def test_they_can_be_switched_off(self, hub, script):
        script.env["RELIVE_SYSTEM_METRICS_S"] = "0"
        script.run("import relive, time\nrelive.init()\ntime.sleep(1.2)\nrelive.finish()\n")
        assert only(hub).metrics == []

    def test_what_a_machine_does_not_tell_is_left_out(self, tmp_path, monkeypatch):
        def missing() -> dict[str, float]:
            raise FileNotFoundError("/proc/meminfo")

        monkeypatch.setattr("relive.client.system._memory", missing)
        found = Sampler(tmp_path).sample()
        assert "system/disk_usage_percentage" in found
        assert not any("memory" in name and "gpu" not in name for name in found)


class TestMedia:
    """What a run shows, as the artifact `relive.media` with its index."""

    def logged(
        self, hub: FakeHub, script: Script, code: str
    ) -> tuple[list[dict[str, object]], dict[str, bytes]]:
        done = script.run(f"import relive\nrun = relive.init()\n{code}\nrelive.finish()\n")
        assert done.returncode == 0, done.stderr
        files = artifact(hub, "relive.media")
        return index_of(files), files

    def test_an_array_becomes_a_png_that_others_can_read(self, hub, script):
        index, files = self.logged(
            hub,
            script,
            "import numpy as np\nx = np.zeros((2, 3, 3)); x[0, 1] = [1.0, 0.5, 0.0]\n"
            "run.log({'eval': {'picture': relive.Image(x, caption='a')}, 'loss': 0.5}, step=7)",
        )
        (line,) = index
        assert (line["name"], line["step"], line["kind"], line["caption"]) == (
            "eval/picture",
            7,
            "image",
            "a",
        )
        assert (line["width"], line["height"], line["v"]) == (3, 2, 1)
        data = files[str(line["file"])]
        assert data.startswith(b"\x89PNG")
        assert struct.unpack(">II", data[16:24]) == (3, 2)
        size = struct.unpack(">I", data[33:37])[0]
        assert zlib.decompress(data[41 : 41 + size])[:10] == bytes([0, 0, 0, 0, 255, 128, 0, 0, 0, 0])
        assert [(it.key, it.step) for it in only(hub).metrics] == [("loss", 7)]

    def test_lists_of_lists_need_no_numpy(self, hub, script):
        index, files = self.logged(
            hub, script, "run.log({'p': [relive.Image([[0, 255]]), relive.Image([[1.0]])]})"
        )
        assert [(it["n"], it["width"]) for it in index] == [(0, 2), (1, 1)]
        assert len(files) == 3

    def test_sound_tables_histograms_and_texts(self, hub, script):
        index, files = self.logged(
            hub,
            script,
            "run.log({'a': relive.Audio([0.0, 1.0, -2.0], sample_rate=8000),\n"
            "  't': relive.Table(columns=['x', 'y'], data=[[1, float('nan')], ['a', None]]),\n"
            "  'h': relive.Histogram([1.0, 2.0, 2.0, float('inf')], num_bins=2),\n"
            "  's': relive.Text('héllo')}, step=1)",
        )
        by_name = {str(it["name"]): it for it in index}
        with wave.open(BytesIO(files[str(by_name["a"]["file"])])) as sound:
            assert (sound.getframerate(), sound.getnframes()) == (8000, 3)
            assert struct.unpack("<3h", sound.readframes(3)) == (0, 32767, -32768)
        assert json.loads(files[str(by_name["t"]["file"])]) == {
            "columns": ["x", "y"],
            "rows": [[1, "nan"], ["a", None]],
        }
        assert by_name["h"]["counts"] == [1.0, 2.0]
        assert (by_name["h"]["edges"], by_name["h"]["left_out"]) == ([1.0, 1.5, 2.0], 1)
        assert files[str(by_name["s"]["file"])].decode() == "héllo"

    def test_figures_and_frames_are_known_by_what_they_can_do(self, hub, script):
        index, files = self.logged(
            hub,
            script,
            "class Figure:\n    def savefig(self, path, format): open(path, 'wb').write(b'png')\n"
            "class Plotly:\n    def to_plotly_json(self): return {}\n"
            "    def to_json(self): return '{\"data\": []}'\n"
            "run.log({'m': Figure(), 'p': Plotly()})",
        )
        assert [(it["kind"], it["format"]) for it in index] == [("plot", "png"), ("plot", "plotly")]
        assert [files[str(it["file"])] for it in index] == [b"png", b'{"data": []}']

    def test_what_cannot_be_shown_is_said_once_and_the_rest_is_kept(self, hub, script):
        done = script.run(
            "import relive\nrun = relive.init()\n"
            "for i in range(3): run.log({'p': relive.Image('absent.png'), 'x': i, 'f': relive.Image([])})\n"
            "relive.finish()\n"
        )
        assert done.returncode == 0
        assert done.stderr.count("media p was not recorded") == 1
        assert [it.value for it in only(hub).metrics] == [0, 1, 2]

    def test_kill_9_takes_no_picture_back(self, hub, script):
        hub.go_away()
        done = script.run(
            "import os, relive\nrun = relive.init()\n"
            "for i in range(3): run.log({'p': relive.Image([[i]])})\nos.kill(os.getpid(), 9)\n"
        )
        assert done.returncode == -9
        hub.come_back()
        send(hub, script)
        assert [it["step"] for it in index_of(artifact(hub, "relive.media"))] == [0, 1, 2]

    def test_arrays_of_every_kind_give_the_same_picture(self):
        from relive.capture.hooks.pictures import encode_png

        plain = encode_png([[0, 255], [255, 0]])
        for array in (
            np.array([[0, 255], [255, 0]], "u1"),
            np.array([[0.0, 1.0], [1.0, 0.0]]),
            np.eye(2) == 0,
        ):
            assert encode_png(array) == plain
        with pytest.raises(ValueError, match="dimensions"):
            encode_png(np.zeros(3))
        with pytest.raises(ValueError, match="one length"):
            encode_png([[1, 2], [3]])


class TestSeveralProcesses:
    """Ranks and spawned children write to one run."""

    RANK = (
        "import os, sys, time\nimport relive\nrun = relive.init(name='all')\n"
        "for i in range(5): run.log({'loss': i + 10 * int(os.environ['RANK'])}, step=i)\n"
        "time.sleep(float(sys.argv[1]))\nrelive.finish()\n"
    )

    def test_every_rank_logs_to_the_run_of_rank_0(self, hub, script):
        (script.folder / "train.py").write_text(self.RANK)
        script.env |= {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": "29500", "WORLD_SIZE": "3"}
        children = []
        for rank, pause in ((1, 1.5), (2, 0.0), (0, 0.5)):
            script.env["RANK"] = str(rank)
            children.append(
                script.start(f"import sys; sys.argv[1:] = ['{pause}']; exec(open('train.py').read())")
            )
        said = [child.communicate(timeout=120) for child in children]
        assert [child.returncode for child in children] == [0, 0, 0], said
        send(hub, script)
        state = only(hub)
        found: dict[str, list[float]] = {}
        for it in state.metrics:
            found.setdefault(it.key, []).append(it.value)
        assert found == {
            "loss": [0, 1, 2, 3, 4],
            "rank1/loss": [10, 11, 12, 13, 14],
            "rank2/loss": [20, 21, 22, 23, 24],
        }
        assert state.report.status == RunStatus.FINISHED

    def test_a_rank_without_a_rank_0_goes_on_and_says_so(self, hub, script):
        script.env |= {"RANK": "1", "MASTER_PORT": "29501"}
        done = script.run(
            "import relive.client.ranks as r\nr.WAIT_S = 0.1\nr.find_shared.__defaults__ = (0.1,)\n"
            "import relive\nrelive.init().log({'x': 1})\nrelive.finish()\nprint('trained')\n"
        )
        assert (done.returncode, done.stdout) == (0, "trained\n")
        assert "rank 0 has opened no run" in done.stderr
        assert hub.jobs == {}

    def test_spawned_children_log_to_the_run_of_their_parent(self, hub, script):
        (script.folder / "train.py").write_text(
            "import multiprocessing, relive\n"
            "def work(i): relive.log({'child': i}, step=i)\n"
            "if __name__ == '__main__':\n"
            "    relive.init()\n"
            "    with multiprocessing.get_context('spawn').Pool(2) as pool: pool.map(work, range(6), 1)\n"
            "    relive.finish()\n"
        )
        done = script.run(
            "import runpy, sys; sys.argv = ['train.py']; runpy.run_path('train.py', run_name='__main__')"
        )
        if done.returncode:  # spawn needs a main module of its own
            pytest.fail(done.stderr)
        assert sorted(it.value for it in only(hub).metrics) == [0, 1, 2, 3, 4, 5]


def test_a_day_without_a_hub_is_a_folder_that_is_sent_later_in_order(hub, script, tmp_path):
    hub.go_away()
    done = script.run(
        "import relive\nrun = relive.init(mode='offline')\n"
        "for i in range(60_000): run.log({'x': i}, step=i)\nrelive.finish()\n"
    )
    assert done.returncode == 0
    (spool,) = script.waiting()
    assert len(list(spool.glob("*.points"))) > 3
    hub.come_back()
    send(hub, script)
    assert [it.step for it in only(hub).metrics] == list(range(60_000))
    assert not Path(spool).exists()
