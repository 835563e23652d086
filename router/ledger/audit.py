"""The audit table: append-only, each row chained to the one before by a hash, so that a change or a gap shows."""

from __future__ import annotations

import json
from collections.abc import Mapping
from hashlib import sha256
from typing import Any, Final

from sqlalchemy import Connection, Row, insert, select, text

from router.ledger.tables import audit

#: PostgreSQL advisory lock that keeps two appends from having the same predecessor.
CHAIN_LOCK: Final = 0x4C475350

_LAST: Final = select(audit.c.hash).order_by(audit.c.id.desc()).limit(1)
_ROW: Final = insert(audit)


def record(conn: Connection, at: int, *, who: str, verb: str, target: str, why: str, detail: Mapping[str, Any]) -> None:
    """Append a row. ``at`` is UTC µs; ``detail`` holds plain JSON values and no personal data."""
    if conn.dialect.name == "postgresql":
        conn.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": CHAIN_LOCK})
    last = conn.execute(_LAST).scalar()
    row = {"at": at, "who": who, "verb": verb, "target": target, "why": why, "detail": dict(detail)}
    conn.execute(_ROW, {**row, "hash": link(bytes(last or b""), row)})


def link(previous: bytes, row: Mapping[str, Any]) -> bytes:
    """SHA-256 over the previous row's hash and this row's content in canonical JSON."""
    return sha256(previous + json.dumps(row, sort_keys=True, ensure_ascii=False).encode()).digest()


def broken(conn: Connection) -> int | None:
    """The id of the first row that does not follow from the one before it; None if the chain is whole."""
    previous = b""
    for row in conn.execute(select(audit).order_by(audit.c.id)):
        if link(previous, content(row)) != bytes(row.hash):
            return int(row.id)
        previous = bytes(row.hash)
    return None


def page(conn: Connection, limit: int, before: int | None = None) -> list[Row[Any]]:
    """Audit rows, newest first; ``before`` (an id) continues."""
    query = select(audit).order_by(audit.c.id.desc()).limit(limit)
    return list(conn.execute(query.where(audit.c.id < before) if before is not None else query))


def content(row: Row[Any]) -> dict[str, Any]:
    """What of a row is chained."""
    return {
        "at": row.at, "who": row.who, "verb": row.verb, "target": row.target, "why": row.why, "detail": row.detail,
    }  # fmt: skip
