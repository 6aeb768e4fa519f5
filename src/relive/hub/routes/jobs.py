"""What job processes ask and tell; see `wire.jobs`."""

import asyncio
from typing import Any, TypeVar

import msgspec
from litestar import Response, get, post
from litestar.params import FromPath, FromQuery
from litestar.status_codes import HTTP_200_OK

from relive.core.access import Caller, Scope
from relive.core.job import Job
from relive.errors import AccessDenied, Superseded
from relive.hub.http import (
    LONGEST_PAGE,
    MSGPACK,
    OPEN,
    HubRequest,
    known_caller,
    read_message,
    reader_of,
    services_of,
)
from relive.services import accounts, jobs
from relive.wire.jobs import (
    Heartbeat,
    LogChunk,
    PlacedTrial,
    Progress,
    Records,
    RedeemTicket,
    Report,
    RunnerToken,
)

Said = TypeVar("Said", bound=Heartbeat | Progress | LogChunk | Records | PlacedTrial | Report)


def _reply(message: Any) -> Response[bytes]:
    return Response(msgspec.msgpack.encode(message), media_type=MSGPACK, status_code=HTTP_200_OK)


def _own_job(request: HubRequest, job_id: str) -> Caller:
    """Give the caller if it is the runner of this very job."""
    caller = known_caller(request)
    if caller.scope is not Scope.RUNNER or caller.job_id != job_id:
        raise AccessDenied(
            action=f"act for job {job_id[:8]}", who=caller.name, needs="the token of this job's runner"
        )
    return caller


async def _said(request: HubRequest, job_id: str, kind: type[Said]) -> Said:
    """Read what a job's runner says, for the claim that its token is of and for no other."""
    caller = _own_job(request, job_id)
    message = await read_message(request, kind)
    if message.fence != caller.fence:
        reason = f"it speaks for fence {message.fence}, its token is of fence {caller.fence}"
        raise Superseded(subject=caller.name, reason=reason)
    return message


@post("/jobs/{job_id:str}/token", include_in_schema=False, opt=OPEN)
async def redeem_ticket(request: HubRequest, job_id: FromPath[str]) -> Response[bytes]:
    """Exchange a job's ticket for its runner's token; needs none before."""
    asked = await read_message(request, RedeemTicket)
    redeem = accounts.redeem_ticket
    token = await asyncio.to_thread(redeem, services_of(request), job_id, asked.ticket, asked.secret)
    return _reply(RunnerToken(token=token))


@get("/jobs/{job_id:str}/spec", include_in_schema=False)
async def get_spec(request: HubRequest, job_id: FromPath[str]) -> Response[bytes]:
    """Give a job its work."""
    caller = _own_job(request, job_id)
    return _reply(await asyncio.to_thread(jobs.work_of, services_of(request), job_id, caller.fence))


@post("/jobs/{job_id:str}/heartbeat", include_in_schema=False)
async def heartbeat(request: HubRequest, job_id: FromPath[str]) -> Response[bytes]:
    """Renew a job's lease."""
    message = await _said(request, job_id, Heartbeat)
    return _reply(await asyncio.to_thread(jobs.renew, services_of(request), job_id, message.fence))


@post("/jobs/{job_id:str}/progress", include_in_schema=False)
async def progress(request: HubRequest, job_id: FromPath[str]) -> Response[bytes]:
    """Note a phase."""
    message = await _said(request, job_id, Progress)
    return _reply(await asyncio.to_thread(jobs.progress, services_of(request), job_id, message))


@post("/jobs/{job_id:str}/log", include_in_schema=False)
async def append_log(request: HubRequest, job_id: FromPath[str]) -> Response[bytes]:
    """Append output."""
    chunk = await _said(request, job_id, LogChunk)
    return _reply(await asyncio.to_thread(jobs.append_log, services_of(request), job_id, chunk))


@post("/jobs/{job_id:str}/records", include_in_schema=False)
async def record(request: HubRequest, job_id: FromPath[str]) -> Response[bytes]:
    """Keep metrics, params and tags."""
    records = await _said(request, job_id, Records)
    return _reply(await asyncio.to_thread(jobs.record, services_of(request), job_id, records))


@post("/jobs/{job_id:str}/trials", include_in_schema=False)
async def place_trial(request: HubRequest, job_id: FromPath[str]) -> Response[bytes]:
    """Have a run tried that a search for causes asks for."""
    message = await _said(request, job_id, PlacedTrial)
    return _reply(await asyncio.to_thread(jobs.place_trial, services_of(request), job_id, message))


@post("/jobs/{job_id:str}/finish", include_in_schema=False)
async def finish(request: HubRequest, job_id: FromPath[str]) -> Response[bytes]:
    """Take the report."""
    report: Report = await _said(request, job_id, Report)  # type: ignore[arg-type]  # a union of structs
    return _reply(await asyncio.to_thread(jobs.finish, services_of(request), job_id, report))


@get("/jobs", sync_to_thread=True)
def list_jobs(request: HubRequest, limit: FromQuery[int] = 100) -> list[Job]:
    """List jobs, newest first."""
    reader_of(request)
    return services_of(request).store.list_jobs(limit=max(0, min(limit, LONGEST_PAGE)))


ROUTES = [redeem_ticket, get_spec, heartbeat, progress, append_log, record, place_trial, finish, list_jobs]
