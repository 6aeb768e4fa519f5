"""The edges of the graph: which node waits for which, said by `needs` or implied by paths.

- What a stage names in `needs` it waits for as a whole, gates and registration included.
- Whoever reads a path that another stage writes waits for that stage's run, and for the gates on it.
- A deployment waits for the version it puts into service, and for every gate that concerns it.
"""

from collections.abc import Iterable, Mapping
from typing import Any

import msgspec

from relive.core.graph import find_cycles, order
from relive.core.pipeline import Action, PlannedStage, StageSpec
from relive.core.problems import Problem, did_you_mean, shown
from relive.core.promotion import concerning_gates
from relive.core.sources import Makers, Out


class Draft(msgspec.Struct, kw_only=True):
    """A node before its edges are known.

    Attributes:
        named: Names of stages in its `needs`, for the first node of a stage.
        before: Key of the node before it in the same stage, empty for the first.
        is_vague: Whether one of its outs could not be told.
        is_unread: Whether nothing is known of its stage but its name and `needs`.
    """

    key: str
    name: str
    action: Action
    spec: StageSpec
    named: tuple[str, ...] = ()
    before: str = ""
    values: dict[str, Any] = {}
    skip: str = ""
    is_vague: bool = False
    is_unread: bool = False
    max_parallel: int | None = None
    needs: list[str] = []
    sources: dict[str, tuple[str, ...]] = {}


def connect(drafts: list[Draft], problems: list[Problem]) -> tuple[PlannedStage, ...]:
    """Draw all edges and give the nodes, each after all it needs.

    Args:
        drafts: All nodes in the order of the file; changed in place.
        problems: Grows by one entry for each thing that is wrong; if there is any, the answer is empty.
            Nothing is said that follows from another problem: an out that could not be told may be the one
            that is missed.
    """
    graph = _Graph(drafts, problems)
    for step in (graph.chain, graph.name, graph.read, graph.judge, graph.deploy):
        step()
    if not problems:
        graph.refuse_cycles()
    return () if problems else _ordered(graph)


def loop_problem(names: list[str]) -> Problem:
    """Name a loop of stages, each waiting for the next; neighbours of the same name are one stage."""
    loop = [name for index, name in enumerate(names) if index == 0 or name != names[index - 1]]
    if len(loop) > 1 and loop[-1] == loop[0]:
        loop.pop()
    return Problem(0, f"stages.{loop[0]}", f"waits for itself: {' → '.join([*loop, loop[0]])}")


