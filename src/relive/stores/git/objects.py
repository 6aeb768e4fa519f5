"""Reads what git prints about commits, trees and blobs."""

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import IO, Final

from relive.errors import GitFailed, NotFound
from relive.ports.repositories import CommitInfo, GitBlob, TreeEntry
from relive.stores.git.command import run, stream

CHUNK_BYTES: Final = 1024 * 1024
_COMMIT_FIELDS: Final = ("%H", "%P", "%an", "%ae", "%ct", "%s")
_EMPTY_TREE: Final = "4b825dc642cb6eb9a060e54bf8d69288fbee4904"


def commits(repository: Path, commit: str, limit: int) -> list[CommitInfo]:
    """List commits from one back, the newest first."""
    form = "%x00".join(_COMMIT_FIELDS) + "%x00"
    args = ["log", f"--max-count={limit}", f"--format=tformat:{form}", "--encoding=UTF-8", "--no-color"]
    out = run([*args, "--no-show-signature", commit, "--"], repository).decode(errors="replace")
    fields = out.split("\0")
    starts = range(0, len(fields) - len(_COMMIT_FIELDS) + 1, len(_COMMIT_FIELDS))
    return [_commit(fields[start : start + len(_COMMIT_FIELDS)]) for start in starts]


def _commit(fields: list[str]) -> CommitInfo:
    oid, parents, name, email, at, title = fields
    return CommitInfo(
        commit=oid.lstrip("\n"),  # git puts a line break between two commits
        title=title,
        author_name=name,
        author_email=email,
        at=float(at or 0),
        parents=tuple(parents.split()),
    )


def tree(repository: Path, commit: str, path: str | None = None) -> Iterator[TreeEntry]:
    """Give the entries of a commit's tree: all files, or only what lies at one path (not what is below)."""
    args = ["ls-tree", "-z", "-l", "--full-tree", *([] if path is not None else ["-r"]), commit]
    where = [] if path is None else ["--", path]
    with stream([*args, *where], repository) as (_, out):
        for record in _records(out):
            facts, _, name = record.partition(b"\t")
            mode, _, oid, size = facts.decode().split()
            yield TreeEntry(
                path=name.decode(errors="surrogateescape"),
                mode=int(mode, 8),
                oid=oid,
                size_bytes=0 if size == "-" else int(size),
            )


def _records(out: IO[bytes]) -> Iterator[bytes]:
    """Split a stream at NUL, holding one piece of it at a time."""
    rest = b""
    while chunk := out.read(65536):
        *records, rest = (rest + chunk).split(b"\0")
        yield from records


def blobs(repository: Path, oids: Iterable[str]) -> Iterator[GitBlob]:
    """Give blobs one after the other; what a caller leaves unread of one is passed over."""
    with stream(["cat-file", "--batch"], repository) as (requests, out):
        for oid in oids:
            requests.write(f"{oid}\n".encode())
            requests.flush()
            found, _, rest = out.readline().rstrip(b"\n").decode().partition(" ")
            if not rest.startswith("blob "):
                raise NotFound(kind="git blob", name=oid, hint="git fsck, in the project's repository")
            size = int(rest.removeprefix("blob "))
            chunks = _chunks(out, size)
            yield GitBlob(oid=found, size_bytes=size, chunks=chunks)
            for _ in chunks:
                pass
            if out.read(1) != b"\n":
                raise GitFailed(action="cat-file", reason=f"the content of {oid} ended early")


def _chunks(out: IO[bytes], size: int) -> Iterator[bytes]:
    while size:
        chunk = out.read(min(size, CHUNK_BYTES))
        if not chunk:
            raise GitFailed(action="cat-file", reason=f"its output ended {size} bytes early")
        size -= len(chunk)
        yield chunk


def changed_files(repository: Path, old: str, new: str) -> list[str]:
    """List the paths that differ between two commits; all of `new` if `old` is empty."""
    args = ["diff-tree", "-r", "-z", "--name-only", "--no-renames", "--no-ext-diff"]
    out = run([*args, old or _EMPTY_TREE, new, "--"], repository)
    return [name.decode(errors="surrogateescape") for name in out.split(b"\0") if name]
