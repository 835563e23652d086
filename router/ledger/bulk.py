"""Many rows in one call, handed to the driver as tuples.

The statement is built once from the tables; what it saves is the treatment of each value of each row, which costs more
than the databases do. JSON must be given as text (``faults.to_json``).
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import Any

from sqlalchemy import Connection, Insert, Update
from sqlalchemy.engine import Dialect


def run_many(
    conn: Connection, statement: Insert | Update, names: tuple[str, ...], rows: Sequence[tuple[Any, ...]]
) -> int:
    """Run a statement for each row; ``names`` are its bound parameters in the order of the rows' values.

    The number of rows changed, or -1 where the driver does not count (asyncpg).
    """
    written, order = _written(conn.dialect, statement)
    if order != names:
        raise TypeError(f"the statement takes {order}")
    return conn.exec_driver_sql(written, list(rows)).rowcount


@lru_cache(maxsize=32)
def _written(dialect: Dialect, statement: Insert | Update) -> tuple[str, tuple[str, ...]]:
    compiled = statement.compile(dialect=dialect)
    return str(compiled), tuple(compiled.positiontup or ())
