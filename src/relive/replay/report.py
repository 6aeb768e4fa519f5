"""Judge a replay against the run it repeats, and say what else was different."""

from collections.abc import Iterator

import msgspec

from relive.client.hub import HubClient
from relive.core.compare import SAME_BYTES, SAME_PREDICTIONS, compare, judge
from relive.core.facts import differences, facts_of
from relive.core.run import Artifact, RunStatus
from relive.core.trajectory import Verdict, VerdictLevel
from relive.formats.trajectory import decode_trajectory
from relive.replay.execute import Repeated
from relive.replay.plan import ReplayPlan
from relive.replay.predictions import predicts_the_same


def judge_replay(plan: ReplayPlan, repeated: Repeated, hub: HubClient) -> Verdict:
    """Compare metrics, steps and outs of a replay with the record, and keep the verdict on the hub."""
    if repeated.report.status is not RunStatus.FINISHED:
        verdict = Verdict(
            level=VerdictLevel.UNRESOLVED, reason=f"The replay itself failed: {repeated.report.reason}"
        )
    else:
        verdict = _judged(plan, repeated, hub)
    verdict = msgspec.structs.replace(
        verdict,
        run_id=plan.run_id,
        replay_run_id=repeated.run_id,
        inputs_differ=tuple(_differences(plan, repeated, hub)),
        facts={"model": plan.model} if plan.model else {},
    )
    return hub.record_verdict(verdict)


def _judged(plan: ReplayPlan, repeated: Repeated, hub: HubClient) -> Verdict:
    detail = hub.get_run(repeated.run_id)
    steps = None
    if plan.trajectory is not None:
        data = hub.blobs.get_bytes(detail.run.trajectory) if detail.run.trajectory else None
        replayed = decode_trajectory(data) if data else type(plan.trajectory)()
        steps = compare(plan.trajectory, replayed)
    return judge(
        {metric.key: metric.last for metric in plan.detail.metrics},
        {metric.key: metric.last for metric in detail.metrics},
        steps=steps,
        outs=_compare_outs(plan, detail.artifacts, hub),
    )


def _compare_outs(plan: ReplayPlan, replayed: tuple[Artifact, ...], hub: HubClient) -> dict[str, str]:
    theirs = {item.path: item for item in replayed if item.kind == "out"}
    words: dict[str, str] = {}
    for item in plan.detail.artifacts:
        if item.kind != "out":
            continue
        other = theirs.get(item.path)
        if other is not None and other.manifest == item.manifest:
            words[item.path] = SAME_BYTES
        elif other is not None and predicts_the_same(plan, item, other, hub):
            words[item.path] = SAME_PREDICTIONS
        else:
            words[item.path] = "differs"
    return words


def _differences(plan: ReplayPlan, repeated: Repeated, hub: HubClient) -> Iterator[str]:
    """Name what was observed otherwise than in the record: the first suspects if the result differs."""
    if not repeated.report.recipe or plan.recipe.observed is None:
        return
    now = hub.get_recipe(repeated.run_id)
    for it in differences(facts_of(plan.recipe, plan.lock), facts_of(now, plan.lock)):
        yield f"{it.name}: {it.before or 'absent'} → {it.after or 'absent'}"
