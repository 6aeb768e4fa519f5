"""Judge a replay against the run it repeats, and say what else was different."""

from collections.abc import Mapping
from typing import Final

import msgspec

from relive.capture.recorder.borders import Belongs
from relive.client.hub import HubClient
from relive.core.compare import SAME_PREDICTIONS, Comparison, compare, judge, within
from relive.core.facts import Difference, FactGroup, differences, facts_of
from relive.core.left import DIFFERS, SAME_BUT_TIMES, SAME_BYTES, compare_files, shown
from relive.core.recipe import Hardware, Recipe, WrittenFile
from relive.core.run import RunStatus
from relive.core.tolerance import Limit, Noise
from relive.core.trajectory import SpotCheck, StepWindow, Trajectory, Verdict, VerdictLevel
from relive.errors import InvalidInput
from relive.formats.trajectory import decode_trajectory
from relive.replay.execute import Repeated
from relive.replay.noise import are_equal, learn
from relive.replay.out_texts import same_but_times
from relive.replay.plan import ReplayPlan
from relive.replay.predictions import predicts_the_same
from relive.replay.spots_judged import Made, judge_spots
from relive.replay.watch import Stop
from relive.runner.environment.build import fetch_lock
from relive.wire.hub import RunDetail

_INSTALLED: Final = frozenset({FactGroup.IMPORTED, FactGroup.INTERPRETER, FactGroup.PACKAGES})
_LOADED: Final = frozenset({FactGroup.IMPORTED, FactGroup.LIBRARIES, FactGroup.THREADS})


class Terms(msgspec.Struct, frozen=True, kw_only=True):
    """What a replay is judged by.

    Attributes:
        limits: Of metrics, as they were asked for.
        window: Only these steps, and no metric or out; None for all.
        spots: Only these segments, which were the only ones to be made; None for all.
    """

    limits: dict[str, Limit] = {}
    window: StepWindow | None = None
    spots: SpotCheck | None = None

    def check(self, plan: ReplayPlan) -> None:
        """Do nothing if the run has what is asked about.

        Raises:
            InvalidInput: It has no such metric, or no such step.
        """
        known = sorted(metric.key for metric in plan.detail.metrics)
        for key in self.limits:
            if key not in known:
                wanted = f"a metric of the run: {', '.join(known) or 'it has none'}"
                raise InvalidInput(field="--tolerance", value=key, wanted=wanted)
        if self.window is not None and not within(plan.trajectory or Trajectory(), self.window).steps:
            steps = plan.trajectory.steps if plan.trajectory else ()
            wanted = f"recorded steps, 0..{max(it.step for it in steps)}" if steps else "a run with steps"
            value = f"{self.window.first}..{self.window.last}"
            raise InvalidInput(field="--steps", value=value, wanted=wanted)


def judge_replay(plan: ReplayPlan, repeated: Repeated, hub: HubClient, terms: Terms) -> Verdict:
    """Compare metrics, steps and outs of a replay with the record."""
    detail = hub.get_run(repeated.run_id)
    recipe = hub.get_recipe(repeated.run_id) if repeated.report.recipe else None
    found = _differences(plan, recipe, hub) if recipe is not None else []
    if repeated.report.status is not RunStatus.FINISHED:
        # What ended early had no time to load the rest: that is no difference of inputs.
        found = [it for it in found if it.after is not None or it.group not in _LOADED]
    return msgspec.structs.replace(
        _judged(plan, repeated, detail, recipe, hub, terms),
        run_id=plan.run_id,
        replay_run_id=repeated.run_id,
        window=terms.window,
        spots=terms.spots,
        inputs_differ=tuple(f"{it.name}: {it.before or 'absent'} → {it.after or 'absent'}" for it in found),
        equal_inputs=recipe is not None and plan.recipe.observed is not None and are_equal(found),
        machine=_machine(recipe.observed.hardware) if recipe is not None and recipe.observed else "",
        substitutes=plan.substitutes,
        facts=_facts(plan, recipe),
    )


def _facts(plan: ReplayPlan, recipe: Recipe | None) -> dict[str, str]:
    facts = {"model": plan.model} if plan.model else {}
    if plan.offline:
        isolation = recipe.observed.isolation if recipe is not None and recipe.observed else "none"
        facts["offline"] = "no index was asked, " + (
            "and the command had no network"
            if isolation != "none"
            else "the command's network was not walled off"
        )
    return facts


