"""The agency registry: who an agency code means at an instant, and which recipient serves it. Pure.

Two grammars of codes live side by side (QCVN 102:2016/BTTTT ``000.00.16.H40`` and Decision 20/2020/QĐ-TTg ``H40.16``),
and irregular ones are in use. A code is valid because it is registered, never because it looks right, and the one is
never computed from the other. Agencies were renamed, merged, split and dissolved, most of them on 1 July 2025
(resolution 202/2025/QH15): ``resolve`` follows successors, and guesses nothing where there are several.

An ended agency may have a *grace*: until its ``grace_until`` what continues earlier business still goes to its own
recipient, whose account is drained; new business follows the successors from the first day (domain rule: accounts of
dissolved units stay readable, not writable).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from enum import StrEnum
from graphlib import CycleError, TopologicalSorter
from itertools import pairwise
from typing import Final, NamedTuple, TypeAlias

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


class Directory(NamedTuple):
    """What the national directory of units says of an agency beside the rest; it is kept, and decides nothing here.

    ``modified_at`` is an instant in UTC; ``is_agency`` is false for a unit within an agency; ``center`` is the code of
    the centre through which the national document axis reaches it. None and empty: the directory does not say.
    """

    version: int | None = None
    modified_at: datetime | None = None
    is_agency: bool | None = None
    center: str = ""


UNSAID: Final = Directory()


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
    grace_until: date | None = None  # the first day on which its own recipient takes nothing more
    directory: Directory = UNSAID


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


class Entry(NamedTuple):
    """Everything that is registered of one agency: what one change of the registry replaces as a whole."""

    agency: Agency
    codes: tuple[Code, ...] = ()
    successions: tuple[Succession, ...] = ()


@dataclass(frozen=True, slots=True)
class Active:
    """The agency that a code means, and the agencies that were passed on the way from its first holder. ``draining``:
    it has ended, and takes this within its grace.
    """

    agency: Agency
    via: tuple[str, ...] = ()
    draining: bool = False


@dataclass(frozen=True, slots=True)
class Ambiguous:
    """Several successors, and nothing that tells which."""

    successors: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Dissolved:
    """Ended without a successor."""

    agency: str


@dataclass(frozen=True, slots=True)
class Circular:
    """Its successions go in a circle: these agencies, the first one again at the end."""

    circle: tuple[str, ...]

    def __str__(self) -> str:
        return " → ".join(self.circle)


@dataclass(frozen=True, slots=True)
class Unknown:
    """Not registered at that time, or followed to an agency that is not."""

    code: str


Resolution: TypeAlias = Active | Ambiguous | Dissolved | Circular | Unknown
Note: TypeAlias = Callable[[str], None]


def shared_code(codes: Iterable[Code]) -> tuple[Code, Code] | None:
    """The first two registrations of one code that hold at the same time; None where each code has one meaning."""
    ordered = sorted(codes, key=lambda code: (code.value, code.valid_from))
    clashes = (two for two in pairwise(ordered) if two[0].value == two[1].value and two[1].valid_from < two[0].valid_to)
    return next(clashes, None)


def grammar_of(code: str) -> Grammar:
    """What a code looks like; says nothing of whether it is valid."""
    if OLD_GRAMMAR.match(code):
        return Grammar.OLD
    return Grammar.NEW if NEW_GRAMMAR.match(code) else Grammar.IRREGULAR


def _unheard(_step: str) -> None:
    """Nobody wants to know the steps."""


class Registry:
    """A version of the registry. ``version`` goes into the header of every event that was resolved by it."""

    def __init__(
        self, version: str, agencies: Iterable[Agency], codes: Iterable[Code], successions: Iterable[Succession]
    ) -> None:
        self.version = version
        self.agencies = {agency.id: agency for agency in agencies}
        self._by_value: dict[str, list[Code]] = {}
        self._by_holder: dict[str, list[Code]] = {}
        for code in codes:
            self._by_value.setdefault(code.value, []).append(code)
            self._by_holder.setdefault(code.agency, []).append(code)
        self._successions: dict[str, list[Succession]] = {}
        for succession in successions:
            self._successions.setdefault(succession.agency, []).append(succession)

    @classmethod
    def of(cls, version: str, entries: Iterable[Entry]) -> Registry:
        """The registry that these entries make up."""
        known = list(entries)
        return cls(
            version,
            (entry.agency for entry in known),
            (code for entry in known for code in entry.codes),
            (succession for entry in known for succession in entry.successions),
        )

    def codes(self) -> list[Code]:
        """All codes of all agencies."""
        return [code for codes in self._by_holder.values() for code in codes]

    def holders(self, code: str) -> list[str]:
        """The agencies that have or had a code."""
        return list(dict.fromkeys(held.agency for held in self._by_value.get(code, ())))

    def holder(self, code: str, at: date) -> Agency | None:
        """The agency that has a code on a day, or had it last, under its own name whatever became of it since; None
        where none had it yet. A rename does not rewrite what was signed before.
        """
        began = [held for held in self._by_value.get(code, ()) if held.valid_from <= at]
        return self.agencies.get(_at(began, at).agency) if began else None

    def entries(self) -> dict[str, Entry]:
        """Every agency with its codes and what it became, by id."""
        return {
            agency.id: Entry(agency, tuple(self.codes_of(agency.id)), tuple(self._successions.get(agency.id, ())))
            for agency in self.agencies.values()
        }

    def resolve(
        self,
        code: str,
        at: date,
        hints: Mapping[str, str] | None = None,
        *,
        begins: bool = True,
        note: Note = _unheard,
    ) -> Resolution:
        """The agency that ``code`` means on a day (local date), following successors to the end.

        ``hints`` tell which part of a split agency is meant, for instance ``{"commune": "24001"}``. ``begins`` is new
        business; what is not may still be taken by an agency in its grace. ``note`` hears each step, for people.
        """
        holders = sorted(self._by_value.get(code, ()), key=lambda held: held.valid_from)
        began = [held for held in holders if held.valid_from <= at]
        if not began:
            note(f"{code}: {f'valid from {holders[0].valid_from}' if holders else 'not registered'}")
            return Unknown(code)
        holder = _at(began, at)
        lapsed = "" if at < holder.valid_to else f", until {holder.valid_to}"
        note(f"{code}: a code ({grammar_of(code)}) of {holder.agency}{lapsed}")
        return self._follow(holder.agency, code, at, hints or {}, begins, note)

    def _follow(
        self, agency_id: str, code: str, at: date, hints: Mapping[str, str], begins: bool, note: Note
    ) -> Resolution:
        via: list[str] = []
        while True:
            agency = self.agencies.get(agency_id)
            if agency is None:
                note(f"{agency_id}: not registered")
                return Unknown(code)
            if agency_id in via:
                circle = Circular((*via[via.index(agency_id) :], agency_id))
                note(f"{agency_id}: a circle, {circle}")
                return circle
            due = [succession for succession in self._successions.get(agency_id, ()) if succession.on <= at]
            if at < agency.valid_from:
                note(f"{agency_id}: {agency.name}, only from {agency.valid_from}")
                return Unknown(code)
            if not due and at < agency.valid_to:
                note(f"{agency_id}: {agency.name}, at work on {at}")
                return Active(agency, tuple(via))
            if not begins and agency.grace_until is not None and at < agency.grace_until:
                note(f"{agency_id}: {agency.name}, ended; until {agency.grace_until} it takes what continues")
                return Active(agency, tuple(via), draining=True)
            via.append(agency_id)
            successors = _chosen(due, hints)
            note(f"{agency_id}: {agency.name}, {_ending(agency, due)}")
            if not successors:
                return Dissolved(agency_id)
            if len(successors) > 1:
                note(f"{agency_id}: several successors, and nothing tells which: {', '.join(successors)}")
                return Ambiguous(tuple(successors))
            agency_id = successors[0]

    def circle(self) -> Circular | None:
        """A circle among the successions or the parents; None where every way comes to an end."""
        onward = {agency: {s.successor for s in found if s.successor} for agency, found in self._successions.items()}
        upward = {agency.id: {agency.parent} for agency in self.agencies.values() if agency.parent}
        for graph in (onward, upward):
            try:
                TopologicalSorter(graph).prepare()
            except CycleError as error:
                return Circular(tuple(reversed(error.args[1])))
        return None

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
        return list(self._by_holder.get(agency_id, ()))

    def code_at(self, agency_id: str, at: date) -> str:
        """A code of an agency on a day, Decision 20/2020 first; its id where it has none."""
        valid = [code.value for code in self.codes_of(agency_id) if code.valid_from <= at < code.valid_to]
        return min(valid, key=lambda value: (grammar_of(value) is not Grammar.NEW, value), default=agency_id)


def _at(began: Sequence[Code], at: date) -> Code:
    """Of the registrations of a code that have begun, the one that holds on a day, else the last."""
    return next((held for held in began if at < held.valid_to), max(began, key=lambda held: held.valid_from))


def _chosen(due: Sequence[Succession], hints: Mapping[str, str]) -> list[str]:
    """Successors that are meant: those whose discriminator the hints fit; without one, all."""
    if any(succession.relation is Relation.DISSOLVED for succession in due):
        return []
    told = {f"{name}={value}" for name, value in hints.items() if value}
    fitting = [succession.successor for succession in due if succession.discriminator in told]
    return list(dict.fromkeys(fitting or [succession.successor for succession in due]))


def _ending(agency: Agency, due: Sequence[Succession]) -> str:
    """What became of an agency, in words."""
    if not due:
        return f"ended on {agency.valid_to} without a successor"
    return "; ".join(
        " ".join(filter(None, (s.relation.replace("_", " "), s.successor, f"on {s.on}", s.discriminator))) for s in due
    )
