"""Consumer groups inside one process, for the adapters whose log lives here: who reads which partition.

Partitions are dealt round robin over the members in the order they joined. A change of members is a rebalance: every
member that loses partitions is told first, and may commit; then the new owners are told.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from router.events import TopicPartition
from router.ports import Rebalance

#: The position a partition's next owner starts from: its last commit, or the earliest record.
StartOf = Callable[[TopicPartition], int]


@dataclass(slots=True, eq=False)
class Member:
    """One subscription: what it subscribed to, what it owns, and where it stands in each partition."""

    topics: frozenset[str]
    rebalance: Rebalance
    positions: dict[TopicPartition, int] = field(default_factory=dict)


def dealt(members: Sequence[Member], partitions: Sequence[TopicPartition]) -> list[list[TopicPartition]]:
    """The partitions of each member, in the members' order."""
    shares: list[list[TopicPartition]] = [[] for _ in members]
    for number, partition in enumerate(sorted(partitions)):
        takers = [index for index, member in enumerate(members) if partition.topic in member.topics]
        if takers:
            shares[takers[number % len(takers)]].append(partition)
    return shares


class Group:
    """A group's members and their partitions."""

    def __init__(self) -> None:
        self.members: list[Member] = []
        self._dealing = asyncio.Lock()
        self.torn = False  # the last deal failed half-way: the log could not say where partitions start

    async def join(self, member: Member, partitions: Sequence[TopicPartition], starts: StartOf) -> None:
        """Add a member and deal again. If that fails, whoever asked is no member, and owns nothing."""
        async with self._dealing:
            self.members.append(member)
            try:
                await self._deal(partitions, starts)
            except BaseException:
                self.members.remove(member)
                raise

    async def leave(self, member: Member, partitions: Sequence[TopicPartition], starts: StartOf) -> None:
        """Take a member out and deal again."""
        async with self._dealing:
            if member in self.members:
                self.members.remove(member)
                member.positions.clear()
                await self._deal(partitions, starts)

    async def mend(self, partitions: Sequence[TopicPartition], starts: StartOf) -> None:
        """Deal again if the last deal failed: until then there are partitions that nobody reads."""
        async with self._dealing:
            if self.torn:
                await self._deal(partitions, starts)

    async def _deal(self, partitions: Sequence[TopicPartition], starts: StartOf) -> None:
        self.torn = True
        shares = dealt(self.members, partitions)
        for member, share in zip(self.members, shares, strict=True):
            gone = [partition for partition in member.positions if partition not in share]
            if gone:
                await member.rebalance.revoked(gone)
                for partition in gone:
                    member.positions.pop(partition, None)
        for member, share in zip(self.members, shares, strict=True):
            new = [partition for partition in share if partition not in member.positions]
            if new:
                member.positions.update({partition: starts(partition) for partition in new})
                await member.rebalance.assigned(new)
        self.torn = False
