"""What the two logs that live in this process share: group membership, waiting for records, reading by position.

A log below gives ``fetch`` (records of a partition from an offset), ``edges`` (earliest and end), commits and topics;
everything a subscription or reader does above it is the same.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple, Protocol

from router.bus.groups import Group, Member, StartOf
from router.errors import BusUnavailable, PositionOutOfRange
from router.events import Fetched, Headers, TopicPartition
from router.ports import Rebalance


@dataclass(slots=True)
class Record:
    """A record of a local log."""

    topic: str
    partition: int
    offset: int
    timestamp: int
    key: bytes
    value: bytes
    headers: Headers


class Edges(NamedTuple):
    """The earliest offset of a partition, and the offset its next record will have."""

    earliest: int
    end: int


class Log(Protocol):
    """The storage below."""

    appended: asyncio.Condition

    def partitions(self, topics: Iterable[str]) -> list[TopicPartition]:
        """All partitions of these topics; topics that do not exist are left out."""
        ...

    def edges(self, partition: TopicPartition) -> Edges:
        """Where a partition begins and ends."""
        ...

    def fetch(self, partition: TopicPartition, offset: int, limit: int) -> Sequence[Fetched]:
        """Records from ``offset`` on, without gaps."""
        ...

    def committed(self, group: str) -> dict[TopicPartition, int]:
        """The commits of a group."""
        ...

    async def store_commits(self, group: str, offsets: Mapping[TopicPartition, int]) -> None:
        """Keep commits durably."""
        ...


class LocalSubscription:
    """A member of a group over a local log."""

    def __init__(self, log: Log, name: str, group: Group, member: Member) -> None:
        self._log, self._name, self._group, self._member = log, name, group, member
        self._closed = False

    async def poll(self, limit: int, timeout: float) -> Mapping[TopicPartition, Sequence[Fetched]]:
        """Records of the partitions owned when the poll began."""
        self._require_open()
        if self._group.torn:
            await self._group.mend(*self._dealt())
        wanted = dict(self._member.positions)
        found = await _first(self._log, wanted, limit, timeout)
        positions = self._member.positions
        for partition, records in list(found.items()):
            if positions.get(partition) == wanted[partition]:
                positions[partition] = records[-1].offset + 1
            elif partition in positions:
                del found[partition]  # sought elsewhere while this poll waited
        return found

    async def commit(self, offsets: Mapping[TopicPartition, int]) -> None:
        """Commit partitions still owned; ``BusUnavailable`` if one is not."""
        self._require_open()
        gone = [partition for partition in offsets if partition not in self._member.positions]
        if gone:
            raise BusUnavailable(f"not owned any more: {gone}")
        await self._log.store_commits(self._name, offsets)

    async def seek(self, offsets: Mapping[TopicPartition, int]) -> None:
        """Read these partitions again from there; those not owned are left out."""
        self._require_open()
        for partition, offset in offsets.items():
            if partition in self._member.positions:
                self._member.positions[partition] = offset

    async def lag(self) -> Mapping[TopicPartition, int]:
        """Records behind the last commit, by partition owned."""
        committed = self._log.committed(self._name)
        lags = {}
        for partition in self._member.positions:
            edges = self._log.edges(partition)
            lags[partition] = edges.end - committed.get(partition, edges.earliest)
        return lags

    def assignment(self) -> Iterable[TopicPartition]:
        """What is owned now."""
        return tuple(self._member.positions)

    async def close(self) -> None:
        """Leave the group."""
        if not self._closed:
            self._closed = True
            await self._group.leave(self._member, *self._dealt())

    def _dealt(self) -> tuple[list[TopicPartition], StartOf]:
        """What the group deals out, and where each partition starts."""
        topics = {topic for member in self._group.members for topic in member.topics}
        return self._log.partitions(topics), start_of(self._log, self._name)

    def _require_open(self) -> None:
        if self._closed:
            raise BusUnavailable("the subscription is closed")


class LocalReader:
    """Reads a local log by position."""

    def __init__(self, log: Log, group: str) -> None:
        self._log, self._group = log, group
        self._positions: dict[TopicPartition, int] = {}
        self._paused: frozenset[TopicPartition] = frozenset()

    async def set(self, positions: Mapping[TopicPartition, int]) -> None:
        """Replace the assignment."""
        self._positions = dict(positions)

    def pause(self, partitions: Iterable[TopicPartition]) -> None:
        """Leave these out from now on."""
        self._paused = frozenset(partitions)

    async def next(self, limit: int, timeout: float) -> Mapping[TopicPartition, Sequence[Fetched]]:
        """The next records of the partitions not paused."""
        before = self._positions
        wanted = {p: offset for p, offset in before.items() if p not in self._paused}
        for partition, offset in wanted.items():
            edges = self._log.edges(partition)
            if not edges.earliest <= offset <= edges.end:
                raise PositionOutOfRange(partition, offset, edges.earliest, edges.end)
        found = await _first(self._log, wanted, limit, timeout)
        if self._positions is not before:
            return {}  # set anew while this call waited
        for partition, records in found.items():
            self._positions[partition] = records[-1].offset + 1
        return found

    async def earliest(self, partitions: Iterable[TopicPartition]) -> dict[TopicPartition, int]:
        """Where partitions begin."""
        return {partition: self._log.edges(partition).earliest for partition in partitions}

    async def latest(self, partitions: Iterable[TopicPartition]) -> dict[TopicPartition, int]:
        """The offset of the next record of partitions."""
        return {partition: self._log.edges(partition).end for partition in partitions}

    async def note(self, positions: Mapping[TopicPartition, int]) -> None:
        """Keep the positions under the group's name."""
        await self._log.store_commits(self._group, positions)

    async def close(self) -> None:
        """Nothing is held."""
        self._positions = {}


async def subscribe(
    log: Log, groups: dict[str, Group], name: str, topics: Sequence[str], rebalance: Rebalance
) -> LocalSubscription:
    """Join a group."""
    group = groups.setdefault(name, Group())
    member = Member(frozenset(topics), rebalance)
    everything = {topic for other in group.members for topic in other.topics} | member.topics
    await group.join(member, log.partitions(everything), start_of(log, name))
    return LocalSubscription(log, name, group, member)


def start_of(log: Log, group: str) -> StartOf:
    """Where a partition's next owner starts: the last commit, or the earliest record."""
    # Asked anew each time: the former owner may commit while its partitions are being revoked.
    return lambda partition: log.committed(group).get(partition, log.edges(partition).earliest)


async def _first(
    log: Log, wanted: Mapping[TopicPartition, int], limit: int, timeout: float
) -> dict[TopicPartition, Sequence[Fetched]]:
    """What is there, or the first that comes within ``timeout`` seconds."""
    found = _fetch(log, wanted, limit)
    if found or timeout <= 0:
        return found
    try:
        async with asyncio.timeout(timeout), log.appended:
            while not (found := _fetch(log, wanted, limit)):
                await log.appended.wait()
    except TimeoutError:
        return {}
    return found


def _fetch(log: Log, wanted: Mapping[TopicPartition, int], limit: int) -> dict[TopicPartition, Sequence[Fetched]]:
    """Records of all wanted partitions, shared out so that no partition waits behind a busy one."""
    wanted = {partition: offset for partition, offset in wanted.items() if offset < log.edges(partition).end}
    share = max(1, limit // max(1, len(wanted)))
    found: dict[TopicPartition, Sequence[Fetched]] = {}
    left = limit
    for partition, offset in wanted.items():
        if left <= 0:
            break
        if records := log.fetch(partition, offset, min(share, left)):
            found[partition] = records
            left -= len(records)
    return found
