"""Queues of traces that people look at."""

from collections.abc import Sequence
from typing import Any, Final

from sqlalchemy import Connection, and_, delete, func, insert, select, update

from relive.core.review import ReviewItem, ReviewQueue, ReviewStatus
from relive.errors import NotFound
from relive.ports.review import Within
from relive.stores.sql.labels import inside
from relive.stores.sql.part import StorePart, chunks
from relive.stores.sql.rows import Kept
from relive.stores.sql.tables.review import review_items, review_queues, review_users

_FIXED: Final = ("id", "experiment_id", "kind", "created_by", "created_at")
_QUEUES: Final = Kept(ReviewQueue, review_queues, "review queue", fixed=_FIXED)
_ITEMS: Final = Kept(ReviewItem, review_items, "item of a review queue")
_OF: Final = review_queues.c
_ITEM: Final = review_items.c
_USER: Final = review_users.c


class SqlReviews(StorePart):
    """See `ports.review.ReviewStore`."""

    def create_review_queue(self, queue: ReviewQueue, *, users: Sequence[str]) -> ReviewQueue:
        at = queue.created_at or self._db.moment()
        with self._db.write() as connection:
            made = _QUEUES.insert(connection, queue, created_at=at, updated_at=queue.updated_at or at)
            _add_users(connection, made.id, users)
        return made

    def get_review_queue(self, queue_id: str) -> ReviewQueue:
        with self._db.read() as connection:
            return _QUEUES.get(connection, queue_id)

    def find_review_queue(self, experiment_id: str, folded_name: str) -> ReviewQueue | None:
        its = (_OF.experiment_id == experiment_id, _OF.folded_name == folded_name)
        with self._db.read() as connection:
            return _QUEUES.find(connection, *its)

    def list_review_queues(
        self, within: Within, *, user: str = "", trace_id: str = "", offset: int = 0, limit: int = 100
    ) -> list[ReviewQueue]:
        query = _QUEUES.select(*inside(review_queues, within))
        if user:
            query = query.where(_OF.id.in_(select(_USER.queue_id).where(_USER.user_name == user)))
        if trace_id:
            query = query.where(_OF.id.in_(select(_ITEM.queue_id).where(_ITEM.trace_id == trace_id)))
        query = query.order_by(_OF.created_at.desc(), _OF.id).offset(offset).limit(limit)
        with self._db.read() as connection:
            return _QUEUES.all(connection, query)

    def set_review_queue(self, queue_id: str, **changes: Any) -> ReviewQueue:
        with self._db.write() as connection:
            changed = _QUEUES.change(connection, queue_id, changes)
        assert changed is not None  # without a condition it is changed or not found
        return changed

    def delete_review_queue(self, queue_id: str) -> bool:
        with self._db.write() as connection:
            return connection.execute(delete(review_queues).where(_OF.id == queue_id)).rowcount == 1

    def set_review_users(self, queue_id: str, users: Sequence[str]) -> None:
        with self._db.write() as connection:
            connection.execute(delete(review_users).where(_USER.queue_id == queue_id))
            _add_users(connection, queue_id, users)

    def list_review_users(self, queue_ids: Sequence[str]) -> dict[str, list[str]]:
        found: dict[str, list[str]] = {}
        with self._db.read() as connection:
            for some in chunks(queue_ids):
                query = select(_USER.queue_id, _USER.user_name).where(_USER.queue_id.in_(some))
                for queue_id, user in connection.execute(query.order_by(_USER.queue_id, _USER.user_name)):
                    found.setdefault(queue_id, []).append(user)
        return found

    def add_review_items(self, queue_id: str, trace_ids: Sequence[str]) -> None:
        with self._db.write() as connection:
            at = self._db.now()
            rows = [
                _ITEMS.values(ReviewItem(queue_id=queue_id, trace_id=trace_id, created_at=at, updated_at=at))
                for trace_id in dict.fromkeys(trace_ids)
            ]
            if rows:
                connection.execute(self._db.insert(review_items).on_conflict_do_nothing(), rows)

    def find_review_items(self, queue_id: str, trace_ids: Sequence[str]) -> dict[str, ReviewItem]:
        found: dict[str, ReviewItem] = {}
        with self._db.read() as connection:
            for some in chunks(trace_ids):
                query = _ITEMS.select(_ITEM.queue_id == queue_id, _ITEM.trace_id.in_(some))
                found |= {item.trace_id: item for item in _ITEMS.all(connection, query)}
        return found

    def list_review_items(
        self, queue_id: str, *, status: ReviewStatus | None = None, offset: int = 0, limit: int = 100
    ) -> list[ReviewItem]:
        query = _ITEMS.select(_ITEM.queue_id == queue_id)
        if status is not None:
            query = query.where(_ITEM.status == status)
        query = query.order_by(_ITEM.created_at.desc(), _ITEM.trace_id)
        with self._db.read() as connection:
            return _ITEMS.all(connection, query.offset(offset).limit(limit))

    def count_review_items(self, queue_ids: Sequence[str]) -> dict[str, dict[ReviewStatus, int]]:
        found: dict[str, dict[ReviewStatus, int]] = {}
        with self._db.read() as connection:
            for some in chunks(queue_ids):
                query = select(_ITEM.queue_id, _ITEM.status, func.count()).where(_ITEM.queue_id.in_(some))
                for queue_id, status, n in connection.execute(query.group_by(_ITEM.queue_id, _ITEM.status)):
                    found.setdefault(queue_id, {})[status] = n
        return found

    def set_review_item(self, queue_id: str, trace_id: str, **changes: Any) -> ReviewItem:
        its = and_(_ITEM.queue_id == queue_id, _ITEM.trace_id == trace_id)
        changing = update(review_items).where(its).values(changes).returning(*_ITEMS.columns)
        with self._db.write() as connection:
            row = connection.execute(changing).one_or_none()
        if row is None:
            raise NotFound(kind=_ITEMS.kind, name=trace_id)
        return _ITEMS.read(row)

    def delete_review_items(self, queue_id: str, trace_ids: Sequence[str]) -> int:
        gone = 0
        with self._db.write() as connection:
            for some in chunks(trace_ids):
                these = (_ITEM.queue_id == queue_id, _ITEM.trace_id.in_(some))
                gone += connection.execute(delete(review_items).where(*these)).rowcount
        return gone


def _add_users(connection: Connection, queue_id: str, users: Sequence[str]) -> None:
    rows = [{"queue_id": queue_id, "user_name": user} for user in dict.fromkeys(users)]
    if rows:
        connection.execute(insert(review_users), rows)
