"""Fault-injecting ports of a simulated process over the bus and the ledger that all of them share."""

from __future__ import annotations

import sqlite3
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, TypeVar

from router.bus.local import LocalSubscription
from router.bus.memory import Fault, Faults, MemoryBus
from router.errors import BusUnavailable, CommitUnknown, LedgerUnavailable
from router.events import Fetched, Message, TopicPartition
from router.ledger.sqlite import SqliteLedger
from router.ports import Clock, Publisher, Reader, Rebalance, Subscription, TopicSpec, TopicState
from router.simulation.power import BROKER_WAITS, Chance, Gone, Power

if TYPE_CHECKING:
    from sqlalchemy import Connection

R = TypeVar("R")


class Store(SqliteLedger):
    """The real store in memory. ``raw`` is its connection, for looks at it that nobody in the world takes; ``compiled``
    are the statements that worlds share.
    """

    def __init__(self, clock: Clock, compiled: dict[Any, Any]) -> None:
        super().__init__(None, clock)
        self._compiled = compiled

    def _connect(self, *, read_only: bool) -> Connection:
        return super()._connect(read_only=read_only).execution_options(compiled_cache=self._compiled)

    def _raw(self, *, read_only: bool) -> sqlite3.Connection:
        self.raw = super()._raw(read_only=read_only)
        return self.raw


class SimLedger:
    """The ledger as one process reaches it."""

    def __init__(self, store: Store, power: Power, chance: Chance) -> None:
        self._store, self._power, self._chance = store, power, chance
        self.away = False

    async def open(self) -> None:
        """It is there."""

    async def close(self) -> None:
        """It stays."""

    async def write(self, work: Callable[[Connection], R]) -> R:
        """A transaction: not reached, done, done and not told, or the process ends before or behind it."""
        await self._power.gate("ledger write")
        if self.away or self._chance.strikes("ledger unavailable", 0.004):
            raise LedgerUnavailable("simulated: the ledger is away")
        if self._chance.strikes("commit unknown, not done", 0.002):
            raise CommitUnknown("simulated: not committed")
        made = await self._store.write(work)
        unknown = self._chance.strikes("commit unknown, done", 0.002)
        await self._power.gate("ledger committed", 0.0, 0.003)
        if unknown:
            raise CommitUnknown("simulated: committed")
        return made

    async def read(self, work: Callable[[Connection], R]) -> R:
        """What is committed."""
        await self._power.gate("ledger read", 0.0, 0.004)
        if self.away or self._chance.strikes("ledger unavailable", 0.002):
            raise LedgerUnavailable("simulated: the ledger is away")
        return await self._store.read(work)


class BrokerFaults(Faults):
    """Publishes that fail before, in the middle or after the fact; a broker that is away."""

    def __init__(self, chance: Chance) -> None:
        self._chance = chance
        self.away = False

    def publish(self, partition: TopicPartition, count: int) -> Fault | None:
        """Lost and ambiguous acknowledgements."""
        if self._chance.strikes("publish lost", 0.01):
            return Fault(0, 0)
        if self._chance.strikes("acknowledgement lost", 0.015):
            durable = self._chance.random.randint(0, count)
            return Fault(durable, self._chance.random.randint(0, durable))
        return None

    def down(self) -> bool:
        """Whether the broker restarts at the moment."""
        return self.away


class SimBus:
    """The bus as one process reaches it. ``members`` are its subscriptions, for the broker to expire."""

    def __init__(self, shared: MemoryBus, power: Power) -> None:
        self._shared, self._power = shared, power
        self.members: list[LocalSubscription] = []

    async def open(self) -> None:
        """It is there."""

    async def close(self) -> None:
        """It stays."""

    async def create(self, topics: Sequence[TopicSpec]) -> None:
        """As it is."""
        await self._shared.create(topics)

    async def grow(self, topics: Sequence[str], partitions: int) -> None:
        """As it is."""
        await self._shared.grow(topics, partitions)

    async def describe(self) -> dict[str, TopicState]:
        """As it is."""
        return await self._shared.describe()

    async def publisher(self) -> Publisher:
        """A publisher."""
        await self._power.gate("publisher")
        return _Publisher(await self._shared.publisher(), self._power)

    async def subscribe(
        self, group: str, topics: Sequence[str], rebalance: Rebalance, *, member: str | None = None
    ) -> Subscription:
        """Join; a dead member is not told of anything."""
        await self._power.gate("subscribe")
        joined = await self._shared.subscribe(group, topics, _Rebalance(rebalance, self._power))
        assert isinstance(joined, LocalSubscription)
        self.members.append(joined)
        return _Subscription(joined, self._power)

    async def reader(self, group: str) -> Reader:
        """A reader."""
        await self._power.gate("reader")
        return _Reader(await self._shared.reader(group), self._power)


