"""Acceptance: a run of bus records becomes deliveries, and what came before is recognised."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, replace
from enum import Enum, auto
from typing import Any, Final

from sqlalchemy import Connection, bindparam, delete, select, text, update

from router.errors import StalePosition
from router.events import ROUTER, is_document
from router.framing import pack
from router.ledger.bulk import insert_many, run_many
from router.ledger.faults import refuse_nul, to_json
from router.ledger.identity import pin_classes
from router.ledger.rows import FINISHED, Accepted, Arrival, Body, Failure, Shard, State, Verdict
from router.ledger.tables import body, conflict, delivery, seen, shard
from router.ledger.upsert import insert_new

MONTH: Final = 30 * 86_400 * 1_000_000  # µs; ``seen`` is cut by it
MANY: Final = 500  # values in one IN list

_OF_DOSSIERS: Final = ("dossier.", "land.", "tax.", "payment.")

_SEEN: Final = ("shard", "identity", "digest", "seq", "month")
_NEW: Final = (
    "shard", "seq", "key", "state", "urgent", "source", "event_id", "event_type", "subject", "offset", "accepted_at",
    "failure", "cause",
)  # fmt: skip
_START: Final = (("version", "1"), ("attempts", "0"), ("spent", "0"), ("edited", "false"), ("order_id", "0"))
_BODY: Final = ("shard", "seq", "edition", "headers", "value", "stored_at")
_WITHDRAWN: Final = ("shard", "identity", "seq")

_PLACE: Final = select(shard.c.position, shard.c.next_seq).where(shard.c.id == bindparam("place"))
_MOVE: Final = update(shard).where(shard.c.id == bindparam("place"), shard.c.position == bindparam("seen"))
_WITHDRAW: Final = delete(seen).where(*(seen.c[name] == bindparam(name) for name in _WITHDRAWN))

#: PostgreSQL: one look into the primary key for each identity, whatever its statistics say of a table that grows fast.
_LOOKUP: Final = text(
    "SELECT known.identity, known.seq, known.digest FROM unnest(CAST(:identities AS bytea[])) AS wanted (identity)"
    " CROSS JOIN LATERAL (SELECT s.identity, s.seq, s.digest FROM seen AS s"
    " WHERE s.shard = :shard AND s.identity = wanted.identity LIMIT 1) AS known"
)


def accept(
    conn: Connection, place: Shard, next_position: int, fingerprint: bytes, arrivals: Sequence[Arrival], *, now: int
) -> list[Accepted]:
    """Take a run of records: move the position, recognise repetitions, store what is new, in the order given.

    Raises ``StalePosition`` when the stored position is not ``place.position``, ``RowRefused`` for a text that cannot
    be stored.
    """
    arrivals = _classed(conn, arrivals)
    stored = conn.execute(_PLACE, {"place": place.id}).one()
    if stored.position != place.position:
        raise _stale(place)
    first, month = stored.next_seq, now // MONTH
    new = list(enumerate(arrivals, first))
    if _claimed(conn, place.id, new, month):  # as nearly always: nothing of it came before
        made = [Accepted(Verdict.NEW, seq, arrival.urgent) for seq, arrival in new]
    else:
        new, made = _sorted_out(conn, place, arrivals, first, now)
        _claimed(conn, place.id, new, month)
    next_seq = first + len(new)
    _store(conn, place.id, new, now)
    values = {"position": next_position, "next_seq": next_seq, "fingerprint": fingerprint}
    moved = conn.execute(_MOVE, {"place": place.id, "seen": place.position, **values})
    if moved.rowcount != 1:
        raise _stale(place)
    return made


def _classed(conn: Connection, arrivals: Sequence[Arrival]) -> Sequence[Arrival]:
    """The arrivals in the class of their key, whatever their own header says: a lane in two classes would be two lanes.

    Ingress has fixed it for what came through it; another producer's document is fixed by the first event accepted
    anywhere. What is plainly about a dossier and claims nothing is not looked up.
    """
    doubtful = [arrival for arrival in arrivals if arrival.urgent or not arrival.event_type.startswith(_OF_DOSSIERS)]
    if not doubtful:
        return arrivals
    firsts: dict[bytes, bool] = {}
    for arrival in doubtful:
        if is_document(arrival.event_type):
            firsts.setdefault(arrival.key, arrival.urgent)
    urgent = pin_classes(conn, firsts, {arrival.key for arrival in doubtful})
    return [replace(a, urgent=a.key in urgent) if a.urgent != (a.key in urgent) else a for a in arrivals]


def body_row(shard_id: int, seq: int, edition: int, content: Body, now: int) -> dict[str, Any]:
    """The values of a body's row."""
    return {
        "shard": shard_id,
        "seq": seq,
        "edition": edition,
        "headers": pack(content.headers),
        "value": content.value,
        "stored_at": now,
    }


def failure_columns(failure: Failure | None) -> dict[str, Any]:
    """A failure as the state row keeps it: whole, and its cause apart, by which dead letters are grouped."""
    return {"failure": asdict(failure) if failure else None, "cause": failure.cause if failure else None}


