"""The demo's story: citizens file, partners act, one fails, an operator repairs; then business time goes on."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final

from connectors.one_stop.counter import land_file
from router.clock import SystemClock
from router.demo import people
from router.demo.cast import OVERDUE, POISON, REORGANISED
from router.demo.later import Later
from router.demo.operator import TURN, Operator
from router.demo.world import COMMUNE, NEIGHBOUR, World
from router.sdk.dates import local_date
from router.sdk.testing import Quirk
from router.service import Service

OPEN_AT_ONCE: Final = 250
COUNTER_EVERY: Final = 5
OUTAGE: Final = 3.0  # seconds that the tax office is away
PATIENCE: Final = 30.0  # seconds without any motion after which the story is given up
QUIET: Final = 4 * TURN  # seconds without motion after which nothing is on its way


@dataclass(slots=True)
class Story:
    """What happens. ``told`` gets a line when something worth telling does; ``codes`` are the dossiers filed."""

    world: World
    service: Service
    clock: SystemClock
    dossiers: int
    documents: int
    told: Callable[[str], None]
    seed: int = 1
    codes: list[str] = field(default_factory=list)
    stuck: bool = False

    async def play(self, operator: Operator) -> None:
        """Play to the end, or until nothing moves any more (then ``stuck``)."""
        self.world.connect(self.service.url)
        self.world.land.quirks.plan("tiepnhan", Quirk.FAIL_AFTER_WORK)
        self.world.tax.quirks.away = True
        self.told("the tax office is away; its deliveries will wait")
        outage, working = asyncio.create_task(self._end_outage()), asyncio.create_task(operator.work())
        kept_back = (self.dossiers >= OVERDUE) + (self.dossiers >= REORGANISED)
        try:
            await self._file_everything()
            await self.until(lambda: self.closed() == self.dossiers - kept_back and self._repaired(operator))
            await Later(self).play()
        finally:
            working.cancel()
            outage.cancel()
            await asyncio.gather(working, outage, return_exceptions=True)

    def closed(self) -> int:
        """Dossiers whose result was returned, those counted that took the place of another."""
        return self.world.one_stop.returned + self.world.neighbour.returned

    def file(self, number: int) -> str:
        """A citizen files a dossier, online or at the counter; its code."""
        at = self.clock.business()
        code = people.dossier_code(COMMUNE, local_date(at), number)
        self.codes.append(code)
        self._file(code, number, at)
        return code

    async def until(self, condition: Callable[[], bool]) -> bool:
        """Wait until it holds and nothing is on its way; False, and ``stuck``, when nothing moves any more."""
        last: list[int] = []
        still_since = self.clock.monotonic()
        while not self.stuck:
            self.world.tax.flush()
            motion, now = list(self.world.motion()), self.clock.monotonic()
            if motion != last:
                last, still_since = motion, now
            quiet = self.world.idle() and now - still_since > QUIET
            if quiet and condition() and await self._nothing_waits():
                return True
            if now - still_since > PATIENCE:
                self.told("nothing moves any more")
                self.stuck = True
            await self.clock.sleep(TURN)
        return False

    async def _file_everything(self) -> None:
        at = self.clock.business()
        for number in range(1, max(self.dossiers, self.documents) + 1):
            if number <= self.documents:
                self.world.one_stop.send_document(people.document(number, COMMUNE, NEIGHBOUR, at))
            if number > self.dossiers or number == REORGANISED:
                continue
            while len(self.codes) - self.closed() >= OPEN_AT_ONCE:
                self.world.tax.flush()
                await self.clock.sleep(TURN)
            self.file(number)

    def _file(self, code: str, number: int, at: datetime) -> None:
        person = number + (self.seed - 1) * 1_000
        if (number + self.seed - 1) % COUNTER_EVERY and number != POISON:
            self.world.portal.file(people.portal_dossier(code, COMMUNE, person, at))
            return
        dossier = people.counter_dossier(code, COMMUNE, person, at)
        land = land_file(dossier)
        if number == POISON:
            del land["ThongTinThuaDat"]
        self.world.one_stop.accept_at_counter(dossier, land)

    async def _end_outage(self) -> None:
        while not self.world.tax.quirks.hits:
            await self.clock.sleep(TURN)
        await self.clock.sleep(OUTAGE)
        self.world.tax.quirks.away = False
        self.told("the tax office is back")

    def _repaired(self, operator: Operator) -> bool:
        """Whether the dead letters that the story makes were settled: the poison record, and the unknown dossier."""
        made = (1 if self.dossiers >= POISON else 0) + (1 if self.world.tax.files else 0)
        return len(operator.letters) >= made

    async def _nothing_waits(self) -> bool:
        status = await Operator(self.service, self.clock, self.told).operations.status()
        return not status.outbox and all(not backlog.waiting and not backlog.calling for backlog in status.backlogs)
