"""One dossier's timeline: everything that happened to it as lines in one order. Pure.

A line's ``at`` is when the router saw it, by the machine's clock, and lines stand in that order. ``business`` is the
time that the law counts, as the source or the calendar states it; the two differ where a partner tells late, or where
business time was moved. Times are µs UTC. Texts that came from outside are masked.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, NamedTuple

from sqlalchemy import Row

from router.ledger.life import At, Life
from router.ledger.query import Named
from router.ledger.rows import State
from router.masking import mask
from router.procedures.dues import local
from router.procedures.instance import Instance, Move
from router.procedures.recipient import PROCEDURES
from router.procedures.signals import TIMER_DUE
from router.reports.words import said

Facts = Mapping[str, Any]
_CAUSES: Final = frozenset({"event", "timer", "payment", "order"})
_QUIET: Final = frozenset({State.WAITING, State.CALLING})


class Line(NamedTuple):
    """``what`` is one of event, timer, wait, pause, due date, payment, delivery, attempt, receipt, order, edit,
    conflict, link or alert; ``delivery`` names the delivery it belongs to.
    """

    at: int
    business: int | None
    what: str
    name: str
    who: str
    says: str
    delivery: str = ""


@dataclass(slots=True)
class Timeline:
    """``carried`` are the facts of events that no log of a procedure holds, by delivery."""

    life: Life
    instances: Sequence[Instance]
    carried: Mapping[At, Facts]
    _spine: list[tuple[int, int]] = field(default_factory=list)  # business time and machine time of the log's lines

    def lines(self) -> list[Line]:
        """All of it, oldest first; what happened at one instant in the order cause, then effect."""
        made = [*self._log(), *self._events(), *self._links()]
        for instance in self.instances:
            made += [*self._moves(instance), *self._tokens(instance)]
        for named in self.life.deliveries:
            made += self._delivery(named)
        made += [Line(a.raised, None, "alert", a.name, "", mask(f"{a.subject} {a.detail}")) for a in self.life.alerts]
        return sorted(made, key=lambda line: (line.at, line.what not in _CAUSES))

    # What procedures know

    def _log(self) -> Iterator[Line]:
        """The instance's own log. An event that was early stands there twice: when it came, and when it was applied
        after the event that made it possible.
        """
        seen_at, first = 0, self._first()
        for row in self.life.log:
            came = first.get((row["source"], row["event_id"]), row["received_at"])
            seen_at = max(seen_at if row["number"] else 0, came)
            self._spine.append((max(row["occurred_at"], row["applied_at"]), seen_at))
            timer = row["event_type"] == TIMER_DUE
            judged = " ".join([row["verdict"], *row["flags"]])
            words = ": ".join(part for part in (judged, said(row["facts"])) if part)
            what = "timer" if timer else _kind(row["event_type"])
            business = row["applied_at"] if timer else row["occurred_at"]
            yield Line(seen_at, business, what, row["event_type"], row["source"], mask(words))

    def _first(self) -> dict[tuple[str, str], int]:
        """When each event was first accepted, at whatever recipient."""
        found: dict[tuple[str, str], int] = {}
        for named in self.life.deliveries:
            each = named.delivery
            found.setdefault((each.source, each.event_id), each.accepted_at)
        return found

    def _moves(self, instance: Instance) -> Iterator[Line]:
        """Both due dates as they were set and moved, and the pauses that moved them."""
        for kind, moves in (("whole procedure", instance.due.whole), ("agency's own", instance.due.agency)):
            for move in moves:
                at = self._machine(move.at)
                if move.since and kind == "whole procedure":
                    yield _pause(self._machine(move.since), at, move)
                yield Line(at, move.at, "due date", kind, "", f"{_day(move.due)}: {move.why}")
        if instance.due.paused_since:
            since = instance.due.paused_since
            yield Line(self._machine(since), since, "pause", instance.due.paused_why, "", "not over yet")

    def _tokens(self, instance: Instance) -> Iterator[Line]:
        for token in instance.tokens:
            yield Line(self._machine(token.since), token.since, "wait", token.id, "", "began; not over yet")

    def _machine(self, business: int) -> int:
        """When the router's machine saw what happened at a business time."""
        return next((machine for at, machine in self._spine if at >= business), business)

    # What delivery knows

    def _events(self) -> Iterator[Line]:
        """Events that no log of a procedure holds: each once, however many recipients it has."""
        for named in untold(self.life):
            each = named.delivery
            words = said(self.carried.get((each.shard, each.seq), {}))
            yield Line(each.accepted_at, None, _kind(each.event_type), each.event_type, each.source, mask(words))

    def _delivery(self, named: Named) -> Iterator[Line]:
        each, at = named.delivery, (named.delivery.shard, named.delivery.seq)
        attempts, ordered = self.life.attempts.get(at, []), self.life.orders.get(at, [])
        line = _Of(named)
        if named.recipient == PROCEDURES and each.state is State.DELIVERED and not ordered:
            return  # its event stands in the log
        yield line(each.accepted_at, "delivery", each.event_type, "accepted")
        for made in attempts:
            answer = " ".join(part for part in (made.outcome, made.partner_code, made.message) if part)
            by = f" (order {made.order_id})" if made.order_id else ""
            yield line(made.ended, "attempt", f"attempt {made.number}", f"{answer}{by}")
        for row in self.life.edits.get(at, []):
            if row.edition:
                yield line(row.stored_at, "edit", f"edition {row.edition}", "a corrected body goes out from now on")
        for row in self.life.conflicts.get(at, []):
            yield line(row.seen_at, "conflict", row.event_type, "the same event id came again with other content")
        yield from _orders(line, ordered)
        if each.state not in _QUIET:
            yield line(each.last_at or each.accepted_at, "receipt", each.state.value, _receipt(each))

    def _links(self) -> Iterator[Line]:
        for row in self.life.links:
            yield Line(row.linked_at, None, "link", "two internal ids", "", "turned out to be one dossier")
        for row in self.life.disputes:
            yield Line(row.seen_at, None, "conflict", row.scheme, row.issuer, mask(f"{row.value} means another owner"))


