"""Removing what is old and finished, in short transactions; copying the files of the embedded runtime."""

from __future__ import annotations

import sqlite3
from pathlib import Path
from typing import Final

from sqlalchemy import Connection, delete, select

from router.errors import ConfigError
from router.ledger import store
from router.ledger.rows import FINISHED
from router.ledger.tables import attempt, body, delivery, seen
from router.ports import Ledger

PAGE: Final = 500
WINDOW: Final = 90 * 86_400 * 1_000_000  # recognition is kept at least so long (µs)


async def purge(ledger: Ledger, *, before: int) -> dict[str, int]:
    """Remove deliveries that were finished before ``before`` (UTC µs), and recognition rows of older months."""
    removed = {"deliveries": 0, "recognition": 0}
    for place in await ledger.read(store.shards):
        removed["deliveries"] += await _of_shard(ledger, place.id, before)
    month = (before - WINDOW) // store.MONTH
    removed["recognition"] = await ledger.write(lambda conn: _recognition(conn, month))
    return removed


async def _of_shard(ledger: Ledger, shard_id: int, before: int) -> int:
    removed = 0
    while gone := await ledger.write(lambda conn: _deliveries(conn, shard_id, before)):
        removed += gone
    return removed


def copy_sqlite(source: Path, target: Path) -> None:
    """A consistent copy of a SQLite file that may be in use. Raises ``ConfigError``."""
    if not source.exists():
        raise ConfigError("does not exist", file=str(source))
    origin, copy = sqlite3.connect(source), sqlite3.connect(target)
    try:
        origin.backup(copy)
    finally:
        origin.close()
        copy.close()


def _deliveries(conn: Connection, shard_id: int, before: int) -> int:
    finished = [state.value for state in FINISHED]
    old = select(delivery.c.seq).where(
        delivery.c.shard == shard_id, delivery.c.state.in_(finished), delivery.c.accepted_at < before,
        delivery.c.last_at < before,
    )  # fmt: skip
    seqs = list(conn.execute(old.order_by(delivery.c.seq).limit(PAGE)).scalars())
    for table in (attempt, body, delivery):
        conn.execute(delete(table).where(table.c.shard == shard_id, table.c.seq.in_(seqs)))
    return len(seqs)


def _recognition(conn: Connection, month: int) -> int:
    """Rows stay while their delivery is unfinished."""
    unfinished = (
        select(delivery.c.seq)
        .where(delivery.c.shard == seen.c.shard, delivery.c.seq == seen.c.seq)
        .where(delivery.c.state.not_in([state.value for state in FINISHED]))
        .exists()
    )
    return conn.execute(delete(seen).where(seen.c.month < month, ~unfinished)).rowcount
