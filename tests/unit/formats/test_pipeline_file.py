"""relive.yaml: what is read, and what is refused with the line, the path, the value and what was expected."""

from pathlib import Path

import msgspec
import pytest

from relive.core.determinism import Determinism, switches
from relive.core.expand import plan
from relive.core.pipeline import (
    Dep,
    Deploy,
    EnvSpec,
    Gate,
    Hermetic,
    ParamsRef,
    PipelineSpec,
    Register,
    Resources,
    Retry,
    Select,
    StageSpec,
)
from relive.errors import InvalidPipelineFile
from relive.formats.pipeline_file import MAX_BYTES, parse_pipeline

ROOT = Path(__file__).parents[3]

EVERYTHING = """
version: 1
project: churn
env: {python: "3.11", lock: uv.lock}
defaults:
  resources: {cpu: 2, memory: 4GiB}
  timeout: 30m
  env: {OMP_NUM_THREADS: 1, FLAG: yes}
vars: {epochs: 20, name: it}
triggers:
  push: {branches: [main, "release/*"], paths: ["src/**", relive.yaml]}
stages:
  prepare:
    cmd:
      - python src/prepare.py
      - ls data
    deps: [src/prepare.py]
    outs: [data/train.parquet, data/test.parquet]
    cache: false
  test:
    cmd: pytest -q --junitxml=reports/junit.xml
    reports: {junit: reports/junit.xml}
    wdir: .
  train:
    needs: [test]
    matrix: {model: [lr, gbm], seed: [1, 2, 3], exclude: [{model: lr, seed: 3}], max_parallel: 2}
    cmd: python src/train.py --model ${{ matrix.model }} --seed ${{ matrix.seed }} --epochs ${{ vars.epochs }}
    deps: [src/train.py, data/train.parquet]
    params: ["params.yaml:train.lr,train.depth", other.json]
    outs: [model/]
    metrics: [metrics.json]
    plots: [roc.csv]
    env: {FLAG: no, VERSION: 3.10, ON: on}
    resources: {cpu: 0.5, disk: 1.5TiB, gpu: 1, gpu_type: a100, pool: big}
    timeout: 90s
    retry: {max: 3, when: [worker_lost, oom]}
  pick:
    select: {from: train, metric: val_accuracy, mode: max}
    register: {model: churn, artifact: model/, example: model/rows.csv, loader: "my.mod:load", alias: best}
  gate:
    needs: pick
    gates:
      - {metric: val_accuracy, min: 0.90}
      - {metric: val_accuracy, vs: champion, min_delta: -0.005}
      - {metric: val_loss, vs: champion, max_delta: 1e-3}
      - {metric: latency_p99_ms, max: 20}
  deploy:
    needs: [gate]
    if: trigger.branch == 'main'
    deploy: {endpoint: churn, strategy: replace}
"""


def parse(text: str) -> PipelineSpec:
    """Read a pipeline file."""
    return parse_pipeline(text.encode())


def stage(text: str) -> StageSpec:
    """Read the only stage of a file."""
    (only,) = parse(f"stages: {{only: {text}}}").stages
    return only


def problems(text: str | bytes) -> list[str]:
    """Give what is wrong with a file."""
    with pytest.raises(InvalidPipelineFile) as caught:
        parse_pipeline(text if isinstance(text, bytes) else text.encode(), path="some/relive.yaml")
    assert caught.value.path == "some/relive.yaml"
    return list(caught.value.problems)


def test_everything_that_is_supported_is_read():
    spec = parse(EVERYTHING)
    assert spec.project == "churn"
    assert spec.env == EnvSpec(python="3.11", lock="uv.lock")
    assert spec.vars == {"epochs": 20, "name": "it"}
    assert spec.branches == ("main", "release/*")
    assert spec.paths == ("src/**", "relive.yaml")
    assert [it.name for it in spec.stages] == ["prepare", "test", "train", "pick", "gate", "deploy"]


