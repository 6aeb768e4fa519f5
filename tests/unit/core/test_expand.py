"""From the stages of a file to the graph: nodes, keys, needs, sources, and what is refused."""

from collections.abc import Iterable
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from relive.core.expand import MOST_NODES, find_problems, plan
from relive.core.graph import order
from relive.core.pipeline import (
    Action,
    Dep,
    Deploy,
    Gate,
    ParamsRef,
    PipelineSpec,
    PlannedStage,
    Register,
    Select,
    StageSpec,
)
from relive.errors import InvalidPipelineFile

GATES = (Gate(metric="accuracy", min=0.9),)
SEEDS: dict[str, Any] = {"seed": [1, 2]}


def stage(name: str, cmd: str = "", *, deps: Iterable[str] = (), **fields: Any) -> StageSpec:
    """Make a stage as the parser does."""
    return StageSpec(
        name=name, cmd=(cmd,) if cmd else (), deps=tuple(Dep(path=path) for path in deps), **fields
    )


def planned(
    *stages: StageSpec, branch: str = "main", trigger: str = "push", **fields: Any
) -> dict[str, PlannedStage]:
    """Plan stages and give the nodes by key."""
    spec = PipelineSpec(stages=stages, **fields)
    return {node.key: node for node in plan(spec, branch=branch, commit="c0ffee", trigger=trigger)}


def needs(*stages: StageSpec, **fields: Any) -> dict[str, tuple[str, ...]]:
    """Plan stages and give what each node waits for."""
    return {key: node.needs for key, node in planned(*stages, **fields).items()}


def problems(*stages: StageSpec, **fields: Any) -> str:
    """Plan stages that cannot be planned and give all that is said."""
    with pytest.raises(InvalidPipelineFile) as caught:
        planned(*stages, **fields)
    assert caught.value.path == "relive.yaml"
    return "\n".join(caught.value.problems)


# --- keys and actions ---


def test_a_stage_that_does_one_thing_is_one_node_of_its_name():
    nodes = planned(stage("test", "pytest"), stage("train", "python train.py"))
    assert [(key, node.action) for key, node in nodes.items()] == [
        ("test", Action.RUN),
        ("train", Action.RUN),
    ]


def test_a_stage_that_does_several_things_is_split_in_order():
    nodes = planned(
        stage(
            "train",
            "python train.py",
            outs=("model",),
            gates=GATES,
            register=Register(model="m", artifact="model"),
            deploy=Deploy(endpoint="e"),
        )
    )
    assert {key: node.needs for key, node in nodes.items()} == {
        "train": (),
        "train:gate": ("train",),
        "train:register": ("train:gate",),
        "train:deploy": ("train:register", "train:gate"),
    }
    assert [node.action for node in nodes.values()] == [
        Action.RUN,
        Action.GATE,
        Action.REGISTER,
        Action.DEPLOY,
    ]


def test_each_node_carries_only_what_it_does():
    nodes = planned(
        stage("train", "x", outs=("model",), gates=GATES, register=Register(model="m", artifact="model"))
    )
    assert (nodes["train"].spec.gates, nodes["train"].spec.register) == ((), None)
    assert (nodes["train:gate"].spec.cmd, nodes["train:gate"].spec.outs) == ((), ())
    assert nodes["train:gate"].spec.gates == GATES


def test_the_first_thing_a_stage_does_has_its_name():
    nodes = planned(
        stage("train", "x", matrix=SEEDS, outs=("model",)),
        stage(
            "pick",
            select=Select(from_stage="train", metric="a"),
            register=Register(model="m", artifact="model"),
        ),
    )
    assert list(nodes) == ["train[seed=1]", "train[seed=2]", "pick", "pick:register"]


# --- matrices ---


def test_each_instance_has_its_values_filled_in():
    nodes = planned(
        stage(
            "train",
            "python train.py --seed ${{ matrix.seed }} --name ${{ vars.name }}",
            matrix={**SEEDS, "max_parallel": 1},
            env={"SEED": "${{ matrix.seed }}"},
            outs=("models/${{ matrix.seed }}/",),
            metrics=("metrics-${{ matrix.seed }}.json",),
        ),
        vars={"name": "it's"},
    )
    two = nodes["train[seed=2]"]
    assert two.values == {"seed": 2}
    assert two.max_parallel == 1
    assert two.spec.cmd == ("python train.py --seed 2 --name 'it'\"'\"'s'",)
    assert two.spec.env == {"SEED": "2"}
    assert two.spec.outs == ("models/2",)
    assert two.spec.metrics == ("metrics-2.json",)


