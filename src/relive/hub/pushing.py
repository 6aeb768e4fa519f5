"""The hub's side of the git hook: a push becomes pipelines, and their progress goes back as lines."""

import asyncio
from collections.abc import AsyncIterator

from relive.core.job import Job
from relive.hub.git.hooks import Push as HookPush
from relive.services.context import Services
from relive.services.pushes import Push, record_push
from relive.services.watching import Watch

NO_WAIT = "nowait"
_LOOK_EVERY_S = 0.2


class PushHandler:
    """Answers the hook of one push after another."""

    def __init__(self, services: Services) -> None:
        self._services = services

    async def __call__(self, push: HookPush) -> AsyncIterator[str]:
        """Take a push and give lines until its pipelines end; with `-o nowait` at once."""
        jobs = await asyncio.to_thread(self._record, push)
        if not jobs:
            yield "nothing to run"
            return
        if NO_WAIT in push.options:
            for job in jobs:
                yield f"pipeline {job.id[:8]} queued; follow it with: relive pipeline watch {job.id}"
            return
        yield "Ctrl-C detaches, the pipeline goes on"
        watches = [Watch(self._services, job.id) for job in jobs]
        while watches:
            for watch in watches:
                for line in await asyncio.to_thread(lambda watch=watch: list(watch.look())):  # type: ignore[misc]
                    yield line
            watches = [watch for watch in watches if not watch.is_over]
            if watches:
                await asyncio.sleep(_LOOK_EVERY_S)

    def _record(self, push: HookPush) -> list[Job]:
        project = self._services.store.get_project(push.project)
        moved = [Push(ref=update.ref, old=update.old, new=update.new) for update in push.updates]
        return record_push(self._services, project, moved, actor=push.actor)
