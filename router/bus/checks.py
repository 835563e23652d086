"""What every publisher refuses before anything is handed over."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from operator import itemgetter
from typing import Final

from router.errors import PublisherClosed
from router.events import LONGEST_VALUE, Message, TopicPartition

_VALUE: Final = itemgetter(1)


def refuse_closed(closed: Collection[TopicPartition], batches: Mapping[TopicPartition, Sequence[Message]]) -> None:
    """``PublisherClosed`` if a partition is closed after a failure."""
    for partition in batches:
        if partition in closed:
            raise PublisherClosed(f"{partition.topic}/{partition.partition} is closed until the publisher is reopened")


def cut(batches: Mapping[TopicPartition, Sequence[Message]]) -> dict[TopicPartition, int]:
    """Where batches hold a value above 256 KiB: how many messages stand before the first of them."""
    cuts: dict[TopicPartition, int] = {}
    for partition, messages in batches.items():
        if messages and max(map(len, map(_VALUE, messages))) > LONGEST_VALUE:
            cuts[partition] = next(n for n, message in enumerate(messages) if len(message[1]) > LONGEST_VALUE)
    return cuts


def before(
    batches: Mapping[TopicPartition, Sequence[Message]], cuts: Mapping[TopicPartition, int]
) -> dict[TopicPartition, Sequence[Message]]:
    """The batches without what stands behind a cut."""
    kept = {partition: messages[: cuts.get(partition)] for partition, messages in batches.items()}
    return {partition: messages for partition, messages in kept.items() if messages}