def test_gates_of_a_matrix_stage_judge_each_instance():
    assert needs(stage("train", "x", matrix=SEEDS, gates=GATES), stage("after", "y", needs=("train",))) == {
        "train[seed=1]": (),
        "train[seed=1]:gate": ("train[seed=1]",),
        "train[seed=2]": (),
        "train[seed=2]:gate": ("train[seed=2]",),
        "after": ("train[seed=1]:gate", "train[seed=2]:gate"),
    }


def test_what_follows_a_select_in_the_same_stage_happens_once():
    nodes = planned(
        stage(
            "train",
            "x",
            matrix=SEEDS,
            outs=("model",),
            select=Select(from_stage="train", metric="a"),
            gates=GATES,
            register=Register(model="m", artifact="model"),
        )
    )
    assert {key: node.needs for key, node in nodes.items()} == {
        "train[seed=1]": (),
        "train[seed=2]": (),
        "train:select": ("train[seed=1]", "train[seed=2]"),
        "train:gate": ("train:select",),
        "train:register": ("train:gate",),
    }
    assert nodes["train:register"].sources == {"model": ("train:select",)}


def test_a_matrix_that_registers_without_a_select_is_refused():
    said = problems(
        stage("train", "x", matrix=SEEDS, outs=("model",), register=Register(model="m", artifact="model"))
    )
    assert "stages.train has a matrix and `register`; expected a `select` too" in said


# --- edges ---


def test_a_dep_that_another_stage_writes_implies_the_need():
    nodes = planned(
        stage("prepare", "x", outs=("data/",)),
        stage("train", "y", deps=("data/train.csv", "train.py"), outs=("model",)),
        stage("whole", "z", deps=("data", "model/m.bin")),
    )
    assert nodes["train"].needs == ("prepare",)
    assert nodes["train"].sources == {"data/train.csv": ("prepare",)}
    assert nodes["whole"].sources == {"data": ("prepare",), "model/m.bin": ("train",)}


def test_a_folder_is_read_from_all_who_write_into_it():
    nodes = planned(
        stage("a", "x", outs=("data/a.csv",)),
        stage("b", "x", outs=("data/b.csv",)),
        stage("both", "y", deps=("data/",)),
    )
    assert nodes["both"].sources == {"data": ("a", "b")}
    assert nodes["both"].needs == ("a", "b")


def test_the_whole_tree_as_a_dep_means_the_commit():
    nodes = planned(stage("a", "x", outs=("data",)), stage("b", "y", deps=(".",)))
    assert nodes["b"].needs == ()
    assert nodes["b"].spec.deps == (Dep(path="."),)


def test_a_stage_without_deps_reads_the_outs_of_what_it_needs():
    nodes = planned(
        stage("build", "x", outs=("dist",), gates=GATES),
        stage("train", "y", needs=("build",)),
    )
    assert nodes["train"].needs == ("build:gate",)
    assert nodes["train"].sources == {"dist": ("build",)}


def test_who_reads_the_outs_of_a_gated_stage_waits_for_its_gate():
    nodes = planned(
        stage("train", "x", outs=("model",), gates=GATES), stage("evaluate", "y", deps=("model",))
    )
    assert nodes["evaluate"].needs == ("train:gate",)
    assert nodes["evaluate"].sources == {"model": ("train",)}


def test_paths_are_compared_from_the_root_whatever_the_working_folder():
    nodes = planned(
        stage(
            "train",
            "x",
            wdir="training",
            outs=("model", "../shared/data"),
            params=(ParamsRef(file="p.yaml"),),
        ),
        stage("evaluate", "y", wdir="./evaluation/", deps=("../training/model/", "../shared/data")),
    )
    assert nodes["train"].spec.outs == ("training/model", "shared/data")
    assert nodes["train"].spec.params == (ParamsRef(file="training/p.yaml"),)
    assert nodes["evaluate"].spec.wdir == "evaluation"
    assert nodes["evaluate"].sources == {"training/model": ("train",), "shared/data": ("train",)}


