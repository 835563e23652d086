"""The shards this process works on: taken over, opened, dropped and read again, given to another process.

A shard is in one of these places: ``shards`` (worked on), taken but not opened yet, *stale* (its memory is not to be
trusted; it is read again when its last calls have ended), *leaving* (another process should have it; let go when its
last calls are committed), or faulty (its position is not on the bus: left alone, with an alert).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final

from router.delivery.commit import Alert
from router.delivery.feed import Feed
from router.delivery.ownership import Ownership, Taken
from router.delivery.shards import Owned
from router.delivery.takeover import OUT_OF_RANGE, open_shards, subject_of
from router.events import TopicPartition
from router.ledger import leases as lease_table
from router.ledger.rows import Lease, shard_lease
from router.ports import Clock, Ledger

LANES_A_RECIPIENT: Final = 10_000  # in memory; what is beyond waits in the ledger
FEWEST_LANES: Final = 500


class Holdings:
    """``recipients`` with the longest a call of theirs may last (s); ``enter`` and ``leave`` tell the dispatchers."""

    def __init__(
        self,
        ledger: Ledger,
        ownership: Ownership,
        feed: Feed,
        clock: Clock,
        *,
        recipients: Mapping[str, float],
        partitions: int,
        enter: Callable[[Owned], None],
        leave: Callable[[Owned], None],
    ) -> None:
        self._ledger, self._ownership, self._feed, self._clock = ledger, ownership, feed, clock
        self._recipients, self._partitions = recipients, partitions
        self._enter, self._leave = enter, leave
        self.shards: dict[str, Owned] = {}  # by lease name
        self.alerts: list[Alert] = []
        self.unread = False  # the reader does not follow all shards yet
        self._taken: dict[str, Taken] = {}
        self._stale: dict[str, Owned] = {}
        self._leaving: dict[str, Owned] = {}
        self._faulty: set[str] = set()

    def works_on(self, owned: Owned) -> bool:
        """Whether it is worked on, under a lease that may be relied on now."""
        lease = owned.lease
        return self._ownership.held(lease.name) == lease and self.shards.get(lease.name) is owned

    async def share(self) -> None:
        """Begin to let go of what another process should have; take what is free and this process's share, and open
        it. Raises ``LedgerError`` or ``BusError``: what was taken is opened the next time.
        """
        surplus = self._ownership.surplus(self.shards)
        for name in surplus:
            self._leaving[name] = self._out(name)
        wanted = (
            name
            for recipient in self._recipients
            for partition in range(self._partitions)
            if (name := shard_lease(recipient, partition)) not in self._faulty
        )
        for taking in await self._ownership.take(wanted):
            self._taken[taking.lease.name] = taking
        if self._taken:
            await self._open()
        elif surplus:
            await self.follow()

    async def settle(self) -> None:
        """Between two groups: read stale shards again, release leaving ones, as soon as their last calls ended."""
        for name in [name for name, owned in self._stale.items() if owned.flying == 0]:
            lease = self._stale.pop(name).lease
            if not self._ownership.lapsed(lease):
                self._taken[name] = Taken(lease, clean=True)
        if self._taken:
            await self._open()
        if rested := [name for name, owned in self._leaving.items() if owned.flying == 0]:
            for name in rested:
                del self._leaving[name]
            await self._ownership.let_go(rested, clean=True)

    def drop(self, name: str) -> None:
        """A shard's memory is not to be trusted: give nothing more out, and read it again when its calls ended."""
        if name in self.shards:
            self._stale[name] = self._out(name)

    def fault(self, partition: TopicPartition, detail: str) -> None:
        """A shard's position is not on the bus: leave it alone until the next start, with an alert."""
        for name in [name for name, owned in self.shards.items() if owned.topic_partition == partition]:
            self.alerts.append(Alert(OUT_OF_RANGE, subject_of(self._out(name).shard), detail))
            self._faulty.add(name)

    def forget_lost(self) -> None:
        """What another process owns by now is not this process's business any more."""
        for name in [name for name, owned in self.shards.items() if self._ownership.lapsed(owned.lease)]:
            self._out(name)
        for name in [name for name, taking in self._taken.items() if self._ownership.lapsed(taking.lease)]:
            del self._taken[name]

    async def doubt(self, names: set[str]) -> None:
        """Leases that the fence did not give: lost only where a plain read shows another epoch."""
        if not names:
            return
        rows = await self._ledger.read(lease_table.leases)
        for name in names:
            lease = self._ownership.held(name)
            if lease is not None and rows[name].epoch != lease.epoch:
                self._ownership.lost(name)
        self.forget_lost()

    def lapsed(self, lease: Lease) -> bool:
        """Whether another epoch owns it for certain."""
        return self._ownership.lapsed(lease)

    async def follow(self) -> None:
        """Read all shards worked on, each from its position. Raises ``BusError``: then ``unread`` says to try again."""
        self.unread = True
        await self._feed.follow(self.shards.values())
        self.unread = False

    def _out(self, name: str) -> Owned:
        owned = self.shards.pop(name)
        if owned.lanes is not None:
            self._leave(owned)
        return owned

    async def _open(self) -> None:
        now = self._clock.now()
        rest = {recipient: now + int(1e6 * longest) for recipient, longest in self._recipients.items()}
        capacity = max(FEWEST_LANES, LANES_A_RECIPIENT // self._partitions)
        opened = await open_shards(self._ledger, self._feed, list(self._taken.values()), rest, capacity=capacity)
        for owned, fault, mended in opened:
            name = owned.lease.name
            self.alerts += mended
            del self._taken[name]
            if fault is not None:
                self.alerts.append(fault)
                self._faulty.add(name)
                continue
            self.shards[name] = owned
            if owned.lanes is not None:
                self._enter(owned)
        await self.follow()
