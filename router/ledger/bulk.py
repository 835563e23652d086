"""Many rows in one call, handed to the driver as tuples.

The statements are built once from the tables; what that saves is the treatment of each value of each row, which costs
more than the databases do. JSON must be given as text (``faults.to_json``).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from functools import lru_cache
from typing import Any, Final

from sqlalchemy import JSON, Boolean, Column, Connection, Delete, Integer, Table
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
    return _given(conn, table, names, same, " ON CONFLICT DO NOTHING" if unless_there else "", rows)


def put_many(conn: Connection, table: Table, names: tuple[str, ...], rows: Rows) -> None:
    """Insert rows, or replace the values of those with the same primary key; no two of ``rows`` have the same one."""
    if rows:
        _given(conn, table, names, (), _replacing(table, names), rows)


def change_many(conn: Connection, table: Table, at: tuple[str, ...], names: tuple[str, ...], rows: Rows) -> int:
    """Change rows, each only in the version it was computed from, which is raised by one; how many were changed.

    A row's values are those of ``at`` (which tell it), its version, and those of ``names`` (which it gets). asyncpg
    does not count the rows of a batch of statements, and to read the versions back would take another's change for our
    own: to PostgreSQL the rows are one statement over arrays.
    """
    if conn.dialect.name != "postgresql":
        told = len(at) + 1
        turned = [(*row[told:], *row[:told]) for row in rows]
        return conn.exec_driver_sql(_change(table, at, names), turned).rowcount
    written, columns = _change_arrays(table, at, names), (*at, "version", *names)
    runs = _runs(rows, len(at))
    return sum(conn.exec_driver_sql(written, _arrays(table, columns, run)).rowcount for run in runs)


def run_many(conn: Connection, statement: Delete, names: tuple[str, ...], rows: Rows) -> int:
    """Run a statement for each row; ``names`` are its bound parameters in the order of the rows' values.

    The number of rows changed, or -1 where the driver does not count (asyncpg).
    """
    written, order = _written(conn.dialect, statement)
    if order != names:
        raise TypeError(f"the statement takes {order}")
    return conn.exec_driver_sql(written, list(rows)).rowcount


def _given(
    conn: Connection, table: Table, names: tuple[str, ...], same: tuple[tuple[str, str], ...], conflict: str, rows: Rows
) -> int:
    if conn.dialect.name != "postgresql":
        return conn.exec_driver_sql(_insert(table, names, same) + conflict, list(rows)).rowcount
    written = _insert_arrays(table, names, same) + conflict
    return conn.exec_driver_sql(written, _arrays(table, names, rows)).rowcount


def _runs(rows: Rows, told: int) -> Iterator[Rows]:
    """Runs in which no row of the table occurs twice: one statement changes a row once."""
    run: dict[tuple[Any, ...], tuple[Any, ...]] = {}
    for row in rows:
        if row[:told] in run:
            yield list(run.values())
            run = {}
        run[row[:told]] = row
    yield list(run.values())


def _arrays(table: Table, names: tuple[str, ...], rows: Rows) -> tuple[Any, ...]:
    columns = zip(names, zip(*rows, strict=True), strict=True)
    return tuple(_numbers(column) if _is_number(table.c[name]) else list(column) for name, column in columns)


def _is_number(column: Column[Any]) -> bool:
    return isinstance(column.type, Integer | Boolean)


def _numbers(values: Iterable[int | bool | None]) -> str:
    """An array of numbers or truth values as PostgreSQL reads one: asyncpg asks of each element of a list whether it is
    a list itself, which costs more than all else it does with a number.
    """
    return f"{{{','.join(map(str, values))}}}".replace("None", "NULL")


@lru_cache(maxsize=32)
def _written(dialect: Dialect, statement: Delete) -> tuple[str, tuple[str, ...]]:
    compiled = statement.compile(dialect=dialect)
    return str(compiled), tuple(compiled.positiontup or ())


@lru_cache(maxsize=32)
def _insert(table: Table, names: tuple[str, ...], same: tuple[tuple[str, str], ...]) -> str:
    values = [*("?" for _ in names), *(literal for _, literal in same)]
    return f"{_into(table, names, same)} VALUES ({', '.join(values)})"


@lru_cache(maxsize=32)
def _insert_arrays(table: Table, names: tuple[str, ...], same: tuple[tuple[str, str], ...]) -> str:
    values = ", ".join([*(_value(table, name) for name in names), *(literal for _, literal in same)])
    # The condition tells the grammar that ON CONFLICT is no join condition.
    return f"{_into(table, names, same)} SELECT {values} FROM {_unnested(table, names)} WHERE true"


@lru_cache(maxsize=32)
def _change(table: Table, at: tuple[str, ...], names: tuple[str, ...]) -> str:
    told = " AND ".join(f'"{name}" = ?' for name in (*at, "version"))
    changed = ", ".join([*(f'"{name}" = ?' for name in names), _raised(table)])
    return f"UPDATE {table.name} SET {changed} WHERE {told}"


@lru_cache(maxsize=32)
def _change_arrays(table: Table, at: tuple[str, ...], names: tuple[str, ...]) -> str:
    changed = ", ".join([*(f'"{name}" = {_value(table, name)}' for name in names), _raised(table)])
    told = " AND ".join(f'{table.name}."{name}" = given."{name}"' for name in (*at, "version"))
    return f"UPDATE {table.name} SET {changed} FROM {_unnested(table, (*at, 'version', *names))} WHERE {told}"


@lru_cache(maxsize=32)
def _replacing(table: Table, names: tuple[str, ...]) -> str:
    key = [column.name for column in table.primary_key]
    told = ", ".join(f'"{name}"' for name in key)
    changed = ", ".join(f'"{name}" = excluded."{name}"' for name in names if name not in key)
    return f" ON CONFLICT ({told}) DO UPDATE SET {changed}"


def _into(table: Table, names: tuple[str, ...], same: tuple[tuple[str, str], ...]) -> str:
    quoted = ", ".join(f'"{name}"' for name in (*names, *(name for name, _ in same)))
    return f"INSERT INTO {table.name} ({quoted})"


def _raised(table: Table) -> str:
    return f"version = {table.name}.version + 1"


def _unnested(table: Table, names: tuple[str, ...]) -> str:
    """Rows ``given`` from one array for each column; JSON is given as text."""
    arrays = ", ".join(_array(f"${number}", table.c[name]) for number, name in enumerate(names, 1))
    columns = ", ".join(f'"{name}"' for name in names)
    return f"unnest({arrays}) AS given ({columns})"


def _value(table: Table, name: str) -> str:
    return f'CAST(given."{name}" AS JSON)' if isinstance(table.c[name].type, JSON) else f'given."{name}"'


def _array(given: str, column: Column[Any]) -> str:
    if _is_number(column):
        given = f"CAST({given} AS TEXT)"
    kind = "TEXT" if isinstance(column.type, JSON) else column.type.compile(_POSTGRES)
    return f"CAST({given} AS {kind}[])"
