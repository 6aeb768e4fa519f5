"""YAML as a tree that remembers its lines, safe for files that strangers wrote.

Reads the parser's events, never constructs objects, and bounds everything: depth, number of values, and
what aliases blow up. Plain words mean what YAML 1.2 says: only `true` and `false` are truth values, so `on`,
`yes` and `no` stay text; `1e-5` is a number; `010`, `1:30` and `2024-01-01` stay text. Every scalar keeps the
text it was written as, so `3.10` is not lost to `3.1`.
"""

import math
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Final, TypeAlias

import yaml

from relive.core.problems import Problem, shown

DEEPEST: Final = 40
MOST_VALUES: Final = 20_000
MERGE: Final = "<<"

Plain: TypeAlias = bool | int | float | str | None

# The one in C is twenty times as fast; both give the same events.
_LOADER: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_NULLS = ("", "~", "null", "Null", "NULL")
_BOOLS = {"true": True, "True": True, "TRUE": True, "false": False, "False": False, "FALSE": False}
_INT = re.compile(r"[-+]?(?:0|[1-9][0-9]*)|0x[0-9a-fA-F]+|0o[0-7]+")
_LONGEST_INT = 300  # Python converts no more than 4300 digits, and nobody writes so many
_FLOAT = re.compile(r"[-+]?(?:\.[0-9]+|(?:0|[1-9][0-9]*)(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?")
_SPECIAL = {".inf": math.inf, "+.inf": math.inf, "-.inf": -math.inf, ".nan": math.nan}


@dataclass(frozen=True, slots=True)
class Scalar:
    """One value; `plain` if it stands without quotes."""

    line: int
    text: str
    plain: bool
    size: int = 1

    @property
    def value(self) -> Plain:
        """Give what the text means; quoted text means itself."""
        return _meaning(self.text) if self.plain else self.text


@dataclass(frozen=True, slots=True)
class Items:
    """A list."""

    line: int
    items: tuple["Node", ...]
    size: int = 1


@dataclass(frozen=True, slots=True)
class Entries:
    """A mapping; keys are the text they are written as, `lines` says where."""

    line: int
    entries: dict[str, "Node"]
    lines: dict[str, int]
    size: int = 1


Node: TypeAlias = Scalar | Items | Entries


def read_tree(data: bytes, problems: list[Problem]) -> Node | None:
    """Read one YAML document.

    Args:
        data: UTF-8, with or without a byte order mark.
        problems: Grows by what is wrong: not UTF-8, not YAML, a key twice, too deep, too many values, ….

    Returns:
        The tree; None if the file is empty or could not be read to its end.
    """
    text = _decode(data, problems)
    if text is None:
        return None
    composer = _Composer(problems)
    try:
        return composer.document(iter(yaml.parse(text, Loader=_LOADER)))
    except _Refused as refused:
        problems.append(refused.problem)
    except yaml.MarkedYAMLError as error:
        problems.append(_syntax_problem(error, text))
    except (yaml.YAMLError, ValueError) as error:
        problems.append(Problem(0, "", f"cannot be read as YAML: {str(error).splitlines()[0]}"))
    return None


def to_plain(node: Node | None) -> Any:
    """Give the tree as Python values."""
    if node is None:
        return None
    if isinstance(node, Scalar):
        return node.value
    if isinstance(node, Items):
        return [to_plain(item) for item in node.items]
    return {key: to_plain(item) for key, item in node.entries.items()}


class _Refused(Exception):
    def __init__(self, line: int, what: str, where: str = "") -> None:
        super().__init__(what)
        self.problem = Problem(line, where, what)


