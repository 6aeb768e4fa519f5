"""What may stand at one place of a pipeline file: a reader and its JSON Schema, made together.

A `Kind` reads a node of the tree into a value, or notes what is wrong with it. Kinds are put together to
tables, and a table is both the parser and the schema, so that an editor and the hub agree about every file.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, NoReturn

from relive.core.problems import Problem, did_you_mean, shown
from relive.formats.yaml_tree import Entries, Items, Node, Scalar

MOST_PROBLEMS: Final = 100
LONGEST_LIST: Final = 500
LONGEST_TEXT: Final = 50_000

Read = Callable[["At"], Any]
Schema = dict[str, Any]


class Refused(Exception):
    """A value was noted as wrong; whoever holds it goes on without it."""


class EnoughProblems(Exception):
    """So much is wrong that more would not help."""


@dataclass(slots=True)
class Notes:
    """All that is wrong so far, and the line of each place."""

    problems: list[Problem] = field(default_factory=list)
    lines: dict[str, int] = field(default_factory=dict)

    def add(self, line: int, where: str, what: str) -> None:
        """Note a problem; raises EnoughProblems when there are too many."""
        self.problems.append(Problem(line, where, what))
        if len(self.problems) >= MOST_PROBLEMS:
            raise EnoughProblems

    def line_of(self, where: str) -> int:
        """Give the line of a place, or of the nearest one around it; 0 if there is none."""
        while where and where not in self.lines:
            where = where[: max(where.rfind("."), where.rfind("["), 0)]
        return self.lines.get(where, 0)


@dataclass(frozen=True, slots=True)
class At:
    """A node and its place in the file."""

    node: Node
    where: str
    notes: Notes
    line: int

    def child(self, node: Node, step: str, line: int | None = None) -> "At":
        """Go one step down: `step` is ".key" or "[0]"; `line` is the key's."""
        where = (self.where + step).removeprefix(".")
        at = At(node, where, self.notes, line or node.line)
        self.notes.lines[where] = at.line
        return at

    def note(self, what: str) -> None:
        """Note a problem of this place; `what` goes on where the sentence began with it."""
        self.notes.add(self.line, self.where, what)

    def refuse(self, wanted: str) -> NoReturn:
        """Note that the value is not what was expected, and give it up."""
        self.note(f"is {_told(self.node)}; expected {wanted}")
        raise Refused


@dataclass(frozen=True)
class Kind:
    """What may stand at a place: how it is read, and the schema that says the same."""

    read: Read
    schema: Schema


@dataclass(frozen=True)
class Key:
    """One key of a table; `about` is a sentence for editors and for the reference."""

    kind: Kind
    about: str
    required: bool = False


def keys_at(at: At) -> frozenset[str]:
    """Give the keys of the mapping at a place, right or wrong; none if there is no mapping."""
    return frozenset(at.node.entries) if isinstance(at.node, Entries) else frozenset()


def text_at(at: At) -> str | None:
    """Give the text of the scalar at a place as it is written; None if there is no scalar."""
    return at.node.text if isinstance(at.node, Scalar) else None


def is_empty(at: At) -> bool:
    """Tell whether nothing stands at a place, or `null`."""
    return isinstance(at.node, Scalar) and at.node.value is None


def is_mapping(at: At) -> bool:
    """Tell whether there is a mapping at a place."""
    return isinstance(at.node, Entries)


def text(wanted: str, pattern: str = r"\S", make: Callable[[str], Any] = str) -> Kind:
    """Text that a pattern is found in."""
    compiled = _compiled(pattern)

    def read(at: At) -> Any:
        value = at.node.value if isinstance(at.node, Scalar) else None
        if not isinstance(value, str) or len(value) > LONGEST_TEXT or not compiled.search(value):
            _refuse_text(at, wanted, compiled)
        return make(str(value))

    return Kind(read, {"type": "string", "pattern": pattern, "maxLength": LONGEST_TEXT})


def one_of(*words: str) -> Kind:
    """One of a few words."""
    wanted = words[0] if len(words) == 1 else f"one of: {', '.join(words)}"

    def read(at: At) -> str:
        if not isinstance(at.node, Scalar) or at.node.value not in words:
            near = did_you_mean(at.node.text, words) if isinstance(at.node, Scalar) else ""
            at.refuse(wanted + near)
        return str(at.node.value)

    return Kind(read, {"enum": list(words)})


