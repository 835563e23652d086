"""One seed: events flow, things break, operators act; then everything comes to rest and the history is checked."""

from __future__ import annotations

import asyncio
import sqlite3
from collections import Counter
from dataclasses import dataclass
from hashlib import blake2b
from random import Random  # the one source of chance of a whole simulation
from typing import Final

from sqlalchemy import select

from router.errors import BusError, LedgerError, OrderRefused, PublishFailed
from router.events import DOSSIER_TOPIC, Message, by_partition, header
from router.framing import unpack
from router.ledger import replays, store
from router.ledger.query import DeadFilter, Named
from router.ledger.replays import ReplayState
from router.ledger.rows import Verb
from router.ledger.tables import UNFINISHED, body, delivery
from router.operations import Operations
from router.replay.desk import Plan, ReplayDesk
from router.replay.planner import Planner
from router.sdk import Operation
from router.simulation.history import History, Row, Violation, check
from router.simulation.loop import Stalled, VirtualLoop
from router.simulation.partner import FIXED, manifest
from router.simulation.ports import SimLedger
from router.simulation.power import Chance, Power, SimClock
from router.simulation.world import CLASSES, PARTITIONS, SOURCE, World, key_for

DOSSIERS: Final = 20
EVENTS: Final = 10
TROUBLE: Final = 14.0  # virtual seconds in which things break
PATIENCE: Final = 300.0  # virtual seconds until everything must have come to rest


@dataclass(frozen=True)
class Result:
    """What a seed showed. ``trace`` hashes every effect and every final state: the same seed gives the same one."""

    seed: int
    violations: list[Violation]
    hits: Counter[str]
    trace: str
    seconds: float


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


