"""The conditions of `if:`, in a small language read by recursive descent.

    condition  = and-part ( ("||" | "or") and-part )*
    and-part   = not-part ( ("&&" | "and") not-part )*
    not-part   = ("!" | "not") not-part | comparison
    comparison = value ( ("==" | "!=") value )?
    value      = 'text' | "text" | number | true | false | name | "(" condition ")"

Both sides of `and` and `or` are always looked at, so that a wrong name is found whatever the values are.
A number is never equal to a text, and nothing but true and false is a truth value.
"""

import re
from collections.abc import Mapping
from typing import NoReturn

import msgspec

from relive.core.expressions import NAME, Value, look_up
from relive.errors import InvalidInput

LONGEST = 1000
_DEEPEST = 32

_TOKEN = re.compile(
    rf"""\s*(?: (?P<text>'[^']*'|"[^"]*")
    | (?P<number>[-+]?[0-9]+(?:\.[0-9]+)?(?:[eE][-+]?[0-9]+)?(?![\w.]))
    | (?P<name>{NAME})
    | (?P<operator>==|!=|&&|\|\||!|\(|\)) )""",
    re.VERBOSE,
)
_WORDS = {"and": "&&", "or": "||", "not": "!"}
_CONSTANTS = {"true": True, "false": False}


class Judgement(msgspec.Struct, frozen=True):
    """Whether a condition holds, and the values it was judged by."""

    holds: bool
    used: dict[str, Value]


def judge(condition: str, names: Mapping[str, Value]) -> Judgement:
    """Say whether a condition holds; `${{ … }}` around the whole is allowed.

    Raises:
        InvalidInput: It cannot be read (says at which character), or names what does not exist.
    """
    text = condition.strip()
    if len(text) > LONGEST:
        raise InvalidInput(field="condition", value=text, wanted=f"at most {LONGEST} characters")
    if text.startswith("${{") and text.endswith("}}"):
        text = text[3:-2]
    judged = _Reader(text, names)
    return Judgement(judged.read(), judged.used)


class _Token(msgspec.Struct, frozen=True):
    kind: str
    text: str
    at: int


class _Reader:
    """Reads tokens from the left and computes as it goes."""

    def __init__(self, text: str, names: Mapping[str, Value]) -> None:
        self.text = text
        self.names = names
        self.used: dict[str, Value] = {}
        self.tokens = self._split()
        self.next = 0
        self.depth = 0

    def read(self) -> bool:
        holds = self._truth(self._any(), 0)
        if self._peek().kind != "end":
            self._refuse(self._peek(), "the end, `and` or `or`")
        return holds

    def _split(self) -> list[_Token]:
        tokens, at = [], 0
        end = len(self.text.rstrip())
        while at < end:
            match = _TOKEN.match(self.text, at)
            if match is None:
                at += len(self.text[at:]) - len(self.text[at:].lstrip())
                wrong = _Token("unknown", self.text[at : at + 20], at)
                self._refuse(wrong, "a name, a 'text', a number, or one of == != && || ! ( )")
            kind = match.lastgroup or ""
            text = match[kind]
            if kind == "name" and text in _WORDS:
                kind, text = "operator", _WORDS[text]
            tokens.append(_Token(kind, text, match.start(match.lastgroup or 0)))
            at = match.end()
        return [*tokens, _Token("end", "", end)]

    def _any(self) -> Value:
        start, left = self._peek().at, self._all()
        while self._take("||"):
            right_at = self._peek().at
            right = self._truth(self._all(), right_at)
            left = self._truth(left, start) or right
        return left

    def _all(self) -> Value:
        start, left = self._peek().at, self._not()
        while self._take("&&"):
            right_at = self._peek().at
            right = self._truth(self._not(), right_at)
            left = self._truth(left, start) and right
        return left

    def _not(self) -> Value:
        turns = 0
        while self._take("!"):
            turns += 1
        start, value = self._peek().at, self._comparison()
        return value if turns == 0 else self._truth(value, start) ^ (turns % 2 == 1)

    def _comparison(self) -> Value:
        left = self._value()
        if self._take("=="):
            return _equal(left, self._value())
        if self._take("!="):
            return not _equal(left, self._value())
        return left

    def _value(self) -> Value:
        token = self._peek()
        self.next += 1
        if token.kind == "text":
            return token.text[1:-1]
        if token.kind == "number":
            return float(token.text)
        if token.kind == "name":
            return self._named(token)
        if token.text != "(":
            self._refuse(token, "a name, a 'text', a number, true, false or `(`")
        return self._bracketed(token)

    def _named(self, token: _Token) -> Value:
        if token.text in _CONSTANTS:
            return _CONSTANTS[token.text]
        if self._peek().text == "(":
            self._refuse(token, "no call: conditions know names, == != and or not")
        self.used[token.text] = look_up(token.text, self.names)
        return self.used[token.text]

    def _bracketed(self, opened: _Token) -> Value:
        self.depth += 1
        if self.depth > _DEEPEST:
            self._refuse(opened, f"at most {_DEEPEST} brackets inside one another")
        value = self._any()
        if not self._take(")"):
            self._refuse(self._peek(), f"`)` for the `(` at character {opened.at + 1}")
        self.depth -= 1
        return value

    def _peek(self) -> _Token:
        return self.tokens[self.next]

    def _take(self, operator: str) -> bool:
        taken = self._peek().kind == "operator" and self._peek().text == operator
        self.next += taken
        return taken

    def _truth(self, value: Value, at: int) -> bool:
        if isinstance(value, bool):
            return value
        kind = "text" if isinstance(value, str) else "number"
        raise InvalidInput(
            field="condition",
            value=self.text.strip(),
            wanted=f"true or false at character {at + 1}, not the {kind} {value!r}: compare it with == or !=",
        )

    def _refuse(self, token: _Token, wanted: str) -> NoReturn:
        found = f"`{token.text}`" if token.kind != "end" else "the end"
        raise InvalidInput(
            field="condition",
            value=self.text.strip(),
            wanted=f"{wanted} at character {token.at + 1}, where {found} stands",
        )


def _equal(left: Value, right: Value) -> bool:
    kinds = [bool if isinstance(it, bool) else str if isinstance(it, str) else float for it in (left, right)]
    return kinds[0] is kinds[1] and left == right
