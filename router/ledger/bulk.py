"""Many rows in one call, handed to the driver as tuples.

The statements are built once from the tables; what that saves is the treatment of each value of each row, which costs
more than the databases do. JSON must be given as text (``faults.to_json``).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import lru_cache
from typing import Any, Final

from sqlalchemy import JSON, Boolean, Column, Connection, Delete, Integer, Table, Update
from sqlalchemy.dialects import postgresql
from sqlalchemy.engine import Dialect

Rows = Sequence[tuple[Any, ...]]

_POSTGRES: Final = postgresql.dialect()  # type: ignore[no-untyped-call]


def insert_many(
    conn: Connection,
    table: Table,
    names: tuple[str, ...],
    rows: Rows,
    *,
    same: tuple[tuple[str, str], ...] = (),
    unless_there: bool = False,
) -> int:
    """Insert rows whose values are in the order of ``names``; how many.

    ``same`` are columns with an SQL literal that all rows get. ``unless_there`` leaves out what the primary key, or a
    row given earlier, has already. PostgreSQL takes all rows as one statement over arrays.
    """
    if conn.dialect.name != "postgresql":
        written = _insert(table, names, same, unless_there)
        return conn.exec_driver_sql(written, list(rows)).rowcount
    columns = zip(names, zip(*rows, strict=True), strict=True)
    values = tuple(numbers(column) if is_number(table.c[name]) else list(column) for name, column in columns)
    return conn.exec_driver_sql(_insert_arrays(table, names, same, unless_there), values).rowcount


def is_number(column: Column[Any]) -> bool:
    """Whether PostgreSQL gets an array of this column by ``numbers``."""
    return isinstance(column.type, Integer | Boolean)


def numbers(values: Iterable[int | bool | None]) -> str:
    """An array of numbers or truth values as PostgreSQL reads one: asyncpg asks of each element of a list whether it is
    a list itself, which costs more than all else it does with a number.
    """
    return f"{{{','.join(map(str, values))}}}".replace("None", "NULL")


def run_many(conn: Connection, statement: Update | Delete, names: tuple[str, ...], rows: Rows) -> int:
    """Run a statement for each row; ``names`` are its bound parameters in the order of the rows' values.

    The number of rows changed, or -1 where the driver does not count (asyncpg).
    """
    written, order = _written(conn.dialect, statement)
    if order != names:
        raise TypeError(f"the statement takes {order}")
    return conn.exec_driver_sql(written, list(rows)).rowcount


@lru_cache(maxsize=32)
def _written(dialect: Dialect, statement: Update | Delete) -> tuple[str, tuple[str, ...]]:
    compiled = statement.compile(dialect=dialect)
    return str(compiled), tuple(compiled.positiontup or ())


@lru_cache(maxsize=32)
def _insert(table: Table, names: tuple[str, ...], same: tuple[tuple[str, str], ...], unless_there: bool) -> str:
    values = [*("?" for _ in names), *(literal for _, literal in same)]
    return f"{_into(table, names, same)} VALUES ({', '.join(values)}){_on_conflict(unless_there)}"


@lru_cache(maxsize=32)
def _insert_arrays(table: Table, names: tuple[str, ...], same: tuple[tuple[str, str], ...], unless_there: bool) -> str:
    arrays = ", ".join(array(f"${n}", table.c[name]) for n, name in enumerate(names, 1))
    given = [f"CAST(c{n} AS JSON)" if isinstance(table.c[name].type, JSON) else f"c{n}" for n, name in enumerate(names)]
    columns = ", ".join(f"c{n}" for n in range(len(names)))
    values = ", ".join([*given, *(literal for _, literal in same)])
    rows = f"SELECT {values} FROM unnest({arrays}) AS given ({columns})"
    return f"{_into(table, names, same)} {rows}{_on_conflict(unless_there)}"


def array(given: str, column: Column[Any]) -> str:
    """A bound value as an array of a column's values; JSON is given as text."""
    if is_number(column):
        given = f"CAST({given} AS TEXT)"
    kind = "TEXT" if isinstance(column.type, JSON) else column.type.compile(_POSTGRES)
    return f"CAST({given} AS {kind}[])"


def _into(table: Table, names: tuple[str, ...], same: tuple[tuple[str, str], ...]) -> str:
    quoted = ", ".join(f'"{name}"' for name in (*names, *(name for name, _ in same)))
    return f"INSERT INTO {table.name} ({quoted})"


def _on_conflict(unless_there: bool) -> str:
    return " ON CONFLICT DO NOTHING" if unless_there else ""
