"""The segments of `relive replay --spot-check`: drawn and said before it starts."""

from relive.cli.output import out, plural
from relive.client.hub import HubClient
from relive.core.trajectory import SpotCheck
from relive.replay.plan import ReplayPlan
from relive.replay.report import Terms
from relive.replay.spots import draw_spots


def with_spots(terms: Terms, plan: ReplayPlan, hub: HubClient, count: int | None, seed: int | None) -> Terms:
    """Draw segments, so many as were asked for; without any, the terms stay as they are.

    Raises:
        CannotReplay: The run has no checkpoints.
    """
    return Terms(spots=draw_spots(plan, hub, count, seed)) if count is not None else terms


def announce_spots(spots: SpotCheck | None) -> None:
    """Say which segments were drawn, and how to draw them again."""
    if spots is None:
        return
    count = f"{len(spots.drawn)} of {plural(spots.segments, 'segment')}"
    out.print(f"  making {count}: {spots.steps}; the rest is left out (the same again: --seed {spots.seed})")