def number(wanted: str, *, above: float | None = None, least: float | None = None) -> Kind:
    """A finite number, at least `least` or above `above`."""

    def read(at: At) -> float:
        value = at.node.value if isinstance(at.node, Scalar) else None
        if isinstance(value, bool) or not isinstance(value, int | float) or not abs(value) < 1e300:
            at.refuse(wanted)
        if (above is not None and value <= above) or (least is not None and value < least):
            at.refuse(wanted)
        return float(value)

    limits = {"exclusiveMinimum": above, "minimum": least}
    return Kind(read, {"type": "number"} | {key: value for key, value in limits.items() if value is not None})


def whole(wanted: str, *, least: int, most: int) -> Kind:
    """A whole number between two, both included."""

    def read(at: At) -> int:
        value = at.node.value if isinstance(at.node, Scalar) else None
        if isinstance(value, bool) or not isinstance(value, int) or not least <= value <= most:
            at.refuse(wanted)
        return value

    return Kind(read, {"type": "integer", "minimum": least, "maximum": most})


def boolean() -> Kind:
    """True or false, and no other word for them."""

    def read(at: At) -> bool:
        value = at.node.value if isinstance(at.node, Scalar) else None
        if not isinstance(value, bool):
            at.refuse("true or false")
        return value

    return Kind(read, {"type": "boolean"})


def switch_or(word: str) -> Kind:
    """True, false, or one word between them; gives "on", "off" or the word."""

    def read(at: At) -> str:
        value = at.node.value if isinstance(at.node, Scalar) else None
        if value != word and not isinstance(value, bool):
            at.refuse(f"true, {word} or false")
        return word if value == word else "on" if value else "off"

    return Kind(read, {"enum": [True, False, word]})


def written() -> Kind:
    """A scalar as the text it is written as: what environment variables hold."""

    def read(at: At) -> str:
        if not isinstance(at.node, Scalar) or at.node.value is None:
            at.refuse('text, a number, true or false; write "" for nothing')
        if "\0" in at.node.text or len(at.node.text) > LONGEST_TEXT:
            at.refuse(f"at most {LONGEST_TEXT} characters without NUL")
        return at.node.text

    return Kind(read, {"type": ["string", "number", "boolean"], "maxLength": LONGEST_TEXT})


def scalar() -> Kind:
    """Text, a finite number, true or false."""

    def read(at: At) -> str | int | float | bool:
        value = at.node.value if isinstance(at.node, Scalar) else None
        if value is None or (isinstance(value, float) and not abs(value) < 1e300):
            at.refuse("text, a finite number, true or false")
        if isinstance(value, str) and not (len(value) <= 200 and value.isprintable()):
            at.refuse("text of at most 200 printable characters")
        return value

    return Kind(read, {"type": ["string", "number", "boolean"], "maxLength": 200})


def many(kind: Kind, wanted: str, *, least: int = 0) -> Kind:
    """A list."""

    def read(at: At) -> list[Any]:
        if not isinstance(at.node, Items) or len(at.node.items) < least:
            at.refuse(wanted)
        if len(at.node.items) > LONGEST_LIST:
            at.refuse(f"at most {LONGEST_LIST}")
        return _read_items(at, at.node, kind)

    limits = {"minItems": least} if least else {}
    return Kind(read, {"type": "array", "items": kind.schema, "maxItems": LONGEST_LIST} | limits)


def one_or_many(kind: Kind, wanted: str) -> Kind:
    """A list that is not empty, or its only item."""
    several = many(kind, wanted, least=1)

    def read(at: At) -> list[Any]:
        if isinstance(at.node, Items):
            return list(several.read(at))
        return [kind.read(at)]

    return Kind(read, {"anyOf": [kind.schema, several.schema]})


def _read_items(at: At, node: Items, kind: Kind) -> list[Any]:
    found = []
    for index, item in enumerate(node.items):
        try:
            found.append(kind.read(at.child(item, f"[{index}]")))
        except Refused:
            continue  # noted; the others are read all the same
    return found


@dataclass(frozen=True)
class Others:
    """Keys of a table that the author chooses: the rule for them, and what they hold."""

    pattern: str
    wanted: str
    kind: Kind


