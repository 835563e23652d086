"""Deliveries in the ledger: shards, acceptance with recognition, transitions, and the reads that fill lanes.

Plain functions over a Core connection, batch-first. The caller fences first and runs one transaction per group.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import asdict
from typing import Any, Final

from sqlalchemy import Connection, Row, and_, bindparam, func, insert, select, tuple_, update

from router.errors import StalePosition, StaleVersion
from router.framing import pack, unpack
from router.ledger import outbox
from router.ledger.rows import (
    FINISHED,
    Accepted,
    Arrival,
    Attempt,
    Body,
    Delivery,
    Failure,
    Lease,
    Shard,
    State,
    Transition,
    Verdict,
    shard_lease,
)
from router.ledger.tables import attempt, body, conflict, delivery, lease, seen, shard

MONTH: Final = 30 * 86_400 * 1_000_000  # µs; ``seen`` is cut by it
MANY: Final = 500  # values in one IN list
_UNFINISHED: Final = delivery.c.state.in_(["waiting", "calling", "dead", "uncertain"])


def register_shards(conn: Connection, recipient: str, partitions: int) -> None:
    """Make the rows of a recipient's shards; those that exist are left alone."""
    known = set(conn.execute(select(shard.c.partition).where(shard.c.recipient == recipient)).scalars())
    missing = [number for number in range(partitions) if number not in known]
    if missing:
        start = {"position": 0, "next_seq": 1, "fingerprint": b"", "recipient": recipient}
        conn.execute(insert(shard), [{**start, "partition": number} for number in missing])
        names = [shard_lease(recipient, number) for number in missing]
        conn.execute(insert(lease), [{"name": name, "epoch": 0, "clean": True} for name in names])


def shards(conn: Connection, recipients: Collection[str] | None = None) -> list[Shard]:
    """All shards (of these recipients), by recipient and partition."""
    query = select(shard).order_by(shard.c.recipient, shard.c.partition)
    if recipients is not None:
        query = query.where(shard.c.recipient.in_(recipients))
    return [
        Shard(r.id, r.recipient, r.partition, r.position, r.next_seq, bytes(r.fingerprint)) for r in conn.execute(query)
    ]


def fence(conn: Connection, leases: Iterable[Lease]) -> set[str]:
    """Lock these leases for the transaction; the names that are held with the right epoch.

    A row that another transaction has locked is left out (PostgreSQL). On SQLite the immediate transaction is the
    lock. A plain read would be no fence: a takeover could commit between it and our own commit.
    """
    wanted = sorted(leases)
    if not wanted:
        return set()
    epochs = dict(wanted)
    query = select(lease.c.name, lease.c.epoch).where(lease.c.name.in_(list(epochs))).order_by(lease.c.name)
    if conn.dialect.name == "postgresql":
        query = query.with_for_update(key_share=True, skip_locked=True)
    return {row.name for row in conn.execute(query) if row.epoch == epochs[row.name]}


# Acceptance


def accept(
    conn: Connection, place: Shard, next_position: int, fingerprint: bytes, arrivals: Sequence[Arrival], *, now: int
) -> list[Accepted]:
    """Take a run of records: move the position, recognise repetitions, store what is new, in the order given.

    Raises ``StalePosition`` when the stored position is not ``place.position``.
    """
    known = _known(conn, place.id, [arrival.identity for arrival in arrivals])
    next_seq = conn.execute(select(shard.c.next_seq).where(shard.c.id == place.id)).scalar_one()
    made: list[Accepted] = []
    new: list[tuple[int, Arrival]] = []
    for arrival in arrivals:
        match = known.get(arrival.identity)
        if match is None:
            known[arrival.identity] = (next_seq, arrival.digest)
            new.append((next_seq, arrival))
            made.append(Accepted(Verdict.NEW, next_seq))
            next_seq += 1
        elif match[1] != arrival.digest:
            _keep_conflict(conn, place.id, match[0], arrival, now)
            made.append(Accepted(Verdict.CONFLICT, 0))
        elif arrival.state is State.DEAD and _reopened(conn, place.id, match[0], arrival):
            made.append(Accepted(Verdict.REOPENED, match[0]))
        else:
            made.append(Accepted(Verdict.REPEATED, 0))
    _store(conn, place.id, new, now)
    moved = conn.execute(
        update(shard)
        .where(shard.c.id == place.id, shard.c.position == place.position)
        .values(position=next_position, next_seq=next_seq, fingerprint=fingerprint)
    )
    if moved.rowcount != 1:
        raise StalePosition(f"{place.recipient}/{place.partition} is not at {place.position}")
    return made