class _Publisher:
    def __init__(self, inner: Publisher, power: Power) -> None:
        self._inner, self._power = inner, power

    async def publish(self, batches: Mapping[TopicPartition, Sequence[Message]]) -> dict[TopicPartition, int]:
        # No gate before: batches become durable in the order handed over, as the port promises.
        if self._power.off or self._power.frozen is not None:
            await self._power.still()
        firsts = await self._inner.publish(batches)
        await self._power.gate("published")
        return firsts

    async def reopen(self) -> None:
        await self._power.gate("publisher reopen")
        await self._inner.reopen()

    async def close(self) -> None:
        await self._inner.close()


class _Subscription:
    def __init__(self, inner: LocalSubscription, power: Power) -> None:
        self._inner, self._power = inner, power

    async def poll(self, limit: int, timeout: float) -> Mapping[TopicPartition, Sequence[Fetched]]:
        found = await self._inner.poll(limit, timeout)
        before = set(self._inner.assignment())
        await self._power.gate("polled")  # a rebalance in here makes what was found stale
        if found and before != set(self._inner.assignment()):
            self._power.chance.met("stale poll")
        return found

    async def commit(self, offsets: Mapping[TopicPartition, int]) -> None:
        await self._power.gate("offsets commit")
        await self._inner.commit(offsets)

    async def seek(self, offsets: Mapping[TopicPartition, int]) -> None:
        await self._power.still()
        await self._inner.seek(offsets)

    async def lag(self) -> Mapping[TopicPartition, int]:
        await self._power.gate("lag")
        return await self._inner.lag()

    def assignment(self) -> Iterable[TopicPartition]:
        return self._inner.assignment()

    async def close(self) -> None:
        await self._power.gate("subscription close")
        await self._inner.close()


class _Rebalance:
    """A live member settles; one that is dead or frozen, or dies meanwhile, is not waited for."""

    def __init__(self, inner: Rebalance, power: Power) -> None:
        self._inner, self._power = inner, power

    async def revoked(self, partitions: Sequence[TopicPartition]) -> None:
        await self._told(self._inner.revoked, partitions)

    async def assigned(self, partitions: Sequence[TopicPartition]) -> None:
        await self._told(self._inner.assigned, partitions)

    async def _told(
        self, listener: Callable[[Sequence[TopicPartition]], Awaitable[None]], partitions: Sequence[TopicPartition]
    ) -> None:
        if self._power.off or self._power.frozen is not None:
            return
        waiting = BROKER_WAITS.set(True)
        try:
            await listener(partitions)
        except Gone:
            return
        finally:
            BROKER_WAITS.reset(waiting)


class _Reader:
    def __init__(self, inner: Reader, power: Power) -> None:
        self._inner, self._power = inner, power

    async def set(self, positions: Mapping[TopicPartition, int]) -> None:
        await self._power.gate("reader set")
        await self._inner.set(positions)

    def pause(self, partitions: Iterable[TopicPartition]) -> None:
        self._inner.pause(partitions)

    async def next(self, limit: int, timeout: float) -> Mapping[TopicPartition, Sequence[Fetched]]:
        found = await self._inner.next(limit, timeout)
        await self._power.gate("fetched")
        return found

    async def earliest(self, partitions: Iterable[TopicPartition]) -> dict[TopicPartition, int]:
        await self._power.gate("edges")
        return await self._inner.earliest(partitions)

    async def latest(self, partitions: Iterable[TopicPartition]) -> dict[TopicPartition, int]:
        await self._power.gate("edges")
        return await self._inner.latest(partitions)

    async def note(self, positions: Mapping[TopicPartition, int]) -> None:
        await self._power.gate("note")
        if self._power.chance.strikes("note lost", 0.05):
            raise BusUnavailable("simulated: the coordinator is away")
        await self._inner.note(positions)

    async def close(self) -> None:
        await self._inner.close()
