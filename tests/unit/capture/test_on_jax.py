"""JAX's hook on a stand-in for its trees and its jit: what is recorded, and what is left alone."""

import atexit
import copy
import sys
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from relive.capture.hooks import report
from relive.capture.hooks.on_jax import watch_jit, watch_updates


class Schedule:
    def __init__(self, due: tuple[int, ...]) -> None:
        self.steps = due
        self.spent_on: list[str] = []

    def due(self, stream: str, step: int) -> bool:
        return step in self.steps

    def spent(self, stream: str, seconds: float) -> None:
        assert seconds >= 0
        self.spent_on.append(stream)


class Recorder:
    """Takes steps as the real one does, with the state as it is."""

    def __init__(self, due: tuple[int, ...] = (0, 1, 2)) -> None:
        self.records_steps = True
        self.schedule = Schedule(due)
        self.steps: list[tuple[str, int, dict[str, Any], dict[str, float]]] = []
        self.errors: list[str] = []
        self.names: dict[str, int] = {}

    def name(self, kind: str) -> str:
        self.names[kind] = self.names.get(kind, -1) + 1
        return f"{kind}#{self.names[kind]}"

    def step(
        self, stream: str, step: int, *, state: Any = None, values: Any = None, always: bool = False
    ) -> None:
        if state is None or always or self.schedule.due(stream, step):
            self.steps.append((stream, step, state() if state else {}, values or {}))

    def failed(self, where: str, error: Exception) -> None:
        self.errors.append(f"{where}: {error}")

    def of(self, stream: str) -> list[tuple[int, dict[str, Any], dict[str, float]]]:
        return [(step, state, values) for name, step, state, values in self.steps if name == stream]


LEAF = "leaf"


def flatten(value: Any, path: str = "") -> tuple[list[tuple[str, Any]], Any]:
    if isinstance(value, dict):
        items = [(f"[{key!r}]", item) for key, item in sorted(value.items())]
    elif isinstance(value, (list, tuple)):
        items = [(f"[{at}]", item) for at, item in enumerate(value)]
    else:
        return [(path, value)], LEAF
    parts = [flatten(item, path + name) for name, item in items]
    return [leaf for leaves, _ in parts for leaf in leaves], (
        type(value).__name__,
        *(name for name, _ in items),
        *(tree for _, tree in parts),
    )


