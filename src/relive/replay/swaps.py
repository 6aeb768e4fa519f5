"""What two runs do not share, as single exchanges: each can be put into a draft of the first alone."""

import difflib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import partial
from typing import Final

from relive.client.blobs import BlobClient
from relive.core.artifact import ManifestEntry
from relive.core.attribution import Suspect
from relive.core.facts import FactGroup, group_of_variable
from relive.core.paths import is_within
from relive.replay.documents import MAX_BYTES, differing_keys
from relive.replay.draft import Draft
from relive.replay.hunks import MOST_BYTES, Change, changes_of, is_same_program, text_of, tree_of
from relive.replay.packages import exchangeable
from relive.runner.environment.wheels import WheelStore

# How likely a difference of a group matters, as weights of the search; data before params before packages.
_WEIGHTS: Final = {
    FactGroup.DATA: 16.0,
    FactGroup.PARAMS: 15.0,
    FactGroup.COMMAND: 12.0,
    FactGroup.IMPORTED: 8.0,
    FactGroup.CODE: 6.0,
    FactGroup.INTERPRETER: 4.0,
    FactGroup.THREADS: 3.0,
}
_SELDOM: Final = 1.0
# They are imported nearly everywhere, and seldom change a result.
_NUMERIC: Final = frozenset({"numpy", "scipy"})
_NUMERIC_WEIGHT: Final = 4.0
_DATA_SUFFIXES: Final = frozenset(
    {
        *("csv", "tsv", "jsonl", "ndjson", "parquet", "feather", "arrow", "avro", "orc", "db", "sqlite"),
        *("npy", "npz", "h5", "hdf5", "mat", "pkl", "joblib", "pt", "safetensors", "txt"),
        *("png", "jpg", "jpeg", "tif", "tiff", "wav", "flac", "mp3"),
        *("gz", "bz2", "xz", "zst", "zip", "tar"),
    }
)
# Code that is exchanged line by line; half of another format may be none of it.
_BY_LINES: Final = (".py", ".sh", ".bash", ".r", ".R", ".jl")
# relive reads them before the command starts, and the command does not.
_PIPELINE_FILES: Final = frozenset({"relive.yaml", "dvc.yaml", "dvc.lock", "MLproject", ".gitignore"})


@dataclass(frozen=True)
class Swap:
    """One exchange.

    Attributes:
        name: Unique among all: a path, "params.yaml:lr", a package, a variable.
        before: What the first run has, for people; "" for nothing.
        after: What the second has.
        put: Puts it into a draft of the first run.
        cleared: Why it cannot matter; empty if it can.
        path: Of the file it is in; empty for what is none.
        part: Which one of the `parts` that its file was taken apart into, from 1; 0 for a whole.
    """

    name: str
    group: FactGroup
    before: str
    after: str
    put: Callable[[Draft], None]
    cleared: str = ""
    path: str = ""
    part: int = 0
    parts: int = 1

    @property
    def suspect(self) -> Suspect:
        """Give it as the search knows it."""
        # The parts of a file share its weight: it is as likely to matter as if it had been left whole.
        weight = max(_WEIGHTS.get(self.group, _SELDOM) / self.parts, _SELDOM)
        return Suspect(self.name, _NUMERIC_WEIGHT if self.name in _NUMERIC else weight)


def find_swaps(one: Draft, other: Draft, blobs: BlobClient) -> list[Swap]:
    """Give all that can be exchanged, the likeliest to matter first.

    Raises:
        EnvironmentFailed: A wheel of the two environments is kept nowhere.
        BlobNotFound: The hub lacks a file.
    """
    found = [
        *_files(one, other, blobs),
        *_inputs(one, other),
        *_words(one, other),
        *_environment(one, other, WheelStore(blobs)),
        *_variables(one, other),
    ]
    return sorted(_with_own_names(found), key=_place)


def _place(swap: Swap) -> tuple[float, int, str, int]:
    """Give what sorts swaps: parts of a file stay side by side, as one often needs another."""
    return -swap.suspect.weight, swap.group, swap.path if swap.part else swap.name, swap.part


