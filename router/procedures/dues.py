"""The clocks of a dossier: its two due dates, what moves them, when it is overdue and an apology is owed. Pure."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, date, datetime, time, timedelta
from enum import StrEnum
from fractions import Fraction
from typing import Final, NamedTuple
from zoneinfo import ZoneInfo

from router.procedures.calendar import Calendar
from router.procedures.definition import Definition, Node
from router.procedures.duration import Duration, Unit
from router.procedures.instance import Due, Instance, Move
from router.procedures.office import OfficeWeek, Place
from router.procedures.status import PAUSED, TERMINAL, Status

VIETNAM: Final = ZoneInfo("Asia/Ho_Chi_Minh")
CLOSING: Final = time(17, 0)
_SECOND: Final = 1_000_000

# Why a due date is where it is, as stored with its moves. Those of ``SET`` begin it anew, others move it.
ACCEPTED: Final = "accepted"
ONE_STOP: Final = "one-stop"
SUPPLEMENT: Final = "supplement"
EXTENSION: Final = "extension"
SET: Final = frozenset({ACCEPTED, ONE_STOP, SUPPLEMENT, EXTENSION})
TASK: Final = "task "
RESULT_WAITS: Final = "result waits"  # to be taken: what is late stays late


class PauseRule(StrEnum):
    """How a pause moves a due date: by the working time it took, or by calendar time where a jurisdiction says so."""

    WORKING = "working"
    CALENDAR = "calendar"


def _anywhere(agency: str) -> Place:
    """Of an installation without a registry: the code itself."""
    return Place((agency,))


class Clockwork(NamedTuple):
    """What counts time for a jurisdiction, in the hours of one office. ``place_of`` tells where an agency stands."""

    calendar: Calendar
    pauses: PauseRule = PauseRule.WORKING
    place_of: Callable[[str], Place] = _anywhere
    week: OfficeWeek | None = None  # None: the jurisdiction's usual hours

    def at(self, agency: str, role: str = "") -> Clockwork:
        """The clockwork of an agency, or of whoever works for it in a role."""
        return self._replace(week=self.calendar.offices.week_of(self.place_of(agency), role))

    def seat(self, agency: str, role: str) -> str:
        """The agency that has a role for an agency; that one itself where nobody has said."""
        return self.calendar.offices.seat_of(self.place_of(agency), role) or agency

    @property
    def hours(self) -> OfficeWeek:
        """The week it counts in."""
        return self.week or self.calendar.offices.usual

    def after(self, start: int, span: Duration) -> int:
        """The instant a duration later."""
        at = local(start)
        match span.unit:
            case Unit.WORKING_DAYS:
                return self.days_after(start, span.amount)
            case Unit.WORKING_HOURS:
                span_of_time = timedelta(microseconds=int(span.amount * 3_600 * _SECOND))
                return micros(self.calendar.add_office_time(at, span_of_time, self.hours))
            case Unit.SAME_DAY:
                return micros(self.calendar.same_day_due(at, self.hours))
            case Unit.CALENDAR_DAYS:
                return micros(self.calendar.add_calendar_days(at, int(span.amount)))
            case Unit.NEXT_WORKING_DAY:
                return micros(self.calendar.closing(self.calendar.next_working_day(at.date()), self.hours))
            case Unit.HOURS:
                return start + int(span.amount * 3_600 * _SECOND)
            case Unit.MINUTES:
                return start + int(span.amount * 60 * _SECOND)

    def days_after(self, start: int, days: Fraction) -> int:
        """The instant so many working days later."""
        return micros(self.calendar.add_working_days(local(start), days, self.hours))

    def moved(self, due: int, since: int, until: int) -> int:
        """A due date after a pause. Pauses add up: two of half a day move it as one of a whole day does."""
        if until <= since:
            return due
        at = self._as_end(local(due))
        if self.pauses is PauseRule.CALENDAR:
            at += timedelta(microseconds=until - since)
            if not self.calendar.hours_on(at.date(), self.hours).ranges:
                at = datetime.combine(self.calendar.next_working_day(at.date(), self.hours), at.timetz())
            return micros(at)
        paused = self.calendar.working_time_between(local(since), local(until), self.hours)
        return micros(self.calendar.add_office_time(at, paused, self.hours)) if paused else due

    def _as_end(self, due: datetime) -> datetime:
        """A due date said as a day, by its midnight or a time before the office opens, is the end of that day."""
        hours = self.calendar.hours_on(due.date(), self.hours).ranges
        if hours and due.timetz().replace(tzinfo=None) <= hours[0][0]:
            return self.calendar.closing(due.date(), self.hours)
        return due


def local(at: int) -> datetime:
    """µs UTC as local time in Vietnam."""
    return datetime.fromtimestamp(at / _SECOND, UTC).astimezone(VIETNAM)


def micros(at: datetime) -> int:
    """An instant as µs UTC."""
    return round(at.timestamp() * _SECOND)


def day_of(at: int) -> date:
    """The local date of an instant."""
    return local(at).date()


def older(claimed: int, than: int) -> bool:
    """Whether a claimed time is before another. Midnight is how sources say a day: it is compared as one."""
    said = local(claimed)
    if said.time() == time():
        return said.date() < day_of(than)
    return claimed < than


def due_at(moves: tuple[Move, ...]) -> int:
    """Where a due date stands; 0 if there is none."""
    return moves[-1].due if moves else 0


def accepted(due: Due, clockwork: Clockwork, budget: Duration | None, at: int, claimed: int) -> Due:
    """The dossier is accepted: the one-stop's own due date, or the definition's budget from then on."""
    if due.whole:
        return due
    if claimed:
        return replace(due, whole=(Move(at, claimed, ONE_STOP),), claimed=claimed)
    if budget is None:
        return due
    return replace(due, whole=(Move(at, clockwork.after(at, budget), ACCEPTED),))


def stated(due: Due, at: int, claimed: int, why: str = ONE_STOP) -> Due:
    """The one-stop says another due date than the last time it said one."""
    if not claimed or claimed == due.claimed:
        return due
    if claimed == due_at(due.whole):
        return replace(due, claimed=claimed)
    return replace(due, claimed=claimed, whole=(*due.whole, Move(at, claimed, why)))


def extended(due: Due, at: int, to: date) -> Due:
    """An apology sets a new date: once, and a later one; else it stays as it is."""
    end = micros(datetime.combine(to, CLOSING, VIETNAM))
    if due.extended or not due.whole or end <= due_at(due.whole):
        return due
    return replace(due, extended=True, whole=(*due.whole, Move(at, end, EXTENSION)))


def clocks(instance: Instance, definition: Definition, clockwork: Clockwork, at: int) -> Due:
    """Start or end a pause, and follow the tasks whose days run. ``at`` is when the step happened.

    The whole procedure is counted in the hours of the dossier's agency, a task in those of the office that has it.
    """
    due = _paused(instance, definition, clockwork, at)
    running = dict(_tasks(instance, definition))
    begun = []
    for token, node in running.items():
        if token not in due.tasks and node.days is not None:
            end = clockwork.at(instance.dossier.agency, node.role).after(at, node.days)
            begun.append(Move(at, end, TASK + token, task=token))
    late = tuple(token for token in due.late if token in running)
    return in_time(replace(due, tasks=tuple(running), late=late, agency=(*due.agency, *begun)))


def in_time(due: Due) -> Due:
    """A date that was moved behind the day on which the dossier was found overdue may pass once more."""
    if due.detected_at and day_of(due_at(due.whole)) >= day_of(due.detected_at):
        return replace(due, detected_at=0, alerted_at=0)
    return due


def task_due(due: Due, task: str) -> int:
    """Where the date of a task stands; 0 if it has none."""
    return due_at(tuple(move for move in due.agency if move.task == task))


def agency_due(due: Due) -> int:
    """The next date of a task whose days run; 0 if there is none."""
    return min((task_due(due, task) for task in due.tasks), default=0)


def _paused(instance: Instance, definition: Definition, clockwork: Clockwork, at: int) -> Due:
    due, why = instance.due, pause_of(instance, definition)
    if why == due.paused_why:
        return due
    since, reason = due.paused_since, due.paused_why
    end = min(at, max(since, instance.dossier.finished_at)) if instance.dossier.finished_at else at
    if since and end > since and reason != RESULT_WAITS:
        due = replace(due, whole=_pushed(due.whole, clockwork.at(instance.dossier.agency), since, end, reason))
        for task in due.tasks:
            here = clockwork.at(instance.dossier.agency, definition.nodes[task.partition("[")[0]].role)
            mine = tuple(move for move in due.agency if move.task == task)
            fresh = _pushed(mine, here, since, end, reason)[len(mine) :]
            due = replace(due, agency=(*due.agency, *fresh))
    return replace(due, paused_since=max(at, since) if why else 0, paused_why=why, pause_alerted=False)


def given_back(due: Due, clockwork: Clockwork, since: int, until: int) -> Due:
    """A result has to be made again: the time in which it was thought to be ready is nobody's."""
    if until > since:
        due = replace(due, whole=_pushed(due.whole, clockwork, since, until, RESULT_WAITS))
    return replace(due, paused_since=0, paused_why="") if due.paused_why == RESULT_WAITS else due


