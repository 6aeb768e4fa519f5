"""The Inputs tab: everything that went into a run, each pinned, unpinned or unknown."""

from collections.abc import Iterator

import msgspec

from relive.core.recipe import Distribution, EnvironmentLock, Hardware, Observed, Recipe
from relive.errors import NotFound
from relive.hub.web.marks import PINNED, Mark
from relive.hub.web.views.run import RunHead, get_head
from relive.hub.web.words import count, exact, short, size
from relive.services.context import Services
from relive.services.registry import load_environment, load_recipe

_PIN, _LOOSE, _UNKNOWN = PINNED["pinned"], PINNED["unpinned"], PINNED["unknown"]


class Item(msgspec.Struct, frozen=True, kw_only=True):
    """One input.

    Attributes:
        value: What it was, for people.
        identity: Its digest or whatever names it for machines; empty if nothing does.
        hint: How to pin or capture it, where it is not.
    """

    name: str
    value: str
    mark: Mark
    identity: str = ""
    hint: str = ""
    url: str = ""


class Group(msgspec.Struct, frozen=True, kw_only=True):
    """Inputs of one kind; long ones are folded."""

    name: str
    summary: str
    items: tuple[Item, ...]
    folded: bool = False

    @property
    def mark(self) -> Mark:
        """Give the weakest mark of the items."""
        marks = [item.mark for item in self.items]
        return _LOOSE if _LOOSE in marks else _UNKNOWN if _UNKNOWN in marks else _PIN


class InputsTab(msgspec.Struct, frozen=True, kw_only=True):
    """All inputs of a run; no groups while the recipe is open."""

    head: RunHead
    digest: str
    recipe_digest: str
    groups: tuple[Group, ...]
    notes: tuple[str, ...]
    pinned: int
    unpinned: int
    unknown: int


def get_inputs(services: Services, run_id: str) -> InputsTab:
    """Give everything that went into a run."""
    head = get_head(services, run_id)
    run = services.store.get_run(head.id)
    groups, notes = groups_of(services, head.id)
    marks = [item.mark for group in groups for item in group.items]
    return InputsTab(
        head=head,
        digest=run.recipe,
        recipe_digest=run.recipe_digest,
        groups=groups,
        notes=notes,
        pinned=marks.count(_PIN),
        unpinned=marks.count(_LOOSE),
        unknown=marks.count(_UNKNOWN),
    )


def groups_of(services: Services, run_id: str) -> tuple[tuple[Group, ...], tuple[str, ...]]:
    """Give a run's inputs in groups, and what the recorder has to say; nothing while its recipe is open."""
    try:
        recipe = load_recipe(services, run_id)
        lock = load_environment(services, recipe.declared.environment)
    except NotFound:
        return (), ()
    notes = recipe.observed.notes if recipe.observed else ("Nothing was observed while it ran.",)
    return tuple(_groups(recipe, lock)), notes


def _groups(recipe: Recipe, lock: EnvironmentLock | None) -> Iterator[Group]:
    declared, seen = recipe.declared, recipe.observed
    yield _code(recipe)
    yield _data(recipe)
    if seen is not None:
        yield from _reads(seen)
    yield _command(recipe)
    params = tuple(
        Item(name=key, value=exact(value), mark=_PIN) for key, value in sorted(declared.params.items())
    )
    if params:
        yield Group(name="Params", summary=count(len(params), "param"), items=params)
    yield _packages(lock, seen)
    yield _runtime(recipe, lock)
    yield _hardware(seen)
    if seen is not None:
        yield from _observed(seen)


def _tree_of(recipe: Recipe) -> str:
    if not recipe.declared.code.dirty:
        return "as committed"
    named = str(recipe.observed.uncommitted) if recipe.observed is not None else ""
    return f"with uncommitted changes, all kept{f' ({named})' if named else ''}"


def _code(recipe: Recipe) -> Group:
    code = recipe.declared.code
    commit = (
        Item(name="commit", value=short(code.commit, 12), mark=_PIN, identity=code.commit)
        if code.commit
        else Item(name="commit", value="outside a repository", mark=_UNKNOWN, hint="git init, then commit")
    )
    tree = Item(
        name="tree",
        value=_tree_of(recipe),
        mark=_PIN,
        identity=code.manifest,
        hint="commit what changed, so that others find it by its commit" if code.dirty else "",
    )
    held = tuple(
        Item(name=path, value=f"not stored: {why}", mark=_LOOSE, hint="declare it: relive run --dep PATH")
        for path, why in sorted(code.withheld.items())
    )
    modules = tuple(
        Item(name=path, value=short(at, 12), mark=_PIN, identity=at)
        for path, at in sorted(code.submodules.items())
    )
    where = f"{code.branch} at {short(code.commit)}" if code.branch else short(code.commit) or "no commit"
    return Group(name="Code", summary=where, items=(commit, tree, *modules, *held))


