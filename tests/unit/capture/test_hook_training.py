"""Hooks on the real libraries: two equal trainings record equal steps, a changed input is named."""

import importlib.util

import pytest

from relive.core.compare import compare
from relive.core.trajectory import FirstDivergence, Trajectory
from relive.formats.trajectory import digest_steps, write_digest_steps
from tests.conftest import require

HAS_TORCH = importlib.util.find_spec("torch") is not None
HAS_KERAS = importlib.util.find_spec("keras") is not None

SKLEARN = """
import numpy as np
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
rng = np.random.default_rng({seed})
X = rng.normal(size=(80, 4)); y = (X[:, 0] > 0).astype(int); y[{flip}] = 1 - y[{flip}]
model = make_pipeline(StandardScaler(), LogisticRegression(C={C}, max_iter=20)).fit(X, y)
print(model.score(X, y))
"""

ENSEMBLES = """
import numpy as np
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.ensemble import HistGradientBoostingClassifier, RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV
from sklearn.preprocessing import LabelEncoder
class Mine(ClassifierMixin, BaseEstimator):
    def __init__(self, shift=1): self.shift = shift
    def fit(self, X, y, sample_weight=None):
        self.classes_ = np.unique(y); self.mean_ = X.mean() + self.shift; return self
    def predict(self, X): return np.zeros(len(X), int)
class Child(Mine):
    def fit(self, X, y): return super().fit(X, y)
rng = np.random.default_rng(0); X = rng.normal(size=(120, 3)); y = (X[:, 0] > 0).astype(int)
LabelEncoder().fit(list("aab"))
RandomForestClassifier(4, n_jobs=2, random_state=0).fit(X, y)
HistGradientBoostingClassifier(max_iter=3).fit(X, y)
GridSearchCV(LogisticRegression(), {"C": [0.1, 1.0]}, cv=2).fit(X=X, y=y)
Mine(shift=2).fit(X, y)
Child().fit(X, y)
"""

XGBOOST = """
import numpy as np, xgboost
rng = np.random.default_rng(0)
X = rng.normal(size=(200, 4)); y = (X[:, 0] + X[:, 1] > {cut}).astype(int)
data = xgboost.DMatrix(X, label=y)
model = xgboost.train({{"objective": "binary:logistic", "eta": {eta}, "max_depth": 2, "nthread": 1}}, data, 8,
                      evals=[(data, "train")], verbose_eval=False)
print(model.predict(data)[:3])
"""

LIGHTGBM = """
import numpy as np, lightgbm
rng = np.random.default_rng(0)
X = rng.normal(size=(200, 4)); y = (X[:, 0] + X[:, 1] > {cut}).astype(int)
data = lightgbm.Dataset(X, label=y)
params = {{"objective": "binary", "learning_rate": {eta}, "num_leaves": 4, "num_threads": 1, "verbose": -1}}
model = lightgbm.train(params, data, 8, valid_sets=[data], valid_names=["train"], callbacks=[print_round])
print(model.predict(X)[:3])
"""

KERAS = """
import os
os.environ["KERAS_BACKEND"] = "torch"
import numpy as np, keras
keras.utils.set_random_seed({seed})
rng = np.random.default_rng(0)
X = rng.normal(size=(96, 6)).astype("float32"); y = (X[:, 0] > {cut}).astype("float32")
from keras.layers import Dense, Input
model = keras.Sequential([Input((6,)), Dense(8, "relu"), Dense(1, "sigmoid")])
model.compile(keras.optimizers.Adam({lr}), "binary_crossentropy", metrics=["accuracy"])
history = model.fit(X, y, epochs=2, batch_size=32, verbose=0)
model.evaluate(X, y, verbose=0)
print(history.history["loss"])
"""

TORCH = """
import torch
from torch import nn
torch.manual_seed({seed}); torch.set_num_threads(1)
def train():
    model = nn.Sequential(nn.Linear(8, 16), nn.ReLU(), nn.Linear(16, 2))
    optimizer = torch.optim.SGD(model.parameters(), lr={lr})
    data = torch.utils.data.TensorDataset(torch.randn(64, 8), torch.randint(0, 2, (64,)))
    for epoch in range(4):
        for X, y in torch.utils.data.DataLoader(data, 16, shuffle=True):
            optimizer.zero_grad(); loss = nn.functional.cross_entropy(model(X), y); loss.backward()
            optimizer.step()
    return loss.item()
print(train())
"""


