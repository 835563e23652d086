"""The clocks of a dossier: its two due dates, what moves them, when it is overdue and an apology is owed. Pure."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime, time, timedelta
from enum import StrEnum
from fractions import Fraction
from typing import Final, NamedTuple
from zoneinfo import ZoneInfo

from router.procedures.calendar import Calendar
from router.procedures.definition import Definition, Duration, Node, Unit
from router.procedures.instance import Due, Instance, Move
from router.procedures.status import PAUSED, TERMINAL, Status

VIETNAM: Final = ZoneInfo("Asia/Ho_Chi_Minh")
CLOSING: Final = time(17, 0)
_SECOND: Final = 1_000_000


class PauseRule(StrEnum):
    """How a pause moves a due date: by the working time it took, or by calendar time where a jurisdiction says so."""

    WORKING = "working"
    CALENDAR = "calendar"


class Clockwork(NamedTuple):
    """What counts time for a jurisdiction."""

    calendar: Calendar
    pauses: PauseRule = PauseRule.WORKING

    def after(self, start: int, span: Duration) -> int:
        """The instant a duration later."""
        at = local(start)
        match span.unit:
            case Unit.WORKING_DAYS:
                return micros(self.calendar.add_working_days(at, span.amount))
            case Unit.CALENDAR_DAYS:
                return micros(self.calendar.add_calendar_days(at, int(span.amount)))
            case Unit.NEXT_WORKING_DAY:
                return micros(datetime.combine(self.calendar.next_working_day(at.date()), CLOSING, VIETNAM))
            case Unit.HOURS:
                return start + int(span.amount * 3_600 * _SECOND)
            case Unit.MINUTES:
                return start + int(span.amount * 60 * _SECOND)

    def days_after(self, start: int, days: Fraction) -> int:
        """The instant so many working days later."""
        return micros(self.calendar.add_working_days(local(start), days))

    def moved(self, due: int, since: int, until: int) -> int:
        """A due date after a pause."""
        if until <= since:
            return due
        if self.pauses is PauseRule.CALENDAR:
            at = local(due) + timedelta(microseconds=until - since)
            if not self.calendar.is_working_day(at.date()):
                at = datetime.combine(self.calendar.next_working_day(at.date()), at.timetz())
            return micros(at)
        paused = self.calendar.working_time_between(local(since), local(until))
        return micros(self.calendar.add_working_days(local(due), Fraction(int(paused.total_seconds()), 8 * 3_600)))


def local(at: int) -> datetime:
    """µs UTC as local time in Vietnam."""
    return datetime.fromtimestamp(at / _SECOND, UTC).astimezone(VIETNAM)


def micros(at: datetime) -> int:
    """An instant as µs UTC."""
    return round(at.timestamp() * _SECOND)


def day_of(at: int) -> date:
    """The local date of an instant."""
    return local(at).date()


def due_at(moves: tuple[Move, ...]) -> int:
    """Where a due date stands; 0 if there is none."""
    return moves[-1].due if moves else 0


def accepted(due: Due, clockwork: Clockwork, budget: Fraction | None, at: int, claimed: int) -> Due:
    """The dossier is accepted: the one-stop's own due date, or the definition's budget from then on. The calendar that
    counted it is noted; it stays noted until the date is recalculated, whatever calendar later steps are made by.
    """
    if due.whole:
        return due
    counted = replace(due, calendar=clockwork.calendar.version)
    if claimed:
        return replace(counted, whole=(Move(at, claimed, "one-stop"),), claimed=claimed)
    if budget is None:
        return counted
    return replace(counted, whole=(Move(at, clockwork.days_after(at, budget), "accepted"),))


def stated(due: Due, at: int, claimed: int, why: str = "one-stop") -> Due:
    """The one-stop says another due date than the last time it said one."""
    if not claimed or claimed == due.claimed:
        return due
    if claimed == due_at(due.whole):
        return replace(due, claimed=claimed)
    return replace(due, claimed=claimed, whole=(*due.whole, Move(at, claimed, why)))


def extended(due: Due, at: int, to: date) -> Due:
    """An apology sets a new date: once."""
    end = micros(datetime.combine(to, CLOSING, VIETNAM))
    if due.extended or not due.whole or end <= due_at(due.whole):
        return due
    return replace(due, extended=True, detected_at=0, whole=(*due.whole, Move(at, end, "extension")))


def clocks(instance: Instance, definition: Definition, clockwork: Clockwork, at: int) -> Due:
    """Start or end a pause, and follow the task whose days run. ``at`` is when the step happened."""
    due = _paused(instance, definition, clockwork, at)
    task = _task(instance, definition)
    if task is None:
        return replace(due, agency_node="") if due.agency_node else due
    token, node = task
    if token == due.agency_node or node.days is None:
        return due
    fresh = Move(at, clockwork.days_after(at, node.days), f"task {token}")
    return replace(due, agency_node=token, agency=(*due.agency, fresh))


def _paused(instance: Instance, definition: Definition, clockwork: Clockwork, at: int) -> Due:
    due, why = instance.due, pause_of(instance, definition)
    if why and not due.paused_since:
        return replace(due, paused_since=at, paused_why=why)
    if why or not due.paused_since:
        return due
    since, reason = due.paused_since, due.paused_why
    resumed = replace(due, paused_since=0, paused_why="")
    if at <= since:
        return resumed
    return replace(
        resumed,
        whole=_pushed(due.whole, clockwork, since, at, reason),
        agency=_pushed(due.agency, clockwork, since, at, reason) if due.agency_node else due.agency,
    )


def _pushed(moves: tuple[Move, ...], clockwork: Clockwork, since: int, until: int, why: str) -> tuple[Move, ...]:
    if not moves or any(move.at >= since and move.why in ("supplement", "one-stop") for move in moves):
        return moves  # none yet, or the one-stop has said during the pause where it goes
    to = clockwork.moved(moves[-1].due, since, until)
    return moves if to == moves[-1].due else (*moves, Move(until, to, f"pause: {why}", since))


def pause_of(instance: Instance, definition: Definition) -> str:
    """Why the authority's clock stands still; empty while it runs."""
    if instance.end_state or instance.status in TERMINAL:
        return ""
    if instance.status in PAUSED:
        return f"status {instance.status}"
    nodes = {token.node for token in instance.tokens}
    if instance.dossier.accepted_at and nodes and all(definition.nodes[n].clock != "authority" for n in nodes):
        return ", ".join(sorted(nodes))
    return ""


