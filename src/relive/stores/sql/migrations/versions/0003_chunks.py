"""Points of metrics in packed chunks beside their rows; pins of blobs; stages found by their run."""

import math
import zlib
from array import array
from itertools import accumulate
from typing import Any

import msgspec
import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"

# Written out, as in 0001: a released revision does not change.
TEXT = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")
REAL: Any = sa.Double().with_variant(sa.REAL(), "sqlite")
WHOLE = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
FLAG = sa.Boolean().with_variant(sa.Integer(), "sqlite")
BYTES = sa.LargeBinary()
PLACE = "series_id first_step first_at first_is_number first_value"


def _some(type_: Any, names: str) -> list[sa.Column[Any]]:
    return [sa.Column(name, type_, nullable=False) for name in names.split()]


def upgrade() -> None:
    """Add what is new; all runs with metrics have rows to pack."""
    op.add_column("metric_series", sa.Column("packed", WHOLE))
    op.create_table(
        "metric_chunks",
        *_some(WHOLE, "id series_id first_step"),
        *_some(REAL, "first_at"),
        *_some(WHOLE, "first_is_number"),
        *_some(REAL, "first_value"),
        *_some(WHOLE, "last_step"),
        *_some(REAL, "last_at"),
        *_some(WHOLE, "last_is_number"),
        *_some(REAL, "last_value"),
        *_some(WHOLE, "count"),
        *_some(BYTES, "sketch points"),
        sa.PrimaryKeyConstraint("id", name="metric_chunks_pkey"),
        sqlite_strict=True,
    )
    op.create_index("metric_chunks_place", "metric_chunks", PLACE.split(), unique=True)
    op.create_table(
        "metric_tails",
        *_some(TEXT, "run_id"),
        *_some(FLAG, "is_long"),
        sa.PrimaryKeyConstraint("run_id", name="metric_tails_pkey"),
        sqlite_strict=True,
        sqlite_with_rowid=False,
    )
    op.create_table(
        "blob_pins",
        *_some(TEXT, "digest"),
        *_some(REAL, "at"),
        *_some(FLAG, "is_doomed"),
        sa.PrimaryKeyConstraint("digest", name="blob_pins_pkey"),
        sqlite_strict=True,
        sqlite_with_rowid=False,
    )
    op.create_index("stages_run_id", "stages", ["run_id"])
    yes = "1" if op.get_bind().dialect.name == "sqlite" else "true"
    op.execute(f"INSERT INTO metric_tails SELECT DISTINCT run_id, {yes} FROM metric_series")  # noqa: S608


def downgrade() -> None:
    """Write what was packed as rows again, and take away what is new."""
    connection = op.get_bind()
    names = ("series_id", "step", "at", "value", "is_nan")
    rows = sa.table("metric_points", *(sa.column(name) for name in names))
    chunks = connection.execute(sa.text("SELECT id FROM metric_chunks ORDER BY id")).scalars().all()
    for number in chunks:
        found = sa.text("SELECT series_id, points FROM metric_chunks WHERE id = :id")
        series_id, data = connection.execute(found, {"id": number}).one()
        points = [
            {"series_id": series_id, "step": step, "at": at, "value": value, "is_nan": 0}
            if not math.isnan(value)
            else {"series_id": series_id, "step": step, "at": at, "value": 0.0, "is_nan": 1}
            for step, at, value in zip(*_unpacked(data), strict=True)
        ]
        connection.execute(sa.insert(rows), points)
    op.drop_index("stages_run_id", "stages")
    op.drop_table("blob_pins")
    op.drop_table("metric_tails")
    op.drop_table("metric_chunks")
    op.drop_column("metric_series", "packed")


def _unpacked(data: bytes) -> tuple[Any, Any, Any]:
    """Read points as revision 0003's first format has them; see `formats.series`."""
    _, *columns = msgspec.msgpack.decode(data)
    steps, times, values = (_words(kind, squeezed) for kind, squeezed in columns)
    return steps, array("d", times.tobytes()), array("d", values.tobytes())


def _words(kind: int, squeezed: bytes) -> Any:
    planes = zlib.decompress(squeezed)
    words = bytearray(len(planes))
    length = len(planes) // 8
    for plane in range(8):
        words[plane::8] = planes[plane * length : (plane + 1) * length]
    found = array("q", bytes(words))
    return array("q", accumulate(found)) if kind else found
