"""Structs in tables: a table has a column of the same name for each field of the struct it keeps."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Generic, TypeVar

import msgspec
from sqlalchemy import ColumnElement, Connection, Select, Table, bindparam, insert, select, update

from relive.errors import InvalidInput, NotFound

if TYPE_CHECKING:
    from sqlalchemy.dialects.sqlite import Insert

T = TypeVar("T", bound=msgspec.Struct)


class Kept(Generic[T]):
    """How one struct is kept.

    Args:
        struct: The struct.
        table: Its table, with a primary key `id` if it is got by one.
        kind: What it is called in an error.
        fixed: Fields that never change.
    """

    def __init__(self, struct: type[T], table: Table, kind: str, *, fixed: Sequence[str] = ("id",)) -> None:
        self.struct = struct
        self.table = table
        self.kind = kind
        self._fields = struct.__struct_fields__
        self._changeable = frozenset(self._fields) - set(fixed)
        self.columns = [table.c[field] for field in self._fields]
        self._by_id = select(*self.columns).where(table.c.id == bindparam("id")) if "id" in table.c else None

    def values(self, item: T, **other: Any) -> dict[str, Any]:
        """Give a struct's row; `other` adds columns or takes the place of fields."""
        return {field: getattr(item, field) for field in self._fields} | other

    def read(self, row: Sequence[Any]) -> T:
        """Give the struct of a row of `columns`."""
        return self.struct(**dict(zip(self._fields, row, strict=True)))

    def select(self, *where: ColumnElement[bool]) -> Select[Any]:
        """Begin a query for whole structs."""
        return select(*self.columns).where(*where)

    def all(self, connection: Connection, query: Select[Any]) -> list[T]:
        """Run a query for structs."""
        return [self.read(row) for row in connection.execute(query)]

    def find(self, connection: Connection, *where: ColumnElement[bool]) -> T | None:
        """Give the one struct that fits, or None."""
        row = connection.execute(self.select(*where)).one_or_none()
        return None if row is None else self.read(row)

    def find_id(self, connection: Connection, key: str) -> T | None:
        """Give the struct with this id, or None; the quickest way to one."""
        assert self._by_id is not None  # its table has a primary key `id`
        row = connection.execute(self._by_id, {"id": key}).one_or_none()
        return None if row is None else self.read(row)

    def get(self, connection: Connection, key: str) -> T:
        """Give the struct with this id.

        Raises:
            NotFound: There is none.
        """
        found = self.find_id(connection, key)
        if found is None:
            raise NotFound(kind=self.kind, name=key)
        return found

    def insert(self, connection: Connection, item: T, **other: Any) -> T:
        """Keep a new struct and give it as the database now has it."""
        statement = insert(self.table).values(self.values(item, **other)).returning(*self.columns)
        return self.read(connection.execute(statement).one())

    def insert_unless(
        self, connection: Connection, insert_: "Insert", by: Sequence[str], item: T, **other: Any
    ) -> T | None:
        """Keep a new struct unless there is one with the same values of `by`; None if there is.

        Args:
            insert_: `Database.insert` of this table.
        """
        new = insert_.values(self.values(item, **other)).on_conflict_do_nothing(index_elements=by)
        row = connection.execute(new.returning(*self.columns)).one_or_none()
        return None if row is None else self.read(row)

    def change(
        self, connection: Connection, key: str, changes: dict[str, Any], *where: ColumnElement[bool]
    ) -> T | None:
        """Change fields of the struct with this id if `where` holds; None if it does not.

        Raises:
            InvalidInput: A field is unknown or never changes.
            NotFound: There is none with this id.
        """
        unknown = sorted(changes.keys() - self._changeable)
        if unknown:
            wanted = f"one of: {', '.join(sorted(self._changeable))}"
            raise InvalidInput(field=f"attribute of a {self.kind}", value=unknown[0], wanted=wanted)
        fits = (self.table.c.id == key, *where)
        if changes:
            # Any, because a SELECT and an UPDATE … RETURNING give the same rows.
            statement: Any = update(self.table).where(*fits).values(changes).returning(*self.columns)
        else:
            statement = self.select(*fits)
        row = connection.execute(statement).one_or_none()
        if row is not None:
            return self.read(row)
        self.get(connection, key)
        return None
