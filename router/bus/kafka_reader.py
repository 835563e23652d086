"""Reading Kafka by position: no group, no committed offsets, no silent reset."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping, Sequence

from aiokafka import AIOKafkaConsumer
from aiokafka import TopicPartition as ClientPartition
from aiokafka.errors import IllegalStateError, OffsetOutOfRangeError

from router.bus.kafka_errors import answered, stop, translated
from router.bus.kafka_settings import KafkaSettings
from router.errors import PositionOutOfRange
from router.events import Fetched, TopicPartition


class KafkaNotes:
    """Commits under a group's name, by a consumer that reads nothing. Apart from the one that reads: a consumer with a
    group dies for good when partitions are assigned while its coordinator is unknown. So this one is made anew whenever
    the partitions are others, and after every failure.
    """

    def __init__(self, group: str, settings: KafkaSettings) -> None:
        self._group, self._settings = group, settings
        self._consumer: AIOKafkaConsumer | None = None
        self._partitions: frozenset[ClientPartition] = frozenset()

    async def commit(self, offsets: Mapping[ClientPartition, int]) -> None:
        """Commit. The client's errors come out as they are."""
        try:
            if self._consumer is None or self._partitions != offsets.keys():
                await self.close()
                self._partitions = frozenset(offsets)
                self._consumer = AIOKafkaConsumer(group_id=self._group, **self._settings.consumer())
                self._consumer.assign(list(offsets))
                self._consumer.pause(*offsets)
                await self._consumer.start()
            await self._consumer.commit(dict(offsets))
        except BaseException:
            await self.close()
            raise

    async def close(self) -> None:
        """Leave."""
        consumer, self._consumer = self._consumer, None
        if consumer is not None:
            await stop(consumer)


class KafkaReader:
    """A consumer whose partitions and positions the caller sets."""

    def __init__(self, consumer: AIOKafkaConsumer, notes: KafkaNotes, patience: float) -> None:
        self._consumer, self._notes, self._patience = consumer, notes, patience
        self._partitions: frozenset[ClientPartition] = frozenset()
        self._paused: frozenset[ClientPartition] = frozenset()
        self._generation = 0
        self._changed = asyncio.Event()

    async def set(self, positions: Mapping[TopicPartition, int]) -> None:
        """Replace the assignment. ``assign`` forgets every position, so all are sought again; what was fetched before
        belongs to the old assignment and the client drops it.
        """
        self._generation += 1
        wanted = {ClientPartition(*partition): offset for partition, offset in positions.items()}
        with translated("assign"):
            self._consumer.assign(list(wanted))
            for partition, offset in wanted.items():
                self._consumer.seek(partition, offset)
            self._partitions = frozenset(wanted)
            self._consumer.pause(*(self._paused & self._partitions))
        self._wake()

    def pause(self, partitions: Iterable[TopicPartition]) -> None:
        """Leave these out from now on; those of the last call that are not named go on."""
        self._paused = frozenset(ClientPartition(*partition) for partition in partitions)
        self._consumer.resume(*(self._partitions - self._paused))
        self._consumer.pause(*(self._partitions & self._paused))
        self._wake()

    async def next(self, limit: int, timeout: float) -> Mapping[TopicPartition, Sequence[Fetched]]:
        """The next records of the partitions that are not paused."""
        reading = self._partitions - self._paused
        if not reading:  # the client would take an empty list for all partitions
            await self._wait_changed(timeout)
            return {}
        generation = self._generation
        with translated("fetch"):
            found: Mapping[TopicPartition, Sequence[Fetched]]
            try:
                found = await self._consumer.getmany(*reading, timeout_ms=int(timeout * 1000), max_records=limit)
            except OffsetOutOfRangeError as error:
                if generation != self._generation:
                    return {}
                raise await self._out_of_range(error.args[0]) from None
            except IllegalStateError:
                if generation != self._generation:
                    return {}
                raise
        return found if generation == self._generation else {}

    async def earliest(self, partitions: Iterable[TopicPartition]) -> dict[TopicPartition, int]:
        """Where partitions begin."""
        async with answered("earliest", self._patience):
            found = await self._consumer.beginning_offsets([ClientPartition(*partition) for partition in partitions])
        return {TopicPartition(*partition): offset for partition, offset in found.items()}

    async def latest(self, partitions: Iterable[TopicPartition]) -> dict[TopicPartition, int]:
        """The offset of the next record of partitions."""
        async with answered("latest", self._patience):
            found = await self._consumer.end_offsets([ClientPartition(*partition) for partition in partitions])
        return {TopicPartition(*partition): offset for partition, offset in found.items()}

    async def note(self, positions: Mapping[TopicPartition, int]) -> None:
        """Commit under the group's name without being a member."""
        if positions:
            async with answered("note", self._patience):
                await self._notes.commit({ClientPartition(*p): offset for p, offset in positions.items()})

    async def close(self) -> None:
        """Leave."""
        await self._notes.close()
        await stop(self._consumer)

    async def _out_of_range(self, positions: Mapping[ClientPartition, int]) -> PositionOutOfRange:
        partition, position = next(iter(positions.items()))
        ours = TopicPartition(*partition)
        earliest, latest = await self.earliest([ours]), await self.latest([ours])
        return PositionOutOfRange(ours, position, earliest[ours], latest[ours])

    def _wake(self) -> None:
        self._changed.set()
        self._changed = asyncio.Event()

    async def _wait_changed(self, timeout: float) -> None:
        try:
            async with asyncio.timeout(timeout):
                await self._changed.wait()
        except TimeoutError:
            return
