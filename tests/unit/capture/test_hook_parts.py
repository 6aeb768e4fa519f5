"""The parts of the hooks on their own: digests, schedule, values, finding imports, the agent's folder."""

import importlib
import json
import math
import subprocess
import sys
import threading
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from relive.capture import hooks
from relive.capture.agent import agent_environment, install_agent
from relive.capture.hooks.digests import Learned, describe, digest_of, digest_of_parts, fitted
from relive.capture.hooks.on_import import Finder
from relive.capture.hooks.schedule import BUDGET, DENSE, FIRST, Schedule, is_kept, parse_plan
from relive.capture.hooks.values import as_mapping, flat, number, number_word, plain

TYPES: Any = st.sampled_from([np.float64, np.float32, np.int16, np.bool_, np.complex64, np.dtype("<U3")])
arrays: st.SearchStrategy[Any] = hnp.arrays(TYPES, hnp.array_shapes(max_dims=3, max_side=4, min_side=0))


class TestDigests:
    """Equal values, equal digests; anything else changed, another digest."""

    @given(arrays)
    def test_a_copy_in_any_memory_order_has_the_same_digest(self, array):
        assert digest_of(array) == digest_of(np.asfortranarray(array.copy()))
        assert len(digest_of(array)) == 16

    @given(arrays.filter(lambda it: it.size > 1))
    def test_another_shape_or_type_is_another_digest(self, array):
        assert digest_of(array) != digest_of(array[np.newaxis])
        assert digest_of(array) != digest_of(array.astype(object))

    @given(hnp.arrays(np.float64, hnp.array_shapes(max_dims=3, max_side=4)), st.data())
    def test_one_flipped_bit_is_another_digest(self, array, data):
        other = array.copy()
        other.reshape(-1).view("u1")[data.draw(st.integers(0, array.nbytes - 1))] ^= 1
        assert digest_of(array) != digest_of(other)

    def test_what_lies_between_the_fields_of_a_structure_does_not_count(self):
        dtype = np.dtype({"names": ["a", "b"], "formats": ["i1", "i8"], "offsets": [0, 8], "itemsize": 16})
        one, other = np.zeros(3, dtype), np.zeros(3, dtype)
        other.view("u1").reshape(3, 16)[:, 1:8] = 77
        assert digest_of(one) == digest_of(other)
        other["b"][2] = 1
        assert digest_of(one) != digest_of(other)

    @pytest.mark.parametrize(
        ("one", "other"),
        [
            (1, 1.0),
            (1, True),
            (0.0, -0.0),
            ("a", b"a"),
            ([1, 2], [2, 1]),
            ([1, [2]], [[1], 2]),
            (["ab", "c"], ["a", "bc"]),
            ({"a": 1}, {"a": 2}),
            ({"a": 1, "b": 2}, {"b": 2, "a": 1}),  # the order of a mapping is an input
            (None, "None"),
            (np.float32(1), np.float64(1)),
            ([], {}),
        ],
    )
    def test_values_that_differ_have_different_digests(self, one, other):
        assert digest_of(one) != digest_of(other)

    @pytest.mark.parametrize(
        ("one", "other"),
        [
            (math.nan, float("nan")),
            ({"b", "a", "c"}, {"c", "b", "a"}),
            ([1, "a", None], [1, "a", None]),
            ({"x": np.arange(3)}, {"x": np.arange(3)}),
            (np.array(["a", None], object), np.array(["a", None], object)),
            (digest_of, digest_of),
        ],
    )
    def test_equal_values_have_equal_digests(self, one, other):
        assert digest_of(one) == digest_of(other)

    def test_it_is_the_same_in_another_process_with_another_hash_seed(self):
        code = (
            "from relive.capture.hooks.digests import digest_of\n"
            "class A:\n    def __init__(self): self.x = {'k': [1.5, 'a', None]}; self.y = {'p', 'q', 'r'}\n"
            "print(digest_of([A(), A().x, frozenset('abc'), print]))"
        )
        seen = {
            subprocess.run(
                [sys.executable, "-c", code],
                env={"PYTHONHASHSEED": seed, "PYTHONPATH": ":".join(filter(None, sys.path))},
                capture_output=True,
                text=True,
                timeout=120,
                check=True,
            ).stdout
            for seed in ("1", "2")
        }
        assert len(seen) == 1

    def test_objects_are_digested_by_what_they_hold(self):
        @dataclass
        class Model:
            weights: np.ndarray
            name: str = "m"

        one, other = Model(np.ones(3)), Model(np.ones(3))
        assert digest_of(one) == digest_of(other)
        other.weights[1] = 2
        assert digest_of(one) != digest_of(other)

    def test_an_object_that_holds_itself_comes_to_an_end(self):
        loop: list[object] = [1]
        loop.append({"again": loop})
        assert digest_of(loop) == digest_of(loop)

    def test_things_without_state_are_digested_by_their_type(self):
        assert digest_of(threading.Lock()) == digest_of(threading.Lock())
        assert digest_of(iter([1])) == digest_of(iter([2])), "an iterator must not be used up"

    def test_tables_are_digested_by_column(self):
        class Column:
            def __init__(self, values: Any) -> None:
                self.values = values

            def to_numpy(self):
                return np.asarray(self.values)

        class Table:
            def __init__(self, **columns: Any) -> None:
                self.columns = list(columns)
                self._data = columns

            def __getitem__(self, name):
                return Column(self._data[name])

            def to_numpy(self):
                raise AssertionError("a table of mixed types must not be made one array")

        one = digest_of(Table(a=[1, 2], b=["x", "y"]))
        assert one == digest_of(Table(a=[1, 2], b=["x", "y"]))
        assert one != digest_of(Table(a=[1, 2], b=["x", "z"]))
        assert one != digest_of(Table(a=[1, 2], c=["x", "y"]))

    def test_sparse_matrices_are_digested_by_their_parts(self):
        sparse = pytest.importorskip("scipy.sparse")
        one = sparse.csr_matrix(np.eye(4))
        other = one.copy()
        assert digest_of(one) == digest_of(other)
        other.data[0] = 2
        assert digest_of(one) != digest_of(other)

    def test_fitted_attributes_are_those_that_end_with_an_underscore_without_durations(self):
        class Estimator:
            def __init__(self) -> None:
                self.C, self.coef_, self._private_, self.refit_time_ = 1, 2, 3, 4
                self.cv_results_ = {"mean_fit_time": 1, "mean_test_score": 2}
                self.n_timesteps_ = 5

        assert fitted(Estimator()) == {"coef_": 2, "cv_results_": {"mean_test_score": 2}, "n_timesteps_": 5}

    def test_how_long_the_epochs_of_a_fitted_net_took_is_no_part_of_what_it_learned(self):
        class Timer:
            def __init__(self, at: float, patience: int) -> None:
                self.epoch_start_time_, self.patience = at, patience

        class Net:
            def __init__(self, took: float, loss: float = 0.5, patience: int = 3) -> None:
                self.history_ = [{"epoch": 1, "dur": took, "train_loss": loss}]
                self.callbacks_ = [("epoch_timer", Timer(took, patience))]

            def fit(self) -> None: ...

            def get_params(self) -> dict[str, float]:
                return {}

        class Search:
            def __init__(self, net: Net) -> None:
                self.best_estimator_ = net

            def fit(self) -> None: ...

            get_params = Net.get_params

        def of(*args: float, **more: float) -> str:
            return digest_of(Learned(Search(Net(*args, **more)).best_estimator_))  # type: ignore[arg-type]

        assert of(0.1) == of(0.2)
        assert digest_of(Search(Net(0.1))) == digest_of(Search(Net(0.2)))
        assert len({of(0.1), of(0.1, loss=0.6), of(0.1, patience=4)}) == 3
        # Of what goes into a fit nothing is left out.
        assert digest_of([{"dur": 0.1}]) != digest_of([{"dur": 0.2}])
        assert digest_of(Timer(0.1, 3)) != digest_of(Timer(0.2, 3))

    def test_a_description_has_no_addresses(self):
        assert "0x" not in describe(object())
        assert digest_of_parts(1, 2) == digest_of_parts(1, 2) != digest_of_parts(2, 1)


