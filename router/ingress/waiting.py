"""The sweep over events that wait for their dossier: known ones go on through the outbox, expired ones to a person."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final
from uuid import UUID

from router.events import CE_PRIORITY, LGSP_LINK, LGSP_REASON, ROUTER, header, input_topic_of, topic_of
from router.ingress.envelope import read_reference, tied
from router.ingress.identity import UNKNOWN_DOSSIER, WAITING_LEASE, class_of, code_for, stand_in
from router.ledger import identity as table
from router.ledger import outbox, store
from router.ledger.rows import Emission, Lease
from router.ports import Clock, Ledger
from router.sdk.inbound import Reference

if TYPE_CHECKING:
    from sqlalchemy import Connection

LEASE: Final = WAITING_LEASE
PAGE: Final = 100


class WaitingSweep:
    """Works under the lease ``waiting``; its outbox rows belong to that lease."""

    def __init__(self, ledger: Ledger, clock: Clock) -> None:
        self._ledger, self._clock = ledger, clock

    async def sweep(self, lease: Lease) -> int:
        """Move one page on, in arrival order; how many events. 0 as well when the lease is not ours (any more)."""
        now = self._clock.now()
        if not await self._ledger.read(lambda conn: table.due(conn, now=now, limit=1)):
            return 0
        return await self._ledger.write(lambda conn: move(conn, lease, now=now))


def move(conn: Connection, lease: Lease, *, now: int) -> int:
    """Put due events into the outbox and drop them here, in one fenced transaction.

    A released event may link further references, so what waits for those is due at the next sweep.
    """
    if not store.fence(conn, [lease]):
        return 0
    due = table.due(conn, now=now, limit=PAGE)
    table.lock_references(conn, {name for event, _ in due for name in _named(event)})
    outbox.add(conn, lease.name, [_emission(conn, event, key, now) for event, key in due])
    table.drop_waiting(conn, [event.id for event, _ in due])
    return len(due)


def _emission(conn: Connection, event: table.Waiting, key: UUID | None, now: int) -> Emission:
    reference = Reference(event.scheme, event.value)
    headers = event.body.headers
    if key is None:
        unresolved = [*headers, (LGSP_REASON, UNKNOWN_DOSSIER.encode())]
        return Emission(topic_of(ROUTER), -1, stand_in(reference).bytes, event.body.value, unresolved)
    for scheme, value in _named(event)[1:]:
        table.link(conn, scheme, value, key, issuer=event.source, now=now)
    urgent = class_of(conn, event.event_type, key, urgent=header(headers, CE_PRIORITY) is not None)
    ready = tied(headers, key, code_for(conn, reference, key), urgent=urgent)
    return Emission(input_topic_of(event.event_type), -1, key.bytes, event.body.value, ready)


def _named(event: table.Waiting) -> list[tuple[str, str]]:
    """What an event waits for, then what it links."""
    links = [read_reference(value) for name, value in event.body.headers if name == LGSP_LINK]
    return [(event.scheme, event.value), *((link.scheme, link.value) for link in links)]