def test_a_stage_is_read_whole():
    train = parse(EVERYTHING).stages[2]
    assert train == StageSpec(
        name="train",
        cmd=(
            (
                "python src/train.py --model ${{ matrix.model }} --seed ${{ matrix.seed }} "
                "--epochs ${{ vars.epochs }}"
            ),
        ),
        needs=("test",),
        deps=(Dep(path="src/train.py"), Dep(path="data/train.parquet")),
        outs=("model/",),
        params=(
            ParamsRef(file="params.yaml", keys=("train.lr", "train.depth")),
            ParamsRef(file="other.json"),
        ),
        metrics=("metrics.json",),
        plots=("roc.csv",),
        env={"OMP_NUM_THREADS": "1", "FLAG": "no", "VERSION": "3.10", "ON": "on"},
        resources=Resources(
            cpu=0.5,
            memory_bytes=4 * 2**30,
            gpu=1.0,
            gpu_type="a100",
            disk_bytes=3 * 2**39,
            pool="big",
        ),
        timeout_s=90.0,
        retry=Retry(max=3, when=("worker_lost", "oom")),
        matrix={
            "model": ["lr", "gbm"],
            "seed": [1, 2, 3],
            "exclude": [{"model": "lr", "seed": 3}],
            "max_parallel": 2,
        },
    )


def test_the_other_facets_are_read():
    prepare, test, _, pick, gate, deploy = parse(EVERYTHING).stages
    assert prepare.cmd == ("python src/prepare.py", "ls data")
    assert prepare.cache is False
    assert prepare.resources == Resources(cpu=2.0, memory_bytes=4 * 2**30)
    assert prepare.timeout_s == 1800.0
    assert test.junit == "reports/junit.xml"
    assert pick.select == Select(from_stage="train", metric="val_accuracy", mode="max")
    assert pick.register == Register(
        model="churn", artifact="model/", example="model/rows.csv", loader="my.mod:load", alias="best"
    )
    assert gate.needs == ("pick",)
    assert gate.gates == (
        Gate(metric="val_accuracy", min=0.9),
        Gate(metric="val_accuracy", vs="champion", min_delta=-0.005),
        Gate(metric="val_loss", vs="champion", max_delta=0.001),
        Gate(metric="latency_p99_ms", max=20.0),
    )
    assert deploy.condition == "trigger.branch == 'main'"
    assert deploy.deploy == Deploy(endpoint="churn")


def test_the_least_there_is():
    assert parse("stages: {train: {cmd: x}}") == PipelineSpec(stages=(StageSpec(name="train", cmd=("x",)),))


def test_requirements_is_another_word_for_lock():
    assert parse("env: {requirements: r.txt}\nstages: {a: {cmd: x}}").env == EnvSpec(lock="r.txt")


@pytest.mark.parametrize("push", ["push:", "push: {}", "push: null"])
def test_push_alone_means_every_push(push):
    spec = parse(f"triggers:\n  {push}\nstages: {{a: {{cmd: x}}}}")
    assert (spec.branches, spec.paths) == ((), ())


def test_a_select_beside_a_matrix_picks_from_its_own_stage():
    only = stage("{cmd: x, matrix: {s: [1]}, select: {metric: a}}")
    assert only.select == Select(from_stage="only", metric="a")


def test_a_rule_without_failures_means_all_of_them():
    assert stage("{cmd: x, retry: {max: 1}}").retry == Retry(
        max=1, when=("worker_lost", "timeout", "oom", "failure")
    )
    assert stage("{cmd: x}").retry == Retry(max=2, when=("worker_lost",))


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("1500ms", 1.5), ("90s", 90), ("1.5m", 90), ("2h", 7200), ("1d", 86400), ("0.5s", 0.5)],
)
def test_durations(text, seconds):
    assert stage(f"{{cmd: x, timeout: {text}}}").timeout_s == seconds


@pytest.mark.parametrize(
    ("text", "size_bytes"),
    [("1KiB", 1024), ("512MiB", 2**29), ("1.5GiB", 3 * 2**29), ("2TiB", 2**41)],
)
def test_sizes(text, size_bytes):
    assert stage(f"{{cmd: x, resources: {{memory: {text}}}}}").resources.memory_bytes == size_bytes


@pytest.mark.parametrize("word", ["true", "True", "trigger.kind == 'push'"])
def test_conditions_may_be_plain_words(word):
    assert stage(f'{{cmd: x, if: "{word.replace("True", "true")}"}}').condition
    assert stage(f"{{cmd: x, if: {word.lower() if word == 'True' else word}}}").condition