def _with_own_names(swaps: list[Swap]) -> Iterator[Swap]:
    """Tell apart what has the same name: an option that stands twice, a package named as a folder."""
    seen: dict[str, int] = {}
    for swap in swaps:
        seen[swap.name] = number = seen.get(swap.name, 0) + 1
        yield swap if number == 1 else replace(swap, name=f"{swap.name} ({swap.group.label}, {number})")


def _files(one: Draft, other: Draft, blobs: BlobClient) -> Iterator[Swap]:
    was, is_ = _all_files(one, other), _all_files(other, one)
    for path in sorted(was.keys() | is_.keys()):
        before, after = was.get(path), is_.get(path)
        if before != after:
            yield from _file(path, before, after, other, blobs)


def _all_files(draft: Draft, other: Draft) -> dict[str, ManifestEntry]:
    """Give the files of code and inputs; an input that the other lacks is exchanged as a whole instead."""
    found = dict(draft.code)
    for name in draft.data.keys() & other.data.keys():
        found |= draft.data[name]
    return found


def _file(
    path: str, before: ManifestEntry | None, after: ManifestEntry | None, other: Draft, blobs: BlobClient
) -> Iterator[Swap]:
    is_laid_over = any(path in files for files in other.data.values())
    keys = None if is_laid_over else _keys(path, before, after, blobs)
    if keys and after is not None:
        for key, (was, is_) in keys.items():
            put = partial(_put_key, path, after.digest, key, other)
            yield Swap(f"{path}:{'.'.join(key)}", FactGroup.PARAMS, was, is_, put, path=path)
        return
    group = FactGroup.DATA if _is_data(path, other) else FactGroup.CODE
    why_clear = "same values" if keys == {} else _why_clear(path, before, after, other, blobs)
    changed = [] if why_clear or is_laid_over else list(_hunks(path, before, after, blobs))
    if changed:
        yield from changed
        return
    yield Swap(
        name=path,
        group=group,
        before=_digest(before),
        after=_digest(after),
        put=lambda draft: draft.put_file(path, other),
        cleared=why_clear,
        path=path,
    )


def _keys(
    path: str, before: ManifestEntry | None, after: ManifestEntry | None, blobs: BlobClient
) -> dict[tuple[str, ...], tuple[str, str]] | None:
    """Give what differs within a params file; None for other files."""
    if before is None or after is None or path.rpartition(".")[2] not in ("json", "yaml", "yml"):
        return None
    if path in _PIPELINE_FILES or max(before.size_bytes, after.size_bytes) > MAX_BYTES:
        return None
    if before.link is not None or after.link is not None:
        return None
    return differing_keys(blobs.get_bytes(before.digest), blobs.get_bytes(after.digest), path)


def _put_key(path: str, version: str, keys: tuple[str, ...], other: Draft, draft: Draft) -> None:
    draft.documents.setdefault(path, (version, []))[1].append(keys)
    name = ".".join(keys)
    for param in (name, f"{path}:{name}"):
        if param in other.params and param in draft.params:
            draft.params[param] = other.params[param]


def _is_data(path: str, draft: Draft) -> bool:
    if path.endswith((".py", ".ipynb", ".sh", ".toml", ".md")):
        return False
    suffix = path.rpartition(".")[2].lower()
    return suffix in _DATA_SUFFIXES or any(it != "." and is_within(path, it) for it in draft.deps)


def _why_clear(
    path: str, before: ManifestEntry | None, after: ManifestEntry | None, other: Draft, blobs: BlobClient
) -> str:
    lock, declared = other.side.lock, other.side.recipe.declared
    if path in _PIPELINE_FILES or (lock is not None and path == lock.source):
        return "relive reads it, not the command"
    if any(is_within(path, written) for written in (*declared.outs, *declared.metrics_files)):
        return "the command writes it"
    if not path.endswith(".py") or before is None or after is None:
        return ""
    tree = _tree(before, blobs)
    return "same syntax tree" if tree is not None and tree == _tree(after, blobs) else ""


def _tree(entry: ManifestEntry, blobs: BlobClient) -> str | None:
    if entry.link is not None or entry.size_bytes > MAX_BYTES:
        return None
    return tree_of(blobs.get_bytes(entry.digest))