@dataclass(slots=True)
class _Composer:
    """Makes nodes of events; `size` counts each value as often as aliases repeat it."""

    problems: list[Problem]
    anchors: dict[str, Node] = field(default_factory=dict)
    count: int = 0

    def document(self, events: Iterator[Any]) -> Node | None:
        root: Node | None = None
        n_documents = 0
        for event in events:
            if isinstance(event, yaml.DocumentStartEvent):
                n_documents += 1
                if n_documents > 1:
                    raise _Refused(_line(event), "begins a second document; expected one in a file")
                root = self.node(next(events), events, "", 1)
        return root

    def node(self, event: Any, events: Iterator[Any], where: str, depth: int) -> Node:
        if depth > DEEPEST:
            raise _Refused(_line(event), f"is deeper than {DEEPEST} levels", where)
        if isinstance(event, yaml.AliasEvent):
            return self.alias(event, where)
        self.add(1, event, where)
        _refuse_tag(event, where)
        node: Node
        if isinstance(event, yaml.ScalarEvent):
            node = Scalar(_line(event), event.value, event.style in (None, ""))
        elif isinstance(event, yaml.SequenceStartEvent):
            node = self.items(event, events, where, depth)
        else:
            node = self.entries(event, events, where, depth)
        if event.anchor is not None:
            self.anchors[event.anchor] = node
        return node

    def items(self, start: Any, events: Iterator[Any], where: str, depth: int) -> Items:
        before = self.count
        items: list[Node] = []
        while not isinstance(event := next(events), yaml.SequenceEndEvent):
            items.append(self.node(event, events, f"{where}[{len(items)}]", depth + 1))
        return Items(_line(start), tuple(items), 1 + self.count - before)

    def entries(self, start: Any, events: Iterator[Any], where: str, depth: int) -> Entries:
        before = self.count
        entries: dict[str, Node] = {}
        lines: dict[str, int] = {}
        while not isinstance(event := next(events), yaml.MappingEndEvent):
            if not isinstance(event, yaml.ScalarEvent):
                what = "has a key that is a list, a mapping or an alias; expected text"
                raise _Refused(_line(event), what, where)
            _refuse_tag(event, where)
            key, line = event.value, _line(event)
            place = f"{where}.{key[:80]}" if where else key[:80]
            node = self.node(next(events), events, place, depth + 1)
            if key in entries:
                what = f"is there twice, first in line {lines[key]}; expected each key once"
                self.problems.append(Problem(line, place, what))
            entries[key], lines[key] = node, line
        if MERGE in entries:
            _merge(entries, lines, where)
        return Entries(_line(start), entries, lines, 1 + self.count - before)

    def alias(self, event: Any, where: str) -> Node:
        node = self.anchors.get(event.anchor)
        if node is None:
            what = f"refers to *{event.anchor}, which is not defined before it"
            raise _Refused(_line(event), what, where)
        self.add(node.size, event, where)
        return node

    def add(self, size: int, event: Any, where: str) -> None:
        self.count += size
        if self.count > MOST_VALUES:
            what = f"brings the file over {MOST_VALUES} values, counting those that aliases repeat"
            raise _Refused(_line(event), what, where)


def _merge(entries: dict[str, Node], lines: dict[str, int], where: str) -> None:
    """Take over the entries of `<<: *base`; what the mapping says itself wins, then the first base."""
    line = lines.pop(MERGE)
    merged = entries.pop(MERGE)
    for base in merged.items if isinstance(merged, Items) else (merged,):
        if not isinstance(base, Entries):
            raise _Refused(line, "has a `<<` that is no mapping; expected an alias of one", where)
        for key, node in base.entries.items():
            entries.setdefault(key, node)
            lines.setdefault(key, line)


def _refuse_tag(event: Any, where: str) -> None:
    if event.tag is not None:
        what = f"has the tag {shown(event.tag)}; expected none: quote what is text"
        raise _Refused(_line(event), what, where)


def _meaning(text: str) -> Plain:
    if text in _NULLS:
        return None
    if text in _BOOLS:
        return _BOOLS[text]
    if _INT.fullmatch(text):
        return int(text, 0) if len(text) <= _LONGEST_INT else text
    if _FLOAT.fullmatch(text):
        return float(text)
    return _SPECIAL.get(text.lower(), text)


def _decode(data: bytes, problems: list[Problem]) -> str | None:
    if data.startswith((b"\xff\xfe", b"\xfe\xff")):
        problems.append(Problem(1, "", "is in UTF-16; expected UTF-8: save it so in the editor"))
        return None
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        wrong = data[error.start]
        what = f"is not UTF-8 (byte 0x{wrong:02x}); expected a file saved as UTF-8"
        problems.append(Problem(line, "", what))
        return None


def _syntax_problem(error: yaml.MarkedYAMLError, text: str) -> Problem:
    mark = error.problem_mark or error.context_mark
    line, column = (mark.line + 1, mark.column + 1) if mark is not None else (0, 0)
    there = next(iter(text.splitlines()[line - 1 : line]), "")[column - 1 : column]
    if there == "\t":
        return Problem(line, "", f"has a tab at character {column}, where YAML wants spaces")
    what = " ".join(part for part in (error.problem, error.context) if part) or "cannot be read"
    hint = f"; put what begins with {there} in quotes" if "cannot start any token" in what else ""
    began = error.context_mark
    if began is not None and began.line + 1 < line:
        hint += f"; it began in line {began.line + 1}"
    return Problem(line, "", f"is not YAML: {what}, at character {column}{hint}")


def _line(event: Any) -> int:
    return int(event.start_mark.line) + 1
