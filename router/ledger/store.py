"""Deliveries in the ledger: shards and their fence, edits, and the reads that fill lanes.

Plain functions over a Core connection, batch-first. The caller fences first and runs one transaction per group.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Mapping, Sequence
from functools import lru_cache
from typing import Any, Final

from sqlalchemy import Column, Connection, Integer, Row, Select, bindparam, func, insert, select, text, tuple_, update

from router.framing import unpack
from router.ledger import leases
from router.ledger.acceptance import MANY, MONTH, accept, body_row
from router.ledger.lists import among_given
from router.ledger.rows import Attempt, Body, Delivery, Failure, Lease, Shard, State, shard_lease
from router.ledger.tables import UNFINISHED, attempt, body, delivery, lease, shard
from router.ledger.transitions import apply
from router.ledger.upsert import insert_new

__all__ = [
    "MONTH", "accept", "apply", "attempts", "bodies", "delivery_of", "edit", "editions", "failure_of", "fence", "lane",
    "lanes", "later_out", "one", "register_shards", "shards", "walk",
]  # fmt: skip

WINDOW: Final = 20_000  # seqs that one step of a walk looks at

_SHARDS: Final = select(shard).order_by(shard.c.recipient, shard.c.partition)
_SHARDS_OF: Final = _SHARDS.where(shard.c.recipient.in_(bindparam("names", expanding=True)))
_ONE: Final = select(delivery).where(delivery.c.shard == bindparam("place"), delivery.c.seq == bindparam("number"))
_WALK: Final = (
    select(delivery)
    .where(delivery.c.shard == bindparam("place"), delivery.c.seq > bindparam("above"))
    .where(delivery.c.seq <= bindparam("last"), delivery.c.urgent == bindparam("class"), UNFINISHED)
    .order_by(delivery.c.seq)
    .limit(bindparam("most"))
)
#: The sum keeps planners from walking the primary key in order, through all that is finished.
_NEXT: Final = select(func.min(delivery.c.seq + 0)).where(
    delivery.c.shard == bindparam("place"), delivery.c.seq + 0 > bindparam("above"), UNFINISHED
)
_LANE: Final = (
    select(delivery)
    .where(delivery.c.shard == bindparam("place"), delivery.c.key == bindparam("lane"))
    .where(delivery.c.seq > bindparam("above"), UNFINISHED)
    .order_by(delivery.c.seq)
    .limit(bindparam("most"))
)
#: PostgreSQL: one look into the index of the unfinished for each lane, all in one statement.
_LANES: Final = text(
    "SELECT wanted.number, d.* FROM unnest(CAST(:keys AS bytea[]), CAST(:afters AS bigint[]), CAST(:limits AS int[]))"
    " WITH ORDINALITY AS wanted (key, after, most, number) CROSS JOIN LATERAL ("
    "SELECT * FROM delivery WHERE delivery.shard = :place AND delivery.key = wanted.key"
    f" AND delivery.seq > wanted.after AND {UNFINISHED} ORDER BY delivery.seq LIMIT wanted.most) AS d"
    " ORDER BY wanted.number, d.seq"
).columns(Column("number", Integer), *(Column(column.name, column.type) for column in delivery.c))


def register_shards(conn: Connection, recipient: str, partitions: int) -> None:
    """Make the rows of a recipient's shards; those that exist are left alone."""
    known = set(conn.execute(select(shard.c.partition).where(shard.c.recipient == recipient)).scalars())
    missing = [number for number in range(partitions) if number not in known]
    start = {"position": 0, "next_seq": 1, "fingerprint": b"", "recipient": recipient}
    insert_new(conn, shard, [{**start, "partition": number} for number in missing])
    leases.ensure(conn, [shard_lease(recipient, number) for number in missing])


def shards(conn: Connection, recipients: Collection[str] | None = None) -> list[Shard]:
    """All shards (of these recipients), by recipient and partition."""
    rows = conn.execute(_SHARDS) if recipients is None else conn.execute(_SHARDS_OF, {"names": list(recipients)})
    return [Shard(r.id, r.recipient, r.partition, r.position, r.next_seq, bytes(r.fingerprint)) for r in rows]


#: One statement for any number of leases: building it anew costs more than SQLite takes to answer.
_EPOCHS = "SELECT name, epoch FROM lease WHERE name IN (SELECT value FROM json_each(?))"


def fence(conn: Connection, held: Iterable[Lease]) -> set[str]:
    """Lock these leases for the transaction; the names that are held with the right epoch.

    A row that another transaction has locked is left out (PostgreSQL). On SQLite the immediate transaction is the
    lock. A plain read would be no fence: a takeover could commit between it and our own commit.
    """
    wanted = sorted(held)
    if not wanted:
        return set()
    if conn.dialect.name != "postgresql":
        names = json.dumps([name for name, _ in wanted])
        epochs = {row[0]: row[1] for row in conn.exec_driver_sql(_EPOCHS, (names,))}
        return {name for name, epoch in wanted if epochs.get(name) == epoch}
    query = select(lease.c.name).where(tuple_(lease.c.name, lease.c.epoch).in_(wanted)).order_by(lease.c.name)
    return set(conn.execute(query.with_for_update(key_share=True, skip_locked=True)).scalars())


def edit(conn: Connection, shard_id: int, seq: int, content: Body, *, now: int) -> None:
    """Store a corrected body beside the original and those edited before; it is what goes out from now on."""
    edition = conn.execute(
        select(func.max(body.c.edition)).where(body.c.shard == shard_id, body.c.seq == seq)
    ).scalar_one()
    conn.execute(insert(body).values(body_row(shard_id, seq, edition + 1, content, now)))
    conn.execute(update(delivery).where(delivery.c.shard == shard_id, delivery.c.seq == seq).values(edited=True))


