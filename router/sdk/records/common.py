"""What the records of several families share: applicants, attachments, fees, parcels, and their enumerations."""

from __future__ import annotations

from datetime import date
from enum import StrEnum
from typing import Annotated, TypeAlias

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field

Instant: TypeAlias = AwareDatetime
#: Integers as Avro has them.
Int: TypeAlias = Annotated[int, Field(ge=-(2**31), lt=2**31)]
Long: TypeAlias = Annotated[int, Field(ge=-(2**63), lt=2**63)]
Finite: TypeAlias = Annotated[float, Field(allow_inf_nan=False)]


class Record(BaseModel):
    """Base of all records: frozen, and refuses unknown fields. Personal fields stay out of its repr, and what was given
    stays out of the texts of its errors.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)


class ApplicantKind(StrEnum):
    """LoaiDoiTuong: 1 công dân, 2 doanh nghiệp, 3 cơ quan nhà nước, 4 khác."""

    UNKNOWN = "UNKNOWN"
    CITIZEN = "CITIZEN"
    ENTERPRISE = "ENTERPRISE"
    STATE_AGENCY = "STATE_AGENCY"
    OTHER = "OTHER"


class DossierStatus(StrEnum):
    """TrangThaiHoSo 1-10 of DongBoHoSoMC in this order; UNKNOWN for a code not known here."""

    UNKNOWN = "UNKNOWN"
    SUBMITTED = "SUBMITTED"
    ACCEPTED = "ACCEPTED"
    NOT_ACCEPTED = "NOT_ACCEPTED"
    PROCESSING = "PROCESSING"
    SUPPLEMENT_REQUESTED = "SUPPLEMENT_REQUESTED"
    FINANCIAL_OBLIGATION = "FINANCIAL_OBLIGATION"
    WITHDRAWN = "WITHDRAWN"
    STOPPED = "STOPPED"
    RESULT_READY = "RESULT_READY"
    RESULT_RETURNED = "RESULT_RETURNED"


class PaymentStatus(StrEnum):
    """Payment axis: chưa thanh toán, chờ thanh toán, đã thanh toán, huỷ, đã hoàn phí."""

    UNKNOWN = "UNKNOWN"
    NOT_PAID = "NOT_PAID"
    PENDING = "PENDING"
    PAID = "PAID"
    CANCELLED = "CANCELLED"
    REFUNDED = "REFUNDED"


class Attachment(Record):
    """A file by claim check: the bytes are in the object store."""

    object_key: str
    sha256: str
    size: Long
    media_type: str
    role: str
    name: str = Field(repr=False)


class Applicant(Record):
    """The applicant of a dossier (ChuHoSo)."""

    name: str = Field(repr=False)
    kind: ApplicantKind
    identity_number: str | None = Field(default=None, repr=False)
    tax_code: str | None = Field(default=None, repr=False)
    birth_date: date | None = Field(default=None, repr=False)
    address: str | None = Field(default=None, repr=False)
    phone: str | None = Field(default=None, repr=False)
    email: str | None = Field(default=None, repr=False)

    @property
    def owner(self) -> str:
        """Who the dossier belongs to: the citizen's number, for an enterprise without one its tax code; or empty."""
        return self.identity_number or self.tax_code or ""


class Fee(Record):
    """A fee or charge (DanhSachLePhi)."""

    code: str | None = None
    name: str
    amount: Long
    collection: str | None = None


class Parcel(Record):
    """A parcel of land (ThongTinThuaDat)."""

    parcel_number: str
    map_sheet: str
    area: Finite
    address: str | None = Field(default=None, repr=False)
    origin: str | None = None
    purpose: str | None = None
    term: str | None = None
