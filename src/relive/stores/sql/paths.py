"""Paths in columns: what lies in a folder, and what cannot be a file beside another."""

from typing import Any

from sqlalchemy import ColumnElement, and_, or_


def inside(column: ColumnElement[Any], folder: str) -> ColumnElement[bool]:
    """Say that a path lies in a folder, however deep."""
    # "0" is the character after "/": between the two lies exactly what is in the folder.
    return and_(column > f"{folder}/", column < f"{folder}0")


def overlapping(column: ColumnElement[Any], path: str) -> ColumnElement[bool]:
    """Say that a path is a folder of another, or lies in the folder that it would be."""
    parts = path.split("/")
    folders = ["/".join(parts[:count]) for count in range(1, len(parts))]
    return or_(column.in_(folders), inside(column, path))
