"""More partitions: what must be finished before, and recognition taken along to the shards that keys move to."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from sqlalchemy import Connection, func, select, update

from router.ledger.installation import PARTITIONS
from router.ledger.tables import UNFINISHED, delivery, installation, outbox, seen, shard
from router.ledger.upsert import insert_new

PAGE = 2_000


class Unfinished(NamedTuple):
    """Deliveries of a recipient that still stand in their lanes, by state."""

    recipient: str
    state: str
    deliveries: int


class Place(NamedTuple):
    """A shard's id, recipient and partition."""

    id: int
    recipient: str
    partition: int


def unfinished(conn: Connection, without: str) -> list[Unfinished]:
    """What stands in lanes, leaving out one recipient (``router`` has no lanes)."""
    rows = conn.execute(
        select(shard.c.recipient, delivery.c.state, func.count())
        .join(delivery, delivery.c.shard == shard.c.id)
        .where(UNFINISHED, shard.c.recipient != without)
        .group_by(shard.c.recipient, delivery.c.state)
        .order_by(shard.c.recipient, delivery.c.state)
    )
    return [Unfinished(*row) for row in rows]


def outbox_rows(conn: Connection) -> int:
    """Rows that are written and not yet published."""
    return conn.execute(select(func.count()).select_from(outbox)).scalar_one()


def places(conn: Connection) -> list[Place]:
    """All shards."""
    return [Place(*row) for row in conn.execute(select(shard.c.id, shard.c.recipient, shard.c.partition))]


def move_recognition(
    conn: Connection, origin: Place, target: dict[int, int], partition_of: Callable[[bytes], int], after: bytes
) -> bytes | None:
    """Copy one page of a shard's recognition to the shards (``target``: id by partition) its keys go to from now on.
    Where the next page begins, or None. Rows whose delivery was purged stay where they are: their key is not known.
    """
    rows = conn.execute(
        select(seen.c.identity, seen.c.digest, seen.c.month, delivery.c.key)
        .join(delivery, (delivery.c.shard == seen.c.shard) & (delivery.c.seq == seen.c.seq), isouter=True)
        .where(seen.c.shard == origin.id, seen.c.identity > after)
        .order_by(seen.c.identity)
        .limit(PAGE)
    ).all()
    moved = [
        {"shard": target[number], "identity": row.identity, "digest": row.digest, "month": row.month, "seq": 0}
        for row in rows
        if row.key is not None and (number := partition_of(row.key)) != origin.partition
    ]
    insert_new(conn, seen, moved)
    return bytes(rows[-1].identity) if len(rows) == PAGE else None


def set_partitions(conn: Connection, partitions: int) -> None:
    """Record the new count: from now on the installation starts with it only."""
    conn.execute(update(installation).where(installation.c.name == PARTITIONS).values(value=str(partitions)))
