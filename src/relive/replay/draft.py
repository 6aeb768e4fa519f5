"""A run's inputs taken apart, so that single ones can be exchanged, and put together again as work to do.

A draft begins as one of the two runs; `replay.swaps` says what of the other can be put into it. What comes
out is the work of a stage like any other: the runner does not know that nobody ever ran just this.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

import msgspec

from relive.client.blobs import BlobClient
from relive.core.artifact import Manifest, ManifestEntry
from relive.core.digest import Digest
from relive.core.paths import is_within
from relive.core.recipe import DataInput, EnvironmentLock, LockedPackage
from relive.formats.locks import lock_bytes
from relive.replay.diff import Side
from relive.replay.documents import Keys, with_keys_of
from relive.replay.hunks import Change, with_changes
from relive.replay.plan import had_network, held_as, repository_of, variables_of
from relive.wire.jobs import StageWork

# A word ends where no quote is open: a quoted argument with spaces is one.
_WORDS: Final = re.compile(r"""\s+|(?:[^\s"']|"[^"]*"|'[^']*'|["'])+""")


@dataclass
class Draft:
    """The inputs of a run in a form that can be changed.

    Attributes:
        code: Path to the file of the code.
        deps: Declared inputs by path.
        data: Path of a declared input that is not of the code to its files.
        words: The command, each word and each space between them.
        documents: Path of a params file to the version of it whose values are taken, and for which keys.
        changes: Path of a file of the code to the changes that are made to it.
        python: Version of the interpreter; `packages` by name. Both are unused without a lock.
    """

    side: Side
    code: dict[str, ManifestEntry]
    deps: dict[str, DataInput]
    data: dict[str, dict[str, ManifestEntry]]
    words: list[str]
    env: dict[str, str]
    params: dict[str, Any]
    environment: Digest
    python: str = ""
    packages: dict[str, LockedPackage] = field(default_factory=dict)
    documents: dict[str, tuple[Digest, list[Keys]]] = field(default_factory=dict)
    changes: dict[str, list[Change]] = field(default_factory=dict)
    workdir: str = "."

    @classmethod
    def of(cls, side: Side, data: Mapping[str, Manifest]) -> "Draft":
        """Take a run apart, with the files of its declared inputs."""
        declared = side.recipe.declared
        return cls(
            side=side,
            code=_by_path(side.code),
            deps={it.path: it for it in declared.data},
            data={path: _by_path(manifest) for path, manifest in data.items()},
            words=words_of(declared.command),
            env=variables_of(side.recipe),
            params=dict(declared.params),
            environment=declared.environment,
            python=side.lock.python if side.lock else "",
            packages={it.name: it for it in side.lock.packages} if side.lock else {},
            workdir=declared.workdir,
        )

    def put_file(self, path: str, other: "Draft") -> None:
        """Take a file from another draft: of the code, of the inputs, or of both."""
        _put(self.code, path, other.code.get(path))
        for name, files in self.data.items():
            if path in files or path in other.data.get(name, {}):
                _put(files, path, other.data.get(name, {}).get(path))

    def work(self, blobs: BlobClient, outs: tuple[str, ...], metrics_files: tuple[str, ...]) -> StageWork:
        """Put it together again; what nobody ever had (manifests, a lock) is stored.

        Raises:
            BlobNotFound: The hub lacks a params file, or one that is changed.
        """
        for path, changes in self.changes.items():
            self._rewrite(path, with_changes(blobs.get_bytes(self.code[path].digest), changes), blobs)
        for path, (other, keys) in self.documents.items():
            self._write_document(path, other, keys, blobs)
        declared = self.side.recipe.declared
        return StageWork(
            run_id="",
            project=self.side.detail.project,
            stage=self.side.detail.run.stage,
            commands=("".join(self.words),),
            code=_store(self.code, blobs),
            commit=declared.code.commit,
            branch=declared.code.branch,
            workdir=self.workdir,
            environment=self._store_environment(blobs),
            env=self.env,
            hermetic=held_as(self.side.recipe),
            network=had_network(self.side.recipe),
            deps=tuple(self._dep(dep, blobs) for dep in self.deps.values()),
            outs=outs,
            params=self.params,
            metrics_files=metrics_files,
            repository=repository_of(self.side.detail, self.side.recipe),
        )

    def _dep(self, dep: DataInput, blobs: BlobClient) -> DataInput:
        files = self.data.get(dep.path)
        if dep.origin == "code":
            files = {path: entry for path, entry in self.code.items() if is_within(path, dep.path)}
        if files is None:
            return dep
        manifest = Manifest.of(files.values())
        digest = blobs.put_manifest(manifest)
        return msgspec.structs.replace(dep, manifest=digest, size_bytes=manifest.size_bytes)

    def _store_environment(self, blobs: BlobClient) -> Digest:
        lock = self.side.lock
        if lock is None or self.environment != self.side.recipe.declared.environment:
            return self.environment  # another one as a whole
        packages = tuple(sorted(self.packages.values(), key=lambda it: it.name))
        if packages == lock.packages and self.python == lock.python:
            return self.environment
        changed: EnvironmentLock = msgspec.structs.replace(lock, python=self.python, packages=packages)
        return blobs.put_bytes(lock_bytes(changed))

    def _write_document(self, path: str, other: Digest, keys: list[Keys], blobs: BlobClient) -> None:
        entry = self.code[path]
        self._rewrite(
            path, with_keys_of(blobs.get_bytes(entry.digest), blobs.get_bytes(other), path, keys), blobs
        )

    def _rewrite(self, path: str, data: bytes, blobs: BlobClient) -> None:
        digest = blobs.put_bytes(data)
        self.code[path] = msgspec.structs.replace(self.code[path], digest=digest, size_bytes=len(data))


def words_of(command: str) -> list[str]:
    """Take a command apart into words and the spaces between them; joined they are the command again."""
    return _WORDS.findall(command)


def _by_path(manifest: Manifest) -> dict[str, ManifestEntry]:
    return {entry.path: entry for entry in manifest.entries}


def _put(files: dict[str, ManifestEntry], path: str, entry: ManifestEntry | None) -> None:
    if entry is None:
        files.pop(path, None)
    else:
        files[path] = entry


def _store(files: Mapping[str, ManifestEntry], blobs: BlobClient) -> Digest:
    return blobs.put_manifest(Manifest.of(files.values()))