def walk(conn: Connection, shard_id: int, urgent: bool, after: int, limit: int) -> list[Delivery]:
    """Unfinished deliveries of a class with ``seq`` above ``after``, oldest first, without bodies.

    Reads the shard in windows of ``seq`` and asks the index of the unfinished where to go on when one is not enough:
    a long history of finished deliveries costs nothing.
    """
    found: list[Delivery] = []
    start: int | None = after
    while start is not None:
        end = start + WINDOW
        window = {"place": shard_id, "class": urgent, "above": start, "last": end, "most": limit - len(found)}
        found += [delivery_of(row) for row in conn.execute(_WALK, window)]
        start = _before_next(conn, shard_id, end) if len(found) < limit else None
    return found


def _before_next(conn: Connection, shard_id: int, after: int) -> int | None:
    """Just before the next unfinished seq above ``after``; None if there is none."""
    found: int | None = conn.execute(_NEXT, {"place": shard_id, "above": after}).scalar()
    return None if found is None else found - 1


def lane(conn: Connection, shard_id: int, key: bytes, after: int, limit: int) -> list[Delivery]:
    """Unfinished deliveries of a lane with ``seq`` above ``after``, oldest first, without bodies."""
    wanted = {"place": shard_id, "lane": key, "above": after, "most": limit}
    return [delivery_of(row) for row in conn.execute(_LANE, wanted)]


def lanes(conn: Connection, shard_id: int, wanted: Sequence[tuple[bytes, int, int]]) -> list[list[Delivery]]:
    """As ``lane`` for many lanes of a shard at once, each given as key, after and limit."""
    if conn.dialect.name != "postgresql":
        return [lane(conn, shard_id, key, after, limit) for key, after, limit in wanted]
    found: list[list[Delivery]] = [[] for _ in wanted]
    if wanted:
        keys, afters, limits = map(list, zip(*wanted, strict=True))
        given = {"place": shard_id, "keys": keys, "afters": afters, "limits": limits}
        for row in conn.execute(_LANES, given):
            found[row.number - 1].append(delivery_of(row))
    return found


def one(conn: Connection, shard_id: int, seq: int) -> Delivery | None:
    """A delivery's state row, without its body."""
    row = conn.execute(_ONE, {"place": shard_id, "number": seq}).first()
    return delivery_of(row) if row is not None else None


def later_out(conn: Connection, shard_id: int, key: bytes, seq: int) -> bool:
    """Whether a later delivery of the lane went out already."""
    out = [State.DELIVERED.value, State.DUPLICATE.value, State.REJECTED.value, State.CALLING.value]
    query = select(delivery.c.seq).where(
        delivery.c.shard == shard_id, delivery.c.key == key, delivery.c.seq > seq, delivery.c.state.in_(out)
    )
    return conn.execute(query.limit(1)).first() is not None


def bodies(conn: Connection, shard_id: int, seqs: Sequence[int]) -> dict[int, Body]:
    """What is to be delivered: the last edited body, or the original."""
    found: dict[int, Body] = {}
    for start in range(0, len(seqs), MANY):
        part = {"place": shard_id, "seqs": list(seqs[start : start + MANY])}
        for seq, headers, value in conn.execute(_bodies(conn.dialect.name), part):
            found[seq] = Body(bytes(value), unpack(bytes(headers)))
    return found


@lru_cache
def _bodies(dialect: str) -> Select[Any]:
    query = select(body.c.seq, body.c.headers, body.c.value).where(body.c.shard == bindparam("place"))
    return query.where(among_given(dialect, body.c.seq, "seqs")).order_by(body.c.seq, body.c.edition)


def editions(conn: Connection, shard_id: int, seq: int) -> list[tuple[int, Body]]:
    """The original body and every edited one, with the time (UTC µs) each was stored."""
    query = select(body.c.stored_at, body.c.headers, body.c.value).where(body.c.shard == shard_id, body.c.seq == seq)
    rows = conn.execute(query.order_by(body.c.edition))
    return [(at, Body(bytes(value), unpack(bytes(headers)))) for at, headers, value in rows]


def attempts(conn: Connection, shard_id: int, seq: int) -> list[Attempt]:
    """The recorded attempts of a delivery, oldest first. A first-try success is in the state row alone."""
    query = select(attempt).where(attempt.c.shard == shard_id, attempt.c.seq == seq).order_by(attempt.c.id)
    return [
        Attempt(r.number, r.started, r.ended, r.outcome, r.partner_code, r.message, r.order_id)
        for r in conn.execute(query)
    ]


def delivery_of(row: Row[Any]) -> Delivery:
    """A state row as a value."""
    return Delivery(
        shard=row.shard,
        seq=row.seq,
        key=bytes(row.key),
        state=State(row.state),
        version=row.version,
        urgent=row.urgent,
        source=row.source,
        event_id=row.event_id,
        event_type=row.event_type,
        subject=row.subject,
        offset=row.offset,
        accepted_at=row.accepted_at,
        due=row.due,
        attempts=row.attempts,
        spent=row.spent,
        first_at=row.first_at,
        last_at=row.last_at,
        edited=row.edited,
        failure=failure_of(row.failure),
        receipt=row.receipt,
        order_id=row.order_id,
    )


def failure_of(stored: Mapping[str, Any] | None) -> Failure | None:
    """A stored failure as a value."""
    return Failure(**stored) if stored else None
