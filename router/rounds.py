"""What comes round in a process beside hop and delivery: sweeps and polls, each while its lease is this process's."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Mapping
from contextlib import suppress
from dataclasses import dataclass
from itertools import count
from typing import Any

from router.delivery.ownership import INGRESS, Ownership
from router.errors import BusError, LedgerError
from router.ingress.loops import clear_when_quiet
from router.ingress.poll import PolledSource
from router.ingress.waiting import LEASE as WAITING
from router.ingress.waiting import WaitingSweep
from router.ledger import alerts, trail
from router.ledger.registry import LEASE as REGISTRY
from router.ports import Clock, Ids, Ledger
from router.procedures.timers import TimerSweep
from router.routing.registry_feed import RegistryFeed

SWEEP_EVERY = 1.0  # seconds
CALMER = 60  # sweeps between two looks at what is cleared by time

Job = Callable[[], Coroutine[Any, Any, None]]


@dataclass(slots=True)
class Rounds:
    """Jobs that run until ``stopping``. ``wake`` is called when a job has left rows in the outbox; ``told`` hears of
    alerts.
    """

    ledger: Ledger
    ownership: Ownership
    clock: Clock
    stopping: asyncio.Event
    wake: Callable[[], None]
    told: Callable[[str, str, str], None]

    async def waiting(self) -> None:
        """Events whose dossier became known, or whose patience has ended; alerts that have been quiet."""
        sweep, sweeps = WaitingSweep(self.ledger, self.clock), count()
        while not self.stopping.is_set():
            with suppress(LedgerError):
                lease = await self.ownership.hold(WAITING)
                while lease is not None and await sweep.sweep(lease):
                    self.wake()
                if lease is not None and next(sweeps) % CALMER == 0:
                    await clear_when_quiet(self.ledger, self.clock)
            await self.pause(SWEEP_EVERY)

    async def timers(self, encode: Callable[[str, Mapping[str, Any]], bytes]) -> None:
        """Timers of procedures that came due."""
        sweep = TimerSweep(self.ledger, self.clock, encode)
        while not self.stopping.is_set():
            with suppress(LedgerError):
                await sweep.turn(self.ownership, self.wake)
            await self.pause(SWEEP_EVERY)

    async def trail(self) -> None:
        """Keep up with what timelines are found by; never ahead of anything else that wants the ledger."""
        while not self.stopping.is_set():
            with suppress(LedgerError):
                while await self.ownership.hold(trail.LEASE) is not None and await trail.sweep(self.ledger):
                    await self.pause(SWEEP_EVERY / trail.PAGE)
            await self.pause(SWEEP_EVERY)

    async def registry(self, feed: RegistryFeed) -> None:
        """Take in what the registry's change feed says."""
        while not self.stopping.is_set():
            with suppress(LedgerError, BusError):
                lease = await self.ownership.hold(REGISTRY)
                if lease is None:
                    await feed.rest()
                while lease is not None and not self.stopping.is_set() and await feed.turn(lease):
                    self.wake()
            await self.pause(SWEEP_EVERY)
        await feed.rest()

    async def poll(self, source: PolledSource, ids: Ids) -> None:
        """Pull from a partner, at the pace that its connector asks for."""
        while not self.stopping.is_set():
            pause = source.poll.every
            with suppress(LedgerError):
                await self.ownership.hold(source.lease, INGRESS)
                pause = await source.turn(self.clock, ids, lambda: self._may_poll(source.lease), self._alarm)
            await self.pause(pause)

    async def pause(self, seconds: float) -> None:
        """Wait, at most until stopping."""
        await until(self.stopping, seconds)

    def _may_poll(self, lease: str) -> bool:
        return not self.stopping.is_set() and self.ownership.held(lease) is not None

    async def _alarm(self, name: str, subject: str, detail: str) -> None:
        now = self.clock.now()
        self.told(name, subject, detail)
        await self.ledger.write(lambda conn: alerts.raise_alert(conn, name, subject, detail, now=now))


async def until(event: asyncio.Event, seconds: float) -> None:
    """Wait for the event, at most so long."""
    with suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            await event.wait()