def test_nodes_come_after_what_they_need_else_in_the_order_of_the_file():
    nodes = planned(stage("c", "x", needs=("a",)), stage("b", "x"), stage("a", "x"))
    assert list(nodes) == ["b", "a", "c"]


# --- select ---


def test_a_select_waits_for_every_instance_and_stands_for_the_run_it_picks():
    nodes = planned(
        stage("train", "x", matrix=SEEDS, outs=("model",)),
        stage("pick", select=Select(from_stage="train", metric="a")),
        stage("evaluate", "y", deps=("model", "evaluate.py")),
    )
    assert nodes["pick"].needs == ("train[seed=1]", "train[seed=2]")
    assert nodes["evaluate"].needs == ("pick",)
    assert nodes["evaluate"].sources == {"model": ("pick",)}


def test_outs_that_every_instance_writes_need_a_select():
    said = problems(stage("train", "x", matrix=SEEDS, outs=("model",)), stage("eval", "y", deps=("model",)))
    assert "stages.eval.deps[0] is model, which every instance of train writes" in said
    assert "`select: {from: train, metric: …}`" in said


def test_so_do_those_that_a_stage_without_deps_would_read():
    said = problems(stage("train", "x", matrix=SEEDS, outs=("model",)), stage("eval", "y", needs=("train",)))
    assert "stages.eval.needs[0] is model, which every instance of train writes" in said


def test_outs_with_a_path_of_their_own_need_no_select():
    nodes = planned(
        stage("train", "x", matrix=SEEDS, outs=("models/${{ matrix.seed }}",)),
        stage("one", "y", deps=("models/2",)),
        stage("all", "y", deps=("models",)),
    )
    assert nodes["one"].sources == {"models/2": ("train[seed=2]",)}
    assert nodes["all"].sources == {"models": ("train[seed=1]", "train[seed=2]")}


def test_of_two_selects_the_one_that_is_needed_counts():
    stages = (
        stage("train", "x", matrix=SEEDS, outs=("model",)),
        stage("best", select=Select(from_stage="train", metric="a")),
        stage("fastest", select=Select(from_stage="train", metric="t", mode="min")),
    )
    nodes = planned(*stages, stage("eval", "y", needs=("fastest",), deps=("model",)))
    assert nodes["eval"].sources == {"model": ("fastest",)}
    assert "several stages pick from it" in problems(*stages, stage("eval", "y", deps=("model",)))


@pytest.mark.parametrize(
    ("source", "words"),
    [
        ("trian", "stages.pick.select.from is 'trian'; there is no such stage; did you mean `train`?"),
        ("train", "stages.pick.select.from is train, which has no matrix to pick from"),
    ],
)
def test_a_select_needs_a_matrix(source, words):
    assert words in problems(stage("train", "x"), stage("pick", select=Select(from_stage=source, metric="a")))


def test_a_select_without_a_matrix_is_told_where_there_is_one():
    grid = stage("grid", "x", matrix={"a": (1, 2)})
    told = problems(grid, stage("best", select=Select(from_stage="best", metric="a")))
    assert "is best, which has no matrix to pick from; there is one in grid" in told


# --- register, gates, deploy ---


def test_register_waits_for_the_stages_that_write_the_model_and_the_example():
    nodes = planned(
        stage("train", "x", outs=("model",)),
        stage("rows", "y", outs=("example/",)),
        stage("register", register=Register(model="m", artifact="model/", example="example/rows.csv")),
    )
    assert nodes["register"].needs == ("train", "rows")
    assert nodes["register"].sources == {"model": ("train",), "example/rows.csv": ("rows",)}
    assert nodes["register"].spec.register == Register(
        model="m", artifact="model", example="example/rows.csv"
    )


def test_what_is_registered_is_an_out():
    said = problems(
        stage("train", "x", outs=("model/deep",)),
        stage("register", register=Register(model="m", artifact="model", example="rows.csv")),
    )
    assert "stages.register.register.artifact is model, which is no out" in said
    assert "stages.register.register.example is rows.csv, which is no out" in said


def test_gates_need_something_to_judge():
    assert "stages.gate.gates have no runs to judge; expected `needs`" in problems(stage("gate", gates=GATES))


