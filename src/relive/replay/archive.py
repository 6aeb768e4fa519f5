"""Write a run with everything that it takes to make it again into one file (see `docs/design/archive.md`).

Everything is laid out in a folder first, then zipped in the order of the names with one fixed time, so that
the same run gives the same bytes.
"""

import hashlib
import os
import shutil
import tempfile
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import msgspec

from relive import __version__
from relive.capture.agent import install_agent
from relive.client import exporting
from relive.client.hub import HubClient
from relive.core.artifact import ManifestEntry
from relive.core.command import command_of
from relive.core.durations import is_duration
from relive.core.recipe import EnvironmentLock, LockedPackage, Recipe
from relive.core.trajectory import Trajectory
from relive.errors import BlobNotFound, CannotReplay
from relive.formats.hashing import hash_file
from relive.formats.metrics_file import read_metrics
from relive.formats.trajectory import decode_trajectory, write_digest_steps
from relive.replay import standalone
from relive.replay.archive_claims import write_claim
from relive.replay.archive_crate import kept_outs, write_crate
from relive.replay.archive_page import write_page
from relive.replay.interpreter import pack_interpreter
from relive.replay.kept import any_environment
from relive.replay.plan import repository_of
from relive.replay.standalone.contents import DOCUMENT, FORMAT
from relive.replay.standalone.world import SHEBANG
from relive.runner.environment.projects import lay_projects
from relive.runner.left import was_left
from relive.runner.variables import fixed_variables
from relive.wire.hub import RunDetail
from relive.wire.jobs import StageWork

# DOS, and so zip, knows no earlier one.
_TIME: Final = (1980, 1, 1, 0, 0, 0)
_MAIN: Final = """\
import sys

if sys.version_info < (3, 11):
    sys.exit("This needs Python 3.11 or newer.")
from relive_archive.main import main

sys.exit(main())
"""
# These are compressed already; what zlib makes of the others is the same wherever zlib is the same.
_COMPRESSED: Final = (".whl", ".parquet", ".gz", ".zip", ".png", ".jpg", ".npz", ".zst", ".xz", ".bz2")


class ArchiveOptions(msgspec.Struct, frozen=True, kw_only=True):
    """What goes into an archive.

    Attributes:
        interpreter: Pack the Python that this machine has for the run's environment.
        data_limit_bytes: Inputs larger than this are named by digest only.
    """

    interpreter: bool = False
    data_limit_bytes: int = 1 << 30


class Written(msgspec.Struct, frozen=True, kw_only=True):
    """What was written.

    Attributes:
        digest: SHA-256 of `archive.json`, which names all of the content.
        lacking: Why it cannot replay itself, a sentence each.
        referenced: Inputs that are named by their digests only.
    """

    run_id: str
    file: str
    digest: str
    size_bytes: int
    members: int
    lacking: tuple[str, ...] = ()
    referenced: tuple[str, ...] = ()


def write_archive(
    hub: HubClient, run_id: str, target: Path, options: ArchiveOptions | None = None
) -> Written:
    """Write the archive of a run that has ended.

    Args:
        target: The file; what is there is replaced once the new one is whole.

    Raises:
        CannotReplay: Nothing recorded the run from outside, or it has not ended.
        HubUnreachable, HubRefused, BlobNotFound: As the calls have it.
        OSError: The file cannot be written.
    """
    detail = hub.get_run(run_id)
    if not detail.run.recipe:
        reason = "it has no recipe: it has not ended, or nothing recorded it from outside"
        raise CannotReplay(run=detail.run.id[:8], missing=reason)
    recipe = hub.get_recipe(detail.run.id)
    with tempfile.TemporaryDirectory(prefix=".relive-archive-", dir=target.absolute().parent) as folder:
        packing = _Packing(hub, detail, recipe, Path(folder) / "content", options or ArchiveOptions())
        document = packing.lay()
        partial = Path(folder) / "whole"
        digest = _zip(packing.root, document, partial)
        os.replace(partial, target)
    return Written(
        run_id=detail.run.id,
        file=str(target),
        digest=digest,
        size_bytes=target.stat().st_size,
        members=len(document["members"]),
        lacking=tuple(document["lacking"]),
        referenced=tuple(it["path"] for it in document["inputs"] if it["referenced"]),
    )


