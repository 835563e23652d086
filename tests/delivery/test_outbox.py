"""The outbox: in order, published once where it can be known, and one row that cannot go stops its partition alone."""

from __future__ import annotations

import pytest

from router.bus.memory import Fault, Faults, MemoryBus
from router.delivery.outbox import OutboxPublisher
from router.errors import BusError, BusUnavailable, PublishFailed, RowRefused
from router.events import LONGEST_VALUE, TopicPartition
from router.ledger import outbox
from router.ledger.engine import open_ledger
from router.ledger.rows import Emission
from router.ports import TopicSpec
from router.sdk.testing.clock import ManualClock
from tests.ledger.harness import new_file

LEASE = "shard:tax/0"


class Leases:
    def names(self) -> set[str]:
        return {LEASE}


class Failing(Faults):
    """Takes ``durable`` of what comes for partition 1; None: all."""

    def __init__(self) -> None:
        self.durable: int | None = None

    def publish(self, partition: TopicPartition, _count: int) -> Fault | None:
        return None if self.durable is None or partition.partition != 1 else Fault(self.durable, self.durable)


@pytest.fixture
async def ledger(tmp_path):
    opened = open_ledger(new_file(tmp_path), ManualClock(), lease_seconds=2.0)
    await opened.open()
    yield opened
    await opened.close()


@pytest.fixture
async def bus():
    made = MemoryBus(ManualClock(), Failing())
    await made.open()
    await made.create([TopicSpec("lgsp.dossier", 2)])
    yield made
    await made.close()


def emission(number: int, partition: int, value: bytes = b"") -> Emission:
    return Emission("lgsp.dossier", partition, b"k" * 16, value or f"v{number}".encode(), [])


async def left(ledger) -> list[bytes]:
    return [each.value for _, each in await ledger.read(lambda conn: outbox.pending(conn, [LEASE], 99))]


def values(bus: MemoryBus, partition: int) -> list[bytes]:
    place = TopicPartition("lgsp.dossier", partition)
    return [record.value for record in bus.fetch(place, 0, 99)]


def publisher(bus, ledger) -> OutboxPublisher:
    return OutboxPublisher(bus, ledger, Leases(), ManualClock(), 2)


async def test_what_other_partitions_took_is_not_published_again_while_one_fails(bus, ledger):
    rows = [emission(n, n % 2) for n in range(6)]
    await ledger.write(lambda conn: outbox.add(conn, LEASE, rows))
    out, bus.faults.durable = publisher(bus, ledger), 1
    for _ in range(2):
        with pytest.raises(PublishFailed):
            await out.sweep()
    assert values(bus, 0) == [b"v0", b"v2", b"v4"]
    assert values(bus, 1) == [b"v1", b"v3"]
    assert await left(ledger) == [b"v5"]
    bus.faults.durable = None
    assert await out.sweep() == 1
    assert values(bus, 1) == [b"v1", b"v3", b"v5"]
    assert await left(ledger) == []


async def test_a_publisher_that_could_not_be_opened_again_is_opened_the_next_time(bus, ledger):
    await ledger.write(lambda conn: outbox.add(conn, LEASE, [emission(1, 1)]))
    out, bus.faults.durable = publisher(bus, ledger), 0
    made = await bus.publisher()
    out._publisher, reopened = made, made.reopen

    async def refuses() -> None:
        raise BusUnavailable("no broker")

    made.reopen = refuses
    with pytest.raises(BusUnavailable):
        await out.sweep()
    bus.faults.durable, made.reopen = None, reopened
    with pytest.raises(BusError):
        await out.sweep()
    assert await out.sweep() == 1


async def test_what_no_publisher_takes_is_refused_with_its_transaction(ledger):
    rows = [emission(1, 0), emission(2, 0, b"x" * (LONGEST_VALUE + 1))]
    with pytest.raises(RowRefused, match="262145"):
        await ledger.write(lambda conn: outbox.add(conn, LEASE, rows))
    assert await left(ledger) == []
    longest = emission(3, 0, b"x" * LONGEST_VALUE)
    await ledger.write(lambda conn: outbox.add(conn, LEASE, [longest]))
    assert len(await left(ledger)) == 1
