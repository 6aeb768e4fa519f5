"""From a relive.yaml to the graph that is executed: matrices expanded, names filled in, stages split.

A stage may do several things, always in the order run → select → gate → register → deploy. Each becomes a
node of its own: the first has the stage's name, the others "train:gate", "train:register". An instance of a
matrix is "train[model=lr,seed=1]". What follows a `select` in the same stage happens once, for the run it
picked; without a `select` the gates of a matrix stage judge each instance.
"""

from collections.abc import Callable, Iterable
from typing import TypeVar

import msgspec

from relive.core.conditions import judge
from relive.core.edges import Draft, connect, loop_problem
from relive.core.expressions import Value, fill, fill_command
from relive.core.graph import find_cycles
from relive.core.matrix import MAX_PARALLEL, combinations, suffix
from relive.core.paths import ROOT, rooted
from relive.core.pipeline import Action, PipelineSpec, PlannedStage, Register, StageSpec
from relive.core.problems import Problem, did_you_mean, shown
from relive.errors import InvalidInput, InvalidPipelineFile

MOST_NODES = 1000

_T = TypeVar("_T")
# What is known before anything is filled in; the values matter to no check.
_ANY_PUSH = {"trigger.branch": "main", "trigger.kind": "push", "pipeline.commit": "0" * 40}


def plan(
    spec: PipelineSpec, *, branch: str, commit: str, trigger: str, path: str = "relive.yaml"
) -> tuple[PlannedStage, ...]:
    """Give the nodes of the graph, each after all it needs, otherwise in the order of the file.

    Args:
        spec: The file after reading.
        branch: Name of the branch that was pushed, as `trigger.branch`.
        commit: Its commit, as `pipeline.commit`.
        trigger: What started the pipeline ("push", "manual", …), as `trigger.kind`.
        path: The file's name, for errors.

    Raises:
        InvalidPipelineFile: With every problem that shows only now: unknown names, cycles, clashing outs.
    """
    about = {"trigger.branch": branch, "trigger.kind": trigger, "pipeline.commit": commit}
    nodes, problems = _expand(spec, about)
    if problems:
        raise InvalidPipelineFile(path=path, problems=tuple(str(problem) for problem in problems))
    return nodes


def find_problems(spec: PipelineSpec, *, broken: frozenset[str] = frozenset()) -> list[Problem]:
    """Find what `plan` would complain about, whatever was pushed.

    Args:
        spec: The file after reading.
        broken: Names of stages of which only `name` and `needs` could be read. They are not looked into, and
            nothing is said that what they hold might answer.
    """
    return _expand(spec, _ANY_PUSH, broken)[1]


def _expand(
    spec: PipelineSpec, about: dict[str, str], broken: frozenset[str] = frozenset()
) -> tuple[tuple[PlannedStage, ...], list[Problem]]:
    problems: list[Problem] = []
    drafts: list[Draft] = []
    for stage in spec.stages:
        if stage.name in broken:
            drafts.append(_unread(stage))
        else:
            drafts += _drafts_of(stage, _names(spec, about), problems)
        if len(drafts) > MOST_NODES:
            problems.append(Problem(0, "stages", f"make more than {MOST_NODES} nodes; expected fewer"))
            return (), _distinct(problems)
    problems += _unknown_needs(spec)
    nodes = connect(drafts, problems)
    if problems:  # then only the loops are certain that `needs` draws alone
        loops = find_cycles({stage.name: stage.needs for stage in spec.stages})
        problems += [loop_problem(loop) for loop in loops]
    return nodes, _distinct(problems)


def _unread(stage: StageSpec) -> Draft:
    """Stand in for a stage that could not be read: it is there and waits, and may write anything."""
    spec = StageSpec(name=stage.name, needs=stage.needs)
    return Draft(
        key=stage.name, name=stage.name, action=Action.RUN, spec=spec, named=stage.needs, is_unread=True
    )


def _names(spec: PipelineSpec, about: dict[str, str]) -> dict[str, Value]:
    return {**about, **{f"vars.{name}": value for name, value in spec.vars.items()}}


