"""What operators ask the ledger: short pages, newest first where it matters. Nothing here changes a row.

A delivery is named by people as ``recipient/partition/seq``.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from contextlib import suppress
from typing import Any, NamedTuple
from uuid import UUID

from sqlalchemy import Connection, Row, func, select

from router.ledger.rows import Delivery, Shard
from router.ledger.store import delivery_of, shards
from router.ledger.tables import (
    UNFINISHED,
    alias,
    delivery,
    key_link,
    orders,
    outbox,
    seen,
    waiting,
)

STATES = ("waiting", "calling", "dead", "uncertain")


class Named(NamedTuple):
    """A delivery with its name for people."""

    name: str
    recipient: str
    delivery: Delivery


class Backlog(NamedTuple):
    """Unfinished deliveries of a recipient, by state; ``oldest`` acceptance (UTC µs) of one that waits."""

    recipient: str
    waiting: int
    calling: int
    dead: int
    uncertain: int
    oldest: int | None


def name_of(place: Shard, seq: int) -> str:
    """The name of a delivery."""
    return f"{place.recipient}/{place.partition}/{seq}"


def named(places: Mapping[int, Shard], row: Row[Any]) -> Named:
    """A row of deliveries with its name; ``places`` are the shards by id."""
    place = places[row.shard]
    return Named(name_of(place, row.seq), place.recipient, delivery_of(row))


def backlogs(conn: Connection) -> list[Backlog]:
    """Unfinished deliveries by recipient; recipients without any have zeros."""
    places = {place.id: place for place in shards(conn)}
    rows = conn.execute(
        select(
            delivery.c.shard,
            delivery.c.state,
            func.count().label("n"),
            func.min(delivery.c.accepted_at).label("oldest"),
        )
        .where(UNFINISHED)
        .group_by(delivery.c.shard, delivery.c.state)
    )
    counts: dict[str, dict[str, int]] = {place.recipient: dict.fromkeys(STATES, 0) for place in places.values()}
    oldest: dict[str, int] = {}
    for row in rows:
        recipient = places[row.shard].recipient
        counts[recipient][row.state] += row.n
        if row.state in ("waiting", "calling"):
            oldest[recipient] = min(oldest.get(recipient, row.oldest), row.oldest)
    return [Backlog(recipient, **found, oldest=oldest.get(recipient)) for recipient, found in sorted(counts.items())]


def event_types(conn: Connection) -> list[tuple[str, int]]:
    """How many events of each type were accepted, each once, however many recipients it has."""
    each = select(delivery.c.event_type, delivery.c.source, delivery.c.event_id).distinct().subquery()
    counted = select(each.c.event_type, func.count()).group_by(each.c.event_type).order_by(each.c.event_type)
    return [(name, count) for name, count in conn.execute(counted)]


def find(conn: Connection, name: str) -> tuple[Shard, Delivery] | None:
    """A delivery by its name, with its shard. Raises ``ValueError`` for what is no name."""
    recipient, partition, seq = split_name(name)
    place = next((p for p in shards(conn, [recipient]) if p.partition == partition), None)
    if place is None:
        return None
    row = conn.execute(select(delivery).where(delivery.c.shard == place.id, delivery.c.seq == seq)).first()
    return (place, delivery_of(row)) if row is not None else None


def lane(conn: Connection, recipient: str, keys: Collection[bytes], limit: int) -> list[Named]:
    """A lane's deliveries, finished ones too, the newest ``limit`` of them in seq order."""
    places = {place.id: place for place in shards(conn, [recipient])}
    query = (
        select(delivery)
        .where(delivery.c.shard.in_(places), delivery.c.key.in_(keys))
        .order_by(delivery.c.seq.desc())
        .limit(limit)
    )
    return [named(places, row) for row in reversed(conn.execute(query).all())]


def trace(conn: Connection, identities: Collection[bytes]) -> list[Named]:
    """The deliveries of an event at all recipients, found by its identity under every possible source."""
    places = {place.id: place for place in shards(conn)}
    query = (
        select(delivery)
        .join(seen, (seen.c.shard == delivery.c.shard) & (seen.c.seq == delivery.c.seq))
        .where(seen.c.shard.in_(places), seen.c.identity.in_(identities))
    )
    return [named(places, row) for row in conn.execute(query.order_by(delivery.c.accepted_at))]


