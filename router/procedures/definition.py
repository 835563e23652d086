"""What a procedure definition is: nodes of eight kinds, edges of event types and guards, compensation. Data only."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from datetime import date
from enum import StrEnum
from fnmatch import fnmatchcase
from fractions import Fraction
from functools import cached_property
from hashlib import sha256
from typing import Annotated, Any, Final, Literal, NamedTuple, Self

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, model_validator

from router.procedures.duration import Duration, Unit
from router.procedures.expression import Expression

_WORDS: Final = frozenset({"title", "source", "text"})


class Kind(StrEnum):
    """Kinds of node."""

    TASK = "task"  # an agency works; its days are counted
    WAIT = "wait"  # for an event, with what follows if it does not come
    FAN_OUT = "fan_out"  # several branches begin, or one per element of a list
    JOIN = "join"  # branches come together: all, any, or a quorum
    PAUSE = "pause"  # the authority's clock stands still
    MANUAL = "manual"  # a person of the role decides; the decision comes as an event
    END = "end"


def _duration(value: object) -> object:
    return value if isinstance(value, Duration) else Duration.read(value)


def _allowance(value: object) -> object:
    return value if isinstance(value, Duration) else Duration.read_allowance(value)


def _expression(value: object) -> object:
    return value if isinstance(value, Expression) else Expression(str(value))


def _several(value: object) -> object:
    return (value,) if isinstance(value, str) else value


Guard = Annotated[Expression, BeforeValidator(_expression)]
Span = Annotated[Duration, BeforeValidator(_duration)]
Words = Annotated[tuple[str, ...], BeforeValidator(_several)]
Allowance = Annotated[Duration, BeforeValidator(_allowance)]


class Part(BaseModel):
    """What all parts of a definition share: nothing unknown, nothing changed."""

    model_config = ConfigDict(frozen=True, extra="forbid", arbitrary_types_allowed=True)


class Finding(NamedTuple):
    """Something to say about a part of a definition. ``fault``: it cannot be used like this. ``vi`` says it in
    Vietnamese, ``form`` and ``form_vi`` are the form that would do, where they are known.
    """

    place: tuple[str, ...]
    text: str
    fault: bool = True
    vi: str = ""
    form: str = ""
    form_vi: str = ""


class Text(Part):
    """A name in both languages."""

    vi: str = Field(min_length=1)
    en: str = Field(min_length=1)


class Edge(Part):
    """A way on. Without ``event`` it is taken by itself as soon as ``needs`` holds.

    ``when`` looks at the event, ``needs`` at the instance: an event that fits ``when`` while ``needs`` does not hold
    yet is early. ``item`` says which of several branches the event means. ``compensate`` asks for what all nodes behind
    it say under ``compensation`` and gives money back; ``undo`` asks it of these nodes alone.

    ``tell_children`` recalls forwarded copies, also those that open later, and tells dossiers handed to another level.
    Of a document: ``tell_receivers`` sends 13 to the receiver of the branch (``others``: if the event has receivers
    and it is not among them), ``tell_replaced`` recalls the documents that this one replaces from the receiver of the
    branch, ``tell_sender`` says to the sender what came of a recall (15, or 16 with those that keep it).

    On a ``fan_out`` with ``each``, an edge goes nowhere: while the branches are under way it begins one for each
    element of ``item`` that has none.
    """

    event: Words = ()
    when: Guard | None = None
    needs: Guard | None = None
    item: Guard | None = None
    to: str = ""
    set: Mapping[str, Guard] = {}
    append: Mapping[str, Guard] = {}
    tell_children: Literal["recall"] | None = None
    tell_receivers: Literal["recall", "others"] | None = None
    tell_replaced: Literal["recall"] | None = None
    tell_sender: Literal["outcome"] | None = None
    compensate: bool = False
    undo: Words = ()


class Timeout(Part):
    """What follows when a node has been active so long: another node, an alert, or both. ``compensate`` as on edges."""

    after: Span
    to: str = ""
    alert: str = ""
    compensate: bool = False

    @model_validator(mode="after")
    def _does_something(self) -> Self:
        if not self.to and not self.alert:
            raise ValueError("a timeout has `to` or `alert`")
        return self


#: How long a status that stops the clock may last before someone is told: the window of a supplement, and of a stop.
PAUSE_LIMITS: Final[Mapping[int, Timeout]] = {
    5: Timeout(after=Duration.read("7 working days"), alert="supplement_late"),
    8: Timeout(after=Duration.read("30 calendar days"), alert="stopped_long"),
}


class Compensation(Part):
    """What is done about a node's work when the dossier is withdrawn or its way is left: or why nothing is. It is asked
    only while ``needs`` holds.
    """

    kind: Literal["undo", "correct", "notify", "none"]
    needs: Guard | None = None
    text: Text


class Node(Part):
    """One node. ``clock`` says whose time runs while it is active; only the authority's counts."""

    kind: Kind
    title: Text
    role: str = ""
    days: Allowance | None = None
    clock: Literal["authority", "tax", "citizen", "agency", "nobody"] = "authority"
    edges: tuple[Edge, ...] = ()
    timeout: Timeout | None = None
    compensation: Compensation | None = None
    branches: tuple[str, ...] = ()
    each: Guard | None = None
    of: str = ""
    mode: Literal["all", "any", "quorum"] = "all"
    quorum: int = 0
    state: str = ""

    def targets(self) -> Iterator[str]:
        """Every node it leads to."""
        yield from self.branches
        yield from (edge.to for edge in self.edges if edge.to)
        if self.timeout is not None and self.timeout.to:
            yield self.timeout.to


