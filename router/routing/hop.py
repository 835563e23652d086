"""The router hop: from the input topics to one topic per recipient, by headers, in batches, co-partitioned.

The partition number is kept, so order per key is a property of the layout. Positions are committed about once a second
and only behind acknowledged output; after a failed publish everything in flight is forgotten, the publisher reopened
and the input read again from the last commit.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Final, NamedTuple

from router.errors import BusError, BusUnavailable, PublishFailed
from router.events import INPUT_TOPICS, Message, Polled, TopicPartition
from router.histogram import Histogram
from router.ports import Bus, Clock, Publisher, Subscription
from router.routing.decide import Decider
from router.routing.table import Routes

GROUP: Final = "lgsp-router"


@dataclass(frozen=True, slots=True)
class HopSettings:
    """``polls_in_flight`` publishes may wait for their acknowledgement; times in seconds.

    Such large polls suit a log that writes all it is given in one transaction; see ``STREAMING``.
    """

    batch: int = 5_000
    wait: float = 0.5
    polls_in_flight: int = 3
    commit_every: float = 1.0
    stuck_after: float = 30.0
    pause_after_failure: float = 0.5


#: For a log that gathers what it is given while it waits for the broker: as many records in flight, in polls whose
#: objects stay in the processor's cache.
STREAMING: Final = HopSettings(batch=600, polls_in_flight=25)


class HopStats(NamedTuple):
    """Since the start."""

    routed: int
    unroutable: int
    polls: int
    failures: int
    rebuilds: int
    rebalances: int


class _Flight(NamedTuple):
    task: asyncio.Task[dict[TopicPartition, int]]
    ends: dict[TopicPartition, int]
    oldest: list[tuple[int, int]]  # by input partition: ms since 1970 of its first record, records


class Hop:
    """One member of the router's group. ``routes`` is asked between polls, never inside one."""

    def __init__(
        self, bus: Bus, routes: Callable[[], Routes], clock: Clock, settings: HopSettings, *, member: str | None = None
    ) -> None:
        self._bus, self._routes, self._clock, self._settings, self._member = bus, routes, clock, settings, member
        self._decider = Decider(routes())
        #: Seconds from an event's publication to the acknowledgement of its outputs; a poll's records count as its
        #: oldest of their partition does.
        self.latency = Histogram()
        self._publisher: Publisher | None = None
        self._subscription: Subscription | None = None
        self._flights: deque[_Flight] = deque()
        self._acknowledged: dict[TopicPartition, int] = {}
        self._committed: dict[TopicPartition, int] = {}
        self._generation = 0
        self._stopping = self._torn = False
        self._next_commit = self._progress = 0.0
        self._polls = self._failures = self._rebuilds = self._rebalances = 0

    async def run(self) -> None:
        """Route until ``stop``; broker troubles are waited out."""
        while not self._stopping:
            try:
                await self._open()
                while not self._stopping:
                    await self._turn()
            except BusError:
                self._failures += 1
                await self._give_up()
                if not self._stopping:
                    await self._clock.sleep(self._settings.pause_after_failure)
        await self._close()

    def stop(self) -> None:
        """Route nothing more; ``run`` settles what is in flight, commits and returns."""
        self._stopping = True

    def stats(self) -> HopStats:
        """Counters."""
        decider = self._decider
        return HopStats(
            decider.routed, decider.unroutable, self._polls, self._failures, self._rebuilds, self._rebalances
        )

    async def lag(self) -> Mapping[TopicPartition, int]:
        """Records not yet routed and committed, by input partition."""
        return await self._subscription.lag() if self._subscription is not None else {}

    # Rebalance: shared by all adapters

    async def revoked(self, partitions: Sequence[TopicPartition]) -> None:
        """Settle what is in flight and commit, while the partitions are still ours."""
        self._generation += 1
        try:
            await self._settle_all()
            await self._commit()
        except BusError:
            self._forget_flights()
            self._torn = True  # also of partitions that stay: everything is read again from the last commit
        for partition in partitions:
            self._acknowledged.pop(partition, None)
            self._committed.pop(partition, None)

    async def assigned(self, partitions: Sequence[TopicPartition]) -> None:
        """New partitions start at their last commit; what a poll under way holds of them is read again."""
        self._generation += 1
        self._rebalances += 1

    # Inside

    async def _turn(self) -> None:
        generation = self._generation
        assert self._subscription is not None
        if self._torn:
            raise BusUnavailable("output was lost around a rebalance")
        polled = await self._subscription.poll(self._settings.batch, self._settings.wait)
        if generation != self._generation and polled:
            await self._seek_back(polled)
            return
        self._decider.use(self._routes())
        if polled:
            self._polls += 1
            self._start(polled)
            del polled  # and with it thousands of objects, whose memory the next poll then finds warm
            await self._make_room()
        await self._settle_done()
        if self._clock.monotonic() >= self._next_commit:
            await self._commit()
            await self._watch()

    def _start(self, polled: Mapping[TopicPartition, Sequence[Polled]]) -> None:
        assert self._publisher is not None
        batches: dict[TopicPartition, list[Message]] = {}
        for partition, records in polled.items():
            self._decider.route(partition, records, batches)
        ends = {partition: records[-1].offset + 1 for partition, records in polled.items()}
        oldest = [(records[0].timestamp, len(records)) for records in polled.values()]
        self._flights.append(_Flight(asyncio.ensure_future(self._publisher.publish(batches)), ends, oldest))

    async def _make_room(self) -> None:
        await asyncio.sleep(0)  # noqa: TID251 (hands the batches over in this order; waits for nothing)
        while len(self._flights) >= self._settings.polls_in_flight:
            await self._settle_first()

    async def _settle_first(self) -> None:
        """The oldest flight's acknowledgement; its input may be committed then."""
        flight = self._flights[0]
        await flight.task
        self._flights.popleft()
        self._acknowledged.update(flight.ends)
        self._progress = self._clock.monotonic()
        now = self._clock.now() // 1000
        for timestamp, count in flight.oldest:
            self.latency.add(max(0, now - timestamp) / 1000, count)

    async def _settle_done(self) -> None:
        while self._flights and self._flights[0].task.done():
            await self._settle_first()

    async def _settle_all(self) -> None:
        while self._flights:
            await self._settle_first()

    async def _commit(self) -> None:
        self._next_commit = self._clock.monotonic() + self._settings.commit_every
        if self._subscription is None:  # a rebalance while the clients are being replaced: nothing is read under it
            return
        owned = set(self._subscription.assignment())
        due = {p: end for p, end in self._acknowledged.items() if self._committed.get(p) != end and p in owned}
        if not due:
            return
        try:
            await self._subscription.commit(due)
        except BusUnavailable:
            return  # the group has moved on, or the broker is away: what is not committed is routed again
        self._committed.update(due)

    async def _seek_back(self, polled: Mapping[TopicPartition, Sequence[Polled]]) -> None:
        """A poll that spans a rebalance may hold records of the new assignment: they are read again."""
        assert self._subscription is not None
        owned = set(self._subscription.assignment())
        firsts = {p: records[0].offset for p, records in polled.items() if p in owned and records}
        await self._subscription.seek({p: min(first, self._committed.get(p, first)) for p, first in firsts.items()})

    async def _watch(self) -> None:
        """Rebuild the clients when there is work and nothing moves."""
        if self._clock.monotonic() - self._progress < self._settings.stuck_after:
            return
        self._progress = self._clock.monotonic()
        if any((await self.lag()).values()):
            self._rebuilds += 1
            raise BusUnavailable("there is a lag and nothing moves: the clients are rebuilt")

    async def _open(self) -> None:
        self._torn = False
        self._publisher = await self._bus.publisher()
        self._subscription = await self._bus.subscribe(GROUP, INPUT_TOPICS, self, member=self._member)
        self._progress = self._clock.monotonic()

    async def _give_up(self) -> None:
        """Forget what is in flight; the next subscription starts at the last commit."""
        self._forget_flights()
        self._acknowledged.clear()
        self._committed.clear()
        publisher, subscription = self._publisher, self._subscription
        self._publisher = self._subscription = None
        with suppress(BusError):  # what cannot be closed while the broker is away is counted out by it
            if subscription is not None:
                await subscription.close()
        with suppress(BusError):
            if publisher is not None:
                await publisher.close()

    def _forget_flights(self) -> None:
        for flight in self._flights:
            flight.task.cancel()
            flight.task.add_done_callback(_seen)
        self._flights.clear()

    async def _close(self) -> None:
        try:
            await self._settle_all()
            if self._subscription is not None:
                await self._commit()
        except PublishFailed:
            self._failures += 1  # not committed: routed again by whoever comes next
        await self._give_up()


def _seen(task: asyncio.Task[dict[TopicPartition, int]]) -> None:
    if not task.cancelled():
        task.exception()
