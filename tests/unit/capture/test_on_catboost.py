"""Trainings of CatBoost: two equal ones record equal steps, a changed input is named."""

import importlib.util

import pytest

from relive.core.compare import compare
from relive.core.trajectory import FirstDivergence, Trajectory

if importlib.util.find_spec("catboost") is None:
    pytest.skip("CatBoost is not installed", allow_module_level=True)

TRAIN = """
import numpy as np, catboost
rng = np.random.default_rng(1)
X = rng.normal(size=(200, 3)); y = (X[:, 0] > {cut}).astype(int)
settings = dict(iterations=8, learning_rate={eta}, random_seed={seed}, allow_writing_files=False)
data = catboost.Pool(X, y) if {pool} else X
model = catboost.CatBoostClassifier(**settings, subsample=0.7, bootstrap_type="Bernoulli", verbose=4)
model.fit(data, None if {pool} else y)
print(model.predict_proba(X)[:3].tolist())
"""
STREAM = "round:catboost.CatBoostClassifier#0"


def script(**changes: object) -> str:
    return TRAIN.format(**{"cut": 0.0, "eta": 0.1, "seed": 3, "pool": False, **changes})


def trajectory_of(done) -> Trajectory:
    assert done.returncode == 0, done.stderr
    assert done.spool.notes == ()
    found: Trajectory = done.spool.trajectory()
    return found


@pytest.mark.parametrize("pool", [False, True])
def test_each_round_and_the_learned_trees_are_recorded(record_once, pool):
    done = record_once(script(pool=pool))
    steps = trajectory_of(done).steps
    assert {step.stream for step in steps} == {STREAM, f"{STREAM} final"}
    rounds = [step for step in steps if step.stream == STREAM]
    assert [step.step for step in rounds] == list(range(9))
    assert {"label", "data", "param bootstrap_type"} <= rounds[0].digests.keys()
    losses = [float.fromhex(step.values["learn-Logloss"]) for step in rounds[1:]]
    assert losses == sorted(losses, reverse=True)
    (final,) = (step for step in steps if step.stream != STREAM)
    assert (final.step, "leaf values" in final.digests) == (8, True)


@pytest.mark.parametrize(
    ("change", "names"),
    [
        ({"cut": 0.5}, ("label",)),
        ({"eta": 0.2}, ("param learning_rate",)),
        ({"seed": 4}, ("param random_seed",)),
    ],
    ids=str,
)
def test_a_changed_input_is_named(record, record_once, change, names):
    one, other = trajectory_of(record_once(script())), trajectory_of(record(script(**change)))
    found = compare(one, other).first_divergence
    assert found == FirstDivergence(stream=STREAM, step=0, names=names)


def test_recording_is_the_same_each_time_and_changes_no_result(record, record_once):
    one, other = record_once(script()), record(script())
    assert one.stdout.splitlines()[-1] == other.stdout.splitlines()[-1]
    assert compare(trajectory_of(one), trajectory_of(other)).first_divergence is None


def test_what_cannot_be_looked_at_does_not_stop_the_training(record):
    done = record(
        "import catboost\n"
        "rows = [['a', 1.0], ['b', 2.0], ['a', 3.0], ['b', 4.0]] * 10\n"
        "pool = catboost.Pool(rows, [0, 1, 0, 1] * 10, cat_features=[0])\n"
        "model = catboost.CatBoostRegressor(iterations=2, allow_writing_files=False, silent=True).fit(pool)\n"
        "print(model.tree_count_)\n"
    )
    assert done.stdout == "2\n"
    assert "round:catboost.CatBoostRegressor#0 final" in {it.stream for it in trajectory_of(done).steps}
