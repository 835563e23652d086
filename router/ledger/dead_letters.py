"""What operators ask about dead letters: dead and uncertain deliveries, one by one and by cause. Changes no row."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

from msgpack import packb
from sqlalchemy import Connection, Select, func, select, tuple_

from router.events import CE_ADDRESSED_TO, CE_PROCEDURE, OWNER_CONFLICT, ROUTER
from router.ledger.query import Named, named
from router.ledger.rows import Shard
from router.ledger.store import shards
from router.ledger.tables import PARKED, alias, body, delivery, key_link
from router.ledger.within import Within

#: Time of the last attempt, shard and seq: the order of dead letters in a listing.
PageMark = tuple[int, int, int]


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


def listed(conn: Connection, wanted: DeadFilter, *, limit: int, before: PageMark | None = None) -> list[Named]:
    """Dead and uncertain deliveries, newest first; ``before`` (``page_mark`` of the last one) continues a page."""
    places = {place.id: place for place in shards(conn)}
    place = tuple_(_last(), delivery.c.shard, delivery.c.seq)
    query = _letters(wanted, places).order_by(*(column.desc() for column in place.clauses)).limit(limit)
    if before is not None:
        query = query.where(place < before)
    return [named(places, row) for row in conn.execute(query)]


def in_order(conn: Connection, wanted: DeadFilter, *, after: tuple[int, int], limit: int) -> list[Named]:
    """Dead and uncertain deliveries by shard and seq, behind ``after``: the order in which lanes stand."""
    places = {place.id: place for place in shards(conn)}
    behind = tuple_(delivery.c.shard, delivery.c.seq) > after
    query = _letters(wanted, places).where(behind).order_by(delivery.c.shard, delivery.c.seq).limit(limit)
    return [named(places, row) for row in conn.execute(query)]


def page_mark(last: Named) -> PageMark:
    """Where the page behind this delivery begins."""
    row = last.delivery
    return (row.accepted_at if row.last_at is None else row.last_at, row.shard, row.seq)


def groups(conn: Connection, wanted: DeadFilter) -> list[CauseGroup]:
    """Dead letters grouped by cause, largest group first; reason, code and message are those of the newest."""
    places = {place.id: place for place in shards(conn)}
    letters = _letters(wanted, places).subquery()
    at = func.coalesce(letters.c.last_at, letters.c.accepted_at)
    counted = select(
        letters.c.cause,
        letters.c.shard,
        func.count().label("n"),
        func.count(letters.c.key.distinct()).label("lanes"),
        func.min(at).label("first"),
        func.max(at).label("last"),
    ).group_by(letters.c.cause, letters.c.shard)
    found: dict[tuple[str, str], CauseGroup] = {}
    for row in conn.execute(counted).all():
        recipient, cause = places[row.shard].recipient, row.cause or ""
        known = found.get((cause, recipient))
        if known is None or row.last >= known.last:
            newest = _sample(conn, row.shard, row.cause, row.last)
            texts = (newest.get("reason", ""), newest.get("partner_code", ""), newest.get("message", ""))
        else:
            texts = (known.reason, known.partner_code, known.message)
        before = known or CauseGroup(cause, recipient, "", "", "", 0, 0, row.first, row.last)
        found[cause, recipient] = CauseGroup(
            cause,
            recipient,
            *texts,
            before.letters + row.n,
            before.lanes + (row.lanes if recipient != ROUTER else 0),
            min(before.first, row.first),
            max(before.last, row.last),
        )
    return sorted(found.values(), key=lambda group: -group.letters)


def owner_conflicts(conn: Connection) -> int:
    """How many dead letters wait because their code belongs to another owner."""
    places = {place.id: place for place in shards(conn)}
    wanted = _letters(DeadFilter(recipient=ROUTER, reason=OWNER_CONFLICT), places).subquery()
    return int(conn.execute(select(func.count()).select_from(wanted)).scalar_one())


def _sample(conn: Connection, shard_id: int, cause: str | None, at: int) -> Mapping[str, Any]:
    """The failure of a dead letter of this cause, shard and time."""
    same = delivery.c.cause.is_(None) if cause is None else delivery.c.cause == cause
    query = select(delivery.c.failure).where(PARKED, same, delivery.c.shard == shard_id, _last() == at)
    return conn.execute(query.limit(1)).scalar() or {}


def _last() -> Any:
    return func.coalesce(delivery.c.last_at, delivery.c.accepted_at)


def _letters(wanted: DeadFilter, places: dict[int, Shard]) -> Select[Any]:
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
