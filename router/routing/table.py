"""Routing rules as data: which recipients an event goes to, decided from its headers alone. Pure.

All rules that match apply, in the order of the file; their recipients are joined. A rule with ``stop`` ends the search.
An event never goes back to the recipient that sent it.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from datetime import date, timedelta
from fnmatch import fnmatchcase
from functools import cached_property
from hashlib import sha256
from typing import Final, Literal, NamedTuple

from pydantic import BaseModel, ConfigDict, Field, field_validator

from router.events import CE_DELIVERED_TO, CE_REGISTRY_VERSION, LGSP_DETAIL, LGSP_REASON, ROUTER, Header
from router.routing.agencies import Active, Agency, Ambiguous, Circular, Dissolved, Registry, Resolution

ADDRESSEE: Final = "addressee:"  # ``addressee:<role>``: the recipient that serves the addressee in this role

#: Events that begin something at their addressee. All others continue what it has already, and may still go to an
#: agency that has ended, within its grace.
BEGINNING: Final = frozenset(
    {
        "dossier.submitted", "document.sent", "land.file_submitted", "tax.obligation_requested",
        "notification.requested",
    }
)  # fmt: skip


class Match(BaseModel):
    """What a rule asks of an event. Parts left out ask nothing; several patterns of a part are alternatives."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    type: tuple[str, ...] = ()
    source: tuple[str, ...] = ()
    procedure: tuple[str, ...] = ()
    priority: Literal["urgent", "ordinary"] | None = None
    addressee: tuple[str, ...] = ()  # ids or codes of agencies: the resolved one or any of its parents

    @field_validator("type", "source", "procedure", "addressee", mode="before")
    @classmethod
    def _several(cls, value: object) -> object:
        return (value,) if isinstance(value, str) else value


