"""A world of two processes, three partners, procedures and a source, built from the real parts over fault-injecting
ports.
"""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import date
from functools import partial
from typing import Any, Final

from router.bus.memory import MemoryBus
from router.delivery.accept import identity_of
from router.delivery.calls import Kit, Recipient
from router.delivery.ownership import Ownership
from router.delivery.service import DeliveryService, DeliverySettings
from router.errors import LedgerError
from router.events import DEAD_LETTER_TOPIC, INPUT_TOPICS, ROUTER, TopicPartition, key_of, topic_of
from router.ledger import instances, store
from router.ledger.local import LocalRecipient
from router.objects import FolderObjectStore
from router.ports import TopicSpec
from router.procedures import dues
from router.procedures.dues import Clockwork
from router.procedures.recipient import PROCEDURES, Procedures
from router.procedures.timers import TimerSweep
from router.replay.runner import ReplayRunner
from router.routing.agencies import Agency, Code, Registry
from router.routing.hop import GROUP, Hop, HopSettings
from router.routing.table import Match, Routes, Rule
from router.sdk import Context
from router.sdk.inbound import DOCUMENT_ID
from router.simulation.office import Meddled, Stage
from router.simulation.partner import Partner, connector
from router.simulation.ports import BrokerFaults, SimBus, SimLedger, Store
from router.simulation.power import Chance, Over, Power, SimClock, SimIds
from router.simulation.told import AGENCY, DOCUMENTS

PARTITIONS: Final = 2
LEASE: Final = 2.0
SESSION: Final = 1.5  # seconds after which the broker counts a silent member out
CLASSES: Final[Mapping[str, str]] = {"natural": "natural_key", "checked": "checked", "none": "none"}
SOURCE: Final = "source"
SENT_TO: Final = "checked"  # the partner that takes what procedures send
TIMERS_EVERY: Final = 0.5  # seconds
_OLDER: Final = """
    SELECT event_id FROM delivery WHERE shard = ? AND seq < ? AND state IN ('waiting','calling','dead','uncertain')
    AND key = (SELECT key FROM delivery WHERE shard = ? AND seq = ?)
"""


@dataclass(eq=False)
class Process:
    """One process: its ports, its parts, its tasks."""

    power: Power
    bus: SimBus
    ledger: SimLedger
    hop: Hop
    delivery: DeliveryService
    clockwork: Clockwork
    tasks: list[asyncio.Task[Any]] = field(default_factory=list)

    def stop(self) -> None:
        """As SIGTERM does."""
        self.hop.stop()
        self.delivery.stop()