def is_made_again(instance: Instance, definition: Definition) -> bool:
    """Whether the authority works again on what was ready, although no status says so yet."""
    return instance.due.paused_why == RESULT_WAITS and not instance.end_state and not pause_of(instance, definition)


def _pushed(moves: tuple[Move, ...], clockwork: Clockwork, since: int, until: int, why: str) -> tuple[Move, ...]:
    if not moves or any(move.at >= since and move.why in (SUPPLEMENT, ONE_STOP) for move in moves):
        return moves  # none yet, or the one-stop has said during the pause where it goes
    last = moves[-1]
    to = clockwork.moved(last.due, since, until)
    return moves if to == last.due else (*moves, Move(until, to, f"pause: {why}", since, last.task))


def pause_of(instance: Instance, definition: Definition) -> str:
    """Why the authority's clock stands still; empty while it runs."""
    if instance.end_state or instance.status in TERMINAL:
        return ""
    if instance.status in PAUSED:
        return f"status {instance.status}"
    nodes = {token.node for token in instance.tokens}
    if instance.dossier.accepted_at and nodes and all(definition.nodes[n].clock != "authority" for n in nodes):
        return RESULT_WAITS if instance.dossier.finished_at else ", ".join(sorted(nodes))
    return ""


def _tasks(instance: Instance, definition: Definition) -> list[tuple[str, Node]]:
    found = [(token.id, definition.nodes[token.node]) for token in instance.tokens]
    return [(name, node) for name, node in found if node.days is not None and node.clock == "authority"]


