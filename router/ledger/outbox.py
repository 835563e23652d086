"""The outbox: what must be published because a transaction says so. Rows belong to the lease that wrote them."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from sqlalchemy import Connection, delete, insert, select

from router.framing import pack, unpack
from router.ledger.rows import Emission
from router.ledger.tables import outbox


def add(conn: Connection, lease_name: str, emissions: Sequence[Emission]) -> None:
    """Append emissions in the order given."""
    rows = [
        {
            "lease": lease_name,
            "topic": each.topic,
            "partition": each.partition,
            "key": each.key,
            "headers": pack(each.headers),
            "value": each.value,
        }
        for each in emissions
    ]
    if rows:
        conn.execute(insert(outbox), rows)


def pending(conn: Connection, leases: Collection[str], limit: int) -> list[tuple[int, Emission]]:
    """The oldest rows of these leases, with their ids."""
    query = select(outbox).where(outbox.c.lease.in_(leases)).order_by(outbox.c.id).limit(limit)
    return [
        (r.id, Emission(r.topic, r.partition, bytes(r.key), bytes(r.value), unpack(bytes(r.headers))))
        for r in conn.execute(query)
    ]


def published(conn: Connection, ids: Sequence[int]) -> None:
    """Delete rows that are durable on the bus."""
    conn.execute(delete(outbox).where(outbox.c.id.in_(ids)))