def test_a_command_may_have_many_lines():
    text = "stages:\n  a:\n    cmd: |\n      echo one\n      echo two\n"
    assert parse(text).stages[0].cmd == ("echo one\necho two\n",)


def test_anchors_and_merges_share_what_is_the_same():
    spec = parse(
        "stages:\n  a: &a {cmd: x, timeout: 1m}\n  b: {<<: *a, cmd: y}\n  c: *a\n",
    )
    assert [(it.name, it.cmd, it.timeout_s) for it in spec.stages] == [
        ("a", ("x",), 60),
        ("b", ("y",), 60),
        ("c", ("x",), 60),
    ]


# --- what is refused ---


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        (
            "stages:\n  train:\n    cmd: x\n    resources:\n      memory: 8 gigs\n",
            (
                "line 5: stages.train.resources.memory is '8 gigs'; expected a size such as 512MiB or 4GiB "
                "(KiB, MiB, GiB, TiB)"
            ),
        ),
        (
            "stages:\n  train:\n    cmd: x\n    outputs: [m]\n",
            "line 4: stages.train.outputs is not a known key; did you mean `outs`?",
        ),
        (
            "stages:\n  train:\n    cmd: x\n    matrx: {a: [1]}\n",
            "line 4: stages.train.matrx is not a known key; did you mean `matrix`?",
        ),
        (
            "on: push\nstages: {a: {cmd: x}}",
            "line 1: on is not a known key; did you mean `triggers`?",
        ),
        (
            "stages: {a: {cmd: x, timeout: 5}}",
            "line 1: stages.a.timeout is 5; expected a duration such as 90s or 2h (ms, s, m, h, d)",
        ),
        (
            "env: {python: 3.10}\nstages: {a: {cmd: x}}",
            (
                "line 1: env.python is 3.10 without quotes, which YAML reads as 3.1; expected a Python "
                'version such as "3.11": write "3.10"'
            ),
        ),
        (
            "stages:\n  a: {cmd: x}\n  a: {cmd: y}\n",
            "line 3: stages.a is there twice, first in line 2; expected each key once",
        ),
        (
            "stages: {a: {cmd: x, needs: [b]}, b: {cmd: x, needs: [a]}}",
            "line 1: stages.a waits for itself: a → b → a",
        ),
        (
            "stages:\n  train: {cmd: x}\n  eval:\n    cmd: x\n    needs:\n      - trian\n",
            "line 6: stages.eval.needs[0] is 'trian'; there is no such stage; did you mean `train`?",
        ),
        (
            "stages:\n  a:\n    cmd:\n      - ok\n      - echo ${{ matrix.x }}\n",
            (
                "line 5: stages.a.cmd[1] has the name 'matrix.x'; expected one of pipeline.commit, "
                "trigger.branch, trigger.kind"
            ),
        ),
        (
            "stages: {environment: {cmd: x}}",
            "line 1: stages.environment is a name that relive uses itself; expected another",
        ),
    ],
)
def test_a_problem_names_line_place_value_and_what_was_expected(text, problem):
    assert problems(text) == [problem]


@pytest.mark.parametrize(
    ("fragment", "words"),
    [
        ("version: 2", "version is 2; expected 1, the only version there is"),
        ('version: "1"', "version is '1'"),
        ("project: 'a b'", "expected a project's name"),
        ("project: 12", "is 12 without quotes, which YAML reads as 12; expected a project's name"),
        ("project: yes no", "expected a project's name"),
        ("env: uv.lock", "env is 'uv.lock'; expected an environment such as"),
        ("env: {lock: /etc/x}", "env.lock is '/etc/x'; expected the path of uv.lock"),
        ("env: {lock: a, requirements: b}", "has both `lock` and `requirements`"),
        ("env: {python: '3.11.x'}", "env.python is '3.11.x'"),
        ("vars: [1]", "vars is a list of 1; expected values such as"),
        ("vars: {a: [1]}", "vars.a is a list of 1; expected text, a finite number, true or false"),
        ("vars: {a: .nan}", "vars.a is nan"),
        ("vars: {a: }", "vars.a is empty"),
        ("vars: {1a: 1}", "vars.1a is not a name that can be used here"),
        ("defaults: {cpu: 1}", "defaults.cpu is not a known key; expected one of: resources, timeout, env"),
        ("defaults: {env: {RELIVE_TOKEN: x}}", "not beginning with RELIVE_"),
        ("defaults: {env: {A: }}", 'write "" for nothing'),
        ("defaults: {env: {A: [1]}}", "defaults.env.A is a list of 1"),
        ("defaults: {env: {A-B: 1}}", "defaults.env.A-B is not a name"),
        ("triggers: {push: {branches: ['!main']}}", "not beginning with `!`"),
        ("triggers: {push: {branch: main}}", "did you mean `branches`?"),
        ("triggers: push", "triggers is 'push'"),
        ("stagess: {}", "did you mean `stages`?"),
    ],
)
def test_top_level_problems(fragment, words):
    (problem,) = problems(f"{fragment}\nstages: {{a: {{cmd: x}}}}\n")
    assert words in problem


