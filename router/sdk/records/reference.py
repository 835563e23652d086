"""Typed records of the family ``reference``; field by field the same as its Avro schemas."""

from __future__ import annotations

from datetime import date
from enum import StrEnum

from router.sdk.records.common import Instant, Record


class AgencyStatus(StrEnum):
    """What became of an agency."""

    UNKNOWN = "UNKNOWN"
    ACTIVE = "ACTIVE"
    RENAMED = "RENAMED"
    MERGED = "MERGED"
    SPLIT = "SPLIT"
    DISSOLVED = "DISSOLVED"


class AgencyRelation(StrEnum):
    """How an agency ended."""

    UNKNOWN = "UNKNOWN"
    RENAMED = "RENAMED"
    MERGED_INTO = "MERGED_INTO"
    SPLIT_INTO = "SPLIT_INTO"
    DISSOLVED = "DISSOLVED"


class AgencyService(Record):
    """The recipient that works for an agency in a role."""

    role: str
    recipient: str


class AgencyCode(Record):
    """A code of an agency, of either grammar or an irregular one."""

    value: str
    valid_from: date | None = None
    valid_to: date | None = None


class AgencySuccession(Record):
    """What an agency became on a day."""

    relation: AgencyRelation
    successor: str | None = None
    on: date | None = None
    discriminator: str = ""


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
    level: str = ""
    grace_until: date | None = None
    serves: tuple[AgencyService, ...] = ()
    codes: tuple[AgencyCode, ...] = ()
    successions: tuple[AgencySuccession, ...] = ()
    directory_version: int | None = None
    modified_at: Instant | None = None
    is_agency: bool | None = None
    center_code: str | None = None
