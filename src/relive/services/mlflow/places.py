"""What an artifact's address means: files of a run, a logged model, a version, a trace, or of their own.

Clients name artifacts by addresses below one root, `mlflow-artifacts:/`. The one that the hub gives them
for a run is EXPERIMENT/RUN/artifacts, for a logged model EXPERIMENT/models/MODEL/artifacts, for a trace
EXPERIMENT/traces/TRACE/artifacts, for a model version that a pipeline made versions/VERSION/artifacts. Under
others files are kept as they come, as MLflow keeps them.
"""

import pathlib
import re
from dataclasses import dataclass
from typing import Final
from urllib.parse import quote, unquote, urlsplit

from relive.core.access import Caller, Scope
from relive.core.logged_model import LoggedModel
from relive.core.model import ModelVersion
from relive.core.run import Run
from relive.core.trace import Trace
from relive.errors import AccessDenied, NotFound
from relive.services.accounts import require_reader
from relive.services.context import Services
from relive.services.mlflow.faults import invalid
from relive.services.mlflow.rights import require_maker
from relive.services.runs import may_write

SCHEME: Final = "mlflow-artifacts:/"
_PROXIED: Final = "/api/2.0/mlflow-artifacts/artifacts"
# Addresses of these name a machine; buckets do not.
_MACHINES: Final = frozenset({"ftp", "sftp", "hdfs", "viewfs", "http", "https", "r2", "b2", "abfss"})
# Parts of uploads that are not complete lie here, and no address leads to them.
UPLOADS: Final = ".uploads"
_RUN: Final = re.compile(r"(?:.*?/)?([0-9a-f]{32})/artifacts(?:/(.*))?")
_MODEL: Final = re.compile(r"(?:.*?/)?models/(m-[0-9a-f]{32})/artifacts(?:/(.*))?")
_VERSION: Final = re.compile(r"versions/([0-9a-f]{32})/artifacts(?:/(.*))?")
_TRACE: Final = re.compile(r"(.+)/traces/([^/]+)/artifacts(?:/.*)?")
_CONTROL: Final = re.compile(r"[\x00-\x1f\x7f]")


@dataclass(frozen=True)
class Place:
    """Where an address points.

    Attributes:
        path: Within what it belongs to; the whole address of a place that is a trace's, or nobody's.
    """

    path: str
    run: Run | None = None
    model: LoggedModel | None = None
    version: ModelVersion | None = None
    trace: Trace | None = None

    @property
    def is_loose(self) -> bool:
        """Tell whether it belongs to nothing: its files are of whoever stored them."""
        return self.run is None and self.model is None and self.version is None and self.trace is None

    @property
    def address(self) -> str:
        """Give the whole address; that of files of their own is the path alone."""
        root = ""
        if self.run is not None:
            root = f"{self.run.experiment_id}/{self.run.id}/artifacts"
        elif self.model is not None:
            root = f"{self.model.experiment_id}/models/{self.model.id}/artifacts"
        elif self.version is not None:
            root = f"versions/{self.version.id}/artifacts"
        return f"{root}/{self.path}".strip("/")


def safe_path(path: str) -> str:
    """Give a path decoded and as a disk would read it, if it stays below the root.

    Raises:
        MlflowFault: It does not.
    """
    while (decoded := unquote(path)) != path:
        path = decoded
    path = _CONTROL.sub(lambda found: quote(found[0]), path)
    is_absolute = path.startswith(("/", "file:/")) or pathlib.PureWindowsPath(path).is_absolute()
    if "#" in path or is_absolute or ".." in path.split("/"):
        raise invalid("Invalid path")
    return "/".join(part for part in path.split("/") if part not in ("", "."))


def address_of(uri: str) -> str:
    """Give the address that names files of this hub, as `mlflow-artifacts:` or as HTTP's.

    Raises:
        MlflowFault: The URI names files elsewhere.
    """
    parts = urlsplit(uri)
    if parts.scheme == SCHEME.partition(":")[0]:
        return parts.path.strip("/")
    if is_proxied(uri):
        return parts.path.removeprefix(_PROXIED).strip("/")
    raise invalid(f"The files are not of this hub: {uri}")


