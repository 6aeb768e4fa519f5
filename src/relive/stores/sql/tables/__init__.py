"""Every table of the fact store, as SQLAlchemy Core metadata.

A table that keeps a struct has a column for each of its fields, of the same name; see `rows.Kept`. What the
indexes are for is in docs/design/stores.md; a change here needs a migration (docs/design/migrations.md).
"""
