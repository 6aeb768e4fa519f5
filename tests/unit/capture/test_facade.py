"""What a script may say to relive, well or badly: everything well said is kept, nothing ever raises."""

import argparse
import json
import math
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from relive.capture.hooks import run as run_module
from relive.capture.hooks.facade import Face
from relive.capture.hooks.run import Config, Run
from relive.capture.hooks.spool import LONGEST_LINE, Spool
from relive.formats.spool import SpoolContents, read_spool

junk: st.SearchStrategy[object] = st.one_of(
    st.none(),
    st.text(max_size=5),
    st.binary(max_size=5),
    st.integers(),
    st.floats(),
    st.lists(st.integers(), max_size=3),
    st.dictionaries(st.text(max_size=3) | st.integers(), st.none() | st.text(max_size=3), max_size=3),
    st.builds(object),
    st.just(np.arange(3)),
)


@pytest.fixture(autouse=True)
def _nothing_said_yet(monkeypatch):
    monkeypatch.setattr(run_module, "_warned", set())


@pytest.fixture
def run(spool_folder):
    return Run(Spool(str(spool_folder)))


def kept(run: Run) -> SpoolContents:
    assert run._spool is not None
    return read_spool(Path(run._spool.folder))


def test_metrics_are_kept_exactly_with_their_steps(run):
    run.log({"loss": 0.1 + 0.2, "n": np.float32(0.1)}, step=7)
    run.log({"nan": math.nan, "inf": -math.inf})
    run.log({"train": {"acc": True}})
    found = {(it.key, it.step): it.value for it in kept(run).metrics}
    assert found["loss", 7] == 0.1 + 0.2
    assert found["n", 7] == float(np.float32(0.1))
    assert math.isnan(found["nan", 8])
    assert found["inf", 8] == -math.inf
    assert found["train/acc", 9] == 1.0


@given(st.floats(), st.integers(-(2**63), 2**63 - 2))
def test_every_float_at_every_step_comes_out_bit_by_bit(tmp_path_factory, value, step):
    run = Run(Spool(str(tmp_path_factory.mktemp("spool"))))
    run.log({"x": value}, step=step)
    (metric,) = kept(run).metrics
    assert (metric.value.hex(), metric.step) == (value.hex(), step)


def test_a_step_that_no_store_can_hold_is_refused_and_noted(run):
    run.log({"x": 1}, step=2**63)
    run.log({"x": 2})
    contents = kept(run)
    assert [(it.step, it.value) for it in contents.metrics] == [(0, 2.0)]
    assert "64 bits" in contents.notes[0]


def test_steps_count_by_themselves_and_go_on_from_the_last_given(run):
    for step in (None, None, 10, None, 3, None):
        run.log({"x": 1}, step=step)
    assert [it.step for it in kept(run).metrics] == [0, 1, 10, 11, 3, 4]


@given(junk, junk)
def test_nothing_that_is_logged_raises(tmp_path_factory, metrics, step):
    run = Run(Spool(str(tmp_path_factory.mktemp("spool"))))
    run.log(metrics, step)
    run.log({"x": metrics}, step)
    run.log_artifact(metrics, step)
    run.step(metrics, loss=step, stream="s")
    run.set_tags(metrics)
    run.config.update({"junk": metrics})
    run.log({"after": 1.0}, step=0)
    contents = kept(run)
    assert "after" in [it.key for it in contents.metrics]
    assert contents.damaged == 0


def test_a_bad_value_is_noted_by_name_and_the_good_ones_beside_it_are_kept(run, capsys):
    run.log({"good": 1, "bad": "high", "also": [1, 2]})
    contents = kept(run)
    assert [it.key for it in contents.metrics] == ["good"]
    assert contents.notes == (
        "metric bad: TypeError: str is not a number",
        "metric also: TypeError: float() argument must be a string or a real number, not 'list'",
    )
    assert "metric bad was not recorded" in capsys.readouterr().err


