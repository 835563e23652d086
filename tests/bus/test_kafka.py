"""Settings of the Kafka client, and what a real broker refuses."""

import asyncio

import pytest
from pydantic import ValidationError

from router.bus.kafka import KafkaBus
from router.bus.kafka_settings import KafkaSettings
from router.errors import BusError, BusUnavailable, PublisherClosed, PublishFailed
from router.events import TopicPartition
from router.ports import TopicSpec
from tests.bus.harness import Rebalances, drain, messages, opened, values


def test_sasl_settings_become_the_clients_arguments():
    settings = KafkaSettings(
        bootstrap_servers="b:9092", security_protocol="SASL_SSL", user="lgsp", password="not-a-real-one"
    )
    arguments = settings.connection()
    assert arguments["sasl_mechanism"] == "SCRAM-SHA-512"
    assert (arguments["sasl_plain_username"], arguments["sasl_plain_password"]) == ("lgsp", "not-a-real-one")
    assert arguments["ssl_context"].check_hostname
    assert "not-a-real-one" not in repr(settings)


def test_a_plain_connection_carries_no_credentials():
    arguments = KafkaSettings(bootstrap_servers="b:9092").connection()
    assert not {"ssl_context", "sasl_plain_password"} & arguments.keys()


@pytest.mark.parametrize(
    "wrong",
    [
        {"security_protocol": "SASL_SSL"},
        {"cert_file": "c.pem"},
        {"security_protocol": "TLS"},
        {"bootstrap_servers": ""},
    ],
)
def test_settings_that_cannot_work_are_refused(wrong):
    with pytest.raises(ValidationError):
        KafkaSettings(**{"bootstrap_servers": "b:9092", **wrong})


def test_the_clients_dangerous_defaults_are_overridden():
    settings = KafkaSettings(bootstrap_servers="b:9092")
    assert settings.consumer()["enable_auto_commit"] is False
    producer = settings.producer()
    assert (producer["enable_idempotence"], producer["acks"], producer["compression_type"]) == (True, "all", None)


async def test_a_broker_that_is_not_there_is_unavailable(unused_tcp_port):
    bus = KafkaBus(KafkaSettings(bootstrap_servers=f"127.0.0.1:{unused_tcp_port}", request_timeout_ms=1000))
    with pytest.raises(BusUnavailable):
        await bus.open()
    with pytest.raises(BusUnavailable):
        await bus.publisher()
    with pytest.raises(BusUnavailable):
        await bus.subscribe("g", ["t"], Rebalances())
    with pytest.raises(BusUnavailable):
        await bus.reader("g")


@pytest.fixture
async def rig(kafka_bootstrap):
    rig = await opened("kafka", kafka_bootstrap)
    yield rig
    await rig.bus.close()


@pytest.mark.kafka
async def test_what_the_broker_refuses_leaves_a_prefix_and_closes_the_partition(rig):
    small = TopicPartition(rig.topic + "-small", 0)
    await rig.bus.create([TopicSpec(small.topic, 1, config={"max.message.bytes": "200000"})])
    publisher = await rig.bus.publisher()
    assert await publisher.publish({small: messages(2)}) == {small: 0}
    big = [(b"k", bytes(150_000), []), (b"k", bytes(150_000), [])]
    with pytest.raises(PublishFailed) as failure:
        await publisher.publish({small: big, rig.at(0): messages(1)})
    assert failure.value.durable == {small: 0}
    with pytest.raises(PublisherClosed):
        await publisher.publish({small: messages(1, 9)})
    assert await publisher.publish({rig.at(0): messages(1, 1)}) == {rig.at(0): 1}
    await publisher.reopen()
    assert await publisher.publish({small: messages(1, 2)}) == {small: 2}
    await publisher.close()


@pytest.mark.kafka
async def test_calls_in_flight_behind_a_refused_one_fail_with_it(rig):
    small = TopicPartition(rig.topic + "-small", 0)
    await rig.bus.create([TopicSpec(small.topic, 1, config={"max.message.bytes": "200000"})])
    publisher = await rig.bus.publisher()
    calls = [publisher.publish({small: messages(1)}), publisher.publish({small: [(b"k", bytes(250_000), [])]})]
    calls += [publisher.publish({small: messages(1, n)}) for n in range(5, 9)]
    first, *rest = await asyncio.gather(*calls, return_exceptions=True)
    await publisher.close()
    assert first == {small: 0}
    assert [type(result) for result in rest] == [PublishFailed] * 5
    reader = await rig.bus.reader(rig.group)
    assert await reader.latest([small]) == {small: 1}
    await reader.close()


@pytest.mark.kafka
async def test_a_cancelled_publish_closes_its_partition(rig):
    publisher = await rig.bus.publisher()
    publishing = asyncio.create_task(publisher.publish({rig.at(0): messages(3)}))
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    publishing.cancel()
    with pytest.raises(asyncio.CancelledError):
        await publishing
    with pytest.raises(PublisherClosed):
        await publisher.publish({rig.at(0): messages(1)})
    await publisher.close()


@pytest.mark.kafka
async def test_describe_names_the_settings_on_which_the_promises_rest(rig):
    state = (await rig.bus.describe())[rig.topic]
    assert state.config.keys() == {"min.insync.replicas", "cleanup.policy", "retention.ms", "max.message.bytes"}


@pytest.mark.kafka
async def test_a_topic_that_cannot_be_made_is_refused(rig):
    with pytest.raises(BusError, match="was not made"):
        await rig.bus.create([TopicSpec("too-many-replicas", 1, replication=3)])


@pytest.mark.kafka
async def test_a_static_member_comes_back_to_its_partitions_without_a_rebalance(rig):
    one = await rig.bus.subscribe(rig.group, [rig.topic], Rebalances(), member="a")
    before = sorted(one.assignment())
    await one.commit({rig.at(0): 0})
    await one.close()
    again = await rig.bus.subscribe(rig.group, [rig.topic], Rebalances(), member="a")
    await (await rig.bus.publisher()).close()
    assert sorted(again.assignment()) == before
    await again.close()


@pytest.mark.kafka
async def test_records_come_as_the_clients_own_objects(rig):
    publisher = await rig.bus.publisher()
    await publisher.publish({rig.at(0): messages(1)})
    await publisher.close()
    reader = await rig.bus.reader(rig.group)
    await reader.set({rig.at(0): 0})
    found = (await drain(reader, 1))[rig.at(0)]
    await reader.close()
    assert type(found[0]).__name__ == "ConsumerRecord"
    assert values(found) == [b"value 0"]
