"""The hop on a log in memory: nothing lost, order per key kept, whatever happens to a publish or to the group."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from datetime import date

import pytest

from router.bus.memory import Fault, Faults, MemoryBus
from router.clock import SystemClock
from router.events import (
    CE_ADDRESSED_TO,
    CE_SOURCE,
    CE_TYPE,
    LGSP_ORIGIN,
    LGSP_REASON,
    TopicPartition,
    header,
)
from router.ports import TopicSpec
from router.routing.agencies import Registry
from router.routing.hop import GROUP, Hop, HopSettings
from router.routing.table import Match, Routes, Rule

PARTITIONS = 4
EVENTS = 120
TOPICS = ("lgsp.dossier", "lgsp.document", "lgsp.to.portal", "lgsp.to.tax", "lgsp.to.router")
ROUTES = Routes(
    [Rule(name="all", match=Match(type="dossier.*"), to="portal"), Rule(name="tax", match=Match(type="*.d"), to="tax")],
    Registry("v1", [], [], []),
    date(2025, 8, 15),
)
FAST = HopSettings(batch=7, wait=0.01, commit_every=0.0, pause_after_failure=0.0)
NEVER_COMMITTING = HopSettings(batch=7, wait=0.01, commit_every=3600.0, pause_after_failure=0.0)


@pytest.fixture
async def bus() -> MemoryBus:
    bus = MemoryBus(SystemClock())
    await bus.create([TopicSpec(name, PARTITIONS) for name in TOPICS])
    return bus


async def fill(bus: MemoryBus, count: int = EVENTS, event_type: bytes = b"dossier.d", more: tuple = ()) -> None:
    """Numbered events: partition n modulo 4, key n modulo 12."""
    headers = ((CE_TYPE, event_type), (CE_SOURCE, b"one-stop"), *more)
    for n in range(count):
        message = (b"key-%d" % (n % 12), b"%d" % n, headers)
        await bus.append({TopicPartition("lgsp.dossier", n % PARTITIONS): [message]})


def read(bus: MemoryBus, topic: str) -> dict[int, list[int]]:
    """Numbers by partition, as they stand on a topic."""
    return {
        n: [int(record.value) for record in bus.fetch(TopicPartition(topic, n), 0, 100_000)] for n in range(PARTITIONS)
    }


def expected(count: int = EVENTS) -> dict[int, list[int]]:
    return {n: [i for i in range(count) if i % PARTITIONS == n] for n in range(PARTITIONS)}


def firsts(numbers: list[int]) -> list[int]:
    """In the order in which each came first."""
    return list(dict.fromkeys(numbers))


def repeats(numbers: list[int]) -> bool:
    return len(numbers) > len(set(numbers))


def complete(bus: MemoryBus, *topics: str, count: int = EVENTS) -> bool:
    return all(set(read(bus, topic)[n]) == set(expected(count)[n]) for topic in topics for n in range(PARTITIONS))


class Watched(Hop):
    """A hop that says which partitions are its own."""

    owned: frozenset[TopicPartition] = frozenset()

    def __init__(self, bus: MemoryBus, settings: HopSettings) -> None:
        super().__init__(bus, lambda: ROUTES, SystemClock(), settings)
        self.changed = asyncio.Condition()

    async def revoked(self, partitions: Sequence[TopicPartition]) -> None:
        await super().revoked(partitions)
        await self._own(self.owned - frozenset(partitions))

    async def assigned(self, partitions: Sequence[TopicPartition]) -> None:
        await super().assigned(partitions)
        await self._own(self.owned | frozenset(partitions))

    async def _own(self, partitions: frozenset[TopicPartition]) -> None:
        self.owned = partitions
        async with self.changed:
            self.changed.notify_all()


@asynccontextmanager
async def running(bus: MemoryBus, settings: HopSettings = FAST) -> AsyncIterator[Watched]:
    hop = Watched(bus, settings)
    task = asyncio.create_task(hop.run())
    try:
        yield hop
    finally:
        hop.stop()
        await task


async def holds(changed: asyncio.Condition, condition: Callable[[], bool]) -> None:
    """Wait until it does, asked whenever something changed."""
    async with asyncio.timeout(10), changed:
        await changed.wait_for(condition)


async def until(bus: MemoryBus, *topics: str, count: int = EVENTS) -> None:
    await holds(bus.appended, lambda: complete(bus, *topics, count=count))


def assert_nothing_lost_and_in_order(bus: MemoryBus, topic: str) -> None:
    """Up to repetition: each partition's first occurrences are the input's order, so every key's are."""
    assert {n: firsts(numbers) for n, numbers in read(bus, topic).items()} == expected()


async def test_everything_goes_once_to_each_recipient_on_its_own_partition(bus):
    await fill(bus)
    async with running(bus) as hop:
        await until(bus, "lgsp.to.portal", "lgsp.to.tax")
    assert read(bus, "lgsp.to.portal") == read(bus, "lgsp.to.tax") == expected()
    assert read(bus, "lgsp.to.router") == {n: [] for n in range(PARTITIONS)}
    assert (hop.stats().routed, hop.stats().unroutable, hop.stats().failures) == (EVENTS, 0, 0)


