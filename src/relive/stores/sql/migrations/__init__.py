"""Alembic's environment (`env.py`) and every revision of the schema (`versions/`)."""
