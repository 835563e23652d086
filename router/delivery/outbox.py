"""Publishes outbox rows of the leases this process holds, in each lease's own order, and deletes them afterwards."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence

from router.delivery.ownership import Ownership
from router.errors import BusError, LedgerError, PublishFailed
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

    def wake(self) -> None:
        """Rows were written."""
        self._wake.set()

    async def sweep(self) -> int:
        """Publish and delete one page; how many rows it held. Raises ``BusError``, ``LedgerError``: the rows stay."""
        names = sorted(self._leases.names())
        rows = await self._ledger.read(lambda conn: table.pending(conn, names, PAGE))
        if not rows:
            return 0
        if self._publisher is None:
            self._publisher = await self._bus.publisher()
        try:
            await self._publisher.publish(batches_of([emission for _, emission in rows], self._partitions))
        except PublishFailed:
            await self._publisher.reopen()
            raise
        ids = [row_id for row_id, _ in rows]
        await self._ledger.write(lambda conn: table.published(conn, ids))
        self.published += len(rows)
        return len(rows)

    async def run(self, stopping: Callable[[], bool]) -> None:
        """Until stopping, and then until nothing is left that can be published."""
        while True:
            try:
                swept = await self.sweep()
            except (BusError, LedgerError):
                if stopping():
                    return
                await self._clock.sleep(PAUSE_AFTER_FAILURE)
                continue
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


def batches_of(emissions: Sequence[Emission], partitions: int) -> Mapping[TopicPartition, Sequence[Message]]:
    """Emissions as batches per partition, order kept."""
    batches: dict[TopicPartition, list[Message]] = {}
    for emission in emissions:
        partition = emission.partition if emission.partition >= 0 else partition_of(emission.key, partitions)
        message = (emission.key, emission.value, emission.headers)
        batches.setdefault(TopicPartition(emission.topic, partition), []).append(message)
    return batches
