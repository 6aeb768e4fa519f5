"""What happened, in order."""

from typing import Final

from relive.core.event import Event
from relive.stores.sql.part import StorePart
from relive.stores.sql.rows import Kept
from relive.stores.sql.tables.hub import events

_EVENTS: Final = Kept(Event, events, "event")


class SqlEvents(StorePart):
    """See `ports.stores.EventStore`."""

    def record_event(self, event: Event) -> Event:
        # As a group: else an event could become visible after a later one was read, and whoever reads on
        # from there would never see it.
        with self._db.write(group=True) as connection:
            values = _EVENTS.values(event, at=event.at or self._db.moment())
            del values["id"]
            statement = events.insert().values(values).returning(*_EVENTS.columns)
            return _EVENTS.read(connection.execute(statement).one())

    def list_events(
        self,
        *,
        after: int = 0,
        project: str | None = None,
        subject: str | None = None,
        kind: str | None = None,
        newest_first: bool = False,
        limit: int = 100,
    ) -> list[Event]:
        order = events.c.id.desc() if newest_first else events.c.id
        query = _EVENTS.select(events.c.id > after).order_by(order).limit(limit)
        for column, value in (
            (events.c.project, project),
            (events.c.subject, subject),
            (events.c.kind, kind),
        ):
            if value is not None:
                query = query.where(column == value)
        with self._db.read() as connection:
            return _EVENTS.all(connection, query)
