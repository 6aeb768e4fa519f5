"""The process of a describe or serve job: `python -m relive.serving.job`, started by an executor.

It makes the model's world as the runner makes a stage's (environment, code, files by digest), then either
learns what the model takes and gives, or keeps it served until it is told to stop.
"""

import logging
import os
import queue
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from relive import settings
from relive.client.blobs import BlobClient
from relive.client.calls.reports import ReportClient
from relive.client.transport import Transport
from relive.core.endpoint import Address
from relive.core.model import Signature, TensorSpec
from relive.errors import HubRefused, HubUnreachable, ReliveError, Superseded
from relive.formats.manifest_io import make_room
from relive.runner.checkout import checkout
from relive.runner.environment.build import build_environment, fetch_lock
from relive.runner.environment.wheels import WheelStore
from relive.runner.lease import Lease, Over, is_passing
from relive.runner.main import deliver
from relive.runner.order import read_order
from relive.runner.variables import fixed_variables
from relive.serving.ask import ask
from relive.serving.bundle import build_bundle
from relive.serving.modelprocess import ServeSpec
from relive.serving.signature import FILE_NAME
from relive.serving.signature import read as read_signature
from relive.serving.supervise import Serving, supervise
from relive.wire.jobs import DescribeReport, DescribeWork, Report, ServeReport, ServeWork

_log = logging.getLogger(__name__)

_AWAY_S: Final = 24 * 3600.0
_FAREWELL_S: Final = 15.0
_FIRST_ANSWER_S: Final = 300.0
_DESCRIBE_S: Final = 600.0
_TELL_AGAIN_S: Final = 1.0


@dataclass(frozen=True)
class World:
    """What a model needs around it: its interpreter, our bundle, its files and its repository's code."""

    python: Path
    bundle: Path
    model: Path
    code: str


class Teller:
    """Tells the hub what becomes of the model, in order, waiting for a hub that is away."""

    def __init__(self, reports: ReportClient, lease: Lease) -> None:
        self._reports, self._lease = reports, lease
        self._waiting: queue.Queue[tuple[str, str, dict[str, Any]]] = queue.Queue()
        threading.Thread(target=self._tell, name="teller", daemon=True).start()

    def ready(self, serving: Serving) -> None:
        """Tell that requests can come."""
        facts = {"address": str(serving.address), "pid": serving.pid, "restarts": serving.restarts}
        self._waiting.put(("ready", f"{serving.values} predictions as at registration", facts))

    def restarted(self, restarts: int, reason: str) -> None:
        """Tell that the process died and is started again."""
        self._waiting.put(("restarted", reason, {"restarts": restarts}))

    def failed(self, reason: str) -> None:
        """Tell that no further start will be tried."""
        self._waiting.put(("failed", reason, {}))

    def _tell(self) -> None:
        while not self._is_superseded():
            phase, message, facts = self._waiting.get()
            while not (self._told(phase, message, facts) or self._is_superseded()):
                time.sleep(_TELL_AGAIN_S)

    def _is_superseded(self) -> bool:
        return self._lease.over is Over.SUPERSEDED

    def _told(self, phase: str, message: str, facts: dict[str, Any]) -> bool:
        try:
            self._reports.progress(phase, message, **facts)
        except ReliveError as error:
            _log.warning("%s was not taken: %s", phase, error.what())
            # A revision whose "ready" is lost would be starting for ever.
            return not is_passing(error)
        return True


def main() -> int:
    """Do the job that standard input names; 0 if the hub took the report, or wants none."""
    level = settings.get("RELIVE_LOG_LEVEL").upper()
    logging.basicConfig(stream=sys.stderr, level=level, format="%(asctime)s %(levelname)s %(message)s")
    try:
        order = read_order()
    except ReliveError as error:
        _log.error("%s", error.what())
        return 1
    transport = Transport(order.hub, order.token)
    reports = ReportClient(transport, "jobs", order.job, order.fence)
    lease = Lease(reports)
    blobs = BlobClient(transport.with_retries(_AWAY_S, pause=lease.pause))
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: lease.lose(Over.CANCELLED))
    folder = Path(tempfile.mkdtemp(prefix=f"{order.fence}.model-", dir=Path.cwd()))
    try:
        work = reports.with_patience(_FIRST_ANSWER_S).work()
        lease.start()
        report = _do(work, reports, lease, blobs, folder)
        # That it ended as it was told is news to nobody: a hub that is away sees it by itself.
        patience_s = _FAREWELL_S if lease.over is Over.CANCELLED else _AWAY_S
        deliver(report, reports, lease, patience_s=patience_s)
    except Superseded as error:
        _log.warning("%s", error.what())
    except (HubUnreachable, HubRefused) as error:
        _log.error("%s", error)
        return 1
    finally:
        lease.end()
        shutil.rmtree(folder, ignore_errors=True)
    return 0


