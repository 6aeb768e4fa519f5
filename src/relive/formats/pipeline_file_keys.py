"""The keys of a relive.yaml: what each may hold, and what it is for.

One table serves three readers: the parser, the JSON Schema that editors use, and the reference page.
"""

from typing import Any, Final

from relive.core.determinism import Determinism
from relive.core.pipeline import Dep, EnvSpec
from relive.formats.pipeline_file_facets import deploy, gates, matrix, register, retry, select
from relive.formats.pipeline_file_kinds import (
    At,
    Key,
    Kind,
    Others,
    Table,
    boolean,
    is_empty,
    is_mapping,
    keys_at,
    one_of,
    one_or_many,
    scalar,
    switch_or,
    text,
    whole,
    written,
)
from relive.formats.pipeline_file_words import (
    PATH,
    STAGE_NAME,
    WORD,
    duration,
    name,
    params,
    path,
    paths,
    patterns,
    python_version,
    resources,
    stage_name,
    variables,
)

_FACETS: Final = ("cmd", "select", "gates", "register", "deploy")
# Without `cmd` these would have no effect.
_OF_A_COMMAND: Final = (
    *("deps", "outs", "params", "metrics", "plots", "env", "resources", "timeout", "retry", "matrix"),
    *("cache", "reports", "wdir", "hermetic", "network", "determinism", "checkpoints"),
)
_TO_COME: Final = {
    "secrets": "secrets",
    "sweep": "a search over parameters",
    "image": "containers",
    "container": "containers",
    "conda": "conda environments",
}


def _check_stage(at: At, _: dict[str, Any]) -> None:
    keys = keys_at(at)
    if not keys & {*_FACETS, *_TO_COME}:
        at.note(f"does nothing; expected one of: {', '.join(_FACETS)}")
    idle = [key for key in _OF_A_COMMAND if key in keys]
    if idle and "cmd" not in keys and keys & {*_FACETS}:
        at.note(f"has no `cmd`, so `{'`, `'.join(idle)}` would have no effect; expected a `cmd`")


_VERSION: Final = r"^[A-Za-z0-9][A-Za-z0-9._-]{0,62}@(v?[1-9][0-9]{0,8}|latest)$"
_DATASET: Final = Table(
    {
        "dataset": Key(
            text("a version such as sales@v3 or sales@latest", _VERSION),
            "The version of a data set that it reads; `latest` is settled when the stage starts.",
            required=True,
        ),
        "path": Key(path, "Where it lies for the command; the data set's name without it."),
    },
    later={"model": "models as inputs"},
    least=1,
)


def _dep() -> Kind:
    def make(values: dict[str, Any]) -> Dep:
        name = str(values.get("dataset", ""))
        return Dep(path=values.get("path") or name.partition("@")[0], dataset=name)

    version = _DATASET.kind("a path", make)

    def read(at: At) -> Any:
        return version.read(at) if is_mapping(at) else path.read(at)

    return Kind(read, {"anyOf": [path.schema, version.schema]})


REPORTS: Final = Table(
    {"junit": Key(path, "The JUnit report that the command writes; failed tests fail the stage.")}
)
STAGE: Final = Table(
    {
        "cmd": Key(
            one_or_many(text("a command"), "a command or a list of commands"),
            "The command for the shell, or several that run one after another.",
        ),
        "needs": Key(
            one_or_many(stage_name, "the name of a stage or a list of names"),
            "Stages it waits for, beside those whose outs it reads.",
        ),
        "deps": Key(
            one_or_many(_dep(), "a path or a list of paths"),
            "What it reads: files and folders of the commit, outs of other stages, versions of data sets.",
        ),
        "outs": Key(paths, "Files and folders it writes, which are kept."),
        "params": Key(params, "Params it reads: `params.yaml:train` is the key `train` of that file."),
        "metrics": Key(paths, "Files that its metrics are read from at the end."),
        "plots": Key(paths, "Files to show as charts."),
        "env": Key(variables, "Environment variables of the command."),
        "resources": Key(resources, "What it needs of its pool."),
        "timeout": Key(duration, "Longest time it may take."),
        "retry": Key(retry, "When it is tried again."),
        "matrix": Key(matrix, "Axes and their values; it runs once for every combination."),
        "cache": Key(
            boolean(), "Whether an earlier run with the same inputs may stand for it; true without it."
        ),
        "hermetic": Key(
            switch_or("warn"),
            "What becomes of reads that it does not declare: refused, told (`warn`, without it), or let be.",
        ),
        "determinism": Key(one_of(*Determinism), "`determinism` of this stage."),
        "checkpoints": Key(
            whole("a number of steps such as 500", least=1, most=10**9),
            "Keeps the state of a PyTorch training every so many steps, for `relive replay --spot-check`.",
        ),
        "network": Key(boolean(), "Whether a hermetic one may reach more than the hub; false without it."),
        "reports": Key(REPORTS.kind("reports such as {junit: reports/junit.xml}"), "Reports it writes."),
        "select": Key(select, "Picks the best run of a stage with a matrix."),
        "gates": Key(gates, "Checks on metrics; one that fails stops what waits for them."),
        "register": Key(register, "Makes a model version of an out."),
        "deploy": Key(deploy, "Puts the version that the pipeline registered behind an endpoint."),
        "wdir": Key(path, "Folder the command runs in; paths of the stage are relative to it."),
        "if": Key(
            Kind(written().read, {"type": ["string", "boolean"]}),
            "Runs it only where this holds, such as `trigger.branch == 'main'`.",
        ),
    },
    later=_TO_COME,
    instead={
        **dict.fromkeys(("command", "commands", "run", "script"), "cmd"),
        **dict.fromkeys(("outputs", "output", "artifacts"), "outs"),
        **dict.fromkeys(("inputs", "dependencies"), "deps"),
        **dict.fromkeys(("depends_on", "after"), "needs"),
        **dict.fromkeys(("environment", "variables"), "env"),
        **dict.fromkeys(("workdir", "working-directory", "cwd"), "wdir"),
        **dict.fromkeys(("when", "only", "condition"), "if"),
        **dict.fromkeys(("checks", "thresholds"), "gates"),
        "strategy": "matrix",
        "timeout-minutes": "timeout",
    },
    check=_check_stage,
    rules={
        "anyOf": [{"required": [facet]} for facet in _FACETS],
        "dependentRequired": {key: ["cmd"] for key in _OF_A_COMMAND},
    },
)


