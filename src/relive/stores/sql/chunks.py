"""Packed points of a series: chunks that do not overlap, beside the rows that came since.

A chunk is found by the place of its first point. New points are rows until they are packed (`pack_rows`),
also those that come late: packing merges them into the chunk they belong to. A point lies in one place only,
and a series is read by merging the two (`read_pieces`).

Whoever packs holds the run's row, as whoever writes points does: see docs/design/locking.md.
"""

from bisect import bisect_left
from collections.abc import Generator, Iterator
from contextlib import closing
from itertools import chain, pairwise
from typing import Any, Final, NamedTuple

from sqlalchemy import Column, Connection, Row, Select, bindparam, delete, insert, select, tuple_

from relive.core.series import Points, no_points
from relive.formats.series import Packer, pack_points, unpack_points
from relive.stores.sql.columns import FLOAT, WHOLE
from relive.stores.sql.points import delete_rows, first_rows, read_rows
from relive.stores.sql.reduction import Piece, sketch
from relive.stores.sql.summary import Place, place_at, places_of, points_of
from relive.stores.sql.tables.runs import metric_chunks

# A chunk holds at most so many points. One with fewer than half of them takes in what comes after it.
MOST: Final = 8192
_CHUNKS_A_FETCH: Final = 16

_CHUNKS: Final = metric_chunks.c
_FIRST: Final = (_CHUNKS.first_step, _CHUNKS.first_at, _CHUNKS.first_is_number, _CHUNKS.first_value)
_LAST: Final = (_CHUNKS.last_step, _CHUNKS.last_at, _CHUNKS.last_is_number, _CHUNKS.last_value)
_TYPES: Final[dict[str, Any]] = {"step": WHOLE, "at": FLOAT, "is_number": WHOLE, "value": FLOAT}  # of a place
# Statements are built once: resent points ask for them again and again.
_PLACE: Final = tuple_(*(bindparam(name, type_=type_) for name, type_ in _TYPES.items()))
_HEAD: Final = select(_CHUNKS.id, _CHUNKS["count"], *_FIRST, *_LAST)
_OF_SERIES: Final = _HEAD.where(_CHUNKS.series_id == bindparam("series_id", type_=WHOLE)).limit(1)
_UP_TO: Final = _OF_SERIES.where(tuple_(*_FIRST) <= _PLACE).order_by(*(column.desc() for column in _FIRST))
_BEHIND: Final = _OF_SERIES.where(tuple_(*_FIRST) > _PLACE).order_by(*_FIRST)


class _Head(NamedTuple):
    """A chunk without its points."""

    id: int
    n_points: int
    first: Place
    last: Place


def read_pieces(
    connection: Connection, series_id: int, *, sketched: bool = False, skip: int = 0
) -> Generator[Piece, None, None]:
    """Give a series piece by piece in its order, in memory that does not grow with it.

    Args:
        sketched: Give only the sketch of each chunk that no rows have come between.
        skip: How many points nobody wants: chunks that lie in them come empty, unread.
    """
    body = _CHUNKS.sketch if sketched else _CHUNKS.points
    # What lies in front of a late page is not even fetched; then each chunk of the page costs a statement.
    whole: Select[Any] = _HEAD if skip else _HEAD.add_columns(body)
    query = whole.where(_CHUNKS.series_id == series_id)
    query = query.order_by(*_FIRST).execution_options(yield_per=_CHUNKS_A_FETCH)
    passed = 0
    with closing(read_rows(connection, series_id)) as batches, connection.execute(query) as rows:
        tail = _Tail(batches)
        for row in rows:
            head = _head(row)
            for piece in map(_piece, tail.before(head.first)):
                passed += piece.stands_for
                yield piece
            between = list(chain.from_iterable(tail.before(head.last)))
            passed += head.n_points + len(between)
            if between:
                yield _piece(sorted(chain(_places(connection, head.id), between)))
            elif passed <= skip:
                yield Piece(no_points(), head.n_points)
            else:
                yield Piece(
                    _body(connection, body, head.id) if skip else unpack_points(row[-1]), head.n_points
                )
        yield from map(_piece, tail.rest())


