"""The live log of a run: its output while it runs, in pieces as they came."""

from typing import Final

from sqlalchemy import Connection, delete, func, insert, select

from relive.errors import InvalidInput
from relive.stores.sql.fences import hold_run
from relive.stores.sql.part import StorePart
from relive.stores.sql.tables.runs import log_chunks

_CHUNKS: Final = log_chunks.c


class SqlLogs(StorePart):
    """See `ports.stores.RunStore`."""

    def append_log(self, run_id: str, data: bytes, *, offset: int, fence: int | None = None) -> int:
        if offset < 0:
            raise InvalidInput(field="offset", value=offset, wanted="0 or more")
        if not isinstance(data, bytes | bytearray | memoryview):
            raise InvalidInput(field="data", value=data, wanted="bytes")
        with self._db.write() as connection:
            hold_run(connection, run_id, fence)
            length = _length(connection, run_id)
            # What lies before the end is there already; beyond a gap nothing can be kept, and the length
            # tells the writer from where to send again.
            new = data[length - offset :] if offset <= length else b""
            if new:
                connection.execute(insert(log_chunks).values(run_id=run_id, start=length, data=new))
        return length + len(new)

    def read_log(self, run_id: str, *, start: int = 0, limit: int = 1 << 20) -> bytes:
        if start < 0 or limit < 0:
            raise InvalidInput(field="start, limit", value=(start, limit), wanted="0 or more")
        # The piece that holds the first byte wanted begins before it.
        first = select(func.max(_CHUNKS.start)).where(_CHUNKS.run_id == run_id, _CHUNKS.start <= start)
        wanted = (_CHUNKS.start >= first.scalar_subquery(), _CHUNKS.start < start + limit)
        query = select(_CHUNKS.start, _CHUNKS.data).where(_CHUNKS.run_id == run_id, *wanted)
        with self._db.read() as connection:
            rows = connection.execute(query.order_by(_CHUNKS.start)).all()
        if not rows:
            return b""
        skipped = start - rows[0].start
        return b"".join(row.data for row in rows)[skipped : skipped + limit]

    def drop_live_log(self, run_id: str) -> None:
        with self._db.write() as connection:
            hold_run(connection, run_id, None)
            connection.execute(delete(log_chunks).where(_CHUNKS.run_id == run_id))


def _length(connection: Connection, run_id: str) -> int:
    end = _CHUNKS.start + func.length(_CHUNKS.data)
    query = select(end).where(_CHUNKS.run_id == run_id).order_by(_CHUNKS.start.desc()).limit(1)
    return connection.execute(query).scalar() or 0