@pytest.mark.parametrize(
    ("fragment", "words"),
    [
        ("{}", "does nothing; expected one of: cmd, select"),
        ("x", "stages.s is 'x'; expected a stage such as {cmd: python train.py}"),
        ("", "stages.s is empty; expected a stage"),
        ("{outs: [m]}", "does nothing"),
        (
            "{gates: [{metric: a, min: 1}], needs: t, outs: [m], timeout: 1s}",
            "has no `cmd`, so `outs`, `timeout`",
        ),
        ("{cmd: ''}", "stages.s.cmd is ''; expected a command"),
        ("{cmd: []}", "stages.s.cmd is a list of 0; expected a command or a list of commands"),
        ("{cmd: true}", 'is true without quotes, which YAML reads as true; expected a command: write "true"'),
        ("{cmd: {run: x}}", "stages.s.cmd is a mapping"),
        ("{cmd: x, needs: [T]}", "stages.s.needs[0] is 'T'; expected the name of a stage"),
        ("{cmd: x, deps: [/etc/passwd]}", "stages.s.deps[0] is '/etc/passwd'; expected a path relative"),
        ('{cmd: x, deps: ["a\\\\b"]}', "with `/` between folders"),
        ("{cmd: x, deps: {}}", "stages.s.deps is an empty mapping; expected a path"),
        ("{cmd: x, outs: [../../m]}", "stages.s.outs[0] has the path '../../m'; expected a path inside"),
        ("{cmd: x, outs: [.git/hooks]}", "which belongs to git"),
        ("{cmd: x, params: [train.lr]}", "expected FILE or FILE:KEY,KEY"),
        ("{cmd: x, params: ['params.yaml:']}", "expected FILE or FILE:KEY,KEY"),
        ("{cmd: x, resources: {cpu: 0}}", "stages.s.resources.cpu is 0; expected a number of cores"),
        ("{cmd: x, resources: {cpu: true}}", "cpu is true; expected a number of cores"),
        ("{cmd: x, resources: {cpu: .inf}}", "cpu is inf; expected a number of cores"),
        ("{cmd: x, resources: {memory: 4GB}}", "memory is '4GB'; expected a size"),
        ("{cmd: x, resources: {memory: 0GiB}}", "memory is '0GiB'; expected a size"),
        ("{cmd: x, resources: {memory: 4}}", "memory is 4; expected a size"),
        ("{cmd: x, resources: {gpu: -1}}", "gpu is -1; expected a number of GPUs"),
        ("{cmd: x, timeout: 0s}", "timeout is '0s'; expected a duration"),
        ("{cmd: x, timeout: 1h30m}", "timeout is '1h30m'; expected a duration"),
        ("{cmd: x, retry: {max: 11}}", "retry.max is 11; expected a whole number from 0 to 10"),
        ("{cmd: x, retry: {max: 1.5}}", "retry.max is 1.5; expected a whole number"),
        ("{cmd: x, retry: {when: [oomm]}}", "did you mean `oom`?"),
        ("{cmd: x, retry: 3}", "retry is 3; expected a rule such as {max: 2"),
        ("{cmd: x, matrix: {}}", "matrix has no axis"),
        ("{cmd: x, matrix: {max_parallel: 2}}", "matrix has no axis"),
        ("{cmd: x, matrix: {a: []}}", "matrix.a is a list of 0; expected a list of values"),
        ("{cmd: x, matrix: {a: 1}}", "matrix.a is 1; expected a list of values"),
        ("{cmd: x, matrix: {a: [[1]]}}", "matrix.a[0] is a list of 1"),
        ('{cmd: x, matrix: {a: ["\\n"]}}', "printable characters"),
        ("{cmd: x, matrix: {a: [1], exclude: {a: 1}}}", "matrix.exclude is a mapping"),
        ("{cmd: x, matrix: {a: [1, 2], exclude: [{b: 1}]}}", "fits no combination: there is no axis b"),
        ("{cmd: x, cache: yes}", "cache is 'yes'; expected true or false"),
        ("{cmd: x, hermetic: maybe}", "hermetic is 'maybe'; expected true, warn or false"),
        ("{cmd: x, hermetic: 1}", "hermetic is 1; expected true, warn or false"),
        ("{cmd: x, network: [a]}", "network is a list of 1; expected true or false"),
        ("{hermetic: true, needs: t}", "does nothing"),
        ("{cmd: x, reports: {junt: a}}", "did you mean `junit`?"),
        ("{cmd: x, env: {A: $, B: }}", "stages.s.env.B is empty"),
        ("{cmd: x, if: a = b}", "stages.s.if has the condition 'a = b'; expected"),
        ("{cmd: x, if: }", "stages.s.if is empty"),
        ("{cmd: x, wdir: ..}", "stages.s.wdir has the path '..'"),
        ("{select: {from: t}, needs: t}", "select has no `metric`; expected the metric that decides"),
        ("{select: {from: t, metric: m, mode: best}}", "mode is 'best'; expected one of: max, min"),
        ("{select: {from: t, metric: m}}", "select.from is t, which has no matrix"),
        ("{needs: t, gates: []}", "gates is a list of 0; expected a list of gates"),
        ("{needs: t, gates: {metric: a, min: 1}}", "gates is a mapping; expected a list of gates"),
        ("{needs: t, gates: [{min: 1}]}", "gates[0] has no `metric`"),
        (
            "{needs: t, gates: [{metric: a}]}",
            "gates[0] has no limit; expected `min`, `max` or `vs: champion`",
        ),
        ("{needs: t, gates: [{metric: a, min: .nan}]}", "gates[0].min is nan; expected a finite number"),
        ("{needs: t, gates: [{metric: a, min: 2, max: 1}]}", "lets nothing pass: min 2 is above max 1"),
        ("{needs: t, gates: [{metric: a, min: 1, min_delta: 0}]}", "has `min_delta` but nothing to differ"),
        ("{needs: t, gates: [{metric: a, vs: best}]}", "vs is 'best'; expected champion"),
        ("{gates: [{metric: a, min: 1}]}", "stages.s.gates have no runs to judge"),
        ("{register: {model: m}}", "register has no `artifact`"),
        ("{register: {model: 'm m', artifact: m}}", "register.model is 'm m'; expected a model's name"),
        ("{register: {model: m, artifact: m, alias: v3}}", "register.alias is 'v3'; expected an alias"),
        ("{register: {model: m, artifact: m, alias: '3'}}", "register.alias is '3'; expected an alias"),
        ("{register: {model: m, artifact: nowhere}}", "artifact is nowhere, which is no out"),
        ("{cmd: x, outs: [m], register: {model: m, artifact: m, loader: f}}", "expected module:function"),
        ("{deploy: {}}", "deploy has no `endpoint`"),
        ("{deploy: {endpoint: e, strategy: fast}}", "strategy is 'fast'; expected replace"),
        ("{deploy: {endpoint: e}}", "deploy has no version to serve"),
    ],
)
def test_stage_problems(fragment, words):
    (problem,) = problems(f"stages:\n  t: {{cmd: x}}\n  s: {fragment}\n")
    assert words in problem
    assert problem.startswith("line 3: stages.s")


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("triggers: {schedule: []}", "triggers.schedule"),
        ("triggers: {data: []}", "triggers.data"),
        ("triggers: {drift: []}", "triggers.drift"),
        ("triggers: {pull_request: {}}", "triggers.pull_request"),
        ("triggers: {manual: {}}", "triggers.manual"),
        ("env: {conda: env.yml}", "env.conda"),
        ("env: {container: Dockerfile}", "env.container"),
        ("secrets: [KEY]", "secrets"),
        ("stages: {a: {cmd: x, secrets: [KEY]}}", "stages.a.secrets"),
        ("stages: {a: {cmd: x, sweep: {metric: a}}}", "stages.a.sweep"),
        ("stages: {a: {cmd: x, image: python}}", "stages.a.image"),
        ("stages: {a: {cmd: x, container: python}}", "stages.a.container"),
        ("stages: {a: {cmd: x, deps: [{model: m}]}}", "stages.a.deps[0].model"),
        ("stages: {a: {cmd: x, gates: [{replay: bit-exact}]}}", "stages.a.gates[0].replay"),
        ("stages: {a: {cmd: x, gates: [{scan: pickle}]}}", "stages.a.gates[0].scan"),
        ("stages: {a: {cmd: x, gates: [{approval: {count: 1}}]}}", "stages.a.gates[0].approval"),
        ("stages: {a: {cmd: x, gates: [{metric: a, min: 1, test: bootstrap}]}}", "stages.a.gates[0].test"),
        ("stages: {a: {cmd: x, gates: [{metric: a, min: 1, alpha: 0.1}]}}", "stages.a.gates[0].alpha"),
        ("stages: {a: {cmd: x, gates: [{metric: a, min: 1, slice: s}]}}", "stages.a.gates[0].slice"),
        ("stages: {a: {cmd: x, gates: [{metric: a, vs: parent}]}}", "stages.a.gates[0].vs"),
        ("stages: {a: {cmd: x, gates: [{metric: a, vs: baseline}]}}", "stages.a.gates[0].vs"),
        ("stages: {a: {deploy: {endpoint: e, strategy: {canary: {}}}}}", "stages.a.deploy.strategy"),
        ("stages: {a: {deploy: {endpoint: e, strategy: canary}}}", "stages.a.deploy.strategy"),
        ("stages: {a: {deploy: {endpoint: e, analysis: {}}}}", "stages.a.deploy.analysis"),
    ],
)
def test_what_does_not_exist_yet_is_refused_and_said_to_be_to_come(text, place):
    if "stages" not in text:
        text += "\nstages: {a: {cmd: x}}"
    found = [problem for problem in problems(text) if "not yet supported" in problem]
    assert found
    assert found[0].startswith(f"line 1: {place} ")


