"""What stands between `${{` and `}}`: names, replaced by their values.

A template holds names only, no arithmetic and no calls: `${{ matrix.seed }}`. In a command each value
becomes exactly one word of the shell. Text that a stranger can choose, such as the name of a branch, has no
place in a command at all; it reaches the process as an environment variable, which no shell interprets.

Conditions (`if:`) use the same names; see `core.conditions`.
"""

import re
import shlex
from collections.abc import Callable, Iterator, Mapping
from typing import Final, TypeAlias

from relive.core.problems import nearest
from relive.errors import InvalidInput

Value: TypeAlias = str | int | float | bool

NAME: Final = r"[A-Za-z_][A-Za-z0-9_-]*(?:\.[A-Za-z_][A-Za-z0-9_-]*)*"

# Chosen by whoever pushes, also on a forge: never part of a command.
FOREIGN: Final = {"trigger.branch": "RELIVE_BRANCH"}

_LATER: Final = {
    "params": "the script reads them from the params file",
    "secrets": "secrets are not yet supported",
    "trial": "sweeps are not yet supported",
    "inputs": "manual triggers are not yet supported",
}

_EXPRESSION = re.compile(r"\$\{\{([^{}]*)\}\}")
_ONE_NAME = re.compile(NAME)

# The parts of a shell script in which a character is not what it seems: an escape, a comment, a quoted text
# (to the end of the script if nobody closed it).
_SHELL_PARTS = re.compile(
    r"""\\.? | (?<![^\s;&|(])\#[^\n]* | '[^']*(?:'|\Z) | "(?:\\.?|[^"\\])*(?:"|\Z)""", re.DOTALL | re.VERBOSE
)


def fill(text: str, names: Mapping[str, Value]) -> str:
    """Replace each expression by its value as plain text: for paths and environment variables.

    Raises:
        InvalidInput: An expression is not closed, is more than a name, or names what does not exist.
    """
    return _replace(text, lambda name, _: text_of(look_up(name, names)))


def fill_command(text: str, names: Mapping[str, Value]) -> str:
    """Replace each expression by its value as one word of the shell, whatever characters it holds.

    Raises:
        InvalidInput: As `fill`; or a name is one that others choose; or a value that must be quoted stands
            inside quotes, where quoting it would change it.
    """
    quotes = [part.span() for part in _SHELL_PARTS.finditer(text) if part[0][0] in "'\""]

    def word(name: str, start: int) -> str:
        if name in FOREIGN:
            raise InvalidInput(
                field="expression",
                value=f"${{{{ {name} }}}}",
                wanted=f"no text in a command that others choose: read ${FOREIGN[name]} there",
            )
        value = text_of(look_up(name, names))
        quoted = shlex.quote(value)
        if quoted != value and any(first < start < end for first, end in quotes):
            raise InvalidInput(
                field="expression",
                value=f"${{{{ {name} }}}}",
                wanted=f"no quotes around it: relive quotes the value {value!r} itself",
            )
        return quoted

    return _replace(text, word)


def text_of(value: Value) -> str:
    """Write a value as commands hold it: true and false in lower case, numbers in their shortest form."""
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value)


def look_up(name: str, names: Mapping[str, Value]) -> Value:
    """Give the value of a name.

    Raises:
        InvalidInput: There is no such name; the nearest ones are told.
    """
    if name in names:
        return names[name]
    root = name.partition(".")[0]
    if root in _LATER:
        wanted = f"one of {_listed(names)}; {_LATER[root]}"
    elif root == "env":
        wanted = (
            f"one of {_listed(names)}; the shell reads environment variables as ${name.partition('.')[2]}"
        )
    else:
        near = nearest(name, names, count=1)
        wanted = f"one of {_listed(names)}" + (f"; did you mean `{near[0]}`?" if near else "")
    raise InvalidInput(field="name", value=name, wanted=wanted)


def _replace(text: str, value_of: Callable[[str, int], str]) -> str:
    filled, last = [], 0
    for start, end, name in _expressions(text):
        filled += [text[last:start], value_of(name, start)]
        last = end
    return "".join([*filled, text[last:]])


def _expressions(text: str) -> Iterator[tuple[int, int, str]]:
    end = 0
    for match in _EXPRESSION.finditer(text):
        _refuse_unclosed(text, end, match.start())
        start, end = match.span()
        inner = match[1].strip()
        if not _ONE_NAME.fullmatch(inner):
            wanted = "one name between `${{` and `}}`, such as `${{ matrix.seed }}`"
            raise InvalidInput(field="expression", value=text[start:end], wanted=wanted)
        yield start, end, inner
    _refuse_unclosed(text, end, len(text))


def _refuse_unclosed(text: str, start: int, end: int) -> None:
    opened = text.find("${{", start, end)
    if opened >= 0:
        raise InvalidInput(
            field="expression", value=text[opened : opened + 40], wanted="a closing `}}` after `${{`"
        )


def _listed(names: Mapping[str, Value]) -> str:
    known = sorted(names)
    return ", ".join(known[:12]) + (", …" if len(known) > 12 else "")