def sklearn_script(**changes: object) -> str:
    return SKLEARN.format(**{"seed": 0, "flip": 3, "C": 1.0, **changes})


def xgboost_script(**changes: object) -> str:
    return XGBOOST.format(**{"cut": 0.0, "eta": 0.3, **changes})


def lightgbm_script(**changes: object) -> str:
    values = {"cut": 0.1, "eta": 0.1, **changes}
    rounds = "def print_round(env): print('round', env.iteration)\n"
    return rounds + LIGHTGBM.format(**values)


def keras_script(**changes: object) -> str:
    return KERAS.format(**{"seed": 3, "cut": 0.0, "lr": 0.01, **changes})


def torch_script(**changes: object) -> str:
    return TORCH.format(**{"seed": 0, "lr": 0.1, **changes})


def trajectory_of(done) -> Trajectory:
    assert done.returncode == 0, done.stderr
    assert done.spool.notes == ()
    trajectory: Trajectory = done.spool.trajectory()
    return trajectory


def streams(trajectory: Trajectory) -> list[str]:
    return list(dict.fromkeys(step.stream for step in trajectory.steps))


def first(one: Trajectory, other: Trajectory) -> FirstDivergence | None:
    found = compare(one, other)
    assert found.same_structure
    return found.first_divergence


def test_scikit_learn_the_pipeline_and_its_steps_are_recorded(record_once):
    trajectory = trajectory_of(record_once(sklearn_script()))
    assert streams(trajectory) == ["fit:Pipeline#0", "fit:StandardScaler#0", "fit:LogisticRegression#0"]
    by_name = {(step.stream, step.step): step for step in trajectory.steps}
    before = by_name["fit:LogisticRegression#0", 0]
    after = by_name["fit:LogisticRegression#0", 1]
    assert {"X", "y", "param solver"} <= before.digests.keys()
    assert before.values["param C"] == (1.0).hex()
    assert {"coef_", "intercept_", "classes_"} <= after.digests.keys()
    assert after.values["n_features_in_"] == (4.0).hex()


def test_scikit_learn_recording_changes_no_result_and_is_the_same_each_time(record, record_once):
    one, other = record_once(sklearn_script()), record(sklearn_script())
    assert one.stdout == other.stdout
    assert first(trajectory_of(one), trajectory_of(other)) is None


@pytest.mark.parametrize(
    ("change", "stream", "step", "names"),
    [
        ({"flip": 4}, "fit:Pipeline#0", 0, ("y",)),  # a label: the features are exonerated
        ({"seed": 1}, "fit:Pipeline#0", 0, ("X", "y")),
        ({"C": 0.5}, "fit:Pipeline#0", 0, ("param steps",)),
    ],
)
def test_scikit_learn_a_changed_input_is_named(record, record_once, change, stream, step, names):
    one, other = trajectory_of(record_once(sklearn_script())), trajectory_of(record(sklearn_script(**change)))
    assert first(one, other) == FirstDivergence(stream=stream, step=step, names=names)


def test_scikit_learn_ensembles_searches_and_own_estimators(record, record_once):
    trajectory = trajectory_of(record_once(ENSEMBLES))
    assert streams(trajectory) == [
        *("fit:LabelEncoder#0", "fit:RandomForestClassifier#0", "fit:HistGradientBoostingClassifier#0"),
        *("fit:GridSearchCV#0", "fit:Mine#0", "fit:Child#0"),
    ]
    learned = {step.stream: step for step in trajectory.steps if step.step == 1}
    assert "estimators_" in learned["fit:RandomForestClassifier#0"].digests
    assert "_predictors" in learned["fit:HistGradientBoostingClassifier#0"].digests
    search = learned["fit:GridSearchCV#0"]
    assert "best_estimator_" in search.digests
    assert "refit_time_" not in {**search.digests, **search.values}
    assert first(trajectory, trajectory_of(record(ENSEMBLES))) is None, "durations must not be digested"


