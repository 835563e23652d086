"""What every bus promises, on each of them."""

import asyncio
import signal
import sys

import pytest

from router.errors import BusUnavailable, PositionOutOfRange, PublisherClosed, PublishFailed
from router.events import TopicPartition
from router.ports import TopicSpec
from tests.bus.harness import PARTITIONS, Rebalances, drain, messages, publish, values


async def subscribed(rig, bus=None):
    rebalances = Rebalances()
    subscription = await (bus or rig.bus).subscribe(rig.group, [rig.topic], rebalances)
    rebalances.subscription = subscription
    return subscription, rebalances


async def test_offsets_count_from_zero_without_gaps(rig):
    first = await publish(rig.bus, {rig.at(0): messages(3)})
    second = await publish(rig.bus, {rig.at(0): messages(2), rig.at(1): messages(1)})
    assert (first, second) == ({rig.at(0): 0}, {rig.at(0): 3, rig.at(1): 0})


async def test_topics_grow_and_keep_what_they_hold(rig):
    await publish(rig.bus, {rig.at(1): messages(3)})
    await rig.bus.grow([rig.topic], PARTITIONS + 2)
    await rig.bus.grow([rig.topic], PARTITIONS)  # never shrinks
    assert (await rig.bus.describe())[rig.topic].partitions == PARTITIONS + 2
    await publish(rig.bus, {rig.at(PARTITIONS + 1): messages(2)})
    reader = await rig.bus.reader(rig.group)
    both = [rig.at(1), rig.at(PARTITIONS + 1)]
    assert await reader.latest(both) == {both[0]: 3, both[1]: 2}
    await reader.set(dict.fromkeys(both, 0))
    found = await drain(reader, 5)
    await reader.close()
    assert {at: len(records) for at, records in found.items()} == {both[0]: 3, both[1]: 2}


async def test_messages_of_a_partition_keep_the_order_of_concurrent_calls(rig):
    publisher = await rig.bus.publisher()
    calls = [publisher.publish({rig.at(1): messages(7, 7 * n)}) for n in range(20)]
    await asyncio.gather(*calls)
    await publisher.close()
    reader = await rig.bus.reader(rig.group)
    await reader.set({rig.at(1): 0})
    found = (await drain(reader, 140))[rig.at(1)]
    await reader.close()
    assert values(found) == [b"value %d" % n for n in range(140)]
    assert [record.offset for record in found] == list(range(140))


async def test_key_headers_and_value_come_back_byte_for_byte(rig):
    odd = [
        (b"\x00\xff" * 8, b"", []),
        (b"k", bytes(range(256)) * 1024, [("a", b"1"), ("a", b"2"), ("a", b"")]),
        (b"", "Hồ sơ đất đai".encode(), [("tiêu-đề", "Phiếu chuyển".encode()), ("zero", b"\x00")]),
    ]
    assert len(odd[1][1]) == 262_144
    await publish(rig.bus, {rig.at(2): odd})
    reader = await rig.bus.reader(rig.group)
    await reader.set({rig.at(2): 0})
    found = (await drain(reader, 3))[rig.at(2)]
    await reader.close()
    assert [(r.key, r.value, [tuple(h) for h in r.headers]) for r in found] == odd


async def test_what_was_read_can_be_published_again_as_it_is(rig):
    await publish(rig.bus, {rig.at(0): [(b"k", b"v", (("ce_id", b"1"), ("ce_type", b"x")))]})
    reader = await rig.bus.reader(rig.group)
    await reader.set({rig.at(0): 0, rig.at(1): 0})
    (record,) = (await drain(reader, 1))[rig.at(0)]
    await publish(rig.bus, {rig.at(1): [(record.key, record.value, record.headers)]})
    (again,) = (await drain(reader, 1))[rig.at(1)]
    await reader.close()
    assert (again.key, again.value, list(again.headers)) == (record.key, record.value, list(record.headers))


async def test_a_timestamp_is_milliseconds_since_1970(rig):
    await publish(rig.bus, {rig.at(0): messages(1)})
    reader = await rig.bus.reader(rig.group)
    await reader.set({rig.at(0): 0})
    (record,) = (await drain(reader, 1))[rig.at(0)]
    await reader.close()
    assert 1_600_000_000_000 < record.timestamp < 10_000_000_000_000


