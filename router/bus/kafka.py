"""Apache Kafka through aiokafka. Mechanical: what to do at a rebalance or a stall is decided above.

Offsets are committed only when asked. Records come out as the client's own objects: a reader's as its API gives them,
a subscription's as its parser made them.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping, Sequence

from aiokafka import AIOKafkaConsumer, ConsumerRebalanceListener

from router.bus import kafka_admin
from router.bus.kafka_errors import answered, stop, translated
from router.bus.kafka_publisher import KafkaPublisher
from router.bus.kafka_reader import KafkaNotes, KafkaReader
from router.bus.kafka_settings import KafkaSettings
from router.errors import BusUnavailable
from router.events import Polled, TopicPartition
from router.ports import Publisher, Reader, Rebalance, Subscription, TopicSpec, TopicState


class KafkaBus:
    """A cluster. Every publisher, subscription and reader has a connection of its own and is closed by its owner."""

    def __init__(self, settings: KafkaSettings) -> None:
        self._settings = settings

    async def open(self) -> None:
        """Check that the cluster answers; ``BusUnavailable`` otherwise."""
        try:
            await kafka_admin.describe(self._settings)
        except BusUnavailable as error:
            place = self._settings.bootstrap_servers
            raise BusUnavailable(f"Kafka at {place} cannot be used ({error}): does it run there? see bus.url") from None

    async def close(self) -> None:
        """Nothing is held."""

    async def create(self, topics: Sequence[TopicSpec]) -> None:
        """Make topics that do not exist."""
        await kafka_admin.create(self._settings, topics)

    async def grow(self, topics: Sequence[str], partitions: int) -> None:
        """Give these topics at least so many partitions."""
        await kafka_admin.grow(self._settings, topics, partitions)

    async def describe(self) -> dict[str, TopicState]:
        """The topics as they are."""
        return await kafka_admin.describe(self._settings)

    async def publisher(self) -> Publisher:
        """An idempotent producer."""
        publisher = KafkaPublisher(self._settings)
        await publisher.reopen()
        return publisher

    async def subscribe(
        self, group: str, topics: Sequence[str], rebalance: Rebalance, *, member: str | None = None
    ) -> Subscription:
        """Join a group and wait for the first assignment. ``member`` makes the membership static."""
        consumer = AIOKafkaConsumer(
            group_id=group, group_instance_id=member, auto_offset_reset="earliest", **self._settings.consumer()
        )
        # Before start: a consumer started without topics has no coordinator task to join with.
        consumer.subscribe(list(topics), listener=_Listener(rebalance))
        try:
            with translated("join the group"):
                await consumer.start()
        except BaseException:
            await stop(consumer)
            raise
        return KafkaSubscription(consumer, self._settings.request_timeout_ms / 1000)

    async def reader(self, group: str) -> Reader:
        """A consumer with positions of the caller's."""
        consumer = AIOKafkaConsumer(auto_offset_reset="none", **self._settings.consumer())
        try:
            with translated("connect"):
                await consumer.start()
        except BaseException:
            await stop(consumer)
            raise
        notes = KafkaNotes(group, self._settings)
        return KafkaReader(consumer, notes, self._settings.request_timeout_ms / 1000)


class _Listener(ConsumerRebalanceListener):  # type: ignore[misc]  # the client is untyped
    """The port's rebalance, called by the client, which awaits it before it gives partitions away."""

    def __init__(self, rebalance: Rebalance) -> None:
        self._rebalance = rebalance

    async def on_partitions_revoked(self, revoked: Iterable[tuple[str, int]]) -> None:
        """About to go."""
        if gone := sorted(TopicPartition(*partition) for partition in revoked):
            await self._rebalance.revoked(gone)

    async def on_partitions_assigned(self, assigned: Iterable[tuple[str, int]]) -> None:
        """Come."""
        if come := sorted(TopicPartition(*partition) for partition in assigned):
            await self._rebalance.assigned(come)


class KafkaSubscription:
    """A member of a consumer group (eager rebalancing: all partitions go, then the new ones come)."""

    def __init__(self, consumer: AIOKafkaConsumer, patience: float) -> None:
        self._consumer, self._patience = consumer, patience

    async def poll(self, limit: int, timeout: float) -> Mapping[TopicPartition, Sequence[Polled]]:
        """What is there, or comes within ``timeout`` seconds."""
        with translated("poll"):
            _spare(self._consumer)
            found: Mapping[TopicPartition, Sequence[Polled]]
            found = await self._consumer.getmany(timeout_ms=int(timeout * 1000), max_records=limit)
            return found

    async def commit(self, offsets: Mapping[TopicPartition, int]) -> None:
        """Commit; ``BusUnavailable`` when a partition was revoked or the generation is over."""
        if offsets:
            async with answered("commit", self._patience):
                await self._consumer.commit(_clients(offsets))

    async def seek(self, offsets: Mapping[TopicPartition, int]) -> None:
        """Read again from there; partitions no longer owned are left out."""
        owned = self._consumer.assignment()
        with translated("seek"):
            for partition, offset in _clients(offsets).items():
                if partition in owned:
                    self._consumer.seek(partition, offset)

    async def lag(self) -> Mapping[TopicPartition, int]:
        """Records behind the last commit, by partition owned; asks the broker."""
        owned = list(self._consumer.assignment())
        if not owned:
            return {}
        async with answered("lag", self._patience):
            ends = await self._consumer.end_offsets(owned)
            firsts = await self._consumer.beginning_offsets(owned)
            commits = await asyncio.gather(*(self._consumer.committed(partition) for partition in owned))
        return {
            TopicPartition(*partition): ends[partition] - (firsts[partition] if commit is None else commit)
            for partition, commit in zip(owned, commits, strict=True)
        }

    def assignment(self) -> Iterable[TopicPartition]:
        """What is owned now."""
        return tuple(TopicPartition(*partition) for partition in self._consumer.assignment())

    async def close(self) -> None:
        """Leave the group (a static member's place is kept until its session ends)."""
        await stop(self._consumer)


def _spare(consumer: AIOKafkaConsumer) -> None:
    """Let what is fetched come out as parsed, not copied once more into the client's record class.

    That copy costs a microsecond a record, for a topic and partition which stand in the poll's keys anyway. The way in
    is no part of the client's API: a later version without it hands out the class, and nothing else changes.
    """
    for result in getattr(consumer._fetcher, "_records", {}).values():
        records = getattr(result, "_partition_records", None)
        if records is not None:
            records._consumer_record = _parsed


def _parsed(_partition: object, record: Polled) -> Polled:
    return record


def _clients(offsets: Mapping[TopicPartition, int]) -> dict[TopicPartition, int]:
    """The client checks for its own type of partition."""
    from aiokafka import TopicPartition as ClientPartition

    return {ClientPartition(*partition): offset for partition, offset in offsets.items()}
