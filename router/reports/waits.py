"""What a dossier waits for now: since when, whose clock runs, and by when. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Final, NamedTuple

from router.ledger.life import Unplaced
from router.ledger.query import Named
from router.ledger.rows import State
from router.masking import mask
from router.procedures.definition import Definition, Kind, Node
from router.procedures.dues import Clockwork, pause_of, task_due
from router.procedures.instance import Instance, Token
from router.procedures.obligation import balance
from router.procedures.timetable import timers
from router.reports.words import money

#: What an unfinished delivery waits for.
_FOR: Final = {
    State.WAITING: "its turn, or the recipient",
    State.CALLING: "the recipient's answer",
    State.DEAD: "a person: dead letter",
    State.UNCERTAIN: "a person: it is uncertain whether it arrived",
}


class Wait(NamedTuple):
    """``at`` is the node or the delivery; ``clock`` whose time runs; ``since`` and ``due`` are µs UTC (None: none)."""

    at: str
    waits_for: str
    who: str
    clock: str
    since: int
    due: int | None


def of_instance(instance: Instance, definition: Definition, clockwork: Clockwork, lang: str) -> Iterator[Wait]:
    """A procedure's active nodes, events that came too early, and money that a person must look at."""
    set_timers = timers(instance, definition, clockwork)
    stopped = pause_of(instance, definition)
    for token in instance.tokens:
        node = definition.nodes[token.node]
        if node.kind is Kind.END:
            continue
        own = task_due(instance.due, token.id) if token.id in instance.due.tasks else 0
        yield Wait(
            token.id,
            f"{getattr(node.title, lang)}: {_events(node) or 'what comes before'}",
            getattr(definition.roles[node.role], lang) if node.role else "",
            f"{node.clock}, stopped: {stopped}" if stopped and node.clock == "authority" else node.clock,
            token.since,
            own or _timer(set_timers, token) or None,
        )
    for early in instance.early:
        due = set_timers.get(f"early:{early.event.source}/{early.event.id}")
        yield Wait(
            early.event.type, f"its predecessor: {early.reason}", early.event.source, "nobody", early.taken_at, due
        )
    last = max(token.since for token in instance.tokens) if instance.tokens else instance.opened_at
    if suspended := instance.finance.suspended:
        yield Wait("payment", f"a person: {money(suspended)} suspended", "", "nobody", last, None)
    if carried := balance(instance.finance).carried:
        yield Wait("payment", f"new notices: {money(carried)} to be taken over", "", "nobody", last, None)


def of_deliveries(deliveries: Iterable[Named]) -> Iterator[Wait]:
    """What has not arrived."""
    for name, recipient, each in deliveries:
        if (what := _FOR.get(each.state)) is not None:
            reason = f" ({mask(each.failure.reason)})" if each.failure is not None else ""
            since = each.last_at or each.accepted_at
            yield Wait(name, f"{each.event_type} for {what}{reason}", recipient, "nobody", since, each.due)


def of_unplaced(events: Iterable[Unplaced]) -> Iterator[Wait]:
    """Events whose number nobody has tied to a dossier yet."""
    for each in events:
        yield Wait(each.event_type, f"a dossier for {each.scheme}", each.source, "nobody", each.since, each.expires)


def _events(node: Node) -> str:
    named = dict.fromkeys(name for edge in node.edges for name in edge.event)
    return ", ".join(named)


def _timer(set_timers: dict[str, int], token: Token) -> int:
    return set_timers.get(f"node:{token.id}", 0)
