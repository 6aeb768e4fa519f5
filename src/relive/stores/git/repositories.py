"""The projects' bare repositories in one folder."""

import re
import shutil
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Final

from relive.core.ids import check_name
from relive.errors import Conflict, GitFailed, InvalidInput, NotFound
from relive.ports.blobs import BlobStore
from relive.ports.repositories import ARCHIVE, CommitInfo, GitBlob, Snapshot, TreeEntry
from relive.stores.git import layout, objects, snapshot
from relive.stores.git.command import PROTOCOLS, STREAM_TIMEOUT_S, run

_ZERO: Final = "0" * 40
_OID: Final = re.compile(r"[0-9a-f]{40}(?:[0-9a-f]{24})?")
_SHOWN: Final = ("refs/heads/", "refs/tags/")


class GitRepositories:
    """Keeps `ports.repositories.Repositories` with the git binary.

    Args:
        root: Folder of the repositories, `PROJECT.git` each, and of the hub's hooks.
        push_limit_bytes: Largest pack that a push may bring.
        protocols: Ways to another repository that `fetch` and `ls_remote` may take.
    """

    def __init__(
        self, root: Path, *, push_limit_bytes: int = 100 * 1024 * 1024, protocols: Sequence[str] = PROTOCOLS
    ) -> None:
        self.root = root.absolute()
        self.hooks_folder = self.root / "hooks"
        self.push_limit_bytes = push_limit_bytes
        self._protocols = {"GIT_ALLOW_PROTOCOL": ":".join(protocols)}

    def path(self, project: str) -> Path:
        """Give the folder of a project's repository, whether or not it exists.

        Raises:
            InvalidName: This cannot be a project's name.
        """
        return self.root / f"{check_name('project', project)}.git"

    def exists(self, project: str) -> bool:
        return (self.path(project) / "HEAD").is_file()

    def ensure(self, project: str, *, default_branch: str | None = None) -> None:
        layout.ensure(
            self.path(project),
            hooks=self.hooks_folder,
            limit_bytes=self.push_limit_bytes,
            default_branch=default_branch,
        )

    def remove(self, project: str) -> None:
        path = self.path(project)
        if not path.is_dir():
            return
        with layout.alone(path) as is_alone:
            if not is_alone or run(["for-each-ref", "--count=1"], path):
                raise Conflict(
                    subject=f"the repository of {project!r}", reason="it holds commits, or is in use"
                )
            shutil.rmtree(path)

    def refs(self, project: str) -> dict[str, str]:
        out = run(["for-each-ref", "--format=%(objectname) %(refname)", *_SHOWN], self._existing(project))
        lines = out.decode(errors="surrogateescape").splitlines()
        return {name: oid for oid, _, name in (line.partition(" ") for line in lines)}

    def resolve(self, project: str, rev: str) -> str:
        repository = self._existing(project)
        if rev and not rev.startswith(("-", "^")) and "\0" not in rev:
            try:
                args = ["rev-parse", "--verify", "--quiet", "--end-of-options", f"{rev}^{{commit}}"]
                return run(args, repository).decode().strip()
            except GitFailed:
                pass  # its words are about git's own syntax; ours say what was looked for
        raise NotFound(
            kind="commit, branch or tag",
            name=rev,
            hint=f"push it first; {project} has: {self._names(project)}",
        )

    def is_ancestor(self, project: str, old: str, new: str) -> bool:
        old, new = self.resolve(project, old), self.resolve(project, new)
        return run(["rev-list", "--max-count=1", old, f"^{new}", "--"], self.path(project)) == b""

    def commit_info(self, project: str, commit: str) -> CommitInfo:
        return self.log(project, commit, limit=1)[0]

    def log(self, project: str, rev: str, *, limit: int = 50) -> list[CommitInfo]:
        return objects.commits(self.path(project), self.resolve(project, rev), limit)

    def roots(self, project: str) -> list[str]:
        out = run(["rev-list", "--max-parents=0", "--branches"], self._existing(project))
        return out.decode().split()

    def changed_files(self, project: str, old: str, new: str) -> list[str]:
        before = "" if old in ("", _ZERO) else self.resolve(project, old)
        return objects.changed_files(self.path(project), before, self.resolve(project, new))

    def tree(self, project: str, commit: str) -> Iterator[TreeEntry]:
        return objects.tree(self.path(project), self.resolve(project, commit))

    def read_file(self, project: str, commit: str, path: str, *, limit_bytes: int) -> bytes | None:
        repository, commit = self.path(project), self.resolve(project, commit)
        # No tree holds such names, and to git they mean something else.
        is_plain = "\0" not in path and not {"", ".", ".."}.intersection(path.split("/"))
        entries = objects.tree(repository, commit, path) if is_plain else ()
        found = [entry for entry in entries if entry.path == path]
        if not found:
            return None
        (entry,) = found
        if not entry.is_file:
            kind = "a link" if entry.is_link else "a folder or submodule"
            raise InvalidInput(field=path, value=kind, wanted="a regular file")
        if entry.size_bytes > limit_bytes:
            raise InvalidInput(
                field=path, value=entry.size_bytes, wanted=f"a file of at most {limit_bytes} bytes"
            )
        return b"".join(chunk for blob in objects.blobs(repository, [entry.oid]) for chunk in blob.chunks)

    def read_blobs(self, project: str, oids: Iterable[str]) -> Iterator[GitBlob]:
        return objects.blobs(self._existing(project), (_oid(oid) for oid in oids))

    def snapshot(self, project: str, commit: str, blobs: BlobStore) -> Snapshot:
        return snapshot.take(self.path(project), self.resolve(project, commit), blobs)

    def archive(self, project: str, commits: Iterable[str]) -> None:
        repository = self._existing(project)
        asked = "".join(f"{_oid(commit)}\n" for commit in commits if commit != _ZERO)
        known = run(["cat-file", "--batch-check=%(objectname)"], repository, stdin=asked.encode()).decode()
        lines = [line for line in known.splitlines() if not line.endswith(" missing")]
        self._update(repository, "".join(f"update {ARCHIVE}{oid} {oid}\n" for oid in lines))

    def fetch(
        self, project: str, url: str, refspecs: Sequence[str], *, env: Mapping[str, str] | None = None
    ) -> dict[str, str]:
        repository, before = self._existing(project), self.refs(project)
        args = ["fetch", "--quiet", "--no-tags", "--no-write-fetch-head", "--no-auto-gc"]
        with layout.in_use(repository) as mark:
            run(
                [*args, "--no-recurse-submodules", "--end-of-options", url, *refspecs],
                repository,
                env={**self._protocols, **(env or {})},
                timeout_s=STREAM_TIMEOUT_S,
                hold=mark,
            )
        after = self.refs(project)
        # A process killed before this line has lost nothing either: nothing is ever pruned.
        self.archive(
            project, (oid for name, oid in before.items() if self._left(project, oid, after.get(name)))
        )
        return after

    def ls_remote(self, url: str, *, env: Mapping[str, str] | None = None) -> dict[str, str]:
        env = {**self._protocols, **(env or {})}
        out = run(["ls-remote", "--quiet", "--end-of-options", url], env=env).decode(errors="surrogateescape")
        pairs = (line.partition("\t") for line in out.splitlines())
        return {
            name: oid
            for oid, _, name in pairs
            if name == "HEAD" or (name.startswith(_SHOWN) and not name.endswith("^{}"))
        }

    def maintain(self, project: str) -> None:
        repository = self._existing(project)
        with layout.in_use(repository) as mark:
            run(["gc", "--quiet", "--no-prune"], repository, timeout_s=STREAM_TIMEOUT_S, hold=mark)

    def size_bytes(self, project: str) -> int:
        counted = run(["count-objects", "-v"], self._existing(project)).decode().splitlines()
        facts = dict(line.split(": ", 1) for line in counted)
        return 1024 * sum(int(facts[name]) for name in ("size", "size-pack", "size-garbage"))

    def _existing(self, project: str) -> Path:
        path = self.path(project)
        if not self.exists(project):
            raise NotFound(kind="repository of project", name=project, hint="relive init")
        return path

    def _left(self, project: str, old: str, new: str | None) -> bool:
        """Tell whether a ref that held `old` does not lead to it any more."""
        try:
            return new != old and (new is None or not self.is_ancestor(project, old, new))
        except NotFound:
            return True  # a tag of something that is no commit

    def _update(self, repository: Path, commands: str) -> None:
        if commands:
            with layout.in_use(repository) as mark:
                run(["update-ref", "--stdin"], repository, stdin=commands.encode(), hold=mark)

    def _names(self, project: str) -> str:
        names = [name.split("/", 2)[2] for name in self.refs(project)]
        return ", ".join(names[:10]) + ("…" if len(names) > 10 else "") if names else "nothing yet"


def _oid(text: str) -> str:
    if not _OID.fullmatch(text):
        raise NotFound(kind="git object", name=text)
    return text
