"""The inputs of a run as single facts, so that two runs can be compared input by input.

The groups are in the order in which a difference most often explains another result: an order for people, and
for a search that tries the likely ones first.
"""

from collections.abc import Iterator, Mapping
from enum import IntEnum
from typing import Any

import msgspec

from relive.core.artifact import Manifest
from relive.core.command import command_of
from relive.core.recipe import Declared, EnvironmentLock, Observed, Recipe


class FactGroup(IntEnum):
    """What kind of input it is; the smaller, the likelier a difference in it matters."""

    DATA = 1
    PARAMS = 2
    COMMAND = 3
    IMPORTED = 4
    CODE = 5
    INTERPRETER = 6
    THREADS = 7
    HARDWARE = 8
    LIBRARIES = 9
    PACKAGES = 10
    VARIABLES = 11
    READS = 12

    @property
    def label(self) -> str:
        """Give the word people know it by."""
        return _LABELS[self]


_LABELS = {
    FactGroup.DATA: "data",
    FactGroup.PARAMS: "params",
    FactGroup.COMMAND: "command",
    FactGroup.IMPORTED: "packages it imported",
    FactGroup.CODE: "code",
    FactGroup.INTERPRETER: "interpreter",
    FactGroup.THREADS: "threads",
    FactGroup.HARDWARE: "hardware",
    FactGroup.LIBRARIES: "libraries",
    FactGroup.PACKAGES: "other packages",
    FactGroup.VARIABLES: "variables",
    FactGroup.READS: "undeclared reads",
}
# The switches of the numeric libraries: they change results, other variables hardly ever do.
_NUMERIC = (
    "OMP_",
    "MKL_",
    "OPENBLAS_",
    "BLIS_",
    "NUMEXPR_",
    "ATEN_",
    "ONEDNN_",
    "DNNL_",
    "CUBLAS_",
    "TORCH_",
)


class Fact(msgspec.Struct, frozen=True, kw_only=True):
    """One input.

    Attributes:
        name: What it is, unique within its group.
        value: What makes it this one and no other: a digest, a version, an exact value as JSON.
        source: Where it came from, told with the value where two differ; never a difference by itself.
    """

    group: FactGroup
    name: str
    value: str
    source: str = ""

    @property
    def told(self) -> str:
        """Its value, for people."""
        return f"{self.value} ({self.source})" if self.source else self.value


class Difference(msgspec.Struct, frozen=True, kw_only=True):
    """An input that two runs do not share; None where one of them has none of the name."""

    group: FactGroup
    name: str
    before: str | None
    after: str | None


class Trees(msgspec.Struct, frozen=True, kw_only=True):
    """The files behind a recipe's digests, where they are to be compared one by one.

    Attributes:
        code: Of the code; None to compare its digest alone.
        data: Path of a declared input to its files.
    """

    code: Manifest | None = None
    data: dict[str, Manifest] = {}


def facts_of(recipe: Recipe, lock: EnvironmentLock | None = None, trees: Trees | None = None) -> list[Fact]:
    """Give every input of a recipe as a fact.

    Args:
        recipe: The recipe.
        lock: Its environment; None if it had none.
        trees: The files of code and data.
    """
    trees = trees or Trees()
    found = [*_data(recipe.declared, trees), *_code(recipe.declared, trees), *_declared(recipe)]
    imported = {it.name for it in recipe.observed.distributions if it.imported} if recipe.observed else set()
    if lock is not None:
        found += _locked(lock, imported)
    if recipe.observed is not None:
        found += _observed(recipe.observed, has_lock=lock is not None)
    return found


def with_logged(recipe: Recipe, params: Mapping[str, Any]) -> Recipe:
    """Count params that a script logged among the declared ones: people know them by these names."""
    declared = recipe.declared
    counted = msgspec.structs.replace(declared, params={**params, **declared.params})
    return msgspec.structs.replace(recipe, declared=counted)


def differences(before: list[Fact], after: list[Fact]) -> list[Difference]:
    """Give what two lists of facts do not share, the likeliest to matter first.

    A package that only one of the two imported stands where it matters more.
    """
    was, is_ = _by_name(before), _by_name(after)
    found = []
    for key in was.keys() | is_.keys():
        one, other = was.get(key), is_.get(key)
        if one is None or other is None or one.value != other.value:
            group = min(fact.group for fact in (one, other) if fact is not None)
            found.append(
                Difference(
                    group=group,
                    name=key[1],
                    before=one.told if one else None,
                    after=other.told if other else None,
                )
            )
    return sorted(found, key=lambda it: (it.group, it.name))


