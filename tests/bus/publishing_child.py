"""Publishes without end and prints each acknowledged offset; killed by a test. Arguments: kind, where, topic."""

import asyncio
import sys

from router.events import TopicPartition
from tests.bus.harness import make, messages


async def main(kind: str, where: str, topic: str) -> None:
    bus = make(kind, where)
    await bus.open()
    publisher = await bus.publisher()
    partition = TopicPartition(topic, 0)
    number = 0
    while True:
        first = await publisher.publish({partition: messages(20, number)})
        number += 20
        print(first[partition] + 20, flush=True)


asyncio.run(main(*sys.argv[1:]))
