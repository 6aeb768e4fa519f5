"""Params files key by key: what differs between two versions of one, and one with some keys of the other.

Values are never read into Python and written back, because writers change what they do not understand: YAML
is exchanged node by node, so that `1e-3` stays `1e-3`. TOML has no writer here; it is exchanged as a whole.
"""

import json
from collections.abc import Iterable, Iterator
from typing import Any, Final, TypeAlias

import yaml

from relive.errors import InvalidInput

Keys: TypeAlias = tuple[str, ...]
MAX_BYTES: Final = 1 << 20
# A file with more is a table rather than a set of parameters.
_MOST_KEYS: Final = 500
_DEEPEST: Final = 20
_STR: Final = "tag:yaml.org,2002:str"


def differing_keys(before: bytes, after: bytes, path: str) -> dict[Keys, tuple[str, str]] | None:
    """Give the keys whose values differ, with both values as text; "" where one has no such key.

    Args:
        before: One version of the file.
        after: The other.
        path: Its name, which tells the format.

    Returns:
        None if it is no params file, or cannot be taken apart.
    """
    try:
        was, is_ = (dict(_leaves(_read(data, path), path)) for data in (before, after))
    except (ValueError, yaml.YAMLError, RecursionError):
        return None
    names = [*was, *(keys for keys in is_ if keys not in was)]
    return {keys: (was.get(keys, ""), is_.get(keys, "")) for keys in names if was.get(keys) != is_.get(keys)}


def with_keys_of(before: bytes, after: bytes, path: str, wanted: Iterable[Keys]) -> bytes:
    """Write a params file anew, with the values that another version has for some keys.

    Raises:
        InvalidInput: It is no file that `differing_keys` takes apart.
    """
    try:
        tree, other = _read(before, path), _read(after, path)
        for keys in wanted:
            _exchange(tree, other, keys)
        if isinstance(tree, yaml.Node):
            return str(yaml.serialize(tree, Dumper=yaml.SafeDumper, allow_unicode=True)).encode()
    except (ValueError, yaml.YAMLError, RecursionError) as error:
        raise InvalidInput(field=path, value=path, wanted=f"a params file ({error})") from error
    return json.dumps(tree, indent=2, ensure_ascii=False).encode() + b"\n"


def _read(data: bytes, path: str) -> Any:
    if len(data) > MAX_BYTES:
        raise ValueError(f"more than {MAX_BYTES} bytes")
    suffix = path.rpartition(".")[2]
    tree: Any = None
    if suffix == "json":
        tree = json.loads(data.decode("utf-8-sig"))
    elif suffix in ("yaml", "yml"):
        tree = yaml.compose(data.decode(), Loader=yaml.SafeLoader)
    if not isinstance(tree, dict | yaml.MappingNode):
        raise ValueError("no names with values at its top")
    return tree


def _leaves(tree: Any, path: str) -> Iterator[tuple[Keys, str]]:
    for number, (keys, leaf) in enumerate(_walk(tree, ())):
        if number == _MOST_KEYS:
            raise ValueError(f"{path} has more than {_MOST_KEYS} keys")
        yield keys, _text(leaf)


def _walk(tree: Any, above: Keys) -> Iterator[tuple[Keys, Any]]:
    items = _items(tree)
    if not items or len(above) == _DEEPEST:
        if above:
            yield above, tree
        return
    for key, value in items.items():
        yield from _walk(value, (*above, key))


def _items(tree: Any) -> dict[str, Any] | None:
    """Give what lies under a mapping's keys; None for anything else."""
    if isinstance(tree, dict):
        return tree
    if isinstance(tree, yaml.MappingNode):
        return {str(key.value): value for key, value in tree.value}
    return None


def _text(leaf: Any) -> str:
    if isinstance(leaf, yaml.ScalarNode):
        return _scalar_text(leaf)
    if isinstance(leaf, yaml.Node):
        return str(yaml.serialize(leaf, Dumper=yaml.SafeDumper, allow_unicode=True)).strip()
    return json.dumps(leaf, sort_keys=True, ensure_ascii=False)


def _scalar_text(leaf: yaml.ScalarNode) -> str:
    """Give a scalar as it is written without quotes, whatever it has; in quotes if it would be another."""
    resolver: Any = yaml.resolver.Resolver()
    plain = resolver.resolve(yaml.ScalarNode, leaf.value, (True, False))
    if leaf.tag == plain:
        return str(leaf.value)
    text = json.dumps(leaf.value, ensure_ascii=False)
    return text if leaf.tag == _STR else f"{leaf.tag} {text}"


def _exchange(tree: Any, other: Any, keys: Keys) -> None:
    """Put what the other has under a key into a tree, or take it away; mappings on the way are made."""
    *above, last = keys
    for key in above:
        found = (_items(tree) or {}).get(key)
        if not isinstance(found, dict | yaml.MappingNode):
            found = {} if isinstance(tree, dict) else yaml.MappingNode("tag:yaml.org,2002:map", [])
            _put(tree, key, found)
        tree, other = found, (_items(other) or {}).get(key)
    below = _items(other) or {}
    _put(tree, last, below[last]) if last in below else _drop(tree, last)


def _put(tree: Any, key: str, value: Any) -> None:
    if isinstance(tree, dict):
        tree[key] = value
        return
    for index, (name, _) in enumerate(tree.value):
        if str(name.value) == key:
            tree.value[index] = (name, value)
            return
    tree.value.append((yaml.ScalarNode(_STR, key), value))


def _drop(tree: Any, key: str) -> None:
    if isinstance(tree, dict):
        tree.pop(key, None)
    else:
        tree.value = [(name, value) for name, value in tree.value if str(name.value) != key]
