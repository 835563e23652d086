"""Inserting what may be there already, in one statement, so that two processes at once are both right."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any

from sqlalchemy import Connection, Table
from sqlalchemy.dialects import postgresql, sqlite


def insert_new(conn: Connection, table: Table, rows: Sequence[Mapping[str, Any]]) -> None:
    """Insert the rows that are new; those that are there (by primary key or a unique index) stay as they are."""
    if rows:
        conn.execute(_new(conn.dialect.name, table), list(rows))


def insert_one_new(conn: Connection, table: Table, row: Mapping[str, Any]) -> bool:
    """Insert a row unless it is there already; whether it was inserted."""
    return conn.execute(_new(conn.dialect.name, table), dict(row)).rowcount == 1


def put(conn: Connection, table: Table, row: Mapping[str, Any]) -> None:
    """Insert a row, or replace the values of the one with its primary key."""
    conn.execute(_put(conn.dialect.name, table, tuple(row)), dict(row))


# Statements are built once for each table: building one costs more than the databases do.


@lru_cache(maxsize=64)
def _new(dialect: str, table: Table) -> postgresql.Insert | sqlite.Insert:
    return _insert(dialect, table).on_conflict_do_nothing()


@lru_cache(maxsize=64)
def _put(dialect: str, table: Table, names: tuple[str, ...]) -> postgresql.Insert | sqlite.Insert:
    key = [column.name for column in table.primary_key]
    made = _insert(dialect, table)
    changed = {name: made.excluded[name] for name in names if name not in key}
    return made.on_conflict_do_update(index_elements=key, set_=changed)


def _insert(dialect: str, table: Table) -> postgresql.Insert | sqlite.Insert:
    return postgresql.insert(table) if dialect == "postgresql" else sqlite.insert(table)