def same_content(conn: Connection, identities: Collection[bytes]) -> dict[tuple[int, int], list[int]]:
    """Earlier deliveries at the same recipient, of the same key and with the same content under another id: their seqs,
    ascending, by (shard, seq) of the deliveries of these identities. Reads the recognised events of a shard through.
    """
    first, later, earlier = seen.alias(), delivery.alias(), delivery.alias()
    query = (
        select(later.c.shard, later.c.seq, earlier.c.seq.label("first"))
        .select_from(seen)
        .join(first, (first.c.shard == seen.c.shard) & (first.c.digest == seen.c.digest) & (first.c.seq < seen.c.seq))
        .join(later, (later.c.shard == seen.c.shard) & (later.c.seq == seen.c.seq))
        .join(earlier, (earlier.c.shard == first.c.shard) & (earlier.c.seq == first.c.seq))
        .where(seen.c.shard.in_([place.id for place in shards(conn)]), seen.c.identity.in_(identities))
        .where(earlier.c.key == later.c.key)
    )
    found: dict[tuple[int, int], list[int]] = {}
    for row in conn.execute(query.order_by(earlier.c.seq)):
        found.setdefault((row.shard, row.seq), []).append(row.first)
    return found


def keys_by_code(conn: Connection, code: str) -> list[bytes]:
    """The internal ids that a code or number means, in any number space, with those linked to them: two ids that turned
    out to be one dossier are both found. An internal id (a UUID) means itself.
    """
    known = select(alias.c.key).where(alias.c.scheme.in_(_schemes(conn)), alias.c.value == code)
    found = {bytes(key) for key in conn.execute(known).scalars()}
    with suppress(ValueError):
        found.add(UUID(code).bytes)
    fresh = set(found)
    while fresh:
        links = conn.execute(
            select(key_link.c.younger, key_link.c.older).where(
                key_link.c.younger.in_(fresh) | key_link.c.older.in_(fresh)
            )
        )
        fresh = {bytes(key) for link in links for key in link} - found
        found |= fresh
    return sorted(found)


def aliases(conn: Connection, key: bytes) -> list[tuple[str, str]]:
    """Scheme and value of all codes and numbers of an internal id."""
    query = select(alias.c.scheme, alias.c.value).where(alias.c.key == key).order_by(alias.c.claimed_at)
    return [(row.scheme, row.value) for row in conn.execute(query)]


def orders_of(conn: Connection, shard_id: int, seq: int) -> list[Row[Any]]:
    """All orders on a delivery, oldest first."""
    return list(
        conn.execute(select(orders).where(orders.c.shard == shard_id, orders.c.seq == seq).order_by(orders.c.id))
    )


def unsettled(conn: Connection) -> tuple[int, int]:
    """How many outbox rows are not published, and how many events wait for their dossier."""
    rows = conn.execute(select(func.count()).select_from(outbox)).scalar_one()
    events = conn.execute(select(func.count()).select_from(waiting)).scalar_one()
    return rows, events


def split_name(name: str) -> tuple[str, int, int]:
    """Recipient, partition and seq of a delivery's name. Raises ``ValueError`` with the expected form."""
    parts = name.split("/")
    if len(parts) != 3 or not (parts[1].isdigit() and parts[2].isdigit()):
        raise ValueError(f"{name!r} is not a delivery's name (expected recipient/partition/seq, e.g. tax-h39/3/152)")
    return parts[0], int(parts[1]), int(parts[2])


def _schemes(conn: Connection) -> list[str]:
    """The number spaces there are, each by one look into the primary key: codes alone are not indexed."""
    found: list[str] = []
    while (following := _scheme_after(conn, found[-1] if found else "")) is not None:
        found.append(following)
    return found


def _scheme_after(conn: Connection, scheme: str) -> str | None:
    after = select(alias.c.scheme).where(alias.c.scheme > scheme).order_by(alias.c.scheme).limit(1)
    found: str | None = conn.execute(after).scalar()
    return found