def test_scikit_learn_a_class_and_its_pickle_show_the_original_fit(record, tmp_path):
    done = record(
        """
import inspect, sys
import cloudpickle, numpy as np
from sklearn.base import BaseEstimator, clone
from sklearn.utils.metaestimators import available_if
class Mine(BaseEstimator):
    def fit(self, X, y=None, *, sample_weight=None):
        self.n_ = len(X); return self
assert inspect.isfunction(Mine.fit)
assert list(inspect.signature(Mine().fit).parameters) == ["X", "y", "sample_weight"]
assert Mine().fit.__doc__ is Mine.fit.__doc__ and Mine().fit.__name__ == "fit"
Mine().set_fit_request  # metadata routing looked at the original
data = cloudpickle.dumps(clone(Mine()).fit(np.zeros((3, 1))))
assert b"relive" not in data
open("model.pkl", "wb").write(data)
"""
    )
    assert done.returncode == 0, done.stderr


def test_scikit_learn_an_error_in_fit_comes_through_unchanged(record):
    done = record(
        "from sklearn.linear_model import LogisticRegression\nLogisticRegression().fit([[1], [2]], [1, 1])"
    )
    assert done.returncode == 1
    assert "ValueError" in done.stderr
    assert "during handling" not in done.stderr.lower()


def test_a_hook_that_fails_is_noted_and_the_fit_goes_on(record):
    done = record(
        """
from sklearn.base import BaseEstimator
class Odd(BaseEstimator):
    def get_params(self, deep=True): raise RuntimeError("no params today")
    def fit(self, X): self.n_ = len(X); return self
print(Odd().fit([1, 2]).n_)
"""
    )
    assert (done.returncode, done.stdout) == (0, "2\n")
    assert done.spool.notes == ("fit of Odd: RuntimeError: no params today",)


def test_xgboost_each_round_is_recorded_exactly(record_once):
    trajectory = trajectory_of(record_once(xgboost_script()))
    assert streams(trajectory) == ["round:xgboost.train#0", "round:xgboost.train#0 final"]
    rounds = [step for step in trajectory.steps if step.stream == "round:xgboost.train#0"]
    assert [step.step for step in rounds] == list(range(9))
    assert {"label", "data"} <= rounds[0].digests.keys()
    losses = [float.fromhex(step.values["train-logloss"]) for step in rounds[1:]]
    assert losses == sorted(losses, reverse=True)
    assert "trees" in rounds[1].digests
    final = trajectory.steps[-1]
    assert (final.step, list(final.digests)) == (8, ["model"])


@pytest.mark.parametrize(
    ("change", "names"), [({"cut": 0.2}, ("label",)), ({"eta": 0.2}, ("param eta",))], ids=str
)
def test_xgboost_a_changed_input_is_named(record, record_once, change, names):
    one, other = trajectory_of(record_once(xgboost_script())), trajectory_of(record(xgboost_script(**change)))
    assert first(one, other) == FirstDivergence(stream="round:xgboost.train#0", step=0, names=names)


def test_xgboost_recording_is_the_same_each_time_and_changes_no_result(record, record_once):
    one, other = record_once(xgboost_script()), record(xgboost_script())
    assert one.stdout == other.stdout
    assert first(trajectory_of(one), trajectory_of(other)) is None


def test_xgboost_the_callbacks_of_the_user_stay_and_linear_boosters_work(record):
    done = record(
        """
import numpy as np, xgboost
class Mine(xgboost.callback.TrainingCallback):
    def after_iteration(self, model, epoch, log): print("round", epoch); return epoch == 2
X = np.arange(40.0).reshape(20, 2); y = X[:, 0] * 2
data = xgboost.DMatrix(X, label=y)
xgboost.train({"booster": "gblinear", "nthread": 1}, data, 9, callbacks=[Mine()])
xgboost.XGBRegressor(n_estimators=2, n_jobs=1).fit(X, y)
"""
    )
    trajectory = trajectory_of(done)
    assert done.stdout == "round 0\nround 1\nround 2\n"
    assert streams(trajectory)[2:] == [
        *("fit:XGBRegressor#0", "round:xgboost.train#1", "round:xgboost.train#1 final")
    ]


def test_lightgbm_each_round_is_recorded_exactly(record_once):
    done = record_once(lightgbm_script())
    trajectory = trajectory_of(done)
    assert streams(trajectory) == ["round:lightgbm.train#0", "round:lightgbm.train#0 final"]
    rounds = [step for step in trajectory.steps if step.stream == "round:lightgbm.train#0"]
    assert [step.step for step in rounds] == list(range(9))
    assert {"label", "data"} <= rounds[0].digests.keys()
    losses = [float.fromhex(step.values["train-binary_logloss"]) for step in rounds[1:]]
    assert losses == sorted(losses, reverse=True)
    assert "trees" in rounds[1].digests
    assert done.stdout.count("round") == 8  # the user's own callback stays