def _check_env(at: At, values: dict[str, Any]) -> None:
    if "lock" in values and "requirements" in values:
        at.note("has both `lock` and `requirements`, which mean the same; expected one of them")


_LOCK = text("the path of uv.lock, pylock.toml or requirements.txt", PATH)
ENVIRONMENT: Final = Table(
    {
        "python": Key(python_version, "Python's version, in quotes; without it the one that relive runs on."),
        "lock": Key(_LOCK, "The lock file that the environment is rebuilt from."),
        "requirements": Key(_LOCK, "Another word for `lock`."),
    },
    later={"conda": "conda environments", "container": "containers", "image": "containers"},
    check=_check_env,
    rules={"not": {"required": ["lock", "requirements"]}},
)


def _environment(values: dict[str, Any]) -> EnvSpec:
    return EnvSpec(python=values.get("python", ""), lock=values.get("lock", values.get("requirements", "")))


PUSH: Final = Table(
    {
        "branches": Key(patterns, "Branches whose push starts the pipeline; without it every branch."),
        "paths": Key(patterns, "Only a push that changes one of these starts it."),
    }
)


def _push() -> Kind:
    kind = PUSH.kind("branches and paths such as {branches: [main]}")

    def read(at: At) -> Any:
        # `push:` alone is how people say "every push".
        return {} if is_empty(at) else kind.read(at)

    return Kind(read, kind.schema | {"type": ["object", "null"]})


TRIGGERS: Final = Table(
    {"push": Key(_push(), "Pushes that start the pipeline; without it every push to every branch.")},
    later={
        "schedule": "pipelines by the clock",
        "data": "pipelines started by new data",
        "drift": "pipelines started by drift",
        "pull_request": "pipelines of pull requests",
        "manual": "pipelines started with inputs",
    },
)
DEFAULTS: Final = Table(
    {
        "resources": Key(resources, "Resources of every stage, key by key."),
        "timeout": Key(duration, "Timeout of every stage."),
        "env": Key(variables, "Environment variables of every stage."),
        "hermetic": Key(switch_or("warn"), "`hermetic` of every stage."),
    }
)
STAGES: Final = Table(
    others=Others(
        STAGE_NAME,
        "a stage's name: small letters, digits, '-' and '_', beginning with a letter, at most 63",
        STAGE.kind("a stage such as {cmd: python train.py}"),
    ),
    least=1,
)
VARS: Final = Table(others=Others(WORD, "a name: letters, digits, '_' and '-'", scalar()))
FILE: Final = Table(
    {
        "version": Key(
            Kind(whole("1, the only version there is", least=1, most=1).read, {"const": 1}),
            "Version of the format: 1.",
        ),
        "project": Key(name("a project's name"), "Name of the project on the hub."),
        "env": Key(
            ENVIRONMENT.kind('an environment such as {python: "3.11", lock: uv.lock}', _environment),
            "The environment that every command runs in.",
        ),
        "vars": Key(VARS.kind("values such as {epochs: 20}"), "Values for `${{ vars.NAME }}`."),
        "determinism": Key(
            one_of(*Determinism),
            "Where stages come out the same bit by bit: on machines of a type (`machine`, without it), or on "
            "any with AVX2 (`portable`: pinned instructions, one thread).",
        ),
        "defaults": Key(DEFAULTS.kind("defaults such as {timeout: 30m}"), "What holds for every stage."),
        "triggers": Key(
            TRIGGERS.kind("triggers such as {push: {branches: [main]}}"), "What starts the pipeline."
        ),
        "stages": Key(
            STAGES.kind("stages such as {train: {cmd: python train.py}}"),
            "The stages: what is run, in any order.",
            required=True,
        ),
    },
    later={"image": "containers", "container": "containers", "secrets": "secrets", "sweep": "a search"},
    instead={
        "on": "triggers",
        "jobs": "stages",
        "steps": "stages",
        "environment": "env",
        "name": "project",
        "variables": "vars",
    },
)