def mapped(function: Any, value: Any) -> Any:
    if isinstance(value, dict):
        return {key: mapped(function, item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return type(value)(mapped(function, item) for item in value)
    return function(value)


class Jitted:
    """What the real `jax.jit` gives: callable, with more to it."""

    def __init__(self, function: Any) -> None:
        self.function = function
        self.__name__ = function.__name__

    def __call__(self, *args: Any) -> Any:
        return self.function(*args)

    def lower(self) -> str:
        return "lowered"


@pytest.fixture
def jax(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Give a module like `jax`, whose tracing a test switches on by `jax.core.clean = False`."""
    trees = SimpleNamespace(
        tree_flatten=lambda value: ([leaf for _, leaf in flatten(value)[0]], flatten(value)[1]),
        tree_flatten_with_path=flatten,
        tree_leaves=lambda value: [leaf for _, leaf in flatten(value)[0]],
        tree_structure=lambda value: flatten(value)[1],
        treedef_is_leaf=lambda tree: tree == LEAF,
        tree_map=mapped,
        keystr=lambda path: path,
    )
    core = SimpleNamespace(clean=True)
    core.trace_state_clean = lambda: core.clean
    made = SimpleNamespace(
        jit=lambda fun=None, **_: Jitted(fun) if fun else Jitted,
        random=SimpleNamespace(key=lambda seed: ("key", seed), PRNGKey=lambda seed: ("old key", seed)),
        tree_util=trees,
        core=core,
        dtypes=SimpleNamespace(issubdtype=lambda *_: False, prng_key=None),
    )
    monkeypatch.setitem(sys.modules, "jax", made)
    monkeypatch.delitem(sys.modules, "jax._src.core", raising=False)
    monkeypatch.setattr(atexit, "register", lambda finish: None)
    return made


class Array(np.ndarray):
    """An array that knows where it lies, as JAX's do."""

    is_fully_addressable = True


def array(*values: float) -> Any:
    return np.array(values).view(Array)


def scalar(value: float) -> Any:
    return np.array(value).view(Array)


def train_step(state: dict[str, Any], batch: Any) -> Any:
    new = {"count": scalar(float(state["count"]) + 1), "w": (state["w"] + batch).view(Array)}
    return new, {"loss": scalar(float(batch.sum()))}


def test_a_jitted_step_records_its_state_its_batches_and_its_loss(jax: Any) -> None:
    recorder = Recorder(due=(0, 1, 3))
    watch_jit(jax, recorder)  # type: ignore[arg-type]
    step = jax.jit(train_step)
    state: Any = {"count": 0, "w": array(1.0, 2.0)}
    for number in range(4):
        state, _ = step(state, array(1.0, number))
    assert not recorder.errors
    weights = recorder.of("weights:jax.train_step#0")
    assert [at for at, _, _ in weights] == [0, 1, 3], "before the first step, and what is due"
    assert weights[0][1]["[0]['w'][2]"].tolist() == [1.0, 2.0]
    assert weights[2][1]["[0]['w'][2]"].tolist() == [4.0, 5.0]
    assert weights[1][2] == {"loss['loss']": 1.0} or list(weights[1][2].values()) == [1.0]
    batches = recorder.of("batch:jax.train_step#0")
    assert [at for at, _, _ in batches] == [0, 1, 3]
    assert batches[2][1]["[0][2]"].tolist() == [1.0, 3.0], "the batch of the fourth step"
    assert recorder.schedule.spent_on, "waiting for a loss is paid from the budget"


def test_what_is_traced_is_no_step(jax: Any) -> None:
    recorder = Recorder()
    watch_jit(jax, recorder)  # type: ignore[arg-type]
    step = jax.jit(train_step)
    jax.core.clean = False
    step({"count": 0, "w": array(1.0)}, array(1.0))
    assert not recorder.steps
    jax.core.clean = True
    step({"count": 0, "w": array(1.0)}, array(1.0))
    assert [at for at, _, _ in recorder.of("weights:jax.train_step#0")] == [0, 1]


def test_a_function_that_carries_no_state_is_passed_over(jax: Any) -> None:
    recorder = Recorder()
    watch_jit(jax, recorder)  # type: ignore[arg-type]

    def predict(weights: Any, rows: Any) -> Any:
        return rows * weights["w"]

    predicting = jax.jit(predict)
    for _ in range(3):
        assert predicting({"w": array(2.0)}, array(3.0)).tolist() == [6.0]
    assert (recorder.steps, recorder.errors) == ([], [])


def test_a_librarys_function_stays_what_jit_made_of_it(jax: Any) -> None:
    recorder = Recorder()
    watch_jit(jax, recorder)  # type: ignore[arg-type]
    assert type(jax.jit(pytest.approx)) is Jitted, "it lies in a folder of packages"
    assert type(jax.jit(len)) is Jitted, "it has no code of Python's"
    recorder.records_steps = False
    assert type(jax.jit(train_step)) is Jitted, "a worker of a pool records no steps"


def test_what_stands_for_a_jitted_function_is_used_as_one(jax: Any) -> None:
    watch_jit(jax, Recorder())  # type: ignore[arg-type]
    step = jax.jit(static_argnums=1)(train_step)
    assert (step.__name__, step.lower()) == ("train_step", "lowered")
    assert type(copy.copy(step)) is Jitted, "another process finds no hook of ours"

    class Trainer:
        run = jax.jit(lambda self, number: number + 1)

    assert Trainer().run(1) == 2
    assert step in {step: 1}


def test_an_error_of_ours_does_not_reach_the_program(jax: Any) -> None:
    recorder = Recorder()
    watch_jit(jax, recorder)  # type: ignore[arg-type]
    step = jax.jit(train_step)
    jax.tree_util.tree_flatten = lambda value: 1 / 0
    new, _ = step({"count": 0, "w": array(1.0)}, array(1.0))
    assert new["w"].tolist() == [2.0]
    assert recorder.errors == ["jax step: division by zero"]


def test_seeds_of_keys_are_recorded(jax: Any) -> None:
    recorder = Recorder()
    watch_jit(jax, recorder)  # type: ignore[arg-type]
    assert jax.random.key(7) == ("key", 7)
    assert jax.random.PRNGKey(0) == ("old key", 0)
    jax.random.key(array(1.0, 2.0))  # as a traced one: no number
    assert recorder.of("seed:jax.random.key") == [(0, {}, {"seed": 7.0})]
    assert recorder.of("seed:jax.random.PRNGKey") == [(0, {}, {"seed": 0.0})]
    assert not recorder.errors


def test_updates_outside_of_jit_are_recorded_for_each_model(jax: Any) -> None:
    recorder = Recorder()
    optax = SimpleNamespace(apply_updates=lambda params, updates: {k: params[k] + updates[k] for k in params})
    watch_updates(optax, recorder)  # type: ignore[arg-type]
    one: Any = {"w": array(1.0)}
    other: Any = {"b": array(5.0)}
    for _ in range(2):
        one = optax.apply_updates(one, {"w": array(1.0)})
        other = optax.apply_updates(other, {"b": array(1.0)})
    jax.core.clean = False
    optax.apply_updates(one, {"w": array(1.0)})
    assert not recorder.errors
    found = [(at, float(state["['w'][1]"][0])) for at, state, _ in recorder.of("weights:optax#0")]
    assert found == [(0, 1.0), (1, 2.0), (2, 3.0)]
    assert [at for at, _, _ in recorder.of("weights:optax#1")] == [0, 1, 2]


def test_the_last_state_is_recorded_at_the_end(jax: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    at_end: list[Any] = []
    monkeypatch.setattr(atexit, "register", at_end.append)
    recorder = Recorder(due=())
    watch_jit(jax, recorder)  # type: ignore[arg-type]
    step = jax.jit(train_step)
    state: Any = {"count": 0, "w": array(1.0)}
    for _ in range(3):
        state, _ = step(state, array(1.0))
    (finish,) = at_end
    finish()
    ((at, last, _),) = recorder.of("weights:jax.train_step#0 final")
    assert (at, last["[0]['w'][1]"].tolist()) == (3, [4.0])


def test_the_switches_of_what_was_imported_are_told(monkeypatch: pytest.MonkeyPatch) -> None:
    cudnn = SimpleNamespace(benchmark=True, deterministic=False, allow_tf32=True)
    matmul = SimpleNamespace(allow_tf32=False)
    torch = SimpleNamespace(
        are_deterministic_algorithms_enabled=lambda: True,
        backends=SimpleNamespace(cudnn=cudnn, cuda=SimpleNamespace(matmul=matmul)),
    )
    monkeypatch.setitem(sys.modules, "torch", torch)
    monkeypatch.setitem(sys.modules, "jax", SimpleNamespace(config=SimpleNamespace(jax_enable_x64=True)))
    found = report.switches()
    assert found["torch.are_deterministic_algorithms_enabled"] == "True"
    assert found["torch.backends.cudnn.benchmark"] == "True"
    assert found["torch.backends.cuda.matmul.allow_tf32"] == "False"
    assert found["jax.config.jax_enable_x64"] == "True"
    assert found["jax.config.jax_default_matmul_precision"] == "None", "a version that does not have it"
