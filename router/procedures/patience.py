"""What follows when a timer comes due: patience with a node, an early event, a task, a pause, a dossier is over."""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from router.procedures import dues, money, settlement, signals, walk
from router.procedures.obligation import WINDOW_OVER
from router.procedures.signs import APOLOGY_MISSING, MONEY_WAITS, TASK_OVERDUE
from router.procedures.timetable import timers
from router.procedures.verdict import Verdict
from router.procedures.working import Working

STALE: Final = "stale_timer"


def over(work: Working, name: str) -> tuple[Verdict, str]:
    """What a timer's coming due does, by the names of ``timetable.timers``; nothing if nobody wants it any more."""
    due = timers(work.instance, work.definition, work.clockwork).get(name)
    if due is None or due > work.now:
        return Verdict.NOTED, STALE
    kind, _, rest = name.partition(":")
    match kind:
        case "node":
            _time_out(work, rest)
        case "early":
            _give_up(work, rest)
        case "task":
            _task_late(work, rest)
        case "pause":
            _rested(work)
        case "overdue":
            work.due(replace(work.instance.due, detected_at=work.now))
            work.emit(signals.overdue(work.instance, work.now))
        case _:
            _no_apology(work)
    work.clocks(work.now)
    return Verdict.APPLIED, name


def _time_out(work: Working, token_id: str) -> None:
    graph = walk.graph_of(work, work.now)
    token = next(token for token in graph.tokens if token.id == token_id)
    node = work.definition.nodes[token.node]
    assert node.timeout is not None  # or there was no timer of this name
    if node.timeout.alert:
        subject = f"{work.instance.dossier.code} {token_id}".strip()
        work.alert(node.timeout.alert, subject, f"{node.title.vi}: {node.timeout.after}")
    graph.time_out(token, node.timeout.to)
    walk.settle(work, graph)
    if node.timeout.compensate:
        walk.compensate(work)


def _give_up(work: Working, named: str) -> None:
    """An early event whose window is over: refused. Money stays held while a person is told, and longer."""
    found = next(early for early in work.instance.early if early.id == named)
    rest = tuple(early for early in work.instance.early if early is not found)
    if found.reason in money.WAITS and not found.alerted:
        work.instance = replace(work.instance, early=(*rest, found._replace(alerted=True)))
        work.alert(MONEY_WAITS, work.instance.dossier.code, f"{found.event.type} {named}: {found.reason}")
        return
    work.instance = replace(work.instance, early=rest)
    settlement.give_up(work, found)
    work.log(found.event, Verdict.ILLEGAL, WINDOW_OVER)
    work.refuse(found.event, found.reason)


def _task_late(work: Working, task: str) -> None:
    due = work.instance.due
    work.due(replace(due, late=(*due.late, task)))
    subject = f"{work.instance.dossier.code} {task}".strip()
    work.alert(TASK_OVERDUE, subject, f"due on {dues.day_of(dues.task_due(due, task))}")


def _rested(work: Working) -> None:
    """A status that stops the clock lasts longer than it may."""
    limit = work.definition.pause_limits[work.instance.status]
    work.due(replace(work.instance.due, pause_alerted=True))
    if limit.alert:
        detail = f"status {work.instance.status}: {limit.after}"
        work.alert(limit.alert, work.instance.dossier.code, detail)
    if limit.to:
        walk.jump(work, limit.to)
    if limit.compensate:
        walk.compensate(work)


def _no_apology(work: Working) -> None:
    due = work.instance.due
    work.due(replace(due, alerted_at=work.now))
    work.alert(APOLOGY_MISSING, work.instance.dossier.code, f"overdue since {dues.day_of(due.detected_at)}")