def check_machine(field: str, uri: str) -> None:
    """Refuse an address that names a machine, as MLflow does.

    Raises:
        MlflowFault: It names one; `field` says in the message where.
        ValueError: It is no URI.
    """
    parts = urlsplit(uri)
    if parts.scheme in _MACHINES or (parts.scheme == SCHEME.partition(":")[0] and parts.netloc):
        raise invalid(
            f"'{field}' cannot use the '{parts.scheme}' scheme: the '{parts.scheme}' scheme addresses a host"
            " other than the tracking server's configured artifact storage, so the server would connect to"
            " the host named in the URI."
        )


def is_proxied(uri: str) -> bool:
    """Tell whether a URI is HTTP's way to files of a hub, which need not know by which name it is reached."""
    parts = urlsplit(uri)
    return parts.scheme in ("http", "https") and f"{parts.path}/".startswith(f"{_PROXIED}/")


def locate(services: Services, caller: Caller, address: str) -> Place:
    """Say what an address means, to a caller who may read there.

    Raises:
        MlflowFault: It reaches out of the root, or among the parts of uploads.
        AccessDenied: A command may not read there.
    """
    path = safe_path(address)
    if path.partition("/")[0] == UPLOADS:
        raise invalid("Invalid path")
    place = _place(services, path)
    _check_reader(services, caller, place)
    return place


def check_writer(services: Services, caller: Caller, place: Place) -> None:
    """Refuse whoever may not store or delete files there.

    Raises:
        AccessDenied: It is another's, or a version's, which never changes.
    """
    if place.version is not None:
        raise AccessDenied(action="change a model version", who=caller.name, needs="a new version")
    if place.run is not None:
        may_write(services, caller, place.run.id)
    elif place.model is not None:
        require_model_writer(caller, place.model)
    elif place.trace is not None:
        require_maker(caller, place.trace.created_by, "change a trace's files")
    elif (earlier := services.store.find_file(place.address)) is not None:
        require_maker(caller, earlier.created_by, "replace a file")


def require_model_writer(caller: Caller, model: LoggedModel) -> None:
    """Refuse whoever may not change a logged model: only its maker, the run it came from, and users may.

    Raises:
        AccessDenied: It is another's.
    """
    own_run = caller.scope is Scope.COMMAND and caller.run_id != "" and caller.run_id == model.source_run_id
    if not own_run:
        require_maker(caller, model.created_by, "change a logged model")


def _place(services: Services, address: str) -> Place:
    store = services.store
    try:
        if found := _VERSION.fullmatch(address):
            return Place(path=found[2] or "", version=store.get_version_by_id(found[1]))
        if found := _MODEL.fullmatch(address):
            return Place(path=found[2] or "", model=store.get_logged_model(found[1]))
        if found := _RUN.fullmatch(address):
            return Place(path=found[2] or "", run=store.get_run(found[1]))
    except NotFound:
        pass  # MLflow keeps files under any address
    return Place(path=address, trace=_trace_at(services, address))


def _trace_at(services: Services, address: str) -> Trace | None:
    """Give the trace whose files lie there; None if it is no trace's own place."""
    found = _TRACE.fullmatch(address)
    trace = services.store.find_trace(found[2]) if found else None
    if found is None or trace is None:
        return None
    experiment = services.store.get_experiment(trace.experiment_id)
    own = experiment.artifact_location.removeprefix(SCHEME).strip("/") or experiment.id
    return trace if found[1] == own else None


def _check_reader(services: Services, caller: Caller, place: Place) -> None:
    store = services.store
    if place.run is not None:
        require_reader(caller, place.run.project_id)
    elif place.model is not None:
        require_reader(caller, store.get_experiment(place.model.experiment_id).project_id)
    elif place.version is not None:
        require_reader(caller, store.get_model(place.version.model).project_id)
    elif place.trace is not None:
        require_reader(caller, store.get_experiment(place.trace.experiment_id).project_id)
    elif caller.scope is Scope.COMMAND:
        require_reader(caller, _project_of(services, place.path))


def _project_of(services: Services, address: str) -> str:
    """Give the project of the experiment that an address begins with; empty if it begins with none."""
    try:
        return services.store.get_experiment(address.partition("/")[0]).project_id
    except NotFound:
        return ""