class _Graph:
    def __init__(self, drafts: list[Draft], problems: list[Problem]) -> None:
        self.drafts = drafts
        self.problems = problems
        self.by_key = {draft.key: draft for draft in drafts}
        self.stages: dict[str, list[Draft]] = {}
        self.after = {draft.before: draft.key for draft in drafts if draft.before}
        for draft in drafts:
            self.stages.setdefault(draft.name, []).append(draft)
        # What is not known of the stages, and what may therefore not be said.
        self.knows_stages = not any(draft.is_unread for draft in drafts)
        self.knows_outs = self.knows_stages and not any(draft.is_vague for draft in drafts)
        self.knows_needs = self.knows_stages and all(it in self.stages for d in drafts for it in d.named)
        self.makers = Makers(_outs(draft for draft in drafts if not draft.skip))
        self.skipped_makers = Makers(_outs(draft for draft in drafts if draft.skip))
        self.registers: dict[str, str] = {}
        self.selects: dict[str, list[str]] = {}
        for draft in drafts:
            if draft.spec.select is not None:
                self.selects.setdefault(draft.spec.select.from_stage, []).append(draft.key)
        problems += self.makers.clashes()

    def chain(self) -> None:
        """Within a stage each node waits for the one before it; a select waits for all it picks from."""
        for draft in self.drafts:
            if draft.before:
                self.need(draft, [draft.before])
            if draft.spec.select is not None:
                self.need(draft, self._candidates(draft))

    def name(self) -> None:
        """What `needs` names is waited for as a whole."""
        for draft in self.drafts:
            for name in draft.named:
                if name in self.stages:
                    self.need(draft, self._ends(name))

    def read(self) -> None:
        """Whoever reads what another writes waits for it."""
        for draft in self.drafts:
            if draft.action is Action.RUN:
                self._read_deps(draft)
            elif draft.action is Action.REGISTER and draft.spec.register is not None:
                self._read_out(draft, "artifact", draft.spec.register.artifact)
                self._read_out(draft, "example", draft.spec.register.example)

    def judge(self) -> None:
        """A gate judges runs it waits for."""
        for draft in self.drafts:
            if draft.action is Action.GATE and not draft.needs and not draft.named:
                self._problem(
                    draft, "gates", "have no runs to judge; expected `needs`: the stages with the metrics"
                )

    def deploy(self) -> None:
        """A deployment waits for the version it serves."""
        versions = [draft.key for draft in self.drafts if draft.action is Action.REGISTER]
        for draft in self.drafts:
            if draft.action is not Action.DEPLOY:
                continue
            chosen = self._nearest(draft, frozenset(versions)) or versions
            if len(chosen) == 1:
                self.registers[draft.key] = chosen[0]
                self.need(draft, chosen)
            elif not self.knows_needs:
                continue
            elif chosen:
                told = ", ".join(chosen[:5]) + (", …" if len(chosen) > 5 else "")
                what = f"has several versions to serve: {told}; expected `needs` to name one"
                self._problem(draft, "deploy", what)
            else:
                self._problem(draft, "deploy", "has no version to serve; expected a stage with `register`")

    def refuse_cycles(self) -> None:
        """Name every loop once, in full."""
        needs: dict[str, list[str]] = {draft.key: draft.needs for draft in self.drafts}
        for cycle in find_cycles(needs):
            self.problems.append(loop_problem([self.by_key[key].name for key in cycle]))

    def _candidates(self, draft: Draft) -> list[str]:
        """Give the runs a select picks from, each with the gates on it."""
        select = draft.spec.select
        assert select is not None
        runs = [it for it in self.stages.get(select.from_stage, []) if it.action is Action.RUN]
        if select.from_stage not in self.stages:
            told = f"is {shown(select.from_stage)}; there is no such stage"
            self._problem(draft, "select.from", told + did_you_mean(select.from_stage, self.stages))
        elif not any(run.values or run.is_unread for run in runs):
            with_matrix = [
                name
                for name, drafts in self.stages.items()
                if any(it.action is Action.RUN and it.values for it in drafts)
            ]
            told = f"is {select.from_stage}, which has no matrix to pick from"
            there_is = f"; there is one in {', '.join(with_matrix)}" if with_matrix else ""
            self._problem(draft, "select.from", told + there_is)
        active = [run.key for run in runs if not run.skip] or [run.key for run in runs]
        return [self._settled(key) for key in active]

    def _ends(self, name: str) -> list[str]:
        """Give the last nodes of a stage; instances that `if` leaves out count only if it leaves out all."""
        mine = self.stages[name]
        needed = {need for draft in mine for need in draft.needs}
        ends = [draft for draft in mine if draft.key not in needed]
        return [draft.key for draft in ends if not draft.skip] or [draft.key for draft in ends]

    def _settled(self, key: str) -> str:
        """Give the last of the gates that follow a node in its own stage, or the node itself."""
        following = self.after.get(key)
        while following is not None and self.by_key[following].action is Action.GATE:
            key, following = following, self.after.get(following)
        return key

    def _read_deps(self, draft: Draft) -> None:
        for index, dep in enumerate(draft.spec.deps):
            if dep.path:
                self._read(draft, f"deps[{index}]", dep.path)
        if not draft.spec.deps:  # then it reads all that the stages it names have written
            for index, name in enumerate(draft.named):
                for path in self._outs_of(name) if name in self.stages else ():
                    self._read(draft, f"needs[{index}]", path)

    def _outs_of(self, name: str) -> list[str]:
        picked = [
            draft.spec.select.from_stage for draft in self.stages[name] if draft.spec.select is not None
        ]
        runs = [draft for stage in (name, *picked) for draft in self.stages.get(stage, [])]
        return list(dict.fromkeys(path for draft in runs for path in draft.spec.outs))

    def _read_out(self, draft: Draft, key: str, path: str) -> None:
        if not path:
            return
        if self.makers.holding(path) or self.skipped_makers.holding(path):
            self._read(draft, f"register.{key}", path)
        elif self.knows_outs:
            self._problem(
                draft, f"register.{key}", f"is {path}, which is no out; expected a path that a stage writes"
            )

    def _read(self, draft: Draft, key: str, path: str) -> None:
        """Note the sources of a path that a node reads, and wait for them."""
        makers = self.makers if self.makers.touching(path) else self.skipped_makers
        found: list[str] = []
        picked: set[tuple[str, str]] = set()  # every instance of a matrix gives the same answer
        for out in makers.touching(path):
            if out.stage == draft.name and draft.action is Action.RUN:
                self._problem(draft, key, f"is {path}, which the stage itself writes (its out {out.path})")
            elif not makers.is_shared(out.path):
                found.append(out.key)
            elif (out.path, out.stage) not in picked:
                picked.add((out.path, out.stage))
                found += self._picked(draft, key, out.path, out.stage)
        if found:
            draft.sources = {**draft.sources, path: tuple(dict.fromkeys(found))}
            self.need(draft, [self._settled(source) for source in found])

    def _picked(self, draft: Draft, key: str, path: str, stage: str) -> list[str]:
        """Give the select that says which instance of a matrix is meant."""
        selects = self.selects.get(stage, [])
        if len(selects) > 1:
            above = self._reachable(draft)
            selects = [select for select in selects if select in above] or selects
        if len(selects) == 1:
            return selects
        if not self.knows_stages:
            return []
        if selects:
            told = f"is {path} of {stage}, and several stages pick from it; expected `needs` to name one"
        else:
            told = (
                f"is {path}, which every instance of {stage} writes; expected a stage with "
                f"`select: {{from: {stage}, metric: …}}`, which picks one"
            )
        self._problem(draft, key, told)
        return []

    def _reachable(self, draft: Draft) -> set[str]:
        return _closure(draft.needs, {it.key: it.needs for it in self.drafts})

    def _nearest(self, draft: Draft, wanted: frozenset[str]) -> list[str]:
        """Give those of the wanted nodes that the fewest steps lead to."""
        seen: set[str] = set()
        level = list(draft.needs)
        while level and not wanted.intersection(level):
            seen.update(level)
            further = [need for key in level for need in self.by_key[key].needs]
            level = [key for key in dict.fromkeys(further) if key not in seen]
        return [key for key in level if key in wanted]

    def dependants(self, key: str) -> set[str]:
        """Give all that waits for a node."""
        users: dict[str, list[str]] = {}
        for draft in self.drafts:
            for needed in draft.needs:
                users.setdefault(needed, []).append(draft.key)
        return _closure(users.get(key, []), users)

    def need(self, draft: Draft, keys: Iterable[str]) -> None:
        """Let a node wait for others."""
        draft.needs = list(dict.fromkeys([*draft.needs, *keys]))

    def _problem(self, draft: Draft, key: str, what: str) -> None:
        self.problems.append(Problem(0, f"stages.{draft.name}.{key}", what))


