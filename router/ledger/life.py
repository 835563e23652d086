"""Everything the ledger knows of one dossier or document, read by key: what a timeline is made of."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, NamedTuple

from sqlalchemy import Connection, Row, select, tuple_

from router.ledger import query, store, trail
from router.ledger.alerts import Alert, open_alerts
from router.ledger.instances import Stored, load, logs
from router.ledger.procedure_tables import dossier
from router.ledger.query import Named
from router.ledger.rows import Body
from router.ledger.tables import alias_conflict, attempt, body, conflict, delivery, key_link, orders, waiting

MANY: Final = 200  # pairs (shard, seq) in one question

At = tuple[int, int]  # shard and seq


class Unplaced(NamedTuple):
    """An event that waits for its dossier, or a code that two owners have. Times are µs UTC."""

    scheme: str
    value: str
    source: str
    event_type: str
    since: int
    expires: int


@dataclass(slots=True)
class Life:
    """``keys`` are all internal ids that mean it; ``complete`` is false when there were more deliveries than asked for.
    Attempts, orders, edits and conflicts are rows by the delivery's (shard, seq).
    """

    keys: Sequence[bytes]
    aliases: Sequence[tuple[str, str]] = ()
    links: Sequence[Row[Any]] = ()
    instances: Mapping[bytes, Stored] = field(default_factory=dict)
    facts: Mapping[bytes, Mapping[str, Any]] = field(default_factory=dict)
    log: Sequence[Mapping[str, Any]] = ()
    deliveries: Sequence[Named] = ()
    complete: bool = True
    attempts: Mapping[At, list[Row[Any]]] = field(default_factory=dict)
    orders: Mapping[At, list[Row[Any]]] = field(default_factory=dict)
    edits: Mapping[At, list[Row[Any]]] = field(default_factory=dict)
    conflicts: Mapping[At, list[Row[Any]]] = field(default_factory=dict)
    disputes: Sequence[Row[Any]] = ()
    alerts: Sequence[Alert] = ()

    @property
    def known(self) -> bool:
        """Whether there is anything at all."""
        return bool(self.aliases or self.instances or self.deliveries)


def life(conn: Connection, code: str, *, limit: int) -> Life:
    """By any code, number, payment reference or internal id; the oldest ``limit`` deliveries at most."""
    keys = query.keys_by_code(conn, code)
    aliases = [pair for key in keys for pair in query.aliases(conn, key)]
    found = deliveries(conn, keys, limit + 1)
    told = found[:limit]
    places = [(each.delivery.shard, each.delivery.seq) for each in told]
    names = {value for _, value in aliases}
    return Life(
        keys=keys,
        aliases=aliases,
        links=conn.execute(select(key_link).where(key_link.c.younger.in_(keys))).all(),
        instances=load(conn, keys),
        facts={row.key: dict(row._mapping) for row in conn.execute(select(dossier).where(dossier.c.key.in_(keys)))},
        log=list(logs(conn, keys)),
        deliveries=told,
        complete=len(found) <= limit,
        attempts=_by_place(conn, attempt, places),
        orders=_by_place(conn, orders, places),
        edits=_by_place(conn, body, [p for p, each in zip(places, told, strict=True) if each.delivery.edited]),
        conflicts=_by_place(conn, conflict, places),
        disputes=conn.execute(select(alias_conflict).where(alias_conflict.c.key.in_(keys))).all(),
        alerts=[each for each in open_alerts(conn) if each.subject.partition(" ")[0] in names],
    )


def deliveries(conn: Connection, keys: Collection[bytes], limit: int) -> list[Named]:
    """All deliveries of these keys at all recipients by time of acceptance, the oldest ``limit`` of them."""
    if not keys:
        return []
    places = {place.id: place for place in store.shards(conn)}
    found = [each for span in trail.spans(conn, keys) for each in _within(conn, span, keys)]
    found.sort(key=lambda each: (each.accepted_at, each.shard, each.seq))
    return [
        Named(query.name_of(place := places[each.shard], each.seq), place.recipient, each) for each in found[:limit]
    ]


def bodies(conn: Connection, places: Iterable[At]) -> dict[At, Body]:
    """What deliveries carried when they were accepted; those that purge has taken are not there."""
    found: dict[At, Body] = {}
    for shard_id, seq in places:
        if editions := store.editions(conn, shard_id, seq):
            found[shard_id, seq] = editions[0][1]
    return found


def waiting_for(conn: Connection, value: str) -> list[Unplaced]:
    """Events that wait until somebody says which dossier a number means."""
    rows = conn.execute(select(waiting).where(waiting.c.value == value).order_by(waiting.c.id))
    return [Unplaced(r.scheme, r.value, r.source, r.event_type, r.stored_at, r.expires) for r in rows]


def _within(conn: Connection, span: trail.Span, keys: Collection[bytes]) -> Iterator[Any]:
    at = (delivery.c.shard == span.shard) & delivery.c.seq.between(span.first, span.last)
    for row in conn.execute(select(delivery).where(at, delivery.c.key.in_(keys)).order_by(delivery.c.seq)):
        yield store.delivery_of(row)


def _by_place(conn: Connection, table: Any, places: Sequence[At]) -> dict[At, list[Row[Any]]]:
    """Rows of a table that has ``shard`` and ``seq``, each delivery's in their order."""
    found: dict[At, list[Row[Any]]] = {}
    order = table.c.id if "id" in table.c else table.c.edition
    for start in range(0, len(places), MANY):
        mine = tuple_(table.c.shard, table.c.seq).in_(places[start : start + MANY])
        for row in conn.execute(select(table).where(mine).order_by(order)):
            found.setdefault((row.shard, row.seq), []).append(row)
    return found