def _by_name(facts: list[Fact]) -> dict[tuple[str, str], Fact]:
    """Index facts; a package counts as one wherever it stands."""
    packages = (FactGroup.IMPORTED, FactGroup.PACKAGES)
    return {("package" if it.group in packages else it.group.label, it.name): it for it in facts}


def _data(declared: Declared, trees: Trees) -> Iterator[Fact]:
    for dep in declared.data:
        tree = trees.data.get(dep.path)
        if tree is None:
            yield Fact(group=FactGroup.DATA, name=dep.path, value=dep.manifest)
        else:
            yield from _files(FactGroup.DATA, tree)


def _code(declared: Declared, trees: Trees) -> Iterator[Fact]:
    if trees.code is None:
        yield Fact(group=FactGroup.CODE, name="tree", value=declared.code.manifest)
        return
    # A file that is in the commit and declared as data, too, is told once.
    data = {fact.name for tree in trees.data.values() for fact in _files(FactGroup.DATA, tree)}
    yield from (fact for fact in _files(FactGroup.CODE, trees.code) if fact.name not in data)


def _files(group: FactGroup, tree: Manifest) -> Iterator[Fact]:
    for entry in tree.entries:
        value = f"link to {entry.link}" if entry.link is not None else entry.digest
        yield Fact(group=group, name=entry.path, value=f"{value} (program)" if entry.executable else value)


def _declared(recipe: Recipe) -> Iterator[Fact]:
    declared = recipe.declared
    command = {"command": command_of(recipe), "folder": declared.workdir, "image": declared.image}
    yield from _some(FactGroup.COMMAND, command)
    yield from _some(FactGroup.PARAMS, {key: _exact(value) for key, value in declared.params.items()})
    for name, value in declared.env.items():
        yield Fact(group=group_of_variable(name), name=name, value=value)


def _locked(lock: EnvironmentLock, imported: set[str]) -> Iterator[Fact]:
    yield Fact(group=FactGroup.INTERPRETER, name=lock.implementation, value=lock.python)
    for package in lock.packages:
        group = FactGroup.IMPORTED if package.name in imported else FactGroup.PACKAGES
        yield Fact(group=group, name=package.name, value=f"{package.version} sha256:{package.sha256}")


def _observed(seen: Observed, *, has_lock: bool) -> Iterator[Fact]:
    hardware = seen.hardware
    machine = {
        "processor": hardware.cpu_model,
        "processor's flags": hardware.cpu_flags_digest,
        "cores": str(hardware.cores_allowed),
        "kernel": hardware.kernel,
        "system": hardware.os,
        "libc": hardware.libc,
        "driver": hardware.driver,
        **hardware.power,
        **{f"gpu {index}": _exact(gpu) for index, gpu in enumerate(hardware.gpus)},
    }
    yield from _some(FactGroup.HARDWARE, machine)
    for library in seen.libraries:
        name = library.soname or library.path.rpartition("/")[2]
        value = library.build_id or library.sha256
        yield Fact(group=FactGroup.LIBRARIES, name=name, value=value, source=library.package)
    for pool in seen.threads:
        name = str(pool.get("internal_api") or pool.get("library") or "pool")
        yield Fact(group=FactGroup.THREADS, name=name, value=_exact(pool.get("threads")))
    for name, value in seen.variables.items():
        yield Fact(group=group_of_variable(name), name=name, value=value)
    for read in seen.reads:
        if read.belongs == "commit":
            continue  # one of the code's files, whether a dep names it or not
        yield Fact(group=FactGroup.READS, name=read.path, value=read.digest or "not digested")
    if not has_lock:
        yield from _found(seen)


def _found(seen: Observed) -> Iterator[Fact]:
    """Give the interpreter and the packages of an environment that no lock describes."""
    if seen.interpreter is not None:
        yield Fact(
            group=FactGroup.INTERPRETER, name=seen.interpreter.implementation, value=seen.interpreter.version
        )
    for item in seen.distributions:
        if item.folder:
            continue  # its sources are the code's
        group = FactGroup.IMPORTED if item.imported else FactGroup.PACKAGES
        yield Fact(group=group, name=item.name, value=f"{item.version} record:{item.record_sha256}")


def group_of_variable(name: str) -> FactGroup:
    """Say which kind of input an environment variable is."""
    return FactGroup.THREADS if name.startswith(_NUMERIC) else FactGroup.VARIABLES


def _some(group: FactGroup, values: Mapping[str, str]) -> Iterator[Fact]:
    for name, value in values.items():
        if value:
            yield Fact(group=group, name=name, value=value)


def _exact(value: Any) -> str:
    return msgspec.json.encode(value, order="deterministic").decode()
