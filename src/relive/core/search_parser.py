"""Reading filters and orders: MLflow's language, with OR, NOT and brackets added.

    any        = all ( OR all )*
    all        = AND* one ( AND* one )* AND*
    one        = NOT one | "(" any ")" | comparison
    comparison = field ( operator value | [NOT] IN "(" text, … ")" | [I]LIKE text | IS [NOT] NULL )

What MLflow accepts is accepted and means the same: comparisons may also stand side by side without AND.
"""

import ast
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Final

from relive.core.search import And, Comparison, Condition, Field, Not, Or, Order, Side, Value
from relive.core.search_grammars import DATASET_KEYS, LISTED, NULLS, NUMERIC, Attribute, Grammar, Kind
from relive.core.search_tokens import Token, tokens_of
from relive.errors import InvalidFilter

# More than anyone writes; a database's own limits are not much higher.
MOST_COMPARISONS: Final = 200
MOST_LISTED: Final = 10_000
_DEEPEST: Final = 32
# More digits than a whole number of 64 bits has.
_LONG: Final = 18

_NOT_TEXT: Final = "Expected a quoted string value for {side} (e.g. 'my-value'). Got value {found}"
_NOT_QUOTED: Final = (
    "Parameter value is either not quoted or unidentified quote types used for string value {found}. "
    "Use either single or double quotes."
)
_MULTIPLE: Final = "Search filter contained multiple expression {text!r}. Provide AND-ed expression list."
_EMPTY_LIST: Final = (
    "While parsing a list in the query, expected a non-empty list of string values, but got empty list"
)
_BAD_LIST: Final = (
    "While parsing a list in the query, expected a non-empty list of string values, but got ill-formed list."
)
_MIXED_LIST: Final = (
    "While parsing a list in the query, expected string value, punctuation, or whitespace, but got "
    "different type in list: {found}"
)


def parse_filter(text: str, grammar: Grammar) -> Condition | None:
    """Read a filter.

    Args:
        text: The filter; empty asks for everything.
        grammar: What can be searched.

    Returns:
        The condition; None if there is none.

    Raises:
        InvalidFilter: It cannot be read; says at which character.
    """
    return FilterReader(text, grammar).read() if text else None


def parse_orders(texts: Sequence[str], grammar: Grammar) -> tuple[Order, ...]:
    """Read what to sort by: `metrics.acc DESC`, each field once.

    Raises:
        InvalidFilter: One cannot be read, or a field is named twice.
    """
    orders = tuple(parse_order(text, grammar) for text in texts)
    if len({order.field for order in orders}) != len(orders):
        wanted = f"`order_by` contains duplicate fields: {list(texts)}"
        raise InvalidFilter(field="order_by", value=", ".join(texts), wanted=wanted)
    return orders


def split_orders(text: str) -> list[str]:
    """Cut orders apart at the commas between them; `-name` is `name DESC`."""
    if not text.strip():
        return []
    cuts = [token.at for token in tokens_of(text.replace("-", " ")) if token.kind == "comma"]
    begins, ends = [0, *(at + 1 for at in cuts)], [*cuts, len(text)]
    parts = [text[begin:end].strip() for begin, end in zip(begins, ends, strict=True)]
    return [f"{part[1:]} DESC" if part.startswith("-") else part for part in parts]


def parse_order(text: str, grammar: Grammar) -> Order:
    """Read one field to sort by, and the direction, which is ascending if it is not said.

    Raises:
        InvalidFilter: It cannot be read.
    """
    reader = _Reader("order_by", text, grammar)
    name, direction = reader.next(), reader.next()
    if name.kind != "name" or (direction.kind != "end" and reader.next().kind != "end"):
        wrong = name if name.kind != "name" else direction
        raise reader.fault(wrong, "Invalid order_by clause '{text}'. Could not be parsed.")
    if direction.kind != "end" and direction.word.strip("`") not in ("ASC", "DESC"):
        raise reader.fault(direction, "Invalid ordering key in order_by clause '{text}'.")
    side, key = reader.split(name)
    if side not in grammar.order_sides:
        raise reader.fault(name, grammar.refusals.order_side, side=side)
    if side is Side.ATTRIBUTE:
        if key not in grammar.orders:
            raise reader.fault(name, grammar.refusals.order_key, key=key, valid=_set(grammar.orders))
        key = grammar.orders[key]
    return Order(Field(side, key), ascending=direction.word.strip("`") != "DESC")


