"""Files that clients store outside of runs."""

from typing import Final

from sqlalchemy import ColumnElement, and_, delete, or_, select

from relive.core.stored_file import StoredFile
from relive.stores.sql.part import StorePart
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

    def list_files(self, folder: str) -> list[StoredFile]:
        query = _FILES.select(_inside(folder)) if folder else _FILES.select()
        with self._db.read() as connection:
            return _FILES.all(connection, query.order_by(_columns.path))

    def delete_files(self, path: str) -> int:
        gone = delete(stored_files).where(or_(_columns.path == path, _inside(path)))
        with self._db.write() as connection:
            return connection.execute(gone).rowcount

    def delete_idle_folders(self, folder: str, *, before: float) -> int:
        with self._db.write() as connection:
            newest: dict[str, float] = {}
            for path, at in connection.execute(
                select(_columns.path, _columns.created_at).where(_inside(folder))
            ):
                name = path[len(folder) + 1 :].partition("/")[0]
                newest[name] = max(at, newest.get(name, at))
            idle = [f"{folder}/{name}" for name, at in newest.items() if at < before]
            return sum(connection.execute(delete(stored_files).where(_inside(it))).rowcount for it in idle)


def _inside(folder: str) -> ColumnElement[bool]:
    # "0" is the character after "/": between the two lies exactly what is in the folder.
    return and_(_columns.path > f"{folder}/", _columns.path < f"{folder}0")