def test_a_name_that_is_too_long_or_empty_is_refused_and_noted(run):
    run.log({"x" * 251: 1, "": 2, "y" * 250: 3})
    run.log({"a\0b": 1})
    contents = kept(run)
    assert [it.key for it in contents.metrics] == ["y" * 250]
    assert contents.notes == ("a name: ValueError: names have 1 to 250 characters, none of them NUL",)


def test_a_name_is_as_long_as_it_may_be_with_the_rank_before_it(tmp_path):
    run = Run(Spool(str(tmp_path)), prefix="rank 1/")
    for name in ("x" * 243, "y" * 244):
        run.log({name: 1.0})
    run.log({"z": 2.0})
    assert [it.key for it in read_spool(tmp_path).metrics] == ["rank 1/" + "x" * 243, "rank 1/z"]


def test_no_label_holds_what_a_database_cannot(run):
    run.set_tags({"note": "a\0b\ud800c", "a\0b": "x"})
    assert kept(run).tags == {"note": "a\ufffdb?c"}


def test_an_argument_of_10_mb_costs_one_note(run):
    run.config["text"] = "x" * 10_000_000
    run.set_tags({"tag": "x" * (LONGEST_LINE + 1)})
    run.log({"after": 1})
    contents = kept(run)
    assert len(contents.params["text"]) < 10_000
    assert [it.key for it in contents.metrics] == ["after"]
    assert any("a record of" in note for note in contents.notes)


def test_text_that_is_not_unicode_is_kept_as_well_as_it_goes(run):
    run.config["path"] = "caf\udce9"
    run.log({"m\udce9": 1.0})
    contents = kept(run)
    assert contents.params["path"] == "caf?"
    assert [it.key for it in contents.metrics] == ["m?"]
    assert contents.damaged == 0


def test_parameters_come_from_mappings_namespaces_and_attributes(run):
    run.config.update(argparse.Namespace(lr=0.1, layers=[1, 2]))
    run.config.update({"model": {"depth": 3, "dropout": math.nan}}, seed=1)
    run.config.batch = 32
    run.config["lr"] = 0.2
    assert kept(run).params == {
        "lr": 0.2,
        "layers": [1, 2],
        "model.depth": 3,
        "model.dropout": "nan",
        "seed": 1,
        "batch": 32,
    }
    assert run.config.lr == 0.2
    with pytest.raises(AttributeError, match="no 'absent'"):
        _ = run.config.absent


def test_artifacts_are_named_by_their_full_path(run, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "model.bin").write_bytes(b"x")
    run.log_artifact("model.bin")
    run.log_artifact(tmp_path / "model.bin", name="other/name.bin")
    run.log_artifact("absent.bin")
    contents = kept(run)
    assert [(it.path, it.name) for it in contents.artifacts] == [
        (str(tmp_path / "model.bin"), "model.bin"),
        (str(tmp_path / "model.bin"), "other/name.bin"),
    ]
    assert "FileNotFoundError" in contents.notes[0]


def test_steps_of_a_loop_are_recorded_with_every_part_of_their_state(run):
    run.step({"layer": {"w": np.ones(2)}, "b": [np.zeros(1), 1.5]}, loss=np.float64(0.25))
    run.step(np.ones(3), loss=0.125, stream="second")
    run.step(loss=0.5)
    first, second, third = kept(run).trajectory().steps
    assert (first.stream, first.step) == ("step:state", 0)
    assert list(first.digests) == ["layer.w", "b.0", "b.1"]
    assert first.values == {"loss": (0.25).hex()}
    assert (second.stream, list(second.digests)) == ("step:second", ["0"])
    assert (third.stream, third.step, third.digests) == ("step:state", 1, {})


def test_what_is_logged_after_the_end_is_not_kept_and_said_once(run, capsys):
    run.log({"x": 1})
    run.finish()
    run.finish("failed")
    run.log({"y": 1})
    run.config["z"] = 1
    contents = kept(run)
    assert contents.finish is not None
    assert contents.finish.status == "finished"
    assert [it.key for it in contents.metrics] == ["x"]
    assert contents.params == {}


