"""Where the files of a new model version are: what MLflow takes as a source, and what is at it.

Source: mlflow.server.handlers, `_validate_source_run` and what stands beside it.
"""

import posixpath
import re
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Final, NoReturn
from urllib.parse import unquote, unquote_plus, urlparse, urlsplit

from relive.core.access import Caller
from relive.core.artifact import Manifest
from relive.core.logged_model import LoggedModel
from relive.core.model import ModelVersion
from relive.core.run import Run
from relive.errors import NotFound
from relive.services.accounts import require_reader
from relive.services.context import Services
from relive.services.mlflow.artifacts import manifest_of
from relive.services.mlflow.faults import MlflowFault, invalid, missing
from relive.services.mlflow.places import SCHEME, check_machine, locate
from relive.services.mlflow.registry_json import location_of
from relive.services.mlflow.registry_rules import is_prompt
from relive.services.mlflow.run_json import artifact_uri
from relive.wire.mlflow import registry as wire

_PROMPT_SOURCES: Final = ("dummy-source", "prompt-template")
_HERE: Final = (".", "localhost", "127.0.0.1")
_ROUTE: Final = ("api", "2.0", "mlflow-artifacts", "artifacts")


@dataclass(frozen=True)
class Source:
    """Where a version's files are.

    Attributes:
        text: What is kept of what the client said.
        location: Address from which they are downloaded.
        run_id: The run that made them, if one did.
        model_id: The logged model that they are, if they are one.
    """

    text: str
    location: str
    run_id: str = ""
    model_id: str = ""


def prompt_source(text: str) -> Source:
    """Give the source of a prompt's version, which has no files.

    Raises:
        MlflowFault: It is none of the words that stand for it.
    """
    if text not in _PROMPT_SOURCES:
        raise invalid(f"Invalid prompt source: '{text}'. Prompt sources must use an MLflow placeholder.")
    return Source(text, text)


def resolve(services: Services, caller: Caller, message: wire.CreateModelVersion) -> Source:
    """Check where a client says that a version's files are, and follow what points elsewhere.

    Raises:
        MlflowFault: The source is not what it could be, or not within the run or model that is named.
    """
    _check_scheme(message.source)
    text, run_id, model_id = message.source, message.run_id or "", message.model_id or ""
    location = text
    if urlparse(text).scheme == "models" and (found := _registered(services, caller, message)) is not None:
        text = f"models:/{found.model}/{found.version}"
        run_id = found.run_id if message.run_id is None else run_id
        model_id = found.logged_model_id if message.model_id is None else model_id
        location = location_of(found)
    if model_id:
        _check_in_model(services, caller, text, model_id)
    else:
        _check_in_run(services, caller, text, run_id)
    named = logged_id_of(text) or model_id
    if named:
        model = _logged(services, caller, text, named)
        run_id = run_id or model.source_run_id
        location = model.artifact_location if logged_id_of(text) else location
    return Source(text, location, run_id, model_id)


def files_at(services: Services, caller: Caller, location: str) -> Manifest:
    """Give the files at a location of this hub; none if it is elsewhere, or nothing is there."""
    if location.startswith("runs:/"):
        run_id, _, path = location.removeprefix("runs:/").partition("/")
        run = _run(services, caller, run_id)
        if run is None:
            return Manifest(())  # MLflow registers what a run of another server is said to have
        location = f"{artifact_uri(services, run)}/{path}"
    if not location.startswith(SCHEME) or location.startswith(f"{SCHEME}/"):
        return Manifest(())
    return manifest_of(services, locate(services, caller, location.removeprefix(SCHEME)))


def logged_id_of(text: str) -> str:
    """Give the logged model that `models:/m-ID` names; empty if it names a version, or is another address."""
    path = urlparse(text).path.lstrip("/") if urlparse(text).scheme == "models" else ""
    return "" if "/" in path or "@" in path else path


def _registered(services: Services, caller: Caller, message: wire.CreateModelVersion) -> ModelVersion | None:
    """Give the version that `models:/NAME/…` names; None if it names a logged model."""
    text = message.source
    if urlparse(text).netloc:
        _refuse(text, "Registered model sources must use the active model registry.")
    if logged_id_of(text):
        return None
    found = _version_at(services, caller, text)
    if is_prompt(services.store.list_model_tags([found.model_id]).get(found.model_id, {})):
        _refuse(text, "Prompt versions cannot be used as model version sources.")
    said = (message.run_id, message.model_id)
    kept = (found.run_id, found.logged_model_id)
    if any(given is not None and given != own for given, own in zip(said, kept, strict=True)):
        reason = "The run_id and model_id request parameters must match the referenced model version."
        _refuse(text, reason)
    return found


def _version_at(services: Services, caller: Caller, text: str) -> ModelVersion:
    store = services.store
    path = urlparse(text).path.lstrip("/")
    name, _, ref = path.rpartition("/") if "/" in path else path.rpartition("@")
    if not name.strip() or "/" in name or not ref.strip():
        _refuse_outside(text, "model_id")
    try:
        require_reader(caller, store.get_model(name).project_id)
    except NotFound:
        raise missing(f"Registered Model with name={name} not found") from None
    try:
        if "/" not in path or ref.isdigit():
            return store.get_version(name, ref)
        newest = store.list_latest_versions([name])
        wanted = [it for it in newest if ref.lower() in ("latest", (it.stage or "None").lower())]
        return max(wanted, key=lambda version: version.version)
    except (NotFound, ValueError):
        raise missing(f"Model Version (name={name}, version={ref}) not found") from None


