"""Typed records of the family ``tax``; field by field the same as its Avro schemas."""

from __future__ import annotations

from datetime import date
from enum import StrEnum

from pydantic import Field

from router.sdk.records.common import Applicant, Attachment, Instant, Int, Long, Parcel, Record


class NoticeStatus(StrEnum):
    """Whether a notice is to be paid; a recalculation makes those of the earlier generation VOID."""

    UNKNOWN = "UNKNOWN"
    ACTIVE = "ACTIVE"
    VOID = "VOID"
    PAID = "PAID"
    EXEMPT = "EXEMPT"
    CANCELLED = "CANCELLED"


class NoticeLine(Record):
    """A line of a tax notice (LIST)."""

    sub_item: str
    amount: Long
    due_date: date | None = None


class ObligationRequest(Record):
    """Request to determine financial obligations on land (phiếu chuyển thông tin, PCTT, L5)."""

    number: str
    issued_date: date
    branch: str
    generation: Int
    replaces: str | None = None
    code: str
    complete_date: date | None = None
    procedure_kind: str
    legal_basis: str | None = None
    users: tuple[Applicant, ...] = Field(default=(), repr=False)
    parcels: tuple[Parcel, ...] = ()
    transfer_price: Long | None = None
    exemption_grounds: str | None = None
    papers: tuple[Attachment, ...] = ()


class ObligationReturn(Record):
    """The tax office returns a PCTT that is wrong (ThueChuyenTraHoSoDoSai, L6)."""

    code: str
    number: str | None = None
    generation: Int | None = None
    reason: str = Field(repr=False)
    returned_at: Instant


class TaxNotice(Record):
    """A tax notice of one dossier (thông báo nộp tiền, L7), cut from a file with several dossiers."""

    number: str
    issued_date: date
    code: str
    obligation_number: str | None = None
    tax_kind: str | None = None
    generation: Int
    tax_code: str = Field(repr=False)
    payer: str | None = Field(default=None, repr=False)
    lines: tuple[NoticeLine, ...] = ()
    total: Long
    status: NoticeStatus
    file_hash: str
    file_lines: Int
    file_total: Long
    attachments: tuple[Attachment, ...] = ()


class ObligationCompletion(Record):
    """Confirmation that the financial obligation of a notice is fulfilled (L11)."""

    notice_number: str
    code: str | None = None
    amount: Long
    completed_date: date
    confirmed_by: str