def _judged(
    plan: ReplayPlan,
    repeated: Repeated,
    detail: RunDetail,
    recipe: Recipe | None,
    hub: HubClient,
    terms: Terms,
) -> Verdict:
    if terms.spots is not None:
        return _judged_spots(plan, repeated, detail, recipe, hub, terms.spots)
    seen, status = repeated.seen, repeated.report.status
    if status is not RunStatus.FINISHED and seen.stop is Stop.DIVERGED and seen.first is not None:
        first = seen.first
        where = f"{first.stream} at step {first.step} ({', '.join(first.names)})"
        return Verdict(
            level=VerdictLevel.DIVERGED,
            first_divergence=first,
            last_equal=seen.last_equal,
            steps_compared=seen.compared,
            reason=f"Differs first in {where}; it was ended there, so no metric tells how much it matters.",
        )
    if status is not RunStatus.FINISHED and seen.stop is not Stop.ALL_SEEN:
        reason = f"The replay itself failed: {repeated.report.reason}"
        return Verdict(level=VerdictLevel.UNRESOLVED, reason=reason + _not_kept(plan.recipe, recipe))
    steps = _compared(plan, detail, hub, terms.window)
    if terms.window is not None:
        verdict = judge({}, {}, steps=steps)
        only = f" Judged: steps {terms.window.first} to {terms.window.last}, and nothing else."
        return msgspec.structs.replace(verdict, reason=verdict.reason + only)
    known: Mapping[str, Limit | Noise] = {**learn(plan, hub), **terms.limits}
    return judge(
        {metric.key: metric.last for metric in plan.detail.metrics},
        {metric.key: metric.last for metric in detail.metrics},
        steps=steps,
        outs=_compare_outs(plan, detail, hub),
        known=known,
        files=_compare_files(plan.recipe, recipe),
    )


def _not_kept(recorded: Recipe, replayed: Recipe | None) -> str:
    """Say what the run read that nobody had declared, and the replay did not find: that may be why."""
    if recorded.observed is None:
        return ""
    found = {it.path for it in replayed.observed.reads} if replayed and replayed.observed else set()
    lost = [
        it.path for it in recorded.observed.reads if it.belongs != Belongs.COMMIT and it.path not in found
    ]
    if not lost:
        return ""
    return f". The run had read what nobody declared, so it was not kept: {shown(lost)} (--dep PATH keeps it)"


def _judged_spots(
    plan: ReplayPlan,
    repeated: Repeated,
    detail: RunDetail,
    recipe: Recipe | None,
    hub: HubClient,
    spots: SpotCheck,
) -> Verdict:
    made = Made(
        trajectory=_replayed(detail, hub),
        report=repeated.report,
        stop=repeated.seen.stop,
        failure=repeated.seen.failure,
        notes=recipe.observed.notes if recipe is not None and recipe.observed is not None else (),
    )
    return judge_spots(plan.run_id, plan.trajectory or Trajectory(), made, spots)


def _replayed(detail: RunDetail, hub: HubClient) -> Trajectory:
    data = hub.blobs.get_bytes(detail.run.trajectory) if detail.run.trajectory else None
    return decode_trajectory(data) if data else Trajectory()


def _compared(
    plan: ReplayPlan, detail: RunDetail, hub: HubClient, window: StepWindow | None
) -> Comparison | None:
    """Compare the steps; None if the run recorded none."""
    if plan.trajectory is None:
        return None
    replayed = _replayed(detail, hub)
    if window is None:
        return compare(plan.trajectory, replayed)
    return compare(within(plan.trajectory, window), within(replayed, window))


def _compare_outs(plan: ReplayPlan, replayed: RunDetail, hub: HubClient) -> dict[str, str]:
    theirs = {item.path: item for item in replayed.artifacts if item.kind == "out"}
    words: dict[str, str] = {}
    for item in plan.detail.artifacts:
        if item.kind != "out":
            continue
        other = theirs.get(item.path)
        if other is not None and other.manifest == item.manifest:
            words[item.path] = SAME_BYTES
        elif other is not None and predicts_the_same(plan, item, other, hub):
            words[item.path] = SAME_PREDICTIONS
        elif other is not None and same_but_times(
            ((plan.detail.run, item.manifest), (replayed.run, other.manifest)), hub.blobs
        ):
            words[item.path] = SAME_BUT_TIMES
        else:
            words[item.path] = DIFFERS
    return words


def _compare_files(recorded: Recipe, replayed: Recipe | None) -> dict[str, str]:
    """Compare what both left undeclared; nothing if either's files were not looked at."""
    one, other = _left(recorded), _left(replayed)
    if not one or not other:
        return {}
    return compare_files(_digests(one), _digests(other), (_texts(one), _texts(other)))


def _left(recipe: Recipe | None) -> tuple[WrittenFile, ...]:
    return recipe.observed.written if recipe is not None and recipe.observed is not None else ()


def _digests(files: tuple[WrittenFile, ...]) -> dict[str, str]:
    return {file.path: file.digest for file in files}


def _texts(files: tuple[WrittenFile, ...]) -> dict[str, str]:
    return {file.path: file.timeless for file in files if file.timeless}


def _differences(plan: ReplayPlan, now: Recipe, hub: HubClient) -> list[Difference]:
    """Name what was observed otherwise than in the record: the first suspects if the result differs."""
    if plan.recipe.observed is None:
        return []
    # Without a lock both sides are what was seen installed.
    lock = fetch_lock(plan.instead, hub.blobs) if plan.instead and plan.lock else plan.lock
    found = differences(facts_of(plan.recipe, plan.lock), facts_of(now, lock))
    if plan.recipe.observed.interpreter is None and not plan.recipe.declared.environment:
        # No Python ran, so nobody saw what was installed: the packages of the replay's are no difference.
        found = [it for it in found if it.before is not None or it.group not in _INSTALLED]
    return found


def _machine(hardware: Hardware) -> str:
    gpus = "".join(f", {gpu.get('name', 'GPU')}" for gpu in hardware.gpus)
    return f"{hardware.cpu_model}, {hardware.cores_allowed} cores{gpus}, {hardware.os}"