def _task(instance: Instance, definition: Definition) -> tuple[str, Node] | None:
    found = [(token.id, definition.nodes[token.node]) for token in instance.tokens]
    tasks = [(name, node) for name, node in found if node.days is not None and node.clock == "authority"]
    return tasks[-1] if tasks else None


def overdue_timer(instance: Instance) -> int:
    """When the dossier will be found overdue: the first moment of the day after its due date. 0: never as it is."""
    due = instance.due
    finished = instance.dossier.finished_at or instance.end_state or instance.status in TERMINAL
    if finished or due.paused_since or due.detected_at or not due.whole or instance.status == Status.NONE:
        return 0
    following = day_of(due_at(due.whole)) + timedelta(days=1)
    return micros(datetime.combine(following, time(), VIETNAM))


def apology_timer(instance: Instance, clockwork: Clockwork) -> int:
    """When a missing apology is reported: one working day after the dossier was found overdue. 0: it is not owed."""
    due = instance.due
    if not due.detected_at or due.apology_at or due.alerted_at:
        return 0
    return clockwork.days_after(due.detected_at, Fraction(1))


def recalculated(due: Due, definition: Definition, clockwork: Clockwork, accepted_at: int, at: int) -> Due:
    """The whole due date by another version of the calendar: its budget counted again, its pauses as they were.

    A date that the one-stop has set stays: it is the one-stop's.
    """
    version = clockwork.calendar.version
    counted = replace(due, calendar=version)
    if not due.whole or definition.budget is None or not accepted_at:
        return counted
    if any(move.why in ("one-stop", "supplement", "extension") for move in due.whole):
        return counted
    to = clockwork.days_after(accepted_at, definition.budget)
    for move in due.whole:
        if move.since:
            to = clockwork.moved(to, move.since, move.at)
    if to == due_at(due.whole):
        return counted
    return replace(counted, whole=(*due.whole, Move(at, to, f"calendar {version}")))
