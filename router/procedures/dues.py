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
from router.procedures.definition import SAME_DAY, Definition, Duration, Node, Unit
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
            case Unit.CALENDAR_DAYS:
                return micros(self.calendar.add_calendar_days(at, int(span.amount)))
            case Unit.NEXT_WORKING_DAY:
                return micros(self.calendar.closing(self.calendar.next_working_day(at.date()), self.hours))
            case Unit.HOURS:
                return start + int(span.amount * 3_600 * _SECOND)
            case Unit.MINUTES:
                return start + int(span.amount * 60 * _SECOND)

    def days_after(self, start: int, days: Fraction) -> int:
        """The instant so many working days later; ``SAME_DAY``: the end of that day, or of the next."""
        if days == SAME_DAY:
            return micros(self.calendar.same_day_due(local(start), self.hours))
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


def accepted(due: Due, clockwork: Clockwork, budget: Fraction | None, at: int, claimed: int) -> Due:
    """The dossier is accepted: the one-stop's own due date, or the definition's budget from then on."""
    if due.whole:
        return due
    if claimed:
        return replace(due, whole=(Move(at, claimed, ONE_STOP),), claimed=claimed)
    if budget is None:
        return due
    return replace(due, whole=(Move(at, clockwork.days_after(at, budget), ACCEPTED),))


def stated(due: Due, at: int, claimed: int, why: str = ONE_STOP) -> Due:
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
    return replace(due, extended=True, detected_at=0, whole=(*due.whole, Move(at, end, EXTENSION)))


def clocks(instance: Instance, definition: Definition, clockwork: Clockwork, at: int) -> Due:
    """Start or end a pause, and follow the task whose days run. ``at`` is when the step happened.

    The whole procedure is counted in the hours of the dossier's agency, a task in those of the office that has it.
    """
    due = _paused(instance, definition, clockwork, at)
    task = _task(instance, definition)
    if task is None:
        return replace(due, agency_node="") if due.agency_node else due
    token, node = task
    if token == due.agency_node or node.days is None:
        return due
    end = clockwork.at(instance.dossier.agency, node.role).days_after(at, node.days)
    fresh = Move(at, end, TASK + token)
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
    agency, node = instance.dossier.agency, definition.nodes.get(due.agency_node.partition("[")[0])
    own = clockwork.at(agency, node.role if node is not None else "")
    return replace(
        resumed,
        whole=_pushed(due.whole, clockwork.at(agency), since, at, reason),
        agency=_pushed(due.agency, own, since, at, reason) if due.agency_node else due.agency,
    )


def _pushed(moves: tuple[Move, ...], clockwork: Clockwork, since: int, until: int, why: str) -> tuple[Move, ...]:
    if not moves or any(move.at >= since and move.why in (SUPPLEMENT, ONE_STOP) for move in moves):
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
    return clockwork.at(instance.dossier.agency).days_after(due.detected_at, Fraction(1))


def recalculated(instance: Instance, definition: Definition, clockwork: Clockwork, at: int) -> Due:
    """Both due dates by another version of the calendar: their budgets counted again, their pauses as they were.

    A date that the one-stop has set stays where it was set; pauses after it move it by the new calendar.
    """
    due, agency = instance.due, instance.dossier.agency
    here = clockwork.at(agency)
    why = f"calendar {clockwork.calendar.version}"
    return replace(
        due,
        calendar=clockwork.calendar.version,
        whole=_moved_to(due.whole, _whole_again(instance, definition, here), at, why),
        agency=_moved_to(due.agency, _task_again(instance, definition, clockwork), at, why),
    )


def _whole_again(instance: Instance, definition: Definition, clockwork: Clockwork) -> int:
    """Where the whole due date lies if everything since the last time it was set is counted again."""
    moves, began = instance.due.whole, instance.dossier.accepted_at
    start = max((n for n, move in enumerate(moves) if move.why in SET), default=-1)
    if start < 0:
        return due_at(moves)
    to = moves[start].due
    if moves[start].why == ACCEPTED and definition.budget is not None and began:
        to = clockwork.days_after(began, definition.budget)
    return _paused_again(moves[start + 1 :], to, clockwork)


def _task_again(instance: Instance, definition: Definition, clockwork: Clockwork) -> int:
    """Where the due date of the task at hand lies, counted again in the hours of the office that has it."""
    due = instance.due
    node = definition.nodes.get(due.agency_node.partition("[")[0])
    start = max((n for n, move in enumerate(due.agency) if move.why.startswith(TASK)), default=-1)
    if start < 0 or node is None or node.days is None:
        return due_at(due.agency)
    here = clockwork.at(instance.dossier.agency, node.role)
    return _paused_again(due.agency[start + 1 :], here.days_after(due.agency[start].at, node.days), here)


def _paused_again(moves: tuple[Move, ...], to: int, clockwork: Clockwork) -> int:
    for move in moves:
        if move.since:
            to = clockwork.moved(to, move.since, move.at)
    return to


def _moved_to(moves: tuple[Move, ...], to: int, at: int, why: str) -> tuple[Move, ...]:
    return moves if to == due_at(moves) else (*moves, Move(at, to, why))