async def test_what_was_published_is_there_after_reopening(durable_rig):
    rig = durable_rig
    await publish(rig.bus, {rig.at(0): messages(5)})
    await rig.reopened()
    reader = await rig.bus.reader(rig.group)
    await reader.set({rig.at(0): 0})
    assert values((await drain(reader, 5))[rig.at(0)]) == [m[1] for m in messages(5)]
    await reader.close()
    assert await publish(rig.bus, {rig.at(0): messages(1)}) == {rig.at(0): 5}


async def test_everything_acknowledged_survives_the_kill_of_the_publishing_process(durable_rig):
    rig = durable_rig
    if rig.kind == "embedded":
        await rig.bus.close()
    arguments = ("-m", "tests.bus.publishing_child", rig.kind, rig.where, rig.topic)
    child = await asyncio.create_subprocess_exec(sys.executable, *arguments, stdout=asyncio.subprocess.PIPE)
    async with asyncio.timeout(60):
        for _ in range(25):
            await child.stdout.readline()
        child.send_signal(signal.SIGKILL)
        rest = await child.stdout.read()
        assert await child.wait() == -signal.SIGKILL
    acknowledged = max([500, *map(int, rest.split(b"\n")[:-1])])
    if rig.kind == "embedded":
        await rig.reopened()
    reader = await rig.bus.reader(rig.group)
    await reader.set({rig.at(0): 0})
    found = (await drain(reader, acknowledged))[rig.at(0)]
    await reader.close()
    assert values(found) == [b"value %d" % n for n in range(len(found))]


async def test_a_group_resumes_from_its_commit(rig):
    await publish(rig.bus, {rig.at(0): messages(6)})
    subscription, _ = await subscribed(rig)
    await drain(subscription, 6)
    await subscription.commit({rig.at(0): 4})
    await subscription.close()
    again, _ = await subscribed(rig)
    found = await drain(again, 2)
    await again.close()
    assert values(found[rig.at(0)]) == [b"value 4", b"value 5"]


async def test_a_commit_outlives_the_process(durable_rig):
    rig = durable_rig
    await publish(rig.bus, {rig.at(0): messages(3)})
    subscription, _ = await subscribed(rig)
    await subscription.commit({rig.at(0): 2})
    await subscription.close()
    await rig.reopened()
    again, _ = await subscribed(rig)
    found = await drain(again, 1)
    await again.close()
    assert values(found[rig.at(0)]) == [b"value 2"]


async def test_what_was_not_committed_is_delivered_again(rig):
    await publish(rig.bus, {rig.at(0): messages(3)})
    for _ in range(2):
        subscription, _ = await subscribed(rig)
        found = await drain(subscription, 3)
        await subscription.close()
        assert values(found[rig.at(0)]) == [m[1] for m in messages(3)]


