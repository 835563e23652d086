"""Growing the partition count of an installation that is stopped and drained.

Keys change their partition, so nothing of the old layout may be under way: everything is routed, accepted and
finished, and every process is stopped. Then topics grow, recognition follows the keys, and the count is recorded last:
after a crash anywhere the service refuses to start until the command has been repeated.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Final

from router.events import INPUT_TOPICS, ROUTER, TopicPartition, partition_of, topic_of
from router.ledger import growth as table
from router.ledger import leases, store
from router.ledger.installation import require_partitions
from router.ports import Bus, Clock, Ledger
from router.refusals import refused
from router.routing.hop import GROUP

JOIN_PATIENCE: Final = 30.0
TOPIC_PREFIX: Final = "lgsp."  # other topics of a cluster are not the installation's


class _Quiet:
    """Looks at the group without doing anything in it."""

    async def revoked(self, partitions: Sequence[TopicPartition]) -> None:
        """Nothing was read."""

    async def assigned(self, partitions: Sequence[TopicPartition]) -> None:
        """Nothing is read."""


class Growth:
    """One run of the command. ``lease_seconds`` tells how long a living process may be silent."""

    def __init__(self, bus: Bus, ledger: Ledger, clock: Clock, *, lease_seconds: float) -> None:
        self._bus, self._ledger, self._clock, self._lease_seconds = bus, ledger, clock, lease_seconds

    async def grow(self, before: int, after: int, progress: Callable[[str], None]) -> None:
        """From ``before`` partitions to ``after``. Raises ``ConfigError`` naming what is not drained yet."""
        if after <= before:
            raise refused("partitions", key="partitions", form=f"> {before}", found=before)
        await self._ledger.write(lambda conn: require_partitions(conn, before))
        await self._stopped()
        await self._drained()
        progress("stopped and drained")
        topics = [name for name in await self._bus.describe() if name.startswith(TOPIC_PREFIX)]
        await self._bus.grow(topics, after)
        progress(f"all topics have {after} partitions")
        recipients = sorted({place.recipient for place in await self._ledger.read(table.places)})
        for name in recipients:
            await self._ledger.write(partial(store.register_shards, recipient=name, partitions=after))
        places = await self._ledger.read(table.places)
        for place in places:
            if place.partition < before:
                await self._move(place, {p.partition: p.id for p in places if p.recipient == place.recipient}, after)
        progress("recognition follows its keys")
        await self._ledger.write(lambda conn: table.set_partitions(conn, after))

    async def _move(self, place: table.Place, target: dict[int, int], after: int) -> None:
        at: bytes | None = b""
        while at is not None:
            page = partial(
                table.move_recognition,
                origin=place,
                target=target,
                partition_of=lambda key: partition_of(key, after),
                after=at,
            )
            at = await self._ledger.write(page)

    async def _stopped(self) -> None:
        seen = await self._ledger.read(leases.processes)
        if not seen:
            return
        await self._clock.sleep(self._lease_seconds / 2)  # a living process beats several times meanwhile
        again = await self._ledger.read(leases.processes)
        alive = [name for name, row in again.items() if name not in seen or seen[name].beat != row.beat]
        if alive:
            raise refused("running", key="partitions", found=len(alive))

    async def _drained(self) -> None:
        left = [
            f"{u.recipient}: {u.deliveries} {u.state}"
            for u in await self._ledger.read(partial(table.unfinished, without=ROUTER))
        ]
        if rows := await self._ledger.read(table.outbox_rows):
            left.append(f"outbox: {rows} rows to publish")
        left += await self._unrouted()
        left += await self._unaccepted()
        if left:
            raise refused("not_drained", key="partitions", found="; ".join(left))

    async def _unrouted(self) -> list[str]:
        membership = await self._bus.subscribe(GROUP, INPUT_TOPICS, _Quiet())
        try:
            deadline = self._clock.monotonic() + JOIN_PATIENCE
            while not list(membership.assignment()) and self._clock.monotonic() < deadline:
                await self._clock.sleep(0.1)
            behind = await membership.lag()
        finally:
            await membership.close()
        return [f"{at.topic}/{at.partition}: {lag} records to route" for at, lag in sorted(behind.items()) if lag]

    async def _unaccepted(self) -> list[str]:
        shards = await self._ledger.read(store.shards)
        at = {TopicPartition(topic_of(shard.recipient), shard.partition): shard.position for shard in shards}
        reader = await self._bus.reader("lgsp-growth")
        try:
            existing = await self._bus.describe()
            known = [one for one in at if one.topic in existing and one.partition < existing[one.topic].partitions]
            latest = await reader.latest(known)
        finally:
            await reader.close()
        behind = {one: latest[one] - at[one] for one in known if latest[one] > at[one]}
        return [f"{one.topic}/{one.partition}: {count} records to accept" for one, count in behind.items()]
