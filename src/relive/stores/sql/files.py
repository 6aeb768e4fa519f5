"""Files that clients store outside of runs."""

from typing import Final

from sqlalchemy import delete, or_, select

from relive.core.stored_file import StoredFile
from relive.stores.sql.part import StorePart
from relive.stores.sql.paths import inside, overlapping
from relive.stores.sql.rows import Kept
from relive.stores.sql.tables.tracking import stored_files

_FILES: Final = Kept(StoredFile, stored_files, "file", fixed=("path",))
_columns = stored_files.c


class SqlFiles(StorePart):
    """See `ports.files.FileStore`."""

    def record_file(self, file: StoredFile) -> StoredFile:
        values = _FILES.values(file, created_at=file.created_at or self._db.moment())
        upsert = self._db.insert(stored_files).values(values)
        upsert = upsert.on_conflict_do_update(index_elements=["path"], set_=values)
        with self._db.write() as connection:
            return _FILES.read(connection.execute(upsert.returning(*_FILES.columns)).one())

    def find_file(self, path: str) -> StoredFile | None:
        with self._db.read() as connection:
            return _FILES.find(connection, _columns.path == path)

    def find_overlapping_file(self, path: str) -> StoredFile | None:
        query = _FILES.select(overlapping(_columns.path, path)).order_by(_columns.path).limit(1)
        with self._db.read() as connection:
            return next(iter(_FILES.all(connection, query)), None)

    def list_files(self, folder: str) -> list[StoredFile]:
        query = _FILES.select(inside(_columns.path, folder)) if folder else _FILES.select()
        with self._db.read() as connection:
            return _FILES.all(connection, query.order_by(_columns.path))

    def delete_files(self, path: str) -> int:
        gone = delete(stored_files).where(or_(_columns.path == path, inside(_columns.path, path)))
        with self._db.write() as connection:
            return connection.execute(gone).rowcount

    def delete_idle_folders(self, folder: str, *, before: float) -> int:
        with self._db.write() as connection:
            newest: dict[str, float] = {}
            for path, at in connection.execute(
                select(_columns.path, _columns.created_at).where(inside(_columns.path, folder))
            ):
                name = path[len(folder) + 1 :].partition("/")[0]
                newest[name] = max(at, newest.get(name, at))
            idle = [f"{folder}/{name}" for name, at in newest.items() if at < before]
            return sum(
                connection.execute(delete(stored_files).where(inside(_columns.path, it))).rowcount
                for it in idle
            )