async def test_two_members_split_the_partitions_and_one_takes_over_what_the_other_leaves(rig):
    one, seen = await subscribed(rig)
    assert sorted(one.assignment()) == [rig.at(n) for n in range(PARTITIONS)]
    other, _ = await subscribed(rig)
    await until(seen, one, lambda: len(list(one.assignment())) == PARTITIONS // 2)
    assert sorted([*one.assignment(), *other.assignment()]) == [rig.at(n) for n in range(PARTITIONS)]
    await other.close()
    await until(seen, one, lambda: len(list(one.assignment())) == PARTITIONS)
    await one.close()


async def until(rebalances, subscription, reached):
    """Poll, as a member must, until a rebalance has led there."""
    async with asyncio.timeout(30):
        while not reached():
            rebalances.changed.clear()
            await subscription.poll(1, 0.05)
            if not reached():
                await rebalances.changed.wait()


async def test_a_member_may_commit_while_its_partitions_are_revoked(rig):
    await publish(rig.bus, {rig.at(n): messages(3) for n in range(PARTITIONS)})
    one, seen = await subscribed(rig)
    await drain(one, 3 * PARTITIONS)
    seen.commits = {rig.at(n): 2 for n in range(PARTITIONS)}
    other, _ = await subscribed(rig)
    taken = list(other.assignment())
    found = await drain(other, len(taken))
    await other.close()
    await one.close()
    assert {p: values(r) for p, r in found.items()} == {p: [b"value 2"] for p in taken}


async def test_a_commit_of_a_revoked_partition_is_refused_and_the_member_goes_on(rig):
    one, seen = await subscribed(rig)
    other, _ = await subscribed(rig)
    await until(seen, one, lambda: len(list(one.assignment())) == PARTITIONS // 2)
    (gone, *_) = other.assignment()
    with pytest.raises(BusUnavailable):
        await one.commit({gone: 0})
    (kept, *_) = one.assignment()
    await publish(rig.bus, {kept: messages(1)})
    assert values((await drain(one, 1))[kept]) == [b"value 0"]
    await one.commit({kept: 1})
    await other.close()
    await one.close()


async def test_seek_reads_again(rig):
    await publish(rig.bus, {rig.at(0): messages(4)})
    subscription, _ = await subscribed(rig)
    await drain(subscription, 4)
    await subscription.seek({rig.at(0): 1})
    found = await drain(subscription, 3)
    await subscription.close()
    assert [r.offset for r in found[rig.at(0)]] == [1, 2, 3]


async def test_lag_counts_what_is_not_committed(rig):
    await publish(rig.bus, {rig.at(0): messages(5), rig.at(1): messages(2)})
    subscription, _ = await subscribed(rig)
    assert await subscription.lag() == {rig.at(0): 5, rig.at(1): 2, rig.at(2): 0, rig.at(3): 0}
    await subscription.commit({rig.at(0): 3})
    assert (await subscription.lag())[rig.at(0)] == 2
    await subscription.close()


async def test_a_poll_never_exceeds_its_limit(rig):
    await publish(rig.bus, {rig.at(n): messages(50) for n in range(PARTITIONS)})
    subscription, _ = await subscribed(rig)
    sizes = []
    while sum(sizes) < 50 * PARTITIONS:
        sizes.append(sum(len(records) for records in (await subscription.poll(17, 1.0)).values()))
    await subscription.close()
    assert max(sizes) <= 17


async def test_a_poll_that_waits_is_woken_by_a_publish(rig):
    subscription, _ = await subscribed(rig)
    async with asyncio.timeout(20):
        waiting = asyncio.create_task(subscription.poll(10, 60.0))
        await publish(rig.bus, {rig.at(3): messages(1)})
        found = await waiting
    await subscription.close()
    assert values(found[rig.at(3)]) == [b"value 0"]


async def test_a_poll_of_an_empty_log_ends_at_its_time_out(rig):
    subscription, _ = await subscribed(rig)
    assert not await subscription.poll(10, 0.01)
    await subscription.close()


async def test_a_reader_starts_where_it_is_set_and_forgets_what_it_had(rig):
    await publish(rig.bus, {rig.at(0): messages(9), rig.at(1): messages(9)})
    reader = await rig.bus.reader(rig.group)
    await reader.set({rig.at(0): 2, rig.at(1): 5})
    await drain(reader, 1, limit=1)
    await reader.set({rig.at(0): 7})
    found = await drain(reader, 2)
    await reader.close()
    assert {p: [r.offset for r in records] for p, records in found.items()} == {rig.at(0): [7, 8]}


async def test_setting_the_same_partitions_again_moves_their_positions(rig):
    await publish(rig.bus, {rig.at(0): messages(9)})
    reader = await rig.bus.reader(rig.group)
    for start in (0, 5, 1):
        await reader.set({rig.at(0): start})
        found = await drain(reader, 1, limit=1)
        assert found[rig.at(0)][0].offset == start
    await reader.close()


async def test_a_paused_partition_is_left_out_and_goes_on_where_it_stood(rig):
    await publish(rig.bus, {rig.at(0): messages(3), rig.at(1): messages(3)})
    reader = await rig.bus.reader(rig.group)
    await reader.set({rig.at(0): 1, rig.at(1): 0})
    reader.pause([rig.at(0)])
    assert list(await drain(reader, 3)) == [rig.at(1)]
    assert not await reader.next(10, 0.2)
    reader.pause([rig.at(1)])
    found = await drain(reader, 2)
    await reader.close()
    assert [r.offset for r in found[rig.at(0)]] == [1, 2]


async def test_a_reader_with_everything_paused_waits(rig):
    await publish(rig.bus, {rig.at(0): messages(3)})
    reader = await rig.bus.reader(rig.group)
    await reader.set({rig.at(0): 0})
    reader.pause([rig.at(0)])
    assert not await reader.next(10, 0.05)
    await reader.close()


async def test_the_edges_of_a_partition(rig):
    await publish(rig.bus, {rig.at(0): messages(3)})
    reader = await rig.bus.reader(rig.group)
    both = [rig.at(0), rig.at(1)]
    assert await reader.earliest(both) == {rig.at(0): 0, rig.at(1): 0}
    assert await reader.latest(both) == {rig.at(0): 3, rig.at(1): 0}
    await reader.close()


async def test_a_position_behind_the_end_is_refused(rig):
    await publish(rig.bus, {rig.at(0): messages(3)})
    reader = await rig.bus.reader(rig.group)
    await reader.set({rig.at(0): 4})
    with pytest.raises(PositionOutOfRange) as refused:
        await drain(reader, 1)
    await reader.close()
    error = refused.value
    assert (error.partition, error.position, error.earliest, error.latest) == (rig.at(0), 4, 0, 3)


async def test_noted_positions_show_under_the_group(rig):
    await publish(rig.bus, {rig.at(0): messages(5)})
    reader = await rig.bus.reader(rig.group)
    await reader.set({rig.at(0): 0})
    await reader.note({rig.at(0): 4})
    await reader.close()
    subscription, _ = await subscribed(rig)
    assert (await subscription.lag())[rig.at(0)] == 1
    await subscription.close()


async def test_a_value_that_is_too_long_leaves_a_prefix_and_closes_its_partition_until_reopen(rig):
    too_long = (b"k", bytes(300_000), [])
    publisher = await rig.bus.publisher()
    with pytest.raises(PublishFailed) as failure:
        await publisher.publish({rig.at(0): [*messages(2), too_long, *messages(1, 2)], rig.at(1): messages(1)})
    assert failure.value.durable == {rig.at(0): 2}
    with pytest.raises(PublisherClosed):
        await publisher.publish({rig.at(0): messages(1, 9)})
    assert await publisher.publish({rig.at(1): messages(1)}) == {rig.at(1): 1}
    await publisher.reopen()
    assert await publisher.publish({rig.at(0): messages(1, 2)}) == {rig.at(0): 2}
    await publisher.close()


async def test_a_call_behind_a_failed_one_does_not_overtake_it(rig):
    publisher = await rig.bus.publisher()
    first = publisher.publish({rig.at(0): [*messages(1), (b"k", bytes(300_000), [])]})
    second = publisher.publish({rig.at(0): messages(1, 9)})
    failures = await asyncio.gather(first, second, return_exceptions=True)
    await publisher.close()
    assert isinstance(failures[0], PublishFailed)
    assert isinstance(failures[1], PublishFailed | PublisherClosed)
    reader = await rig.bus.reader(rig.group)
    assert await reader.latest([rig.at(0)]) == {rig.at(0): 1}
    await reader.close()


async def test_creating_a_topic_twice_changes_nothing(rig):
    await publish(rig.bus, {rig.at(0): messages(1)})
    await rig.bus.create([TopicSpec(rig.topic, PARTITIONS + 3)])
    state = (await rig.bus.describe())[rig.topic]
    assert (state.partitions, state.replication) == (PARTITIONS, 1)
    assert state.config["retention.ms"] == str(14 * 86_400_000)


async def test_a_compacted_topic_holds_the_newest_record_of_each_key_in_order(rig):
    topic = f"{rig.topic}-compacted"
    await rig.bus.create([TopicSpec(topic, 1, retention_ms=1, config={"cleanup.policy": "compact"})])
    records = [(b"k%d" % (n % 3), b"v%d" % n, []) for n in range(7)]
    await publish(rig.bus, {TopicPartition(topic, 0): [*records, (b"k0", b"", [])]})
    reader = await rig.bus.reader(rig.group)
    await reader.set({TopicPartition(topic, 0): 0})
    newest: dict[bytes, bytes | None] = {}
    async with asyncio.timeout(30):
        while newest.get(b"k0") != b"":
            for found in (await reader.next(100, 1.0)).values():
                newest |= {record.key: record.value for record in found}
    await reader.close()
    assert newest == {b"k0": b"", b"k1": b"v4", b"k2": b"v5"}
