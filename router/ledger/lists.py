"""Conditions over lists of any length that are one and the same statement to the database."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from sqlalchemy import ColumnElement, Connection, any_, bindparam, literal
from sqlalchemy.dialects.postgresql import ARRAY


def among(conn: Connection, column: ColumnElement[Any], values: Collection[Any]) -> ColumnElement[bool]:
    """Whether a column's value is one of these.

    PostgreSQL gets one array: with a parameter for each value, every length would be a statement to prepare anew, and
    its general plan compares each row with each value.
    """
    if conn.dialect.name == "postgresql":
        return column == any_(literal(list(values), ARRAY(column.type)))
    return column.in_(values)


def among_given(dialect: str, column: ColumnElement[Any], name: str) -> ColumnElement[bool]:
    """The same for a statement that is built once: the values are given with it, as the list ``name``."""
    if dialect == "postgresql":
        return column == any_(bindparam(name, type_=ARRAY(column.type)))
    return column.in_(bindparam(name, expanding=True))