class _Of:
    """Lines of one delivery."""

    def __init__(self, named: Named) -> None:
        self._named = named

    def __call__(self, at: int, what: str, name: str, says: str, who: str = "") -> Line:
        return Line(at, None, what, name, who or self._named.recipient, mask(says), self._named.name)


def _orders(line: _Of, ordered: Sequence[Row[Any]]) -> Iterator[Line]:
    for row in ordered:
        came = row.result if row.done is not None else "not done yet"
        prefix = "" if row.applied or row.done is None else "refused: "
        yield line(row.created, "order", f"{row.verb} (order {row.id})", f"{row.why} → {prefix}{came}", row.who)


def _receipt(each: Any) -> str:
    """The partner's answer, or why there is none."""
    parts = [f"{name} {value}" for name, value in (each.receipt or {}).items() if value not in (None, "", [], {})]
    if each.failure is not None:
        failure = each.failure
        parts += [part for part in (failure.reason, failure.partner_code, failure.message) if part]
    return ", ".join([f"after {each.attempts} attempts" if each.attempts != 1 else "at the first attempt", *parts])


def _pause(since: int, at: int, move: Move) -> Line:
    return Line(since, move.since, "pause", move.why.removeprefix("pause: "), "", f"until {_day(move.at)}")


def _kind(event_type: str) -> str:
    """An order is one that procedures keep in their log: a decision about money."""
    what = event_type.partition(".")[0]
    return what if what in ("payment", "order") else "event"


def _day(at: int) -> str:
    return local(at).strftime("%Y-%m-%d %H:%M")


def untold(life: Life) -> Iterator[Named]:
    """One delivery of each event that no log of a procedure holds: its contents say what the event was."""
    told = {(row["source"], row["event_id"]) for row in life.log}
    for named in life.deliveries:
        each = named.delivery
        if (each.source, each.event_id) not in told:
            told.add((each.source, each.event_id))
            yield named
