"""What the outbox publishes for a delivery: dead-letter records, replies, events put back to their topic. Pure.

Ids are deterministic (delivery, version, index), so that a second publication after a crash is recognised.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, Final, NamedTuple

from router.events import (
    CE_CAUSATION_ID,
    CE_CORRELATION_ID,
    CE_DOSSIER,
    CE_ID,
    CE_PRIORITY,
    CE_PROCEDURE,
    CE_SOURCE,
    CE_SPECVERSION,
    CE_SUBJECT,
    CE_TIME,
    CE_TYPE,
    DEAD_LETTER_TOPIC,
    FAILURE_PREFIX,
    LGSP_DETAIL,
    LGSP_ORIGIN,
    LGSP_REASON,
    LONGEST_VALUE,
    Headers,
    derived_id,
    header,
    input_topic_of,
    topic_of,
)
from router.ledger.rows import Arrival, Body, Delivery, Emission, Failure, Shard

FAILURE_VERSION: Final = "1"
REPLY_TYPE: Final = "delivery.rejected"
_KEPT_IN_REPLY: Final = (CE_DOSSIER, CE_PROCEDURE, CE_PRIORITY, CE_CORRELATION_ID)


class Tries(NamedTuple):
    """How often a delivery was called, and the first and last time (UTC µs)."""

    calls: int
    first: int
    last: int


def dead_letter(shard: Shard, delivery: Delivery | Arrival, body: Body, *, failure: Failure, tries: Tries) -> Emission:
    """The record on the dead-letter topic: key, value and headers byte for byte, then the failure headers.

    A value above 256 KiB (another producer's, or an edited one) would not be taken: it is left out, with a header that
    says so, and stands in the ledger.
    """
    facts: dict[str, object] = {
        "version": FAILURE_VERSION,
        "recipient": shard.recipient,
        "cause": failure.cause,
        "reason": failure.reason,
        "class": failure.outcome,
        "partner_code": failure.partner_code,
        "message": failure.message,
        "attempts": tries.calls,
        "first_time": _iso(tries.first),
        "last_time": _iso(tries.last),
        "origin_topic": topic_of(shard.recipient),
        "origin_partition": shard.partition,
        "origin_offset": delivery.offset,
    }
    value = body.value
    if len(value) > LONGEST_VALUE:
        value, facts["left_out"] = b"", len(value)
    added = [(FAILURE_PREFIX + name, str(fact).encode()) for name, fact in facts.items()]
    return Emission(DEAD_LETTER_TOPIC, shard.partition, delivery.key, value, [*body.headers, *added])


def reply(shard: Shard, delivery: Delivery, body: Body, *, payload: bytes, now: int, reply_to: str) -> Emission | None:
    """The answer to the sender of a rejected event; None for a reply, since a reply never causes a reply."""
    if delivery.event_type == REPLY_TYPE or not reply_to:
        return None
    headers: list[tuple[str, bytes]] = [
        (CE_SPECVERSION, b"1.0"),
        (CE_ID, derived_id("reply", shard.recipient, shard.partition, delivery.seq, delivery.version).encode()),
        (CE_SOURCE, shard.recipient.encode()),
        (CE_TYPE, REPLY_TYPE.encode()),
        (CE_SUBJECT, delivery.subject.encode()),
        (CE_TIME, _iso(now).encode()),
        (CE_CAUSATION_ID, delivery.event_id.encode()),
    ]
    headers += [(name, value) for name in _KEPT_IN_REPLY if (value := header(body.headers, name)) is not None]
    return Emission(topic_of(reply_to), shard.partition, delivery.key, payload, headers)


def rejection_record(shard: Shard, delivery: Delivery, receipt: Mapping[str, Any], now: int) -> dict[str, Any]:
    """The payload of a reply, as the record ``operations.Receipt``."""
    return {
        "recipient": shard.recipient,
        "event_source": delivery.source,
        "event_id": delivery.event_id,
        "event_type": delivery.event_type,
        "outcome": "REJECTED",
        "partner_code": receipt.get("code") or None,
        "reason": receipt.get("reason") or None,
        "message": receipt.get("message") or None,
        "received_at": datetime.fromtimestamp(now / 1e6, UTC),
    }


def put_back(delivery: Delivery, body: Body) -> Emission:
    """The original to its own topic again, for an event that could not be routed: whoever has it recognises it.

    What the hop added on its way to ``router`` is taken off.
    """
    origin = header(body.headers, LGSP_ORIGIN)
    topic = origin.decode().split("/")[0] if origin else input_topic_of(delivery.event_type)
    partition = int(origin.decode().split("/")[1]) if origin else -1
    headers: Headers = [pair for pair in body.headers if pair[0] not in (LGSP_REASON, LGSP_DETAIL, LGSP_ORIGIN)]
    return Emission(topic, partition, delivery.key, body.value, headers)


def passed_on(delivery: Delivery, body: Body, target: str, partition: int) -> Emission:
    """The event to another recipient, on the same partition: that one accepts it like any event."""
    dropped = (LGSP_REASON, LGSP_DETAIL, LGSP_ORIGIN)
    return Emission(
        topic_of(target), partition, delivery.key, body.value, [p for p in body.headers if p[0] not in dropped]
    )


def _iso(micros: int) -> str:
    return datetime.fromtimestamp(micros / 1e6, UTC).isoformat(timespec="microseconds")
