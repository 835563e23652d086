"""Events that came with an identity that is taken, and other bytes: kept, shown, and decided by a person."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import Connection, Row, Select, delete, func, select

from router.framing import unpack
from router.ledger.rows import Body, Shard
from router.ledger.store import shards
from router.ledger.tables import conflict, delivery

ALERT: Final = "identity_conflict"  # its subject is the recipient; open while one waits for a decision


@dataclass(frozen=True, slots=True)
class Conflict:
    """The second bytes. ``first`` names the delivery that has the identity (empty if it was removed by age)."""

    id: int
    recipient: str
    lease: str
    shard: int
    first: str
    key: bytes
    source: str
    event_id: str
    event_type: str
    subject: str
    body: Body
    seen_at: int


def listed(conn: Connection, limit: int) -> list[Conflict]:
    """Conflicts that wait for a decision, newest first."""
    places = {place.id: place for place in shards(conn)}
    rows = conn.execute(_query().order_by(conflict.c.id.desc()).limit(limit))
    return [_conflict(row, places[row.shard]) for row in rows]


def counted(conn: Connection) -> dict[str, int]:
    """How many conflicts wait for a decision, by recipient."""
    recipients = {place.id: place.recipient for place in shards(conn)}
    found: dict[str, int] = {}
    for row in conn.execute(select(conflict.c.shard, func.count().label("n")).group_by(conflict.c.shard)):
        found[recipients[row.shard]] = found.get(recipients[row.shard], 0) + row.n
    return found


def one(conn: Connection, conflict_id: int) -> Conflict | None:
    """A conflict."""
    row = conn.execute(_query().where(conflict.c.id == conflict_id)).first()
    if row is None:
        return None
    return _conflict(row, next(place for place in shards(conn) if place.id == row.shard))


def take(conn: Connection, shard_id: int, conflict_id: int) -> Conflict | None:
    """A conflict of this shard, removed: it is decided."""
    found = one(conn, conflict_id)
    if found is None or found.shard != shard_id:
        return None
    conn.execute(delete(conflict).where(conflict.c.id == conflict_id))
    return found


def _query() -> Select[Any]:
    same = (delivery.c.shard == conflict.c.shard) & (delivery.c.seq == conflict.c.seq)
    return select(conflict, delivery.c.key).join(delivery, same, isouter=True)


def _conflict(row: Row[Any], place: Shard) -> Conflict:
    return Conflict(
        id=row.id,
        recipient=place.recipient,
        lease=place.lease,
        shard=row.shard,
        first=f"{place.recipient}/{place.partition}/{row.seq}" if row.seq else "",
        key=bytes(row.key) if row.key is not None else b"",
        source=row.source,
        event_id=row.event_id,
        event_type=row.event_type,
        subject=row.subject,
        body=Body(bytes(row.value), unpack(bytes(row.headers))),
        seen_at=row.seen_at,
    )