def test_deploy_waits_for_the_version_and_for_every_gate_that_concerns_it():
    found = needs(
        stage("train", "x", outs=("model",)),
        stage("evaluate", "y", deps=("model",)),
        stage("gate", needs=("evaluate",), gates=GATES),
        stage("register", register=Register(model="m", artifact="model")),
        stage("deploy", deploy=Deploy(endpoint="e")),
    )
    assert found["deploy"] == ("register", "gate")


def test_a_gate_after_the_deployment_does_not_hold_it_up():
    found = needs(
        stage("train", "x", outs=("model",), register=Register(model="m", artifact="model")),
        stage("deploy", deploy=Deploy(endpoint="e")),
        stage("probe", "curl", needs=("deploy",)),
        stage("latency", needs=("probe",), gates=GATES),
    )
    assert found["deploy"] == ("train:register",)


def test_two_deployments_and_their_gates_do_not_wait_for_one_another_in_a_loop():
    nodes = planned(
        stage("train", "x", outs=("model",), register=Register(model="m", artifact="model")),
        stage("one", deploy=Deploy(endpoint="a")),
        stage("check-one", needs=("one",), gates=GATES),
        stage("two", deploy=Deploy(endpoint="b")),
        stage("check-two", needs=("two",), gates=GATES),
    )
    assert order({key: node.needs for key, node in nodes.items()}) == list(nodes)
    assert len(nodes) == 6


def test_deploy_serves_the_version_it_needs():
    stages = (
        stage("a", "x", outs=("a",), register=Register(model="a", artifact="a")),
        stage("b", "x", outs=("b",), register=Register(model="b", artifact="b")),
    )
    assert needs(*stages, stage("deploy", needs=("b",), deploy=Deploy(endpoint="e")))["deploy"] == (
        "b:register",
    )
    said = problems(*stages, stage("deploy", deploy=Deploy(endpoint="e")))
    assert "stages.deploy.deploy has several versions to serve: a:register, b:register" in said
    chained = stage("c", "x", needs=("a",), outs=("c",), register=Register(model="c", artifact="c"))
    nearest = needs(*stages, chained, stage("deploy", needs=("c",), deploy=Deploy(endpoint="e")))
    assert nearest["deploy"] == ("c:register",)
    assert "has no version to serve" in problems(stage("deploy", deploy=Deploy(endpoint="e")))


# --- if ---


def test_a_condition_that_does_not_hold_skips_the_stage_and_says_why():
    stages = (stage("train", "x"), stage("ship", "y", condition="trigger.branch == 'main'", gates=GATES))
    on_main = planned(*stages)
    assert on_main["ship"].skip == ""
    elsewhere = planned(*stages, branch="dev")
    why = "its condition `trigger.branch == 'main'` does not hold: trigger.branch is 'dev'"
    assert (elsewhere["train"].skip, elsewhere["ship"].skip, elsewhere["ship:gate"].skip) == ("", why, why)


def test_a_condition_may_leave_out_instances_and_the_others_go_on():
    nodes = planned(
        stage("train", "x", matrix={"seed": [1, 2, 3]}, outs=("model",), condition="matrix.seed != 2"),
        stage("pick", select=Select(from_stage="train", metric="a")),
        stage("after", "y", needs=("train",), deps=("other",)),
    )
    assert [key for key, node in nodes.items() if node.skip] == ["train[seed=2]"]
    assert nodes["pick"].needs == ("train[seed=1]", "train[seed=3]")
    assert nodes["after"].needs == ("train[seed=1]", "train[seed=3]")


def test_one_instance_that_is_left_needs_no_select():
    nodes = planned(
        stage("train", "x", matrix=SEEDS, outs=("model",), condition="matrix.seed == 2"),
        stage("evaluate", "y", deps=("model",)),
    )
    assert nodes["evaluate"].sources == {"model": ("train[seed=2]",)}


def test_what_needs_a_stage_that_is_left_out_whole_is_tied_to_it():
    nodes = planned(
        stage("train", "x", outs=("model",), condition="false"), stage("evaluate", "y", deps=("model",))
    )
    assert nodes["evaluate"].needs == ("train",)


def test_two_stages_of_which_one_runs_may_write_the_same_out():
    stages = (
        stage("full", "x", outs=("model",), condition="trigger.branch == 'main'"),
        stage("quick", "y", outs=("model",), condition="trigger.branch != 'main'"),
        stage("evaluate", "z", deps=("model",)),
    )
    assert planned(*stages)["evaluate"].sources == {"model": ("full",)}
    assert planned(*stages, branch="dev")["evaluate"].sources == {"model": ("quick",)}