def _hunks(
    path: str, before: ManifestEntry | None, after: ManifestEntry | None, blobs: BlobClient
) -> Iterator[Swap]:
    """Give the changes of a file of code; nothing for what is not exchanged by lines."""
    if before is None or after is None or not path.endswith(_BY_LINES) or before.link or after.link:
        return
    if before.executable != after.executable or max(before.size_bytes, after.size_bytes) > MOST_BYTES:
        return
    old, new = (blobs.get_bytes(it.digest) for it in (before, after))
    is_python = path.endswith(".py")
    changes = changes_of(old, new, is_python=is_python)
    for number, change in enumerate(changes, start=1):
        is_same = is_python and is_same_program(old, changes, change)
        yield Swap(
            name=f"{path}:{','.join(hunk.lines for hunk in change)}",
            group=FactGroup.CODE,
            before=text_of(change, "old"),
            after=text_of(change, "new"),
            put=partial(_put_change, path, change),
            cleared="same syntax tree" if is_same else "",
            path=path,
            part=number,
            parts=len(changes),
        )


def _put_change(path: str, change: Change, draft: Draft) -> None:
    draft.changes.setdefault(path, []).append(change)


def _digest(entry: ManifestEntry | None) -> str:
    if entry is None:
        return ""
    return f"link to {entry.link}" if entry.link is not None else entry.digest


def _inputs(one: Draft, other: Draft) -> Iterator[Swap]:
    """Give the declared inputs that only one has, or whose files are not known."""
    for path in sorted(one.deps.keys() | other.deps.keys()):
        before, after = one.deps.get(path), other.deps.get(path)
        if before == after or (before and after and _has_files(path, one, other)):
            continue
        was, is_ = (it.manifest if it else "" for it in (before, after))
        yield Swap(path, FactGroup.DATA, was, is_, partial(_put_input, path, other))


def _has_files(path: str, one: Draft, other: Draft) -> bool:
    """Tell whether both have the files of an input, so that they are exchanged one by one."""
    origins = {draft.deps[path].origin == "code" for draft in (one, other)}
    return origins == {True} or (path in one.data and path in other.data)


def _put_input(path: str, other: Draft, draft: Draft) -> None:
    if path in other.deps:
        draft.deps[path] = other.deps[path]
        if path in other.data:
            draft.data[path] = dict(other.data[path])
    else:
        del draft.deps[path]


def _words(one: Draft, other: Draft) -> Iterator[Swap]:
    """Give the words in which two commands differ, and the folder they start in."""
    for number, (place, words) in enumerate(_word_changes(one.words, other.words)):
        old, new = "".join(one.words[place]).strip(), "".join(words).strip()
        name = _word_name(one.words, place.start, old, new) or f"command, part {number + 1}"
        yield Swap(name, FactGroup.PARAMS, old, new, partial(_put_words, place, words))
    if one.workdir != other.workdir:

        def put_folder(draft: Draft) -> None:
            draft.workdir = other.workdir

        yield Swap("folder", FactGroup.COMMAND, one.workdir, other.workdir, put_folder)


def _word_changes(was: list[str], is_: list[str]) -> Iterator[tuple[slice, list[str]]]:
    """Give places of one command, never empty, and what the other has there."""
    matcher = difflib.SequenceMatcher(a=was, b=is_, autojunk=False)
    for tag, start, end, start_, end_ in matcher.get_opcodes():
        if tag == "replace" and end - start == end_ - start_:
            pairs = zip(range(start, end), range(start_, end_), strict=True)
            yield from ((slice(i, i + 1), [is_[j]]) for i, j in pairs if was[i] != is_[j])
        elif tag == "insert":
            # With the word before it, or after it at the beginning: an empty place would move the others.
            beside = slice(start - 1, start) if start else slice(0, 1)
            new = is_[start_:end_]
            yield beside, [*was[beside], *new] if start else [*new, *was[beside]]
        elif tag != "equal":
            yield slice(start, end), is_[start_:end_]