class Scenario:
    """A seed's story over a world."""

    def __init__(self, seed: int, template: sqlite3.Connection) -> None:
        self.seed, self.chance = seed, Chance(Random(seed))
        self.world = World(self.chance, template)
        self.published: dict[str, list[str]] = {}
        self.person = Power("operator", Chance(Random(seed + 1), quiet=True))
        self.ledger = SimLedger(self.world.store, self.person, self.person.chance)
        clock = SimClock(self.person)
        self.operations = Operations(self.ledger, clock, None)
        self.desk = ReplayDesk(self.ledger, clock, Planner(self.ledger, clock, _Fine()))
        self.ended = False

    async def play(self) -> list[Violation]:
        """Play it; what was violated."""
        world = self.world
        await world.open()
        for slot in (0, 1):
            world.start(slot)
        source, chaos = world.spawn(self._publish()), world.spawn(self._chaos())
        operator = world.spawn(self._operate())
        await asyncio.wait({source, chaos})
        self.chance.quiet = True
        await self._mend()
        try:
            async with asyncio.timeout(PATIENCE):
                while not await self._at_rest():
                    await asyncio.sleep(1.0)
        except TimeoutError:
            pass  # the checker names what is stuck
        self.ended = True
        await asyncio.wait({operator})
        return [*self._died(), *check(await self._history())]

    def _died(self) -> list[Violation]:
        """Parts that ended with an error, in processes that were not killed: none may."""
        return [
            Violation("died", process.power.name, "", repr(task.exception()))
            for process in self.world.processes.values()
            for task in process.tasks
            if task.done() and not task.cancelled() and task.exception() is not None
        ]

    async def unwind(self) -> None:
        """Let everything that still runs end."""
        world = self.world
        for power in (*world.all_powers, world.ground, self.person):
            power.over, power.off = True, True
            if power.frozen is not None:
                power.frozen.set()
                power.frozen = None
        for task in world.all_tasks:
            task.cancel()
        pending = [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]
        for _ in range(20):
            for task in pending:
                task.cancel()
            await asyncio.wait(pending, timeout=1.0) if pending else None
            pending = [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]
            if not pending:
                break
        await world.store.close()

    def trace(self) -> str:
        """A hash over all that happened."""
        digest = blake2b(digest_size=8)
        for partner in self.world.partners.values():
            for effect in partner.effects:
                digest.update(f"{effect.at:.6f}{effect.recipient}{effect.event}{effect.process}".encode())
        return digest.hexdigest()

    # Who acts

    async def _publish(self) -> None:
        """The source: dossiers interleaved, an event of a dossier only behind its predecessor, the same id again until
        it is acknowledged.
        """
        chance = self.chance
        publisher = await self.world.bus.publisher()
        for number in range(EVENTS):
            for dossier in range(DOSSIERS):
                code = f"H{dossier}"
                event = f"{code}-{number}"
                self.published.setdefault(code, []).append(event)
                batch = by_partition(DOSSIER_TOPIC, [_message(code, event)], PARTITIONS)
                while True:
                    try:
                        await publisher.publish(batch)
                        break
                    except PublishFailed:
                        await asyncio.sleep(chance.between(0.01, 0.1))
                        await publisher.reopen()
                if chance.strikes("published twice", 0.1):
                    try:
                        await publisher.publish(batch)
                    except PublishFailed:
                        await publisher.reopen()
            await asyncio.sleep(chance.between(0.2, TROUBLE / EVENTS))

    async def _chaos(self) -> None:
        """Breaks something every now and then."""
        loop, chance, world = asyncio.get_running_loop(), self.chance, self.world
        while loop.time() < TROUBLE:
            await asyncio.sleep(chance.between(0.2, 1.2))
            for slot, process in list(world.processes.items()):
                if process.power.crash_wanted:
                    process.power.crash_wanted = False
                    self._replace(slot, crashed=True)
            slot = chance.random.choice((0, 1))
            match chance.random.choice(
                ("crash", "freeze", "ledger", "broker", "partner", "restart", "partner", "lease")
            ):
                case "crash":
                    self.chance.met("process killed")
                    self._replace(slot, crashed=True)
                case "freeze":
                    self.chance.met("process frozen")
                    world.freeze(slot, chance.between(0.5, 5.0))
                case "ledger":
                    self.chance.met("ledger away")
                    world.spawn(self._away(world.processes[slot].ledger, chance.between(0.2, 1.5)))
                case "broker":
                    self.chance.met("broker restarts")
                    world.spawn(self._broker_away(chance.between(0.2, 1.5)))
                case "partner":
                    self.chance.met("partner down")
                    world.spawn(self._partner_down(chance.random.choice(list(CLASSES)), chance.between(0.5, 6.0)))
                case "restart":
                    self.chance.met("process restarted")
                    self._replace(slot, crashed=False)
                case _:
                    self.chance.met("lease lost")
                    world.spawn(self._away(world.processes[slot].ledger, chance.between(2.5, 4.0)))

    def _replace(self, slot: int, *, crashed: bool) -> None:
        """Kill or stop a process, and start another in its place."""
        world = self.world
        if crashed:
            world.crash(slot)
        else:
            world.processes[slot].stop()
        gone = world.processes[slot]
        pause = self.chance.between(0.1, 3.0)

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
        self.world.faults.away = True
        await asyncio.sleep(seconds)
        self.world.faults.away = False

    async def _partner_down(self, name: str, seconds: float) -> None:
        partner = self.world.partners[name]
        partner.down = True
        await asyncio.sleep(seconds)
        partner.down = False

    async def _mend(self) -> None:
        """No faults any more; whoever is dead or frozen is started again."""
        world = self.world
        world.faults.away = False
        for partner in world.partners.values():
            partner.down = False
        for slot, process in list(world.processes.items()):
            process.ledger.away = False
            if process.power.off or process.delivery.stopping:
                world.crash(slot)
                world.start(slot)

    async def _operate(self) -> None:
        """The operator: repairs dead letters, stops and resumes, one thing after the other."""
        chance = self.person.chance
        while not self.ended:
            await asyncio.sleep(chance.between(0.5, 1.5))
            try:
                await self._turn(chance)
            except (OrderRefused, LedgerError, BusError):
                self.chance.met("operator refused")

    async def _turn(self, chance: Chance) -> None:
        if self.chance.quiet:
            for name, state in (await self.operations.status()).states.items():
                if state.status != "open":
                    await self.operations.resume_recipient(name, who="an", why="xong")
        dead = await self.operations.dead(DeadFilter(), 20)
        if not self.chance.quiet and chance.random.random() < 0.05:
            await self._stop_and_resume(chance.random.choice(list(CLASSES)))
        if not dead:
            return
        if chance.random.random() < 0.2 and not self.chance.quiet:
            await self._planned(chance)
        for letter in dead[:5]:
            await self._repair(letter, chance)

    async def _stop_and_resume(self, name: str) -> None:
        self.chance.met("operator stops")
        await self.operations.hold_recipient(name, who="an", why="thử")
        await asyncio.sleep(0.5)
        await self.operations.resume_recipient(name, who="an", why="thử")

    async def _planned(self, chance: Chance) -> None:
        self.chance.met("operator plans a replay")
        wanted = DeadFilter(recipient=chance.random.choice(list(CLASSES)))
        plan_id = await self.desk.plan(Plan("an", "thử", wanted, canary=(1, 2)), lambda _: None)
        await self.desk.start(plan_id, who="an", why="thử")

    async def _repair(self, letter: Named, chance: Chance) -> None:
        """What an honest person does: ask the agency before sending again what it may have, correct what is wrong."""
        partner, event = self.world.partners.get(letter.recipient), letter.delivery.event_id
        if partner is None:
            return
        if event in partner.taken:
            self.chance.met("operator skips")
            await self.operations.order(letter.name, Verb.SKIP, who="an", why="đã nhận")
        elif partner.poison(event):
            self.chance.met("operator edits")
            await self.operations.replay(letter.name, who="an", why="sửa", body=FIXED)
        elif chance.random.random() < 0.1 and not self.chance.quiet:
            self.chance.met("operator discards")
            await self.operations.order(letter.name, Verb.DISCARD, who="an", why="bỏ")
        else:
            self.chance.met("operator replays")
            await self.operations.replay(letter.name, who="an", why="lại", body=None)

    # What is left

    async def _at_rest(self) -> bool:
        """Everything published is accepted and finished everywhere, and no replay runs."""
        running = await self.ledger.read(lambda conn: replays.in_state(conn, [ReplayState.RUNNING]))
        rows = await self.ledger.read(lambda conn: conn.execute(select(delivery.c.shard).where(UNFINISHED)).first())
        if rows is not None or running:
            return False
        total = sum(map(len, self.published.values())) * len(CLASSES)
        places = {place.id: place.recipient for place in await self.ledger.read(store.shards)}
        done = await self.ledger.read(lambda conn: conn.execute(select(delivery.c.shard, delivery.c.state)).all())
        if sum(places[row.shard] in CLASSES for row in done) < total:
            return False
        rejected = sum(1 for row in done if row.state == "rejected")
        return len(self.world.partners[SOURCE].taken) >= rejected

    async def _history(self) -> History:
        ledger = self.world.store
        places = {place.id: place.recipient for place in await ledger.read(store.shards)}
        everything = select(delivery).order_by(delivery.c.shard, delivery.c.seq)
        rows = await ledger.read(lambda conn: conn.execute(everything).all())
        listed = [Row(places[r.shard], r.subject, r.event_id, r.state) for r in rows if places[r.shard] in CLASSES]
        effects = sorted(
            (effect for name in CLASSES for effect in self.world.partners[name].effects), key=lambda each: each.at
        )
        rejected = frozenset(r.event_id for r in rows if places[r.shard] == "checked" and r.state == "rejected")
        return History(
            published=self.published,
            wanted=tuple(CLASSES),
            once=frozenset({"checked", "none"}),
            effects=effects,
            rows=listed,
            rejected=rejected,
            answers=await self._answers(places),
        )

    async def _answers(self, places: dict[int, str]) -> Counter[str]:
        """Replies that the source took, by the event they answer."""
        at_source = [number for number, name in places.items() if name == SOURCE]
        wanted = select(body.c.headers).where(body.c.shard.in_(at_source), body.c.edition == 0)
        rows = await self.world.store.read(lambda conn: conn.execute(wanted).all())
        answered = [header(unpack(bytes(row.headers)), "ce_causationid") or b"" for row in rows]
        return Counter(each.decode() for each in answered)


def run_seed(seed: int, template: sqlite3.Connection) -> Result:
    """Play one seed on a loop of its own."""
    loop = VirtualLoop()
    asyncio.set_event_loop(loop)
    scenario = Scenario(seed, template)
    try:
        try:
            violations = loop.run_until_complete(scenario.play())
        except Stalled as error:
            violations = [Violation("stuck", "", "", str(error))]
        seconds = loop.time()
        trace = scenario.trace()
        loop.run_until_complete(scenario.unwind())
    finally:
        asyncio.set_event_loop(None)
        loop.close()
    return Result(seed, violations, scenario.chance.hits, trace, seconds)


def _message(dossier: str, event: str) -> Message:
    headers = [
        ("ce_specversion", b"1.0"),
        ("ce_id", event.encode()),
        ("ce_source", SOURCE.encode()),
        ("ce_type", b"dossier.progressed"),
        ("ce_subject", dossier.encode()),
        ("ce_time", b"2025-06-16T01:00:00+00:00"),
    ]
    return key_for(dossier), event.encode(), headers