class _Packing:
    """Lays the content of an archive out in a folder."""

    def __init__(
        self, hub: HubClient, detail: RunDetail, recipe: Recipe, root: Path, options: ArchiveOptions
    ) -> None:
        self._hub, self._detail, self._recipe, self._options = hub, detail, recipe, options
        self.root = root
        self._lacking: list[str] = []
        self._notes: list[str] = []
        self._lock_digest = recipe.declared.environment

    def lay(self) -> dict[str, Any]:
        """Write everything, and give the document that names it all."""
        run, declared = self._detail.run, self._recipe.declared
        self.root.mkdir()
        exporting.export(self._hub, iter([run.id]), self.root / "record")
        write_claim(self._hub, self._detail, self.root / "record")
        self._lock_digest, lock = any_environment(self._hub, self._detail, self._recipe)
        if lock is not None and not declared.environment:
            self._notes.append("its environment had no lock: the wheels are those of a replay of it")
        document: dict[str, Any] = {
            "format": FORMAT,
            "relive": __version__,
            "run": self._named(),
            "command": command_of(self._recipe),
            "workdir": declared.workdir,
            # As a replay from the hub sets them: what the recipe says wins.
            "env": {**fixed_variables(_CPUS), **declared.env},
            "secrets": list(declared.secrets),
            "outs": list(declared.outs),
            "metrics_files": list(declared.metrics_files),
            "code": self._tree(declared.code.manifest, "code"),
            "code_manifest": declared.code.manifest,
            "repository": self._repository(),
            "inputs": list(self._inputs()),
            "environment": self._environment(lock),
            "machine": self._machine(),
            "layer": self._layer(lock),
            "record": self._record(),
            "lacking": self._lacking,
        }
        self._lay_program()
        self._lay_provenance()
        self._lay_blobs(document)
        if self._options.interpreter:
            pack_interpreter(document["environment"]["python"], self.root / "python")
        write_page(self.root, self._detail, self._recipe, document)
        write_crate(self.root, self._detail, self._recipe, document)
        document["members"] = {
            name: hash_file(path, sha256=True).sha256 for name, path in _members(self.root)
        }
        return document

    def _named(self) -> dict[str, str]:
        run = self._detail.run
        told = {"project": self._detail.project, "experiment": self._detail.experiment}
        return {"id": run.id, "name": run.name, **told}

    def _repository(self) -> dict[str, str]:
        code = repository_of(self._detail, self._recipe)
        return {"commit": code.commit, "branch": code.branch, "remote": code.remote} if code else {}

    def _tree(self, manifest: str, place: str, *, refer: bool = False) -> list[dict[str, Any]]:
        """Lay a tree out below a folder of the archive; what is only referred to is hashed and removed."""
        folder = self.root / place
        tree = self._hub.blobs.materialise(manifest, folder)
        entries = [_entry(entry, place, folder) for entry in tree.entries]
        if refer:
            shutil.rmtree(folder)
            entries = [{**entry, "member": ""} if "member" in entry else entry for entry in entries]
        return entries

    def _inputs(self) -> Iterator[dict[str, Any]]:
        for number, given in enumerate(self._recipe.declared.data):
            in_code = given.origin == "code"
            refer = not in_code and given.size_bytes > self._options.data_limit_bytes
            if refer:
                self._lacking.append(
                    f"the input {given.path} ({given.size_bytes} bytes) is named by its digest only"
                )
            yield {
                "path": given.path,
                "origin": given.origin,
                "manifest": given.manifest,
                "size_bytes": given.size_bytes,
                "referenced": refer,
                "entries": [] if in_code else self._tree(given.manifest, f"data/{number}", refer=refer),
            }

    def _environment(self, lock: EnvironmentLock | None) -> dict[str, Any]:
        observed = self._recipe.observed
        if lock is None:
            if observed is not None and observed.distributions:
                count = len(observed.distributions)
                self._lacking.append(
                    f"its environment ({count} packages) had no lock, so no wheel was kept: replay it once"
                )
            python = observed.interpreter.version if observed and observed.interpreter else ""
            lock = EnvironmentLock(
                python=python, implementation="cpython", platform="", source="", packages=()
            )
        if not lock.python:
            self._lacking.append("nobody knows which Python it ran on")
        return {
            "python": lock.python,
            "implementation": lock.implementation,
            "platform": lock.platform,
            "machine": _machine_of(lock.platform),
            "source": lock.source,
            "manifest": self._lock_digest,
            "of_replay": self._lock_digest != self._recipe.declared.environment,
            "packages": [self._wheel(package) for package in lock.packages],
        }

    def _wheel(self, package: LockedPackage) -> dict[str, Any]:
        member = f"wheels/{package.filename}"
        (self.root / "wheels").mkdir(exist_ok=True)
        found = {"name": package.name, "version": package.version, "filename": package.filename}
        found |= {"sha256": package.sha256, "blob": package.blob, "origin": package.origin, "member": member}
        try:
            if package.blob:
                self._hub.blobs.get_file(package.blob, self.root / member)
                return found
        except BlobNotFound as error:
            self._notes.append(error.what())
        self._lacking.append(f"the wheel {package.filename} was not kept")
        return {**found, "member": ""}

    def _machine(self) -> dict[str, str]:
        observed = self._recipe.observed
        if observed is None:
            return {"cpu_model": "", "os": ""}
        return {"cpu_model": observed.hardware.cpu_model, "os": observed.hardware.os}

    def _layer(self, lock: EnvironmentLock | None) -> dict[str, Any]:
        tree = self.root / "code"
        if lock is None or not (lock.source or lock.folders):
            return {"python_path": []}
        python = Path(SHEBANG.removeprefix("#!"))
        project = self.root / "project"
        layer = lay_projects(tree, lock.source, project, python=python, folders=lock.folders)
        sources = [os.path.relpath(path, tree) for path in layer.python_path[:-1]]
        return {"python_path": sources}

    def _record(self) -> dict[str, Any]:
        detail = self._detail
        unread = {*self._unread_metrics(), *(it.key for it in detail.metrics if is_duration(it.key))}
        found: dict[str, Any] = {
            "metrics": {it.key: float(it.last).hex() for it in detail.metrics if it.key not in unread},
            "unread_metrics": sorted(unread),
            "outs": dict(self._outs()),
            "steps": "",
            "digest_steps": "",
            "notes": self._notes,
        }
        if detail.run.trajectory:
            trajectory = decode_trajectory(self._hub.blobs.get_bytes(detail.run.trajectory))
            found |= {"steps": "record/steps.jsonl", "digest_steps": "record/digest-steps.json"}
            (self.root / found["steps"]).write_bytes(_lines(trajectory))
            write_digest_steps(trajectory, self.root / found["digest_steps"])
        return found

    def _outs(self) -> Iterator[tuple[str, list[dict[str, Any]]]]:
        for artifact, place in kept_outs(self._detail):
            if artifact.kind != "out" and not _is_yaml(artifact.path):
                continue
            tree = self._hub.blobs.fetch_manifest(artifact.manifest)
            yield artifact.path, [_entry(entry, place, self.root / place) for entry in tree.entries]

    def _unread_metrics(self) -> Iterator[str]:
        """Name the metrics in files that the archive's own replay cannot read: it compares their bytes."""
        files = {path for path in self._recipe.declared.metrics_files if _is_yaml(path)}
        for artifact, place in kept_outs(self._detail):
            is_found = was_left(artifact, self._recipe.declared.metrics_files)
            if is_found:
                self._notes.append(f"{artifact.path} is named by the time: its metrics are not compared")
            if artifact.path in files or is_found:
                data = (self.root / place / artifact.path).read_bytes()
                yield from read_metrics(data, path=artifact.path).values
            if artifact.path in files:
                self._notes.append(f"{artifact.path} is YAML: its bytes are compared, not its metrics")

    def _lay_program(self) -> None:
        package = self.root / "relive_archive"
        package.mkdir()
        for name in standalone.MODULES:
            shutil.copyfile(Path(standalone.__file__).with_name(name), package / name)
        (self.root / "__main__.py").write_text(_MAIN)
        with tempfile.TemporaryDirectory() as folder:
            agent = install_agent(Path(folder))
            for source in (agent.boot, agent.agent):
                shutil.copytree(source, self.root / "agent" / source.name)

    def _lay_blobs(self, document: dict[str, Any]) -> None:
        """Lay out the manifests and the lock as the hub has them: an import finds all by these digests."""
        (self.root / "blobs").mkdir()
        for digest in small_blobs(document):
            (self.root / blob_member(digest)).write_bytes(self._hub.blobs.get_bytes(digest))

    def _lay_provenance(self) -> None:
        signed = [version for version in self._detail.versions if version.provenance]
        if not signed:
            return
        for name in ("provenance", "keys"):
            (self.root / name).mkdir()
        for version in signed:
            name = f"{version.model}-v{version.version}.dsse.json".replace("/", "-")
            (self.root / "provenance" / name).write_bytes(self._hub.blobs.get_bytes(version.provenance))
        for key in self._hub.list_keys():
            (self.root / "keys" / f"{key['key_id']}.pem").write_text(key["pem"])