def _known(conn: Connection, shard_id: int, identities: Sequence[bytes]) -> dict[bytes, tuple[int, bytes]]:
    found: dict[bytes, tuple[int, bytes]] = {}
    for start in range(0, len(identities), MANY):
        query = select(seen.c.identity, seen.c.seq, seen.c.digest).where(
            seen.c.shard == shard_id, seen.c.identity.in_(identities[start : start + MANY])
        )
        found.update({bytes(i): (seq, bytes(digest)) for i, seq, digest in conn.execute(query)})
    return found


def _store(conn: Connection, shard_id: int, new: Sequence[tuple[int, Arrival]], now: int) -> None:
    if not new:
        return
    month = now // MONTH
    conn.execute(
        insert(seen),
        [{"shard": shard_id, "identity": a.identity, "digest": a.digest, "seq": seq, "month": month} for seq, a in new],
    )
    conn.execute(insert(delivery), [_new_row(shard_id, seq, arrival, now) for seq, arrival in new])
    conn.execute(insert(body), [_body_row(shard_id, seq, 0, arrival.body, now) for seq, arrival in new])


def _new_row(shard_id: int, seq: int, arrival: Arrival, now: int) -> dict[str, Any]:
    return {
        "shard": shard_id,
        "seq": seq,
        "key": arrival.key,
        "state": arrival.state.value,
        "version": 1,
        "urgent": arrival.urgent,
        "source": arrival.source,
        "event_id": arrival.event_id,
        "event_type": arrival.event_type,
        "subject": arrival.subject,
        "offset": arrival.offset,
        "accepted_at": now,
        "due": None,
        "attempts": 0,
        "spent": 0,
        "first_at": None,
        "last_at": None,
        "edited": False,
        "failure": asdict(arrival.failure) if arrival.failure else None,
        "cause": arrival.failure.cause if arrival.failure else None,
        "receipt": None,
        "order_id": 0,
    }


def _body_row(shard_id: int, seq: int, edition: int, content: Body, now: int) -> dict[str, Any]:
    packed = pack(content.headers)
    return {
        "shard": shard_id,
        "seq": seq,
        "edition": edition,
        "headers": packed,
        "value": content.value,
        "stored_at": now,
    }


def _keep_conflict(conn: Connection, shard_id: int, seq: int, arrival: Arrival, now: int) -> None:
    conn.execute(
        insert(conflict).values(
            shard=shard_id,
            seq=seq,
            offset=arrival.offset,
            source=arrival.source,
            event_id=arrival.event_id,
            event_type=arrival.event_type,
            subject=arrival.subject,
            digest=arrival.digest,
            headers=pack(arrival.body.headers),
            value=arrival.body.value,
            seen_at=now,
        )
    )


def _reopened(conn: Connection, shard_id: int, seq: int, arrival: Arrival) -> bool:
    """At ``router``: an identity finished there is dead again. False if it is unfinished already."""
    failure = asdict(arrival.failure) if arrival.failure else None
    changed = conn.execute(
        update(delivery)
        .where(delivery.c.shard == shard_id, delivery.c.seq == seq, delivery.c.state.in_([s.value for s in FINISHED]))
        .values(state=State.DEAD.value, version=delivery.c.version + 1, failure=failure, receipt=None)
    )
    return changed.rowcount == 1


# Transitions

_APPLY: Final = (
    update(delivery)
    .where(
        delivery.c.shard == bindparam("at_shard"),
        delivery.c.seq == bindparam("at_seq"),
        delivery.c.version == bindparam("at_version"),
    )
    .values(
        {
            name: bindparam(f"to_{name}")
            for name in (
                "state", "version", "due", "attempts", "spent", "first_at", "last_at", "failure", "cause", "receipt",
                "order_id",
            )
        }
    )
)  # fmt: skip


def apply(conn: Connection, transitions: Sequence[Transition]) -> None:
    """Change state rows, each only in the version it was computed from; ``StaleVersion`` undoes the whole group.

    Attempts are appended and emissions go to the outbox under the shard's lease, in the order given.
    """
    if not transitions:
        return
    changed = conn.execute(_APPLY, [_change(transition) for transition in transitions])
    if not _all_changed(conn, changed.rowcount, transitions):
        raise StaleVersion("a delivery changed meanwhile")
    details = [_attempt_row(t, t.attempt) for t in transitions if t.attempt is not None]
    if details:
        conn.execute(insert(attempt), details)
    emitting = [transition for transition in transitions if transition.emissions]
    if emitting:
        names = {place.id: place.lease for place in shards(conn)}
        for transition in emitting:
            outbox.add(conn, names[transition.shard], transition.emissions)


