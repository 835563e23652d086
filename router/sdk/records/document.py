"""Typed records of the family ``document``; field by field the same as its Avro schemas."""

from __future__ import annotations

from datetime import date, datetime
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
        """The OrganIds of the systems it passed, oldest first, without the entry that its sender begins with. Of a
        forwarded copy those since its sender forwarded it: what stands before is the way of the original. A sender
        that stands there twice had it before, and all of it counts.
        """
        organs, sender = tuple(trace.organ_id for trace in self.traces), self.sender.organ_id
        if organs.count(sender) == 1 and any(each != self.document_id for each in self.response_for):
            return organs[organs.index(sender) + 1 :]
        return organs[1:] if organs[:1] == (sender,) else organs

    def through(self, organ: str, at: datetime) -> Document:
        """The document as ``organ`` hands it on: with an entry of its own behind those of its trace header, none of
        them later. Where that organ is the sender too, its entry as sender comes first: ``passed`` leaves that out.
        """
        traces = self.traces
        here = Trace(organ_id=organ, passed_at=max([at, *(trace.passed_at for trace in traces)]))
        if organ == self.sender.organ_id and all(trace.organ_id != organ for trace in traces):
            traces = (*traces, here)
        return self.model_copy(update={"traces": (*traces, here)})


class DocumentStatus(Record):
    """A status message of a document (edXML status)."""

    document_id: str
    sender: Party
    status: DocumentStatusCode
    raw_status: str
    description: str | None = Field(default=None, repr=False)
    staff: str | None = Field(default=None, repr=False)
    stated_at: Instant
