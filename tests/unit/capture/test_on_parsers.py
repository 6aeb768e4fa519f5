"""What the program's parsers give is recorded, and the program is none the wiser."""

import sys
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest

from relive.capture.hooks import on_parsers
from relive.capture.observed import observe
from relive.formats.spool import SpoolContents
from relive.formats.spool_records import SpooledParsed

HEAD = (
    "import argparse, enum, pathlib, sys\nclass Mode(enum.Enum):\n    FAST = 1\n"
    "p = argparse.ArgumentParser()\n"
)


class Recorder:
    """Keeps what a hook writes."""

    records_steps = True

    def __init__(self) -> None:
        self.written: list[dict[str, Any]] = []
        self.errors: list[str] = []
        self.spool = SimpleNamespace(write=lambda *records: self.written.extend(records))

    def failed(self, where: str, error: BaseException) -> None:
        self.errors.append(f"{where}: {error}")

    def values(self) -> dict[str, Any]:
        return {it["k"]: it["v"] for it in self.written}


@pytest.fixture
def recorder() -> Recorder:
    return Recorder()


def parsed(done) -> dict[str, Any]:
    assert done.returncode == 0, done.stderr
    assert done.spool.notes == ()
    return {name: it.v for name, it in done.spool.parsed.items()}


def test_a_namespace_is_recorded_with_its_defaults(record):
    script = HEAD + (
        "p.add_argument('--lr', type=float, default=0.1)\n"
        "p.add_argument('--out', type=pathlib.Path, default=pathlib.Path('model'))\n"
        "p.add_argument('--mode', default=Mode.FAST)\np.add_argument('--log', default=sys.stderr)\n"
        "p.add_argument('--layers', type=int, nargs='*')\n"
        "p.set_defaults(func=pathlib.Path.exists, _own=1)\n"
        "a = p.parse_args(['--lr', '0.5', '--layers', '3', '4'])\nassert a.lr == 0.5\n"
    )
    done = record(script)
    assert parsed(done) == {
        "lr": 0.5,
        "out": "model",
        "mode": "FAST",
        "layers": [3, 4],
        "func": "pathlib.Path.exists",
    }
    assert {it.by for it in done.spool.parsed.values()} == {"argparse"}


def test_a_subcommand_and_an_intermixed_line_are_parsed_once_and_whole(record):
    script = HEAD + (
        "p.add_argument('--seed', type=int, default=1)\ns = p.add_subparsers(dest='cmd')\n"
        "t = s.add_parser('train'); t.add_argument('--wd', type=float, default=0.01)\n"
        "p.parse_args(['--seed', '2', 'train'])\n"
        "q = argparse.ArgumentParser(); q.add_argument('--n', type=int); q.add_argument('rest', nargs='*')\n"
        "q.parse_intermixed_args(['a', '--n', '4', 'b'])\n"
    )
    assert parsed(record(script)) == {"seed": 2, "cmd": "train", "wd": 0.01, "n": 4, "rest": ["a", "b"]}


def test_a_line_that_does_not_parse_ends_the_program_as_before(record):
    done = record(HEAD + "p.add_argument('--lr', type=float)\np.parse_args(['--lr', 'much'])\n")
    assert done.returncode == 2
    assert "argument --lr: invalid float value: 'much'" in done.stderr
    assert done.spool.parsed == {}


def test_what_a_library_parses_for_itself_is_not_the_programs(record, spool_folder):
    package = spool_folder.parent / "site-packages"
    package.mkdir()
    (package / "lib.py").write_text(
        "import argparse\ndef read(args):\n"
        "    p = argparse.ArgumentParser(); p.add_argument('--depth', type=int, default=1)\n"
        "    return p.parse_known_args(args)[0]\nread(None)\n"
    )
    script = f"import sys\nsys.path.insert(0, {str(package)!r})\nimport lib\nlib.read(['--depth', '3'])\n"
    assert parsed(record(script)) == {}
    # One that reads the command line for the program, as HfArgumentParser does, is.
    assert parsed(record(script + "lib.read(None)\n")) == {"depth": 1}


def test_a_command_of_click_is_recorded(record):
    script = (
        "import click\n@click.group()\n@click.option('--quiet', is_flag=True)\ndef main(quiet): pass\n"
        "@main.command()\n@click.option('--lr', default=0.1)\ndef train(lr): print(lr)\n"
        "main(['train', '--lr', '0.3'], standalone_mode=False)\n"
    )
    done = record(script)
    assert (done.stdout, parsed(done)) == ("0.3\n", {"quiet": False, "lr": 0.3})


def test_what_a_command_asks_for_without_showing_it_is_not_recorded(record):
    script = (
        "import click\n@click.command()\n@click.option('--phrase', hide_input=True)\n"
        "@click.option('--lr', default=0.1)\ndef train(phrase, lr): print(phrase)\n"
        "train(['--phrase', 'xyzzy'], standalone_mode=False)\n"
    )
    done = record(script)
    assert (done.stdout, parsed(done)) == ("xyzzy\n", {"lr": 0.1})


def test_values_that_fail_when_they_are_looked_at_are_left_out_alone(record):
    script = HEAD + (
        "class Wrong(Exception):\n    def __str__(self): raise ValueError('no text')\n"
        "class Odd:\n    @property\n    def __class__(self): raise Wrong\n"
        "class Names(dict):\n    def items(self): raise Wrong\n"
        "p.set_defaults(odd=Odd(), names=Names(a=1), more=[1, Odd()], lr=0.1)\nprint(p.parse_args([]).lr)\n"
    )
    done = record(script)
    assert (done.stdout, parsed(done)) == ("0.1\n", {"more": [1], "lr": 0.1})


