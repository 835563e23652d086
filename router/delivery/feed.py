"""The reading side of delivery: one reader over all shards this process owns, by the positions of the ledger."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from typing import Final

from router.delivery.shards import Owned
from router.events import Fetched, TopicPartition
from router.ports import Bus, Reader

GROUP: Final = "lgsp-delivery"  # under this name ordinary tools see the lag
FETCH: Final = 2_000  # records; a page of them is some 20 ms of work for the loop
WAIT: Final = 0.5
FAREWELL: Final = 1.0  # seconds for a note under way when the feed is closed
FAILURES: Final = 10  # in a row, after which the reader is replaced: a client whose own tasks died never recovers


class Feed:
    """At most one fetch is under way; ``follow`` forgets what was fetched and starts again from the ledger."""

    def __init__(self, bus: Bus) -> None:
        self._bus = bus
        self._reader: Reader | None = None
        self._fetch: asyncio.Task[Mapping[TopicPartition, Sequence[Fetched]]] | None = None
        self._noting: asyncio.Task[None] | None = None
        self._followed: list[Owned] = []
        self._failures = 0

    async def follow(self, shards: Iterable[Owned]) -> None:
        """Read these shards, each from its position."""
        if self._reader is None:
            self._reader = await self._bus.reader(GROUP)
        if self._fetch is not None:
            await asyncio.wait({self._fetch})
            self._fetch.exception()  # seen: a failed fetch is forgotten with the rest
            self._fetch = None
        self._followed = list(shards)
        await self._reader.set(self._positions())

    def fetching(self) -> asyncio.Task[Mapping[TopicPartition, Sequence[Fetched]]] | None:
        """The fetch under way, started if there is none; None while nothing is followed."""
        if self._fetch is None and self._followed:
            self._fetch = asyncio.create_task(self._next())
        return self._fetch

    def take(self) -> Mapping[TopicPartition, Sequence[Fetched]]:
        """What a finished fetch brought; empty while it is under way. Raises what the reader raised."""
        if self._fetch is None or not self._fetch.done():
            return {}
        done, self._fetch = self._fetch, None
        return done.result()

    async def note(self, shards: Iterable[Owned]) -> None:
        """Tell the log how far the ledger is, without waiting for it: a coordinator that is away must not hold
        delivery up. A note that fails is not missed: the next one says it all again.
        """
        if self._reader is None or (self._noting is not None and not self._noting.done()):
            return
        positions = {owned.topic_partition: owned.shard.position for owned in shards}
        self._noting = asyncio.create_task(self._reader.note(positions))
        self._noting.add_done_callback(_seen)

    async def edges(
        self, partitions: Sequence[TopicPartition]
    ) -> tuple[dict[TopicPartition, int], dict[TopicPartition, int]]:
        """The earliest offset and the end of each partition."""
        if self._reader is None:
            self._reader = await self._bus.reader(GROUP)
        return await self._reader.earliest(partitions), await self._reader.latest(partitions)

    async def record_at(self, partition: TopicPartition, offset: int) -> Fetched | None:
        """One record, read aside from the feed."""
        aside = await self._bus.reader(GROUP)
        try:
            await aside.set({partition: offset})
            records = (await aside.next(1, 2.0)).get(partition, ())
            return records[0] if records and records[0].offset == offset else None
        finally:
            await aside.close()

    async def close(self) -> None:
        """Wait for the fetch under way and close the reader."""
        if self._noting is not None:
            await asyncio.wait({self._noting}, timeout=FAREWELL)
            self._noting.cancel()
            await asyncio.wait({self._noting})
        if self._fetch is not None:
            await asyncio.wait({self._fetch})
            self._fetch.exception()
        if self._reader is not None:
            await self._reader.close()

    async def _next(self) -> Mapping[TopicPartition, Sequence[Fetched]]:
        if self._reader is None or self._failures >= FAILURES:
            before, self._reader = self._reader, None
            if before is not None:
                await before.close()
            self._reader = await self._bus.reader(GROUP)
            await self._reader.set(self._positions())
        self._failures += 1
        found = await self._reader.next(FETCH, WAIT)
        self._failures = 0
        return found

    def _positions(self) -> dict[TopicPartition, int]:
        return {owned.topic_partition: owned.shard.position for owned in self._followed}


def _seen(note: asyncio.Task[None]) -> None:
    if not note.cancelled():
        note.exception()