def _do(work: object, reports: ReportClient, lease: Lease, blobs: BlobClient, folder: Path) -> Report:
    if isinstance(work, DescribeWork):
        return _describe(work, reports, lease, blobs, folder)
    if isinstance(work, ServeWork):
        return _serve(work, reports, lease, blobs, folder)
    raise HubRefused(
        status=0,
        error_code="unexpected_work",
        message=f"relive.serving.job was given {type(work).__name__}, it does describe and serve",
        details={},
    )


def _describe(
    work: DescribeWork, reports: ReportClient, lease: Lease, blobs: BlobClient, folder: Path
) -> DescribeReport:
    fence = reports.fence
    try:
        _say(reports, "environment", "building the model's environment")
        world = make_world(work, blobs, folder)
        examples = blobs.materialise(work.example, folder / "example")
        contract = folder / "contract"
        example = folder / "example" / examples.entries[0].path
        _say(reports, "describe", "loading the model and predicting its example")
        line = [str(world.python), str(world.bundle), "describe", "--model", str(world.model)]
        line += ["--example", str(example), "--out", str(contract)]
        line += ["--loader", work.loader, "--code", world.code]
        variables = {**_few_variables(), **_model_variables()}
        ask(line, world.model, variables, lease, timeout_s=_DESCRIBE_S, log=folder / "log")
        shutil.copyfile(example, make_room(contract, example.name))
        digest, _ = blobs.upload_tree(contract)
        return DescribeReport(
            fence=fence,
            contract=digest,
            signature=_signature(contract / FILE_NAME),
            loader=work.loader,
        )
    except Superseded:
        raise
    except (ReliveError, OSError, subprocess.SubprocessError) as error:
        return DescribeReport(fence=fence, error=str(error))


def _say(reports: ReportClient, phase: str, message: str) -> None:
    """Tell what begins; a hub that is away misses it, and the work goes on."""
    try:
        reports.progress(phase, message)
    except Superseded:
        raise
    except ReliveError as error:
        _log.warning("phase %s could not be told: %s", phase, error.what())


def _serve(
    work: ServeWork, reports: ReportClient, lease: Lease, blobs: BlobClient, folder: Path
) -> ServeReport:
    teller = Teller(reports, lease)
    # A unix socket's path has room for a hundred characters only, so it cannot lie in the job's folder.
    sockets = Path(tempfile.mkdtemp(prefix="relive-"))
    stop = threading.Event()
    lease.when_over(stop.set)
    try:
        world = make_world(work, blobs, folder)
        blobs.materialise(work.contract, folder / "contract")
        spec = ServeSpec(
            python=str(world.python),
            bundle=str(world.bundle),
            model=str(world.model),
            contract=str(folder / "contract"),
            name=work.model_name,
            version=str(work.version),
            address=Address(path=str(sockets / "model.sock")),
            loader=work.loader,
            code=world.code,
            env=_model_variables(),
        )
        error = supervise(spec, teller, stop=stop, output=_print)
    except Superseded:
        raise
    except (ReliveError, OSError, subprocess.SubprocessError) as failure:
        error = str(failure)
    finally:
        shutil.rmtree(sockets, ignore_errors=True)
    return ServeReport(fence=reports.fence, error=error)


def make_world(work: DescribeWork | ServeWork, blobs: BlobClient, folder: Path) -> World:
    """Lay out a model's files and code and build its environment.

    Raises:
        EnvironmentFailed: The environment cannot be built.
        BlobNotFound: The hub lacks a part of it.
    """
    model = folder / "model"
    blobs.materialise(work.model, model)
    code = ""
    if work.loader != "auto":  # only a loader of the repository needs the repository
        checkout(blobs, work.code, folder / "code")
        code = str(folder / "code")
    python = Path(sys.executable)
    if work.environment:
        lock = fetch_lock(work.environment, blobs)
        python = build_environment(lock, WheelStore(blobs)) / "bin" / "python"
    bundle = build_bundle(Path(settings.cache()) / "agent")
    return World(python=python, bundle=bundle, model=model, code=code)


def _model_variables() -> dict[str, str]:
    """Give what every model's process gets; one that loads through MLflow tells nobody of it."""
    return {**fixed_variables(1.0), "MLFLOW_DISABLE_TELEMETRY": "true"}


def _few_variables() -> dict[str, str]:
    return {name: os.environ[name] for name in ("PATH", "HOME", "LANG", "TMPDIR") if name in os.environ}


def _signature(path: Path) -> Signature:
    learnt = read_signature(str(path))
    return Signature(
        inputs=tuple(
            TensorSpec(name=i.name, datatype=i.datatype, shape=tuple(i.shape)) for i in learnt.inputs
        ),
        outputs=tuple(
            TensorSpec(name=o.name, datatype=o.datatype, shape=tuple(o.shape)) for o in learnt.outputs
        ),
    )


def _print(data: bytes) -> None:
    sys.stderr.buffer.write(data)
    sys.stderr.buffer.flush()


if __name__ == "__main__":
    sys.exit(main())
