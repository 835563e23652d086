"""Typed records of the family ``land``; field by field the same as its Avro schemas."""

from __future__ import annotations

from datetime import date
from enum import StrEnum

from pydantic import Field

from router.sdk.records.common import Applicant, Attachment, Instant, Parcel, Record


class LandMessage(StrEnum):
    """Message of the land interlink."""

    UNKNOWN = "UNKNOWN"
    L1 = "L1"
    L2 = "L2"
    L3 = "L3"
    L4 = "L4"
    L5 = "L5"
    L12 = "L12"
    L13 = "L13"
    L14 = "L14"
    L15_RECEIPT = "L15_RECEIPT"
    L15_CORRECTION = "L15_CORRECTION"
    L15_WRONG_PROCEDURE = "L15_WRONG_PROCEDURE"


class LandFile(Record):
    """A message of the land interlink between one-stop and land registration office (VBDLIS)."""

    message: LandMessage
    code: str
    one_stop_code: str | None = None
    land_code: str | None = None
    provincial: bool = False
    province: str | None = None
    district: str | None = None
    commune: str | None = None
    procedure: str | None = None
    received_by: str | None = Field(default=None, repr=False)
    received_at: Instant | None = None
    due_date: date | None = None
    asset_address: str | None = Field(default=None, repr=False)
    applicant: Applicant | None = Field(default=None, repr=False)
    parcels: tuple[Parcel, ...] = ()
    papers: tuple[Attachment, ...] = ()
    from_officer: str | None = Field(default=None, repr=False)
    to_officer: str | None = Field(default=None, repr=False)
    state_code: str | None = None
    is_return: bool = False
    deadline: Instant | None = None
    reason: str | None = Field(default=None, repr=False)
    pauses: bool = False
    supplement_until: date | None = None
    ended_at: Instant | None = None
    end_state: str | None = None
    results: tuple[Attachment, ...] = ()
