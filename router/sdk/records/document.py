"""Typed records of the family ``document``; field by field the same as its Avro schemas."""

from __future__ import annotations

from datetime import date
from enum import StrEnum

from pydantic import Field

from router.sdk.records.common import Attachment, Instant, Record


class DocumentPriority(StrEnum):
    """Priority of edXML: 0 thường, 1 khẩn, 2 thượng khẩn, 3 hỏa tốc, 4 hỏa tốc hẹn giờ."""

    UNKNOWN = "UNKNOWN"
    NORMAL = "NORMAL"
    URGENT = "URGENT"
    VERY_URGENT = "VERY_URGENT"
    FLASH = "FLASH"
    FLASH_TIMED = "FLASH_TIMED"


class BusinessType(StrEnum):
    """BussinessDocType of edXML: 0 mới, 1 thu hồi, 2 cập nhật, 3 thay thế."""

    NEW = "NEW"
    RECALL = "RECALL"
    UPDATE = "UPDATE"
    REPLACE = "REPLACE"
    UNKNOWN = "UNKNOWN"


class DocumentStatusCode(StrEnum):
    """StatusCode of edXML."""

    UNKNOWN = "UNKNOWN"
    ARRIVED = "ARRIVED"
    REFUSED = "REFUSED"
    RECEIVED = "RECEIVED"
    ASSIGNED = "ASSIGNED"
    PROCESSING = "PROCESSING"
    COMPLETED = "COMPLETED"
    TAKE_BACK = "TAKE_BACK"
    AGREED = "AGREED"
    DECLINED = "DECLINED"


class Party(Record):
    """An agency as a document names it (From, To)."""

    organ_id: str
    name: str
    in_charge: str | None = None


class Trace(Record):
    """A system a document passed (TraceHeader)."""

    organ_id: str
    passed_at: Instant


class ReceiverChange(Record):
    """A receiver that an update adds or takes away (ReceiverList)."""

    organ_id: str
    added: bool


class Replacement(Record):
    """A document that another one replaces (ReplacementInfo)."""

    document_id: str
    organ_ids: tuple[str, ...] = ()


class Document(Record):
    """An official letter (edXML by QCVN 102:2016/BTTTT); the signed original is kept untouched in the object store."""

    document_id: str
    number: str
    notation: str
    sender: Party
    receivers: tuple[Party, ...] = ()
    promulgation_place: str | None = None
    promulgation_date: date
    document_type: str
    type_name: str | None = None
    subject: str = Field(repr=False)
    content: str | None = Field(default=None, repr=False)
    signer: str | None = Field(default=None, repr=False)
    signer_position: str | None = None
    due_date: date | None = None
    priority: DocumentPriority
    business_type: BusinessType
    business_reason: str | None = None
    receiver_changes: tuple[ReceiverChange, ...] = ()
    replacements: tuple[Replacement, ...] = ()
    steering_type: str | None = None
    response_for: tuple[str, ...] = ()
    traces: tuple[Trace, ...] = ()
    paper_follows: bool = False
    attachments: tuple[Attachment, ...] = ()
    original: Attachment | None = None

    def passed(self) -> tuple[str, ...]:
        """The OrganIds of the systems it passed, oldest first, without the entry that its sender begins with."""
        organs = tuple(trace.organ_id for trace in self.traces)
        return organs[1:] if organs[:1] == (self.sender.organ_id,) else organs


class DocumentStatus(Record):
    """A status message of a document (edXML status)."""

    document_id: str
    sender: Party
    status: DocumentStatusCode
    raw_status: str
    description: str | None = Field(default=None, repr=False)
    staff: str | None = Field(default=None, repr=False)
    stated_at: Instant
