"""relive.yaml: read into a `PipelineSpec`, or refused with everything that is wrong with it.

Nothing of the file is executed, so that the hub can read it from a bare commit. What may stand where is in
`pipeline_file_keys`; how the stages hang together is checked by `core.expand`.
"""

from typing import Any, Final

import msgspec

from relive.core.determinism import Determinism, switches
from relive.core.expand import find_problems
from relive.core.pipeline import Dep, EnvSpec, Hermetic, PipelineSpec, Resources, StageSpec
from relive.core.problems import Problem
from relive.core.spots import checkpoint_variables
from relive.errors import InvalidPipelineFile
from relive.formats.pipeline_file_keys import FILE
from relive.formats.pipeline_file_kinds import MOST_PROBLEMS, At, EnoughProblems, Notes, Refused
from relive.formats.pipeline_file_words import resource_fields
from relive.formats.yaml_tree import read_tree

MAX_BYTES: Final = 1 << 20

# The hub puts a node of this name before all others.
_RESERVED_NAMES: Final = ("environment",)


def parse_pipeline(data: bytes, *, path: str = "relive.yaml") -> PipelineSpec:
    """Read a pipeline file.

    Args:
        data: The file's bytes, at most 1 MiB of UTF-8.
        path: Its name, for the error.

    Raises:
        InvalidPipelineFile: With every problem found, each with its line, the path of keys, the value and
            what was expected.
    """
    notes = Notes()
    spec = _parse(data, notes)
    if spec is None or notes.problems:
        told = [str(problem) for problem in sorted(set(notes.problems))]
        if len(told) >= MOST_PROBLEMS:
            told.append("and there may be more")
        raise InvalidPipelineFile(path=path, problems=tuple(told))
    return spec


def json_schema() -> dict[str, Any]:
    """Give the JSON Schema (draft 2020-12) of the file, made from the tables that the parser reads by."""
    schema = FILE.kind("a pipeline").schema
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", "title": "relive pipeline", **schema}


def _parse(data: bytes, notes: Notes) -> PipelineSpec | None:
    if len(data) > MAX_BYTES:
        notes.problems.append(Problem(0, "", f"has {len(data)} bytes; expected at most {MAX_BYTES} (1 MiB)"))
        return None
    tree = read_tree(data, notes.problems)
    if tree is None:
        if not notes.problems:
            notes.problems.append(Problem(0, "", "is empty; expected at least `stages`: run `relive init`"))
        return None
    try:
        values = FILE.kind("a mapping with the key `stages`").read(At(tree, "", notes, tree.line))
        spec = _spec(values)
        _check_whole(spec, notes)
    except (Refused, EnoughProblems):
        return None
    return spec


def _check_whole(spec: PipelineSpec, notes: Notes) -> None:
    known = frozenset(stage.name for stage in spec.stages)
    places = [problem.where.split(".") for problem in notes.problems]
    broken = known.intersection(place[1] for place in places if place[0] == "stages" and len(place) > 1)
    if any(place[0] == "vars" for place in places):
        broken = known  # any expression may name what could not be read
    found = find_problems(spec, broken=broken)
    found += [
        Problem(0, f"stages.{name}", "is a name that relive uses itself; expected another")
        for name in _RESERVED_NAMES
        if name in known
    ]
    for problem in found:
        notes.add(notes.line_of(problem.where), problem.where, problem.what)


def _spec(values: dict[str, Any]) -> PipelineSpec:
    push = values.get("triggers", {}).get("push", {})
    defaults = {"determinism": values.get("determinism", "machine")} | values.get("defaults", {})
    return PipelineSpec(
        stages=tuple(_stage(name, stage, defaults) for name, stage in values.get("stages", {}).items()),
        project=values.get("project", ""),
        env=values.get("env", EnvSpec()),
        vars=values.get("vars", {}),
        branches=tuple(push.get("branches", ())),
        paths=tuple(push.get("paths", ())),
    )


def _stage(name: str, values: dict[str, Any], defaults: dict[str, Any]) -> StageSpec:
    """Build a stage of what could be read of it; keys are those of the file."""
    several = ("cmd", "needs", "outs", "params", "metrics", "plots", "gates")
    single = ("retry", "cache", "register", "deploy", "wdir", "matrix", "network")
    fields: dict[str, Any] = {key: tuple(values.get(key, ())) for key in several}
    fields |= {key: values[key] for key in single if key in values}
    select = values.get("select")
    if select is not None and not select.from_stage:
        select = msgspec.structs.replace(select, from_stage=name)
    resources = {**defaults.get("resources", {}), **values.get("resources", {})}
    pinned = switches(Determinism(values.get("determinism", defaults["determinism"])))
    pinned |= checkpoint_variables(values.get("checkpoints", 0))
    return StageSpec(
        name=name,
        deps=tuple(Dep(path=dep) if isinstance(dep, str) else dep for dep in values.get("deps", ())),
        env={**pinned, **defaults.get("env", {}), **values.get("env", {})} if "cmd" in values else {},
        resources=Resources(**resource_fields(resources)),
        timeout_s=values.get("timeout", defaults.get("timeout")),
        junit=values.get("reports", {}).get("junit", ""),
        select=select,
        condition=values.get("if", ""),
        hermetic=Hermetic(values.get("hermetic", defaults.get("hermetic", "warn"))),
        **fields,
    )
