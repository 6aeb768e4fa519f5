"""Numbers that count from 1 within something, such as the pipelines of a project."""

from sqlalchemy import Column, Connection, select, update

from relive.errors import NotFound


class Numbered:
    """Gives the next number within a parent, which keeps the last one given.

    Args:
        last: The parent's column that keeps it; its table has a primary key `id`.
        kind: What the parent is called in an error.
    """

    def __init__(self, last: Column[int], kind: str) -> None:
        self._last = last
        self._parent = last.table
        self._kind = kind

    def hold(self, connection: Connection, parent: str) -> int:
        """Lock the parent until the transaction ends, and give its next number.

        So two children never get one number, and one that comes twice can be recognised before `take`.

        Raises:
            NotFound: There is no such parent.
        """
        query = select(self._last).where(self._parent.c.id == parent).with_for_update(key_share=True)
        last = connection.execute(query).scalar_one_or_none()
        if last is None:
            raise NotFound(kind=self._kind, name=parent)
        return last + 1

    def take(self, connection: Connection, parent: str, number: int) -> None:
        """Note that the number that `hold` gave is given away; without this no number is left out."""
        taken = update(self._last.table).where(self._parent.c.id == parent)
        connection.execute(taken.values({self._last: number}))