# --- what is refused ---


@pytest.mark.parametrize(
    ("stages", "words"),
    [
        ((stage("a", "x", needs=("b",)), stage("b", "x", needs=("a",))), "waits for itself: a → b → a"),
        ((stage("a", "x", needs=("a",)),), "waits for itself: a → a"),
        (
            (stage("a", "x", deps=("y",), outs=("x",)), stage("b", "x", deps=("x",), outs=("y",))),
            "waits for itself: a → b → a",
        ),
        (
            (
                stage("a", "x", needs=("c",)),
                stage("b", "x", matrix=SEEDS, needs=("a",)),
                stage("c", "x", needs=("b",)),
            ),
            "waits for itself: a → c → b → a",
        ),
        ((stage("a", "x", needs=("tset",)), stage("test", "x")), "did you mean `test`?"),
        (
            (stage("a", "x", outs=("m",)), stage("b", "x", outs=("m/",))),
            "stages.b.outs name m, and those of a",
        ),
        (
            (stage("a", "x", outs=("m",)), stage("b", "x", outs=("m/n",))),
            "m/n, and those of a m, which holds it",
        ),
        ((stage("a", "x", outs=("m", "./m/")),), "stages.a.outs name m twice"),
        ((stage("a", "x", outs=("m", "m/n")),), "stages.a.outs name both m and m/n in it"),
        ((stage("a", "x", deps=("m/n",), outs=("m",)),), "is m/n, which the stage itself writes (its out m)"),
        ((stage("a", "x", outs=("../m",)),), "stages.a.outs[0] has the path '../m'; expected a path inside"),
        ((stage("a", "x ${{ matrix.y }}"),), "stages.a.cmd[0] has the name 'matrix.y'"),
        ((stage("a", "x ${{ trigger.branch }}"),), "RELIVE_BRANCH"),
        ((stage("a", "x", condition="trigger.branch = 'x'"),), "stages.a.if has the condition"),
        ((stage("a", "x", env={"A": "${{ vars.b }}"}),), "stages.a.env.A has the name 'vars.b'"),
        ((stage("a"),), "stages.a does nothing"),
        ((stage("a", "x", matrix={"s": list(range(300))}),), "has 300 combinations"),
    ],
)
def test_is_refused(stages, words):
    assert words in problems(*stages)


def test_what_every_instance_would_say_is_said_once():
    said = problems(stage("a", "x ${{ matrix.y }}", matrix={"x": [1, 2, 3]}))
    assert said.count("matrix.y") == 1


def test_every_problem_is_told_at_once():
    said = problems(
        stage("a", "x", needs=("nope",)), stage("b", "x ${{ vars.y }}"), stage("c", "x", outs=("/",))
    )
    assert said.count("\n") == 2


def test_problems_of_paths_and_of_the_graph_are_told_together():
    found = find_problems(
        PipelineSpec(
            stages=(
                stage("build", "x", outs=("../x",)),
                stage("one", "x", outs=("data",)),
                stage("two", "x", outs=("data",)),
                stage("pick", select=Select(from_stage="one", metric="m")),
                stage("model", needs=("pick", "nope"), register=Register(model="m", artifact="zzz")),
                stage("left", "x", needs=("right",)),
                stage("right", "x", needs=("left",)),
            )
        )
    )
    assert {problem.where for problem in found} == {
        "stages.build.outs[0]",
        "stages.two.outs",
        "stages.pick.select.from",
        "stages.model.needs[1]",
        "stages.model.register.artifact",
        "stages.left",
    }


@pytest.mark.parametrize(
    "vague", [stage("a", "x", outs=("m-${{ vars.y }}",)), stage("a", "x", wdir="../up", outs=("m-1",))]
)
def test_an_out_that_could_not_be_told_may_be_the_one_that_is_missed(vague):
    stages = (vague, stage("b", register=Register(model="m", artifact="m-1")))
    assert len(find_problems(PipelineSpec(stages=stages))) == 1


def test_what_an_unknown_stage_would_give_is_not_missed():
    gate, serve = (
        stage("g", needs=("nope",), gates=GATES),
        stage("s", needs=("nope",), deploy=Deploy(endpoint="e")),
    )
    found = find_problems(PipelineSpec(stages=(gate, serve)))
    assert [problem.where for problem in found] == ["stages.g.needs[0]", "stages.s.needs[0]"]