def _check_scheme(source: str) -> None:
    """Refuse an address of another machine, as MLflow does; buckets are none."""
    try:
        check_machine("source", source)
    except ValueError as error:
        _refuse(source, f"{error}.")
    parsed = urlparse(source)
    if parsed.scheme == "file" and not (parsed.hostname or ".").startswith(_HERE):
        raise MlflowFault(
            error_code="INTERNAL_ERROR",
            message=f"{source} is not a valid remote uri. For remote access on windows, please consider "
            "using a different scheme such as SMB (e.g. smb://<hostname>/<path>).",
        )


def _check_in_run(services: Services, caller: Caller, source: str, run_id: str) -> None:
    if _is_local(source):
        run = _run(services, caller, run_id) if run_id else None
        if run_id and run is None:
            _refuse_outside(source, "run_id")
        if run is not None and _is_below(source, artifact_uri(services, run)):
            return
        _refuse_local(urlparse(source).path if run_id else source, "run_id")
    _check_absolute(source)
    parsed = urlparse(source)
    if parsed.scheme == "runs":
        named = parsed.path.lstrip("/").partition("/")[0]
        if parsed.netloc or not run_id or named != run_id:
            _refuse_outside(source, "run_id")
        return
    if parsed.scheme == "models" and (parsed.netloc or logged_id_of(source)):
        _refuse_outside(source, "model_id")
    if _is_artifact(source):
        run = _run(services, caller, run_id) if run_id else None
        if run is None or not _is_within(source, artifact_uri(services, run)):
            _refuse_outside(source, "run_id")


def _check_in_model(services: Services, caller: Caller, source: str, model_id: str) -> None:
    if _is_local(source):
        if _is_below(source, _logged(services, caller, source, model_id).artifact_location):
            return
        _refuse_local(source, "model_id")
    _check_absolute(source)
    parsed = urlparse(source)
    if parsed.scheme == "runs" or (parsed.scheme == "models" and parsed.netloc):
        _refuse_outside(source, "model_id")
    if parsed.scheme == "models" and logged_id_of(source) not in ("", model_id):
        _refuse_outside(source, "model_id")
    if _is_artifact(source) and not _is_within(
        source, _logged(services, caller, source, model_id).artifact_location
    ):
        _refuse_outside(source, "model_id")


def _run(services: Services, caller: Caller, run_id: str) -> Run | None:
    run = services.store.find_run(run_id)
    if run is not None:
        require_reader(caller, run.project_id)
    return run


def _logged(services: Services, caller: Caller, source: str, model_id: str) -> LoggedModel:
    store = services.store
    try:
        model = store.get_logged_model(model_id)
    except NotFound:
        if _is_artifact(source) or _is_local(source) or logged_id_of(source):
            _refuse_outside(source, "model_id")
        raise missing(f"Logged model with ID '{model_id}' not found.") from None
    require_reader(caller, store.get_experiment(model.experiment_id).project_id)
    if model.deleted_at is not None:
        _refuse_outside(source, "model_id")
    return model


def _is_local(source: str) -> bool:
    return urlparse(source).scheme in ("", "file")


def _is_below(source: str, root: str) -> bool:
    """Tell whether a local path is in a local folder; both may be another machine's, so no disk is asked."""
    if not _is_local(root):
        return False
    path, folder = (PurePosixPath(posixpath.normpath(_local_path(text))) for text in (source, root))
    return path.is_absolute() and path.is_relative_to(folder)


def _local_path(text: str) -> str:
    parsed = urlparse(text)
    return unquote(parsed.path) if parsed.scheme else text


def _is_artifact(source: str) -> bool:
    scheme, _, parts = _parts(source)
    routes = [parts[at : at + len(_ROUTE)] for at in range(len(parts))]
    return scheme == "mlflow-artifacts" or (scheme in ("http", "https") and _ROUTE in routes)


def _is_within(source: str, root: str) -> bool:
    (scheme, host, parts), (root_scheme, root_host, root_parts) = _parts(source), _parts(root)
    same = (scheme, host) == (root_scheme, root_host)
    return same and bool(root_parts) and parts[: len(root_parts)] == root_parts


def _parts(uri: str) -> tuple[str, str, tuple[str, ...]]:
    split = urlsplit(uri)
    parts = tuple(_decoded(part) for part in split.path.split("/") if part)
    return split.scheme.lower(), split.netloc.lower(), parts


def _decoded(text: str) -> str:
    while (decoded := unquote(text)) != text:
        text = decoded
    return text


def _check_absolute(source: str) -> None:
    """Refuse an address that steps back in its path, however it is written."""
    decoded = source
    while (again := unquote_plus(decoded)) != decoded:
        decoded = again
    path = re.sub(r"/+", "/", urlparse(decoded).path.rstrip("/"))
    is_plain = path.startswith("/") and posixpath.normpath(path) == path
    if "\0" in path or ".." in decoded.split("/") or not is_plain:
        _refuse(
            source,
            "If supplying a source as an http, https, local file path, ftp, objectstore, or mlflow-artifacts "
            "uri, an absolute path must be provided without relative path references present. Please provide "
            "an absolute path.",
        )


def _refuse_local(source: str, field: str) -> NoReturn:
    _refuse(
        source,
        f"To use a local path as a model version source, the {field} request parameter has to be specified "
        "and the local path has to be contained within the artifact directory of the run specified by the "
        f"{field}.",
    )


def _refuse_outside(source: str, field: str) -> NoReturn:
    _refuse(source, f"The {field} request parameter must identify the resource that contains the source.")


def _refuse(source: str, reason: str) -> NoReturn:
    raise invalid(f"Invalid model version source: '{source}'. {reason}")
