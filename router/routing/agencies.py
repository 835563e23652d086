"""The agency registry: who an agency code means at an instant, and which recipient serves it. Pure.

Two grammars of codes live side by side (QCVN 102:2016/BTTTT ``000.00.16.H40`` and Decision 20/2020/QĐ-TTg ``H40.16``),
and irregular ones are in use. A code is valid because it is registered, never because it looks right, and the one is
never computed from the other. Agencies were renamed, merged, split and dissolved, most of them on 1 July 2025
(resolution 202/2025/QH15): ``resolve`` follows successors, and guesses nothing where there are several.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from enum import StrEnum
from typing import Final, TypeAlias

OLD_GRAMMAR: Final = re.compile(r"^\d{3}\.\d{2,3}\.\d{2}\.[A-Z]\d{2}$")
NEW_GRAMMAR: Final = re.compile(r"^[A-Z]\d{2}(\.[A-Z0-9]{2,3}){0,5}$")


class Grammar(StrEnum):
    """What a code looks like."""

    OLD = "qcvn102"
    NEW = "qd20"
    IRREGULAR = "irregular"


class Relation(StrEnum):
    """How an agency ended."""

    RENAMED = "renamed"
    MERGED_INTO = "merged_into"
    SPLIT_INTO = "split_into"
    DISSOLVED = "dissolved"


@dataclass(frozen=True, slots=True)
class Agency:
    """An agency. ``serves`` names, by role, the recipient that works for it; without an entry its parent's does."""

    id: str
    name: str
    level: str  # central, province, department, district, commune, office
    parent: str = ""
    valid_from: date = date.min
    valid_to: date = date.max  # the first day on which it is no more
    serves: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Code:
    """A code of an agency, valid from a day until (not including) another."""

    value: str
    agency: str
    valid_from: date = date.min
    valid_to: date = date.max


@dataclass(frozen=True, slots=True)
class Succession:
    """``agency`` became (part of) ``successor`` on a day. ``discriminator`` tells which of several: ``commune=…``."""

    agency: str
    relation: Relation
    successor: str
    on: date
    discriminator: str = ""


@dataclass(frozen=True, slots=True)
class Active:
    """The agency that a code means, and the agencies that were passed on the way from its first holder."""

    agency: Agency
    via: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Ambiguous:
    """Several successors, and nothing that tells which."""

    successors: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Dissolved:
    """Ended without a successor."""

    agency: str


@dataclass(frozen=True, slots=True)
class Unknown:
    """Not registered at that time; or its successions go in a circle."""

    code: str


Resolution: TypeAlias = Active | Ambiguous | Dissolved | Unknown


def grammar_of(code: str) -> Grammar:
    """What a code looks like; says nothing of whether it is valid."""
    if OLD_GRAMMAR.match(code):
        return Grammar.OLD
    return Grammar.NEW if NEW_GRAMMAR.match(code) else Grammar.IRREGULAR


class Registry:
    """A version of the registry. ``version`` goes into the header of every event that was resolved by it."""

    def __init__(
        self, version: str, agencies: Sequence[Agency], codes: Sequence[Code], successions: Sequence[Succession]
    ) -> None:
        self.version = version
        self.agencies = {agency.id: agency for agency in agencies}
        self._codes: dict[str, list[Code]] = {}
        for code in codes:
            self._codes.setdefault(code.value, []).append(code)
        self._successions: dict[str, list[Succession]] = {}
        for succession in successions:
            self._successions.setdefault(succession.agency, []).append(succession)

    def resolve(self, code: str, at: date, hints: Mapping[str, str] | None = None) -> Resolution:
        """The agency that ``code`` means on a day (local date), following successors to the end.

        ``hints`` tell which part of a split agency is meant, for instance ``{"commune": "24001"}``.
        """
        holders = self._codes.get(code, ())
        holder = next((c for c in holders if c.valid_from <= at < c.valid_to), holders[-1] if holders else None)
        if holder is None or holder.agency not in self.agencies:
            return Unknown(code)
        return self._follow(holder.agency, code, at, hints or {})

    def _follow(self, agency_id: str, code: str, at: date, hints: Mapping[str, str]) -> Resolution:
        via: list[str] = []
        while True:
            agency = self.agencies.get(agency_id)
            if agency is None or agency_id in via:
                return Unknown(code)
            due = [s for s in self._successions.get(agency_id, ()) if s.on <= at]
            if not due:
                if at < agency.valid_from:
                    return Unknown(code)
                return Active(agency, tuple(via)) if at < agency.valid_to else Dissolved(agency_id)
            via.append(agency_id)
            successors = _chosen(due, hints)
            if not successors:
                return Dissolved(agency_id)
            if len(successors) > 1:
                return Ambiguous(tuple(successors))
            agency_id = successors[0]

    def chain(self, agency: Agency) -> list[Agency]:
        """The agency and its parents, from below."""
        found: list[Agency] = []
        current: Agency | None = agency
        while current is not None and current not in found:
            found.append(current)
            current = self.agencies.get(current.parent)
        return found

    def recipient(self, agency: Agency, role: str) -> str | None:
        """The recipient that works for an agency in a role: its own, or its nearest parent's."""
        return next((above.serves[role] for above in self.chain(agency) if role in above.serves), None)

    def codes_of(self, agency_id: str) -> list[Code]:
        """All codes an agency has or had."""
        return [code for codes in self._codes.values() for code in codes if code.agency == agency_id]

    def code_at(self, agency_id: str, at: date) -> str:
        """A code of an agency on a day, Decision 20/2020 first; its id where it has none."""
        valid = [code.value for code in self.codes_of(agency_id) if code.valid_from <= at < code.valid_to]
        return min(valid, key=lambda value: (grammar_of(value) is not Grammar.NEW, value), default=agency_id)


def _chosen(due: Sequence[Succession], hints: Mapping[str, str]) -> list[str]:
    """Successors that are meant: those whose discriminator the hints fit; without one, all."""
    if any(succession.relation is Relation.DISSOLVED for succession in due):
        return []
    told = {f"{name}={value}" for name, value in hints.items() if value}
    fitting = [succession.successor for succession in due if succession.discriminator in told]
    return list(dict.fromkeys(fitting or [succession.successor for succession in due]))
