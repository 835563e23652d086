"""The outbox: what must be published because a transaction says so. Rows belong to the lease that wrote them."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from functools import lru_cache
from typing import Any, Final

from sqlalchemy import Connection, Delete, Select, bindparam, delete, insert, select

from router.framing import pack, unpack
from router.ledger.faults import refuse_long
from router.ledger.lists import among_given
from router.ledger.rows import Emission
from router.ledger.tables import outbox

_APPEND: Final = insert(outbox)


def add(conn: Connection, lease_name: str, emissions: Sequence[Emission]) -> None:
    """Append emissions in the order given. Raises ``RowRefused`` for a value above 256 KiB."""
    add_all(conn, [(lease_name, each) for each in emissions])


def add_all(conn: Connection, rows: Sequence[tuple[str, Emission]]) -> None:
    """Append emissions of several leases, in the order given. Raises ``RowRefused`` for a value above 256 KiB."""
    for _, each in rows:
        refuse_long(each.value)
    if rows:
        conn.execute(_APPEND, [_row(lease_name, each) for lease_name, each in rows])


def _row(lease_name: str, each: Emission) -> dict[str, Any]:
    return {
        "lease": lease_name,
        "topic": each.topic,
        "partition": each.partition,
        "key": each.key,
        "headers": pack(each.headers),
        "value": each.value,
    }


def pending(conn: Connection, leases: Collection[str], limit: int) -> list[tuple[int, Emission]]:
    """The oldest rows of these leases, with their ids."""
    rows = conn.execute(_pending(conn.dialect.name), {"leases": list(leases), "most": limit})
    return [
        (r.id, Emission(r.topic, r.partition, bytes(r.key), bytes(r.value), unpack(bytes(r.headers)))) for r in rows
    ]


def published(conn: Connection, ids: Sequence[int]) -> None:
    """Delete rows that are durable on the bus."""
    conn.execute(_published(conn.dialect.name), {"ids": list(ids)})


@lru_cache
def _pending(dialect: str) -> Select[Any]:
    query = select(outbox).where(among_given(dialect, outbox.c.lease, "leases"))
    return query.order_by(outbox.c.id).limit(bindparam("most"))


@lru_cache
def _published(dialect: str) -> Delete:
    return delete(outbox).where(among_given(dialect, outbox.c.id, "ids"))