class Clock:
    """A clock that a test moves."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


class TestSchedule:
    """First steps always, then within the budget; a plan exactly."""

    @given(st.floats(1e-6, 10.0), st.floats(1e-4, 1.0), st.integers(1, 3))
    def test_the_cost_stays_within_the_budget(self, cost_s, step_s, n_streams):
        clock = Clock()
        schedule = Schedule(clock=clock)
        spent = dict.fromkeys(range(n_streams), 0.0)
        for step in range(400):
            for stream in range(n_streams):
                if schedule.due(str(stream), step):
                    schedule.spent(str(stream), cost_s)
                    spent[stream] += cost_s
            clock.now += step_s
        elapsed_s = clock.now - 100.0
        for cost in spent.values():
            assert cost <= FIRST * cost_s + BUDGET * elapsed_s + 1e-9

    def test_the_first_steps_are_always_digested(self):
        schedule = Schedule(clock=Clock())
        for step in range(FIRST):
            assert schedule.due("w", step)
            schedule.spent("w", 1000.0)
        assert not schedule.due("w", FIRST)

    def test_a_cheap_digest_is_taken_often_and_an_expensive_one_is_not_starved(self):
        clock = Clock()
        schedule = Schedule(clock=clock)
        counts = {"batch": 0, "weights": 0}
        for step in range(5000):
            for stream, cost_s in (("batch", 1e-5), ("weights", 2e-3)):
                if schedule.due(stream, step):
                    schedule.spent(stream, cost_s)
                    counts[stream] += 1
            clock.now += 0.01
        assert counts["batch"] > 1000
        assert counts["weights"] >= 30

    @given(st.sets(st.integers(0, 50)))
    def test_a_plan_is_kept_to_exactly(self, steps):
        schedule = Schedule({"w": frozenset(steps)})
        assert {step for step in range(60) if schedule.due("w", step)} == steps
        assert not schedule.due("other", 0)

    def test_a_long_run_stays_a_small_record(self):
        assert all(is_kept(step) for step in range(DENSE))
        kept = [step for step in range(1_000_000) if is_kept(step)]
        assert len(kept) < DENSE * 12
        assert kept == [step for step in range(1_000_000) if is_kept(step)]

    @pytest.mark.parametrize("text", ["[]", "1", '"a"', "{", '{"a": 1}', '{"a": ["x"]}'])
    def test_what_is_no_plan_is_refused(self, text):
        with pytest.raises((ValueError, TypeError)):
            parse_plan(text)

    def test_the_plan_comes_from_the_environment_or_a_file_it_names(self, monkeypatch, tmp_path):
        monkeypatch.setenv("RELIVE_DIGEST_STEPS", '{"w": [2]}')
        assert Schedule.from_environment().due("w", 2)
        (tmp_path / "plan.json").write_text('{"w": [3]}')
        monkeypatch.setenv("RELIVE_DIGEST_STEPS", str(tmp_path / "plan.json"))
        assert not Schedule.from_environment().due("w", 2)
        monkeypatch.delenv("RELIVE_DIGEST_STEPS")
        assert Schedule.from_environment().due("w", 2)


class TestValues:
    """What users log, exactly or not at all."""

    @given(st.floats())
    def test_a_float_comes_through_json_bit_by_bit(self, value):
        back = float(json.loads(json.dumps(number_word(value))))
        assert back.hex() == value.hex()

    @pytest.mark.parametrize(
        ("value", "expected"),
        [
            (1, 1.0),
            (True, 1.0),
            (np.float32(0.1), float(np.float32(0.1))),
            (np.array([[2.5]]), 2.5),
            (np.int64(7), 7.0),
            (np.bool_(False), 0.0),
        ],
    )
    def test_scalars_of_every_kind_are_numbers(self, value, expected):
        assert number(value) == expected

    @pytest.mark.parametrize(
        "value", [None, "1", b"1", 1j, np.array([1, 2]), [1], {}, object(), np.str_("1")]
    )
    def test_what_is_no_number_is_refused(self, value):
        with pytest.raises((TypeError, ValueError)):
            number(value)

    def test_a_number_too_large_for_a_float_is_refused(self):
        with pytest.raises(OverflowError):
            number(10**400)

    json_values = st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5) | st.binary(max_size=3),
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
        max_leaves=8,
    )

    @given(json_values)
    def test_anything_becomes_a_document_that_json_can_hold(self, value):
        json.dumps(plain(value), allow_nan=False)

    def test_long_and_deep_values_are_bounded(self):
        deep: list[object] = []
        for _ in range(100):
            deep = [deep]
        assert len(json.dumps(plain([deep, "x" * 100_000, object()]))) < 20_000

    def test_nested_names_are_joined_by_dots(self):
        assert dict(flat({"a": {"b": {"c": 1}, "d": 2}, "e": {}})) == {"a.b.c": 1, "a.d": 2, "e": {}}

    def test_configs_of_every_kind_have_names(self):
        @dataclass
        class Config:
            lr: float = 0.1

        class Namespace:
            def __init__(self) -> None:
                self.lr = 0.1

        assert as_mapping(Config()) == as_mapping(Namespace()) == as_mapping({"lr": 0.1}) == {"lr": 0.1}
        with pytest.raises(TypeError):
            as_mapping(5)


class TestFinder:
    """Watching imports without changing what is imported."""

    @pytest.fixture
    def module_folder(self, tmp_path, monkeypatch):
        monkeypatch.syspath_prepend(str(tmp_path))
        monkeypatch.setattr(sys, "meta_path", list(sys.meta_path))
        yield tmp_path
        for name in ("watched_one", "watched_package", "watched_package.inner"):
            sys.modules.pop(name, None)

    def test_a_watcher_is_called_once_after_the_module_has_run(self, module_folder):
        (module_folder / "watched_one.py").write_text("VALUE = 7\n")
        seen: list[int] = []
        Finder({"watched_one": lambda module: seen.append(module.VALUE)}).install()
        module = importlib.import_module("watched_one")
        assert seen == [7]
        importlib.reload(module)
        assert seen == [7]

    def test_the_module_keeps_its_own_loader(self, module_folder):
        (module_folder / "watched_one.py").write_text("")
        Finder({"watched_one": lambda module: None}).install()
        module = importlib.import_module("watched_one")
        assert module.__spec__ is not None
        assert type(module.__spec__.loader).__name__ == "SourceFileLoader"
        assert "exec_module" not in vars(module.__spec__.loader)

    def test_a_module_of_a_package_is_found(self, module_folder):
        (module_folder / "watched_package").mkdir()
        (module_folder / "watched_package/__init__.py").write_text("from watched_package.inner import X\n")
        (module_folder / "watched_package/inner.py").write_text("X = 1\n")
        seen = []
        Finder({"watched_package.inner": lambda module: seen.append(module.__name__)}).install()
        importlib.import_module("watched_package")
        assert seen == ["watched_package.inner"]

    def test_an_error_while_importing_is_the_modules_own(self, module_folder):
        (module_folder / "watched_one.py").write_text("1 / 0\n")
        Finder({"watched_one": lambda module: pytest.fail("must not be called")}).install()
        with pytest.raises(ZeroDivisionError):
            importlib.import_module("watched_one")

    def test_an_absent_module_stays_absent(self, module_folder):
        Finder({"watched_one": lambda module: None}).install()
        with pytest.raises(ModuleNotFoundError):
            importlib.import_module("watched_one")

    def test_a_module_that_is_imported_already_is_handed_over_at_once(self, module_folder):
        seen = []
        Finder({"json": lambda module: seen.append(module.__name__)}).install()
        assert seen == ["json"]


class TestAgent:
    """The agent's folder: complete, named by what it holds, safe to make twice."""

    def test_it_holds_every_module_of_the_hooks(self, agent):
        ours = {path.name for path in (agent.agent / "relive_hooks").glob("*.py")}
        sources = {path.name for path in type(agent.boot)(hooks.__file__).parent.glob("*.py")}
        assert ours == set(hooks.AGENT_FILES) == sources - {hooks.BOOT_FILE}
        assert [path.name for path in agent.boot.glob("*.py")] == ["sitecustomize.py"]

    def test_making_it_again_changes_nothing(self, tmp_path):
        one = install_agent(tmp_path)
        before = (one.boot / "sitecustomize.py").stat()
        assert install_agent(tmp_path) == one
        assert (one.boot / "sitecustomize.py").stat().st_ino == before.st_ino
        assert len(list(tmp_path.iterdir())) == 1

    def test_a_damaged_one_is_made_anew(self, tmp_path):
        one = install_agent(tmp_path)
        (one.agent / "relive_hooks/spool.py").write_text("broken")
        (one.agent / "relive_hooks/run.py").unlink()
        assert install_agent(tmp_path) == one
        assert (one.agent / "relive_hooks/run.py").is_file()
        assert "class Spool" in (one.agent / "relive_hooks/spool.py").read_text()
        assert len(list(tmp_path.iterdir())) == 1

    def test_several_processes_can_make_it_at_once(self, tmp_path):
        code = (
            "import sys\nfrom pathlib import Path\nfrom relive.capture.agent import install_agent\n"
            "print(install_agent(Path(sys.argv[1])).boot)"
        )
        children = [
            subprocess.Popen([sys.executable, "-c", code, str(tmp_path)], stdout=subprocess.PIPE, text=True)
            for _ in range(4)
        ]
        assert len({child.communicate(timeout=120)[0] for child in children}) == 1
        assert [child.returncode for child in children] == [0] * 4
        assert len(list(tmp_path.iterdir())) == 1

    def test_the_environment_puts_the_boot_first_and_keeps_the_rest(self, agent, tmp_path):
        given_ = {"PYTHONPATH": "/mine", "HOME": "/home/me", "RELIVE_DIGEST_STEPS": "old"}
        made = agent_environment(agent, tmp_path, given_)
        assert made["PYTHONPATH"] == f"{agent.boot}:/mine"
        assert made["RELIVE_SPOOL_DIR"] == str(tmp_path)
        assert "RELIVE_DIGEST_STEPS" not in made
        assert given_["PYTHONPATH"] == "/mine"
        assert agent_environment(agent, tmp_path, {})["PYTHONPATH"] == str(agent.boot)
        plan = tmp_path / "plan.json"
        assert agent_environment(agent, tmp_path, {}, digest_steps=plan)["RELIVE_DIGEST_STEPS"] == str(plan)
