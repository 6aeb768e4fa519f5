"""Keras's hook on a stand-in for its callbacks: what is recorded, and that no error gets out."""

from types import SimpleNamespace
from typing import Any

import pytest

from relive.capture.hooks.on_keras import watch_fits


class Recorder:
    """Takes steps as the real one does, with the state as it is."""

    def __init__(self, *, records_steps: bool = True) -> None:
        self.records_steps = records_steps
        self.steps: list[tuple[str, int, dict[str, Any], dict[str, float]]] = []
        self.errors: list[str] = []
        self.names = 0

    def name(self, kind: str) -> str:
        self.names += 1
        return f"{kind}#{self.names - 1}"

    def step(self, stream: str, step: int, *, state: Any, values: Any, always: bool) -> None:
        assert always == (step == 0 or stream.endswith(" final"))
        self.steps.append((stream, step, state() if state else {}, values))

    def failed(self, where: str, error: Exception) -> None:
        self.errors.append(f"{where}: {error}")


class Weight:
    def __init__(self, path: str, value: float) -> None:
        self.path, self.value = path, value

    def numpy(self) -> float:
        return self.value


class Model:
    def __init__(self) -> None:
        self.weights = [Weight("dense/kernel", 1.0), Weight("dense/kernel", 2.0)]
        self.optimizer: Any = SimpleNamespace(get_config=lambda: {"learning_rate": 0.1})


def keras() -> Any:
    """Give a module like `keras.src.callbacks.callback_list`, new each time as it is patched."""

    class Callback:
        model: Any = None

    class CallbackList:
        def __init__(self, callbacks: Any = None, add_history: bool = False, model: Any = None) -> None:
            self.callbacks = callbacks
            for callback in callbacks or ():
                callback.model = model

    return SimpleNamespace(Callback=Callback, CallbackList=CallbackList)


def fit(recorder: Recorder, callbacks: Any = None, logs: Any = None, model: Any = None) -> Any:
    """Go through an epoch of two batches as Keras does."""
    module = keras()
    watch_fits(module, recorder)  # type: ignore[arg-type]
    model = model or Model()
    made = module.CallbackList(callbacks, add_history=True, model=model)
    ours = made.callbacks[-1]
    ours.on_train_begin()
    for batch in range(2):
        model.weights[0].value += 1.0
        ours.on_train_batch_end(batch, logs)
    ours.on_epoch_end(0, logs)
    ours.on_train_end()
    return made


def test_initial_weights_batches_epochs_and_the_end_are_recorded() -> None:
    recorder = Recorder()
    fit(recorder, logs={"loss": 0.5, "accuracy": 1})
    name, numbers = "keras.Model#0", {"loss": 0.5, "accuracy": 1.0}
    first = {"0 dense/kernel": 1.0, "1 dense/kernel": 2.0}
    assert recorder.steps == [
        (f"weights:{name}", 0, first | {"optimizer": {"learning_rate": 0.1}}, {}),
        (f"weights:{name}", 1, first | {"0 dense/kernel": 2.0}, numbers),
        (f"weights:{name}", 2, first | {"0 dense/kernel": 3.0}, numbers),
        (f"epoch:{name}", 1, {}, numbers),
        (f"weights:{name} final", 2, first | {"0 dense/kernel": 3.0}, {}),
    ]
    assert recorder.errors == []


@pytest.mark.parametrize("given", [None, [], ["mine"], ("mine", "other"), "alone"])
def test_the_users_callbacks_stay_before_ours(given: Any) -> None:
    module = keras()
    watch_fits(module, Recorder())  # type: ignore[arg-type]
    made = module.CallbackList(given and [SimpleNamespace(word=word) for word in given])
    assert "".join(it.word for it in made.callbacks[:-1]) == "".join(given or ())
    assert type(made.callbacks[-1]).__name__ == "RecordBatches"


def test_one_callback_that_is_no_list_is_kept() -> None:
    module = keras()
    watch_fits(module, Recorder())  # type: ignore[arg-type]
    alone = SimpleNamespace()
    assert module.CallbackList(alone).callbacks[0] is alone


def test_two_trainings_have_names_of_their_own() -> None:
    recorder = Recorder()
    fit(recorder)
    fit(recorder)
    names = {stream for stream, step, _, _ in recorder.steps if step == 0}
    assert names == {"weights:keras.Model#0", "weights:keras.Model#1"}


def test_a_process_that_records_no_steps_is_left_alone() -> None:
    module = keras()
    watch_fits(module, Recorder(records_steps=False))  # type: ignore[arg-type]
    given = [SimpleNamespace()]
    assert module.CallbackList(given).callbacks is given


def test_logs_that_are_no_numbers_and_weights_that_cannot_be_read_are_noted_and_training_goes_on() -> None:
    recorder, model = Recorder(), Model()
    model.weights.append(SimpleNamespace(path="broken"))  # type: ignore[arg-type]
    fit(recorder, logs={"loss": "high"}, model=model)
    assert recorder.steps == []
    assert len(recorder.errors) == 5
    assert all(error.startswith("keras training: ") for error in recorder.errors)


def test_a_model_without_an_optimizer_is_recorded() -> None:
    recorder, model = Recorder(), Model()
    model.optimizer = None
    fit(recorder, model=model)
    assert set(recorder.steps[0][2]) == {"0 dense/kernel", "1 dense/kernel"}


def test_the_patched_class_keeps_its_signature() -> None:
    module = keras()
    begin = module.CallbackList.__init__
    watch_fits(module, Recorder())  # type: ignore[arg-type]
    assert module.CallbackList.__init__.__wrapped__ is begin
