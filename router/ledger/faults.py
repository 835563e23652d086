"""Drivers' errors as ours. What comes out names kinds and states, never a statement or its values."""

from __future__ import annotations

import json
import re
import sqlite3
from typing import Any, Final

import asyncpg
from sqlalchemy.exc import DataError, DBAPIError, IntegrityError, StatementError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from router.errors import LedgerUnavailable, RouterError, RowRefused
from router.events import LONGEST_VALUE

#: What a driver raises when there is no connection, or it goes; asyncpg's own come through bare while connecting.
LOST: Final = (OSError, TimeoutError, PoolTimeout, asyncpg.PostgresError, asyncpg.InterfaceError)
#: Serialization failure and deadlock: the same work may succeed at once.
COLLIDED: Final = frozenset({"40001", "40P01"})

_WRITTEN: Final = json.JSONEncoder(ensure_ascii=False, separators=(",", ":")).encode
_VALUES: Final = (OverflowError, UnicodeEncodeError)
_ESCAPED_NUL: Final = re.compile(r"(?<!\\)(?:\\\\)*\\u0000")


def translated(error: BaseException) -> BaseException:
    """A driver's error as ``RowRefused`` (this row, and again) or ``LedgerUnavailable``; others as they are."""
    if isinstance(error, StatementError) and isinstance(error.orig, RouterError):
        return error.orig
    if isinstance(error, _VALUES) or (isinstance(error, StatementError) and isinstance(error.orig, _VALUES)):
        return RowRefused("a value cannot be stored")
    if isinstance(error, IntegrityError | DataError) or sqlstate(error).startswith("22") or _is_data(error):
        return RowRefused(f"refused by the database ({plain(error)})")
    if isinstance(error, (DBAPIError, *LOST)):
        return LedgerUnavailable(plain(error))
    return error


def sqlstate(error: BaseException) -> str:
    """PostgreSQL's five characters; empty if there are none."""
    return str(getattr(getattr(error, "orig", error), "sqlstate", None) or "")


def is_busy(error: DBAPIError) -> bool:
    """Whether SQLite found the file locked by another connection."""
    return getattr(error.orig, "sqlite_errorcode", 0) & 0xFF in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED)


def plain(error: BaseException) -> str:
    """Kind and state of an error, in words that hold no values."""
    kind, state = type(_cause(error)).__name__, sqlstate(error)
    if not state:
        state = str(getattr(_cause(error), "sqlite_errorname", ""))
    return f"{kind} {state}".strip()


def refuse_nul(*texts: str) -> None:
    """Raises ``RowRefused`` for a NUL: PostgreSQL cannot store it in a text, and SQLite shall not differ."""
    if "\0" in "".join(texts):
        raise RowRefused("a text holds a NUL")


def refuse_long(value: bytes) -> None:
    """Raises ``RowRefused`` for what no publisher takes: it would keep all that stands behind it in the outbox."""
    if len(value) > LONGEST_VALUE:
        raise RowRefused(f"a value of {len(value)} bytes, above {LONGEST_VALUE}")


def to_json(value: Any) -> str:
    """JSON as it is stored. Raises ``RowRefused`` for a NUL, which PostgreSQL would take and fail on when read."""
    written = _WRITTEN(value)
    if "\\u0000" in written and _ESCAPED_NUL.search(written):
        raise RowRefused("a text holds a NUL")
    return written


def _is_data(error: BaseException) -> bool:
    """asyncpg refuses a value before it is sent with an error that has no state."""
    return isinstance(_cause(error), asyncpg.DataError)


def _cause(error: BaseException) -> BaseException:
    original = getattr(error, "orig", None)
    return error if original is None else original.__cause__ or original
