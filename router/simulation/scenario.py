"""One seed: events flow, things break, a person acts; then everything comes to rest and the history is checked."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from hashlib import blake2b
from random import Random  # the one source of chance of a whole simulation
from typing import TYPE_CHECKING, Final

from sqlalchemy import select

from router.errors import PublishFailed
from router.events import DOSSIER_TOPIC, Message, TopicPartition, by_partition, input_topic_of
from router.ledger import replays
from router.ledger.replays import ReplayState
from router.ledger.tables import UNFINISHED, delivery, outbox
from router.simulation.chaos import TROUBLE, Chaos
from router.simulation.evidence import violations_of
from router.simulation.history import Violation
from router.simulation.loop import Stalled, VirtualLoop
from router.simulation.office import Stage
from router.simulation.operator import Operator
from router.simulation.power import EPOCH, FAULTS, Chance, SimClock
from router.simulation.told import DOCUMENTS, Said, story_of
from router.simulation.world import CLASSES, PARTITIONS, SOURCE, World, key_for

if TYPE_CHECKING:
    from sqlalchemy import Connection

DOSSIERS: Final = 20
EVENTS: Final = 10
PATIENCE: Final = 300.0  # virtual seconds until everything must have come to rest
LOOKS: Final = 1.0  # virtual seconds
ONE_IN: Final = 4  # seeds carries procedures


@dataclass(frozen=True)
class Result:
    """What a seed showed. ``trace`` hashes every effect and every final state: the same seed gives the same one.
    ``events`` were published; ``recipients`` and ``processes`` (with those that replaced a dead one) took part.
    """

    seed: int
    violations: list[Violation]
    hits: Counter[str]
    trace: str
    seconds: float
    events: int
    recipients: int
    processes: int

    @property
    def kinds(self) -> int:
        """Kinds of fault that struck."""
        return sum(1 for fault in FAULTS if self.hits[fault])


class Scenario:
    """A seed's story over a world."""

    def __init__(self, seed: int, stage: Stage) -> None:
        self.seed, self.chance = seed, Chance(Random(seed))
        self.world = World(self.chance, stage, procedures=seed % ONE_IN == 0)
        self.operator = Operator(self.world, seed + 1)
        self.published: dict[str, list[str]] = {}
        self.stories = self._stories() if self.world.procedures else {}

    @property
    def codes(self) -> list[str]:
        """Of all dossiers and documents."""
        dossiers = [f"H{number}" for number in range(DOSSIERS)]
        return [*DOCUMENTS, *dossiers[len(DOCUMENTS) :]] if self.world.procedures else dossiers

    def _stories(self) -> dict[str, list[Said]]:
        start, told = datetime.fromtimestamp(EPOCH / 1e6, UTC), Random(self.seed)
        return {code: story_of(code, told, EVENTS, start) for code in self.codes}

    async def play(self) -> list[Violation]:
        """Play it; what was violated."""
        world, operator, chaos = self.world, self.operator, Chaos(self.world)
        await world.open()
        for slot in (0, 1):
            world.start(slot)
        parts = {world.spawn(self._publish()), world.spawn(chaos.run())}
        acting = world.spawn(operator.run())
        await asyncio.wait(parts)
        await chaos.mend()
        operator.all_know = True
        rests = await self._rest()
        operator.ended = True
        await asyncio.wait({acting})
        if rests:
            await self._rest()  # timers came due while the operator finished: what they did is to be judged too
        return [*self._died(), *await violations_of(world, self.published)]

    async def _rest(self) -> bool:
        """Wait until all is at rest; False if that lasts too long: the checker names what is stuck."""
        try:
            async with asyncio.timeout(PATIENCE):
                while not await self._at_rest():
                    await asyncio.sleep(LOOKS)
        except TimeoutError:
            return False
        return True

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
        for power in (*world.all_powers, world.ground, self.operator.person):
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

    async def _publish(self) -> None:
        """The source: dossiers interleaved, an event of a dossier only behind its predecessor, the same id again until
        it is acknowledged.
        """
        chance = self.chance
        publisher = await self.world.bus.publisher()
        for number in range(EVENTS):
            for code in self.codes:
                event = f"{code}-{number}"
                self.published.setdefault(code, []).append(event)
                batch = self._batch(code, event, number)
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

    def _batch(self, code: str, event: str, number: int) -> Mapping[TopicPartition, Sequence[Message]]:
        world = self.world
        if not world.procedures:
            message = _message(code, event, "dossier.progressed", event.encode(), world.clock)
            return by_partition(DOSSIER_TOPIC, [message], PARTITIONS)
        said = self.stories[code][number]
        payload = world.stage.codec.encode(said.type, said.record)
        message = _message(code, event, said.type, payload, world.clock)
        return by_partition(input_topic_of(said.type), [message], PARTITIONS)

    async def _at_rest(self) -> bool:
        """Everything published is accepted and finished everywhere, nothing is under way, and no replay runs."""
        if not self.operator.recalculated or not await self.world.drained():
            return False
        return not await self.world.store.read(_unfinished)


def _unfinished(conn: Connection) -> bool:
    open_rows = select(delivery.c.shard).where(UNFINISHED).limit(1)
    unsent = select(outbox.c.id).limit(1)
    running = replays.in_state(conn, [ReplayState.RUNNING])
    return bool(running) or any(conn.execute(query).first() is not None for query in (open_rows, unsent))


def run_seed(seed: int, stage: Stage) -> Result:
    """Play one seed on a loop of its own."""
    loop = VirtualLoop()
    asyncio.set_event_loop(loop)
    scenario = Scenario(seed, stage)
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
    world, events = scenario.world, sum(map(len, scenario.published.values()))
    recipients = len(CLASSES) + world.procedures
    return Result(seed, violations, scenario.chance.hits, trace, seconds, events, recipients, world.started)


def _message(code: str, event: str, event_type: str, payload: bytes, clock: SimClock) -> Message:
    headers = [
        ("ce_specversion", b"1.0"),
        ("ce_id", event.encode()),
        ("ce_source", SOURCE.encode()),
        ("ce_type", event_type.encode()),
        ("ce_subject", code.encode()),
        ("ce_time", clock.business().isoformat().encode()),
    ]
    return key_for(code), payload, headers
