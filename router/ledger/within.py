"""Whether bytes stand in a column of bytes, as a condition that both databases understand."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Boolean, ColumnElement, literal
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.compiler import SQLCompiler


class Within(ColumnElement[bool]):
    """Whether ``needle`` stands in ``column``; SQLite and PostgreSQL say it differently."""

    inherit_cache = False

    def __init__(self, column: ColumnElement[bytes], needle: bytes) -> None:
        self.column, self.needle = column, literal(needle)
        self.type = Boolean()


@compiles(Within, "sqlite")
def _within_sqlite(element: Within, compiler: SQLCompiler, **more: Any) -> str:
    return f"instr({compiler.process(element.column, **more)}, {compiler.process(element.needle, **more)}) > 0"


@compiles(Within, "postgresql")
def _within_postgresql(element: Within, compiler: SQLCompiler, **more: Any) -> str:
    return f"position({compiler.process(element.needle, **more)} IN {compiler.process(element.column, **more)}) > 0"
