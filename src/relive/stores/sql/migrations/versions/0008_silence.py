"""When a run's process was last heard of; params in the order of what people see, not of their JSON."""

from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"

# Written out, as in 0001: a released revision does not change.
REAL: Any = sa.Double().with_variant(sa.REAL(), "sqlite")
SHOWN = (
    "substr((CASE WHEN substr(value, 1, 1) <> '\"' THEN value"
    " WHEN {0}(value, '\\') = 0 THEN substr(value, 2, length(value) - 2) ELSE {1} END), 1, 200)"
)
WITHOUT_NUL = "replace(value, '\\u0000', '\\u0001')"
IN_SQLITE = SHOWN.format("instr", f"json_extract({WITHOUT_NUL}, '$')")
IN_POSTGRES = SHOWN.format("strpos", f"(CAST({WITHOUT_NUL} AS JSONB) #>> '{{}}') COLLATE \"C\"")


def upgrade() -> None:
    """Add what is new; the index of params takes the place of one in the order of JSON."""
    op.add_column("runs", sa.Column("heard_at", REAL))
    is_sqlite = op.get_context().dialect.name == "sqlite"
    begin = sa.text(IN_SQLITE if is_sqlite else IN_POSTGRES)
    op.create_index("params_key_shown", "params", ["key", begin, "run_id"])
    op.drop_index("params_key_begin", "params")


def downgrade() -> None:
    """Take away what is new."""
    op.create_index("params_key_begin", "params", ["key", sa.text("substr(value, 1, 200)"), "run_id"])
    op.drop_index("params_key_shown", "params")
    op.drop_column("runs", "heard_at")