async def test_key_value_and_headers_pass_untouched(bus):
    more = (("x-repeated", b"1"), ("x-repeated", b"\xff\x00"))
    await fill(bus, 4, more=more)
    async with running(bus):
        await until(bus, "lgsp.to.portal", count=4)
    sent = bus.fetch(TopicPartition("lgsp.dossier", 2), 0, 1)[0]
    routed = bus.fetch(TopicPartition("lgsp.to.portal", 2), 0, 1)[0]
    assert (routed.key, routed.value, list(routed.headers)) == (sent.key, sent.value, list(sent.headers))


@pytest.mark.parametrize(
    ("event_type", "more", "reason"),
    [
        (b"land.x", (), b"no_route"),
        (b"", (), b"malformed_event"),
        (b"\xff\xfe", (), b"no_route"),
        (b"dossier.d", ((CE_ADDRESSED_TO, b"H99"),), b"unknown_addressee"),
    ],
)
async def test_what_cannot_be_routed_goes_to_the_router_with_reason_and_origin(bus, event_type, more, reason):
    await fill(bus, 8, event_type, more)
    async with running(bus) as hop:
        await until(bus, "lgsp.to.router", count=8)
    record = bus.fetch(TopicPartition("lgsp.to.router", 3), 1, 1)[0]
    assert header(record.headers, LGSP_REASON) == reason
    assert header(record.headers, LGSP_ORIGIN) == b"lgsp.dossier/3/1"
    assert hop.stats().unroutable == 8


class FailsOnce(Faults):
    """The third publish to the portal fails as told."""

    def __init__(self, durable: int, told: int) -> None:
        self.fault, self.asked = Fault(durable, told), 0

    def publish(self, partition: TopicPartition, count: int) -> Fault | None:
        if partition.topic != "lgsp.to.portal":
            return None
        self.asked += 1
        return self.fault if self.asked == 3 else None


@pytest.mark.parametrize(("durable", "told"), [(0, 0), (2, 2), (3, 0), (7, 0)])
@pytest.mark.parametrize("settings", [FAST, NEVER_COMMITTING])
async def test_a_publish_that_fails_in_the_middle_loses_nothing_and_keeps_order(bus, durable, told, settings):
    await fill(bus)
    bus.faults = FailsOnce(durable, told)
    async with running(bus, settings) as hop:
        await until(bus, "lgsp.to.portal", "lgsp.to.tax")
    assert hop.stats().failures == 1
    assert_nothing_lost_and_in_order(bus, "lgsp.to.portal")
    assert_nothing_lost_and_in_order(bus, "lgsp.to.tax")


async def test_a_hop_that_ended_without_a_commit_is_routed_again_by_the_next(bus):
    await fill(bus)
    first = Hop(bus, lambda: ROUTES, SystemClock(), NEVER_COMMITTING)
    task = asyncio.create_task(first.run())
    await until(bus, "lgsp.to.portal")
    committed = dict(bus.committed(GROUP))
    bus.faults = Away()
    first.stop()
    await asyncio.gather(task, return_exceptions=True)
    bus.faults = Faults()
    assert bus.committed(GROUP) == committed
    async with running(bus) as second:
        await holds(bus.appended, lambda: all(map(repeats, read(bus, "lgsp.to.portal").values())))
    assert second.stats().routed > 0
    assert_nothing_lost_and_in_order(bus, "lgsp.to.portal")


class Away(Faults):
    """The broker is away."""

    def down(self) -> bool:
        return True


async def test_a_stop_commits_what_was_routed_so_that_the_next_repeats_nothing(bus):
    await fill(bus)
    async with running(bus, NEVER_COMMITTING):
        await until(bus, "lgsp.to.portal", "lgsp.to.tax")
    async with running(bus) as second:
        await fill(bus, 4)
        await holds(bus.appended, lambda: sum(map(len, read(bus, "lgsp.to.portal").values())) >= EVENTS + 4)
    assert second.stats().routed == 4


async def test_latency_counts_every_event_from_its_publication(bus):
    await fill(bus)
    async with running(bus) as hop:
        await until(bus, "lgsp.to.portal", "lgsp.to.tax")
    assert sum(hop.latency.counts) == EVENTS
    assert 0 < hop.latency.quantile(0.5) <= hop.latency.quantile(0.99) < 60


async def test_two_hops_share_the_partitions_and_a_rebalance_loses_nothing(bus):
    await fill(bus, EVENTS // 2)
    async with running(bus) as one:
        await until(bus, "lgsp.to.portal", count=EVENTS // 2)
        async with running(bus) as two:
            await holds(two.changed, lambda: bool(two.owned))
            assert one.owned
            assert not one.owned & two.owned
            for n in range(EVENTS // 2, EVENTS):
                headers = ((CE_TYPE, b"dossier.d"), (CE_SOURCE, b"one-stop"))
                message = (b"key-%d" % (n % 12), b"%d" % n, headers)
                await bus.append({TopicPartition("lgsp.dossier", n % PARTITIONS): [message]})
            await until(bus, "lgsp.to.portal", "lgsp.to.tax")
    assert two.stats().routed > 0
    assert_nothing_lost_and_in_order(bus, "lgsp.to.portal")
    assert_nothing_lost_and_in_order(bus, "lgsp.to.tax")