def _closure(start: Iterable[str], following: Mapping[str, list[str]]) -> set[str]:
    seen: set[str] = set()
    todo = list(start)
    while todo:
        key = todo.pop()
        if key not in seen:
            seen.add(key)
            todo += following.get(key, [])
    return seen


def _outs(drafts: Iterable[Draft]) -> Iterable[Out]:
    return (
        Out(path, draft.key, draft.name)
        for draft in drafts
        if draft.action is Action.RUN
        for path in draft.spec.outs
    )


def _ordered(graph: _Graph) -> tuple[PlannedStage, ...]:
    nodes = {draft.key: _planned(draft) for draft in graph.drafts}
    gates = concerning_gates(list(nodes.values()))
    for deploy, register in graph.registers.items():
        draft = graph.by_key[deploy]
        # A gate that waits for the deployment speaks about it afterwards.
        after = graph.dependants(deploy)
        graph.need(draft, [gate for gate in gates[register] if gate not in after])
        nodes[deploy] = _planned(draft)
    return tuple(nodes[key] for key in order({key: node.needs for key, node in nodes.items()}))


def _planned(draft: Draft) -> PlannedStage:
    return PlannedStage(
        key=draft.key,
        name=draft.name,
        action=draft.action,
        spec=draft.spec,
        needs=tuple(draft.needs),
        values=draft.values,
        skip=draft.skip,
        max_parallel=draft.max_parallel,
        sources=draft.sources,
    )
