"""Keys and values that belong to something: tags of models and versions, params of logged models."""

from collections.abc import Sequence

from sqlalchemy import Table, delete, select

from relive.stores.sql.engine import Database
from relive.stores.sql.part import chunks


class Keyed:
    """A table of (owner, key, value).

    Args:
        table: The table.
        owner: Its column that says whose they are.
    """

    def __init__(self, table: Table, owner: str) -> None:
        self.table = table
        self.owner = table.c[owner]

    def set(self, database: Database, owner: str, values: dict[str, str]) -> None:
        """Set values, new or not."""
        rows = self.rows(owner, values)
        upsert = database.insert(self.table)
        upsert = upsert.on_conflict_do_update(
            index_elements=[self.owner.name, "key"], set_={"value": upsert.excluded.value}
        )
        if rows:
            with database.write() as connection:
                connection.execute(upsert, rows)

    def delete(self, database: Database, owner: str, key: str) -> bool:
        """Take one away; tell whether it was there."""
        gone = delete(self.table).where(self.owner == owner, self.table.c.key == key)
        with database.write() as connection:
            return connection.execute(gone).rowcount == 1

    def of(self, database: Database, owners: Sequence[str]) -> dict[str, dict[str, str]]:
        """Give key and value of each owner that has any, keys in their order."""
        found: dict[str, dict[str, str]] = {}
        columns = (self.owner, self.table.c.key, self.table.c.value)
        with database.read() as connection:
            for some in chunks(owners):
                query = select(*columns).where(self.owner.in_(some)).order_by(*columns[:2])
                for owner, key, value in connection.execute(query):
                    found.setdefault(owner, {})[key] = value
        return found

    def rows(self, owner: str, values: dict[str, str]) -> list[dict[str, str]]:
        """Give the rows of one owner's values."""
        return [{self.owner.name: owner, "key": key, "value": value} for key, value in values.items()]
