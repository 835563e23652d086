"""An agency between its two forms: an entry of the registry, and the Avro record of its change. Pure.

A record of the first version of the schema (one code of each grammar, a status, successors) is read too: its codes are
valid as long as the agency, and what it became counts from its last day on.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from typing import Final

from router.routing.agencies import Agency, Code, Directory, Entry, Grammar, Relation, Succession, grammar_of
from router.sdk.records import reference
from router.sdk.records.reference import AgencyCode, AgencyRelation, AgencyService, AgencyStatus, AgencySuccession

_RELATION_OF: Final[Mapping[AgencyStatus, Relation]] = {
    AgencyStatus.RENAMED: Relation.RENAMED,
    AgencyStatus.MERGED: Relation.MERGED_INTO,
    AgencyStatus.SPLIT: Relation.SPLIT_INTO,
    AgencyStatus.DISSOLVED: Relation.DISSOLVED,
}
_STATUS_OF: Final = {relation: status for status, relation in _RELATION_OF.items()}


def record_of(entry: Entry, *, deleted: bool = False) -> reference.Agency:
    """The record that says what an entry says."""
    agency = entry.agency
    last = max(entry.successions, key=lambda one: one.on, default=None)
    return reference.Agency(
        agency_id=agency.id,
        name=agency.name,
        code=_latest(entry, Grammar.NEW),
        old_code=_latest(entry, Grammar.OLD),
        parent=agency.parent or None,
        valid_from=_day(agency.valid_from),
        valid_to=_day(agency.valid_to),
        status=_STATUS_OF[last.relation] if last else AgencyStatus.ACTIVE,
        successors=tuple(dict.fromkeys(one.successor for one in entry.successions if one.successor)),
        deleted=deleted,
        level=agency.level,
        grace_until=agency.grace_until,
        serves=tuple(AgencyService(role=role, recipient=to) for role, to in sorted(agency.serves.items())),
        codes=tuple(
            AgencyCode(value=code.value, valid_from=_day(code.valid_from), valid_to=_day(code.valid_to))
            for code in entry.codes
        ),
        successions=tuple(
            AgencySuccession(
                relation=AgencyRelation(one.relation.name),
                successor=one.successor or None,
                on=_day(one.on),
                discriminator=one.discriminator,
            )
            for one in entry.successions
        ),
        directory_version=agency.directory.version,
        modified_at=agency.directory.modified_at,
        is_agency=agency.directory.is_agency,
        center_code=agency.directory.center or None,
    )


def entry_of(record: reference.Agency) -> Entry:
    """The entry that a record says. Raises ``ValueError`` with what is missing or contradicts itself."""
    if not record.agency_id:
        raise ValueError("agency_id is empty")
    if not record.name and not record.deleted:
        raise ValueError("name is empty")
    agency = Agency(
        id=record.agency_id,
        name=record.name,
        level=record.level,
        parent=record.parent or "",
        valid_from=record.valid_from or date.min,
        valid_to=record.valid_to or date.max,
        serves={one.role: one.recipient for one in record.serves},
        grace_until=record.grace_until,
        directory=Directory(record.directory_version, record.modified_at, record.is_agency, record.center_code or ""),
    )
    if agency.grace_until is not None and agency.grace_until < agency.valid_to:
        raise ValueError("grace_until is before valid_to")
    return Entry(agency, _codes(record), _successions(record))


def _codes(record: reference.Agency) -> tuple[Code, ...]:
    told = record.codes or tuple(
        AgencyCode(value=value, valid_from=record.valid_from) for value in (record.code, record.old_code) if value
    )
    return tuple(
        Code(one.value, record.agency_id, one.valid_from or date.min, one.valid_to or date.max) for one in told
    )


def _successions(record: reference.Agency) -> tuple[Succession, ...]:
    own = record.agency_id
    if record.successions:
        if any(one.relation is AgencyRelation.UNKNOWN for one in record.successions):
            raise ValueError("relation is not known to this release")
        return tuple(
            Succession(own, Relation[one.relation.name], one.successor or "", one.on or date.min, one.discriminator)
            for one in record.successions
        )
    relation, on = _RELATION_OF.get(record.status), record.valid_to or date.min
    if relation is None:
        return ()
    successors = ("",) if relation is Relation.DISSOLVED else record.successors
    return tuple(Succession(own, relation, successor, on) for successor in successors)


def _latest(entry: Entry, grammar: Grammar) -> str | None:
    fitting = [code for code in entry.codes if grammar_of(code.value) is grammar]
    return max(fitting, key=lambda code: code.valid_from).value if fitting else None


def _day(day: date) -> date | None:
    """Open ends are null in records."""
    return None if day in (date.min, date.max) else day
