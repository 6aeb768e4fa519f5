"""The facts of a cache key: what changes a result is among them, what does not is not."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from relive.core.cachekey import cache_facts, explain
from relive.core.pipeline import Hermetic, Resources, Retry, StageSpec

SPEC = StageSpec(
    name="train",
    cmd=("python train.py",),
    env={"SEED": "1"},
    outs=("model",),
    metrics=("metrics.json",),
    plots=("roc.csv",),
    junit="junit.xml",
)
PARAMS: dict[str, Any] = {"train.lr": 0.1}
DEPS = {"data/train.csv": "blake3:" + "a" * 64}


def facts(
    spec: StageSpec = SPEC,
    params: dict[str, Any] = PARAMS,
    environment: str = "blake3:" + "e" * 64,
    deps: dict[str, str] = DEPS,
) -> dict[str, str]:
    """Give the facts of a stage, with one part of it changed."""
    return cache_facts(spec, params=params, environment=environment, deps=deps)


def changed(**fields: Any) -> StageSpec:
    """Give the stage with some fields changed."""
    return StageSpec(**{**{name: getattr(SPEC, name) for name in SPEC.__struct_fields__}, **fields})


def test_every_part_has_a_name():
    assert facts() == {
        "command": '["python train.py"]',
        "environment": "blake3:" + "e" * 64,
        "env SEED": "1",
        "param train.lr": "0.1",
        "dep data/train.csv": "blake3:" + "a" * 64,
        "out model": "",
        "metrics metrics.json": "",
        "plot roc.csv": "",
        "report junit.xml": "",
    }


@pytest.mark.parametrize(
    ("now", "sentences"),
    [
        (facts(), []),
        (facts(spec=changed(cmd=("python train.py -v",))), ["command changed"]),
        (facts(spec=changed(cmd=("python", "train.py"))), ["command changed"]),
        (facts(spec=changed(wdir="src")), ["working folder is new"]),
        (facts(environment=""), ["environment changed"]),
        (facts(spec=changed(image="python:3.11")), ["image is new"]),
        (facts(spec=changed(hermetic=Hermetic.ON)), ["hermetic is new"]),
        (facts(spec=changed(hermetic=Hermetic.OFF)), []),
        (facts(spec=changed(env={"SEED": "2"})), ["variable SEED: 1 → 2"]),
        (facts(spec=changed(env={})), ["variable SEED is no longer there"]),
        (facts(spec=changed(secrets=("KEY",))), ["secret KEY is new"]),
        (facts(params={"train.lr": 0.2}), ["param train.lr: 0.1 → 0.2"]),
        (facts(params={"train.lr": "0.1"}), ['param train.lr: 0.1 → "0.1"']),
        (facts(params={}), ["param train.lr is no longer there"]),
        (facts(deps={"data/train.csv": "blake3:" + "b" * 64}), ["dep data/train.csv changed"]),
        (facts(deps={**DEPS, "src": "blake3:" + "c" * 64}), ["dep src is new"]),
        (facts(spec=changed(outs=("model", "example"))), ["out example is new"]),
        (facts(spec=changed(metrics=())), ["metrics file metrics.json is no longer there"]),
    ],
)
def test_each_change_is_told_in_a_sentence(now, sentences):
    assert explain(facts(), now) == sentences


def test_changes_are_told_in_the_order_people_ask():
    now = facts(spec=changed(cmd=("x",), env={"SEED": "2"}), params={"train.lr": 1}, deps={}, environment="")
    assert [sentence.split(" ")[0].rstrip(":") for sentence in explain(facts(), now)] == [
        "command",
        "environment",
        "param",
        "variable",
        "dep",
    ]


@pytest.mark.parametrize(
    "spec",
    [
        changed(resources=Resources(cpu=1.5, memory_bytes=1 << 30, gpu=1)),
        changed(timeout_s=5.0),
        changed(retry=Retry(max=0)),
        changed(condition="true"),
        changed(needs=("test",)),
        changed(cache=False),
        changed(name="other"),
    ],
)
def test_what_does_not_change_the_result_is_no_part(spec):
    assert facts(spec=spec) == facts()


def test_the_size_of_thread_pools_is_a_part():
    more = facts(spec=changed(resources=Resources(cpu=4)))
    assert more == {**facts(), "threads": "4"}
    (sentence,) = explain(facts(), more)
    assert sentence.startswith("threads")


def test_long_values_are_kept_as_a_digest_and_still_tell_apart():
    one, other = (facts(params={"p": letter * 5000}) for letter in "xy")
    assert one["param p"].startswith("sha256:")
    assert len(one["param p"]) == 71
    assert explain(one, other) == ["param p changed"]


@given(st.text(st.characters(exclude_categories=["Cs"]), min_size=1))
def test_a_value_cannot_pass_for_the_digest_of_another(text):
    kept = facts(params={"p": text})["param p"]
    for disguised in (kept, kept.strip('"')):
        if disguised != text:
            assert facts(params={"p": disguised})["param p"] != kept


def test_params_that_json_cannot_say_still_have_facts():
    assert facts(params={"p": float("nan")})["param p"] == "NaN"
    assert facts(params={"p": ["a", {"b": 1}]})["param p"] == '["a", {"b": 1}]'
