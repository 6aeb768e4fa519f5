"""The recorder of a process: begins as it begins, watches the libraries that train, reports at its end."""

from __future__ import annotations

import atexit
import importlib
import os
import re
import sys
import time
from collections.abc import Mapping
from types import ModuleType
from typing import Any, Callable

from . import report
from .asking import Asking
from .checkpoints import CHECKPOINTS, Checkpoints
from .digests import digest_of
from .drill import DRILL, Drill
from .on_import import Finder, Watcher
from .schedule import Schedule, is_kept
from .spool import SPOOL_DIR, Spool, argv

Place = tuple[str, str]
# Module that the user imports → what watches it: our module and the function in it.
WATCHED = {
    "absl.flags._flagvalues": ("on_parsers", "watch_absl"),
    "argparse": ("on_parsers", "watch_argparse"),
    "catboost.core": ("on_catboost", "watch_training"),
    "click.core": ("on_parsers", "watch_click"),
    "fire.core": ("on_parsers", "watch_fire"),
    "gensim.models.word2vec": ("on_gensim", "watch_vectors"),
    "hydra.core.utils": ("on_parsers", "watch_hydra"),
    "jax": ("on_jax", "watch_jit"),
    "keras.src.callbacks.callback_list": ("on_keras", "watch_fits"),
    "lightgbm.engine": ("on_lightgbm", "watch_training"),
    "mlflow.tracking.fluent": ("on_mlflow", "watch_runs"),
    "optax._src.update": ("on_jax", "watch_updates"),
    "sklearn.base": ("on_sklearn", "watch_fits"),
    "torch.autograd": ("on_torch", "watch_losses"),
    "torch.optim.optimizer": ("on_torch", "watch_optimizers"),
    "torch.utils.data.dataloader": ("on_torch", "watch_batches"),
    "typer._click.core": ("on_parsers", "watch_click"),
    "xgboost.training": ("on_xgboost", "watch_training"),
}
# Only where a step is looked into.
DRILLED = {"torch": ("on_torch_ops", "watch_operations")}
# Only where checkpoints are asked for; instead of the above or beside it, in this order.
CHECKPOINTED = {
    "torch.amp.grad_scaler": (("on_torch_states", "watch_scalers"),),
    # A loss is counted where its gradients are left out, too.
    "torch.autograd": (("on_torch_skips", "watch_gradients"), ("on_torch", "watch_losses")),
    "torch.nn.modules.module": (("on_torch_states", "watch_modules"),),
    "torch.optim.lr_scheduler": (("on_torch_states", "watch_schedulers"),),
    # A step belongs to what the checkpoint behind it ends.
    "torch.optim.optimizer": (("on_torch", "watch_optimizers"), ("on_torch_states", "watch_optimizers")),
}
MOST_ERRORS = 20

State = Callable[[], Mapping[str, Any]]
# How a worker of a pool is started; it says so nowhere else before its first task.
_WORKER = re.compile(
    r"from multiprocessing\.(spawn|forkserver|resource_tracker) import|(joblib\.externals\.)?loky\."
)

_current: Recorder | None = None


class Counter:
    """Counts the steps of a stream from 0."""

    def __init__(self) -> None:
        self.count = -1

    def next(self) -> int:
        """Give the next number."""
        self.count += 1
        return self.count


