"""What happened, what runs, what is broken, what waits."""

import msgspec

from relive.core.pipeline import Pipeline
from relive.core.project import Project
from relive.hub.web.views.events import EventLine, event_line
from relive.hub.web.views.pipelines import seen_of
from relive.hub.web.views.projects import ProjectLine, list_projects
from relive.hub.web.views.runs import RunLine, run_lines
from relive.hub.web.views.stages import PipelineLine, pipeline_line
from relive.hub.web.words import count
from relive.services.activity import feed, standing
from relive.services.context import Services

_PROJECTS = 12


class HomePage(msgspec.Struct, frozen=True, kw_only=True):
    """The activity page.

    Attributes:
        seen: Changes with everything the page shows; a reader who has it needs nothing new.
        waiting: Sentences about jobs that wait for a slot.
        git_url: Where a first project would be pushed to.
    """

    seen: str
    active: tuple[PipelineLine, ...]
    runs: tuple[RunLine, ...]
    broken: tuple[PipelineLine, ...]
    waiting: tuple[str, ...]
    events: tuple[EventLine, ...]
    projects: tuple[ProjectLine, ...]
    hub_url: str

    @property
    def is_empty(self) -> bool:
        """Tell whether nothing was ever done here."""
        return not self.projects

    @property
    def is_busy(self) -> bool:
        """Tell whether anything goes on."""
        return bool(self.active or self.runs or self.waiting)


def get_home(services: Services) -> HomePage:
    """Give the activity page."""
    now = standing(services)
    names: dict[str, Project] = {project.id: project for project in services.store.list_projects()}

    def lines(pipelines: tuple[Pipeline, ...]) -> tuple[PipelineLine, ...]:
        return tuple(
            pipeline_line(services, pipeline, names[pipeline.project_id])
            for pipeline in pipelines
            if pipeline.project_id in names
        )

    events = tuple(event_line(event) for event in feed(services))
    active = lines(now.active[:8])
    pools: dict[str, int] = {}
    for job in now.queued:
        pools[job.pool] = pools.get(job.pool, 0) + 1
    return HomePage(
        seen=_seen(events, active, len(now.runs), len(now.queued)),
        active=active,
        runs=run_lines(services, now.runs[:8]),
        broken=lines(now.broken[:8]),
        waiting=tuple(
            f"{count(n, 'job')} {'waits' if n == 1 else 'wait'} for a slot of pool {pool}"
            for pool, n in pools.items()
        ),
        events=events,
        projects=list_projects(services, limit=_PROJECTS),
        hub_url=services.place.public_url,
    )


def _seen(events: tuple[EventLine, ...], active: tuple[PipelineLine, ...], runs: int, queued: int) -> str:
    strips = [f"{mark.glyph}{key}" for line in active for mark, key in line.strip]
    return seen_of([events[0].id if events else 0, runs, queued], strips)
