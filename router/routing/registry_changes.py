"""What differs between two states of the registry, agency by agency, in an order in which it can be published. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import date
from enum import StrEnum
from graphlib import TopologicalSorter
from typing import NamedTuple

from router.routing.agencies import UNSAID, Agency, Entry


class Kind(StrEnum):
    """What happens to an agency."""

    ADDED = "added"
    CHANGED = "changed"
    REMOVED = "removed"


class Change(NamedTuple):
    """One agency's change. ``entry`` is what it is from now on; of a removed one, what it was."""

    kind: Kind
    entry: Entry
    differences: tuple[str, ...] = ()


def keeping_directory(before: Mapping[str, Entry], after: Mapping[str, Entry]) -> dict[str, Entry]:
    """``after``, with what the national directory said where it says nothing of that: files need not repeat it."""
    silent = {name: entry.agency for name, entry in after.items() if entry.agency.directory == UNSAID}
    said = {name: before[name].agency.directory for name in silent if name in before}
    return {
        **after,
        **{name: after[name]._replace(agency=replace(silent[name], directory=said[name])) for name in said},
    }


def changes_between(before: Mapping[str, Entry], after: Mapping[str, Entry]) -> list[Change]:
    """All changes, so ordered that no prefix of them names an agency that comes later: parents and successors first,
    removals last. Raises ``graphlib.CycleError`` where ``after`` goes in a circle.
    """
    sorter: TopologicalSorter[str] = TopologicalSorter()
    for agency, entry in after.items():
        sorter.add(agency, *({entry.agency.parent, *(one.successor for one in entry.successions)} - {""}))
    found = []
    for agency in sorter.static_order():
        if agency in after and after[agency] != before.get(agency):
            kind = Kind.CHANGED if agency in before else Kind.ADDED
            differences = differences_of(before[agency], after[agency]) if kind is Kind.CHANGED else ()
            found.append(Change(kind, after[agency], differences))
    return [*found, *(Change(Kind.REMOVED, entry) for agency, entry in before.items() if agency not in after)]


def differences_of(before: Entry, after: Entry) -> tuple[str, ...]:
    """What differs between two states of one agency: ``name: Sở A → Sở B``."""
    old, new = told(before), told(after)
    return tuple(f"{name}: {old[name] or '(none)'} → {new[name] or '(none)'}" for name in new if old[name] != new[name])


def told(entry: Entry) -> dict[str, str]:
    """An entry as people read it, by the names of the columns; open ends are empty."""
    agency = entry.agency
    return {
        "name": agency.name,
        "level": agency.level,
        "parent": agency.parent,
        "valid_from": day(agency.valid_from),
        "valid_to": day(agency.valid_to),
        "grace_until": day(agency.grace_until or date.max),
        "serves": serves(agency),
        **directory(agency),
        "codes": ", ".join(f"{c.value}{_between(c.valid_from, c.valid_to)}" for c in entry.codes),
        "successions": ", ".join(
            " ".join(filter(None, (s.relation, s.successor, day(s.on), s.discriminator))) for s in entry.successions
        ),
    }


def directory(agency: Agency) -> dict[str, str]:
    """What the national directory says of an agency, as files have it."""
    version, modified, is_agency, center = agency.directory
    return {
        "directory_version": "" if version is None else str(version),
        "modified_at": modified.isoformat() if modified is not None else "",
        "is_agency": "" if is_agency is None else str(is_agency).lower(),
        "center_code": center,
    }


def serves(agency: Agency) -> str:
    """Who works for an agency, as files have it: ``one_stop=one-stop-h39 tax=tax-h39``."""
    return " ".join(f"{role}={recipient}" for role, recipient in sorted(agency.serves.items()))


def day(value: date) -> str:
    """A day as files have it; an open end is empty."""
    return "" if value in (date.min, date.max) else value.isoformat()


def _between(start: date, end: date) -> str:
    return f" ({day(start)}..{day(end)})" if day(start) or day(end) else ""
