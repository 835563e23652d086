"""The sweep over events that wait for their dossier: known ones go on through the outbox, expired ones to a person."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from router.events import LGSP_REASON, ROUTER, input_topic_of, topic_of
from router.ingress.identity import stand_in
from router.ledger import identity as table
from router.ledger import outbox, store
from router.ledger.rows import Emission, Lease
from router.ports import Clock, Ledger
from router.sdk.inbound import Reference

if TYPE_CHECKING:
    from sqlalchemy import Connection

LEASE: Final = "waiting"
PAGE: Final = 200


class WaitingSweep:
    """Works under the lease ``waiting``."""

    def __init__(self, ledger: Ledger, clock: Clock) -> None:
        self._ledger, self._clock = ledger, clock

    async def sweep(self, lease: Lease) -> int:
        """Move one page on, in arrival order; how many events."""
        now = self._clock.now()
        if not await self._ledger.read(lambda conn: table.due(conn, now=now, limit=1)):
            return 0
        return await self._ledger.write(lambda conn: move(conn, lease, now=now))


def move(conn: Connection, lease: Lease, *, now: int) -> int:
    """Put due events into the outbox and drop them here, in one fenced transaction."""
    if not store.fence(conn, [lease]):
        return 0
    due = table.due(conn, now=now, limit=PAGE)
    emissions = []
    for event, key in due:
        if key is not None:
            topic, added = input_topic_of(event.event_type), []
            placed = key
        else:
            topic, added = topic_of(ROUTER), [(LGSP_REASON, b"unknown_dossier")]
            placed = stand_in(Reference(event.scheme, event.value))
        headers = [*event.body.headers, *added]
        emissions.append(Emission(topic, -1, placed.bytes, event.body.value, headers))
    outbox.add(conn, lease.name, emissions)
    table.drop_waiting(conn, [event.id for event, _ in due])
    return len(due)
