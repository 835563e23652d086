"""Removing what is old and finished, in short transactions; copying the files of the embedded runtime."""

from __future__ import annotations

import sqlite3
from functools import partial
from pathlib import Path
from typing import Final, NamedTuple

from sqlalchemy import Connection, Select, delete, func, select

from router.errors import ConfigError
from router.ledger import audit, store, trail
from router.ledger.rows import FINISHED
from router.ledger.tables import attempt, body, delivery, seen
from router.ports import Ledger

PAGE: Final = 500
RECOGNITION_PAGE: Final = 5_000
WINDOW: Final = 90 * 86_400 * 1_000_000  # recognition is kept at least so long (µs)


async def counted(ledger: Ledger, *, before: int) -> dict[str, int]:
    """How many deliveries ``purge`` would remove; nothing is removed."""

    def count(conn: Connection) -> int:
        old = [_old(place.id, before).subquery() for place in store.shards(conn)]
        return sum(conn.execute(select(func.count()).select_from(one)).scalar_one() for one in old)

    return {"deliveries": await ledger.read(count)}


async def announce(ledger: Ledger, *, before: int, now: int, who: str, why: str) -> None:
    """Write to the audit table who is about to purge, and why."""

    def write(conn: Connection) -> None:
        audit.record(conn, now, who=who, verb="purge", target="ledger", why=why, detail={"before": before})

    await ledger.write(write)


async def purge(ledger: Ledger, *, before: int) -> dict[str, int]:
    """Remove deliveries that were finished before ``before`` (UTC µs), and recognition rows of older months."""
    removed = {"deliveries": 0, "recognition": 0}
    for place in await ledger.read(store.shards):
        removed["deliveries"] += await _of_shard(ledger, place.id, before)
        await ledger.write(partial(trail.forget, shard_id=place.id))
    month = (before - WINDOW) // store.MONTH
    needed = await _unfinished(ledger)
    for place in await ledger.read(store.shards):
        removed["recognition"] += await _recognition(ledger, place.id, month, needed)
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
    seqs = list(conn.execute(_old(shard_id, before).order_by(delivery.c.seq).limit(PAGE)).scalars())
    for table in (attempt, body, delivery):
        conn.execute(delete(table).where(table.c.shard == shard_id, table.c.seq.in_(seqs)))
    return len(seqs)


def _old(shard_id: int, before: int) -> Select[tuple[int]]:
    finished = [state.value for state in FINISHED]
    # One that was skipped before any attempt has no last one.
    ended = func.coalesce(delivery.c.last_at, delivery.c.accepted_at)
    return select(delivery.c.seq).where(
        delivery.c.shard == shard_id, delivery.c.state.in_(finished), delivery.c.accepted_at < before, ended < before
    )


async def _unfinished(ledger: Ledger) -> set[bytes]:
    """Identities of all events that some recipient has not finished."""
    found: set[bytes] = set()
    for place in await ledger.read(store.shards):
        after = b""
        while page := await ledger.read(partial(_page, shard_id=place.id, after=after)):
            found.update(row.identity for row in page if row.unfinished)
            after = page[-1].identity
    return found


async def _recognition(ledger: Ledger, shard_id: int, month: int, needed: set[bytes]) -> int:
    """Remove rows older than a month unless their event is needed: it may be published again, to all recipients."""

    def step(conn: Connection, after: bytes) -> tuple[int, bytes | None]:
        page = _page(conn, shard_id, after)
        old = [r.identity for r in page if r.month < month and not r.unfinished and r.identity not in needed]
        for start in range(0, len(old), PAGE):
            part = seen.c.identity.in_(old[start : start + PAGE])
            conn.execute(delete(seen).where(seen.c.shard == shard_id, part))
        return len(old), page[-1].identity if page else None

    removed, after = 0, b""
    while True:
        gone, last = await ledger.write(partial(step, after=after))
        removed += gone
        if last is None:
            return removed
        after = last


class _Known(NamedTuple):
    identity: bytes
    month: int
    unfinished: bool


def _page(conn: Connection, shard_id: int, after: bytes) -> list[_Known]:
    query = (
        select(seen.c.identity, seen.c.month, delivery.c.state)
        .outerjoin(delivery, (delivery.c.shard == seen.c.shard) & (delivery.c.seq == seen.c.seq))
        .where(seen.c.shard == shard_id, seen.c.identity > after)
        .order_by(seen.c.identity)
        .limit(RECOGNITION_PAGE)
    )
    rows = conn.execute(query)
    return [_Known(bytes(r.identity), r.month, r.state is not None and r.state not in FINISHED) for r in rows]
