"""How long a run took is no result: it is told and decides nothing, unless somebody asks for it."""

import pytest

from relive.core.compare import Comparison, judge
from relive.core.durations import NOT_JUDGED, is_duration
from relive.core.left import SAME_BYTES
from relive.core.tolerance import Limit, Noise
from relive.core.trajectory import VerdictLevel


@pytest.mark.parametrize(
    "key",
    [
        *(
            "time",
            "fit_time",
            "mean_fit_time",
            "score_time",
            "fit_seconds",
            "train_s",
            "inference_ms",
            "wall_s",
        ),
        *("train_runtime", "train_samples_per_second", "eval/steps_per_second", "epoch time", "trainTime"),
        *("time/fps", "time/time_elapsed", "latency", "latency_p99", "elapsed", "total_time", "throughput"),
    ],
)
def test_times_are_known_by_their_names(key):
    assert is_duration(key)


@pytest.mark.parametrize(
    "key",
    [
        *("loss", "accuracy", "f1", "s", "", "·", "delay_seconds", "mae_minutes", "rmse_ms", "survival_time"),
        *(
            "latency_mae",
            "runtime_error",
            "fit",
            "train_loss",
            "timestep",
            "arrival_time",
            "step",
            "ms",
            "auc",
        ),
        *("error_per_second", "test_score", "timeliness", "val_mse_time", "seconds"),
    ],
)
def test_what_may_be_a_result_is_one(key):
    assert not is_duration(key)


def test_a_time_decides_nothing_and_is_told():
    verdict = judge({"auc": 0.5, "fit_seconds": 2.0}, {"auc": 0.5, "fit_seconds": 9.0})
    assert verdict.level is VerdictLevel.BIT_EXACT
    assert verdict.reason == "Equal: 1 metric. Not judged is how long it took: fit_seconds."
    told = {it.key: (it.basis, it.limit, it.recorded, it.replayed) for it in verdict.metrics}
    assert told["fit_seconds"] == (NOT_JUDGED, None, 2.0, 9.0)


def test_noise_that_was_learnt_makes_no_result_of_a_time():
    known = {"fit_time": Noise(n=3, mean=2.0, sd=0.1)}
    verdict = judge({"auc": 0.5, "fit_time": 2.0}, {"auc": 0.7, "fit_time": 2.0}, known=known)
    assert verdict.level is VerdictLevel.DIVERGED
    assert verdict.reason == (
        "Differs first in metric auc; outside their limit: auc. Not judged is how long it took: fit_time."
    )


def test_who_asks_for_a_limit_has_it_judged():
    verdict = judge({"fit_time": 2.0}, {"fit_time": 9.0}, known={"fit_time": Limit(limit=1.0)})
    assert (verdict.level, verdict.metrics[0].ok) == (VerdictLevel.DIVERGED, False)


def test_times_alone_are_nothing_to_compare():
    took, again = {"fit_time": 2.0}, {"fit_time": 2.0}
    assert judge(took, again).level is VerdictLevel.NOT_COMPARABLE
    assert judge(took, again, files={"m.pkl": SAME_BYTES}).level is VerdictLevel.BIT_EXACT
    assert judge(took, again, steps=Comparison(steps_compared=3)).level is VerdictLevel.BIT_EXACT


def test_a_time_that_is_gone_is_another_structure():
    assert judge({"fit_time": 2.0, "auc": 1.0}, {"auc": 1.0}).level is VerdictLevel.NOT_COMPARABLE