def _claimed(conn: Connection, shard_id: int, new: Sequence[tuple[int, Arrival]], month: int) -> bool:
    """Remember the identities of arrivals with the seqs they get; False, and none is kept, if any is known already."""
    if not new:
        return True
    rows = [(shard_id, arrival.identity, arrival.digest, seq, month) for seq, arrival in new]
    inserted = insert_many(conn, seen, _SEEN, rows, unless_there=True)
    if 0 < inserted < len(rows):
        run_many(conn, _WITHDRAW, _WITHDRAWN, [(shard_id, arrival.identity, seq) for seq, arrival in new])
    return inserted == len(rows)


def _sorted_out(
    conn: Connection, place: Shard, arrivals: Sequence[Arrival], first: int, now: int
) -> tuple[list[tuple[int, Arrival]], list[Accepted]]:
    """What is new among arrivals, with seqs from ``first`` on, and the verdict on each."""
    known = _known(conn, place.id, [arrival.identity for arrival in arrivals])
    made: list[Accepted] = []
    new: list[tuple[int, Arrival]] = []
    for arrival in arrivals:
        match = known.get(arrival.identity)
        verdict = _recognised(conn, place, match, arrival, before=first, now=now) if match is not None else None
        if verdict is None:
            seq = first + len(new)
            known[arrival.identity] = (seq, arrival.digest)
            new.append((seq, arrival))
            verdict = Accepted(Verdict.NEW, seq, arrival.urgent)
        made.append(verdict)
    return new, made


def _known(conn: Connection, shard_id: int, identities: Sequence[bytes]) -> dict[bytes, tuple[int, bytes]]:
    """Seq and digest of identities accepted before."""
    if conn.dialect.name == "postgresql":
        rows = conn.execute(_LOOKUP, {"shard": shard_id, "identities": list(identities)})
        return {bytes(i): (seq, bytes(digest)) for i, seq, digest in rows}
    found: dict[bytes, tuple[int, bytes]] = {}
    for start in range(0, len(identities), MANY):
        query = select(seen.c.identity, seen.c.seq, seen.c.digest).where(
            seen.c.shard == shard_id, seen.c.identity.in_(identities[start : start + MANY])
        )
        found.update({i: (seq, digest) for i, seq, digest in conn.execute(query)})
    return found


def _recognised(
    conn: Connection, place: Shard, match: tuple[int, bytes], arrival: Arrival, *, before: int, now: int
) -> Accepted | None:
    """What a known identity means; None: it is accepted as if it were new. ``before`` is the first seq of this call."""
    seq, digest = match
    if digest != arrival.digest:
        insert_new(conn, conflict, [_conflict_row(place.id, seq, arrival, now)])
        return Accepted(Verdict.CONFLICT, 0)
    if place.recipient == ROUTER and arrival.state is State.DEAD and seq < before:
        match _reopen(conn, place.id, seq, arrival):
            case _Earlier.REOPENED:
                return Accepted(Verdict.REOPENED, seq)
            case _Earlier.PURGED:
                conn.execute(delete(seen).where(seen.c.shard == place.id, seen.c.identity == arrival.identity))
                return None
            case _Earlier.UNFINISHED:
                pass
    return Accepted(Verdict.REPEATED, 0)


class _Earlier(Enum):
    """What became of an earlier delivery at ``router``."""

    REOPENED = auto()
    UNFINISHED = auto()
    PURGED = auto()


def _reopen(conn: Connection, shard_id: int, seq: int, arrival: Arrival) -> _Earlier:
    """What the hop could not route, and cannot again, is dead again: nobody else would show it."""
    at = (delivery.c.shard == shard_id) & (delivery.c.seq == seq)
    changed = conn.execute(
        update(delivery)
        .where(at, delivery.c.state.in_([state.value for state in FINISHED]))
        .values(
            state=State.DEAD.value,
            version=delivery.c.version + 1,
            due=None,
            receipt=None,
            **failure_columns(arrival.failure),
        )
    )
    if changed.rowcount == 1:
        return _Earlier.REOPENED
    there = conn.execute(select(delivery.c.seq).where(at)).first()
    return _Earlier.PURGED if there is None else _Earlier.UNFINISHED


def _store(conn: Connection, shard_id: int, new: Sequence[tuple[int, Arrival]], now: int) -> None:
    if not new:
        return
    rows, contents = [], []
    for seq, a in new:
        refuse_nul(a.source, a.event_id, a.event_type, a.subject)
        failure = a.failure
        rows.append((
            shard_id, seq, a.key, a.state.value, a.urgent, a.source, a.event_id, a.event_type, a.subject, a.offset, now,
            to_json(asdict(failure)) if failure else None, failure.cause if failure else None,
        ))  # fmt: skip
        contents.append((shard_id, seq, 0, pack(a.body.headers), a.body.value, now))
    insert_many(conn, delivery, _NEW, rows, same=_START)
    insert_many(conn, body, _BODY, contents)


def _conflict_row(shard_id: int, seq: int, arrival: Arrival, now: int) -> dict[str, Any]:
    refuse_nul(arrival.source, arrival.event_id, arrival.event_type, arrival.subject)
    return {
        "shard": shard_id,
        "seq": seq,
        "offset": arrival.offset,
        "source": arrival.source,
        "event_id": arrival.event_id,
        "event_type": arrival.event_type,
        "subject": arrival.subject,
        "digest": arrival.digest,
        "headers": pack(arrival.body.headers),
        "value": arrival.body.value,
        "seen_at": now,
    }


def _stale(place: Shard) -> StalePosition:
    return StalePosition(f"{place.recipient}/{place.partition} is not at {place.position}")
