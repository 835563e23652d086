"""Typed records of the family ``operations``; field by field the same as its Avro schemas."""

from __future__ import annotations

from enum import StrEnum

from pydantic import Field

from router.sdk.records.common import Instant, Int, Record


class OutcomeCode(StrEnum):
    """Outcome of a delivery."""

    UNKNOWN = "UNKNOWN"
    DELIVERED = "DELIVERED"
    DUPLICATE = "DUPLICATE"
    REJECTED = "REJECTED"
    DEAD = "DEAD"
    UNCERTAIN = "UNCERTAIN"


class Receipt(Record):
    """What a recipient's system answered to an event; also the reply to a sender whose event was refused."""

    recipient: str
    event_source: str
    event_id: str
    event_type: str
    outcome: OutcomeCode
    partner_code: str | None = None
    reason: str | None = None
    message: str | None = Field(default=None, repr=False)
    received_at: Instant


class Failure(Record):
    """Why a delivery is a dead letter."""

    recipient: str
    event_source: str
    event_id: str
    event_type: str
    cause: str
    reason: str
    partner_code: str | None = None
    message: str | None = Field(default=None, repr=False)
    attempts: Int
    failed_at: Instant


class ProcedureSignal(Record):
    """What procedure instances say to each other, to their timers and to agencies whose work is to be undone."""

    procedure: str
    definition: Int
    name: str
    related_key: str | None = None
    role: str | None = None
    kind: str | None = None
    text: str | None = None
    organ_id: str | None = None
    stated_at: Instant