def test_a_version_of_a_data_set_is_a_dep():
    text = EVERYTHING.replace(
        "deps: [src/prepare.py]", "deps: [{dataset: sales@latest}, {dataset: a@v3, path: data/a}]"
    )
    spec = parse_pipeline(text.encode())
    deps = next(stage for stage in spec.stages if stage.name == "prepare").deps
    assert deps == (Dep(path="sales", dataset="sales@latest"), Dep(path="data/a", dataset="a@v3"))


@pytest.mark.parametrize("text", ["{dataset: sales}", "{dataset: a@b}", "{path: x}", "{model: m@1}"])
def test_other_mappings_are_no_dep(text):
    (problem,) = problems(EVERYTHING.replace("deps: [src/prepare.py]", f"deps: [{text}]"))
    assert problem.startswith("line 17: stages.prepare.deps[0]")


def test_every_problem_is_told_at_once_in_the_order_of_the_lines():
    found = problems(
        "on: push\n"
        "env: {python: 3.10}\n"
        "stages:\n"
        "  a: {cmd: 'x ${{ vars.nope }}', outs: [/m]}\n"
        "  b: {cmd: 'x ${{ vars.nope }}', needs: [c, d]}\n"
        "  c: {cmd: x, needs: b, timeout: soon, timout: 1s}\n"
    )
    assert [problem.split(" is ")[0].split(" has ")[0].split(" waits ")[0] for problem in found] == [
        "line 1: on",
        "line 2: env.python",
        "line 4: stages.a.outs[0]",
        "line 5: stages.b",
        "line 5: stages.b.cmd[0]",
        "line 5: stages.b.needs[1]",
        "line 6: stages.c.timeout",
        "line 6: stages.c.timout",
    ]


