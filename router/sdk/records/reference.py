"""Typed records of the family ``reference``; field by field the same as its Avro schemas."""

from __future__ import annotations

from datetime import date
from enum import StrEnum

from router.sdk.records.common import Record


class AgencyStatus(StrEnum):
    """What became of an agency."""

    UNKNOWN = "UNKNOWN"
    ACTIVE = "ACTIVE"
    RENAMED = "RENAMED"
    MERGED = "MERGED"
    SPLIT = "SPLIT"
    DISSOLVED = "DISSOLVED"


class Agency(Record):
    """A change in the registry of agencies."""

    agency_id: str
    name: str
    code: str | None = None
    old_code: str | None = None
    parent: str | None = None
    valid_from: date | None = None
    valid_to: date | None = None
    status: AgencyStatus
    successors: tuple[str, ...] = ()
    deleted: bool = False
