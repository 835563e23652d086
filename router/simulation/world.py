"""A world of two processes, three partners and a source, built from the real parts over fault-injecting ports."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Coroutine, Mapping
from dataclasses import dataclass, field
from datetime import date
from functools import partial
from typing import Any, Final

from router.bus.memory import MemoryBus
from router.delivery.accept import identity_of
from router.delivery.calls import Kit, Recipient
from router.delivery.ownership import Ownership
from router.delivery.service import DeliveryService, DeliverySettings
from router.events import DEAD_LETTER_TOPIC, INPUT_TOPICS, ROUTER, key_of, topic_of
from router.ledger import store
from router.objects import FolderObjectStore
from router.ports import TopicSpec
from router.replay.runner import ReplayRunner
from router.routing.agencies import Registry
from router.routing.hop import Hop, HopSettings
from router.routing.table import Match, Routes, Rule
from router.sdk import Context
from router.simulation.partner import Partner, connector
from router.simulation.ports import BrokerFaults, SimBus, SimLedger, Store
from router.simulation.power import Chance, Over, Power, SimClock, SimIds

PARTITIONS: Final = 2
LEASE: Final = 2.0
SESSION: Final = 1.5  # seconds after which the broker counts a silent member out
CLASSES: Final[Mapping[str, str]] = {"natural": "natural_key", "checked": "checked", "none": "none"}
SOURCE: Final = "source"
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
    tasks: list[asyncio.Task[Any]] = field(default_factory=list)

    def stop(self) -> None:
        """As SIGTERM does."""
        self.hop.stop()
        self.delivery.stop()


class World:
    """Shared: the log, the ledger, the partners. ``processes`` by slot; a crashed one is replaced in its slot."""

    def __init__(self, chance: Chance, template: sqlite3.Connection) -> None:
        self.chance = chance
        self.ground = Power("ground", chance)
        clock = SimClock(self.ground)
        self.faults = BrokerFaults(chance)
        self.bus = MemoryBus(clock, self.faults)
        self.store = Store(clock, template)
        names = {**CLASSES, SOURCE: "natural_key"}
        self.partners = {name: Partner(name, kind, chance, self.open_before) for name, kind in names.items()}
        self.processes: dict[int, Process] = {}
        self.started = 0
        self.all_powers: list[Power] = []
        self.all_tasks: list[asyncio.Task[Any]] = []
        self._shards: dict[str, list[int]] = {}

    async def open(self) -> None:
        """Topics and shards exist."""
        names = [*INPUT_TOPICS, DEAD_LETTER_TOPIC, *(topic_of(name) for name in (*self.partners, ROUTER))]
        await self.bus.create([TopicSpec(name, PARTITIONS) for name in names])
        await self.store.open()
        for name in (*self.partners, ROUTER):
            await self.store.write(partial(store.register_shards, recipient=name, partitions=PARTITIONS))
        for place in await self.store.read(store.shards):
            self._shards.setdefault(place.recipient, []).append(place.id)

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
        rule = Rule(name="all", match=Match(), to=tuple(CLASSES))
        routes = Routes([rule], Registry("simulation", [], [], []), date(2025, 6, 16))
        process = Process(
            power,
            bus,
            ledger,
            Hop(bus, lambda: routes, clock, HopSettings(wait=0.2, commit_every=0.3, stuck_after=5.0)),
            DeliveryService(bus, ledger, ownership, recipients, kit, settings=settings),
        )
        runner = ReplayRunner(ledger, ownership, clock)
        self.all_powers.append(power)
        self.processes[slot] = process
        parts: list[Coroutine[Any, Any, None]] = [
            process.hop.run(), process.delivery.run(), runner.run(lambda: process.delivery.stopping),
        ]  # fmt: skip
        process.tasks = [self.spawn(_quietly(part)) for part in parts]

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

    def open_before(self, recipient: str, event: str) -> list[str]:
        """Older unfinished events of an event's lane, as the ledger has them now."""
        raw = self.store.raw
        identity = identity_of(SOURCE.encode(), event.encode())
        for shard_id in self._shards[recipient]:
            found = raw.execute(
                "SELECT seq FROM seen WHERE shard = ? AND identity = ?", (shard_id, identity)
            ).fetchone()
            if found is not None:
                return [row[0] for row in raw.execute(_OLDER, (shard_id, found[0], shard_id, found[0]))]
        return []


def key_for(dossier: str) -> bytes:
    """A dossier's key."""
    return key_of("dossier_code", dossier).bytes


async def _quietly(part: Coroutine[Any, Any, None]) -> None:
    try:
        await part
    except Over:
        return