class Rule(BaseModel):
    """One rule. ``line`` is where it stands in its file."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str = Field(min_length=1)
    match: Match = Match()
    to: tuple[str, ...] = Field(min_length=1)
    stop: bool = False
    line: int = 0

    @field_validator("to", mode="before")
    @classmethod
    def _several(cls, value: object) -> object:
        return (value,) if isinstance(value, str) else value


class Facts(NamedTuple):
    """What of an event decides. ``urgent`` is the pinned class; ``hints`` tell which part of a split agency."""

    type: str
    source: str
    procedure: str = ""
    urgent: bool = False
    addressed_to: str = ""
    hints: tuple[tuple[str, str], ...] = ()


class Fired(NamedTuple):
    """What became of one rule for one event."""

    rule: Rule
    fired: bool
    why: str
    recipients: tuple[str, ...] = ()


class Decision(NamedTuple):
    """Where an event goes. ``headers`` are added to it; ``reason`` says why it goes to ``router``."""

    recipients: tuple[str, ...]
    headers: tuple[Header, ...]
    reason: str = ""


class Routes:
    """A version of table and registry together, on a day. Immutable: a change makes a new one.

    ``recipients`` are those that exist (None: not asked). An event for one that does not goes to a person with the
    reason ``no_recipient``, and to nobody else before that is settled: its replay sends it to all.
    """

    def __init__(
        self, rules: Sequence[Rule], registry: Registry, today: date, recipients: Collection[str] | None = None
    ) -> None:
        self.rules, self.registry, self.today = tuple(rules), registry, today
        self.recipients = None if recipients is None else frozenset(recipients)

    def on(self, day: date) -> Routes:
        """The same rules and registry on another day; itself if it is that day already."""
        return self if day == self.today else Routes(self.rules, self.registry, day, self.recipients)

    def under(self, registry: Registry) -> Routes:
        """The same rules under another version of the registry; itself if it is that one already."""
        return self if registry is self.registry else Routes(self.rules, registry, self.today, self.recipients)

    @cached_property
    def digest(self) -> str:
        """Tells rules apart: 12 hexadecimal digits over what they say, wherever they stand in their file."""
        said = "\n".join(rule.model_dump_json(exclude={"line"}) for rule in self.rules)
        return sha256(said.encode()).hexdigest()[:12]

    def decide(self, facts: Facts) -> Decision:
        """Where an event with these facts goes."""
        if not facts.type or not facts.source:
            return _to_router("malformed_event")
        resolved = self.resolve(facts)
        if isinstance(resolved, Ambiguous):
            return _to_router("ambiguous_successor", ", ".join(resolved.successors))
        if isinstance(resolved, Circular):
            return _to_router("circular_successor", str(resolved))
        if resolved is not None and not isinstance(resolved, Active):
            return _to_router("dissolved_addressee" if isinstance(resolved, Dissolved) else "unknown_addressee")
        agency = resolved.agency if resolved is not None else None
        found = [recipient for fired in self.fire(facts, agency) for recipient in fired.recipients]
        recipients = tuple(dict.fromkeys(recipient for recipient in found if recipient != facts.source))
        if not recipients:
            return _to_router("no_route")
        if self.recipients is not None and not self.recipients.issuperset(recipients):
            return _to_router("no_recipient")
        return Decision(recipients, self._added(agency))

    def resolve(self, facts: Facts) -> Resolution | None:
        """What the registry makes of the addressee; None for an event that names none."""
        if not facts.addressed_to:
            return None
        begins = facts.type in BEGINNING
        return self.registry.resolve(facts.addressed_to, self.today, dict(facts.hints), begins=begins)

    def fire(self, facts: Facts, agency: Agency | None) -> list[Fired]:
        """Every rule in turn, up to one that stops."""
        chain = self.registry.chain(agency) if agency is not None else []
        codes = {above.id for above in chain} | {c.value for above in chain for c in self.registry.codes_of(above.id)}
        fired: list[Fired] = []
        for rule in self.rules:
            problem = _mismatch(rule.match, facts, codes)
            if problem:
                fired.append(Fired(rule, False, problem))
                continue
            fired.append(Fired(rule, True, "matches", tuple(self._recipients(rule, agency))))
            if rule.stop:
                break
        return fired

    def _recipients(self, rule: Rule, agency: Agency | None) -> list[str]:
        found: list[str] = []
        for target in rule.to:
            if not target.startswith(ADDRESSEE):
                found.append(target)
            elif agency is not None and (served := self.registry.recipient(agency, target.removeprefix(ADDRESSEE))):
                found.append(served)
        return found

    def _added(self, agency: Agency | None) -> tuple[Header, ...]:
        if agency is None:
            return ()
        # An agency that takes something in its grace is told by the code of its last day.
        code = self.registry.code_at(agency.id, min(self.today, _last_day(agency)))
        return (CE_DELIVERED_TO, code.encode()), (CE_REGISTRY_VERSION, self.registry.version.encode())


def _last_day(agency: Agency) -> date:
    return agency.valid_to if agency.valid_to in (date.min, date.max) else agency.valid_to - timedelta(days=1)


def _to_router(reason: str, detail: str = "") -> Decision:
    told = ((LGSP_DETAIL, detail.encode()),) if detail else ()
    return Decision((ROUTER,), ((LGSP_REASON, reason.encode()), *told), reason)


def _mismatch(match: Match, facts: Facts, codes: set[str]) -> str:
    """Why a rule does not match; empty if it does."""
    parts: Mapping[str, tuple[tuple[str, ...], str]] = {
        "type": (match.type, facts.type),
        "source": (match.source, facts.source),
        "procedure": (match.procedure, facts.procedure),
    }
    for name, (patterns, value) in parts.items():
        if patterns and not any(fnmatchcase(value, pattern) for pattern in patterns):
            return (
                f"{name} {value or '(none)'} is not {patterns[0] if len(patterns) == 1 else f'one of {len(patterns)}'}"
            )
    if match.priority is not None and (match.priority == "urgent") != facts.urgent:
        return f"priority is not {match.priority}"
    if match.addressee and not codes & set(match.addressee):
        return f"addressee is not (below) {' or '.join(match.addressee)}"
    return ""