def _unknown_needs(spec: PipelineSpec) -> list[Problem]:
    known = [stage.name for stage in spec.stages]
    return [
        Problem(
            0,
            f"stages.{stage.name}.needs[{index}]",
            f"is {shown(need)}; there is no such stage{did_you_mean(need, known)}",
        )
        for stage in spec.stages
        for index, need in enumerate(stage.needs)
        if need not in known
    ]


def _drafts_of(stage: StageSpec, names: dict[str, Value], problems: list[Problem]) -> list[Draft]:
    """Split one stage into its nodes; each knows the one before it in the same stage."""
    where = f"stages.{stage.name}"
    if not _actions(stage):
        problems.append(Problem(0, where, "does nothing; expected a `cmd`, or something to decide"))
    if not stage.matrix:
        return _chain(stage, _actions(stage), {}, _Filler(stage, names, problems))
    found: list[Draft] = []
    per_instance = [Action.RUN] if stage.select else [Action.RUN, Action.GATE][: 1 + bool(stage.gates)]
    for values in combinations(stage.matrix, f"{where}.matrix", problems):
        local = {**names, **{f"matrix.{name}": value for name, value in values.items()}}
        found += _chain(stage, per_instance, values, _Filler(stage, local, problems))
    once = [action for action in _actions(stage) if action not in per_instance]
    if once and not stage.select:
        what = f"has a matrix and `{once[0]}`; expected a `select` too, which picks one of its runs"
        problems.append(Problem(0, where, what))
    elif once and found:
        # These speak for all instances: their condition is that of any instance, their paths know no matrix.
        skip = found[0].skip if all(draft.skip for draft in found) else ""
        unconditional = msgspec.structs.replace(stage, condition="")
        chain = _chain(unconditional, once, {}, _Filler(unconditional, names, problems), first=False)
        found += [msgspec.structs.replace(draft, skip=skip) for draft in chain]
    return found


def _chain(
    stage: StageSpec,
    actions: list[Action],
    values: dict[str, Value],
    filler: "_Filler",
    *,
    first: bool = True,
) -> list[Draft]:
    skip = filler.skip()
    drafts: list[Draft] = []
    for action in actions:
        base = stage.name + suffix(values)
        drafts.append(
            Draft(
                key=base if first and not drafts else f"{base}:{action}",
                name=stage.name,
                action=action,
                spec=filler.spec_for(action),
                is_vague=filler.is_vague,
                named=stage.needs if first and not drafts else (),
                before=drafts[-1].key if drafts else "",
                values=values,
                skip=skip,
                max_parallel=stage.matrix.get(MAX_PARALLEL) if action is Action.RUN else None,
            )
        )
    return drafts


def _actions(stage: StageSpec) -> list[Action]:
    has = {
        Action.RUN: stage.cmd,
        Action.SELECT: stage.select,
        Action.GATE: stage.gates,
        Action.REGISTER: stage.register,
        Action.DEPLOY: stage.deploy,
    }
    return [action for action, facet in has.items() if facet]


