"""Topics of a Kafka cluster: make those that are missing, say what those that exist are."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Final

from aiokafka.admin import AIOKafkaAdminClient, NewPartitions, NewTopic
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType
from aiokafka.errors import TopicAlreadyExistsError, for_code

from router.bus.kafka_errors import translated
from router.bus.kafka_settings import KafkaSettings
from router.errors import BusError
from router.ports import TopicSpec, TopicState

#: The settings of a topic on which the promises rest.
WATCHED: Final = frozenset({"min.insync.replicas", "cleanup.policy", "retention.ms", "max.message.bytes"})


async def create(settings: KafkaSettings, topics: Sequence[TopicSpec]) -> None:
    """Make topics; those that exist are left alone. Raises ``BusUnavailable``, ``BusError`` when refused."""
    async with _client(settings) as client:
        with translated("create topics"):
            answer = await client.create_topics([_new(spec) for spec in topics])
    for name, code, *_ in answer.topic_errors:
        error = for_code(code)
        if code and error is not TopicAlreadyExistsError:
            raise BusError(f"topic {name} was not made: {error.__name__}")


async def grow(settings: KafkaSettings, topics: Sequence[str], partitions: int) -> None:
    """Add partitions to those of the topics that have fewer. Raises ``BusUnavailable``, ``BusError`` when refused."""
    known = await describe(settings)
    fewer = [name for name in topics if name in known and known[name].partitions < partitions]
    if not fewer:
        return
    async with _client(settings) as client:
        with translated("add partitions"):
            answer = await client.create_partitions({name: NewPartitions(partitions) for name in fewer})
    for name, code, *_ in answer.topic_errors:
        if code:
            raise BusError(f"topic {name} did not grow: {for_code(code).__name__}")


async def describe(settings: KafkaSettings) -> dict[str, TopicState]:
    """Every topic but Kafka's own, with the settings in ``WATCHED``."""
    async with _client(settings) as client:
        with translated("describe topics"):
            found = {t["topic"]: t["partitions"] for t in await client.describe_topics() if not t["is_internal"]}
            if not found:
                return {}
            answers = await client.describe_configs([ConfigResource(ConfigResourceType.TOPIC, name) for name in found])
    configs = {
        name: {entry[0]: entry[1] for entry in entries if entry[0] in WATCHED}
        for answer in answers
        for _, _, _, name, entries in answer.resources
    }
    return {
        name: TopicState(name, len(parts), min((len(p["replicas"]) for p in parts), default=0), configs.get(name, {}))
        for name, parts in sorted(found.items())
    }


def _new(spec: TopicSpec) -> NewTopic:
    config = {"retention.ms": str(spec.retention_ms), **spec.config}
    return NewTopic(spec.name, spec.partitions, spec.replication, topic_configs=config)


@asynccontextmanager
async def _client(settings: KafkaSettings) -> AsyncIterator[AIOKafkaAdminClient]:
    client = AIOKafkaAdminClient(**settings.connection())
    try:
        with translated("connect"):
            await client.start()
        yield client
    finally:
        await client.close()
