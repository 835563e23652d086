"""What breaks: processes, leases, the ledger, the broker, partners. In the end everything is mended."""

from __future__ import annotations

import asyncio
from typing import Final

from router.simulation.ports import SimLedger
from router.simulation.world import CLASSES, World

TROUBLE: Final = 14.0  # virtual seconds in which things break
KINDS: Final = ("crash", "freeze", "ledger", "broker", "partner", "restart", "lease")
LONGEST_FREEZE = 5.0  # virtual seconds
FEWEST_KINDS: Final = 5  # of faults that every seed meets


class Chaos:
    """Breaks things for a while; ``mend`` ends it."""

    def __init__(self, world: World) -> None:
        self._world, self._chance = world, world.chance

    async def run(self) -> None:
        """Breaks something every now and then: at first one thing of each kind, then whatever chance wants."""
        loop, chance, world = asyncio.get_running_loop(), self._chance, self._world
        kinds = chance.random.sample(KINDS, FEWEST_KINDS)
        decreed = chance.between(4.0, 10.0)
        while loop.time() < TROUBLE:
            await asyncio.sleep(chance.between(0.2, 1.2))
            for slot, process in list(world.processes.items()):
                if process.power.crash_wanted:
                    process.power.crash_wanted = False
                    self._replace(slot, crashed=True)
            if world.procedures and decreed < loop.time():
                decreed = TROUBLE
                self._chance.met("calendar changes")
                world.clockwork = world.stage.clockworks[1]
            self._break(kinds.pop() if kinds else chance.random.choice((*KINDS, "partner")))

    async def mend(self) -> None:
        """No faults any more; whoever is dead, frozen or counts by an old calendar is started again."""
        world = self._world
        self._chance.quiet = True
        world.clockwork = world.stage.clockworks[1]
        world.faults.away = False
        for partner in world.partners.values():
            partner.down = False
        for slot, process in list(world.processes.items()):
            process.ledger.away = False
            outdated = world.procedures and process.clockwork is not world.clockwork
            if process.power.off or process.delivery.stopping or outdated:
                world.crash(slot)
                world.start(slot)

    def _break(self, what: str) -> None:
        chance, world = self._chance, self._world
        slot = chance.random.choice((0, 1))
        match what:
            case "crash":
                chance.met("process killed")
                self._replace(slot, crashed=True)
            case "freeze":
                chance.met("process frozen")
                world.freeze(slot, chance.between(0.5, LONGEST_FREEZE))
            case "ledger":
                chance.met("ledger away")
                world.spawn(self._away(world.processes[slot].ledger, chance.between(0.2, 1.5)))
            case "broker":
                chance.met("broker restarts")
                world.spawn(self._broker_away(chance.between(0.2, 1.5)))
            case "partner":
                chance.met("partner down")
                world.spawn(self._partner_down(chance.random.choice(list(CLASSES)), chance.between(0.5, 6.0)))
            case "restart":
                chance.met("process restarted")
                self._replace(slot, crashed=False)
            case _:
                chance.met("lease lost")
                world.spawn(self._away(world.processes[slot].ledger, chance.between(2.5, 4.0)))

    def _replace(self, slot: int, *, crashed: bool) -> None:
        """Kill or stop a process, and start another in its place."""
        world = self._world
        gone = world.crash(slot) if crashed else world.stop(slot)
        pause = self._chance.between(0.1, 3.0)

        async def again() -> None:
            await asyncio.sleep(pause)
            if world.processes[slot] is gone:
                world.start(slot)

        world.spawn(again())

    async def _away(self, ledger: SimLedger, seconds: float) -> None:
        ledger.away = True
        await asyncio.sleep(seconds)
        ledger.away = False

    async def _broker_away(self, seconds: float) -> None:
        self._world.faults.away = True
        await asyncio.sleep(seconds)
        self._world.faults.away = False

    async def _partner_down(self, name: str, seconds: float) -> None:
        partner = self._world.partners[name]
        partner.down = True
        await asyncio.sleep(seconds)
        partner.down = False
