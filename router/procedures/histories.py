"""Recorded histories played again with today's definitions and engine: what a release would judge otherwise. Pure.

A history is one instance's log: a JSON object with ``procedure``, ``definition``, ``events`` (as logged, in order),
``end_state``, and ``effects``: by the number of the line that caused them, the moves of due dates, what was sent and
the alerts. Timers are events of the log like all others. The ledger keeps no effects line by line: of its histories the
due dates and refunds of the instance are compared.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from typing import Any, NamedTuple

from router.procedures.definition import Definition
from router.procedures.dues import Clockwork
from router.procedures.effects import Emit, Step
from router.procedures.engine import opened, step
from router.procedures.instance import Due, Event, Instance
from router.procedures.library import Library
from router.procedures.recount import CALENDAR

Effects = Mapping[str, Sequence[str]]


class Difference(NamedTuple):
    """Something that comes out otherwise than it was recorded. ``what``: verdict, flags, moves, sends, alerts, refunds
    or end.
    """

    history: str
    number: int  # of the log line; -1: of the instance at its end
    what: str
    event: str
    recorded: str
    now: str


@dataclass(frozen=True, slots=True)
class History:
    """A recorded run. ``effects`` by line number as text (None: not recorded); ``after`` is the instance as the ledger
    has it.
    """

    name: str
    procedure: str
    definition: int
    end_state: str
    lines: Sequence[Mapping[str, Any]]
    effects: Mapping[str, Effects] | None = None
    after: Instance | None = None

    @classmethod
    def read(cls, name: str, values: Mapping[str, Any]) -> History:
        """From JSON values; of a file without effects only the log and the end are compared. Raises ``KeyError`` for a
        part that is missing.
        """
        return cls(
            name,
            values["procedure"],
            values["definition"],
            values["end_state"],
            values["events"],
            values.get("effects"),
        )


@dataclass(slots=True)
class Played:
    """What playing a history gave: verdicts and flags by line number, effects likewise, and the instance."""

    instance: Instance
    verdicts: dict[int, str] = field(default_factory=dict)
    flags: dict[int, list[str]] = field(default_factory=dict)
    effects: dict[str, Effects] = field(default_factory=dict)


def compare(history: History, library: Library, clockwork: Clockwork, *, newest: bool = False) -> list[Difference]:
    """Play a history and compare all that comes of it. ``newest``: under the newest version instead of the pinned one.

    Raises ``KeyError`` if this release does not know the definition.
    """
    versions = [version for name, version in library.definitions if name == history.procedure]
    definition = library.pinned(history.procedure, max(versions) if newest and versions else history.definition)
    now = played(history, definition, clockwork)
    found = [*_judged(history, now), *_at_the_end(history, now)]
    if history.effects is not None:
        found += _effects(history, history.effects, now.effects)
    return sorted(found, key=lambda each: each.number if each.number >= 0 else len(history.lines))


def played(history: History, definition: Definition, clockwork: Clockwork) -> Played:
    """All that comes of the recorded events. Lines that one stimulus made are not given in again."""
    made = Played(opened(definition, history.lines[0]["applied_at"] if history.lines else 0))
    seen: set[tuple[str, str]] = set()
    for line in history.lines:
        name = (line["source"], line["event_id"])
        if line["number"] in made.verdicts or name in seen:
            continue
        times = (line["occurred_at"], line["received_at"])
        event = Event(line["event_type"], line["source"], line["event_id"], *times, line["facts"])
        result = step(definition, made.instance, event, clockwork, line["applied_at"])
        seen |= {(each.event.source, each.event.id) for each in result.log}
        made.verdicts |= {each.number: each.verdict.value for each in result.log}
        made.flags |= {each.number: list(each.flags) for each in result.log}
        if effects := _told(made.instance, result):
            made.effects[str(line["number"])] = effects
        made.instance = result.instance
    return made


def _judged(history: History, now: Played) -> Iterator[Difference]:
    for line in history.lines:
        number, event = line["number"], line["event_type"]
        verdict = now.verdicts.get(number, "(no line)")
        if verdict != line["verdict"]:
            yield Difference(history.name, number, "verdict", event, line["verdict"], verdict)
        flags, before = ", ".join(now.flags.get(number, [])), ", ".join(line["flags"])
        if flags != before:
            yield Difference(history.name, number, "flags", event, before, flags)


def _effects(history: History, recorded: Mapping[str, Effects], now: Mapping[str, Effects]) -> Iterator[Difference]:
    events = {str(line["number"]): line["event_type"] for line in history.lines}
    for number in sorted({*recorded, *now}, key=int):
        before, after = recorded.get(number, {}), now.get(number, {})
        for what in ("moves", "sends", "alerts"):
            was, is_now = list(before.get(what, ())), list(after.get(what, ()))
            if was != is_now:
                event = events.get(number, "")
                yield Difference(history.name, int(number), what, event, _only(was, is_now), _only(is_now, was))


def _at_the_end(history: History, now: Played) -> Iterator[Difference]:
    end_state = now.instance.end_state
    if end_state != history.end_state:
        yield Difference(history.name, -1, "end", "", history.end_state or "open", end_state or "open")
    if history.after is None:
        return
    before, after = _refunds(history.after), _refunds(now.instance)
    if before != after:
        yield Difference(history.name, -1, "refunds", "", _only(before, after), _only(after, before))
    recounted = [
        move for move in (*history.after.due.whole, *history.after.due.agency) if move.why.startswith(CALENDAR)
    ]
    was, is_now = _moves(Due(), history.after.due), _moves(Due(), now.instance.due)
    if was != is_now and not recounted:  # an order of recalculation stands in no log
        yield Difference(history.name, -1, "moves", "", _only(was, is_now), _only(is_now, was))


def _told(before: Instance, result: Step) -> Effects:
    told = {
        "moves": _moves(before.due, result.instance.due),
        "sends": [_sent(emit) for emit in result.emissions],
        "alerts": [f"{a.name} of {a.subject}: {a.detail if a.raised else 'cleared'}" for a in result.alerts],
    }
    return {what: texts for what, texts in told.items() if texts}


def _moves(before: Due, after: Due) -> list[str]:
    """Each due date as it was set or moved, in µs UTC."""
    whole = [f"whole procedure to {move.due}: {move.why}" for move in after.whole[len(before.whole) :]]
    return whole + [f"task to {move.due}: {move.why}" for move in after.agency[len(before.agency) :]]


def _sent(emit: Emit) -> str:
    """An emission in one line: its type, whom it goes to, and what its record says in plain values."""
    to = " ".join(part for part in (emit.addressed_to, emit.key) if part) or "its own key"
    plain = {name: _plain(value) for name, value in emit.record.items() if isinstance(value, str | int | list | date)}
    return f"{emit.type} to {to}: " + ", ".join(f"{name} {value}" for name, value in plain.items())


def _plain(value: Any) -> str:
    return value.isoformat() if isinstance(value, date) else str(value)


def _refunds(instance: Instance) -> list[str]:
    return [f"{each.reference}: {each.refunded}" for each in instance.finance.payments if each.refunded]


def _only(these: Iterable[str], those: Sequence[str]) -> str:
    """What is here and not there."""
    return "; ".join(each for each in these if each not in those) or "(in another order or number)"
