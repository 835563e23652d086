"""Who is who: codes and their internal ids, secondary references, events that wait for their dossier.

Only dossier and document codes mint an internal id. The same code with another owner is a conflict that waits for a
person; nothing is ever merged by itself.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from functools import lru_cache
from typing import Any, Final, NamedTuple
from uuid import UUID

from sqlalchemy import Connection, Row, Select, bindparam, delete, insert, select, text, update

from router.events import key_of
from router.framing import pack, unpack
from router.ledger.faults import refuse_long
from router.ledger.lists import among, among_given
from router.ledger.rows import Body
from router.ledger.tables import alias, alias_conflict, cursor, key_link, occurrence, pinned, waiting
from router.ledger.upsert import insert_new, put

# Asked for nearly every event: built once.
_NAMED: Final = select(alias).where(alias.c.scheme == bindparam("scheme"), alias.c.value == bindparam("value"))
_OLDER: Final = select(key_link.c.older).where(key_link.c.younger == bindparam("younger"))


class Claim(NamedTuple):
    """The internal id of a code, and whether another owner has the code."""

    key: UUID
    conflict: bool


class Waiting(NamedTuple):
    """An event that waits for its reference: complete but for its key."""

    id: int
    scheme: str
    value: str
    source: str
    event_type: str
    body: Body
    expires: int


def claim(conn: Connection, scheme: str, value: str, *, issuer: str, owner: bytes | None, now: int) -> Claim:
    """The internal id of a code, minted if it is new. An owner completes a claim that had none."""
    known = row_of(conn, scheme, value)
    if known is None:
        minted = key_of(scheme, value)
        known = _insert_alias(conn, scheme, value, key=minted, issuer=issuer, owner=owner, now=now)
    key = UUID(bytes=bytes(known.key))
    theirs = bytes(known.owner) if known.owner is not None else None
    if owner is not None and theirs is None:
        conn.execute(update(alias).where(alias.c.scheme == scheme, alias.c.value == value).values(owner=owner))
    elif owner is not None and theirs != owner:
        _keep_conflict(conn, scheme, value, key, issuer=issuer, owner=owner, now=now)
        return Claim(key, True)
    return Claim(current(conn, key), False)


def resolve(conn: Connection, scheme: str, value: str) -> UUID | None:
    """The internal id that a code or reference means, following links; None if it is not known."""
    known = row_of(conn, scheme, value)
    return current(conn, UUID(bytes=bytes(known.key))) if known is not None else None


def link(conn: Connection, scheme: str, value: str, key: UUID, *, issuer: str, now: int) -> bool:
    """From now on a reference means this dossier; False (and a conflict row) if it means another one already."""
    known = row_of(conn, scheme, value)
    if known is None:
        known = _insert_alias(conn, scheme, value, key=key, issuer=issuer, owner=None, now=now)
    if current(conn, UUID(bytes=bytes(known.key))) == current(conn, key):
        return True
    _keep_conflict(conn, scheme, value, key, issuer=issuer, owner=None, now=now)
    return False


def is_disputed(conn: Connection, scheme: str, value: str, *, issuer: str) -> bool:
    """Whether this issuer uses a code for an owner other than the one who has it by another issuer's claim.

    Its messages that name no owner cannot be told from the first owner's by their code.
    """
    query = (
        select(alias_conflict.c.id)
        .join(alias, (alias.c.scheme == alias_conflict.c.scheme) & (alias.c.value == alias_conflict.c.value))
        .where(alias_conflict.c.scheme == scheme, alias_conflict.c.value == value)
        .where(alias_conflict.c.issuer == issuer, alias.c.issuer != issuer, alias_conflict.c.owner.is_not(None))
        .limit(1)
    )
    return conn.execute(query).first() is not None


def code_of(conn: Connection, key: UUID, schemes: Collection[str]) -> str:
    """The first code in one of these number spaces that meant an internal id; empty if there is none."""
    query = (
        select(alias.c.value)
        .where(alias.c.key == key.bytes, alias.c.scheme.in_(schemes))
        .order_by(alias.c.claimed_at, alias.c.value)
        .limit(1)
    )
    return str(conn.execute(query).scalar() or "")


def merge(conn: Connection, younger: UUID, older: UUID, *, now: int) -> None:
    """Two ids turned out to be one dossier: readers and new events follow to the older one from now on."""
    conn.execute(insert(key_link).values(younger=younger.bytes, older=older.bytes, linked_at=now))


def lock_references(conn: Connection, names: Collection[tuple[str, str]]) -> None:
    """Hold references (scheme, value) for this transaction, in one order for all processes, so that claiming, linking
    and waiting are decided one after the other. On SQLite the immediate transaction is the lock.
    """
    if conn.dialect.name == "postgresql":
        query = text(
            "SELECT pg_advisory_xact_lock(h) FROM (SELECT DISTINCT hashtextextended(n, 0) AS h"
            " FROM unnest(CAST(:names AS text[])) AS n ORDER BY h) AS held"
        )
        conn.execute(query, {"names": [f"{scheme}\x1f{value}" for scheme, value in names]})


def wait(conn: Connection, event: Waiting, identity: bytes, *, now: int) -> None:
    """Keep an event until its reference is known; a repetition of one that waits is dropped. Raises ``RowRefused`` for
    a value above 256 KiB.
    """
    refuse_long(event.body.value)
    same = select(waiting.c.id).where(
        waiting.c.scheme == event.scheme, waiting.c.value == event.value, waiting.c.identity == identity
    )
    if conn.execute(same).first() is None:
        conn.execute(
            insert(waiting).values(
                scheme=event.scheme,
                value=event.value,
                identity=identity,
                source=event.source,
                event_type=event.event_type,
                headers=pack(event.body.headers),
                body=event.body.value,
                expires=event.expires,
                stored_at=now,
            )
        )


def due(conn: Connection, *, now: int, limit: int) -> list[tuple[Waiting, UUID | None]]:
    """Waiting events in arrival order whose reference is known now (with its key), or that have expired (None)."""
    query = (
        select(waiting, alias.c.key.label("known"))
        .outerjoin(alias, (alias.c.scheme == waiting.c.scheme) & (alias.c.value == waiting.c.value))
        .where(alias.c.key.is_not(None) | (waiting.c.expires <= now))
        .order_by(waiting.c.id)
        .limit(limit)
    )
    found: list[tuple[Waiting, UUID | None]] = []
    for r in conn.execute(query):
        content = Body(bytes(r.body), unpack(bytes(r.headers)))
        event = Waiting(r.id, r.scheme, r.value, r.source, r.event_type, content, r.expires)
        found.append((event, current(conn, UUID(bytes=bytes(r.known))) if r.known is not None else None))
    return found


def drop_waiting(conn: Connection, ids: Sequence[int]) -> None:
    """These events went on their way."""
    conn.execute(delete(waiting).where(among(conn, waiting.c.id, ids)))


def occurrence_of(conn: Connection, key: UUID, operation: str, content: bytes, *, window: int, now: int) -> int:
    """Which occurrence of a message this is, for partners that give no ids.

    The counter rises whenever a different message for the same key and operation came in between, or the same one
    after ``window`` µs: 4, 5, 4 are three events; 4, 4 inside the window are one.
    """
    at = (occurrence.c.key == key.bytes) & (occurrence.c.operation == operation)
    known = conn.execute(select(occurrence).where(at)).first()
    if known is None:
        values = {"key": key.bytes, "operation": operation, "content": content, "number": 1, "last": now}
        conn.execute(insert(occurrence).values(values))
        return 1
    repeated = bytes(known.content) == content and now - known.last <= window
    number = known.number if repeated else known.number + 1
    conn.execute(update(occurrence).where(at).values(content=content, number=number, last=now))
    return int(number)


def pin_urgent(conn: Connection, key: UUID, urgent: bool) -> bool:
    """The class of a document, fixed by its first event."""
    insert_new(conn, pinned, [{"key": key.bytes, "urgent": urgent}])
    return bool(conn.execute(select(pinned.c.urgent).where(pinned.c.key == key.bytes)).scalar_one())


def pin_classes(conn: Connection, firsts: Mapping[bytes, bool], keys: Collection[bytes]) -> frozenset[bytes]:
    """Fix the class of documents that have none yet, by key; which of ``keys``, all documents among them, are urgent.

    One look, where every document has its class already.
    """
    known = _classes(conn, keys)
    # In one order for all processes: two that pin the same documents must not wait for each other.
    if new := [{"key": key, "urgent": firsts[key]} for key in sorted(firsts) if key not in known]:
        insert_new(conn, pinned, new)
        known = _classes(conn, keys)  # another process may have been first
    return _urgent(known)


def urgent_among(conn: Connection, keys: Collection[bytes]) -> frozenset[bytes]:
    """Those of these keys whose class was fixed as urgent."""
    return _urgent(_classes(conn, keys)) if keys else frozenset()


def _classes(conn: Connection, keys: Collection[bytes]) -> dict[bytes, bool]:
    """Whether they are urgent, of those of these keys whose class is fixed."""
    found = conn.execute(_pinned(conn.dialect.name), {"keys": list(keys)})
    return {bytes(key): bool(urgent) for key, urgent in found}


@lru_cache
def _pinned(dialect: str) -> Select[Any]:
    return select(pinned.c.key, pinned.c.urgent).where(among_given(dialect, pinned.c.key, "keys"))


def _urgent(classes: Mapping[bytes, bool]) -> frozenset[bytes]:
    return frozenset(key for key, urgent in classes.items() if urgent)


def read_cursor(conn: Connection, source: str, name: str) -> str:
    """Where a polled source stands; empty at first."""
    found = conn.execute(select(cursor.c.value).where(cursor.c.source == source, cursor.c.name == name)).scalar()
    return str(found or "")


def save_cursor(conn: Connection, source: str, name: str, value: str) -> None:
    """A polled source has been received up to here."""
    put(conn, cursor, {"source": source, "name": name, "value": value})


def row_of(conn: Connection, scheme: str, value: str) -> Row[Any] | None:
    """The stored claim or link of a code or reference."""
    return conn.execute(_NAMED, {"scheme": scheme, "value": value}).first()


def _keep_conflict(
    conn: Connection, scheme: str, value: str, key: UUID, *, issuer: str, owner: bytes | None, now: int
) -> None:
    """One row per issuer and owner, however often it comes again."""
    c = alias_conflict.c
    same_owner = c.owner.is_(None) if owner is None else c.owner == owner
    same = (c.scheme == scheme) & (c.value == value) & (c.key == key.bytes) & (c.issuer == issuer) & same_owner
    if conn.execute(select(c.id).where(same).limit(1)).first() is None:
        values = {"scheme": scheme, "value": value, "key": key.bytes, "issuer": issuer, "owner": owner, "seen_at": now}
        conn.execute(insert(alias_conflict).values(values))


def _insert_alias(
    conn: Connection, scheme: str, value: str, *, key: UUID, issuer: str, owner: bytes | None, now: int
) -> Row[Any]:
    """Insert, on conflict nothing, read again: what whoever was first has written."""
    values = {"scheme": scheme, "value": value, "key": key.bytes, "issuer": issuer, "owner": owner, "claimed_at": now}
    insert_new(conn, alias, [values])
    return conn.execute(_NAMED, {"scheme": scheme, "value": value}).one()


def currents(conn: Connection, keys: Collection[UUID]) -> dict[UUID, UUID]:
    """The ids that stand for these now: one look, where none of them is linked."""
    if not keys:
        return {}
    younger = conn.execute(_linked(conn.dialect.name), {"keys": [key.bytes for key in keys]}).scalars()
    linked = {UUID(bytes=bytes(key)) for key in younger}
    return {key: current(conn, key) if key in linked else key for key in keys}


@lru_cache
def _linked(dialect: str) -> Select[Any]:
    return select(key_link.c.younger).where(among_given(dialect, key_link.c.younger, "keys"))


def current(conn: Connection, key: UUID) -> UUID:
    """The id that stands for this one now: dated links are followed to the oldest."""
    passed = {key}
    while (older := conn.execute(_OLDER, {"younger": key.bytes}).scalar()) is not None:
        key = UUID(bytes=bytes(older))
        if key in passed:
            break
        passed.add(key)
    return key
