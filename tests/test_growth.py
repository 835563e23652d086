"""Growing the partition count: only when drained, and no event takes effect twice because its key moved."""

from __future__ import annotations

from contextlib import asynccontextmanager

import pytest

from router.bus.embedded import EmbeddedBus
from router.clock import SystemClock
from router.errors import ConfigError
from router.events import ROUTER, by_partition, key_of, partition_of, topic_of
from router.growth import Growth
from router.ledger import store
from router.ledger.engine import open_ledger
from router.sdk import Invalid
from tests.delivery import installation as small
from tests.delivery.installation import PARTITIONS, PARTNER, Script, installation, message

EVENTS = [(f"H39-{n}/1", f"H39-{n}") for n in range(20)]
GROWN = PARTITIONS + 2


@asynccontextmanager
async def stopped(folder):
    """Bus and ledger of an installation that does not run."""
    clock = SystemClock()
    bus, ledger = EmbeddedBus(folder / "bus.db", clock), open_ledger(f"sqlite:///{folder / 'ledger.db'}", clock)
    await bus.open()
    await ledger.open()
    try:
        yield bus, ledger, Growth(bus, ledger, clock, lease_seconds=0.1)
    finally:
        await ledger.close()
        await bus.close()


async def deliver(folder, script):
    async with installation(folder, script=script) as place:
        await place.publish(*EVENTS)
        await place.until(lambda: len(script.seen) >= len(EVENTS))
        for event_id, _ in EVENTS:
            await place.settled(event_id, "delivered", "dead")


async def test_what_was_accepted_before_is_recognised_in_the_shard_its_key_moved_to(tmp_path, monkeypatch):
    first, second = Script(), Script()
    await deliver(tmp_path, first)
    said = []
    async with stopped(tmp_path) as (bus, _, growth):
        await growth.grow(PARTITIONS, GROWN, said.append)
        assert {state.partitions for state in (await bus.describe()).values()} == {GROWN}
    assert said == ["stopped and drained", f"all topics have {GROWN} partitions", "recognition follows its keys"]
    monkeypatch.setattr(small, "PARTITIONS", GROWN)
    moved = [e for e in EVENTS if _at(e[1], PARTITIONS) != _at(e[1], GROWN)]
    assert moved
    async with installation(tmp_path, script=second) as place:
        publisher = await place.bus.publisher()
        again = [message(event_id, dossier) for event_id, dossier in [*moved, ("new/1", moved[0][1])]]
        await publisher.publish(by_partition(topic_of(PARTNER), again, GROWN))
        await publisher.close()
        await place.settled("new/1", "delivered")
        await place.until(lambda: place.service.tally.accepted[PARTNER, "repeated"] == len(moved))
    assert second.taken == ["new/1"]


async def test_the_count_is_recorded_last_and_the_command_can_be_repeated_after_a_crash(tmp_path):
    await deliver(tmp_path, Script())
    async with stopped(tmp_path) as (bus, ledger, growth):
        await bus.grow(list(await bus.describe()), GROWN)  # as far as a crashed run had come
        await growth.grow(PARTITIONS, GROWN, lambda _: None)
        shards = await ledger.read(store.shards)
        assert {(s.recipient, s.partition) for s in shards} == {(r, p) for r in (PARTNER, ROUTER) for p in range(GROWN)}
        with pytest.raises(ConfigError, match="has 5 partitions"):
            await growth.grow(PARTITIONS, GROWN + 1, lambda _: None)


async def test_it_is_refused_while_a_delivery_stands_in_its_lane(tmp_path):
    script = Script()
    script.answers[EVENTS[3][0]] = [Invalid("contract")]
    await deliver(tmp_path, script)
    async with stopped(tmp_path) as (bus, _, growth):
        with pytest.raises(ConfigError, match="not drained: partner: 1 dead"):
            await growth.grow(PARTITIONS, GROWN, lambda _: None)
        assert {state.partitions for state in (await bus.describe()).values()} == {PARTITIONS}


async def test_it_is_refused_while_records_are_not_routed_or_not_accepted(tmp_path):
    await deliver(tmp_path, Script())
    async with stopped(tmp_path) as (bus, _, growth):
        publisher = await bus.publisher()
        await publisher.publish(by_partition("lgsp.dossier", [message("late/1", "H39-1")], PARTITIONS))
        await publisher.publish(by_partition(topic_of(PARTNER), [message("late/2", "H39-2")], PARTITIONS))
        await publisher.close()
        with pytest.raises(ConfigError) as refused:
            await growth.grow(PARTITIONS, GROWN, lambda _: None)
    assert f"lgsp.dossier/{_at('H39-1', PARTITIONS)}: 1 records to route" in str(refused.value)
    assert f"{topic_of(PARTNER)}/{_at('H39-2', PARTITIONS)}: 1 records to accept" in str(refused.value)


async def test_it_is_refused_while_a_process_beats(tmp_path):
    async with installation(tmp_path) as place:
        await place.until(lambda: len(place.service.shards) == 2 * PARTITIONS)
        growth = Growth(place.bus, place.ledger, SystemClock(), lease_seconds=2.0)
        with pytest.raises(ConfigError, match="1 processes are running"):
            await growth.grow(PARTITIONS, GROWN, lambda _: None)


async def test_it_never_shrinks(tmp_path):
    await deliver(tmp_path, Script())
    async with stopped(tmp_path) as (_, _, growth):
        with pytest.raises(ConfigError, match="has 3 partitions"):
            await growth.grow(PARTITIONS, PARTITIONS, lambda _: None)


def _at(dossier, partitions):
    return partition_of(key_of("dossier_code", dossier).bytes, partitions)