@pytest.mark.parametrize(
    ("change", "names"), [({"cut": 0.2}, ("label",)), ({"eta": 0.2}, ("param learning_rate",))], ids=str
)
def test_lightgbm_a_changed_input_is_named(record, record_once, change, names):
    one, other = (
        trajectory_of(record_once(lightgbm_script())),
        trajectory_of(record(lightgbm_script(**change))),
    )
    assert first(one, other) == FirstDivergence(stream="round:lightgbm.train#0", step=0, names=names)


def test_lightgbm_recording_is_the_same_each_time_and_changes_no_result(record, record_once):
    one, other = record_once(lightgbm_script()), record(lightgbm_script())
    assert one.stdout == other.stdout
    assert first(trajectory_of(one), trajectory_of(other)) is None


def test_lightgbm_by_its_scikit_learn_classes_and_with_an_early_stop(record):
    done = record(
        """
import numpy as np, lightgbm
X = np.arange(400.0).reshape(200, 2); y = X[:, 0] % 7
fit = dict(eval_set=[(X, -y)], callbacks=[lightgbm.early_stopping(2, verbose=False)])
model = lightgbm.LGBMRegressor(n_estimators=50, n_jobs=1, verbose=-1).fit(X, y, **fit)
print(model.best_iteration_)
"""
    )
    assert (done.returncode, done.spool.notes) == (0, ()), done.stderr
    found = streams(trajectory_of(done))
    assert "round:lightgbm.train#0 final" in found
    assert "fit:LGBMRegressor#0" in found


class TestKeras:
    @pytest.fixture(autouse=True)
    def _keras(self):
        require(HAS_TORCH and HAS_KERAS, "Keras or the CPU build of torch, its backend, is not installed")

    def test_weights_and_logs_are_recorded(self, record_once):
        done = record_once(keras_script())
        assert (done.returncode, done.spool.notes) == (0, ()), done.stderr
        trajectory = trajectory_of(done)
        weights = [step for step in trajectory.steps if step.stream == "weights:keras.Sequential#0"]
        assert [step.step for step in weights] == list(range(7))
        assert sum("kernel" in name for name in weights[0].digests) == 2
        assert "optimizer" in weights[0].digests
        assert {"loss", "accuracy"} <= weights[1].values.keys()
        assert "weights:keras.Sequential#0 final" in streams(trajectory)

    @pytest.mark.parametrize(
        ("change", "step"), [({"seed": 4}, 0), ({"lr": 0.02}, 0), ({"cut": 0.5}, 1)], ids=str
    )
    def test_a_changed_input_is_named_at_its_step(self, record, record_once, change, step):
        one, other = trajectory_of(record_once(keras_script())), trajectory_of(record(keras_script(**change)))
        ours = [
            Trajectory(steps=tuple(it for it in both.steps if it.stream.startswith("weights:keras")))
            for both in (one, other)
        ]
        found = first(*ours)
        assert found is not None
        assert found.step == step

    def test_recording_is_the_same_each_time_and_changes_no_result(self, record, record_once):
        one, other = record_once(keras_script()), record(keras_script())
        assert one.stdout == other.stdout
        assert first(trajectory_of(one), trajectory_of(other)) is None


def test_workers_of_a_pool_do_not_write_steps_but_report(record):
    done = record(
        """
import numpy as np
from joblib import Parallel, delayed
from sklearn.linear_model import Ridge
def work(i): return Ridge(alpha=i + 1).fit(np.eye(3), np.arange(3)).coef_.sum()
if __name__ == "__main__":
    Parallel(n_jobs=2)(delayed(work)(i) for i in range(4))
    Ridge().fit(np.eye(3), np.arange(3))
"""
    )
    trajectory = trajectory_of(done)
    assert streams(trajectory) == ["fit:Ridge#0"]
    assert len(done.spool.processes) >= 3


def test_two_programs_one_after_the_other_have_streams_of_their_own(record):
    done = record(
        """
import subprocess, sys
code = "import numpy as np; from sklearn.linear_model import Ridge; Ridge().fit(np.eye(3), np.arange(3))"
for _ in range(2): subprocess.run([sys.executable, "-c", code], check=True)
"""
    )
    assert streams(trajectory_of(done)) == ["fit:Ridge#0", "p1/fit:Ridge#0"]


