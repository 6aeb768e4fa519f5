"""What a stage of a relive.yaml may do beside its command: matrix, retry, select, gates, register, deploy."""

from typing import Any, Final

from relive.core.matrix import EXCLUDE, INCLUDE, MAX_PARALLEL
from relive.core.pipeline import Deploy, Gate, Register, Retry, Select
from relive.formats.pipeline_file_kinds import (
    At,
    Key,
    Kind,
    Others,
    Table,
    is_mapping,
    keys_at,
    many,
    number,
    one_of,
    scalar,
    text_at,
    whole,
)
from relive.formats.pipeline_file_words import WORD, alias, loader, name, path, stage_name, word

_FAILURES: Final = ("worker_lost", "timeout", "oom", "failure")
RETRY: Final = Table(
    {
        "max": Key(whole("a whole number from 0 to 10", least=0, most=10), "How often it is tried again."),
        "when": Key(
            many(one_of(*_FAILURES), f"a list of {', '.join(_FAILURES)}", least=1),
            "After which failures; without it after all of them.",
        ),
    }
)


def _retry(values: dict[str, Any]) -> Retry:
    return Retry(max=values.get("max", Retry().max), when=tuple(values.get("when", _FAILURES)))


retry: Final = RETRY.kind("a rule such as {max: 2, when: [worker_lost]}", _retry)

_AXIS = "an axis' name: letters, digits, '_' and '-', not beginning with a digit"
_CELL = Table(others=Others(WORD, _AXIS, scalar()), least=1).kind("values such as {model: lr, seed: 1}")


def _check_matrix(at: At, _: dict[str, Any]) -> None:
    if not keys_at(at) - {EXCLUDE, MAX_PARALLEL}:
        at.note("has no axis; expected one such as {seed: [1, 2, 3]}")


MATRIX: Final = Table(
    {
        EXCLUDE: Key(
            many(_CELL, "a list of values to leave out"), "Combinations to leave out, in part or whole."
        ),
        INCLUDE: Key(many(_CELL, "a list of combinations to add"), "Combinations to add, whole."),
        MAX_PARALLEL: Key(
            whole("a whole number from 1 to 256", least=1, most=256), "How many instances run at once."
        ),
    },
    others=Others(WORD, _AXIS, many(scalar(), "a list of values", least=1)),
    check=_check_matrix,
    rules={"not": {"propertyNames": {"enum": [EXCLUDE, MAX_PARALLEL]}}},
)
matrix: Final = MATRIX.kind("axes such as {seed: [1, 2, 3]}")

SELECT: Final = Table(
    {
        "from": Key(stage_name, "The stage whose best run is picked; without it the stage's own matrix."),
        "metric": Key(word, "The metric that decides.", required=True),
        "mode": Key(one_of("max", "min"), "Whether more (max) or less (min) is better; max without it."),
    }
)


def _select(values: dict[str, Any]) -> Select:
    return Select(from_stage=values.get("from", ""), metric=values["metric"], mode=values.get("mode", "max"))


select: Final = SELECT.kind("what to pick, such as {from: train, metric: accuracy}", _select)

_GATE_TO_COME: Final = {
    **dict.fromkeys(("replay", "atol", "rtol"), "gates that replay the run"),
    "scan": "gates that scan for risks",
    "approval": "gates that wait for a person",
    **dict.fromkeys(("test", "alpha"), "statistical tests"),
    "slice": "gates on a part of the data",
}


def _check_gate(at: At, values: dict[str, Any]) -> None:
    keys = keys_at(at)
    if not keys & {"min", "max", "vs", *_GATE_TO_COME}:
        at.note("has no limit; expected `min`, `max` or `vs: champion`")
    deltas = [key for key in ("min_delta", "max_delta") if key in keys]
    if deltas and "vs" not in keys:
        at.note(f"has `{deltas[0]}` but nothing to differ from; expected `vs: champion` beside it")
    for least, most in (("min", "max"), ("min_delta", "max_delta")):
        if least in values and most in values and values[least] > values[most]:
            at.note(f"lets nothing pass: {least} {values[least]:g} is above {most} {values[most]:g}")


def _versus() -> Kind:
    champion = one_of("champion")

    def read(at: At) -> Any:
        if text_at(at) in ("parent", "baseline"):
            at.note(f"is {text_at(at)!r}, which is not yet supported; expected champion")
            return "champion"
        return champion.read(at)

    return Kind(read, champion.schema)


_LIMIT = number("a finite number")
GATE: Final = Table(
    {
        "metric": Key(word, "The metric it looks at: its last value.", required=True),
        "min": Key(_LIMIT, "The smallest value that passes."),
        "max": Key(_LIMIT, "The largest value that passes."),
        "vs": Key(_versus(), "Compares with the model version behind the alias `champion`."),
        "min_delta": Key(_LIMIT, "The smallest difference to the champion that passes; 0 without it."),
        "max_delta": Key(_LIMIT, "The largest difference that passes, where less is better."),
    },
    later=_GATE_TO_COME,
    check=_check_gate,
    rules={
        "anyOf": [{"required": ["min"]}, {"required": ["max"]}, {"required": ["vs"]}],
        "dependentRequired": {"min_delta": ["vs"], "max_delta": ["vs"]},
    },
)
gates: Final = many(
    GATE.kind("a gate such as {metric: accuracy, min: 0.9}", lambda values: Gate(**values)),
    "a list of gates",
    least=1,
)

REGISTER: Final = Table(
    {
        "model": Key(
            name("a model's name"), "The registered model that gets the new version.", required=True
        ),
        "artifact": Key(path, "The out that is the model's folder.", required=True),
        "example": Key(path, "An out with example rows: fixes the signature and the contract test."),
        "loader": Key(loader, "Function that loads the model, for what no built-in loader knows."),
        "alias": Key(alias, "Moves to the version when all gates have passed; `champion` without it."),
    }
)
register: Final = REGISTER.kind(
    "a model such as {model: digits, artifact: model/}", lambda values: Register(**values)
)


def _strategy() -> Kind:
    replace = one_of("replace")

    def read(at: At) -> Any:
        if is_mapping(at) or text_at(at) in ("canary", "blue_green"):
            at.note("is not yet supported (rollouts step by step); expected replace, or no strategy")
            return "replace"
        return replace.read(at)

    return Kind(read, replace.schema)


DEPLOY: Final = Table(
    {
        "endpoint": Key(name("an endpoint's name"), "The endpoint that serves the version.", required=True),
        "strategy": Key(_strategy(), "How traffic moves: `replace`, all at once, after the contract test."),
    },
    later={
        "analysis": "watching a rollout",
        "on_failure": "watching a rollout",
        "replicas": "several processes of one endpoint",
        "resources": "resources of an endpoint",
    },
)
deploy: Final = DEPLOY.kind(
    "an endpoint such as {endpoint: digits}", lambda values: Deploy(endpoint=values["endpoint"])
)