def _word_name(words: list[str], start: int, old: str, new: str) -> str:
    """Name a word as people know it: by the option before it, or by what stands before its "="."""
    key, equals, _ = old.partition("=")
    if equals and new.startswith(f"{key}="):
        return key
    before = [word for word in words[:start] if word.strip()]
    return before[-1] if before and before[-1].startswith("-") else ""


def _put_words(place: slice, words: list[str], draft: Draft) -> None:
    # The number of items stays, so that the places of other exchanges stay what they are.
    draft.words[place.start : place.stop] = ["".join(words), *[""] * (place.stop - place.start - 1)]


def _environment(one: Draft, other: Draft, wheels: WheelStore) -> Iterator[Swap]:
    was, is_ = one.side.lock, other.side.lock
    if one.environment == other.environment:
        return
    if was is None or is_ is None or _minor(was.python) != _minor(is_.python):

        def put_environment(draft: Draft) -> None:
            draft.environment = other.environment

        old, new = (f"Python {lock.python}" if lock else "none" for lock in (was, is_))
        yield Swap("environment", FactGroup.IMPORTED, old, new, put_environment)
        return
    if was.python != is_.python:

        def put_python(draft: Draft) -> None:
            draft.python = other.python

        yield Swap("python", FactGroup.INTERPRETER, was.python, is_.python, put_python)
    for names in exchangeable(was, is_, wheels):
        yield _package(names, one, other)


def _package(names: tuple[str, ...], one: Draft, other: Draft) -> Swap:
    imported = {name for name in names if name in _imported(one) | _imported(other)}
    both = one.packages.keys() & other.packages.keys()
    lead = min(names, key=lambda name: (name not in both, name not in imported, name in _NUMERIC, name))
    old, new = (_versions(names, draft) for draft in (one, other))
    is_known = all(it.side.recipe.observed and it.side.recipe.observed.distributions for it in (one, other))
    return Swap(
        name=lead if len(names) == 1 else f"{lead} with {', '.join(name for name in names if name != lead)}",
        group=FactGroup.IMPORTED if imported else FactGroup.PACKAGES,
        before=old,
        after=new,
        put=partial(_put_packages, names, other),
        cleared="neither run imported it" if is_known and not imported else "",
    )


def _imported(draft: Draft) -> set[str]:
    observed = draft.side.recipe.observed
    return {it.name for it in observed.distributions if it.imported} if observed else set()


def _versions(names: tuple[str, ...], draft: Draft) -> str:
    """Give what a draft has of these packages: the version if it is one, else each with its name."""
    found = [draft.packages[name] for name in names if name in draft.packages]
    if len(names) == 1:
        return "".join(it.version for it in found)
    return ", ".join(f"{it.name} {it.version}" for it in found)


def _put_packages(names: tuple[str, ...], other: Draft, draft: Draft) -> None:
    for name in names:
        draft.packages.pop(name, None)
        if name in other.packages:
            draft.packages[name] = other.packages[name]


def _minor(version: str) -> str:
    return ".".join(version.split(".")[:2])


def _variables(one: Draft, other: Draft) -> Iterator[Swap]:
    """Give the variables that differ; those of thread pools that change alike are one."""
    together: dict[tuple[FactGroup, str, str, str], list[str]] = {}
    for name in sorted(one.env.keys() | other.env.keys()):
        old, new = one.env.get(name, ""), other.env.get(name, "")
        if (name in one.env) != (name in other.env) or old != new:
            group = group_of_variable(name)
            alone = "" if group is FactGroup.THREADS else name
            together.setdefault((group, old, new, alone), []).append(name)
    for (group, old, new, _), names in together.items():
        name = names[0] if len(names) == 1 else f"{names[0]} and {len(names) - 1} more"
        yield Swap(name, group, old, new, partial(_put_variables, tuple(names), other))


def _put_variables(names: tuple[str, ...], other: Draft, draft: Draft) -> None:
    for name in names:
        draft.env.pop(name, None)
        if name in other.env:
            draft.env[name] = other.env[name]


def cleared(swap: Swap, reason: str) -> Swap:
    """Give a swap as cleared, if it was not already."""
    return swap if swap.cleared else replace(swap, cleared=reason)