class World:
    """Shared: the log, the ledger, the partners. ``processes`` by slot; a crashed one is replaced in its slot."""

    def __init__(self, chance: Chance, stage: Stage, *, procedures: bool) -> None:
        self.chance, self.stage, self.procedures = chance, stage, procedures
        self.ground = Power("ground", chance)
        self.clock = SimClock(self.ground)
        self.faults = BrokerFaults(chance)
        self.bus = MemoryBus(self.clock, self.faults)
        self.store = Store(self.clock, stage.compiled)
        self.clockwork = stage.clockworks[0]  # what processes that start from now on count by
        names = {**CLASSES, SOURCE: "natural_key"}
        self.partners = {name: Partner(name, kind, chance, self.open_before) for name, kind in names.items()}
        self.recipients = (*self.partners, ROUTER, *((PROCEDURES,) if procedures else ()))
        self.routes = _routes(procedures)
        self.processes: dict[int, Process] = {}
        self.started = 0
        self.all_powers: list[Power] = []
        self.all_tasks: list[asyncio.Task[Any]] = []
        self.shards: dict[str, list[int]] = {}
        self._computed: set[tuple[int, int]] = set()

    async def open(self) -> None:
        """Topics and shards exist."""
        names = [*INPUT_TOPICS, DEAD_LETTER_TOPIC, *map(topic_of, self.recipients)]
        await self.bus.create([TopicSpec(name, PARTITIONS) for name in names])
        await self.store.open()
        for name in self.recipients:
            await self.store.write(partial(store.register_shards, recipient=name, partitions=PARTITIONS))
        for place in await self.store.read(store.shards):
            self.shards.setdefault(place.recipient, []).append(place.id)

    def start(self, slot: int) -> None:
        """Start a process in a slot."""
        self.started += 1
        name = f"p{self.started}"
        power = Power(name, self.chance)
        clock, ids = SimClock(power), SimIds(self.chance, name)
        ledger, bus = SimLedger(self.store, power, self.chance), SimBus(self.bus, power)
        ownership = Ownership(ledger, clock, name, length=LEASE, exclusive=False)
        kit = Kit(
            clock, ids, lambda payload: {}, lambda record: b"reply", lambda source: source if source == SOURCE else ""
        )
        objects = FolderObjectStore.__new__(FolderObjectStore)  # nothing here has an attachment
        recipients = [
            Recipient(
                each.name, made := connector(Context(each.name, clock, ids, objects), each, power), made.manifest, 4
            )
            for each in self.partners.values()
        ]
        settings = DeliverySettings(PARTITIONS, grace=3.0, look_every=0.5, linger=0.04)
        local = [self._procedures(ledger, clock, power)] if self.procedures else []
        process = Process(
            power,
            bus,
            ledger,
            Hop(bus, lambda: self.routes, clock, HopSettings(wait=0.2, commit_every=0.3, stuck_after=5.0)),
            DeliveryService(bus, ledger, ownership, recipients, kit, settings=settings, local=local),
            self.clockwork,
        )
        runner = ReplayRunner(ledger, ownership, clock)
        self.all_powers.append(power)
        self.processes[slot] = process
        parts: list[Coroutine[Any, Any, None]] = [
            process.hop.run(), process.delivery.run(), runner.run(lambda: process.delivery.stopping),
        ]  # fmt: skip
        if self.procedures:
            parts.append(self._timers(process, ownership, clock))
        process.tasks = [self.spawn(_quietly(part)) for part in parts]

    def _procedures(self, ledger: SimLedger, clock: SimClock, power: Power) -> LocalRecipient:
        codec, library = self.stage.codec, self.stage.library
        inner = Procedures(
            ledger, clock, library, self.clockwork,
            decode=codec.decode, encode=codec.encode, level_of=lambda code: "commune",
        )  # fmt: skip
        return Meddled(inner, self.store, power, self._computed)

    async def _timers(self, process: Process, ownership: Ownership, clock: SimClock) -> None:
        """As the service sweeps them."""
        sweep = TimerSweep(process.ledger, clock, self.stage.codec.encode)
        while not process.delivery.stopping:
            await process.power.gate("timers swept")
            with suppress(LedgerError):
                await sweep.turn(ownership, process.delivery.outbox.wake)
            await clock.sleep(TIMERS_EVERY)

    def spawn(self, work: Coroutine[Any, Any, Any]) -> asyncio.Task[Any]:
        """A task that the end of the simulation waits for."""
        task = asyncio.get_running_loop().create_task(work)
        self.all_tasks.append(task)
        return task

    def crash(self, slot: int) -> Process:
        """Nothing of this process goes on; the broker counts it out after its session."""
        process = self.processes[slot]
        process.power.off = True
        self.spawn(self._expire(process))
        return process

    def stop(self, slot: int) -> Process:
        """This process is to end by itself, as after SIGTERM; one that dies on the way is counted out all the same."""
        process = self.processes[slot]
        process.stop()
        self.spawn(self._leave(process))
        return process

    async def _leave(self, process: Process) -> None:
        while not process.power.off:
            if all(task.done() for task in process.tasks):
                return
            await asyncio.sleep(SESSION)
        await self._expire(process)

    async def _expire(self, process: Process) -> None:
        """The broker hears nothing of the process: its partitions go to others."""
        await asyncio.sleep(SESSION)
        for member in process.bus.members:
            await member.close()

    def freeze(self, slot: int, seconds: float) -> None:
        """The process stands still for a while, as under SIGSTOP; the broker counts it out if that is long."""
        process = self.processes[slot]
        if process.power.frozen is not None:
            return
        process.power.frozen = asyncio.Event()
        self.spawn(self._thaw(process, seconds))
        if seconds > SESSION:
            self.spawn(self._expire(process))

    async def _thaw(self, process: Process, seconds: float) -> None:
        await asyncio.sleep(seconds)
        frozen, process.power.frozen = process.power.frozen, None
        process.power.thawed_at = asyncio.get_running_loop().time()
        if frozen is not None:
            frozen.set()

    async def drained(self) -> bool:
        """Whether every log was read to its end, and no timer is due."""
        bus, now = self.bus, dues.micros(self.clock.business())
        committed = bus.committed(GROUP)
        if any(committed.get(place, 0) < bus.edges(place).end for place in bus.partitions(INPUT_TOPICS)):
            return False
        if await self.store.read(lambda conn: instances.due_timers(conn, now=now, limit=1)):
            return False
        for shard in await self.store.read(store.shards):
            if shard.position < bus.edges(TopicPartition(topic_of(shard.recipient), shard.partition)).end:
                return False
        return True

    def open_before(self, recipient: str, source: str, event: str) -> list[str]:
        """Older unfinished events of an event's lane, as the ledger has them now."""
        raw = self.store.raw
        identity = identity_of(source.encode(), event.encode())
        for shard_id in self.shards[recipient]:
            found = raw.execute(
                "SELECT seq FROM seen WHERE shard = ? AND identity = ?", (shard_id, identity)
            ).fetchone()
            if found is not None:
                return [row[0] for row in raw.execute(_OLDER, (shard_id, found[0], shard_id, found[0]))]
        return []


def _routes(procedures: bool) -> Routes:
    """All events go to all partners, and to procedures; what these send goes to one partner."""
    rules = [Rule(name="all", match=Match(), to=tuple(CLASSES))]
    if procedures:
        own = Rule(name="own", match=Match(source=(PROCEDURES,)), to=(SENT_TO,), stop=True)
        rules = [own, Rule(name="all", match=Match(), to=(*CLASSES, PROCEDURES))]
    office = Registry(
        "simulation",
        [Agency(AGENCY, "Trung tâm", "commune")],
        [Code(code, AGENCY) for code in ORGANS],
        [],
    )
    return Routes(rules, office, date(2025, 6, 16))


#: Organs that send and receive the documents of the simulation.
ORGANS: Final = ("G22", "H39.01", "H39.02", "H39.16")


def key_for(code: str) -> bytes:
    """The key of a dossier or a document."""
    return key_of(DOCUMENT_ID if code in DOCUMENTS else "dossier_code", code).bytes


async def _quietly(part: Coroutine[Any, Any, None]) -> None:
    try:
        await part
    except Over:
        return
