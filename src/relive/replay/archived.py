"""Archives with all that relive knows: replay one by its own code, and take one into a hub."""

import itertools
import os
import tempfile
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Final

import msgspec

from relive.client.hub import HubClient
from relive.client.importers.folder import ExportedFolder
from relive.client.importers.foreign import ForeignRun, Tree
from relive.client.importers.receive import Received, receive
from relive.core.artifact import Manifest
from relive.core.compare import compare, judge
from relive.core.tolerance import Limit
from relive.core.trajectory import StepRecord, Trajectory, Verdict, VerdictLevel
from relive.errors import CannotReplay, InvalidInput
from relive.replay.archive import blob_member
from relive.replay.archive_claims import claims_of
from relive.replay.kept import ENVIRONMENT, LOCK
from relive.replay.standalone.contents import Archive, ArchiveError, CannotMake, inside
from relive.replay.standalone.replaying import cpu_model, repeat
from relive.replay.standalone.spooled import Step, read_steps

# What a run that was imported keeps of its archive: statements that other hubs signed, and their keys.
PROVENANCE: Final = "archive/provenance"


def is_archive(text: str) -> bool:
    """Tell whether what was typed names a file that begins as a zip file does."""
    path = Path(text)
    try:
        with open(path, "rb") as file:
            return file.read(4) == b"PK\x03\x04"
    except OSError:
        return False


def open_archive(path: Path) -> Archive:
    """Open an archive.

    Raises:
        InvalidInput: The file is none.
    """
    try:
        return Archive(path)
    except ArchiveError as error:
        raise InvalidInput(field="file", value=str(path), wanted=f"an archive of a run ({error})") from error


def replay_archive(
    path: Path, limits: Mapping[str, Limit], *, python: str = "", quiet: bool = False
) -> Verdict:
    """Make the run of an archive again, without a hub, and judge the copy.

    Raises:
        InvalidInput: The file is no archive, or a limit is for a metric that the run does not have.
        CannotReplay: This machine lacks something, or the archive is damaged.
    """
    archive = open_archive(path)
    document = archive.document
    recorded = {key: float.fromhex(value) for key, value in document["record"]["metrics"].items()}
    for key in limits:
        if key not in recorded:
            wanted = f"a metric of the run: {', '.join(sorted(recorded)) or 'it has none'}"
            raise InvalidInput(field="--tolerance", value=key, wanted=wanted)
    try:
        with tempfile.TemporaryDirectory(prefix="relive-replay-") as folder:
            repeated = repeat(archive, Path(folder).resolve(), python=python, quiet=quiet)
        steps = read_steps(archive.read(document["record"]["steps"])) if document["record"]["steps"] else None
    except (ArchiveError, CannotMake) as error:
        raise CannotReplay(run=document["run"]["id"][:8], missing=str(error)) from error
    finally:
        archive.close()
    if repeated.failure:
        reason = f"The replay itself failed: {repeated.failure}"
        verdict = Verdict(level=VerdictLevel.UNRESOLVED, reason=reason)
    else:
        verdict = judge(
            recorded,
            {k: v for k, v in repeated.metrics.items() if k not in document["record"]["unread_metrics"]},
            steps=None if steps is None else compare(_trajectory(steps), _trajectory(repeated.steps)),
            outs=repeated.outs,
            known=dict(limits),
        )
    return msgspec.structs.replace(
        verdict,
        run_id=document["run"]["id"],
        inputs_differ=tuple(repeated.notes),
        machine=cpu_model(),
        facts={"archive": archive.digest},
    )


def receive_archive(
    hub: HubClient, path: Path, project: str, *, said: Callable[[Received], None] = lambda received: None
) -> list[Received]:
    """Take an archive into a hub: the inputs, then the run. Done again, it changes nothing.

    Args:
        project: Where the run goes.

    Raises:
        InvalidInput: The file is no archive, or damaged.
        HubUnreachable, HubRefused, StoreFull: As the calls have it; begin again.
    """
    archive = open_archive(path)
    try:
        with tempfile.TemporaryDirectory(prefix="relive-import-") as temporary:
            folder = Path(temporary)
            _keep_inputs(hub, archive, folder)
            for part in ("record/", "provenance/", "keys/"):
                target = folder / ("record" if part == "record/" else f"signed/{part}")
                archive.extract_folder(part, target)
            _lay_environment(archive, folder)
            source = _Source(folder)
            return receive(hub, source, project, said=said)
    except ArchiveError as error:
        raise InvalidInput(field="file", value=str(path), wanted=f"a whole archive ({error})") from error
    finally:
        archive.close()


class _Source:
    """The run of an archive that was laid out, with what it was signed with and what was said of it."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._exported = ExportedFolder(folder / "record")
        # The same as that of a folder: a run that came both ways is one.
        self.name = self._exported.name

    def runs(self) -> Iterator[ForeignRun]:
        """Give the run."""
        signed = self._folder / "signed"
        for run in self._exported.runs():
            trees = claims_of(self._folder / "record", run.trees, self._folder / "claims")
            if (signed / "provenance").is_dir():
                trees = (*trees, Tree(_free(PROVENANCE, trees), "artifact", signed))
            environment = self._folder / "environment"
            if environment.is_dir() and ENVIRONMENT not in {tree.path for tree in trees}:
                trees = (*trees, Tree(ENVIRONMENT, "artifact", environment))
            yield msgspec.structs.replace(run, trees=trees)


def _free(path: str, trees: tuple[Tree, ...]) -> str:
    """Give a path that no artifact has: statements of an earlier hub stay beside those of this one."""
    taken = {tree.path for tree in trees}
    names = (path if number == 1 else f"{path}-{number}" for number in itertools.count(1))
    return next(name for name in names if name not in taken)


def _keep_inputs(hub: HubClient, archive: Archive, folder: Path) -> None:
    """Store code, data, wheels and the documents that name them; each must have the digest of the record."""
    document = archive.document
    trees = [(document["code"], document["code_manifest"])]
    trees += [(it["entries"], it["manifest"]) for it in document["inputs"] if it["entries"]]
    for number, (entries, manifest) in enumerate(trees):
        if any("member" in entry and not entry["member"] for entry in entries):
            continue  # only its digests came with the archive
        root = folder / "trees" / str(number)
        root.mkdir(parents=True)
        archive.lay(entries, root)
        hub.blobs.put_files(root, Manifest.from_bytes(archive.read(blob_member(manifest))))
    for package in document["environment"]["packages"]:
        if package["member"]:
            wheel = inside(folder / "wheels", package["filename"])
            archive.extract(package["member"], wheel)
            _check(hub.blobs.put_file(wheel), package["blob"], package["filename"])
    for member in archive.below("blobs/"):
        stored = hub.blobs.put_bytes(archive.read(member))
        _check(blob_member(stored), member, member)


def _check(found: str, wanted: str, what: str) -> None:
    if found != wanted:
        raise ArchiveError(f"{what} is {found}, and the record names {wanted}")


def _lay_environment(archive: Archive, folder: Path) -> None:
    """Lay the wheels of a run without a lock out as its artifact: nothing else keeps them."""
    environment = archive.document["environment"]
    if not environment.get("of_replay"):
        return
    target = folder / "environment"
    target.mkdir()
    (target / LOCK).write_bytes(archive.read(blob_member(environment["manifest"])))
    for package in environment["packages"]:
        if package["member"]:
            os.link(inside(folder / "wheels", package["filename"]), inside(target, package["filename"]))


def _trajectory(steps: list[Step]) -> Trajectory:
    return Trajectory(steps=tuple(msgspec.convert(step, StepRecord) for step in steps))
