"""What the address of a table of runs asks for: all of its state, so that a link shares it.

A filter is a condition in the language of searches (`metrics.acc > 0.9 AND params.opt = 'sgd'`), or words,
with `status:failed` and `kind:stage` among them.
"""

import re
from collections.abc import Mapping
from typing import Any, Final
from urllib.parse import unquote

import msgspec

from relive.core.run import RunKind, RunStatus
from relive.core.search import And, Comparison, Condition, Field, Order, Side
from relive.core.search_grammars import OWN_RUNS
from relive.core.search_parser import parse_filter
from relive.errors import InvalidInput
from relive.ports.search import Search, View

PAGE: Final = 50
NEWEST: Final = "-created_at"
MOST_COLUMNS: Final = 40
MOST_TICKED: Final = 1000
_LONGEST: Final = 2000
_STATUSES: Final = tuple(status.value for status in RunStatus)
_KINDS: Final = tuple(kind.value for kind in RunKind)
_SIDES: Final = {"metrics": Side.METRIC, "params": Side.PARAM, "tags": Side.TAG, "attributes": Side.ATTRIBUTE}
_NAMES: Final = {side: name for name, side in _SIDES.items()}
# What only a condition has; everything else is words.
_IS_CONDITION: Final = re.compile(
    r"[=<>]|\s(?:I?LIKE\s*['\"]|IS\s+(?:NOT\s+)?NULL|IN\s*\()"
    r"|^[\s(]*(?:NOT\s+)?(?:metric|param|parameter|tag|attribute|attr|dataset)s?\.",
    re.IGNORECASE,
)
# Where a page begins does not outlast a change of what is shown.
_PLACE: Final = {"after": "", "n": 0}


class Asked(msgspec.Struct, frozen=True, kw_only=True):
    """The state in the address.

    Attributes:
        q: The filter.
        of: A condition beside it: the group that was opened.
        sort: Attribute, "metrics.KEY", "params.KEY" or "tags.KEY", "-" before it for descending.
        cols: Columns asked for, as `field_id` writes them; empty for those that say most.
        sel: Runs that are ticked.
        after: Where the page before ended; empty for the first.
        n: How many rows came before.
        group: Field that runs are grouped by.
        by: Metric that is summed up in groups.
        view: Name of the saved view that was opened.
        deleted: "1" for the runs that were deleted.
        find: What a column's name shall hold.
        did: What was just done, to be said.
    """

    q: str = ""
    of: str = ""
    sort: str = NEWEST
    cols: tuple[str, ...] = ()
    sel: tuple[str, ...] = ()
    after: str = ""
    n: int = 0
    group: str = ""
    by: str = ""
    view: str = ""
    deleted: str = ""
    find: str = ""
    did: str = ""

    def query(self, **changes: Any) -> dict[str, Any]:
        """Give the state as a query, with some of it changed; defaults are left out."""
        state = {key: getattr(self, key) for key in self.__struct_fields__} | changes
        return {
            key: ",".join(value) if isinstance(value, tuple) else value
            for key, value in state.items()
            if value and not (key == "sort" and value == NEWEST)
        }

    def fresh(self, **changes: Any) -> dict[str, Any]:
        """Give the query of the first page of another view."""
        return self.query(**(_PLACE | {"did": "", "find": ""} | changes))


def read_asked(query: Mapping[str, str]) -> Asked:
    """Read the state from an address; what makes no sense is left out."""
    n = query.get("n", "")
    # Whoever looked for a column has chosen now.
    query = {**query, "find": ""} if query.get("show") else query
    texts = {
        key: query.get(key, "").strip()[:_LONGEST]
        for key in ("q", "of", "after", "group", "by", "view", "find", "did")
    }
    return Asked(
        sort=query.get("sort", "")[:_LONGEST] or NEWEST,
        cols=_names(query.get("cols", ""))[:MOST_COLUMNS],
        sel=_names(query.get("sel", ""))[:MOST_TICKED],
        n=int(n) if n.isascii() and n.isdigit() and len(n) < 9 else 0,
        deleted="1" if query.get("deleted") == "1" else "",
        **texts,
    )


def read_search(asked: Asked, project_id: str) -> Search:
    """Give what the table looks for.

    Raises:
        InvalidFilter: The condition cannot be read; says where.
        InvalidInput: A known word has a value it cannot have.
    """
    text, found = read_filter(asked.q)
    opened = parse_filter(asked.of, OWN_RUNS)
    both = tuple(it for it in (found, opened) if it is not None)
    order = order_of(asked.sort) or Order(Field(Side.ATTRIBUTE, "created_at"), ascending=False)
    return Search(
        condition=And(both) if len(both) > 1 else both[0] if both else None,
        orders=(order,),
        project_id=project_id,
        text=text,
        view=View.DELETED if asked.deleted else View.ACTIVE,
        limit=PAGE,
        after=asked.after,
    )


def read_filter(text: str) -> tuple[str, Condition | None]:
    """Read the filter box: words, and a condition.

    Raises:
        InvalidFilter: The condition cannot be read; says where.
        InvalidInput: A known word has a value it cannot have.
    """
    if _IS_CONDITION.search(text):
        return "", parse_filter(text, OWN_RUNS)
    words: list[str] = []
    found: list[Condition] = []
    for part in text.split():
        key, colon, value = part.partition(":")
        if colon and key == "status":
            found.append(_is("state", _one_of(key, value, _STATUSES)))
        elif colon and key == "kind":
            found.append(_is("kind", _one_of(key, value, _KINDS)))
        else:
            words.append(value if colon and key in ("stage", "commit", "name") else part)
    return " ".join(words), And(tuple(found)) if len(found) > 1 else found[0] if found else None


def order_of(sort: str) -> Order | None:
    """Give the order of an address; None if there is none such."""
    name, ascending = sort.removeprefix("-"), not sort.startswith("-")
    field = read_field(name)
    if field is None or field.side is Side.ATTRIBUTE:
        key = OWN_RUNS.orders.get(name.removeprefix("attributes."))
        return None if key is None else Order(Field(Side.ATTRIBUTE, key), ascending)
    return Order(field, ascending)


def field_id(field: Field) -> str:
    """Write a field for an address, where a comma separates fields."""
    return f"{_NAMES[field.side]}.{field.key.replace('%', '%25').replace(',', '%2C')}"


def read_field(text: str) -> Field | None:
    """Read what `field_id` wrote; None if it is no field."""
    side, dot, key = text.partition(".")
    return Field(_SIDES[side], unquote(key)) if dot and key and side in _SIDES else None


def _is(key: str, value: str) -> Comparison:
    return Comparison(Field(Side.ATTRIBUTE, key), "=", value)


def _one_of(key: str, value: str, allowed: tuple[str, ...]) -> str:
    if value not in allowed:
        raise InvalidInput(field=f"{key}:", value=value, wanted=", ".join(allowed))
    return value


def _names(text: str) -> tuple[str, ...]:
    return tuple(dict.fromkeys(part for part in text.split(",") if part))