def _change(transition: Transition) -> dict[str, Any]:
    failure = transition.failure
    return {
        "at_shard": transition.shard,
        "at_seq": transition.seq,
        "at_version": transition.version,
        "to_state": transition.state.value,
        "to_version": transition.version + 1,
        "to_due": transition.due,
        "to_attempts": transition.attempts,
        "to_spent": transition.spent,
        "to_first_at": transition.first_at,
        "to_last_at": transition.last_at,
        "to_failure": asdict(failure) if failure else None,
        "to_cause": failure.cause if failure else None,
        "to_receipt": dict(transition.receipt) if transition.receipt is not None else None,
        "to_order_id": transition.order_id,
    }


def _all_changed(conn: Connection, rowcount: int, transitions: Sequence[Transition]) -> bool:
    """Whether every row was changed. asyncpg counts no rows of a batch, so there the new versions are read back."""
    if rowcount >= 0:
        return rowcount == len(transitions)
    wanted = {(t.shard, t.seq): t.version + 1 for t in transitions}
    places = list(wanted)
    for start in range(0, len(places), MANY):
        part = places[start : start + MANY]
        query = select(delivery.c.shard, delivery.c.seq, delivery.c.version).where(
            tuple_(delivery.c.shard, delivery.c.seq).in_(part)
        )
        if {(r.shard, r.seq): r.version for r in conn.execute(query)} != {place: wanted[place] for place in part}:
            return False
    return True


def _attempt_row(transition: Transition, made: Attempt) -> dict[str, Any]:
    return {"shard": transition.shard, "seq": transition.seq, **asdict(made)}


def edit(conn: Connection, shard_id: int, seq: int, content: Body, *, now: int) -> None:
    """Store a corrected body beside the original and those edited before; it is what goes out from now on."""
    edition = conn.execute(
        select(func.max(body.c.edition)).where(body.c.shard == shard_id, body.c.seq == seq)
    ).scalar_one()
    conn.execute(insert(body).values(_body_row(shard_id, seq, edition + 1, content, now)))
    conn.execute(update(delivery).where(delivery.c.shard == shard_id, delivery.c.seq == seq).values(edited=True))


# Reads


def walk(conn: Connection, shard_id: int, urgent: bool, after: int, limit: int) -> list[Delivery]:
    """Unfinished deliveries of a class with ``seq`` above ``after``, oldest first, without bodies."""
    query = (
        select(delivery)
        .where(delivery.c.shard == shard_id, delivery.c.seq > after, delivery.c.urgent == urgent, _UNFINISHED)
        .order_by(delivery.c.seq)
        .limit(limit)
    )
    return [delivery_of(row) for row in conn.execute(query)]


def lane(conn: Connection, shard_id: int, key: bytes, after: int, limit: int) -> list[Delivery]:
    """Unfinished deliveries of a lane with ``seq`` above ``after``, oldest first, without bodies."""
    query = (
        select(delivery)
        .where(delivery.c.shard == shard_id, delivery.c.key == key, delivery.c.seq > after, _UNFINISHED)
        .order_by(delivery.c.seq)
        .limit(limit)
    )
    return [delivery_of(row) for row in conn.execute(query)]


def one(conn: Connection, shard_id: int, seq: int) -> Delivery | None:
    """A delivery's state row, without its body."""
    row = conn.execute(select(delivery).where(delivery.c.shard == shard_id, delivery.c.seq == seq)).first()
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
        part = body.c.seq.in_(seqs[start : start + MANY])
        query = select(body.c.seq, body.c.headers, body.c.value).where(body.c.shard == shard_id, part)
        for seq, headers, value in conn.execute(query.order_by(body.c.seq, body.c.edition)):
            found[seq] = Body(bytes(value), unpack(bytes(headers)))
    return found


def editions(conn: Connection, shard_id: int, seq: int) -> list[tuple[int, Body]]:
    """The original body and every edited one, with the time (UTC µs) each was stored."""
    query = select(body.c.stored_at, body.c.headers, body.c.value).where(body.c.shard == shard_id, body.c.seq == seq)
    rows = conn.execute(query.order_by(body.c.edition))
    return [(at, Body(bytes(value), unpack(bytes(headers)))) for at, headers, value in rows]


def attempts(conn: Connection, shard_id: int, seq: int) -> list[Attempt]:
    """The recorded attempts of a delivery, oldest first. A first-try success is in the state row alone."""
    query = select(attempt).where(and_(attempt.c.shard == shard_id, attempt.c.seq == seq)).order_by(attempt.c.id)
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
