"""What only the embedded log has: one flush for many, purge, backup, a foreign writer."""

import asyncio
import sqlite3
from pathlib import Path

import pytest

from router.bus.embedded import EmbeddedBus
from router.clock import SystemClock
from router.errors import PublishFailed
from router.events import TopicPartition
from router.ports import TopicSpec
from tests.bus.harness import Rebalances, drain, messages, opened, publish, values

DAY = 86_400_000


@pytest.fixture
async def rig(tmp_path):
    rig = await opened("embedded", str(tmp_path / "bus.db"))
    yield rig
    await rig.bus.close()


class CountedCommits(EmbeddedBus):
    """Counts the transactions that write records."""

    commits = 0

    async def _write(self, waiting):
        self.commits += 1
        await super()._write(waiting)


async def test_publishes_of_one_turn_share_a_transaction(tmp_path):
    bus = CountedCommits(tmp_path / "bus.db", SystemClock())
    await bus.open()
    await bus.create([TopicSpec("t", 2)])
    one, other = await bus.publisher(), await bus.publisher()
    calls = [
        publisher.publish({TopicPartition("t", n % 2): messages(2, n)}) for n, publisher in enumerate([one, other] * 5)
    ]
    firsts = await asyncio.gather(*calls)
    await bus.close()
    assert bus.commits == 1
    assert sorted(offset for first in firsts for offset in first.values()) == [0, 0, 2, 2, 4, 4, 6, 6, 8, 8]


async def test_the_file_flushes_at_every_commit(rig):
    with sqlite3.connect(rig.where) as db:
        assert db.execute("PRAGMA journal_mode").fetchone() == ("wal",)
    db.close()
    assert rig.bus._db.execute("PRAGMA synchronous").fetchone() == (2,)


async def test_a_failed_transaction_fails_its_calls_and_leaves_nothing(rig):
    publisher = await rig.bus.publisher()
    rig.bus._db.execute("CREATE TRIGGER full BEFORE INSERT ON record BEGIN SELECT RAISE(ABORT, 'disk full'); END")
    with pytest.raises(PublishFailed) as failure:
        await publisher.publish({rig.at(0): messages(2)})
    assert failure.value.durable == {rig.at(0): 0}
    rig.bus._db.execute("DROP TRIGGER full")
    await publisher.reopen()
    assert await publisher.publish({rig.at(0): messages(2)}) == {rig.at(0): 0}


async def test_an_unknown_partition_fails_its_own_call_only(rig):
    publisher = await rig.bus.publisher()
    bad = publisher.publish({TopicPartition("nowhere", 0): messages(1)})
    good = (await rig.bus.publisher()).publish({rig.at(0): messages(1)})
    failed, done = await asyncio.gather(bad, good, return_exceptions=True)
    assert isinstance(failed, PublishFailed)
    assert done == {rig.at(0): 0}


async def test_a_publish_waits_for_a_foreign_writer(rig):
    foreign = sqlite3.connect(rig.where, isolation_level=None, timeout=0)
    foreign.execute("BEGIN IMMEDIATE")
    publishing = asyncio.create_task(publish(rig.bus, {rig.at(0): messages(1)}))
    done, _ = await asyncio.wait([publishing], timeout=0.05)
    assert not done
    foreign.execute("ROLLBACK")
    foreign.close()
    assert await publishing == {rig.at(0): 0}


def later(rig, days: int) -> int:
    return SystemClock().now() + days * DAY * 1000


async def test_purge_deletes_what_is_old_and_passed_by_all(rig):
    await publish(rig.bus, {rig.at(0): messages(2000), rig.at(1): messages(4)})
    await rig.bus.store_commits("slow", {rig.at(0): 1200})
    await rig.bus.store_commits("fast", {rig.at(0): 1900})
    assert await rig.bus.purge(later(rig, 15), {rig.at(1): 3}) == 1203
    reader = await rig.bus.reader("g")
    assert await reader.earliest([rig.at(0), rig.at(1)]) == {rig.at(0): 1200, rig.at(1): 3}


async def test_purge_keeps_what_is_young_and_what_nobody_has_passed(rig):
    await publish(rig.bus, {rig.at(0): messages(5), rig.at(1): messages(5)})
    await rig.bus.store_commits("g", {rig.at(0): 5})
    assert await rig.bus.purge(later(rig, 13), {}) == 0
    assert await rig.bus.purge(later(rig, 15), {}) == 5


async def test_purge_keeps_a_topic_that_is_to_be_compacted(rig):
    compacted = TopicPartition("compacted", 0)
    await rig.bus.create([TopicSpec("compacted", 1, retention_ms=1, config={"cleanup.policy": "compact"})])
    await publish(rig.bus, {compacted: messages(3), rig.at(0): messages(3)})
    assert await rig.bus.purge(later(rig, 15), {compacted: 3, rig.at(0): 3}) == 3
    reader = await rig.bus.reader("g")
    assert await reader.earliest([compacted, rig.at(0)]) == {compacted: 0, rig.at(0): 3}


async def test_the_ledgers_position_holds_back_a_purge(rig):
    await publish(rig.bus, {rig.at(0): messages(5)})
    await rig.bus.store_commits("g", {rig.at(0): 5})
    assert await rig.bus.purge(later(rig, 15), {rig.at(0): 2}) == 2


async def test_offsets_go_on_after_everything_was_purged(rig):
    await publish(rig.bus, {rig.at(0): messages(5)})
    await rig.bus.purge(later(rig, 15), {rig.at(0): 5})
    await rig.reopened()
    assert await publish(rig.bus, {rig.at(0): messages(1)}) == {rig.at(0): 5}


async def test_a_record_behind_a_young_one_stays(rig):
    await publish(rig.bus, {rig.at(0): messages(3)})
    rig.bus._db.execute("UPDATE record SET timestamp = timestamp + ? WHERE offset = 1", (30 * DAY,))
    assert await rig.bus.purge(later(rig, 15), {rig.at(0): 3}) == 1


async def test_a_backup_taken_while_publishing_is_a_prefix_that_opens(rig, tmp_path):
    await publish(rig.bus, {rig.at(0): messages(1500), rig.at(1): messages(3)})
    await rig.bus.store_commits("g", {rig.at(0): 7})
    await asyncio.gather(rig.bus.backup(Path(tmp_path / "copy.db")), publish(rig.bus, {rig.at(0): messages(10, 1500)}))
    copy = EmbeddedBus(tmp_path / "copy.db", SystemClock())
    await copy.open()
    subscription = await copy.subscribe("g", [rig.topic], Rebalances())
    found = await drain(subscription, 1496)
    await copy.close()
    assert values(found[rig.at(0)])[:1493] == [b"value %d" % n for n in range(7, 1500)]
    assert len(found[rig.at(1)]) == 3


async def test_members_may_subscribe_to_different_topics(rig):
    await rig.bus.create([TopicSpec("other", 1)])
    one = await rig.bus.subscribe("g", [rig.topic], Rebalances())
    two = await rig.bus.subscribe("g", ["other"], Rebalances())
    assert {p.topic for p in one.assignment()} == {rig.topic}
    assert {p.topic for p in two.assignment()} == {"other"}
