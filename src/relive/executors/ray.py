"""Places jobs on a Ray cluster through its Jobs API; Ray itself is never imported.

A job carries relive's runner with it and reaches the hub at its public address; see `docs/design/ray.md`. Ray
retries nothing here: a job whose node died has failed, the hub notices that it ended without a report, and
starts the work again as it does with every lost worker.
"""

import shlex
import sys
import threading
import time
from importlib.metadata import PackageNotFoundError
from pathlib import Path
from typing import Any, Final

import msgspec

from relive.core.ids import check_name
from relive.core.pipeline import Resources
from relive.errors import LaunchFailed, PoolUnfit, PoolUnreachable
from relive.executors.ray_bundle import START, Bundle
from relive.executors.ray_dashboard import Dashboard, said
from relive.ports.executors import Launch, ProcessState

_STATES: Final = {"PENDING": "waiting", "RUNNING": "alive"}
# How long Ray lets a job end by itself. The runner gives its command ten seconds.
_STOP_S: Final = 12
_STOP_LOOK_S: Final = 0.2
_LONGEST_DETAIL: Final = 500
_OF_RAY: Final = ("Running entrypoint for job relive-", " -- Runtime env is setting up.")


class _Details(msgspec.Struct):
    status: str
    message: str | None = None
    driver_exit_code: int | None = None


class _Logs(msgspec.Struct):
    logs: str = ""


