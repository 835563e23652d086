"""Typed records of the family ``dossier``; field by field the same as its Avro schemas."""

from __future__ import annotations

from datetime import date
from enum import StrEnum

from pydantic import Field

from router.sdk.records.common import Applicant, Attachment, DossierStatus, Fee, Instant, Int, PaymentStatus, Record


class DeliveryStatus(StrEnum):
    """Return axis: trả tại chỗ hoặc qua bưu chính công ích (HinhThuc)."""

    UNKNOWN = "UNKNOWN"
    NOT_STARTED = "NOT_STARTED"
    ON_SITE = "ON_SITE"
    POSTED = "POSTED"
    DELIVERED = "DELIVERED"


class SynchronisationStatus(StrEnum):
    """Synchronisation axis."""

    UNKNOWN = "UNKNOWN"
    NOT_SYNCHRONISED = "NOT_SYNCHRONISED"
    WAITING = "WAITING"
    SENT = "SENT"
    ACKNOWLEDGED = "ACKNOWLEDGED"
    FAILED = "FAILED"


class Channel(StrEnum):
    """KenhThucHien: 1 trực tiếp, 2 trực tuyến, 3 bưu chính công ích."""

    UNKNOWN = "UNKNOWN"
    DIRECT = "DIRECT"
    ONLINE = "ONLINE"
    POSTAL = "POSTAL"


class ServiceLevel(StrEnum):
    """Mức độ dịch vụ công: một phần / toàn trình (Decree 42/2022/NĐ-CP)."""

    UNKNOWN = "UNKNOWN"
    PARTIAL = "PARTIAL"
    FULL = "FULL"


class Supplement(Record):
    """A round of supplementing, as the snapshot of a dossier lists it (DanhSachHoSoBoSung)."""

    round_id: str
    content: str = Field(repr=False)
    requested_at: Instant
    received_at: Instant | None = None
    new_due_date: date | None = None


class Dossier(Record):
    """Snapshot of a dossier, as synchronised with the national public service portal (DongBoHoSoMC)."""

    code: str
    alternative_code: str | None = None
    portal_id: str | None = None
    procedure: str
    procedure_name: str | None = None
    sector: str | None = None
    agency: str
    receiving_agency: str | None = None
    summary: str | None = Field(default=None, repr=False)
    applicant: Applicant = Field(repr=False)
    status: DossierStatus
    raw_status: str
    payment_status: PaymentStatus
    delivery_status: DeliveryStatus
    synchronisation_status: SynchronisationStatus
    submitted_at: Instant | None = None
    accepted_at: Instant | None = None
    due_at: Instant | None = None
    due_date: date | None = None
    finished_at: Instant | None = None
    returned_at: Instant | None = None
    refused_at: Instant | None = None
    channel: Channel
    raw_channel: str | None = None
    level: ServiceLevel
    raw_level: str | None = None
    submitted_where: str | None = None
    note: str | None = Field(default=None, repr=False)
    papers: tuple[Attachment, ...] = ()
    results: tuple[Attachment, ...] = ()
    fees: tuple[Fee, ...] = ()
    supplements: tuple[Supplement, ...] = ()
    digitised: bool = False
    out_of_territory: bool = False
    correction_reason: str | None = Field(default=None, repr=False)
    correction_authority: str | None = None
    parent_code: str | None = None


class ProgressStep(Record):
    """A further line of the same dossier, said in the same message."""

    officer: str = Field(repr=False)
    title: str | None = None
    processed_at: Instant
    unit: str
    content: str = Field(repr=False)
    status: DossierStatus
    raw_status: str
    started_at: Instant | None = None
    due_at: Instant | None = None


class ProgressLine(Record):
    """A line of a dossier's progress (CapNhatTienDoHoSoMC)."""

    code: str
    officer: str = Field(repr=False)
    title: str | None = None
    processed_at: Instant
    unit: str
    content: str = Field(repr=False)
    status: DossierStatus
    raw_status: str
    started_at: Instant | None = None
    due_at: Instant | None = None
    further: tuple[ProgressStep, ...] = ()


class SupplementRound(Record):
    """A round of supplementing a dossier (DanhSachHoSoBoSung), with the old and the new due date."""

    code: str
    round_id: str
    requested_by: str | None = Field(default=None, repr=False)
    content: str = Field(repr=False)
    requested_at: Instant
    received_by: str | None = Field(default=None, repr=False)
    received_at: Instant | None = None
    state: str | None = None
    old_due_date: date | None = None
    new_due_date: date | None = None
    papers: tuple[Attachment, ...] = ()
    fees: tuple[Fee, ...] = ()


class ComponentState(StrEnum):
    """Codes 1 to 7 of the birth and death interlink (KSKT), by their meaning."""

    UNKNOWN = "UNKNOWN"
    RECEIVED = "RECEIVED"
    SUPPLEMENT_REQUESTED = "SUPPLEMENT_REQUESTED"
    ACCEPTED = "ACCEPTED"
    DONE = "DONE"
    RETURNED = "RETURNED"
    REFUSED = "REFUSED"
    FORWARDED = "FORWARDED"


class ComponentStatus(Record):
    """Where one part of an interconnected procedure stands: a member agency's work, an opinion, a posting."""

    code: str
    component: str
    status: ComponentState
    raw_status: str
    component_code: str | None = None
    agency: str | None = None
    document_number: str | None = None
    reason: str | None = Field(default=None, repr=False)
    stated_at: Instant


class Apology(Record):
    """An apology for an overdue dossier, with the new date if one is set (form 04)."""

    code: str
    number: str | None = None
    reason: str = Field(repr=False)
    old_due_date: date | None = None
    new_due_date: date | None = None
    channel: str | None = None
    sent_at: Instant


class Overdue(Record):
    """A dossier's due date has passed without a result; stated by the router."""

    code: str
    procedure: str
    agency: str
    due_date: date
    status: Int
    waits_for: tuple[str, ...] = ()
    detected_at: Instant