def test_a_hundred_problems_are_enough():
    found = problems("stages:\n" + "".join(f"  a{index}: {{cmdd: x}}\n" for index in range(500)))
    assert len(found) == 101
    assert found[-1] == "and there may be more"


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"", "the file is empty; expected at least `stages`: run `relive init`"),
        (b"# nothing\n", "the file is empty"),
        (b"stages: {}", "stages is an empty mapping; expected stages such as"),
        (b"stages:", "stages is empty"),
        (b"version: 1", "the file has no `stages`"),
        (b"[1]", "the file is a list of 1; expected a mapping with the key `stages`"),
        (b"hello", "the file is 'hello'; expected a mapping"),
        (
            b"stages: {Train: {cmd: x}}",
            "stages.Train is not a name that can be used here; expected a stage's name",
        ),
        (b"stages: {'': {cmd: x}}", "is not a name that can be used here"),
        (b"a: \xff", "is not UTF-8"),
        ("stages: {a: {cmd: x}}".encode("utf-16"), "is in UTF-16"),
        (b"stages: [", "is not YAML"),
        (b"stages: !!python/object:os.system {}", "has the tag"),
        (b"a" * (MAX_BYTES + 1), f"has {MAX_BYTES + 1} bytes; expected at most {MAX_BYTES} (1 MiB)"),
    ],
)
def test_files_that_are_no_pipeline(data, words):
    assert any(words in problem for problem in problems(data))