_CPUS: Final = next(it.default for it in msgspec.structs.fields(StageWork) if it.name == "cpus")


def blob_member(digest: str) -> str:
    """Name the member that holds a small blob: a manifest, or the lock of the environment."""
    return f"blobs/{digest.removeprefix('blake3:')}.json"


def small_blobs(document: dict[str, Any]) -> list[str]:
    """Name the small blobs that an archive needs to be taken into a hub again."""
    named = [document["code_manifest"], document["environment"]["manifest"]]
    return sorted({digest for digest in (*named, *(it["manifest"] for it in document["inputs"])) if digest})


def _entry(entry: ManifestEntry, place: str, folder: Path) -> dict[str, Any]:
    if entry.link is not None:
        return {"path": entry.path, "link": entry.link}
    sha256 = hash_file(folder / entry.path, sha256=True).sha256
    found = {"path": entry.path, "member": f"{place}/{entry.path}", "sha256": sha256}
    return {**found, "executable": True} if entry.executable else found


def _machine_of(platform: str) -> str:
    """Give the processor's name at the end of a wheel platform; empty if there is none."""
    return next((it for it in ("x86_64", "aarch64", "arm64", "i686") if platform.endswith(it)), "")


def _is_yaml(path: str) -> bool:
    return path.endswith((".yaml", ".yml"))


