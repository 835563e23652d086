"""Publishes outbox rows of the leases this process holds, in each lease's own order, and deletes them afterwards."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence

from router.delivery.ownership import Ownership
from router.errors import BusError, LedgerError, PublisherClosed, PublishFailed
from router.events import Message, TopicPartition, partition_of
from router.ledger import outbox as table
from router.ledger.rows import Emission
from router.ports import Bus, Clock, Ledger, Publisher

PAGE = 500
PAUSE_AFTER_FAILURE = 1.0


class OutboxPublisher:
    """``sweep`` publishes one page; ``run`` sweeps when woken, and every second."""

    def __init__(self, bus: Bus, ledger: Ledger, leases: Ownership, clock: Clock, partitions: int) -> None:
        self._bus, self._ledger, self._leases, self._clock = bus, ledger, leases, clock
        self._partitions = partitions
        self._publisher: Publisher | None = None
        self._wake = asyncio.Event()
        self.published = 0
        self.trouble = ""  # why the last sweep did not publish all

    def wake(self) -> None:
        """Rows were written."""
        self._wake.set()

    async def sweep(self) -> int:
        """Publish and delete one page; how many rows it held. Raises ``BusError``, ``LedgerError``: what is not durable
        stays, and of a page of which only some partitions were taken the rest alone.
        """
        names = sorted(self._leases.names())
        rows = await self._ledger.read(lambda conn: table.pending(conn, names, PAGE))
        if not rows:
            return 0
        if self._publisher is None:
            self._publisher = await self._bus.publisher()
        batches, ids = batches_of(rows, self._partitions)
        try:
            await self._publisher.publish(batches)
        except PublisherClosed:  # a reopening failed
            await self._publisher.reopen()
            raise
        except PublishFailed as failed:
            await self._forget([row for place, these in ids.items() for row in these[: failed.durable.get(place)]])
            await self._publisher.reopen()
            raise
        await self._forget([row_id for row_id, _ in rows])
        return len(rows)

    async def _forget(self, ids: Sequence[int]) -> None:
        """These rows are durable on the bus."""
        if ids:
            await self._ledger.write(lambda conn: table.published(conn, ids))
            self.published += len(ids)

    async def run(self, stopping: Callable[[], bool]) -> None:
        """Until stopping, and then until nothing is left that can be published."""
        while True:
            try:
                swept = await self.sweep()
            except (BusError, LedgerError) as error:
                self.trouble = str(error) or type(error).__name__
                if stopping():
                    return
                await self._clock.sleep(PAUSE_AFTER_FAILURE)
                continue
            self.trouble = ""
            if swept:
                continue
            if stopping():
                return
            await self._rest()

    async def close(self) -> None:
        """Close the publisher."""
        if self._publisher is not None:
            await self._publisher.close()

    async def _rest(self) -> None:
        self._wake.clear()
        try:
            async with asyncio.timeout(1.0):
                await self._wake.wait()
        except TimeoutError:
            return


def batches_of(
    rows: Sequence[tuple[int, Emission]], partitions: int
) -> tuple[Mapping[TopicPartition, Sequence[Message]], Mapping[TopicPartition, Sequence[int]]]:
    """Rows as batches per partition, order kept, and their ids in the same places."""
    batches: dict[TopicPartition, list[Message]] = {}
    ids: dict[TopicPartition, list[int]] = {}
    for row_id, emission in rows:
        partition = emission.partition if emission.partition >= 0 else partition_of(emission.key, partitions)
        place = TopicPartition(emission.topic, partition)
        batches.setdefault(place, []).append((emission.key, emission.value, emission.headers))
        ids.setdefault(place, []).append(row_id)
    return batches, ids
