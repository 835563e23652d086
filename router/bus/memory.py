"""The log in memory: the same port for tests and simulation, with faults that a hook decides.

It lives as long as the object. ``Faults`` is asked at each publish and poll, so that a seeded schedule can make a
publish fail in part or after the fact, or let a poll answer with the assignment it began under.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from router.bus.groups import Group
from router.bus.local import Edges, LocalReader, LocalSubscription, Record, subscribe
from router.bus.local_publisher import LocalPublisher
from router.errors import BusUnavailable, PublishFailed
from router.events import Message, TopicPartition
from router.ports import Clock, Publisher, Reader, Rebalance, Subscription, TopicSpec, TopicState


class Fault(NamedTuple):
    """A publish that fails: ``durable`` messages of each partition are stored, ``told`` of them are admitted.

    An acknowledgement that was lost is ``durable`` above ``told``.
    """

    durable: int
    told: int


class Faults:
    """No faults. A simulation overrides what it wants to break."""

    def publish(self, partition: TopicPartition, count: int) -> Fault | None:
        """Asked for each partition of a publish of ``count`` messages."""
        return None

    def down(self) -> bool:
        """Whether the broker is away: every call answers ``BusUnavailable``."""
        return False


class MemoryBus:
    """Topics as lists."""

    def __init__(self, clock: Clock, faults: Faults | None = None) -> None:
        self._clock, self.faults = clock, faults or Faults()
        self._topics: dict[str, TopicSpec] = {}
        self._records: dict[TopicPartition, list[Record]] = {}
        self._commits: dict[str, dict[TopicPartition, int]] = {}
        self._groups: dict[str, Group] = {}
        self.appended = asyncio.Condition()

    async def open(self) -> None:
        """Nothing to open."""

    async def close(self) -> None:
        """Nothing to close: what is stored stays."""

    async def create(self, topics: Sequence[TopicSpec]) -> None:
        """Make topics that do not exist."""
        for spec in topics:
            if spec.name not in self._topics:
                self._topics[spec.name] = spec
                self._records.update({TopicPartition(spec.name, n): [] for n in range(spec.partitions)})

    async def grow(self, topics: Sequence[str], partitions: int) -> None:
        """Give these topics at least so many partitions."""
        for name in topics:
            spec = self._topics[name]
            for number in range(spec.partitions, partitions):
                self._records[TopicPartition(name, number)] = []
            self._topics[name] = spec._replace(partitions=max(spec.partitions, partitions))

    async def describe(self) -> dict[str, TopicState]:
        """The topics as they are."""
        return {
            s.name: TopicState(s.name, s.partitions, s.replication, {"retention.ms": str(s.retention_ms), **s.config})
            for s in self._topics.values()
        }

    async def publisher(self) -> Publisher:
        """A publisher."""
        return LocalPublisher(self.append)

    async def subscribe(
        self,
        group: str,
        topics: Sequence[str],
        rebalance: Rebalance,
        *,
        member: str | None = None,
    ) -> Subscription:
        """Join a group."""
        self._require_up()
        joined: LocalSubscription = await subscribe(self, self._groups, group, topics, rebalance)
        return joined

    async def reader(self, group: str) -> Reader:
        """A reader by position."""
        return LocalReader(self, group)

    def partitions(self, topics: Iterable[str]) -> list[TopicPartition]:
        """All partitions of these topics."""
        wanted = set(topics)
        return sorted(partition for partition in self._records if partition.topic in wanted)

    def edges(self, partition: TopicPartition) -> Edges:
        """Where a partition begins and ends."""
        self._require_up()
        if partition not in self._records:
            raise BusUnavailable(f"no such partition: {partition.topic}/{partition.partition}")
        return Edges(0, len(self._records[partition]))

    def fetch(self, partition: TopicPartition, offset: int, limit: int) -> list[Record]:
        """Records from ``offset`` on."""
        self._require_up()
        return self._records[partition][offset : offset + limit]

    def committed(self, group: str) -> dict[TopicPartition, int]:
        """A group's commits."""
        return dict(self._commits.get(group, {}))

    async def store_commits(self, group: str, offsets: Mapping[TopicPartition, int]) -> None:
        """Keep commits."""
        self._require_up()
        self._commits.setdefault(group, {}).update(offsets)

    async def append(self, batches: Mapping[TopicPartition, Sequence[Message]]) -> dict[TopicPartition, int]:
        """Append batches; the first offset of each. Raises ``PublishFailed`` as the faults say."""
        self._require_up()
        firsts: dict[TopicPartition, int] = {}
        failed: dict[TopicPartition, int] = {}
        for partition, messages in batches.items():
            fault = self.faults.publish(partition, len(messages))
            firsts[partition] = self._store(partition, messages if fault is None else messages[: fault.durable])
            if fault is not None:
                failed[partition] = fault.told
        async with self.appended:
            self.appended.notify_all()
        if failed:
            raise PublishFailed(failed, "the acknowledgement did not come")
        return firsts

    def _store(self, partition: TopicPartition, messages: Sequence[Message]) -> int:
        if partition not in self._records:
            raise BusUnavailable(f"no such partition: {partition.topic}/{partition.partition}")
        log = self._records[partition]
        first, now = len(log), self._clock.now() // 1000
        log += [Record(*partition, first + n, now, key, value, tuple(h)) for n, (key, value, h) in enumerate(messages)]
        return first

    def _require_up(self) -> None:
        if self.faults.down():
            raise BusUnavailable("the broker is away")