def test_a_graph_is_bounded():
    stages = [stage(f"s{index}", "x", matrix={"i": list(range(250))}) for index in range(5)]
    assert f"more than {MOST_NODES} nodes" in problems(*stages)


def test_with_broken_stages_the_others_are_still_looked_at():
    stages = (
        stage("broken", needs=("a",)),
        stage("a", "x", needs=("broken", "c")),
        stage("c", "x ${{ vars.y }}", deps=("unknown",)),
        stage("d", "x", needs=("brokn",)),
    )
    found = find_problems(PipelineSpec(stages=stages), broken=frozenset({"broken"}))
    assert [problem.where for problem in found] == ["stages.c.cmd[0]", "stages.d.needs[0]", "stages.broken"]


def test_beside_a_broken_stage_problems_between_the_others_are_told():
    stages = (
        stage("broken"),
        stage("a", "x", outs=("o",)),
        stage("b", "x", outs=("o",)),
        stage("pick", select=Select(from_stage="a", metric="m")),
        stage("same", select=Select(from_stage="broken", metric="m")),
        stage("c", register=Register(model="m", artifact="elsewhere")),
        stage("s", deploy=Deploy(endpoint="e")),
    )
    found = find_problems(PipelineSpec(stages=stages), broken=frozenset({"broken"}))
    assert {problem.where for problem in found} == {"stages.b.outs", "stages.pick.select.from"}


# --- any file ---

NAMES = ["a", "b", "c", "d"]
PATHS = ["x", "x/y", "z", "w"]


@st.composite
def files(draw):
    """Draw stages that name one another and share paths, right or wrong."""
    stages = []
    for name in draw(st.lists(st.sampled_from(NAMES), unique=True, min_size=1)):
        has_cmd = draw(st.booleans())
        register = draw(st.sampled_from([None, None, Register(model="m", artifact="x")]))
        stages.append(
            stage(
                name,
                "run" if has_cmd else "",
                needs=tuple(draw(st.lists(st.sampled_from(NAMES), unique=True, max_size=2))),
                deps=draw(st.lists(st.sampled_from(PATHS), unique=True, max_size=2)) if has_cmd else (),
                outs=tuple(draw(st.lists(st.sampled_from(PATHS), unique=True, max_size=2)))
                if has_cmd
                else (),
                matrix=draw(st.sampled_from([{}, {}, SEEDS])) if has_cmd else {},
                select=draw(st.sampled_from([None, None, Select(from_stage="a", metric="m")])),
                gates=draw(st.sampled_from([(), GATES])),
                register=register,
                deploy=draw(st.sampled_from([None, None, Deploy(endpoint="e")])),
                condition=draw(st.sampled_from(["", "", "trigger.branch == 'main'"])),
            )
        )
    return PipelineSpec(stages=tuple(stages))


@given(files(), st.sampled_from(["main", "dev"]))
def test_any_file_is_planned_into_an_ordered_graph_or_refused_with_reasons(spec, branch):
    try:
        nodes = plan(spec, branch=branch, commit="c", trigger="push")
    except InvalidPipelineFile:
        return  # and nothing else
    keys = [node.key for node in nodes]
    assert len(set(keys)) == len(keys)
    seen: set[str] = set()
    for node in nodes:
        assert set(node.needs) <= seen, "a node comes before one it needs"
        assert {key for found in node.sources.values() for key in found} <= seen
        seen.add(node.key)
    assert plan(spec, branch=branch, commit="c", trigger="push") == nodes


@given(files(), st.sets(st.sampled_from(NAMES), max_size=2))
def test_what_could_not_be_read_of_a_stage_brings_no_problem_that_is_not_there(spec, broken):
    whole = find_problems(spec)
    told = find_problems(spec, broken=frozenset(broken))
    loops = [problem for problem in told if "waits for itself" in problem.what]
    # Of two outs that clash one stage is named: without the other it may be the other way round.
    rest = msgspec.structs.replace(spec, stages=tuple(it for it in spec.stages if it.name not in broken))
    clashes = {it.where for it in find_problems(rest) if it.where.endswith(".outs")}
    assert {problem.where for problem in told if problem not in loops} <= {it.where for it in whole} | clashes
    assert whole or not loops