class _Reader:
    """Reads tokens from the left, and says where what cannot be read stands."""

    def __init__(self, called: str, text: str, grammar: Grammar) -> None:
        self.called = called
        self.text = text
        self.grammar = grammar
        self.tokens = tokens_of(text)
        self.at = 0

    def peek(self, ahead: int = 0) -> Token:
        return self.tokens[min(self.at + ahead, len(self.tokens) - 1)]

    def next(self) -> Token:
        token = self.peek()
        self.at += 1
        return token

    def take(self, word: str) -> bool:
        taken = self.peek().word == word
        self.at += taken
        return taken

    def fault(self, token: Token, sentence: str, **facts: Any) -> InvalidFilter:
        """Make the error that says a sentence, with the facts in its places."""
        wanted = sentence.format(found=token.text or "the end", text=self.text, **facts)
        return InvalidFilter(field=self.called, value=self.text, wanted=wanted, at=token.at)

    def split(self, name: Token) -> tuple[Side, str]:
        """Give the side and the key of a field as it was typed."""
        before, dot, after = name.text.partition(".")
        if not dot:
            return Side.ATTRIBUTE, _unquoted(before)
        side = self.grammar.sides.get(_unquoted(before, "`"))
        if side is None:
            raise self.fault(name, self.grammar.refusals.side, side=_unquoted(before, "`"))
        return side, _unquoted(after)