def _data(recipe: Recipe) -> Group:
    changed = set(recipe.observed.changed) if recipe.observed else set()
    items = tuple(
        Item(
            name=item.path,
            value=f"{size(item.size_bytes)} from {item.origin}",
            mark=_LOOSE if item.path in changed else _PIN,
            identity=item.manifest,
            hint="its bytes changed while the run ran" if item.path in changed else "",
        )
        for item in recipe.declared.data
    )
    if not items:
        undeclared = Item(
            name="data",
            value="no input was declared",
            mark=_UNKNOWN,
            hint="name what the stage reads under deps:",
        )
        return Group(name="Data", summary="undeclared", items=(undeclared,))
    total = size(sum(item.size_bytes for item in recipe.declared.data))
    return Group(name="Data", summary=f"{count(len(items), 'input')}, {total}", items=items)


_WHERE = {
    "commit": "in the commit, but in no dep",
    "ignored": "in the folder, but not in the commit",
    "outside": "outside the repository",
}


def _reads(seen: Observed) -> Iterator[Group]:
    """Give what was read and not declared; that nothing was is worth a line if all opens were seen."""
    items = tuple(
        Item(
            name=read.path,
            value=", ".join(
                part
                for part in (size(read.size_bytes), _WHERE[read.belongs], read.line and f"at {read.line}")
                if part
            ),
            mark=_LOOSE,
            identity=read.digest,
            hint=read.hint if read.digest else "not digested: it holds a secret, or changed since",
        )
        for read in seen.reads
    )
    if items:
        summary = f"{count(len(items), 'file')} read, not declared"
        yield Group(name="Undeclared reads", summary=summary, items=items, folded=len(items) > 8)
    elif seen.completeness == "full":
        none = Item(name="undeclared", value="nothing: every open was seen", mark=_PIN)
        yield Group(name="Undeclared reads", summary="none", items=(none,))
    if seen.written:
        left = tuple(
            Item(name=it.path, value=size(it.size_bytes), mark=_LOOSE, identity=it.digest)
            for it in seen.written
        )
        summary = f"{count(len(left), 'file')} written, not declared"
        yield Group(name="Undeclared files", summary=summary, items=left, folded=len(left) > 8)
    if seen.addresses:
        addresses = tuple(Item(name=it, value="connected to", mark=_LOOSE) for it in seen.addresses)
        yield Group(name="Network", summary=count(len(addresses), "address", "addresses"), items=addresses)


def _command(recipe: Recipe) -> Group:
    declared = recipe.declared
    items = [
        Item(name="command", value=declared.command, mark=_PIN),
        Item(name="folder", value=declared.workdir, mark=_PIN),
        *(Item(name=key, value=value, mark=_PIN) for key, value in sorted(declared.env.items())),
        *(Item(name=name, value="a secret: its name only", mark=_LOOSE) for name in declared.secrets),
    ]
    if declared.image:
        pinned = "@sha256:" in declared.image
        hint = "" if pinned else "name the image by its digest: image@sha256:…"
        items.append(Item(name="image", value=declared.image, mark=_PIN if pinned else _LOOSE, hint=hint))
    return Group(name="Command", summary=declared.command.splitlines()[0][:80], items=tuple(items))


def _packages(lock: EnvironmentLock | None, seen: Observed | None) -> Group:
    if lock is not None:
        items = tuple(
            Item(
                name=package.name,
                value=package.version + ("" if package.origin == "index" else f", {package.origin}"),
                mark=_PIN,
                identity=f"sha256:{package.sha256}",
                hint=""
                if package.blob
                else "the wheel itself could not be kept: its index must still have it",
            )
            for package in lock.packages
        )
        summary = f"{count(len(items), 'package')} locked by hash, from {lock.source or 'no file'}"
        return Group(name="Packages", summary=summary, items=items, folded=len(items) > 8)
    found = [_distribution(item) for item in (seen.distributions if seen else ())]
    if not found:
        none = Item(
            name="packages", value="not recorded", mark=_UNKNOWN, hint="env: {lock: requirements.txt}"
        )
        return Group(name="Packages", summary="unknown", items=(none,))
    return Group(
        name="Packages",
        summary=f"{count(len(found), 'package')}, not locked",
        items=tuple(found),
        folded=len(found) > 8,
    )


