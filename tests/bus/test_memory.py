"""The faults that only the log in memory can be told to have."""

import asyncio

import pytest

from router.bus.memory import Fault, Faults, MemoryBus
from router.clock import SystemClock
from router.errors import BusUnavailable, PublisherClosed, PublishFailed
from router.events import TopicPartition
from router.ports import TopicSpec
from tests.bus.harness import Rebalances, drain, messages, values

P = TopicPartition("t", 0)


class Scripted(Faults):
    """Answers from a list, then nothing."""

    def __init__(self, *script: Fault) -> None:
        self.script, self.away = list(script), False

    def publish(self, partition, count):
        return self.script.pop(0) if self.script else None

    def down(self):
        return self.away


async def bus_with(*script: Fault) -> tuple[MemoryBus, Scripted]:
    faults = Scripted(*script)
    bus = MemoryBus(SystemClock(), faults)
    await bus.create([TopicSpec("t", 2)])
    return bus, faults


async def stored(bus: MemoryBus) -> list[bytes]:
    reader = await bus.reader("g")
    await reader.set({P: 0})
    return values((await reader.next(100, 0)).get(P, []))


async def test_a_publish_may_leave_a_prefix():
    bus, _ = await bus_with(Fault(2, 2))
    publisher = await bus.publisher()
    with pytest.raises(PublishFailed) as failure:
        await publisher.publish({P: messages(5)})
    assert failure.value.durable == {P: 2}
    assert await stored(bus) == [b"value 0", b"value 1"]


async def test_an_acknowledgement_may_be_lost_with_everything_durable():
    bus, _ = await bus_with(Fault(3, 0))
    publisher = await bus.publisher()
    with pytest.raises(PublishFailed) as failure:
        await publisher.publish({P: messages(3)})
    assert failure.value.durable == {P: 0}
    assert len(await stored(bus)) == 3


async def test_after_a_fault_the_partition_is_closed_until_reopen():
    bus, _ = await bus_with(Fault(0, 0))
    publisher = await bus.publisher()
    with pytest.raises(PublishFailed):
        await publisher.publish({P: messages(1)})
    with pytest.raises(PublisherClosed):
        await publisher.publish({P: messages(1, 5)})
    await publisher.reopen()
    assert await publisher.publish({P: messages(1)}) == {P: 0}


async def test_while_the_broker_is_away_every_call_says_so_and_nothing_is_lost():
    bus, faults = await bus_with()
    publisher = await bus.publisher()
    await publisher.publish({P: messages(2)})
    subscription = await bus.subscribe("g", ["t"], Rebalances())
    faults.away = True
    with pytest.raises(BusUnavailable):
        await subscription.poll(10, 0)
    with pytest.raises(BusUnavailable):
        await subscription.commit({P: 1})
    with pytest.raises(PublishFailed):
        await publisher.publish({P: messages(1, 2)})
    faults.away = False
    assert len(await stored(bus)) == 2
    assert values((await drain(subscription, 2))[P]) == [b"value 0", b"value 1"]


async def test_a_poll_that_began_before_a_rebalance_may_bring_records_of_the_old_assignment():
    bus, _ = await bus_with()
    one = await bus.subscribe("g", ["t"], Rebalances())
    waiting = asyncio.create_task(one.poll(10, 30))
    await asyncio.sleep(0)  # the poll has begun
    other = await bus.subscribe("g", ["t"], Rebalances())
    (taken,) = other.assignment()
    await (await bus.publisher()).publish({taken: messages(1)})
    stale = await waiting
    assert values(stale[taken]) == [b"value 0"]
    assert taken not in one.assignment()
    assert values((await drain(other, 1))[taken]) == [b"value 0"]


async def test_a_seek_during_a_waiting_poll_is_not_undone():
    bus, _ = await bus_with()
    publisher = await bus.publisher()
    await publisher.publish({P: messages(3)})
    subscription = await bus.subscribe("g", ["t"], Rebalances())
    await drain(subscription, 3)
    waiting = asyncio.create_task(subscription.poll(10, 30))
    await asyncio.sleep(0)
    await subscription.seek({P: 1})
    await publisher.publish({P: messages(1, 3)})
    await waiting
    assert values((await drain(subscription, 3))[P]) == [b"value 1", b"value 2", b"value 3"]


class AwayAt(Scripted):
    """The broker goes away at the call of this number, and stays away until told."""

    def __init__(self) -> None:
        super().__init__()
        self.calls_left = -1

    def down(self):
        self.calls_left -= 1
        return self.away or self.calls_left == 0


@pytest.mark.parametrize("calls", range(1, 6))
async def test_who_could_not_join_is_no_member_and_its_partitions_are_read_by_the_others(calls):
    faults = AwayAt()
    bus = MemoryBus(SystemClock(), faults)
    await bus.create([TopicSpec("t", 4)])
    for partition in range(4):
        await (await bus.publisher()).publish({TopicPartition("t", partition): messages(1)})
    first = await bus.subscribe("g", ["t"], Rebalances())
    faults.calls_left = calls
    try:
        second = await bus.subscribe("g", ["t"], Rebalances())
    except BusUnavailable:
        second = None
    faults.calls_left = -1
    if second is not None:
        await second.close()
    assert len(await drain(first, 4)) == 4
    assert len(list(first.assignment())) == 4


async def test_partitions_of_a_member_that_left_while_the_broker_was_away_are_read_afterwards():
    bus, faults = await bus_with()
    first = await bus.subscribe("g", ["t"], Rebalances())
    second = await bus.subscribe("g", ["t"], Rebalances())
    faults.away = True
    with pytest.raises(BusUnavailable):
        await second.close()
    faults.away = False
    await first.poll(10, 0)
    assert len(list(first.assignment())) == 2
