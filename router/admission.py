"""Before anything runs: topics, partition counts and positions of bus and ledger must belong together."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import TYPE_CHECKING

from router.assembly import topics_of
from router.events import AGENCY_TOPIC, TopicPartition, topic_of
from router.ledger import installation, registry, store
from router.ports import Bus, Ledger
from router.refusals import refused
from router.settings import Settings

if TYPE_CHECKING:
    from sqlalchemy import Connection


async def admit(settings: Settings, bus: Bus, ledger: Ledger, recipients: Sequence[str]) -> None:
    """Register the shards of all recipients and compare the bus with the ledger.

    Raises ``ConfigError`` for another partition count than the installation was made with, for a topic that is missing,
    and for a bus that is older than the ledger (a backup restored in parts, a topic made again).
    """
    partitions = settings.bus.partitions

    def register(conn: Connection) -> None:
        installation.require_partitions(conn, partitions)
        for name in recipients:
            store.register_shards(conn, name, partitions)

    await ledger.write(register)
    described = await bus.describe()
    for spec in topics_of(settings):
        state = described.get(spec.name)
        if state is None:
            raise refused("no_topic", key="bus", topic=spec.name)
        if state.partitions != partitions:
            raise refused(
                "topic_partitions", key="bus.partitions", form=str(partitions), topic=spec.name, found=state.partitions
            )
    await _require_whole(bus, ledger, described)


async def _require_whole(bus: Bus, ledger: Ledger, existing: Collection[str]) -> None:
    shards = await ledger.read(store.shards)
    at = {TopicPartition(topic_of(shard.recipient), shard.partition): shard.position for shard in shards}
    feed = await ledger.read(registry.positions)
    at |= {TopicPartition(AGENCY_TOPIC, number): position for number, position in feed.items()}
    reader = await bus.reader("lgsp-delivery")
    try:
        latest = await reader.latest([one for one in at if one.topic in existing])
    finally:
        await reader.close()
    beyond = [f"{one.topic}/{one.partition}" for one in latest if at[one] > latest[one]]
    if beyond:
        raise refused("bus_older", key="bus.url", found=", ".join(sorted(beyond)))
