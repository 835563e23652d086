"""The person of a simulation: looks every second, repairs dead letters, stops and resumes, plans replays."""

from __future__ import annotations

import asyncio
from random import Random  # the one source of chance of a whole simulation
from typing import Final

from router.errors import BusError, LedgerError, OrderRefused
from router.ledger.dead_letters import DeadFilter
from router.ledger.query import Named
from router.ledger.rows import Verb
from router.operations import Operations
from router.procedures.recipient import PROCEDURES
from router.replay.desk import Plan, ReplayDesk
from router.replay.planner import Planner
from router.sdk import Operation
from router.simulation.partner import FIXED, manifest
from router.simulation.ports import SimLedger
from router.simulation.power import Chance, Power, SimClock
from router.simulation.world import CLASSES, World

REFUSALS: Final = (OrderRefused, LedgerError, BusError)
LOOKS_FOR_ANSWERS: Final = 0.25  # seconds


class _Fine:
    """Today's view in a simulation: everything can be sent."""

    def unreadable(self, body: object) -> str:
        return ""

    def routed_to(self, body: object) -> list[str]:
        return []

    def operation(self, recipient: str, event_type: str) -> Operation:
        return manifest(CLASSES.get(recipient, "natural_key")).operations[0]

    async def unprepared(self, recipient: str, delivery: object, body: object) -> str:
        return ""


class Operator:
    """Works until ``ended``. ``all_know`` is set when every process counts by the new calendar; ``recalculated`` says
    that an order given since then was carried out. Its own ports never fail: it is the world that does.
    """

    def __init__(self, world: World, seed: int) -> None:
        self._world = world
        self.person = Power("operator", Chance(Random(seed), quiet=True))
        self.ledger = SimLedger(world.store, self.person, self.person.chance)
        clock = SimClock(self.person)
        self.operations = Operations(self.ledger, clock, None, answer_every=LOOKS_FOR_ANSWERS)
        self.desk = ReplayDesk(self.ledger, clock, Planner(self.ledger, clock, _Fine()))
        self.ended = self.all_know = False
        self.recalculated = not world.procedures

    async def run(self) -> None:
        """The operator: repairs dead letters, stops and resumes, one thing after the other."""
        chance = self.person.chance
        while not self.ended:
            await asyncio.sleep(chance.between(0.5, 1.5))
            try:
                await self._turn(chance)
            except REFUSALS:
                self._world.chance.met("operator refused")

    async def _turn(self, chance: Chance) -> None:
        if self._world.chance.quiet:
            for name, state in (await self.operations.status()).states.items():
                if state.status != "open":
                    await self.operations.resume_recipient(name, who="an", why="xong")
        if not self.recalculated and (self.all_know or chance.random.random() < 0.1):
            await self._recalculate()
        dead = await self.operations.dead(DeadFilter(), 20)
        if not self._world.chance.quiet and chance.random.random() < 0.05:
            await self._stop_and_resume(chance.random.choice(list(CLASSES)))
        if not dead:
            return
        if chance.random.random() < 0.2 and not self._world.chance.quiet:
            await self._planned(chance)
        done = await asyncio.gather(*(self._repair(letter, chance) for letter in dead), return_exceptions=True)
        for refused in done:
            if isinstance(refused, REFUSALS):
                self._world.chance.met("operator refused")
            elif refused is not None:
                raise refused

    async def _stop_and_resume(self, name: str) -> None:
        self._world.chance.met("operator stops")
        await self.operations.hold_recipient(name, who="an", why="thử")
        await asyncio.sleep(0.5)
        await self.operations.resume_recipient(name, who="an", why="thử")

    async def _recalculate(self) -> None:
        """Due dates by the calendar of today, as after every decree; for good when all processes know it."""
        last = self.all_know
        self._world.chance.met("operator recalculates")
        answers = await self.operations.recalculate(PROCEDURES, who="an", why="lịch mới")
        self.recalculated = last and all(answer.result.applied for answer in answers)

    async def _planned(self, chance: Chance) -> None:
        self._world.chance.met("operator plans a replay")
        wanted = DeadFilter(recipient=chance.random.choice(list(CLASSES)))
        plan_id = await self.desk.plan(Plan("an", "thử", wanted, canary=(1, 2)), lambda _: None)
        await self.desk.start(plan_id, who="an", why="thử")

    async def _repair(self, letter: Named, chance: Chance) -> None:
        """What an honest person does: ask the agency before sending again what it may have, correct what is wrong."""
        partner, event = self._world.partners.get(letter.recipient), letter.delivery.event_id
        if partner is None:
            await self._refused_by_a_procedure(letter, chance)
            return
        if event in partner.taken:
            self._world.chance.met("operator skips")
            await self.operations.order(letter.name, Verb.SKIP, who="an", why="đã nhận")
        elif partner.poison(event):
            self._world.chance.met("operator edits")
            await self.operations.replay(letter.name, who="an", why="sửa", body=FIXED)
        elif chance.random.random() < 0.1 and not self._world.chance.quiet:
            self._world.chance.met("operator discards")
            await self.operations.order(letter.name, Verb.DISCARD, who="an", why="bỏ")
        else:
            self._world.chance.met("operator replays")
            await self.operations.replay(letter.name, who="an", why="lại", body=None)

    async def _refused_by_a_procedure(self, letter: Named, chance: Chance) -> None:
        """It came in no order that the procedure allows: most are dropped, some are tried again."""
        if self._world.chance.quiet or chance.random.random() < 0.8:
            self._world.chance.met("operator discards")
            await self.operations.order(letter.name, Verb.DISCARD, who="an", why="trái thứ tự")
        else:
            self._world.chance.met("operator replays")
            await self.operations.replay(letter.name, who="an", why="lại", body=None)
