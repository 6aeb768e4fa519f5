"""The queue of jobs: leases with fencing, and named locks, one code path on both databases.

Every change of a job is one statement that names the state and the fence it expects, so a worker whose claim
is over changes nothing, whatever its clock says. How often a job is worked on is at least once; how often its
end is recorded is exactly once.
"""

import math
from collections.abc import Sequence
from typing import Any, Final

from sqlalchemy import ColumnElement, Select, and_, case, delete, or_, select, update

from relive.core.job import Job, JobKind, JobState, Pool
from relive.errors import Conflict, InvalidInput, NotFound, Superseded
from relive.stores.sql.part import StorePart
from relive.stores.sql.rows import Kept
from relive.stores.sql.tables.work import jobs, locks, pools

_JOBS: Final = Kept(Job, jobs, "job")
_POOLS: Final = Kept(Pool, pools, "pool")
_J: Final = jobs.c
_IS_RUNNING: Final = _J.state == JobState.RUNNING

# A lease ends at most its own length from now; further off than that, the clock was set back.
_CLOCK_SLACK_S: Final = 1.0
_SILENT: Final = "it was silent for longer than its lease"


class SqlQueue(StorePart):
    """See `ports.stores.JobQueue`."""

    def put(self, job: Job, *, unique: str | None = None) -> Job | None:
        fresh = {
            "state": JobState.QUEUED,
            "attempt": 0,
            "fence": 0,
            "lease_owner": "",
            "lease_until": 0.0,
            "lease_s": 0.0,
            "cancel_requested": False,
            "created_at": job.created_at or self._db.moment(),
            "unique_key": unique,
        }
        with self._db.write() as connection:
            return _JOBS.insert_unless(connection, self._db.insert(jobs), ["unique_key"], job, **fresh)

    def claim(
        self, owner: str, *, pools: Sequence[str], kinds: Sequence[JobKind], lease_s: float
    ) -> Job | None:
        now = self._db.moment()
        ready = (
            select(_J.seq)
            .where(_J.claimable_at <= now, _J.pool.in_(pools), _J.kind.in_(kinds))
            .order_by(_J.priority.desc(), _J.seq)
            .limit(1)
            # Another hub is claiming it: take the next one instead of waiting.
            .with_for_update(key_share=True, skip_locked=True)
        )
        claimed = update(jobs).where(_J.seq == ready.scalar_subquery())
        claimed = claimed.values(
            state=JobState.RUNNING,
            lease_owner=owner,
            attempt=_J.attempt + 1,
            fence=_J.fence + 1,
            handle={},
            started_at=now,
            **_lease(now, lease_s),
        )
        with self._db.write() as connection:
            row = connection.execute(claimed.returning(*_JOBS.columns)).one_or_none()
        return None if row is None else _JOBS.read(row)

    def renew(self, job_id: str, fence: int, *, lease_s: float) -> Job:
        return self._change(job_id, fence, _lease(self._db.moment(), lease_s))

    def finish(
        self, job_id: str, fence: int, state: JobState, *, result: dict[str, Any], error: str = ""
    ) -> Job:
        if not JobState(state).is_final:
            raise InvalidInput(field="state", value=state, wanted="a state that a job ends in")
        end = {"state": state, "result": result, "error": error, "ended_at": self._db.moment()}
        return self._change(job_id, fence, end)

    def release(self, job_id: str, fence: int, *, delay_s: float = 0.0, error: str = "") -> Job:
        now = self._db.moment()
        cancelled = _J.cancel_requested
        back = {
            "state": case((cancelled, JobState.CANCELLED.value), else_=JobState.QUEUED.value),
            "ended_at": case((cancelled, now), else_=None),
            "run_after": now + max(0.0, delay_s),
            "lease_owner": "",
            "handle": {},
            "error": error,
        }
        return self._change(job_id, fence, back)

    def set_handle(self, job_id: str, fence: int, handle: dict[str, Any]) -> None:
        self._change(job_id, fence, {"handle": handle})

    def request_cancel(self, job_id: str) -> Job:
        is_queued = _J.state == JobState.QUEUED
        asked = update(jobs).where(_J.id == job_id, or_(is_queued, _IS_RUNNING))
        asked = asked.values(
            cancel_requested=True,
            state=case((is_queued, JobState.CANCELLED.value), else_=_J.state),
            ended_at=case((is_queued, self._db.moment()), else_=_J.ended_at),
        )
        with self._db.write() as connection:
            row = connection.execute(asked.returning(*_JOBS.columns)).one_or_none()
            return _JOBS.get(connection, job_id) if row is None else _JOBS.read(row)

    def lose_expired(self) -> list[Job]:
        now = self._db.moment()
        is_late = and_(
            _IS_RUNNING, _J.lease_until <= now, or_(_J.attempt >= _J.max_attempts, _J.cancel_requested)
        )
        is_beyond = and_(_IS_RUNNING, _J.lease_until > now + _J.lease_s + _CLOCK_SLACK_S)
        with self._db.read() as connection:
            # Nearly always there is nothing to do, and a look locks nothing.
            if connection.execute(select(_J.seq).where(or_(is_late, is_beyond)).limit(1)).first() is None:
                return []
        state = case((_J.cancel_requested, JobState.CANCELLED.value), else_=JobState.LOST.value)
        lost = update(jobs).where(_J.seq.in_(_unlocked(is_late)))
        lost = lost.values(state=state, ended_at=now, error=_SILENT).returning(*_JOBS.columns)
        shortened = update(jobs).where(_J.seq.in_(_unlocked(is_beyond))).values(lease_until=now + _J.lease_s)
        with self._db.write() as connection:
            connection.execute(shortened)
            return [_JOBS.read(row) for row in connection.execute(lost)]

    def get_job(self, job_id: str) -> Job:
        with self._db.read() as connection:
            return _JOBS.get(connection, job_id)

    def list_jobs(
        self,
        *,
        states: Sequence[JobState] = (),
        kinds: Sequence[JobKind] = (),
        pool: str | None = None,
        subject: str | None = None,
        limit: int = 1000,
    ) -> list[Job]:
        query = _JOBS.select().order_by(_J.seq.desc()).limit(limit)
        if states:
            query = query.where(_J.state.in_(states))
        if kinds:
            query = query.where(_J.kind.in_(kinds))
        if pool is not None:
            query = query.where(_J.pool == pool)
        if subject is not None:
            query = query.where(_J.subject == subject)
        with self._db.read() as connection:
            return _JOBS.all(connection, query)

    def now(self) -> float:
        return self._db.now()

    def hold_lock(self, name: str, owner: str, *, lease_s: float) -> bool:
        now, lock = self._db.moment(), locks.c
        mine = {"owner": owner, **_lease(now, lease_s)}
        is_free = or_(lock.owner == owner, lock.lease_until <= now)
        is_beyond = lock.lease_until > now + lock.lease_s + _CLOCK_SLACK_S
        taken = {
            "owner": case((is_free, owner), else_=lock.owner),
            "lease_until": case(
                (is_free, mine["lease_until"]), (is_beyond, now + lock.lease_s), else_=lock.lease_until
            ),
            "lease_s": case((is_free, lease_s), else_=lock.lease_s),
        }
        upsert = self._db.insert(locks).values(name=name, **mine)
        upsert = upsert.on_conflict_do_update(index_elements=["name"], set_=taken)
        with self._db.write() as connection:
            holder = connection.execute(upsert.returning(lock.owner)).scalar_one()
        return bool(holder == owner)

    def free_lock(self, name: str, owner: str) -> None:
        freed = delete(locks).where(locks.c.name == name, locks.c.owner == owner)
        with self._db.write() as connection:
            connection.execute(freed)

    def create_pool(self, pool: Pool) -> Pool:
        """Create a pool, or raise `Conflict` if the name is taken."""
        with self._db.write() as connection:
            created = _POOLS.insert_unless(connection, self._db.insert(pools), ["name"], pool)
        if created is None:
            raise Conflict(subject=f"pool {pool.name!r}", reason="the name is taken")
        return created

    def get_pool(self, name: str) -> Pool:
        with self._db.read() as connection:
            pool = _POOLS.find(connection, pools.c.name == name)
        if pool is None:
            raise NotFound(kind="pool", name=name, hint="relive pool list")
        return pool

    def list_pools(self) -> list[Pool]:
        with self._db.read() as connection:
            return _POOLS.all(connection, _POOLS.select().order_by(pools.c.name))

    def delete_pool(self, name: str) -> bool:
        with self._db.write() as connection:
            return connection.execute(delete(pools).where(pools.c.name == name)).rowcount == 1

    def _change(self, job_id: str, fence: int, changes: dict[str, Any]) -> Job:
        """Change a job that still runs under this claim."""
        held = update(jobs).where(_J.id == job_id, _J.fence == fence, _IS_RUNNING).values(changes)
        with self._db.write() as connection:
            row = connection.execute(held.returning(*_JOBS.columns)).one_or_none()
            if row is None:
                raise _superseded(_JOBS.get(connection, job_id), fence)
        return _JOBS.read(row)


def _lease(now: ColumnElement[float], lease_s: float) -> dict[str, Any]:
    if not (math.isfinite(lease_s) and lease_s > 0):
        raise InvalidInput(field="lease_s", value=lease_s, wanted="seconds, more than 0")
    return {"lease_until": now + lease_s, "lease_s": lease_s}


def _unlocked(condition: ColumnElement[bool]) -> Select[Any]:
    """Find jobs that fit and that nobody is changing now; who is, will leave them right or come back."""
    return select(_J.seq).where(condition).with_for_update(key_share=True, skip_locked=True)


def _superseded(job: Job, fence: int) -> Superseded:
    if job.fence != fence:
        reason = f"this worker has fence {fence}, the job has {job.fence}"
    else:
        reason = f"it is {job.state.value}, not running"
    return Superseded(subject=f"job {job.id}", reason=reason)
