"""The demo's story: citizens file, partners act, one fails, an operator repairs; then everything is compared."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final

from router.demo import people
from router.demo.check import Finding, compare, states
from router.demo.world import COMMUNE, NEIGHBOUR, World
from router.ledger.query import DeadFilter, Named
from router.ledger.rows import Verb
from router.operations import Operations
from router.ports import Clock
from router.sdk.testing import Quirk
from router.service import Service

OPEN_AT_ONCE: Final = 250
POISON: Final = 7  # the dossier whose land file says nothing of its parcel
COUNTER_EVERY: Final = 5
OUTAGE: Final = 3.0  # seconds that the tax office is away
PATIENCE: Final = 30.0  # seconds without any motion after which the story is given up
TURN: Final = 0.25
WHO: Final = "demo-operator"


@dataclass(slots=True)
class Story:
    """What happens. ``told`` gets a line when something worth telling does."""

    world: World
    service: Service
    clock: Clock
    dossiers: int
    documents: int
    told: Callable[[str], None]
    seed: int = 1
    codes: list[str] = field(default_factory=list)
    repaired: list[str] = field(default_factory=list)
    settled: set[str] = field(default_factory=set)
    _letters: list[str] = field(default_factory=list)

    async def play(self) -> list[Finding]:
        """Play to the end and compare; what differs."""
        self.world.connect(self.service.url)
        self.world.land.quirks.plan("tiepnhan", Quirk.FAIL_AFTER_WORK)
        self.world.tax.quirks.away = True
        self.told("the tax office is away; its deliveries will wait")
        outage = asyncio.create_task(self._end_outage())
        operator = asyncio.create_task(self._repair())
        try:
            await self._file_everything()
            await self._until_quiet()
        finally:
            operator.cancel()
            outage.cancel()
            await asyncio.gather(operator, outage, return_exceptions=True)
        return self._compared()

    def closed(self) -> int:
        """Dossiers whose result was returned."""
        return sum(1 for code in self.codes if self.world.one_stop.status.get(code) == "10")

    async def _file_everything(self) -> None:
        at = self.clock.business()
        for number in range(1, max(self.dossiers, self.documents) + 1):
            if number <= self.documents:
                self.world.one_stop.send_document(people.document(number, COMMUNE, NEIGHBOUR, at))
            if number > self.dossiers:
                continue
            while len(self.codes) - self.closed() >= OPEN_AT_ONCE:
                self.world.tax.flush()
                await self.clock.sleep(TURN)
            code = people.dossier_code(COMMUNE, at.date(), number)
            self.codes.append(code)
            self._file(code, number, at)

    def _file(self, code: str, number: int, at: datetime) -> None:
        person = number + (self.seed - 1) * 1_000
        if (number + self.seed - 1) % COUNTER_EVERY and number != POISON:
            self.world.portal.file(people.portal_dossier(code, COMMUNE, person, at))
            return
        from connectors.one_stop.simulator import land_file

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

    async def _until_quiet(self) -> None:
        """Until every dossier is closed and nothing is left to say, or nothing moves any more."""
        last: list[int] = []
        still_since = self.clock.monotonic()
        while True:
            self.world.tax.flush()
            motion = list(self.world.motion())
            now = self.clock.monotonic()
            if motion != last:
                last, still_since = motion, now
            finished = self.closed() == len(self.codes) and self.world.idle() and len(self.settled) >= self._expected()
            if finished and now - still_since > 4 * TURN and await self._nothing_waits():
                return
            if now - still_since > PATIENCE:
                self.told("nothing moves any more")
                return
            await self.clock.sleep(TURN)

    def _expected(self) -> int:
        """Dead letters that the story makes: the poison record and the unknown dossier."""
        return (1 if self.dossiers >= POISON else 0) + (1 if self.world.tax.files else 0)

    async def _nothing_waits(self) -> bool:
        status = await self._operations().status()
        return not status.outbox and all(not backlog.waiting and not backlog.calling for backlog in status.backlogs)

    async def _repair(self) -> None:
        """The operator: looks at dead letters, corrects the poison record, discards what belongs to nobody."""
        while True:
            await self.clock.sleep(TURN)
            for letter in await self._operations().dead(DeadFilter(), 50):
                if letter.name not in self.settled:
                    await self._settle(letter)

    async def _settle(self, letter: Named) -> None:
        operations = self._operations()
        failure = letter.delivery.failure
        reason = failure.reason if failure else ""
        if letter.recipient == "land-h39" and reason == "malformed":
            self.told(f"dead letter {letter.name} ({reason}): corrected and replayed")
            answer = await operations.replay(
                letter.name, who=WHO, why="bổ sung thửa đất", body=await self._corrected(letter)
            )
        elif reason == "unknown_dossier":
            self.told(f"dead letter {letter.name} ({reason}): belongs to nobody, discarded")
            answer = await operations.order(letter.name, Verb.DISCARD, who=WHO, why="hồ sơ không tồn tại")
        else:
            self.told(f"dead letter {letter.name} ({reason}): not expected")
            self._letters.append(letter.name)
            self.settled.add(letter.name)
            return
        if answer.result.applied:
            self.settled.add(letter.name)
            self.repaired.append(f"{letter.name} {reason}: {answer.result.text}")

    async def _corrected(self, letter: Named) -> bytes:
        """The record with the parcel that was left out."""
        shown = await self._operations().show(letter.name)
        codec = self.service.codec
        record = codec.decode(shown.editions[0][1].value)
        record["parcels"] = [{"parcel_number": "215", "map_sheet": "12", "area": 120.5}]
        return codec.encode("land.file_submitted", record)

    def _operations(self) -> Operations:
        return Operations(self.service.ledger, self.clock, self.service.lock)

    def _compared(self) -> list[Finding]:
        partners = self.world.partners()
        sent = {recipient: simulator.sent for recipient, simulator in partners.items()}
        effects = {recipient: simulator.effects for recipient, simulator in partners.items()}
        findings = compare(sent, effects, self.world.target)
        done = dict.fromkeys(self.codes, "10")
        findings += states(done, self.world.one_stop.status, "one-stop-h39")
        portal = {code: str(d.get("TrangThaiHoSo")) for code, d in self.world.portal.dossiers.items()}
        findings += states(done, portal, "portal")
        land = {code: file.state for code, file in self.world.land.files.items()}
        findings += states(dict.fromkeys(self.codes, "closed"), land, "land-h39")
        findings += [Finding("state", "one-stop-h39", "", text) for text in self.world.one_stop.illegal]
        findings += [Finding("extra", "dead letter", "", name) for name in self._letters]
        return findings