def _distribution(item: Distribution) -> Item:
    value = item.version + (", editable" if item.editable else "") + (", imported" if item.imported else "")
    value += f", from {item.address}" if item.address else ""
    digest = f"sha256:{item.record_sha256}" if item.record_sha256 else ""
    return Item(
        name=item.name,
        value=value,
        mark=_LOOSE,
        identity=digest,
        hint="lock it: env: {lock: …} in relive.yaml",
    )


def _runtime(recipe: Recipe, lock: EnvironmentLock | None) -> Group:
    seen = recipe.observed.interpreter if recipe.observed else None
    if seen is not None:
        digest = f"sha256:{seen.executable_sha256}" if seen.executable_sha256 else ""
        item = Item(name=seen.implementation, value=seen.version, mark=_PIN, identity=digest)
    elif lock is not None:
        item = Item(name=lock.implementation, value=lock.python, mark=_PIN)
    else:
        item = Item(
            name="interpreter",
            value="not recorded",
            mark=_UNKNOWN,
            hint="it did not run Python, or was not seen",
        )
    return Group(name="Interpreter", summary=f"{item.name} {item.value}", items=(item,))


def _hardware(seen: Observed | None) -> Group:
    if seen is None:
        none = Item(name="machine", value="not recorded", mark=_UNKNOWN)
        return Group(name="Hardware", summary="unknown", items=(none,))
    machine: Hardware = seen.hardware
    facts = {
        "processor": machine.cpu_model,
        "cores": f"{machine.cores_allowed} of {machine.cores}",
        "memory": size(machine.memory_bytes),
        "kernel": machine.kernel,
        "system": machine.os,
        "libc": machine.libc,
        "driver": machine.driver,
        "power": ", ".join(f"{name} {value}" for name, value in machine.power.items()),
        **{f"gpu {index}": str(gpu.get("name", gpu)) for index, gpu in enumerate(machine.gpus)},
    }
    items = [Item(name=name, value=value, mark=_PIN) for name, value in facts.items() if value]
    isolation = f"{seen.isolation}, hermetic" if seen.hermetic else seen.isolation
    items.append(Item(name="isolation", value=isolation, mark=_LOOSE if seen.isolation == "none" else _PIN))
    return Group(name="Hardware", summary=machine.cpu_model or "machine", items=tuple(items))


def _observed(seen: Observed) -> Iterator[Group]:
    libraries = tuple(
        Item(
            name=item.soname or item.path.rsplit("/", 1)[-1],
            value=f"{item.path} of {item.package}" if item.package else item.path,
            mark=_PIN if item.build_id or item.sha256 else _UNKNOWN,
            identity=f"build-id {item.build_id}"
            if item.build_id
            else f"sha256:{item.sha256}"
            if item.sha256
            else "",
        )
        for item in seen.libraries
    )
    if libraries:
        yield Group(
            name="Shared libraries",
            summary=f"{count(len(libraries), 'library', 'libraries')} really loaded",
            items=libraries,
            folded=True,
        )
    variables = tuple(Item(name=key, value=value, mark=_PIN) for key, value in sorted(seen.variables.items()))
    if variables:
        yield Group(name="Variables", summary=count(len(variables), "variable"), items=variables, folded=True)
    threads = tuple(
        Item(
            name=str(pool.get("internal_api") or pool.get("library") or "pool"), value=_pool(pool), mark=_PIN
        )
        for pool in seen.threads
    )
    if threads:
        yield Group(name="Threads", summary=count(len(threads), "thread pool"), items=threads)
    sources = tuple(
        Item(name=key, value=exact(value), mark=_PIN) for key, value in sorted(seen.random.items())
    )
    if sources:
        yield Group(name="Randomness", summary=count(len(sources), "source"), items=sources)


def _pool(pool: dict[str, object]) -> str:
    size_ = pool.get("num_threads", pool.get("threads", "?"))
    version = f", version {pool['version']}" if pool.get("version") else ""
    return f"{size_} threads{version}"