class _Filler:
    """Fills the names of one instance into its stage, and notes what cannot be filled."""

    def __init__(self, stage: StageSpec, names: dict[str, Value], problems: list[Problem]) -> None:
        self.stage = stage
        self.names = names
        self.problems = problems
        self.where = f"stages.{stage.name}"
        self.is_vague = False  # whether some of its outs could not be told
        self.is_lost = False  # whether its `wdir` could not, and so none of its paths

    def skip(self) -> str:
        """Say why the instance will not run; empty if it will."""
        condition = self.stage.condition
        if not condition:
            return ""
        judged = self._try("if", lambda: judge(condition, self.names), None)
        if judged is None or judged.holds:
            return ""
        values = ", ".join(f"{name} is {value!r}" for name, value in judged.used.items())
        return f"its condition `{condition}` does not hold" + (f": {values}" if values else "")

    def spec_for(self, action: Action) -> StageSpec:
        """Give what one node does, with everything filled in."""
        stage = self.stage
        wdir = self._wdir()
        common = StageSpec(
            name=stage.name,
            needs=stage.needs,
            wdir=wdir,
            condition=stage.condition,
            resources=stage.resources,
        )
        match action:
            case Action.SELECT:
                return msgspec.structs.replace(common, select=stage.select)
            case Action.GATE:
                return msgspec.structs.replace(common, gates=stage.gates)
            case Action.REGISTER:
                return msgspec.structs.replace(common, register=self._register(stage.register, wdir))
            case Action.DEPLOY:
                return msgspec.structs.replace(common, deploy=stage.deploy)
        return self._run(wdir)

    def _run(self, wdir: str) -> StageSpec:
        stage = self.stage
        return msgspec.structs.replace(
            stage,
            wdir=wdir,
            cmd=tuple(self._each("cmd", stage.cmd, self._command)),
            env={name: self._text(f"env.{name}", text) for name, text in stage.env.items()},
            deps=tuple(
                msgspec.structs.replace(dep, path=self._path(f"deps[{index}]", dep.path, wdir))
                for index, dep in enumerate(stage.deps)
            ),
            outs=self._outs(wdir),
            params=tuple(
                msgspec.structs.replace(ref, file=self._path(f"params[{index}]", ref.file, wdir))
                for index, ref in enumerate(stage.params)
            ),
            metrics=self._paths("metrics", stage.metrics, wdir),
            plots=self._paths("plots", stage.plots, wdir),
            junit=self._path("reports.junit", stage.junit, wdir),
            select=None,
            gates=(),
            register=None,
            deploy=None,
        )

    def _register(self, register: Register | None, wdir: str) -> Register | None:
        if register is None:
            return None
        return msgspec.structs.replace(
            register,
            artifact=self._path("register.artifact", register.artifact, wdir),
            example=self._path("register.example", register.example, wdir),
        )

    def _wdir(self) -> str:
        self.is_lost, before = False, len(self.problems)
        wdir = self._path("wdir", self.stage.wdir, ROOT)
        self.is_lost = self.is_vague = len(self.problems) > before
        return wdir

    def _outs(self, wdir: str) -> tuple[str, ...]:
        """Give the outs that can be told: one that cannot be filled may be any path, one outside is none."""
        found = []
        for index, text in enumerate(self.stage.outs):
            key, before = f"outs[{index}]", len(self.problems)
            filled = self._text(key, text)
            self.is_vague = self.is_vague or len(self.problems) > before
            path = self._rooted(key, filled, wdir)
            if len(self.problems) == before and not self.is_lost:
                found.append(path)
        return tuple(found)

    def _paths(self, key: str, paths: Iterable[str], wdir: str) -> tuple[str, ...]:
        return tuple(self._each(key, paths, lambda where, path: self._path(where, path, wdir)))

    def _each(self, key: str, texts: Iterable[str], read: Callable[[str, str], str]) -> list[str]:
        return [read(f"{key}[{index}]", text) for index, text in enumerate(texts)]

    def _command(self, key: str, text: str) -> str:
        return self._try(key, lambda: fill_command(text, self.names), text)

    def _text(self, key: str, text: str) -> str:
        return self._try(key, lambda: fill(text, self.names), text)

    def _path(self, key: str, path: str, wdir: str) -> str:
        if not path:
            return ""
        before, filled = len(self.problems), self._text(key, path)
        return path if len(self.problems) > before else self._rooted(key, filled, wdir)

    def _rooted(self, key: str, path: str, wdir: str) -> str:
        """Give a path from the root; nothing if nobody knows from where it is meant."""
        return "" if self.is_lost else self._try(key, lambda: rooted(path, wdir), path)

    def _try(self, key: str, read: Callable[[], _T], otherwise: _T) -> _T:
        try:
            return read()
        except InvalidInput as error:
            what = f"has the {error.field} {shown(error.value)}; expected {error.wanted}"
            self.problems.append(Problem(0, f"{self.where}.{key}", what))
            return otherwise


def _distinct(problems: list[Problem]) -> list[Problem]:
    """Drop what each instance of a matrix says again."""
    return list(dict.fromkeys(problems))
