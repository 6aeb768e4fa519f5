"""The Recipe: every input needed to make a run again.

It has a declared part, fixed before the start, and an observed part, closed at the end. The digest of
the declared part names the set of inputs. Times, host names and ids belong to neither digest.
"""

from typing import Any, Final

import msgspec

SCHEMA = "relive.recipe/1"


class Code(msgspec.Struct, frozen=True, kw_only=True):
    """The exact tree that ran.

    Attributes:
        manifest: Digest of the manifest of all files that were checked out.
        commit: Git commit, empty outside a repository.
        branch: Branch or ref name, empty if none.
        remote: Address of the origin without user info.
        dirty: Whether the tree differs from the commit (uncommitted or untracked files).
        submodules: Path to commit.
        withheld: Files present but never stored (secrets, ignored by rule, too large), with the reason.
    """

    manifest: str
    commit: str = ""
    branch: str = ""
    remote: str = ""
    dirty: bool = False
    submodules: dict[str, str] = {}
    withheld: dict[str, str] = {}


class Uncommitted(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What of the code was in no commit when the run began; the first hundred paths of each.

    Attributes:
        staged: Added to the next commit (`git add`).
        unstaged: Changed and not added; a file may be both.
        untracked: New, and not added.
    """

    staged: tuple[str, ...] = ()
    unstaged: tuple[str, ...] = ()
    untracked: tuple[str, ...] = ()

    def __str__(self) -> str:
        named = ((word, getattr(self, word)) for word in ("staged", "unstaged", "untracked"))
        return "; ".join(f"{word}: {', '.join(paths)}" for word, paths in named if paths)


class LockedPackage(msgspec.Struct, frozen=True, kw_only=True):
    """One wheel of an environment.

    Attributes:
        blob: BLAKE3 digest under which the blob store keeps the wheel, empty if it could not be kept.
        origin: "index", "path", "built" (from an sdist) or "vcs".
    """

    name: str
    version: str
    filename: str
    sha256: str
    size_bytes: int
    blob: str = ""
    origin: str = "index"


class EnvironmentLock(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """An environment that can be rebuilt without any index.

    Attributes:
        python: Exact interpreter version, "3.11.7".
        implementation: "cpython".
        platform: The wheel platform, "linux_x86_64".
        source: The file it came from ("uv.lock", "requirements.txt", …), empty for none.
        packages: Sorted by name.
        folders: Of the code, whose sources are used as they lie there; besides those that `source` names.
    """

    python: str
    implementation: str
    platform: str
    source: str
    packages: tuple[LockedPackage, ...]
    folders: tuple[str, ...] = ()


class DataInput(msgspec.Struct, frozen=True, kw_only=True):
    """One declared input: a file or folder by the digest of its manifest.

    Attributes:
        path: Where it lies in the working folder.
        manifest: Digest of its manifest (over all bytes).
        origin: "code", "stage:NAME", "dataset:NAME@VERSION" or "file".
    """

    path: str
    manifest: str
    size_bytes: int
    origin: str = "code"


class Declared(msgspec.Struct, frozen=True, kw_only=True):
    """Inputs fixed before the start; its digest names the recipe.

    Attributes:
        command: After expansion, as the shell sees it.
        workdir: Relative to the checkout.
        env: Declared environment variables; secrets by name only.
        environment: Digest of the EnvironmentLock, empty for the interpreter that was found.
        params: Declared params, flattened names.
        data: Declared deps.
        outs: Declared outs, relative paths.
        metrics_files: Files read for metrics after the end; of who names none, the one that it left.
        seed: What relive set (PYTHONHASHSEED and thread switches are in `env`).
    """

    command: str
    code: Code
    workdir: str = "."
    env: dict[str, str] = {}
    secrets: tuple[str, ...] = ()
    environment: str = ""
    image: str = ""
    params: dict[str, Any] = {}
    data: tuple[DataInput, ...] = ()
    outs: tuple[str, ...] = ()
    metrics_files: tuple[str, ...] = ()


class Hardware(msgspec.Struct, frozen=True, kw_only=True):
    """The machine; `gpus` holds name, memory and driver of each.

    Attributes:
        power: How its processors and accelerators were set to spend power, by name: governor, turbo, clocks.
    """

    cpu_model: str
    cpu_vendor: str
    cpu_flags_digest: str
    cores: int
    cores_allowed: int
    memory_bytes: int
    memory_limit_bytes: int | None = None
    gpus: tuple[dict[str, Any], ...] = ()
    driver: str = ""
    kernel: str = ""
    os: str = ""
    libc: str = ""
    power: dict[str, str] = {}


class LoadedLibrary(msgspec.Struct, frozen=True, kw_only=True):
    """A shared library that was really mapped; identified by build id, else by digest.

    Attributes:
        package: The operating system's package that brought it, "libc6 2.36-9"; empty if none did, or
            none is known. It explains, and identifies nothing: two packages may bring the same library.
    """

    path: str
    soname: str
    build_id: str = ""
    sha256: str = ""
    package: str = ""


class Distribution(msgspec.Struct, frozen=True, kw_only=True):
    """An installed distribution; `imported` if one of its modules was.

    Attributes:
        record_sha256: Over the files of its wheel and their hashes, as its RECORD lists them.
        origin: "index", "path", "vcs", "url", "conda" or "system".
        folder: Folder of the code it was installed from, "." for all of it; empty for anything else.
        address: Where it was fetched from, if not by its name from an index: "git+https://HOST/x@COMMIT";
            without user, password and query.
    """

    name: str
    version: str
    record_sha256: str = ""
    origin: str = "index"
    editable: bool = False
    imported: bool = False
    folder: str = ""
    address: str = ""


class Interpreter(msgspec.Struct, frozen=True, kw_only=True):
    """The Python that ran.

    Attributes:
        places: Folder of its environment: absolute, and relative to the code if it lay there.
    """

    version: str
    implementation: str
    executable_sha256: str = ""
    build: str = ""
    places: tuple[str, ...] = ()


READ_HINTS: Final = {
    "commit": "a change of it would not run this stage again: add it to deps",
    "ignored": "it is not in the commit: add it to deps, or have a stage make it",
    "outside": "it lies outside the repository: bring it in, or make it a data set (relive data add)",
}


class UndeclaredRead(msgspec.Struct, frozen=True, kw_only=True):
    """A file that was read, and that nobody had declared.

    Attributes:
        path: Relative to the checkout if it lies there, else absolute.
        digest: Over all bytes; empty if it changed after it was read, cannot be read by us, or is a secret.
        belongs: "commit" (in the code, but in no dep), "ignored" (in the folder, not in the code), "outside".
        line: Of the program's own Python that opened it, "train.py:12"; empty if a library or another did.
    """

    path: str
    size_bytes: int
    digest: str = ""
    belongs: str = "outside"
    line: str = ""

    @property
    def hint(self) -> str:
        """Say what to do about it."""
        return READ_HINTS[self.belongs]


class WrittenFile(msgspec.Struct, frozen=True, kw_only=True):
    """A file that the run left in its tree, and that nobody had declared.

    Attributes:
        path: Relative to the root of the code.
        digest: Over all bytes; empty if it is a secret, or too much was written to digest all of it.
        timeless: Of a text that names moments of the run, or the folder that it ran in: over the text
            without them; empty for every other file.
    """

    path: str
    size_bytes: int
    digest: str = ""
    timeless: str = ""


class ParsedParam(msgspec.Struct, frozen=True, kw_only=True):
    """A parameter as the program's own parser gave it, its default if the command line had none.

    Attributes:
        value: As JSON; "***" if the name or the form says that it is a secret.
        origin: "argparse", "hydra", "click" (Typer too), "absl" or "fire".
    """

    name: str
    value: Any
    origin: str


class Observed(msgspec.Struct, frozen=True, kw_only=True):
    """What was seen while it ran.

    Attributes:
        variables: Environment variables on the allow-list; secrets masked.
        threads: Size of each thread pool library's team.
        parsed: Parameters that the program's parser gave it, by name.
        unpushed: Whether no remote was known to have the commit; its files are kept all the same.
        uncommitted: What of the code was in no commit; its files are kept all the same.
        changed: Declared inputs whose bytes changed during the run: the run is tainted.
        reads: Files that were read and not declared, by path; the first thousand.
        written: Of a run that declares no out, the files that it left, by path; the first thousand.
        addresses: Where it connected to, "HOST:PORT".
        completeness: "full", "python-only" or "partial": how much the recorder saw.
        isolation: What held it: "landlock+seccomp", "seccomp", "landlock", "network" (it
            was kept from that alone: an offline replay) or "none".
        hermetic: Whether it can have read nothing but what it declares and what it is made of.
        network: Whether it could reach every address though it was hermetic, as it declares.
        notes: Sentences for people: what could not be seen and why.
    """

    hardware: Hardware
    interpreter: Interpreter | None = None
    distributions: tuple[Distribution, ...] = ()
    libraries: tuple[LoadedLibrary, ...] = ()
    variables: dict[str, str] = {}
    threads: tuple[dict[str, Any], ...] = ()
    random: dict[str, Any] = {}
    parsed: tuple[ParsedParam, ...] = ()
    unpushed: bool = False
    uncommitted: Uncommitted = Uncommitted()
    changed: tuple[str, ...] = ()
    reads: tuple[UndeclaredRead, ...] = ()
    written: tuple[WrittenFile, ...] = ()
    addresses: tuple[str, ...] = ()
    completeness: str = "python-only"
    isolation: str = "none"
    hermetic: bool = False
    network: bool = False
    notes: tuple[str, ...] = ()


class Recipe(msgspec.Struct, frozen=True, kw_only=True):
    """All inputs of a run as one document."""

    declared: Declared
    observed: Observed | None = None
    schema: str = SCHEMA