class FilterReader(_Reader):
    """Reads conditions; a language with other fields overrides `_comparison`."""

    def __init__(self, text: str, grammar: Grammar) -> None:
        super().__init__("filter", text, grammar)
        self.comparisons = 0
        self.depth = 0

    def read(self) -> Condition | None:
        self._refuse_what_is_none()
        if all(token.word == "AND" for token in self.tokens[:-1]):
            return None
        condition = self._any()
        if self.peek().kind != "end":
            raise self._clause_fault(self.peek())
        return condition

    def _refuse_what_is_none(self) -> None:
        wrong = self.tokens[-1]
        if wrong.kind == "wrong":
            if ";" in wrong.text and self.text[wrong.at :].strip() != ";":
                raise self.fault(wrong, _MULTIPLE)
            raise self._clause_fault(wrong)
        if len(self.tokens) == 1:
            raise self.fault(wrong, "Invalid filter {text!r}. Could not be parsed.")

    def _any(self) -> Condition:
        parts = [self._all()]
        while self.take("OR"):
            parts.append(self._all())
        return parts[0] if len(parts) == 1 else Or(tuple(parts))

    def _all(self) -> Condition:
        parts: list[Condition] = []
        while True:
            while self.take("AND"):
                pass
            if parts and (self.peek().kind in ("end", "close") or self.peek().word == "OR"):
                return parts[0] if len(parts) == 1 else And(tuple(parts))
            parts.append(self._one())

    def _one(self) -> Condition:
        token = self.peek()
        if token.word != "NOT" and token.kind != "open":
            return self._comparison()
        self.depth += 1
        if self.depth > _DEEPEST:
            raise self.fault(token, f"At most {_DEEPEST} brackets and NOTs may stand inside one another")
        self.next()
        if token.kind == "open":
            inner = self._any()
            if self.next().kind != "close":
                raise self._clause_fault(token)
        else:
            inner = Not(self._one())
        self.depth -= 1
        return inner

    def _comparison(self) -> Comparison:
        name, comparator_at = self.next(), self.peek()
        comparator = self._comparator()
        if name.kind in ("number", "text") and comparator:
            raise self.fault(name, "Invalid comparison clause. Expected 'Identifier' found '{found}'")
        if name.kind != "name" or not comparator:
            raise self._clause_fault(name)
        self.comparisons += 1
        if self.comparisons > MOST_COMPARISONS:
            raise self.fault(name, f"At most {MOST_COMPARISONS} comparisons may stand in one filter")
        if comparator not in NULLS and self._is_no_value(self.peek()):
            raise self._clause_fault(self.peek())
        side, key, attribute = self._field(name)
        value: Value = None
        if comparator not in NULLS:
            value = self._value(side, key, attribute)
        if comparator not in self._allowed(side, attribute):
            raise self._comparator_fault(comparator_at, comparator, side, key, attribute)
        if isinstance(value, tuple) is not (comparator in ("IN", "NOT IN")):
            raise self._clause_fault(comparator_at)
        return Comparison(Field(side, attribute.key if attribute else key), comparator, value)

    def _comparator(self) -> str:
        """Read a comparator, in capitals; empty if there is none."""
        if self.peek().kind == "operator":
            return self.next().text
        for words in (
            ("IS", "NOT", "NULL"),
            ("IS", "NULL"),
            ("NOT", "IN"),
            ("NOT", "LIKE"),
            ("NOT", "ILIKE"),
        ):
            if tuple(self.peek(ahead).word for ahead in range(len(words))) == words:
                self.at += len(words)
                return " ".join(words)
        if self.peek().word in ("IN", "LIKE", "ILIKE", "RLIKE"):
            return self.next().word
        return ""

    def _field(self, name: Token) -> tuple[Side, str, Attribute | None]:
        side, key = self.split(name)
        if side is Side.DATASET and key not in DATASET_KEYS:
            sentence = "Invalid dataset key '{key}' specified. Valid keys are '{valid}'"
            raise self.fault(name, sentence, key=key, valid=_set(DATASET_KEYS))
        if side is not Side.ATTRIBUTE:
            return side, key, None
        attribute = self.grammar.attributes.get(key)
        if attribute is None:
            valid = _set(self.grammar.attributes)
            raise self.fault(name, self.grammar.refusals.key, key=key, valid=valid)
        return side, key, attribute

    def _allowed(self, side: Side, attribute: Attribute | None) -> tuple[str, ...]:
        if attribute is not None:
            return attribute.allowed
        if side is Side.METRIC:
            return NUMERIC
        return LISTED if side is Side.DATASET else self.grammar.pairs.get(side, ())

    def _comparator_fault(
        self, token: Token, comparator: str, side: Side, key: str, attribute: Attribute | None
    ) -> InvalidFilter:
        refusals = self.grammar.refusals
        if comparator in NULLS:
            return self.fault(token, refusals.nulls, side=side, key=key)
        allowed = self._allowed(side, attribute)
        valid = str(allowed) if self.grammar.is_loose else _set(allowed)
        return self.fault(token, refusals.comparator, side=side, key=key, comparator=comparator, valid=valid)

    def _is_no_value(self, token: Token) -> bool:
        """Say whether a token cannot be a value: then there is no comparison, whatever its field is."""
        return token.kind in ("operator", "close", "comma", "end") or token.word in ("TRUE", "FALSE")

    def _value(self, side: Side, key: str, attribute: Attribute | None) -> Value:
        token = self.next()
        if token.kind == "open":
            return self._list(token, side, attribute)
        if side is Side.METRIC:
            if token.kind != "number":
                raise self.fault(token, "Expected numeric value type for metric. Found {found}")
            return float(token.text)
        if attribute is not None and attribute.kind is not Kind.TEXT:
            return self._number(token, attribute, key)
        return self._text(token, side)

    def _text(self, token: Token, side: Side) -> str:
        if token.quoted is not None:
            return token.quoted
        if self.grammar.is_loose:
            return token.text
        if token.kind == "name" and token.word != "NULL":
            raise self.fault(token, _NOT_QUOTED)
        if side is Side.ATTRIBUTE:
            raise self.fault(token, self.grammar.refusals.attribute_number)
        raise self.fault(token, _NOT_TEXT, side="dataset attributes" if side is Side.DATASET else side)

    def _number(self, token: Token, attribute: Attribute, key: str) -> int | float:
        if token.kind == "number":
            is_whole = token.text.lstrip("+-").isdecimal() and len(token.text) <= _LONG
            if is_whole or attribute.kind is not Kind.WHOLE:
                return int(token.text) if is_whole else float(token.text)
        if token.quoted is not None and attribute.kind is Kind.MOMENT:
            return self._moment(token, token.quoted)
        if token.quoted is not None and attribute.kind is Kind.WHOLE and token.quoted.isdecimal():
            return int(token.quoted[:_LONG])
        if token.kind == "number":
            raise self.fault(token, "Invalid value for numeric attribute '{key}': '{found}'", key=key)
        sentence = "Expected numeric value type for numeric attribute: {key}. Found {found}"
        raise self.fault(token, sentence, key=key)

    def _moment(self, token: Token, text: str) -> float:
        """Read a date as seconds since the epoch; without a zone it is in UTC."""
        try:
            at = datetime.fromisoformat(text)
            return (at if at.tzinfo else at.replace(tzinfo=UTC)).timestamp()
        except (ValueError, OverflowError):
            raise self.fault(
                token, "Expected a date such as '2026-11-23' or '2026-11-23T14:05'. Found {found}"
            )

    def _list(self, opened: Token, side: Side, attribute: Attribute | None) -> tuple[str, ...]:
        found = self._bracketed(opened)
        if side is Side.METRIC:
            raise self.fault(found, "Expected numeric value type for metric. Found {found}")
        if side in (Side.PARAM, Side.TAG) and "IN" not in self._allowed(side, None):
            raise self.fault(found, _NOT_TEXT, side=side)
        lists = self.grammar.lists
        if attribute is not None and lists is not None and attribute.key not in lists:
            sentence = "Only {keys} attributes support comparison with a list of quoted string values."
            raise self.fault(found, sentence, keys=sorted(lists))
        if attribute is not None and attribute.kind is not Kind.TEXT:
            sentence = "Expected numeric value type for numeric attribute: {key}. Found {found}"
            raise self.fault(found, sentence, key=attribute.key)
        return self._texts(found)

    def _bracketed(self, opened: Token) -> Token:
        """Give a list as it stands, from bracket to bracket."""
        while (token := self.next()).kind in ("text", "name", "number", "comma"):
            pass
        if token.kind != "close":
            raise self._clause_fault(opened)
        return Token("list", self.text[opened.at : token.at + 1], opened.at)

    def _texts(self, found: Token) -> tuple[str, ...]:
        try:
            # MLflow reads a list as Python does: escapes too.
            read = ast.literal_eval(found.text)
        except (ValueError, SyntaxError, RecursionError, MemoryError):
            raise self.fault(found, _BAD_LIST)
        texts = read if isinstance(read, tuple) else (read,)
        if not texts:
            raise self.fault(found, _EMPTY_LIST)
        if not all(isinstance(text, str) for text in texts):
            raise self.fault(found, _MIXED_LIST)
        if len(texts) > MOST_LISTED:
            raise self.fault(found, f"At most {MOST_LISTED} values may stand in a list")
        return texts

    def _clause_fault(self, token: Token) -> InvalidFilter:
        return self.fault(token, self.grammar.refusals.clause)


def _unquoted(key: str, quotes: str = "'\"") -> str:
    """Take quotes off a key, and then backticks."""
    for some in (quotes, "`"):
        if len(key) >= 2 and key[0] == key[-1] and key[0] in some:
            key = key[1:-1]
    return key


def _set(names: Mapping[str, Any] | Sequence[str]) -> str:
    """Write names as Python writes a set, but in their order."""
    return "{" + ", ".join(repr(name) for name in sorted(names)) + "}"