def overdue_timer(instance: Instance) -> int:
    """When the dossier will be found overdue: the first moment of the day after its due date. 0: never as it is."""
    due = instance.due
    finished = instance.dossier.finished_at or instance.end_state or instance.status in TERMINAL
    if finished or due.paused_since or due.detected_at or not due.whole or instance.status == Status.NONE:
        return 0
    return _day_after(due_at(due.whole))


def task_timers(instance: Instance) -> dict[str, int]:
    """When each running task will be found late, by its token: the first moment of the day after its date."""
    due = instance.due
    if due.paused_since or instance.end_state or instance.status == Status.NONE:
        return {}
    dates = {task: task_due(due, task) for task in due.tasks if task not in due.late}
    return {task: _day_after(at) for task, at in dates.items() if at}


def apology_owed(due: Due) -> bool:
    """Whether the dossier is overdue and no apology was sent for the date that has passed."""
    return bool(due.detected_at) and due.apologised != due_at(due.whole)


def apology_timer(instance: Instance, clockwork: Clockwork) -> int:
    """When a missing apology is reported: one working day after the dossier was found overdue. 0: it is not owed."""
    due = instance.due
    if not apology_owed(due) or due.alerted_at:
        return 0
    return clockwork.at(instance.dossier.agency).days_after(due.detected_at, Fraction(1))


def _day_after(at: int) -> int:
    return micros(datetime.combine(day_of(at) + timedelta(days=1), time(), VIETNAM))