class RayExecutor:
    """Places jobs on one Ray cluster; see `ports.executors.Executor`.

    Args:
        data_dir: The hub's data folder; what every job brings along is kept in `ray/` below it.
        address: The dashboard's address, http://HOST:8265.
        token_file: File of the hub's machine with the token of a cluster that asks for one; empty for none.
        python: The interpreter on the cluster's machines.

    Raises:
        InvalidInput: The address is not one of HTTP.
    """

    def __init__(self, data_dir: Path, address: str, token_file: str = "", python: str = "python3") -> None:
        self._dashboard = Dashboard(address, token_file)
        self._bundle = Bundle(data_dir / "ray", sys.version_info[:2])
        self._python = python
        self._uploading = threading.Lock()

    def check(self) -> None:
        """Do nothing if the cluster answers and fits the hub, else raise what is wrong.

        Raises:
            PoolUnreachable: It does not answer, or it is no cluster of Ray.
            PoolUnfit: Its Ray or its Python does not fit, or a part of what jobs bring along is missing.
        """
        self._dashboard.check()
        try:
            self._bundle.prepare()
        except PackageNotFoundError as error:
            raise PoolUnfit(
                pool=self._dashboard.address,
                reason=f"the package {error.name}, which they bring along, is not installed beside the hub",
                hint="pip install 'relive[hub]'",
            ) from error

    def launch(self, request: Launch) -> dict[str, Any]:
        """Submit a job; of two launches of one claim the second finds the first.

        Raises:
            LaunchFailed: The cluster refused it.
            PoolUnreachable: The cluster does not answer.
        """
        name = _name(request.job_id, request.fence)
        order = {
            "hub": request.hub_url,
            "job": request.job_id,
            "fence": request.fence,
            "token": request.token,
        }
        status, data = self._dashboard.post(
            "/api/jobs/",
            {
                # exec, so that a signal reaches the process and its exit code comes back.
                "entrypoint": shlex.join(["exec", self._python, "-u", START, request.module]),
                "submission_id": name,
                "runtime_env": {
                    "working_dir": f"gcs://{self._upload(request)}",
                    "env_vars": {
                        "RELIVE_ORDER": msgspec.json.encode(order).decode(),
                        "RAY_JOB_STOP_WAIT_TIME_S": str(_STOP_S),
                    },
                },
                "metadata": {"relive": request.name},
                **_resources(request.resources),
            },
        )
        if status >= 300 and self._find(name) is None:
            raise LaunchFailed(job=request.job_id, executor="ray", reason=said(data))
        return {"job_id": request.job_id, "fence": request.fence, "submission": name}

    def poll(self, handle: dict[str, Any]) -> ProcessState:
        """Ask the cluster what became of a job; "unknown" while it does not answer."""
        try:
            details = self._find(_submission(handle))
        except PoolUnreachable as error:
            return ProcessState(state="unknown", detail=error.what())
        if details is None:
            return ProcessState(state="gone", detail="the cluster does not know it")
        state, message = _STATES.get(details.status, "ended"), (details.message or "").strip()
        if state == "ended":
            return ProcessState(state=state, exit_code=details.driver_exit_code, detail=_why(details))
        return ProcessState(state=state, detail=message.partition("\n")[0][:_LONGEST_DETAIL])

    def stop(self, handle: dict[str, Any], *, grace_s: float = 10.0) -> None:
        """Ask the cluster to end a job, and wait until it has.

        Ray sends SIGTERM, and SIGKILL twelve seconds later, whatever the grace. A job that waits for room is
        ended as soon as it gets some, which may be later than anyone waits for here.

        Raises:
            PoolUnreachable: The cluster does not answer.
        """
        self._dashboard.post(f"/api/jobs/{_submission(handle)}/stop", {})
        give_up_at = time.monotonic() + max(grace_s, _STOP_S) + _STOP_S
        while self.poll(handle).state in ("waiting", "alive") and time.monotonic() < give_up_at:
            time.sleep(_STOP_LOOK_S)

    def output(self, handle: dict[str, Any], *, limit_bytes: int = 65536) -> str:
        """Give the end of what the job's process printed; empty while its machine cannot be asked."""
        status, data = self._dashboard.call("GET", f"/api/jobs/{_submission(handle)}/logs")
        if status != 200:
            return ""
        lines = msgspec.json.decode(data, type=_Logs).logs.splitlines(keepends=True)
        # Ray writes into the same file, and not always before the process does.
        printed = "".join(line for line in lines if not any(mark in line for mark in _OF_RAY)).encode()
        return printed[-limit_bytes:].decode(errors="replace")

    def close(self) -> None:
        """Nothing stays open between calls."""

    def _find(self, name: str) -> _Details | None:
        return self._dashboard.get(f"/api/jobs/{name}", _Details)

    def _upload(self, request: Launch) -> str:
        """Bring relive's runner to the cluster unless it is there, and give its name.

        To ask for it keeps it there for some minutes; else Ray drops what no job uses.
        """
        path = f"/api/packages/gcs/{self._bundle.name}"
        with self._uploading:
            if self._dashboard.call("GET", path)[0] != 200:
                with self._bundle.open() as file:
                    status, data = self._dashboard.put(path, file)
                if status >= 300:
                    reason = f"it did not take relive's runner: {said(data)}"
                    raise LaunchFailed(job=request.job_id, executor="ray", reason=reason)
        return self._bundle.name


def _name(job_id: str, fence: int) -> str:
    return f"relive-{check_name('job', job_id)}-{int(fence)}"


def _submission(handle: dict[str, Any]) -> str:
    return _name(handle["job_id"], handle["fence"])


def _resources(wanted: Resources) -> dict[str, Any]:
    """Say what a job needs in Ray's words; without any of them it would run on the head."""
    asked: dict[str, Any] = {"entrypoint_num_cpus": wanted.cpu, "entrypoint_num_gpus": wanted.gpu}
    if wanted.memory_bytes:
        asked["entrypoint_memory"] = wanted.memory_bytes
    if wanted.gpu_type:
        # Ray's own way to ask for a kind of machine: it has one of these, and each job takes a crumb.
        asked["entrypoint_resources"] = {f"accelerator_type:{wanted.gpu_type}": 0.001}
    return asked


def _why(details: _Details) -> str:
    """Say in one line how a job ended; Ray's own words go on for pages."""
    code = details.driver_exit_code
    if code is not None:
        return f"it was ended by signal {-code}" if code < 0 else f"it ended with exit code {code}"
    lines = [line.strip() for line in (details.message or details.status.lower()).splitlines()]
    told = [line for line in lines if "because" in line and len(line) < _LONGEST_DETAIL] or lines
    return told[0][:_LONGEST_DETAIL]