@dataclass(frozen=True)
class Table:
    """A mapping.

    Attributes:
        keys: The known ones.
        others: What is allowed beside them; None for nothing.
        later: Keys of capabilities that do not exist yet → what they are about.
        instead: Words from elsewhere → the key that means it here.
        check: Looks at the whole, and notes what does not go together.
        rules: The same in the words of JSON Schema.
    """

    keys: Mapping[str, Key] = field(default_factory=dict)
    others: Others | None = None
    later: Mapping[str, str] = field(default_factory=dict)
    instead: Mapping[str, str] = field(default_factory=dict)
    check: Callable[[At, dict[str, Any]], None] | None = None
    rules: Schema = field(default_factory=dict)
    least: int = 0

    def kind(self, wanted: str, make: Callable[[dict[str, Any]], Any] = dict) -> Kind:
        """Give the kind that reads such a mapping into `make(values)`."""

        def read(at: At) -> Any:
            if not isinstance(at.node, Entries) or len(at.node.entries) < self.least:
                at.refuse(wanted)
            before = len(at.notes.problems)
            values = self._read(at, at.node)
            if self.check is not None:
                self.check(at, values)
            if make is not dict and len(at.notes.problems) > before:
                raise Refused  # a struct is made of what is whole; a dict may have gaps
            return make(values)

        return Kind(read, self._schema())

    def _read(self, at: At, node: Entries) -> dict[str, Any]:
        values: dict[str, Any] = {}
        for name, item in node.entries.items():
            child = at.child(item, f".{name}", node.lines[name])
            kind = self._kind_of(child, name)
            try:
                if kind is not None:
                    values[name] = kind.read(child)
            except Refused:
                continue  # noted; the others are read all the same
        # One key of what is to come says enough about its mapping.
        is_to_come = bool(node.entries.keys() & self.later.keys())
        for name, key in self.keys.items():
            if key.required and name not in node.entries and not is_to_come:
                at.note(f"has no `{name}`; expected {key.about[0].lower()}{key.about[1:]}".rstrip("."))
        return values

    def _kind_of(self, at: At, name: str) -> Kind | None:
        if name in self.keys:
            return self.keys[name].kind
        if name in self.later:
            at.note(f"is not yet supported ({self.later[name]}); it is refused rather than ignored")
        elif self.others is None:
            told = self.instead.get(name)
            near = f"; did you mean `{told}`?" if told else did_you_mean(name, self.keys)
            at.note(f"is not a known key{near or '; expected one of: ' + ', '.join(self.keys)}")
        elif not _compiled(self.others.pattern).search(name):
            at.note(f"is not a name that can be used here; expected {self.others.wanted}")
        else:
            return self.others.kind
        return None

    def _schema(self) -> Schema:
        properties = {name: {"description": key.about, **key.kind.schema} for name, key in self.keys.items()}
        required = [name for name, key in self.keys.items() if key.required]
        schema: Schema = {"type": "object", "additionalProperties": False}
        if properties:
            schema["properties"] = properties
        if required:
            schema["required"] = required
        if self.others is not None:
            schema["additionalProperties"] = self.others.kind.schema
            schema["propertyNames"] = {"anyOf": [{"pattern": self.others.pattern}, {"enum": list(self.keys)}]}
        if self.least:
            schema["minProperties"] = self.least
        return schema | self.rules


def _compiled(pattern: str) -> re.Pattern[str]:
    """Read a schema's pattern: there `$` is the very end, in Python a line feed may follow it."""
    return re.compile(pattern[:-1] + r"\Z" if pattern.endswith("$") else pattern)


def _refuse_text(at: At, wanted: str, pattern: re.Pattern[str]) -> NoReturn:
    """Refuse what is no such text; a number may only lack its quotes."""
    node = at.node
    if isinstance(node, Scalar) and not isinstance(node.value, str) and pattern.search(node.text):
        at.note(
            f"is {node.text} without quotes, which YAML reads as {_told(node)}; "
            f'expected {wanted}: write "{node.text}"'
        )
        raise Refused
    at.refuse(wanted)


def _told(node: Node) -> str:
    if isinstance(node, Items):
        return f"a list of {len(node.items)}"
    if isinstance(node, Entries):
        return "a mapping" if node.entries else "an empty mapping"
    value = node.value
    if value is None:
        return "empty"
    return str(value).lower() if isinstance(value, bool) else shown(value)
