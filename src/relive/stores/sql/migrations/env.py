"""How Alembic runs our migrations: in the connection and the transaction that `schema` hands over."""

from alembic import context

from relive.stores.sql.schema import VERSION
from relive.stores.sql.tables.base import METADATA

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=METADATA,
    version_table=VERSION.name,
    # SQLite changes a table by copying it; Alembic calls that a batch.
    render_as_batch=True,
)
# The transaction is already open: with it, a migration is kept whole or not at all.
context.run_migrations()