class Definition(Part):
    """A version of a procedure. ``codes`` are the national procedure codes that run by it (``*`` allowed at the end).

    ``budgets`` are those of agencies whose code fits a pattern, where the law gives other time than ``budget`` (far
    communes): the longest pattern counts. ``anywhere`` edges apply whatever node is active, those ``from_end`` when the
    instance has ended. ``corrections`` say at which node an instance goes on after a correction to that status.
    ``early_window`` is how long an event waits for its predecessor, ``money_window`` how long money does,
    ``pause_limits`` how long a dossier may rest in a status. ``recalculation`` says what becomes of money paid for
    notices that a second request makes void: refunded, or taken over so that only the difference is owed.
    """

    procedure: str = Field(pattern=r"^[a-z][a-z0-9_]*$")
    version: int = Field(ge=1)
    subject: Literal["dossier", "document"] = "dossier"
    title: Text
    source: str = Field(min_length=1)
    codes: Words = ()
    valid_from: date | None = None
    budget: Allowance | None = None
    budgets: Mapping[str, Allowance] = {}
    roles: Mapping[str, Text]
    variables: Mapping[str, bool | int | str | tuple[str, ...]] = {}
    start: Words
    nodes: Mapping[str, Node]
    anywhere: tuple[Edge, ...] = ()
    from_end: tuple[Edge, ...] = ()
    noted: Words = ()
    corrections: Mapping[int, str] = {}
    pause_limits: Mapping[int, Timeout] = PAUSE_LIMITS
    money_window: Span = Duration(amount=Fraction(10), unit=Unit.WORKING_DAYS)
    early_window: Span = Duration(amount=Fraction(30), unit=Unit.MINUTES)
    recalculation: Literal["refund", "difference"] = "refund"

    @property
    def name(self) -> str:
        """``land_transfer/2``."""
        return f"{self.procedure}/{self.version}"

    @cached_property
    def digest(self) -> str:
        """What it says, without its words for people: the same for a file in which only those were mended."""
        parts = self.model_dump()
        if self.recalculation == "refund":  # the word came later: what does not say it is what it was
            del parts["recalculation"]
        said = json.dumps(_without_words(parts), sort_keys=True, default=_text)
        return sha256(said.encode()).hexdigest()[:16]

    def budget_of(self, agency: str) -> Duration | None:
        """The time of the whole procedure at an agency."""
        fit = [pattern for pattern in self.budgets if fnmatchcase(agency, pattern)]
        return self.budgets[max(fit, key=len)] if fit else self.budget

    def edges(self) -> Iterator[tuple[str, Edge]]:
        """Every edge with the node it leaves (empty for ``anywhere``, ``(end)`` for ``from_end``)."""
        for name, node in self.nodes.items():
            for edge in node.edges:
                yield name, edge
        for edge in self.anywhere:
            yield "", edge
        for edge in self.from_end:
            yield "(end)", edge

    def reachable(self, start: frozenset[str]) -> frozenset[str]:
        """Nodes that can still be reached from these, themselves not included unless a way leads back."""
        found: set[str] = set()
        front = set(start)
        while front:
            front = {target for name in front for target in self.nodes[name].targets()} - found
            found |= front
        return frozenset(found)


def placed(definition: Definition) -> Iterator[tuple[tuple[str, ...], Edge]]:
    """Every edge with its place in the file."""
    for name, node in definition.nodes.items():
        for number, edge in enumerate(node.edges):
            yield ("nodes", name, "edges", str(number)), edge
    for field, edges in (("anywhere", definition.anywhere), ("from_end", definition.from_end)):
        for number, edge in enumerate(edges):
            yield (field, str(number)), edge


def _without_words(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {str(name): _without_words(part) for name, part in value.items() if name not in _WORDS}
    return [_without_words(part) for part in value] if isinstance(value, list | tuple) else value


def _text(value: object) -> str:
    return value.text if isinstance(value, Expression) else str(value)


def plain(definition: Definition) -> dict[str, Any]:
    """A definition as values that JSON can hold, for listings."""
    ends = {name: node.state for name, node in definition.nodes.items() if node.kind is Kind.END}
    return {
        "procedure": definition.procedure,
        "version": definition.version,
        "title": definition.title.model_dump(),
        "subject": definition.subject,
        "codes": list(definition.codes),
        "budget": str(definition.budget) if definition.budget is not None else None,
        "source": definition.source,
        "nodes": {
            name: {"kind": node.kind.value, "role": node.role, "title": node.title.model_dump()}
            for name, node in definition.nodes.items()
        },
        "ends": ends,
    }
