"""Params files: the values of declared keys, flattened to dotted names.

YAML, JSON and TOML as such; of a Python file the literals that it assigns at its top level or in a class,
found without running it. Values are what JSON can say, because recipes and cache keys are JSON: a date
becomes its ISO text, NaN and the infinities become "nan", "inf" and "-inf".
"""

import ast
import datetime as dt
import json
import math
import tomllib
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final

from relive.core.pipeline import ParamsRef
from relive.core.problems import Problem, nearest
from relive.errors import InvalidInput
from relive.formats.yaml_tree import read_tree, to_plain

MAX_BYTES: Final = 1 << 20
_DEEPEST: Final = 40


def read_params(data: bytes, *, path: str, keys: Iterable[str] = ()) -> dict[str, Any]:
    """Give params of a file under flat names.

    Args:
        data: The file's bytes, at most 1 MiB.
        path: Its name, which tells the format: .yaml, .yml, .json, .toml or .py.
        keys: Dotted names; one that names a mapping stands for all in it. None means the whole file.

    Returns:
        Dotted name → JSON value; lists stay lists. In the order of the file.

    Raises:
        InvalidInput: The file cannot be read, or has no such key; says which.
    """
    tree = _read(data, path)
    flat = dict(_flatten(tree, ""))
    wanted = list(keys)
    if not wanted:
        return flat
    found: dict[str, Any] = {}
    for key in wanted:
        below = {name: value for name, value in flat.items() if name == key or name.startswith(f"{key}.")}
        if not below:
            near = nearest(key, flat)
            hint = f"one of: {', '.join(near)}" if near else f"a key of this file ({_listed(flat)})"
            raise InvalidInput(field=f"{path}:{key}", value=key, wanted=hint)
        found |= below
    return {name: value for name, value in flat.items() if name in found}


def collect_params(refs: Iterable[ParamsRef], read: Callable[[str], bytes]) -> dict[str, Any]:
    """Give the params of several files together.

    A name that two files give different values is told apart by its file: "params.yaml:lr".

    Args:
        refs: Which keys of which files.
        read: Gives the bytes of a file by its path.
    """
    by_file: dict[str, dict[str, Any]] = {}
    for ref in refs:
        by_file.setdefault(ref.file, {}).update(read_params(read(ref.file), path=ref.file, keys=ref.keys))
    collected: dict[str, Any] = {}
    for file, params in by_file.items():
        others = [other for name, other in by_file.items() if name != file]
        for name, value in params.items():
            is_disputed = any(name in other and other[name] != value for other in others)
            collected[f"{file}:{name}" if is_disputed else name] = value
    return collected


def _read(data: bytes, path: str) -> dict[str, Any]:
    if len(data) > MAX_BYTES:
        raise InvalidInput(
            field=path, value=f"{len(data)} bytes", wanted=f"at most {MAX_BYTES} bytes (1 MiB)"
        )
    suffix = path.rpartition(".")[2]
    reader = _READERS.get(suffix)
    if reader is None:
        raise InvalidInput(field=path, value=f".{suffix}", wanted=f"one of: .{', .'.join(_READERS)}")
    try:
        tree = reader(data, path)
    except (ValueError, SyntaxError, RecursionError, MemoryError) as error:
        raise InvalidInput(field=path, value=suffix, wanted=f"a file that can be read: {error}") from error
    if tree is None:
        return {}
    if not isinstance(tree, dict):
        raise InvalidInput(field=path, value=type(tree).__name__, wanted="names with values at its top")
    return tree


def _read_yaml(data: bytes, path: str) -> Any:
    problems: list[Problem] = []
    tree = read_tree(data, problems)
    if problems:
        told = "; ".join(str(problem) for problem in problems)
        raise InvalidInput(field=path, value="YAML", wanted=f"a file that can be read: {told}")
    return to_plain(tree)


def _read_json(data: bytes, _: str) -> Any:
    return json.loads(data.decode("utf-8-sig"))


def _read_toml(data: bytes, _: str) -> Any:
    return tomllib.loads(data.decode())


def _read_python(data: bytes, path: str) -> dict[str, Any]:
    return dict(_literals(ast.parse(data, filename=path).body))


def _literals(body: list[ast.stmt]) -> Iterable[tuple[str, Any]]:
    for statement in body:
        if isinstance(statement, ast.ClassDef):
            yield statement.name, dict(_literals(statement.body))
        elif isinstance(statement, ast.Assign | ast.AnnAssign) and statement.value is not None:
            targets = statement.targets if isinstance(statement, ast.Assign) else [statement.target]
            try:
                value = ast.literal_eval(statement.value)
            except (ValueError, TypeError):
                continue  # computed: only running the file would tell
            yield from ((target.id, value) for target in targets if isinstance(target, ast.Name))


_READERS: Final[dict[str, Callable[[bytes, str], Any]]] = {
    "yaml": _read_yaml,
    "yml": _read_yaml,
    "json": _read_json,
    "toml": _read_toml,
    "py": _read_python,
}


def _flatten(value: Any, name: str) -> Iterable[tuple[str, Any]]:
    if isinstance(value, dict) and value:
        for key, item in value.items():
            yield from _flatten(item, f"{name}.{key}" if name else str(key))
    elif name:
        yield name, _json_value(value)


def _json_value(value: Any, depth: int = 0) -> Any:
    if depth > _DEEPEST:
        return str(value)
    if isinstance(value, Mapping):
        return {str(key): _json_value(item, depth + 1) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_json_value(item, depth + 1) for item in value]
    if isinstance(value, set | frozenset):
        return sorted((_json_value(item, depth + 1) for item in value), key=repr)
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    if isinstance(value, dt.date | dt.time):
        return value.isoformat()
    return value if value is None or isinstance(value, bool | int | float | str) else repr(value)


def _listed(flat: dict[str, Any]) -> str:
    names = sorted(flat)
    return ", ".join(names[:8]) + (", …" if len(names) > 8 else "") if names else "it is empty"