def find_packed(connection: Connection, series_id: int, places: dict[Place, None]) -> set[Place]:
    """Give those of the places that lie in chunks."""
    lowest, highest = min(places), max(places)
    found: set[Place] = set()
    head = _find(connection, _UP_TO, series_id, lowest) or _find(connection, _BEHIND, series_id, lowest)
    while head is not None and head.first <= highest:
        if head.last >= lowest:
            found |= places.keys() & set(_places(connection, head.id))
        head = _find(connection, _BEHIND, series_id, head.first)
    return found


def pack_rows(connection: Connection, series_id: int) -> int:
    """Move the first rows of a series into a chunk or two; gives how many, at most `MOST`. It has some."""
    waiting = first_rows(connection, series_id, limit=MOST + 1)
    before = _find(connection, _UP_TO, series_id, waiting[0])
    after = _find(connection, _BEHIND, series_id, waiting[0])
    end = MOST if after is None else min(MOST, bisect_left(waiting, after.first))
    rows, left = waiting[:end], waiting[end:]
    places = rows
    if before is not None and (before.n_points < MOST // 2 or rows[0] < before.last):
        places = sorted(chain(_places(connection, before.id), rows))
        connection.execute(delete(metric_chunks).where(_CHUNKS.id == before.id))
    add_chunks(connection, {series_id: points_of(places)})
    if delete_rows(connection, series_id, rows, left[0] if left else None) != len(rows):
        raise RuntimeError(f"rows of series {series_id} changed under their lock")  # a defect
    return len(rows)


def add_chunks(connection: Connection, stretches: dict[int, Points]) -> None:
    """Add points that come after all points of their series, by its number."""
    packer = Packer()
    rows = [
        _to_row(series_id, points, span, packer)
        for series_id, points in stretches.items()
        for span in pairwise(_ends(len(points)))
    ]
    connection.execute(insert(metric_chunks), rows)


class _Tail:
    """The rows of a series in their order, taken from the front."""

    def __init__(self, batches: Iterator[list[Place]]) -> None:
        self._batches = batches
        self._held = next(batches, [])

    def before(self, end: Place) -> Iterator[list[Place]]:
        """Take what lies before a place."""
        while self._held:
            taken = bisect_left(self._held, end)
            if taken:
                yield self._held[:taken]
            if taken < len(self._held):
                self._held = self._held[taken:]
                return
            self._held = next(self._batches, [])

    def rest(self) -> Iterator[list[Place]]:
        """Take all that is left."""
        if self._held:
            yield self._held
        yield from self._batches


def _ends(n_points: int) -> list[int]:
    """Say where to cut into as few pieces as hold them, of about the same length."""
    n_pieces = -(-n_points // MOST)
    return [n_points * number // n_pieces for number in range(n_pieces + 1)]


def _to_row(series_id: int, points: Points, span: tuple[int, int], packer: Packer) -> dict[str, Any]:
    """Give the row of those points that lie from one number to before another."""
    start, end = span
    ends = _named(place_at(points, start), "first_") | _named(place_at(points, end - 1), "last_")
    bodies = {"sketch": pack_points(sketch(points, start, end)), "points": packer.pack(points, start, end)}
    return {"series_id": series_id, "count": end - start, **ends, **bodies}


def _named(place: Place, prefix: str = "") -> dict[str, Any]:
    step, at, is_number, value = place
    return {f"{prefix}{name}": it for name, it in zip(_TYPES, (step, at, int(is_number), value), strict=True)}


def _find(connection: Connection, query: Any, series_id: int, place: Place) -> _Head | None:
    row = connection.execute(query, {"series_id": series_id, **_named(place)}).one_or_none()
    return None if row is None else _head(row)


def _head(row: Row[Any]) -> _Head:
    number, n_points, *ends = tuple(row)[:10]
    return _Head(number, n_points, _place(*ends[:4]), _place(*ends[4:]))


def _place(step: int, at: float, is_number: int, value: float) -> Place:
    return step, at, bool(is_number), value


def _places(connection: Connection, chunk_id: int) -> list[Place]:
    return places_of(_body(connection, _CHUNKS.points, chunk_id))


def _body(connection: Connection, body: Column[bytes], chunk_id: int) -> Points:
    return unpack_points(connection.execute(select(body).where(_CHUNKS.id == chunk_id)).scalar_one())


def _piece(places: list[Place]) -> Piece:
    return Piece(points_of(places), len(places))