def _lines(trajectory: Trajectory) -> bytes:
    """Write steps as JSON lines."""
    encoder = msgspec.json.Encoder(order="sorted")
    return b"".join(
        encoder.encode({"stream": it.stream, "step": it.step, "digests": it.digests, "values": it.values})
        + b"\n"
        for it in trajectory.steps
    )


def _members(root: Path) -> Iterator[tuple[str, Path]]:
    # Links are kept in the document: what opens a zip file elsewhere may not know them.
    found = (Path(folder) / name for folder, _, names in os.walk(root) for name in names)
    members = {path.relative_to(root).as_posix(): path for path in found if not path.is_symlink()}
    yield from sorted(members.items())


def _zip(root: Path, document: dict[str, Any], target: Path) -> str:
    """Write the file, and give the SHA-256 of its document."""
    (root / DOCUMENT).write_bytes(msgspec.json.format(msgspec.json.encode(document, order="sorted")))
    with zipfile.ZipFile(target, "w") as archive:
        for name, path in _members(root):
            info = zipfile.ZipInfo(name, _TIME)
            info.external_attr = (0o755 if os.access(path, os.X_OK) else 0o644) << 16
            info.file_size = path.stat().st_size
            is_compressed = name.endswith(_COMPRESSED)
            info.compress_type = zipfile.ZIP_STORED if is_compressed else zipfile.ZIP_DEFLATED
            with archive.open(info, "w") as member, open(path, "rb") as file:
                shutil.copyfileobj(file, member, 1 << 20)
    return hashlib.sha256((root / DOCUMENT).read_bytes()).hexdigest()