def test_a_file_of_the_largest_size_is_read():
    text = "stages: {a: {cmd: x}}\n"
    assert len(parse(text + "#" * (MAX_BYTES - len(text))).stages) == 1


def test_lists_are_bounded():
    outs = ", ".join(f"o{index}" for index in range(501))
    (problem,) = problems(f"stages: {{a: {{cmd: x, outs: [{outs}]}}}}")
    assert "stages.a.outs is a list of 501; expected at most 500" in problem


@pytest.mark.parametrize(
    "path", sorted(ROOT.glob("examples/*/relive.yaml")), ids=lambda path: path.parent.name
)
def test_the_examples_can_be_planned(path):
    spec = parse_pipeline(path.read_bytes())
    assert plan(spec, branch="main", commit="0" * 40, trigger="push")


def test_what_is_read_can_be_stored_and_read_again():
    spec = parse(EVERYTHING)
    assert msgspec.json.decode(msgspec.json.encode(spec), type=PipelineSpec) == spec


def test_what_is_hermetic_is_told_by_the_file_by_its_defaults_or_is_only_warned_of():
    text = """
version: 1
defaults: {hermetic: true}
stages:
  a: {cmd: x}
  b: {cmd: x, hermetic: warn}
  c: {cmd: x, hermetic: false, network: true}
"""
    found = {stage.name: stage for stage in parse_pipeline(text.encode()).stages}
    assert [found[name].hermetic for name in "abc"] == [Hermetic.ON, Hermetic.WARN, Hermetic.OFF]
    assert [found[name].network for name in "abc"] == [False, False, True]
    (bare,) = parse_pipeline(b"version: 1\nstages: {a: {cmd: x}}").stages
    assert bare.hermetic is Hermetic.WARN


def test_a_portable_project_pins_what_its_stages_compute_with_unless_one_says_otherwise():
    found = parse(
        """
version: 1
determinism: portable
defaults: {env: {OMP_NUM_THREADS: 4}}
stages:
  a: {cmd: x}
  b: {cmd: x, determinism: machine}
  c: {cmd: x, env: {ATEN_CPU_CAPABILITY: default}}
  d: {needs: [a], gates: [{metric: acc, min: 0.5}]}
"""
    )
    a, b, c, d = found.stages
    assert a.env == switches(Determinism.PORTABLE) | {"OMP_NUM_THREADS": "4"}
    assert (b.env, d.env) == ({"OMP_NUM_THREADS": "4"}, {})
    assert c.env["ATEN_CPU_CAPABILITY"] == "default"
    assert problems("version: 1\ndeterminism: exact\nstages: {a: {cmd: x}}")
    assert switches(Determinism.MACHINE) == {}
