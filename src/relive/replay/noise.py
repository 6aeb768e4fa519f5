"""What a run's metrics did when it was repeated with equal inputs: the measure for a replay that differs."""

from collections.abc import Iterable, Iterator
from typing import Final

from relive.client.hub import HubClient
from relive.core.facts import Difference, FactGroup, differences, facts_of
from relive.core.run import RunKind
from relive.core.tolerance import Noise, learn_noise
from relive.core.trajectory import Verdict
from relive.errors import HubRefused, NotFound
from relive.replay.plan import ReplayPlan
from relive.wire.hub import RunDetail

_MOST_REPEATS: Final = 20


def are_equal(found: Iterable[Difference]) -> bool:
    """Tell whether nothing differs that can change a result.

    Environment variables that are no switch of a numeric library say where a run ran, not what it computed. A
    library that only one of them loaded is the shell's, which starts a replay's command; of what computes,
    the packages are compared.
    """
    return not any(map(_matters, found))


def _matters(it: Difference) -> bool:
    if it.group is FactGroup.LIBRARIES:
        return it.before is not None and it.after is not None
    return it.group is not FactGroup.VARIABLES


def learn(plan: ReplayPlan, hub: HubClient) -> dict[str, Noise]:
    """Learn the noise of each metric of a run, from its earlier replays and its repeats.

    Args:
        plan: The run.
        hub: Where others with the same recipe are recorded.
    """
    values = {metric.key: [metric.last] for metric in plan.detail.metrics}
    for key, value in (*_replayed(plan.detail.verdicts), *_repeated(plan, hub)):
        if key in values:
            values[key].append(value)
    return {key: noise for key, found in values.items() if (noise := learn_noise(found)) is not None}


def _replayed(verdicts: Iterable[Verdict]) -> Iterator[tuple[str, float]]:
    for verdict in verdicts:
        if not verdict.equal_inputs:
            continue
        for metric in verdict.metrics:
            if metric.replayed is not None:
                yield metric.key, metric.replayed


def _repeated(plan: ReplayPlan, hub: HubClient) -> Iterator[tuple[str, float]]:
    """Give what runs showed that nobody called a replay, and whose inputs were the same all the same."""
    run = plan.detail.run
    if not run.recipe_digest:
        return
    filter_ = f"recipe = '{run.recipe_digest}' AND status = 'finished' AND kind != '{RunKind.REPLAY.value}'"
    for other in hub.list_runs(project=plan.detail.project, filter=filter_, limit=_MOST_REPEATS):
        if other.id == run.id or not other.recipe:
            continue
        try:
            detail, recipe = hub.get_run(other.id), hub.get_recipe(other.id)
        except (HubRefused, NotFound):
            continue  # deleted meanwhile, or its recipe is: it tells nothing
        if are_equal(differences(facts_of(plan.recipe, plan.lock), facts_of(recipe, plan.lock))):
            yield from _metrics(detail)


def _metrics(detail: RunDetail) -> Iterator[tuple[str, float]]:
    return ((metric.key, metric.last) for metric in detail.metrics)