def test_an_error_that_cannot_say_itself_does_not_reach_the_program(record):
    script = HEAD + (
        "class Wrong(Exception):\n    def __str__(self): raise ValueError('no text')\n"
        "class Space:\n    @property\n    def __dict__(self): raise Wrong\n"
        "p.parse_args([], Space())\nprint('went on')\n"
    )
    done = record(script)
    assert (done.returncode, done.stdout) == (0, "went on\n")
    assert any("Wrong" in note for note in done.spool.notes)


def test_large_values_and_many_parsings_cost_little(record):
    script = HEAD + (
        "rows = list(range(2_000_000))\ntable = {str(it): it for it in rows[:5000]}\n"
        "p.set_defaults(rows=rows, table=table)\n"
        "p.parse_args([])\nq = argparse.ArgumentParser()\nq.add_argument('--step', type=int)\n"
        "for step in range(3000): q.parse_args(['--step', str(step)])\n"
    )
    found = parsed(record(script))
    assert found["rows"] == list(range(on_parsers.MOST_ITEMS))
    assert found["step"] == on_parsers.MOST_PARSINGS - 2
    assert sum(name.startswith("table.") for name in found) == on_parsers.MOST_PARAMS - 1


def hydra_of(monkeypatch) -> ModuleType:
    omegaconf = ModuleType("omegaconf")
    omegaconf.OmegaConf = SimpleNamespace(to_container=lambda config, resolve: config)  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "omegaconf", omegaconf)
    module = ModuleType("hydra.core.utils")
    module.run_job = lambda task, config, *rest: task(config)  # type: ignore[attr-defined]
    return module


def test_hydras_config_is_recorded_with_references_followed_and_resolvers_unasked(monkeypatch, recorder):
    module = hydra_of(monkeypatch)
    on_parsers.watch_hydra(module, recorder)
    config = {
        "lr": 0.1,
        "opt": {"lr": "${lr}", "_target_": "SGD"},
        "at": "${now:%S}",
        "a": "${b}",
        "b": "${a}",
    }
    assert module.run_job(lambda given: given["lr"], config) == 0.1
    found = recorder.values()
    assert found.pop("a") in ("${a}", "${b}")  # a circle is left as it is
    assert found.pop("b") in ("${a}", "${b}")
    assert found == {"lr": 0.1, "opt.lr": 0.1, "opt._target_": "SGD", "at": "${now:%S}"}
    assert recorder.errors == []


def test_the_jobs_of_a_sweep_in_one_process_show_every_value(monkeypatch, recorder):
    module = hydra_of(monkeypatch)
    on_parsers.watch_hydra(module, recorder)
    for lr in (0.1, 0.2, 0.1):
        module.run_job(lambda given: None, {"lr": lr, "seed": 1})
    assert recorder.values() == {"lr": [0.1, 0.2], "seed": 1}


def test_a_config_that_cannot_be_read_is_noted_and_the_task_runs(monkeypatch, recorder):
    module = hydra_of(monkeypatch)
    monkeypatch.delitem(sys.modules, "omegaconf")
    on_parsers.watch_hydra(module, recorder)
    assert module.run_job(lambda given: "ran", {}) == "ran"
    assert recorder.errors == ["parameters of hydra: 'omegaconf'"]


def test_flags_of_the_program_are_recorded_and_absls_own_are_not(recorder):
    class FlagValues:
        def __call__(self, argv):
            return argv[1:]

        def flags_by_module_dict(self):
            config = SimpleNamespace(to_dict=lambda: {"lr": 0.2})
            own = [SimpleNamespace(name="config", value=config), SimpleNamespace(name="seed", value=3)]
            return {sys.argv[0]: own, "absl.logging": [SimpleNamespace(name="verbosity", value=0)]}

    module = SimpleNamespace(FlagValues=FlagValues)
    on_parsers.watch_absl(module, recorder)
    assert FlagValues()(["train.py", "x"]) == ["x"]
    assert recorder.values() == {"config.lr": 0.2, "seed": 3}


def test_what_fire_calls_with_is_recorded_with_defaults(recorder):
    module = SimpleNamespace(
        _MakeParseFn=lambda function, metadata: lambda args: (((), {"lr": 0.3}), [], [], 0)
    )
    on_parsers.watch_fire(module, recorder)

    def train(lr=0.1, epochs=2):
        raise AssertionError("recording must not call it")

    assert module._MakeParseFn(train, {})([]) == (((), {"lr": 0.3}), [], [], 0)
    assert recorder.values() == {"lr": 0.3, "epochs": 2}


def test_secrets_are_masked_and_what_only_sounds_like_one_is_not():
    given = {
        "api_key": "abcdef",
        "hub.token": "t",
        "url": "https://me:pw@host/x",
        "header": "ghp_" + "a" * 36,
        "tokenizer": "bert",
        "max_tokens": 512,
        "pin_memory": True,
        "keys": ["a", None],
        "nested": {"password": "x", "lr": 0.1},
    }
    spool = SpoolContents(
        parsed={name: SpooledParsed(k=name, v=it, by="click") for name, it in given.items()}
    )
    found = {it.name: it.value for it in observe(spool, {}).parsed}
    assert found == given | {
        "api_key": "***",
        "hub.token": "***",
        "url": "https://***@host/x",
        "header": "***",
        "keys": ["***", None],
        "nested": {"password": "***", "lr": 0.1},
    }
