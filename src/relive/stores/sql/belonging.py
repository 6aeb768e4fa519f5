"""Rows of many owners at once, read by the driver alone.

A page of a hundred runs asks for a thousand of them. A list of a hundred parameters, written anew each time,
and SQLAlchemy's rows cost more than finding what they hold; here the list is one parameter.
"""

from collections.abc import Sequence
from typing import Any

import msgspec
from sqlalchemy import Connection

from relive.errors import InvalidInput

_AMONG_SQLITE = "IN (SELECT value FROM json_each(?))"
_AMONG_POSTGRES = "= ANY(%s::text[])"


def rows_among(connection: Connection, query: str, owners: Sequence[str]) -> Sequence[Any]:
    """Run a query for the rows of some owners.

    Args:
        connection: To read with.
        query: In SQL that both databases know; `{among}` stands for "is one of the owners".
        owners: Their ids, any number.

    Returns:
        What the driver gives: no column's type has looked at it.

    Raises:
        InvalidInput: An id is none that a database can hold.
    """
    if "\0" in "".join(owners):
        # PostgreSQL would refuse it, SQLite find nothing.
        raise InvalidInput(field="ids", value=list(owners)[:10], wanted="text without the character NUL")
    if connection.dialect.name == "sqlite":
        text = msgspec.json.encode(owners).decode()
        result = connection.exec_driver_sql(query.format(among=_AMONG_SQLITE), (text,))
    else:
        result = connection.exec_driver_sql(query.format(among=_AMONG_POSTGRES), (list(owners),))
    found = result.cursor.fetchall()
    result.close()
    return found
