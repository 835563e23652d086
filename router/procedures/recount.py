"""Due dates by another version of the calendar. Pure."""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from router.procedures.definition import Definition
from router.procedures.dues import ACCEPTED, SET, TASK, Clockwork, due_at, in_time, task_due
from router.procedures.instance import Due, Instance, Move

CALENDAR: Final = "calendar "  # why a date moved that was counted again; the calendar's version follows


def by_calendar(definition: Definition, instance: Instance, clockwork: Clockwork, now: int) -> Instance:
    """The instance with its due dates by today's calendar; one that is finished keeps those it was judged by."""
    counted_by = instance.due.calendar
    other = counted_by and counted_by != clockwork.calendar.version
    if not other or definition.subject != "dossier" or instance.end_state or instance.dossier.finished_at:
        return instance
    return replace(instance, due=recalculated(instance, definition, clockwork, now))


def recalculated(instance: Instance, definition: Definition, clockwork: Clockwork, at: int) -> Due:
    """Both due dates by another version of the calendar: their budgets counted again, their pauses as they were.

    A date that the one-stop has set stays where it was set; pauses after it move it by the new calendar.
    """
    due, agency = instance.due, instance.dossier.agency
    why = f"{CALENDAR}{clockwork.calendar.version}"
    whole = _whole_again(instance, definition, clockwork.at(agency))
    tasks = [(task, _task_again(instance, definition, clockwork, task)) for task in due.tasks]
    moved = [Move(at, to, why, task=task) for task, to in tasks if to != task_due(due, task)]
    return in_time(
        replace(
            due,
            calendar=clockwork.calendar.version,
            whole=due.whole if whole == due_at(due.whole) else (*due.whole, Move(at, whole, why)),
            agency=(*due.agency, *moved),
            late=tuple(task for task in due.late if task not in {move.task for move in moved}),
        )
    )


def _whole_again(instance: Instance, definition: Definition, clockwork: Clockwork) -> int:
    """Where the whole due date lies if everything since the last time it was set is counted again."""
    moves, began = instance.due.whole, instance.dossier.accepted_at
    start = max((n for n, move in enumerate(moves) if move.why in SET), default=-1)
    if start < 0:
        return due_at(moves)
    to, budget = moves[start].due, definition.budget_of(instance.dossier.agency)
    if moves[start].why == ACCEPTED and budget is not None and began:
        to = clockwork.after(began, budget)
    return _paused_again(moves[start + 1 :], to, clockwork)


def _task_again(instance: Instance, definition: Definition, clockwork: Clockwork, task: str) -> int:
    """Where the date of a task lies, counted again in the hours of the office that has it."""
    moves = tuple(move for move in instance.due.agency if move.task == task)
    node = definition.nodes[task.partition("[")[0]]
    start = max((n for n, move in enumerate(moves) if move.why.startswith(TASK)), default=-1)
    if start < 0 or node.days is None:
        return due_at(moves)
    here = clockwork.at(instance.dossier.agency, node.role)
    return _paused_again(moves[start + 1 :], here.after(moves[start].at, node.days), here)


def _paused_again(moves: tuple[Move, ...], to: int, clockwork: Clockwork) -> int:
    for move in moves:
        if move.since:
            to = clockwork.moved(to, move.since, move.at)
    return to
