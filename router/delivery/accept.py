"""From bus records to arrivals: what acceptance stores of each. Pure; reads headers, never a payload."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from hashlib import blake2b
from typing import Final, NamedTuple

from router.events import (
    CE_ID,
    CE_PRIORITY,
    CE_SOURCE,
    CE_SUBJECT,
    CE_TYPE,
    LGSP_DETAIL,
    LGSP_DIGEST,
    LGSP_REASON,
    ROUTER,
    URGENT,
    Fetched,
)
from router.ledger.rows import Arrival, Body, Failure, State
from router.masking import mask

HASH_BYTES: Final = 16


class Batch(NamedTuple):
    """Consecutive records of one shard, ready to be accepted: ``position`` is the first offset behind them."""

    arrivals: list[Arrival]
    position: int
    fingerprint: bytes


def batch_of(recipient: str, records: Sequence[Fetched]) -> Batch:
    """The arrivals of a non-empty run of records in offset order."""
    arrivals = [arrival_of(recipient, record) for record in records]
    return Batch(arrivals, records[-1].offset + 1, fingerprint(records[-1]))


def arrival_of(recipient: str, record: Fetched) -> Arrival:
    """One record as an arrival.

    Identity is (source, id). A record without them is poison with an identity of its own place, so that it is shown
    and never lost. At the local recipient ``router`` everything is dead on arrival, with the hop's reason.
    """
    found = dict(reversed(record.headers)) if record.headers else {}
    source, event_id = found.get(CE_SOURCE, b""), found.get(CE_ID, b"")
    digest = found.get(LGSP_DIGEST, b"")
    failure = None
    if not source or not event_id or CE_TYPE not in found:
        failure = _failure(recipient, "malformed_event", "ce_id, ce_source or ce_type is missing")
        event_id = event_id or f"{record.topic}/{record.partition}/{record.offset}".encode()
    if recipient == ROUTER:
        detail = mask(_text(found.get(LGSP_DETAIL, b"")))
        failure = _failure(recipient, _text(found.get(LGSP_REASON, b"no_route")), detail)
    return Arrival(
        offset=record.offset,
        key=record.key or b"",
        identity=identity_of(source, event_id),
        digest=digest if len(digest) == HASH_BYTES else _hash(record.value or b""),
        source=_text(source),
        event_id=_text(event_id),
        event_type=_text(found.get(CE_TYPE, b"")),
        subject=_text(found.get(CE_SUBJECT, b"")),
        urgent=found.get(CE_PRIORITY) == URGENT,
        body=Body(record.value or b"", record.headers),
        state=State.DEAD if failure else State.WAITING,
        failure=failure,
    )


def identity_of(source: bytes, event_id: bytes) -> bytes:
    """The identity of an event, by which acceptance recognises it."""
    return _hash(source + b"\x00" + event_id)


def fingerprint(record: Fetched) -> bytes:
    """What is remembered of a shard's last accepted record, to notice a topic that was recreated."""
    parts = (str(record.offset).encode(), record.key or b"", record.value or b"")
    return _hash(b"\x00".join(parts))


def refused(arrival: Arrival) -> Arrival:
    """An arrival that the database would not store, as a dead letter of plain ASCII that it will."""
    return replace(
        arrival,
        source=plain(arrival.source),
        event_id=plain(arrival.event_id),
        event_type=plain(arrival.event_type),
        subject=plain(arrival.subject),
        state=State.DEAD,
        failure=_failure("", "ledger_refused", "the ledger refused this event's attributes"),
    )


def _failure(recipient: str, reason: str, message: str) -> Failure:
    cause = _hash(f"{recipient}\x00accept\x00{reason}".encode()).hex()[:12]
    return Failure("invalid", reason, message=message, cause=cause)


def _hash(data: bytes) -> bytes:
    return blake2b(data, digest_size=HASH_BYTES).digest()


def _text(value: bytes) -> str:
    return value.decode("utf-8", "replace")


def plain(text: str) -> str:
    """A text in printable ASCII, cut to 200 characters."""
    return "".join(c if " " <= c <= "~" else "?" for c in text)[:200]
