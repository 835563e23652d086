"""What the bus carries: the words, headers and keys of an event.

An event travels as one bus record: CloudEvents attributes as ``ce_*`` headers (binary mode), an Avro payload as the
value, and the 16 bytes of the dossier's or document's internal id as the key. The router's hop reads headers only.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final, NamedTuple, Protocol, TypeAlias
from uuid import UUID, uuid5

Header: TypeAlias = tuple[str, bytes]
Headers: TypeAlias = Sequence[Header]
#: What is published: key, value, headers. A plain tuple, since the hop makes 100,000 of them a second.
Message: TypeAlias = tuple[bytes, bytes, Headers]


class TopicPartition(NamedTuple):
    """One partition of one topic. Equal to, and hashed like, any ``(topic, partition)`` tuple."""

    topic: str
    partition: int


class Position(NamedTuple):
    """Where a record stands on the bus. ``offset`` counts from 0 in its partition."""

    topic: str
    partition: int
    offset: int


class Polled(Protocol):
    """A record of a known partition. Adapters hand over their client's own objects when these fit.

    ``timestamp`` is milliseconds since 1970 UTC, set by the publisher's side. Key, value and headers are byte for byte
    what was published.
    """

    @property
    def offset(self) -> int: ...
    @property
    def timestamp(self) -> int: ...
    @property
    def key(self) -> bytes: ...
    @property
    def value(self) -> bytes: ...
    @property
    def headers(self) -> Headers: ...


class Fetched(Polled, Protocol):
    """A record as read from the bus, with its place."""

    @property
    def topic(self) -> str: ...
    @property
    def partition(self) -> int: ...


# Header names. CloudEvents attributes and extensions carry the prefix of the Kafka protocol binding.
CE_SPECVERSION: Final = "ce_specversion"
CE_ID: Final = "ce_id"
CE_SOURCE: Final = "ce_source"  # id of the connector instance that received the event, e.g. ``one-stop-h39``
CE_TYPE: Final = "ce_type"  # e.g. ``dossier.accepted``
CE_SUBJECT: Final = "ce_subject"  # the textual dossier or document code: an alias, for people
CE_TIME: Final = "ce_time"  # RFC 3339, UTC: when it happened at the source
CE_DOSSIER: Final = "ce_dossier"
CE_PROCEDURE: Final = "ce_procedure"
CE_ADDRESSED_TO: Final = "ce_addressedto"  # agency code as the sender wrote it; never rewritten
CE_DELIVERED_TO: Final = "ce_deliveredto"  # agency code the registry resolved it to
CE_REGISTRY_VERSION: Final = "ce_registryversion"
CE_PRIORITY: Final = "ce_priority"  # ``urgent`` or absent
CE_CORRELATION_ID: Final = "ce_correlationid"
CE_CAUSATION_ID: Final = "ce_causationid"
CE_TRACEPARENT: Final = "ce_traceparent"
CONTENT_TYPE: Final = "content-type"
LGSP_DIGEST: Final = "lgsp_digest"  # hash over the partner's own bytes, 16 bytes, set by ingress
LGSP_REASON: Final = "lgsp_reason"  # why an event was sent to the local recipient ``router``
LGSP_DETAIL: Final = "lgsp_detail"  # what was wrong with it and where, in English; no personal data
UNREADABLE: Final = "unreadable"  # the number space of parts that do not even say what they are about
OWNER_CONFLICT: Final = "owner_conflict"  # the reason of what comes under a code of another owner; the alert, too
POISON: Final = "poison"  # the reason of what a partner sent and nobody can read
LGSP_ORIGIN: Final = "lgsp_origin"  # ``topic/partition/offset`` of the record the hop could not route
LGSP_REFERENCE: Final = "lgsp_reference"  # what an event is about while its dossier is unknown: scheme, U+001F, value
REFERENCE_SEPARATOR: Final = "\x1f"
LGSP_LINK: Final = "lgsp_link"  # the same form: a further number that means its dossier once that is known (repeatable)

LGSP_WHO: Final = "lgsp_who"  # who changed an agency of the registry, and why
LGSP_WHY: Final = "lgsp_why"
LGSP_ORDER: Final = "lgsp_order"  # by which order

FAILURE_PREFIX: Final = "lgsp_failure_"  # headers of records on the dead-letter topic

URGENT: Final = b"urgent"
LONGEST_VALUE: Final = 262_144  # bytes of a message's value; attachments go by claim check

DOSSIER_TOPIC: Final = "lgsp.dossier"
DOCUMENT_TOPIC: Final = "lgsp.document"
DEAD_LETTER_TOPIC: Final = "lgsp.dead-letter"
AGENCY_TOPIC: Final = "lgsp.reference.agency"  # compacted: the newest change of each agency, by its id
RECIPIENT_TOPIC_PREFIX: Final = "lgsp.to."
ROUTER: Final = "router"  # the local recipient that takes what cannot be routed
INPUT_TOPICS: Final = (DOSSIER_TOPIC, DOCUMENT_TOPIC)

#: Namespace of every deterministic UUID of the router (keys, event ids, emission ids).
NAMESPACE: Final = UUID("6f0b9c1e-2f0d-5a0e-9a53-0d0a4c1f7b11")


def topic_of(recipient: str) -> str:
    """The topic that holds what is addressed to ``recipient``."""
    return RECIPIENT_TOPIC_PREFIX + recipient


def header(headers: Headers, name: str) -> bytes | None:
    """The first header of that name, or None."""
    for found, value in headers:
        if found == name:
            return value
    return None


def text_header(headers: Headers, name: str, default: str = "") -> str:
    """The first header of that name as text; bytes that are not UTF-8 come out with U+FFFD, never as an error."""
    value = header(headers, name)
    return default if value is None else value.decode("utf-8", "replace")


def input_topic_of(event_type: str) -> str:
    """The input topic an event type travels on: documents apart from dossiers (and all that belongs to a dossier)."""
    return DOCUMENT_TOPIC if is_document(event_type) else DOSSIER_TOPIC


def is_document(event_type: str) -> bool:
    """Whether an event is about a document rather than a dossier."""
    return event_type.startswith("document.")


def key_of(scheme: str, value: str) -> UUID:
    """The internal id that a dossier or document code mints: UUIDv5 of scheme (a number space) and value."""
    return uuid5(NAMESPACE, f"key\x00{scheme}\x00{value}")


def derived_id(*parts: object) -> str:
    """A deterministic event id: UUIDv5 of its parts in order."""
    return str(uuid5(NAMESPACE, "id\x00" + "\x00".join(map(str, parts))))


def murmur2(data: bytes) -> int:
    """The hash by which Kafka's Java client places keys; 32 bits, unsigned. Ingress only: the hop keeps partitions."""
    length = len(data)
    h = 0x9747B28C ^ length
    whole = length & ~3
    for i in range(0, whole, 4):
        k = int.from_bytes(data[i : i + 4], "little") * 0x5BD1E995 & 0xFFFFFFFF
        k = (k ^ (k >> 24)) * 0x5BD1E995 & 0xFFFFFFFF
        h = (h * 0x5BD1E995 & 0xFFFFFFFF) ^ k
    if length > whole:
        h = (h ^ int.from_bytes(data[whole:], "little")) * 0x5BD1E995 & 0xFFFFFFFF
    h = (h ^ (h >> 13)) * 0x5BD1E995 & 0xFFFFFFFF
    return h ^ (h >> 15)


def partition_of(key: bytes, partitions: int) -> int:
    """The partition of a key, as the Java client computes it."""
    return (murmur2(key) & 0x7FFFFFFF) % partitions


def by_partition(topic: str, messages: Iterable[Message], partitions: int) -> dict[TopicPartition, list[Message]]:
    """Messages of one topic grouped by the partition of their key, order kept."""
    grouped: dict[TopicPartition, list[Message]] = {}
    for message in messages:
        grouped.setdefault(TopicPartition(topic, partition_of(message[0], partitions)), []).append(message)
    return grouped
