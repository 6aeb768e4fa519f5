"""What services ask of the store about work: pipelines and their stages, and the queue of jobs.

The promises of `ports.stores` hold here too.
"""

from collections.abc import Sequence
from typing import Any, Protocol

from relive.core.job import Job, JobKind, JobState, Pool
from relive.core.pipeline import Pipeline, Stage


class PipelineStore(Protocol):
    """Pipelines, stages, the stage cache and known environments."""

    def take_pipeline_number(self, project_id: str) -> int:
        """Give a project's next number for a pipeline, never to be given again."""
        ...

    def create_pipeline(self, pipeline: Pipeline) -> Pipeline:
        """Create it with the number that was taken for it, or with its project's next if that is 0."""
        ...

    def get_pipeline(self, pipeline_id: str) -> Pipeline: ...
    def find_pipeline(self, project_id: str, number: int) -> Pipeline | None: ...
    def list_pipelines(
        self,
        *,
        project_id: str | None = None,
        active: bool | None = None,
        commit: str | None = None,
        limit: int = 50,
        offset: int = 0,
    ) -> list[Pipeline]: ...
    def list_later_pipelines(
        self, project_id: str, ref: str, *, number: int, below: int | None = None, limit: int = 100
    ) -> list[Pipeline]:
        """List those of one ref that have a greater number, the greatest first; a page of them."""
        ...

    def set_pipeline(self, pipeline_id: str, **changes: Any) -> Pipeline: ...
    def create_stages(self, stages: Sequence[Stage]) -> None: ...
    def get_stage(self, stage_id: str) -> Stage: ...
    def list_stages(self, pipeline_id: str) -> list[Stage]: ...
    def set_stage(self, stage_id: str, *, expect: str | None = None, **changes: Any) -> Stage | None:
        """Change attributes if the status is `expect` (any if None); None if it was not."""
        ...

    def find_cached(self, project_id: str, cache_key: str, *, scopes: Sequence[str]) -> str | None:
        """Give the run that made this key in the first of these scopes of trust that has one."""
        ...

    def record_cached(self, project_id: str, cache_key: str, run_id: str, *, scope: str) -> None: ...
    def find_environment(self, key: str) -> str | None:
        """Give the digest of the EnvironmentLock resolved for this key (lock bytes, python, platform)."""
        ...

    def record_environment(self, key: str, lock_digest: str) -> None: ...


class JobQueue(Protocol):
    """The queue of jobs: leases with fencing, one code path on both databases."""

    def put(self, job: Job, *, unique: str | None = None) -> Job | None:
        """Queue a job; None if an unfinished or finished job with the same `unique` key exists.

        It is queued fresh, whatever its state, attempt, fence and lease say.
        """
        ...

    def claim(
        self, owner: str, *, pools: Sequence[str], kinds: Sequence[JobKind], lease_s: float
    ) -> Job | None:
        """Take the next ready job: queued and due, or running with an expired lease and attempts left.

        Of the ready ones that of the highest priority, of those the first that was put.
        """
        ...

    def renew(self, job_id: str, fence: int, *, lease_s: float) -> Job:
        """Hold the lease longer and give the job (for `cancel_requested`); raises `Superseded`."""
        ...

    def finish(
        self, job_id: str, fence: int, state: JobState, *, result: dict[str, Any], error: str = ""
    ) -> Job:
        """End the job; raises `Superseded` for an old fence or a final job."""
        ...

    def release(self, job_id: str, fence: int, *, delay_s: float = 0.0, error: str = "") -> Job:
        """Give it back to be claimed again later, however many attempts it had; raises `Superseded`.

        If its end was asked for, it is cancelled instead.
        """
        ...

    def set_handle(self, job_id: str, fence: int, handle: dict[str, Any]) -> None: ...
    def request_cancel(self, job_id: str) -> Job:
        """Cancel a queued job at once, ask a running one to end."""
        ...

    def lose_expired(self) -> list[Job]:
        """Mark running jobs LOST whose lease has expired and which have no attempts left; give them.

        Those whose end was asked for become CANCELLED. Leases that a clock set back has made longer than they
        were taken for are shortened, so it is called with every tick.
        """
        ...

    def get_job(self, job_id: str) -> Job: ...
    def list_jobs(
        self,
        *,
        states: Sequence[JobState] = (),
        kinds: Sequence[JobKind] = (),
        pool: str | None = None,
        subject: str | None = None,
        limit: int = 1000,
    ) -> list[Job]: ...
    def now(self) -> float:
        """Give the time by the clock that leases are measured with."""
        ...

    def hold_lock(self, name: str, owner: str, *, lease_s: float) -> bool:
        """Take or keep a named lock with a lease (one scheduler among several hubs); tell whether held."""
        ...

    def free_lock(self, name: str, owner: str) -> None: ...
    def create_pool(self, pool: Pool) -> Pool: ...
    def get_pool(self, name: str) -> Pool: ...
    def list_pools(self) -> list[Pool]: ...
    def delete_pool(self, name: str) -> bool: ...
