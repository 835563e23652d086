"""The feed: a client that is dead for good is replaced, and reads on where the ledger is."""

from __future__ import annotations

from typing import Any

import pytest

from router.bus.memory import MemoryBus
from router.clock import SystemClock
from router.delivery.feed import FAILURES, Feed
from router.delivery.shards import own
from router.errors import BusUnavailable
from router.events import TopicPartition, topic_of
from router.ledger.rows import Lease, Shard
from router.ports import Bus, Reader, TopicSpec
from tests.delivery.installation import PARTNER, installation, message

TOPIC = TopicPartition(topic_of(PARTNER), 0)


class Mortal:
    """A bus whose first reader dies when told to and never recovers; later ones live."""

    def __init__(self, bus: Bus) -> None:
        self._bus, self.dead, self.readers = bus, False, 0

    async def reader(self, group: str) -> Reader:
        self.readers += 1
        reader: Any = await self._bus.reader(group)
        if self.readers == 1:
            living = reader.next

            async def next_or_die(limit: int, timeout: float) -> Any:
                if self.dead:
                    raise BusUnavailable("its own tasks are gone")
                return await living(limit, timeout)

            reader.next = next_or_die
        return reader  # type: ignore[no-any-return]


async def fetched(feed: Feed) -> list[int]:
    """Offsets of the next fetch that brings something, and how often it failed before is nobody's business."""
    for _ in range(FAILURES + 5):
        task = feed.fetching()
        assert task is not None
        try:
            await task
        except BusUnavailable:
            with pytest.raises(BusUnavailable):
                feed.take()
            continue
        if found := feed.take():
            return [record.offset for record in found[TOPIC]]
    raise AssertionError("nothing came")


async def test_a_dead_reader_is_replaced_at_the_position_of_the_shard() -> None:
    log = MemoryBus(SystemClock())
    await log.create([TopicSpec(TOPIC.topic, 1)])
    publisher = await log.publisher()
    bus = Mortal(log)
    feed = Feed(bus)  # type: ignore[arg-type]  # only readers are asked of it
    owned = own(Shard(1, PARTNER, 0, 0, 1, b""), Lease("shard", 1), rest_until=0, capacity=10)
    await feed.follow([owned])
    await publisher.publish({TOPIC: [message("a", "H1"), message("b", "H1")]})
    assert await fetched(feed) == [0, 1]
    owned.shard = Shard(1, PARTNER, 0, 2, 3, b"")  # accepted and committed
    bus.dead = True
    await publisher.publish({TOPIC: [message("c", "H1")]})
    assert await fetched(feed) == [2]
    assert bus.readers == 2
    await feed.close()


async def test_a_shard_taken_while_the_bus_was_away_is_read_all_the_same(tmp_path, monkeypatch):
    honest, away = Feed.follow, [True]

    async def follow(self, shards):
        if away.pop(0) if away else False:
            raise BusUnavailable("the bus is away")
        await honest(self, shards)

    monkeypatch.setattr(Feed, "follow", follow)
    async with installation(tmp_path) as place:
        await place.publish(("A-0", "A"))
        await place.settled("A-0", "delivered")
