"""The sweep over timers: those that came due in business time become events of their instance, through the outbox."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, Final, Protocol

from router.ledger import identity, instances, outbox, store
from router.ledger.rows import Lease
from router.ports import Clock, Ledger
from router.procedures import dues, emissions
from router.procedures.signals import TIMER_DUE

if TYPE_CHECKING:
    from sqlalchemy import Connection

LEASE: Final = "timers"
PAGE: Final = 200


class Leases(Protocol):
    """Takes part in a single-handed job; ``None`` while it is another process's turn."""

    async def hold(self, name: str) -> Lease | None:
        """The lease, if it is this process's turn."""
        ...


class TimerSweep:
    """Works under the lease ``timers``; its outbox rows belong to that lease."""

    def __init__(self, ledger: Ledger, clock: Clock, encode: Callable[[str, Mapping[str, Any]], bytes]) -> None:
        self._ledger, self._clock, self._encode = ledger, clock, encode

    async def turn(self, leases: Leases, fired: Callable[[], None]) -> None:
        """All that is due, page by page, while the lease is this process's; ``fired`` is called after each page.

        Raises ``LedgerError``: what was not written is found by the next turn.
        """
        lease = await leases.hold(LEASE)
        while lease is not None and await self.sweep(lease):
            fired()

    async def sweep(self, lease: Lease) -> int:
        """Turn one page into events; how many. 0 as well when the lease is not ours (any more)."""
        at = self._clock.business()
        now = dues.micros(at)
        if not await self._ledger.read(lambda conn: instances.due_timers(conn, now=now, limit=1)):
            return 0

        def move(conn: Connection) -> int:
            if not store.fence(conn, [lease]):
                return 0
            due = instances.due_timers(conn, now=now, limit=PAGE)
            urgent = identity.urgent_among(conn, {timer.key for timer in due})
            events = [
                emissions.timer_event(timer, self._payload(timer.name), at, urgent=timer.key in urgent) for timer in due
            ]
            outbox.add(conn, lease.name, events)
            instances.drop_timers(conn, due)
            return len(due)

        return await self._ledger.write(move)

    def _payload(self, name: str) -> bytes:
        record = {
            "procedure": "",
            "definition": 0,
            "name": name,
            "related_key": None,
            "role": None,
            "kind": None,
            "text": None,
            "stated_at": self._clock.business(),
        }
        return self._encode(TIMER_DUE, record)
