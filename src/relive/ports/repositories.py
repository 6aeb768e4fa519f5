"""What services ask of the hub's git repositories: one bare repository a project."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Final, Protocol

import msgspec

from relive.core.artifact import Manifest
from relive.core.digest import Digest
from relive.ports.blobs import BlobStore

ARCHIVE: Final = "refs/relive/archive/"
"""Under it lies a ref to each commit that a branch or tag has left; hidden from clients."""

_TYPE: Final = 0o170000
_FILE: Final = 0o100000
_LINK: Final = 0o120000
_SUBMODULE: Final = 0o160000


class CommitInfo(msgspec.Struct, frozen=True, kw_only=True):
    """One commit.

    Attributes:
        title: First line of its message.
        at: When it was committed, seconds since the epoch, UTC.
    """

    commit: str
    title: str
    author_name: str
    author_email: str
    at: float
    parents: tuple[str, ...] = ()


class TreeEntry(msgspec.Struct, frozen=True, kw_only=True):
    """One file, link or submodule of a commit's tree.

    Attributes:
        path: From the top, `/` between the names; bytes that are not UTF-8 as lone surrogates.
        mode: As git keeps it, such as 0o100755.
        oid: Of the blob; for a submodule the commit.
        size_bytes: Of the blob; 0 for a submodule.
    """

    path: str
    mode: int
    oid: str
    size_bytes: int

    @property
    def is_file(self) -> bool:
        """Tell whether it is a regular file."""
        return self.mode & _TYPE == _FILE

    @property
    def is_link(self) -> bool:
        """Tell whether it is a symbolic link."""
        return self.mode & _TYPE == _LINK

    @property
    def is_submodule(self) -> bool:
        """Tell whether it stands for a commit of another repository."""
        return self.mode & _TYPE == _SUBMODULE

    @property
    def executable(self) -> bool:
        """Tell whether it is a program."""
        return self.is_file and self.mode & 0o111 != 0


class GitBlob(msgspec.Struct, frozen=True, kw_only=True):
    """The content of one file; `chunks` can be read once, before the next blob is asked for."""

    oid: str
    size_bytes: int
    chunks: Iterator[bytes]


class Snapshot(msgspec.Struct, frozen=True, kw_only=True):
    """A commit's tree in the blob store.

    Attributes:
        manifest_digest: Of the manifest's own blob.
        warnings: Sentences for people: what is not in the manifest, or not what it seems.
        submodules: Path to commit.
    """

    manifest_digest: Digest
    manifest: Manifest
    warnings: tuple[str, ...] = ()
    submodules: dict[str, str] = {}


class Repositories(Protocol):
    """The projects' bare repositories.

    Promises, for every implementation:

    - A project is named by its checked name (`core.ids.check_name`); others are refused with `InvalidName`.
    - Nothing of a user's or the machine's git configuration has any influence.
    - Every call may be made from any thread and ends in bounded time.
    - A commit that a branch or tag once named is never lost: see `archive`.
    - `NotFound` says that there is no such project, commit or object; `GitFailed` that git could not do it.
    """

    def ensure(self, project: str, *, default_branch: str | None = None) -> None:
        """Create the project's repository, or mend what a killed process left of it; cheap if all is well.

        Args:
            default_branch: What HEAD names; None leaves it (`main` in a new repository).

        Raises:
            InvalidName: This cannot be the name of a branch.
        """
        ...

    def exists(self, project: str) -> bool: ...

    def remove(self, project: str) -> None:
        """Remove a repository in which nothing was ever kept; one that is not there is fine.

        Raises:
            Conflict: It holds commits, or somebody is pushing.
        """
        ...

    def refs(self, project: str) -> dict[str, str]:
        """Give each branch and tag by its whole name (`refs/heads/main`) with the id it holds.

        That of an annotated tag is the tag's own; `resolve` gives its commit.
        """
        ...

    def resolve(self, project: str, rev: str) -> str:
        """Give the commit that a branch, tag, whole or shortened id names."""
        ...

    def is_ancestor(self, project: str, old: str, new: str) -> bool:
        """Tell whether `new` has `old` in its history: if not, history was rewritten."""
        ...

    def commit_info(self, project: str, commit: str) -> CommitInfo: ...

    def log(self, project: str, rev: str, *, limit: int = 50) -> list[CommitInfo]:
        """List commits from `rev` back, the newest first."""
        ...

    def roots(self, project: str) -> list[str]:
        """Give the commits of all branches that have no parent, newest first."""
        ...

    def changed_files(self, project: str, old: str, new: str) -> list[str]:
        """List paths that differ between two commits; all of `new` if `old` is empty."""
        ...

    def tree(self, project: str, commit: str) -> Iterator[TreeEntry]:
        """Give the files, links and submodules of a commit, sorted as git sorts them."""
        ...

    def read_file(self, project: str, commit: str, path: str, *, limit_bytes: int) -> bytes | None:
        """Give a regular file's bytes, or None if there is nothing of that path.

        Raises:
            InvalidInput: It is a link, folder or submodule, or larger than the limit.
        """
        ...

    def read_blobs(self, project: str, oids: Iterable[str]) -> Iterator[GitBlob]:
        """Give blobs one after the other, in the order asked, through one process and in flat memory."""
        ...

    def snapshot(self, project: str, commit: str, blobs: BlobStore) -> Snapshot:
        """Store a commit's tree as a manifest and the blobs that the store does not have yet.

        All blobs are durable, and young enough to be left by gc, when this returns.
        """
        ...

    def archive(self, project: str, commits: Iterable[str]) -> None:
        """Keep commits that a branch or tag has left, whatever becomes of the refs; skips unknown ones."""
        ...

    def fetch(
        self, project: str, url: str, refspecs: Sequence[str], *, env: Mapping[str, str] | None = None
    ) -> dict[str, str]:
        """Fetch from another repository and give the refs afterwards; what refs left is archived.

        Args:
            url: Without a user's name or password; credentials come by `env`.
            refspecs: As git's, such as `+refs/heads/*:refs/heads/*`.
            env: Variables for git, such as GIT_CONFIG_COUNT with an `http.extraHeader`.
        """
        ...

    def ls_remote(self, url: str, *, env: Mapping[str, str] | None = None) -> dict[str, str]:
        """Give the branches and tags of another repository, and its HEAD, without fetching."""
        ...

    def maintain(self, project: str) -> None:
        """Pack loose objects and refs, so that reading stays fast; deletes nothing that was ever stored."""
        ...

    def size_bytes(self, project: str) -> int:
        """Give the room that the project's objects take on disk."""
        ...
