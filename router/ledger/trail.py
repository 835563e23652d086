"""All deliveries of a dossier, finished ones too, without reading shards through and without an index on every row.

Deliveries are found by (shard, seq), and an index on the key of finished ones would make every acceptance write to a
random place of a large tree. So a shard is seen as blocks of 1,024 seqs: once a block is complete, a sweep keeps the
first four bytes of its keys in one row (about 4 bytes a delivery where an index needs 40). A reader asks these rows
which blocks to look into, and reads the seqs behind the last of them as they are: while the sweep is behind or off,
answers are slower, never other. A row never changes, since neither a delivery's key nor its seq does; purge leaves
rows that say too much, which costs a look.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from typing import Final, NamedTuple

from sqlalchemy import Connection, delete, func, or_, select

from router.ledger.tables import delivery, shard
from router.ledger.trail_tables import trail
from router.ledger.upsert import insert_new
from router.ledger.within import Within
from router.ports import Ledger

BLOCK: Final = 1_024
PREFIX: Final = 4
PAGE: Final = 8  # blocks in one step of the sweep
LEASE: Final = "trail"


class Span(NamedTuple):
    """Seqs of a shard from ``first`` to ``last``, both included."""

    shard: int
    first: int
    last: int


async def sweep(ledger: Ledger) -> int:
    """Keep the keys of some complete blocks; how many blocks. Whoever does it twice writes the same rows."""
    rows = await ledger.read(_missing)
    if rows:
        await ledger.write(lambda conn: insert_new(conn, trail, rows))
    return len(rows)


def spans(conn: Connection, keys: Collection[bytes]) -> Iterator[Span]:
    """Where deliveries of these keys may stand: blocks that hold them (or, by a chance of one to some hundred
    thousand, another), and the end of each shard that no row tells of.
    """
    held = or_(*(Within(trail.c.prefixes, key[:PREFIX]) for key in keys))
    for row in conn.execute(select(trail.c.shard, trail.c.block).where(held).order_by(trail.c.shard, trail.c.block)):
        yield Span(row.shard, row.block * BLOCK, (row.block + 1) * BLOCK - 1)
    for shard_id, next_seq, block in _ends(conn):
        if block * BLOCK < next_seq:
            yield Span(shard_id, block * BLOCK, next_seq - 1)


def forget(conn: Connection, shard_id: int) -> None:
    """Purge has passed: rows of blocks before the oldest delivery tell of nothing any more. The last row stays."""
    oldest = conn.execute(select(func.min(delivery.c.seq)).where(delivery.c.shard == shard_id)).scalar()
    last = conn.execute(select(func.max(trail.c.block)).where(trail.c.shard == shard_id)).scalar()
    if last is not None:
        before = last if oldest is None else min(last, oldest // BLOCK)
        conn.execute(delete(trail).where(trail.c.shard == shard_id, trail.c.block < before))


def _missing(conn: Connection) -> list[dict[str, object]]:
    """Rows of complete blocks that are not kept yet, a page of them."""
    rows: list[dict[str, object]] = []
    for shard_id, next_seq, first in _ends(conn):
        for block in range(first, min(next_seq // BLOCK, first + PAGE - len(rows))):
            rows.append({"shard": shard_id, "block": block, "prefixes": _prefixes(conn, shard_id, block)})
    return rows


def _ends(conn: Connection) -> list[tuple[int, int, int]]:
    """By shard: its next seq, and the first block that is not kept."""
    last = select(func.max(trail.c.block)).where(trail.c.shard == shard.c.id).scalar_subquery()
    query = select(shard.c.id, shard.c.next_seq, func.coalesce(last + 1, 0)).order_by(shard.c.id)
    return [(row[0], row[1], row[2]) for row in conn.execute(query)]


def _prefixes(conn: Connection, shard_id: int, block: int) -> bytes:
    within = delivery.c.seq.between(block * BLOCK, (block + 1) * BLOCK - 1)
    keys = conn.execute(select(delivery.c.key).where(delivery.c.shard == shard_id, within)).scalars()
    return b"".join(sorted({bytes(key)[:PREFIX] for key in keys}))