def test_a_replay_digests_exactly_the_steps_of_the_record(record, tmp_path):
    script = (
        "import relive_hooks.facade as relive\n"
        "for i in range(30): relive.step({'w': i * 1.5}, loss=i)\n"
        "relive.step({'w': 1.0}, stream='other')\n"
    )
    recorded = trajectory_of(record(script))
    chosen = Trajectory(
        steps=tuple(step for step in recorded.steps if step.step in (0, 3, 17, 29) and step.digests)
    )
    plan = tmp_path / "plan.json"
    write_digest_steps(chosen, plan)
    replayed = trajectory_of(record(script, plan=plan))
    assert digest_steps(replayed) == digest_steps(chosen)
    assert [step.step for step in replayed.steps if step.stream == "step:state"] == list(range(30))


def test_a_plan_that_cannot_be_read_is_noted_and_recording_goes_on(record, tmp_path):
    plan = tmp_path / "plan.json"
    plan.write_text("[1, 2]")
    done = record("import relive_hooks.facade as relive\nrelive.step({'w': 1.0})", plan=plan)
    assert done.returncode == 0
    assert done.spool.notes == (
        "RELIVE_DIGEST_STEPS: ValueError: a plan is an object: stream to a list of steps",
    )
    assert len(done.spool.trajectory().steps) == 1


@pytest.mark.parametrize("module", ["torch", "sklearn", "xgboost", "lightgbm", "keras", "numpy"])
def test_no_hook_imports_a_library_that_the_program_does_not(record, module):
    done = record(f"import json, sys; print('{module}' in sys.modules)")
    assert done.stdout == "False\n"


class TestTorch:
    """With PyTorch's CPU build, where it is installed."""

    @pytest.fixture(autouse=True)
    def _torch(self):
        require(HAS_TORCH, "PyTorch is not installed: the CPU build of torch")

    def test_weights_batches_and_losses_are_recorded(self, record_once):
        trajectory = trajectory_of(record_once(torch_script()))
        assert set(streams(trajectory)) == {"batch", "loss", "weights:SGD#0", "weights:SGD#0 final"}
        weights = [step for step in trajectory.steps if step.stream == "weights:SGD#0"]
        assert [step.step for step in weights[:5]] == [0, 1, 2, 3, 4]
        assert list(weights[0].digests) == ["0.0[16,8]", "0.1[16]", "0.2[2,16]", "0.3[2]"]
        assert weights[0].values["0.lr"] == (0.1).hex()
        assert [step.step for step in trajectory.steps if step.stream == "loss"] == list(range(16))
        assert trajectory.steps[-1].stream == "weights:SGD#0 final"
        assert trajectory.steps[-1].step == 16

    def test_recording_changes_no_result_and_is_the_same_each_time(self, record, record_once):
        one, other = record_once(torch_script()), record(torch_script())
        assert one.stdout == other.stdout
        found = compare(trajectory_of(one), trajectory_of(other))
        assert found.first_divergence is None
        assert found.same_structure

    def test_a_replay_with_the_plan_compares_every_step(self, record, record_once, tmp_path):
        recorded = trajectory_of(record_once(torch_script()))
        write_digest_steps(recorded, tmp_path / "plan.json")
        found = compare(recorded, trajectory_of(record(torch_script(), plan=tmp_path / "plan.json")))
        assert found.first_divergence is None
        assert (found.undigested, found.steps_compared) == (0, len(recorded.steps))

    @pytest.mark.parametrize(
        ("change", "stream", "step", "names"),
        [
            ({"seed": 1}, "batch", 0, ("0", "1")),
            ({"lr": 0.2}, "weights:SGD#0", 0, ("0.lr",)),
        ],
    )
    def test_a_changed_input_is_named(self, record, record_once, change, stream, step, names):
        one, other = trajectory_of(record_once(torch_script())), trajectory_of(record(torch_script(**change)))
        assert first(one, other) == FirstDivergence(stream=stream, step=step, names=names)

    def test_the_final_weights_of_an_optimizer_that_lives_to_the_end_are_recorded(self, record):
        script = (
            "import torch\nw = torch.nn.Parameter(torch.ones(3, dtype=torch.bfloat16))\n"
            "o = torch.optim.Adam([w])\n(w * 2).sum().backward()\no.step()\n"
        )
        final = trajectory_of(record(script)).steps[-1]
        assert (final.stream, final.step) == ("weights:Adam#0 final", 1)