class Recorder:
    """Write the steps of this process to its spool, within the budget of its schedule.

    Attributes:
        spool: Where records go.
        schedule: Which steps are digested.
        drill: The step that is looked into; None for the usual.
        checkpoints: When the state of the training is saved, and what of it is made; None for the usual.
        counters: Of streams that count for themselves.
    """

    def __init__(
        self,
        spool: Spool,
        schedule: Schedule,
        drill: Drill | None = None,
        checkpoints: Checkpoints | None = None,
    ) -> None:
        self.spool = spool
        self.schedule = schedule
        self.drill = drill
        self.checkpoints = checkpoints
        self.counters: dict[str, Counter] = {}
        self._names: dict[str, int] = {}
        self._errors = 0
        self._pid = os.getpid()
        self._is_worker = _is_pool_worker()

    @property
    def records_steps(self) -> bool:
        """Whether this process's steps belong to the trajectory.

        Workers of a pool take tasks in an order that changes from run to run; their parent records the
        result. Ranks of a distributed training do not: each has its place.
        """
        if "RANK" in os.environ:
            return True
        return not self._is_worker and os.getpid() == self._pid

    @property
    def is_skipping(self) -> bool:
        """Whether a spot check leaves this part of the training out: its steps are not the record's."""
        return self.checkpoints is not None and self.checkpoints.is_skipping

    def counter(self, stream: str) -> Counter:
        """Give the counter of a stream, which is one for the whole process."""
        return self.counters.setdefault(stream, Counter())

    def name(self, kind: str) -> str:
        """Give the next stream name of a kind: "weights:SGD" → "weights:SGD#0", "weights:SGD#1"."""
        number = self._names.get(kind, 0)
        self._names[kind] = number + 1
        return f"{kind}#{number}"

    def step(
        self,
        stream: str,
        step: int,
        *,
        state: State | None = None,
        values: Mapping[str, float] | None = None,
        always: bool = False,
    ) -> None:
        """Record a step: exact values, and digests of the state if the schedule asks for them.

        Args:
            state: Gives name to what is digested; called only if it is.
            values: Name to exact number.
            always: Digest whatever the schedule says: first and final states.
        """
        if not self.records_steps or (self.is_skipping and not (always and step == 0)):
            return
        began = time.perf_counter()
        digests: dict[str, str] = {}
        drill = self.drill if self.drill is not None and self.drill.reaches(stream, step) else None
        if state is not None and (self.schedule.due(stream, step) or always or drill is not None):
            digests = self._digests(state)
        if drill is not None:
            drill.passed(stream, step, {**digests, **_exact(values)})
        if not digests and not (values and is_kept(step)):
            return
        exact = _exact(values)
        self.spool.write({"t": "step", "stream": stream, "s": step, "d": digests, "v": exact})
        if digests:
            self.schedule.spent(stream, time.perf_counter() - began)

    def _digests(self, state: State) -> dict[str, str]:
        if self.drill is None:
            return {name: digest_of(item) for name, item in state().items()}
        self.drill.is_paused = True
        try:
            return {name: digest_of(item) for name, item in state().items()}
        finally:
            self.drill.is_paused = False

    def failed(self, where: str, error: BaseException) -> None:
        """Note an error of a hook; after the first few it only costs time to write more of them."""
        self._errors += 1
        if self._errors <= MOST_ERRORS:
            self.spool.error(where, error)


def _exact(values: Mapping[str, float] | None) -> dict[str, str]:
    return {name: float(value).hex() for name, value in (values or {}).items()}


def current() -> Recorder | None:
    """Give this process's recorder, None if nothing records it."""
    return _current


def start() -> Recorder | None:
    """Start recording if a spool folder is named; calling it again changes nothing."""
    global _current
    folder = os.environ.get(SPOOL_DIR)
    if _current is not None or not folder:
        return _current
    spool = Spool(folder)
    spool.open()
    try:
        schedule = Schedule.from_environment()
    except (OSError, ValueError) as error:
        spool.error("RELIVE_DIGEST_STEPS", error)
        schedule = Schedule()
    _current = recorder = Recorder(spool, schedule, _drill(spool), _checkpoints(spool, schedule))
    # Registered first, so it runs last: after everything that the program does at its end.
    atexit.register(_finish, recorder)
    watched = WATCHED if recorder.drill is None else {**WATCHED, **DRILLED}
    places: dict[str, tuple[Place, ...]] = {name: (place,) for name, place in watched.items()}
    if recorder.checkpoints is not None:
        places.update(CHECKPOINTED)
    Finder({name: _watcher(recorder, name, found) for name, found in places.items()}).install()
    try:
        Asking(spool).install()
    except Exception as error:
        recorder.failed("what the program asks for", error)
    return recorder


def _drill(spool: Spool) -> Drill | None:
    try:
        return Drill.from_environment(spool.folder)
    except (KeyError, TypeError, ValueError) as error:
        spool.error(DRILL, error)
        return None


def _checkpoints(spool: Spool, schedule: Schedule) -> Checkpoints | None:
    try:
        return Checkpoints.from_environment(spool, schedule)
    except (KeyError, TypeError, ValueError) as error:
        spool.error(CHECKPOINTS, error)
        return None


def _watcher(recorder: Recorder, watched: str, places: tuple[Place, ...]) -> Watcher:
    def watch(module: ModuleType) -> None:
        try:
            for module_name, function in places:
                ours = importlib.import_module(f".{module_name}", __package__)
                hook: Callable[[Any, Recorder], None] = getattr(ours, function)
                hook(module, recorder)
        except Exception as error:
            recorder.failed(f"hook of {watched}", error)

    return watch


def _finish(recorder: Recorder) -> None:
    try:
        if recorder.drill is not None:
            recorder.drill.close("process")
        if recorder.checkpoints is not None:
            recorder.checkpoints.close()
        recorder.spool.write(report.exit_record())
    except Exception as error:
        recorder.failed("exit report", error)


def _is_pool_worker() -> bool:
    if any(_WORKER.match(word) for word in argv()[1:]):
        return True
    process = sys.modules.get("multiprocessing.process")
    return process is not None and process.parent_process() is not None
