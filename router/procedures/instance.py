"""The state of one run of a procedure: an immutable value, stored as JSON. Times are µs UTC of business time."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from pydantic import TypeAdapter

from router.procedures.obligation import Finance
from router.procedures.verdict import Verdict


class Token(NamedTuple):
    """A node that is active, for one item of a branch or for none, since ``since``. ``forks`` are the fan-outs it came
    through; ``told_at`` is when, by its source, the event occurred that brought it here.
    """

    node: str
    item: str
    since: int
    forks: tuple[str, ...] = ()
    alerted: bool = False
    told_at: int = 0

    @property
    def id(self) -> str:
        """``node`` or ``node[item]``."""
        return f"{self.node}[{self.item}]" if self.item else self.node


class Event(NamedTuple):
    """An event as the engine sees it: its facts, and where its delivery stands so that its bytes can be found again."""

    type: str
    source: str
    id: str
    occurred_at: int
    received_at: int
    facts: Mapping[str, Any]
    shard: int = 0
    seq: int = 0


class Early(NamedTuple):
    """An event that was taken and waits for its predecessor, since ``taken_at``; ``alerted``: a person knows of it."""

    event: Event
    taken_at: int
    reason: str = ""
    alerted: bool = False

    @property
    def id(self) -> str:
        """``source/id`` of the event."""
        return f"{self.event.source}/{self.event.id}"


class Move(NamedTuple):
    """A due date as it was set or moved: when, to what, and why. ``since``: a pause's beginning; ``at`` is its end.
    ``task``: of the agencies' own dates, the token of the task whose date it is.
    """

    at: int
    due: int
    why: str
    since: int = 0
    task: str = ""


class Child(NamedTuple):
    """An instance that this one has brought about (a forwarded copy), and how it ended; empty while it runs.

    ``organ`` is the agency that brought it about (that forwarded). ``states`` are what receivers of the copy, and of
    copies of it, have stated last: pairs of agency code and state. ``told`` is whom it was asked to recall from
    (``copies.EVERYONE``, or agency codes), ``said_at`` when it said last that it runs or has ended.
    """

    key: str
    ended: str = ""
    organ: str = ""
    states: tuple[tuple[str, str], ...] = ()
    told: tuple[str, ...] = ()
    said_at: int = 0


class Replaced(NamedTuple):
    """A document that this one takes the place of, by its key, and for which receivers; none named: for all."""

    key: str
    organs: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Due:
    """Both due dates with all their moves, and what stops or colours the clock.

    ``tasks`` are the tasks whose days run now, each with its own date among ``agency``; ``late`` those of them whose
    date has passed. ``apologised`` is the whole due date (µs) that the last apology was for.
    """

    whole: tuple[Move, ...] = ()
    agency: tuple[Move, ...] = ()
    tasks: tuple[str, ...] = ()
    late: tuple[str, ...] = ()
    claimed: int = 0  # what the one-stop last said of the whole
    paused_since: int = 0
    paused_why: str = ""
    pause_alerted: bool = False
    detected_at: int = 0  # when it was found overdue
    apology_at: int = 0
    apologised: int = 0
    alerted_at: int = 0  # when the missing apology was reported
    extended: bool = False
    calendar: str = ""


@dataclass(frozen=True, slots=True)
class Dossier:
    """What statistics count. Empty texts and zeros: not known."""

    code: str = ""
    procedure: str = ""
    agency: str = ""
    channel: str = ""
    level: str = ""
    received_at: int = 0
    accepted_at: int = 0
    finished_at: int = 0
    returned_at: int = 0
    supplement_rounds: int = 0
    processed_at: int = 0  # the last time it was seen being processed
    integrity_warning: bool = False
    sector: str = ""


@dataclass(frozen=True, slots=True)
class Instance:
    """A run. ``definition`` is the pinned version, ``digest`` what it said then; ``events`` counts the lines of its
    log; ``version`` is its row's.

    ``recalled`` is from whom it is taken back (``copies.EVERYONE``, or agency codes): what its copies must be told.
    ``passed`` are ids of tokens that moved on, oldest first; ``arrived`` how many came to each join; ``forks`` how many
    branches each fan-out began.
    """

    procedure: str
    definition: int
    opened_at: int
    digest: str = ""
    key: str = ""  # of the dossier or document, a UUID as text
    status: int = 0
    status_at: int = 0
    status_source: str = ""
    tokens: tuple[Token, ...] = ()
    passed: tuple[str, ...] = ()
    arrived: Mapping[str, int] = field(default_factory=dict)
    forks: Mapping[str, int] = field(default_factory=dict)
    variables: Mapping[str, Any] = field(default_factory=dict)
    finance: Finance = field(default_factory=Finance)
    early: tuple[Early, ...] = ()
    children: tuple[Child, ...] = ()
    parent: str = ""
    recalled: tuple[str, ...] = ()
    replaces: tuple[Replaced, ...] = ()
    due: Due = field(default_factory=Due)
    dossier: Dossier = field(default_factory=Dossier)
    end_state: str = ""
    closed_at: int = 0
    events: int = 0
    version: int = 0


class LogLine(NamedTuple):
    """A line of an instance's log: never changed, never removed."""

    number: int
    event: Event
    applied_at: int
    verdict: Verdict
    flags: tuple[str, ...] = ()


_ADAPTER: TypeAdapter[Instance] = TypeAdapter(Instance)


def to_json(instance: Instance) -> dict[str, Any]:
    """As JSON values."""
    stored: dict[str, Any] = _ADAPTER.dump_python(instance, mode="json")
    return stored


def from_json(stored: Mapping[str, Any]) -> Instance:
    """From JSON values. Raises ``pydantic.ValidationError``."""
    return _ADAPTER.validate_python(stored)
