"""Taking shards over: what is read of them first, and what must be right before they are followed."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, NamedTuple

from router.delivery.accept import fingerprint
from router.delivery.commit import Alert
from router.delivery.feed import Feed
from router.delivery.ownership import Taken
from router.delivery.shards import Owned, own
from router.events import TopicPartition
from router.ledger import alerts, store
from router.ledger.rows import Shard
from router.ports import Ledger

BEYOND, MISSING, RECREATED = "position_beyond_bus", "records_missing", "topic_recreated"
OUT_OF_RANGE: Final = "position_out_of_range"
FAULTS: Final = frozenset({BEYOND, MISSING, RECREATED, OUT_OF_RANGE})


class Opened(NamedTuple):
    """A shard taken over: followed if ``fault`` is None, else left alone with an alert. ``mended`` are alerts of a
    fault that it had.
    """

    owned: Owned
    fault: Alert | None
    mended: Sequence[Alert]


async def open_shards(
    ledger: Ledger, feed: Feed, taken: Sequence[Taken], rest_until: dict[str, int], *, capacity: int
) -> list[Opened]:
    """Read the rows of shards just taken and compare them with the bus. ``rest_until`` by recipient (UTC µs);
    ``capacity`` in lanes of one shard.
    """
    leases = {taking.lease.name: taking for taking in taken}
    rows, standing = await ledger.read(lambda conn: (store.shards(conn), alerts.open_alerts(conn)))
    shards = [own_taken(shard, leases[shard.lease], rest_until, capacity) for shard in rows if shard.lease in leases]
    earliest, latest = await feed.edges([owned.topic_partition for owned in shards])
    opened: list[Opened] = []
    for owned in shards:
        partition = owned.topic_partition
        fault = position_fault(owned.shard, earliest[partition], latest[partition])
        if fault is None and owned.shard.fingerprint and owned.shard.position > earliest[partition]:
            fault = await _recreated(feed, owned.shard, partition)
        mended = [] if fault else [each for each in standing if each.subject == subject_of(owned.shard)]
        gone = [Alert(each.name, each.subject, "", raised=False) for each in mended if each.name in FAULTS]
        opened.append(Opened(owned, fault, gone))
    return opened


def own_taken(shard: Shard, taken: Taken, rest_until: dict[str, int], capacity: int) -> Owned:
    """A shard under its new lease; its heads rest unless the last owner let go cleanly."""
    rest = 0 if taken.clean else rest_until.get(shard.recipient, 0)
    return own(shard, taken.lease, rest_until=rest, capacity=capacity)


def subject_of(shard: Shard) -> str:
    """What a shard is called in alerts."""
    return f"{shard.recipient}/{shard.partition}"


def position_fault(shard: Shard, earliest: int, latest: int) -> Alert | None:
    """Whether the ledger's position is on the bus. A new shard begins at 0, and must not have missed anything."""
    if shard.position > latest:
        return Alert(BEYOND, subject_of(shard), f"position {shard.position}, the bus ends at {latest}")
    if shard.position < earliest:
        return Alert(MISSING, subject_of(shard), f"position {shard.position}, the bus begins at {earliest}")
    return None


async def _recreated(feed: Feed, shard: Shard, partition: TopicPartition) -> Alert | None:
    last = await feed.record_at(partition, shard.position - 1)
    if last is not None and fingerprint(last) == shard.fingerprint:
        return None
    return Alert(RECREATED, subject_of(shard), f"the record before {shard.position} is not the one accepted last")
