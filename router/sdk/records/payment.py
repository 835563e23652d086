"""Typed records of the family ``payment``; field by field the same as its Avro schemas."""

from __future__ import annotations

from enum import StrEnum

from pydantic import Field

from router.sdk.records.common import Applicant, Attachment, Instant, Long, PaymentStatus, Record


class PaymentPhase(StrEnum):
    """LoaiBanTin INIT or CONFIRM; EVIDENCE for chứng từ đã nộp (L10)."""

    UNKNOWN = "UNKNOWN"
    INIT = "INIT"
    CONFIRM = "CONFIRM"
    EVIDENCE = "EVIDENCE"
    REFUND = "REFUND"


class Payment(Record):
    """A payment: its start, its confirmation, or evidence of it (L9, L10)."""

    phase: PaymentPhase
    partner: str | None = None
    code: str
    reference: str
    transaction: str | None = None
    notice_number: str | None = None
    amount: Long
    currency: str
    paid_at: Instant
    gateway: str | None = None
    content: str | None = Field(default=None, repr=False)
    payer: Applicant | None = Field(default=None, repr=False)
    status: PaymentStatus
    receipts: tuple[Attachment, ...] = ()
