"""What operators ask the ledger: short pages, newest first where it matters. Nothing here changes a row.

A delivery is named by people as ``recipient/partition/seq``.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, NamedTuple
from uuid import UUID

from msgpack import packb
from sqlalchemy import Connection, Row, Select, func, select, tuple_

from router.events import CE_ADDRESSED_TO, CE_PROCEDURE, OWNER_CONFLICT, ROUTER
from router.ledger.rows import Delivery, Shard
from router.ledger.store import delivery_of, shards
from router.ledger.tables import (
    PARKED,
    UNFINISHED,
    alias,
    audit,
    body,
    conflict,
    delivery,
    key_link,
    orders,
    outbox,
    seen,
    waiting,
)
from router.ledger.within import Within

STATES = ("waiting", "calling", "dead", "uncertain")

#: Time of the last attempt, shard and seq: the order of dead letters in a listing.
PageMark = tuple[int, int, int]


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


@dataclass(frozen=True, slots=True)
class DeadFilter:
    """Which dead letters; empty parts do not restrict. ``since`` and ``until`` are UTC µs of the last attempt.
    ``subject`` is any code of the dossier or document, ``agency`` the addressee's code.
    """

    recipient: str = ""
    reason: str = ""
    cause: str = ""
    event_type: str = ""
    subject: str = ""
    text: str = ""
    partner_code: str = ""
    procedure: str = ""
    agency: str = ""
    since: int = 0
    until: int = 0


class CauseGroup(NamedTuple):
    """Dead letters of one cause at one recipient. ``lanes`` are parked behind them."""

    cause: str
    recipient: str
    reason: str
    partner_code: str
    message: str
    letters: int
    lanes: int
    first: int
    last: int


def name_of(place: Shard, seq: int) -> str:
    """The name of a delivery."""
    return f"{place.recipient}/{place.partition}/{seq}"


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


def dead(conn: Connection, wanted: DeadFilter, *, limit: int, before: PageMark | None = None) -> list[Named]:
    """Dead and uncertain deliveries, newest first; ``before`` (``page_mark`` of the last one) continues a page."""
    places = {place.id: place for place in shards(conn)}
    place = tuple_(_last(), delivery.c.shard, delivery.c.seq)
    query = _dead(wanted, places).order_by(*(column.desc() for column in place.clauses)).limit(limit)
    if before is not None:
        query = query.where(place < before)
    return [_named(places, row) for row in conn.execute(query)]


def dead_in_order(conn: Connection, wanted: DeadFilter, *, after: tuple[int, int], limit: int) -> list[Named]:
    """Dead and uncertain deliveries by shard and seq, behind ``after``: the order in which lanes stand."""
    places = {place.id: place for place in shards(conn)}
    behind = tuple_(delivery.c.shard, delivery.c.seq) > after
    query = _dead(wanted, places).where(behind).order_by(delivery.c.shard, delivery.c.seq).limit(limit)
    return [_named(places, row) for row in conn.execute(query)]


def page_mark(last: Named) -> PageMark:
    """Where the page behind this delivery begins."""
    row = last.delivery
    return (row.accepted_at if row.last_at is None else row.last_at, row.shard, row.seq)


def dead_groups(conn: Connection, wanted: DeadFilter) -> list[CauseGroup]:
    """Dead letters grouped by cause, largest group first; reason, code and message are those of the newest."""
    places = {place.id: place for place in shards(conn)}
    found = _dead(wanted, places).subquery()
    at = func.coalesce(found.c.last_at, found.c.accepted_at)
    counted = select(
        found.c.cause,
        found.c.shard,
        func.count().label("n"),
        func.count(found.c.key.distinct()).label("lanes"),
        func.min(at).label("first"),
        func.max(at).label("last"),
    ).group_by(found.c.cause, found.c.shard)
    groups: dict[tuple[str, str], CauseGroup] = {}
    for row in conn.execute(counted).all():
        recipient, cause = places[row.shard].recipient, row.cause or ""
        known = groups.get((cause, recipient))
        if known is None or row.last >= known.last:
            newest = _sample(conn, row.shard, row.cause, row.last)
            texts = (newest.get("reason", ""), newest.get("partner_code", ""), newest.get("message", ""))
        else:
            texts = (known.reason, known.partner_code, known.message)
        before = known or CauseGroup(cause, recipient, "", "", "", 0, 0, row.first, row.last)
        groups[cause, recipient] = CauseGroup(
            cause,
            recipient,
            *texts,
            before.letters + row.n,
            before.lanes + (row.lanes if recipient != ROUTER else 0),
            min(before.first, row.first),
            max(before.last, row.last),
        )
    return sorted(groups.values(), key=lambda group: -group.letters)


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
    return [_named(places, row) for row in reversed(conn.execute(query).all())]


def trace(conn: Connection, identities: Collection[bytes]) -> list[Named]:
    """The deliveries of an event at all recipients, found by its identity under every possible source."""
    places = {place.id: place for place in shards(conn)}
    query = (
        select(delivery)
        .join(seen, (seen.c.shard == delivery.c.shard) & (seen.c.seq == delivery.c.seq))
        .where(seen.c.shard.in_(places), seen.c.identity.in_(identities))
    )
    return [_named(places, row) for row in conn.execute(query.order_by(delivery.c.accepted_at))]


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


def conflicts(conn: Connection, limit: int) -> list[Row[Any]]:
    """Events that came with a known identity and another body, newest first."""
    return list(conn.execute(select(conflict).order_by(conflict.c.id.desc()).limit(limit)))


def audit_page(conn: Connection, limit: int, before: int | None = None) -> list[Row[Any]]:
    """Audit rows, newest first; ``before`` (an id) continues."""
    query = select(audit).order_by(audit.c.id.desc()).limit(limit)
    return list(conn.execute(query.where(audit.c.id < before) if before is not None else query))


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


def owner_conflicts(conn: Connection) -> int:
    """How many dead letters wait because their code belongs to another owner."""
    places = {place.id: place for place in shards(conn)}
    wanted = _dead(DeadFilter(recipient=ROUTER, reason=OWNER_CONFLICT), places).subquery()
    return int(conn.execute(select(func.count()).select_from(wanted)).scalar_one())


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


def _sample(conn: Connection, shard_id: int, cause: str | None, at: int) -> Mapping[str, Any]:
    """The failure of a dead letter of this cause, shard and time."""
    same = delivery.c.cause.is_(None) if cause is None else delivery.c.cause == cause
    query = select(delivery.c.failure).where(PARKED, same, delivery.c.shard == shard_id, _last() == at)
    return conn.execute(query.limit(1)).scalar() or {}


def _last() -> Any:
    return func.coalesce(delivery.c.last_at, delivery.c.accepted_at)


def _dead(wanted: DeadFilter, places: dict[int, Shard]) -> Select[Any]:
    query = select(delivery).where(PARKED)
    for name, value in ((CE_PROCEDURE, wanted.procedure), (CE_ADDRESSED_TO, wanted.agency)):
        if value:
            query = query.where(_has_header(name, value))
    if wanted.partner_code:
        query = query.where(delivery.c.failure["partner_code"].as_string() == wanted.partner_code)
    if wanted.recipient:
        query = query.where(delivery.c.shard.in_([p.id for p in places.values() if p.recipient == wanted.recipient]))
    if wanted.cause:
        query = query.where(delivery.c.cause == wanted.cause)
    if wanted.reason:
        query = query.where(delivery.c.failure["reason"].as_string() == wanted.reason)
    if wanted.event_type:
        query = query.where(delivery.c.event_type == wanted.event_type)
    if wanted.subject:
        known = select(alias.c.key).where(alias.c.value == wanted.subject)
        linked = select(key_link.c.younger).where(key_link.c.older.in_(known))
        older = select(key_link.c.older).where(key_link.c.younger.in_(known))
        mine = delivery.c.key.in_(known) | delivery.c.key.in_(linked) | delivery.c.key.in_(older)
        query = query.where(mine | (delivery.c.subject == wanted.subject))
    if wanted.text:
        query = query.where(delivery.c.failure["message"].as_string().contains(wanted.text, autoescape=True))
    if wanted.since:
        query = query.where(_last() >= wanted.since)
    if wanted.until:
        query = query.where(_last() < wanted.until)
    return query


def _has_header(name: str, value: str) -> Any:
    """Whether the body's packed headers hold this pair: name and value stand side by side, each with its length."""
    needle = packb(name) + packb(value.encode())
    held = select(body.c.seq).where(
        body.c.shard == delivery.c.shard,
        body.c.seq == delivery.c.seq,
        body.c.edition == 0,
        Within(body.c.headers, needle),
    )
    return held.exists()


def _named(places: dict[int, Shard], row: Row[Any]) -> Named:
    place = places[row.shard]
    return Named(name_of(place, row.seq), place.recipient, delivery_of(row))