def test_a_block_that_raises_ends_the_run_as_failed(run):
    with pytest.raises(ZeroDivisionError), run:
        raise ZeroDivisionError
    finish = kept(run).finish
    assert finish is not None
    assert finish.status == "failed"


def test_a_run_that_nobody_listens_to_takes_everything():
    run = Run(None)
    run.log({"x": 1})
    run.step([1.0], loss=1)
    run.config["a"] = 1
    run.finish()


class TestFace:
    """The one open run behind the module's functions."""

    @pytest.fixture
    def face(self, spool_folder):
        return Face(lambda options: Run(Spool(str(spool_folder)), name=options.name))

    def test_init_twice_is_the_same_run_with_more_config(self, face, spool_folder):
        run = face.init("p", {"a": 1}, "n")
        assert face.init(None, {"b": 2}, None) is run
        assert read_spool(spool_folder).params == {"a": 1, "b": 2}
        assert face.config is run.config

    def test_config_from_before_init_is_recorded_at_init(self, face, spool_folder):
        face.config["early"] = 1
        assert read_spool(spool_folder).params == {}
        face.init(None, None, None)
        assert read_spool(spool_folder).params == {"early": 1}

    def test_logging_without_init_opens_a_run(self, face, spool_folder):
        face.run().log({"x": 1})
        assert [it.key for it in read_spool(spool_folder).metrics] == ["x"]

    def test_after_finish_the_next_init_is_another_run(self, face):
        run = face.init(None, {"a": 1}, None)
        face.finish()
        assert face.config == {}
        assert face.init(None, None, None) is not run

    def test_a_config_that_is_none_is_noted_and_the_run_is_open(self, face, spool_folder):
        face.init(None, 5, None).log({"x": 1})
        contents = read_spool(spool_folder)
        assert contents.notes[0].startswith("config: TypeError")
        assert [it.key for it in contents.metrics] == ["x"]


def test_a_config_without_a_run_is_a_dict():
    config = Config()
    config.update(a=1)
    config.b = 2
    assert json.dumps(config) == '{"a": 1, "b": 2}'


def test_the_thin_relive_of_the_agent_is_the_facade(record):
    # As in an environment without relive: what could bring it is taken out of the path.
    done = record(
        "import sys\n"
        "sys.path[:] = [p for p in sys.path if 'site-packages' not in p and '/src' not in p]\n"
        "sys.meta_path[:] = [f for f in sys.meta_path if 'editable' not in str(f).lower()]\n"
        "import relive\n"
        "print(relive.__file__)\n"
        "with relive.init(project='p', config={'lr': 0.1}, name='first') as run:\n"
        "    run.log({'acc': 0.5})\n"
        "    relive.config['b'] = 2\n"
        "try: relive.use_dataset('x')\n"
        "except AttributeError as error: print(error)\n"
        "try: relive.absent\n"
        "except AttributeError as error: print(error)\n"
    )
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert lines[0].endswith("agent/relive/__init__.py")
    assert lines[1:] == [
        "relive.use_dataset is not yet supported where relive itself is not installed",
        "module 'relive' has no attribute 'absent'",
    ]
    assert done.spool.params == {"lr": 0.1, "b": 2}
    assert done.spool.tags == {"relive.name": "first", "relive.project": "p"}
    assert done.spool.finish is not None


def test_the_relive_of_the_users_environment_writes_to_the_same_spool(record):
    done = record(
        "import relive\nprint(relive.__file__)\nrelive.init(config={'a': 1}).log({'x': 1})\nrelive.finish()"
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip().endswith("src/relive/__init__.py")
    assert done.spool.params == {"a": 1}
    assert [it.key for it in done.spool.metrics] == ["x"]
    assert len(done.spool.processes) == 1
