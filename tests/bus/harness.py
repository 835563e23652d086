"""One bus of each kind behind the same handles, for the contract suite."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from uuid import uuid4

from router.bus.embedded import EmbeddedBus
from router.bus.kafka import KafkaBus
from router.bus.kafka_settings import KafkaSettings
from router.bus.memory import MemoryBus
from router.clock import SystemClock
from router.events import Fetched, Message, TopicPartition
from router.ports import Bus, Reader, Subscription, TopicSpec

PARTITIONS = 4


@dataclass
class Rebalances:
    """Remembers what it was told; commits what it was given when partitions go."""

    subscription: Subscription | None = None
    commits: dict[TopicPartition, int] = field(default_factory=dict)
    seen: list[tuple[str, tuple[TopicPartition, ...]]] = field(default_factory=list)
    changed: asyncio.Event = field(default_factory=asyncio.Event)

    async def revoked(self, partitions: Sequence[TopicPartition]) -> None:
        self.seen.append(("revoked", tuple(partitions)))
        going = {partition: self.commits[partition] for partition in partitions if partition in self.commits}
        if going and self.subscription is not None:
            await self.subscription.commit(going)
        self.changed.set()

    async def assigned(self, partitions: Sequence[TopicPartition]) -> None:
        self.seen.append(("assigned", tuple(partitions)))
        self.changed.set()


@dataclass
class Rig:
    """A kind of bus with a topic of its own."""

    kind: str
    where: str
    bus: Bus
    topic: str = field(default_factory=lambda: f"t-{uuid4().hex[:8]}")
    group: str = field(default_factory=lambda: f"g-{uuid4().hex[:8]}")

    def at(self, number: int) -> TopicPartition:
        return TopicPartition(self.topic, number)

    def another(self) -> Bus:
        """A second bus over the same log, as a new process would have it."""
        return make(self.kind, self.where)

    async def reopened(self) -> None:
        """Close the bus and open a new one."""
        await self.bus.close()
        self.bus = self.another()
        await self.bus.open()


def make(kind: str, where: str) -> Bus:
    if kind == "embedded":
        return EmbeddedBus(Path(where), SystemClock())
    if kind == "kafka":
        return KafkaBus(KafkaSettings(bootstrap_servers=where, request_timeout_ms=10_000, heartbeat_interval_ms=200))
    return MemoryBus(SystemClock())


async def opened(kind: str, where: str) -> Rig:
    rig = Rig(kind, where, make(kind, where))
    await rig.bus.open()
    await rig.bus.create([TopicSpec(rig.topic, PARTITIONS)])
    return rig


def messages(count: int, start: int = 0) -> list[Message]:
    return [(b"k", b"value %d" % n, [("ce_id", b"%d" % n)]) for n in range(start, start + count)]


async def publish(bus: Bus, batches: Mapping[TopicPartition, Sequence[Message]]) -> dict[TopicPartition, int]:
    publisher = await bus.publisher()
    try:
        return await publisher.publish(batches)
    finally:
        await publisher.close()


async def drain(source: Subscription | Reader, count: int, limit: int = 1000) -> dict[TopicPartition, list[Fetched]]:
    """Read until ``count`` records have come; the test's time-out ends it otherwise."""
    found: dict[TopicPartition, list[Fetched]] = {}
    read = source.next if hasattr(source, "next") else source.poll
    async with asyncio.timeout(30):
        while sum(map(len, found.values())) < count:
            for partition, records in (await read(limit, 1.0)).items():
                found.setdefault(TopicPartition(*partition), []).extend(records)
    return found


def values(records: Sequence[Fetched]) -> list[bytes]:
    return [record.value for record in records]
