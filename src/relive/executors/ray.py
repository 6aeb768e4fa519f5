"""Places jobs on a Ray cluster through its Jobs API; Ray itself is never imported.

Source: Ray's Jobs REST API, as its dashboard serves it (Ray 2.60). A job carries relive's runner with it and
reaches the hub at its public address. Ray retries nothing here: a job whose node died has failed, the hub
notices that it ended without a report, and starts it again as it does with every lost worker.
"""

import shlex
import sys
import threading
from pathlib import Path
from typing import Any, Final

import msgspec

from relive.errors import InvalidInput, LaunchFailed, PoolUnreachable
from relive.executors.ray_bundle import START, build_bundle
from relive.ports.executors import Launch, ProcessState

_TIMEOUT_S: Final = 30.0
_UPLOAD_TIMEOUT_S: Final = 300.0
_ALIVE: Final = frozenset({"PENDING", "RUNNING"})
_STOP_LOOKS: Final = 20
_CPUS: Final = "entrypoint_num_cpus"


class _Details(msgspec.Struct):
    status: str
    message: str | None = None
    driver_exit_code: int | None = None


class _Logs(msgspec.Struct):
    logs: str = ""


class RayExecutor:
    """Places jobs on one Ray cluster; see `ports.executors.Executor`.

    The order, with the runner's token, travels in the job's environment, which whoever may read the
    cluster's job list can read as well: a cluster is as trusted as the people who may submit to it.

    Args:
        data_dir: The hub's data folder; unused, jobs keep nothing there.
        address: The dashboard's address, http://HOST:8265.
        token: For clusters that ask for one; empty for none.
        python: The interpreter on the cluster's machines.
    """

    def __init__(self, data_dir: Path, address: str, token: str = "", python: str = "python3") -> None:
        if not address.startswith(("http://", "https://")):
            raise InvalidInput(
                field="ray", value=address, wanted="the dashboard's address, such as http://head:8265"
            )
        self._address = address.rstrip("/")
        self._python = python
        self._headers = {"Authorization": f"Bearer {token}"} if token else {}
        self._uploading = threading.Lock()
        self._package = ""

    def launch(self, request: Launch) -> dict[str, Any]:
        """Submit a job; of two launches of one claim the second finds the first.

        Raises:
            LaunchFailed: The cluster refused it.
            PoolUnreachable: The cluster does not answer.
        """
        package = self._upload()
        order = {
            "hub": request.hub_url,
            "job": request.job_id,
            "fence": request.fence,
            "token": request.token,
        }
        name = f"relive-{request.job_id}-{request.fence}"
        resources = request.resources
        body: dict[str, Any] = {
            "entrypoint": shlex.join([self._python, START, request.module]),
            "submission_id": name,
            "runtime_env": {
                "working_dir": f"gcs://{package}",
                "env_vars": {"RELIVE_ORDER": msgspec.json.encode(order).decode()},
            },
            "metadata": {"relive": request.name},
            _CPUS: resources.cpu,
            "entrypoint_num_gpus": resources.gpu,
        }
        if resources.memory_bytes:
            body["entrypoint_memory"] = resources.memory_bytes
        status, data = self._call("POST", "/api/jobs/", msgspec.json.encode(body))
        if status >= 300 and self._find(name) is None:
            raise LaunchFailed(job=request.job_id, executor="ray", reason=_text(data))
        return {"submission": name, "address": self._address}

    def poll(self, handle: dict[str, Any]) -> ProcessState:
        """Ask the cluster what became of a job; "unknown" while it does not answer."""
        try:
            details = self._find(str(handle["submission"]))
        except PoolUnreachable as error:
            return ProcessState(state="unknown", detail=error.reason)
        if details is None:
            return ProcessState(state="gone")
        if details.status in _ALIVE:
            return ProcessState(state="alive", detail=details.message or "")
        return ProcessState(state="ended", exit_code=details.driver_exit_code, detail=details.message or "")

    def stop(self, handle: dict[str, Any], *, grace_s: float = 10.0) -> None:
        """Ask the cluster to end a job, SIGTERM first, and wait until it has or the time is over."""
        name = str(handle["submission"])
        self._call("POST", f"/api/jobs/{name}/stop", b"")
        pause = threading.Event()
        for _ in range(_STOP_LOOKS):
            if self.poll(handle).state != "alive":
                return
            pause.wait(grace_s / _STOP_LOOKS)

    def output(self, handle: dict[str, Any], *, limit_bytes: int = 65536) -> str:
        """Give the end of what the job's process printed."""
        status, data = self._call("GET", f"/api/jobs/{handle['submission']}/logs", None)
        return _decode(data, _Logs).logs[-limit_bytes:] if status == 200 else ""

    def close(self) -> None:
        """Nothing stays open between calls."""

    def _find(self, name: str) -> _Details | None:
        status, data = self._call("GET", f"/api/jobs/{name}", None)
        if status == 404:
            return None
        if status >= 300:
            raise PoolUnreachable(pool=self._address, reason=_text(data))
        details: _Details = _decode(data, _Details)
        return details

    def _upload(self) -> str:
        """Bring relive's runner to the cluster, unless it is there."""
        with self._uploading:
            if not self._package:
                name, data = build_bundle(sys.version_info[:2])
                path = f"/api/packages/gcs/{name}"
                if self._call("GET", path, None)[0] != 200:
                    status, answer = self._call("PUT", path, data, timeout_s=_UPLOAD_TIMEOUT_S)
                    if status >= 300:
                        raise LaunchFailed(
                            job="", executor="ray", reason=f"the package was refused: {_text(answer)}"
                        )
                self._package = name
            return self._package

    def _call(
        self, method: str, path: str, body: bytes | None, *, timeout_s: float = _TIMEOUT_S
    ) -> tuple[int, bytes]:
        import urllib3  # late: a hub without a cluster never needs it

        headers = self._headers | ({"Content-Type": "application/json"} if method == "POST" else {})
        try:
            reply = urllib3.request(
                method, self._address + path, body=body, headers=headers, timeout=timeout_s, retries=False
            )
        except (urllib3.exceptions.HTTPError, OSError) as error:
            raise PoolUnreachable(pool=self._address, reason=str(error)) from error
        if reply.status in (401, 403):
            raise PoolUnreachable(pool=self._address, reason=f"it refuses us: {_text(reply.data)}")
        return reply.status, reply.data


def _decode(data: bytes, kind: type[Any]) -> Any:
    try:
        return msgspec.json.decode(data, type=kind)
    except msgspec.MsgspecError as error:
        raise PoolUnreachable(pool="ray", reason=f"it answered with something else: {error}") from error


def _text(data: bytes) -> str:
    text = data.decode(errors="replace").strip()
    return text.splitlines()[-1][:500] if text else "it gave no reason"
