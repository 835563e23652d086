"""A definition tried on a few events before it runs: how each is judged, and where the dossier then stands. Pure.

The events are a YAML list. Each is either an event with its facts beside it, ``{event: dossier.accepted, at: 2025-08-04
09:00, status: 2}``, or time that passes, ``{later: 5 working days}``. ``at`` is local time; without it an event
comes a minute after the one before.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime
from pathlib import Path
from typing import Any, Final, NamedTuple

from router.errors import ConfigError
from router.procedures.definition import Definition
from router.procedures.dues import VIETNAM, Clockwork, agency_due, due_at, micros
from router.procedures.duration import Duration
from router.procedures.effects import Step
from router.procedures.engine import opened, step
from router.procedures.instance import Event, Instance
from router.procedures.signals import TIMER_DUE
from router.procedures.timetable import timers
from router.procedures.vocabulary import event_types, facts_told
from router.refusals import refused
from router.text_file import text_of
from router.yaml_file import Document, parse

START: Final = datetime(2025, 8, 4, 8, tzinfo=VIETNAM)  # a Monday; where the first event says no `at`
MOST_TIMERS: Final = 1_000  # between two events
_MINUTE: Final = 60_000_000
_EXPECTED: Final = "a list of `{event: …, at: …, facts}` and `{later: 5 working days}`"
_KINDS: Final[Mapping[str, type]] = {"text": str, "number": int, "truth": bool, "list": list}
_TOLD_BESIDE: Final[Mapping[str, Any]] = {"code": "H00-250804-0001", "procedure": "trial", "agency": "H00"}


class Said(NamedTuple):
    """One entry of the list: an event with its facts, or a span of time. ``at`` is µs UTC, 0: not said."""

    event: str
    facts: Mapping[str, Any]
    at: int
    later: Duration | None


class Row(NamedTuple):
    """What one event or timer led to. Instants are µs UTC, 0: none."""

    at: int
    event: str
    verdict: str
    reason: str
    status: int
    nodes: tuple[str, ...]
    due: int
    task_due: int
    alerts: tuple[str, ...]
    sends: tuple[str, ...]
    end: str


def load_events(path: Path) -> list[Said]:
    """The list of a file. Raises ``ConfigError`` with line and number of the entry."""
    document = parse(text_of(path), str(path))
    if not isinstance(document.values, list):
        raise refused("no_list", file=document.file, form=_EXPECTED)
    return [_Entry(document, number, value).said() for number, value in enumerate(document.values)]


def tried(definition: Definition, said: list[Said], clockwork: Clockwork) -> Iterator[Row]:
    """A row for each event, and for each timer that came due before it. Raises ``ConfigError`` if time goes back."""
    now = next((each.at for each in said if each.at), micros(START))
    instance = opened(definition, now)
    for number, each in enumerate(said, start=1):
        if each.at and each.at < now:
            raise refused("order", file="", key=f"entry {number}")
        until = clockwork.after(now, each.later) if each.later is not None else each.at or now + _MINUTE
        for _ in range(MOST_TIMERS):
            timer = _first_due(definition, instance, clockwork, until)
            if timer is None:
                break
            now = max(now, timer.occurred_at)
            made = step(definition, instance, timer, clockwork, now)
            instance = made.instance
            yield _row(str(timer.facts["name"]), made, now)
        now = until
        if each.event:
            made = step(
                definition, instance, Event(each.event, "trial", str(number), now, now, each.facts), clockwork, now
            )
            instance = made.instance
            yield _row(each.event, made, now)


def _first_due(definition: Definition, instance: Instance, clockwork: Clockwork, until: int) -> Event | None:
    due = [(at, name) for name, at in timers(instance, definition, clockwork).items() if at <= until]
    if not due:
        return None
    at, name = min(due)
    return Event(TIMER_DUE, "procedures", f"{name} {instance.events}", at, at, {"name": name})


def _row(event: str, made: Step, now: int) -> Row:
    line, after = made.log[0], made.instance
    return Row(
        now, event, line.verdict.value, ", ".join(line.flags), after.status,
        tuple(token.id for token in after.tokens), due_at(after.due.whole), agency_due(after.due),
        tuple(f"{alert.name}{'' if alert.raised else ' (cleared)'}" for alert in made.alerts),
        tuple(emit.type for emit in made.emissions), after.end_state,
    )  # fmt: skip


class _Entry:
    """One entry of the list. ``said`` raises ``ConfigError``."""

    def __init__(self, document: Document, number: int, value: Any) -> None:
        self._file, self._line = document.file, document.line_of((number,))
        self._key, self._value = f"entry {number + 1}", value

    def said(self) -> Said:
        value = self._value
        if not isinstance(value, Mapping) or ("event" in value) == ("later" in value):
            raise self._refused("no_entry", form=_EXPECTED)
        if "later" in value:
            try:
                return Said("", {}, 0, Duration.read(value["later"]))
            except ValueError as error:
                raise self._refused("fault", form=_EXPECTED, found=str(error)) from None
        event, at = str(value["event"]), self._at(value.get("at"))
        if event not in event_types(event) or not facts_told(event):
            raise self._refused("no_event", found=event)
        facts = {str(name): fact for name, fact in value.items() if name not in ("event", "at")}
        self._require_told(event, facts)
        beside = {name: fact for name, fact in _TOLD_BESIDE.items() if name in facts_told(event)}
        return Said(event, {**beside, **facts}, at, None)

    def _require_told(self, event: str, facts: Mapping[str, Any]) -> None:
        told = facts_told(event)
        for name, fact in facts.items():
            if name not in told:
                raise self._refused("no_fact", form=", ".join(told), event=event, found=name)
            kind, values = told[name].kind, told[name].values
            if not isinstance(fact, _KINDS[kind]) or (values and fact not in values):
                allowed = ", ".join(map(str, values)) or f"a {kind}"
                raise self._refused("no_value", form=allowed, name=name, found=fact)

    def _at(self, value: Any) -> int:
        if value is None:
            return 0
        try:
            at = value if isinstance(value, datetime) else datetime.fromisoformat(str(value))
        except ValueError:
            raise self._refused("no_time", found=value) from None
        return micros(at if at.tzinfo is not None else at.replace(tzinfo=VIETNAM))

    def _refused(self, problem: str, *, form: str = "", **facts: Any) -> ConfigError:
        return refused(problem, file=self._file, line=self._line, key=self._key, form=form, **facts)
