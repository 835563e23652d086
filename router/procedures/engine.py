"""One step of a procedure: a stimulus on an instance gives the next instance, log lines, emissions and alerts. Pure.

An event is judged in three layers: its status against the table of transitions, its place on the definition's graph,
its money against the obligation. It is applied by all or by none. What came too early is kept and tried again after
every step; what no step can make legal is refused and becomes a dead letter.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, Final

from router.procedures import copies, dossier, money, patience, relatives, settlement, signals, walk
from router.procedures.definition import Definition
from router.procedures.dossier import CORRECTED
from router.procedures.dues import Clockwork
from router.procedures.effects import Step
from router.procedures.expression import Scope
from router.procedures.graph import Fit, Graph, Taken
from router.procedures.instance import Early, Event, Instance
from router.procedures.levels import followed
from router.procedures.obligation import Finance
from router.procedures.recount import by_calendar
from router.procedures.signs import made_good
from router.procedures.status import END_OF, GIVES_BACK, RESULTS, TERMINAL, Status
from router.procedures.timetable import timers
from router.procedures.verdict import Verdict
from router.procedures.working import Working

MISSING: Final = "predecessor_missing"
MOST_EARLY: Final = 100  # early events of one instance; what more comes goes to a person
TOO_MANY: Final = f"{MOST_EARLY} events wait already"
UNKNOWN: Final = "its dossier is not known"


def opened(definition: Definition, now: int, key: str = "") -> Instance:
    """A new instance, at its start nodes."""
    graph = Graph(definition, [], [], {}, {}, _variables(definition), "", now, now)
    graph.begin()
    named = (definition.procedure, definition.version, now, definition.digest)
    taking_over = Finance(takes_over=definition.recalculation == "difference")
    fresh = Instance(*named, key, tokens=tuple(graph.tokens), finance=taking_over)
    return replace(fresh, variables=graph.variables)


def repinned(definition: Definition, before: Instance) -> Instance:
    """An instance that was not accepted yet, at the start of another definition; its money and facts stay."""
    begun = opened(definition, before.opened_at, before.key)
    return replace(
        before,
        procedure=begun.procedure,
        definition=begun.definition,
        digest=begun.digest,
        tokens=begun.tokens,
        passed=(),
        arrived={},
        forks={},
        variables=begun.variables,
        finance=replace(before.finance, takes_over=begun.finance.takes_over),
    )


def step(definition: Definition, instance: Instance, event: Event, clockwork: Clockwork, now: int) -> Step:
    """What an event, or a timer that came due, does to an instance. ``now`` is business time."""
    work = Working(definition, by_calendar(definition, instance, clockwork, now), clockwork, now)
    if event.type == signals.TIMER_DUE:
        work.log(event, *patience.over(work, str(event.facts.get("name", ""))))
        _again(work)
    elif _taken(work, event):
        _again(work)
    return _finished(work)


def _taken(work: Working, event: Event) -> bool:
    """Judge an event. Whether it was settled: what waits itself, or is refused, makes nothing else possible."""
    verdict, reason = _judge(work, event)
    if verdict is Verdict.EARLY and len(work.instance.early) >= MOST_EARLY:
        verdict, reason = Verdict.ILLEGAL, TOO_MANY
    work.log(event, verdict, reason)
    if verdict is Verdict.EARLY:
        early = Early(event, work.now, reason or MISSING)
        work.instance = replace(work.instance, early=(*work.instance.early, early))
    elif verdict is Verdict.ILLEGAL:
        work.refuse(event, reason)
    return verdict not in (Verdict.EARLY, Verdict.ILLEGAL)


def _again(work: Working) -> None:
    """Early events that have become possible, oldest first, until none is left."""
    progress = bool(work.instance.early)
    while progress:
        progress = False
        for early in sorted(work.instance.early, key=lambda each: (each.event.occurred_at, each.taken_at)):
            held = work.instance
            work.instance = replace(held, early=tuple(each for each in held.early if each != early))
            verdict, reason = _judge(work, early.event)
            if verdict is Verdict.EARLY:
                work.instance = held
                continue
            work.log(early.event, verdict, reason)
            if verdict is Verdict.ILLEGAL:
                work.refuse(early.event, reason)
            progress = True


def _finished(work: Working) -> Step:
    """The step with its timers."""
    result, before = work.result, work.result.instance
    if work.instance.end_state:
        settlement.give_back_rest(work)
    closed_at = (work.instance.closed_at or work.now) if work.instance.end_state else 0
    work.instance = replace(work.instance, events=work.instance.events + len(result.log), closed_at=closed_at)
    if work.instance.end_state != before.end_state:
        relatives.tell_end(work)
    work.instance, said, alerts = followed(work.definition, before, work.instance, work.now)
    work.emit(*said)
    result.alerts += alerts
    result.alerts += made_good(work.definition, before, work.instance)
    result.instance = work.instance
    result.timers = timers(work.instance, work.definition, work.clockwork)
    return result


def _judge(work: Working, event: Event) -> tuple[Verdict, str]:
    """Apply an event if it may be applied now; the verdict on it and why."""
    if event.type in copies.WORDS:
        return _from_child(work, event)
    if event.type == signals.RECALL and _begun(work):
        return _recalled(work, event)
    event = dossier.as_meant(work.instance, event)
    if _unknown(work, event):
        return Verdict.EARLY, UNKNOWN
    status, why = dossier.judged(work.instance, event)
    if status in (Verdict.EARLY, Verdict.LATE_IGNORED, Verdict.ILLEGAL):
        work.instance = dossier.seen(work.instance, event, status)
        return status, why
    settled = money.settled(work.instance.finance, event)
    graph = walk.graph_of(work, min(event.occurred_at, work.now))
    scope = graph.scope(walk.seen(work.instance))
    fit, taken = graph.look(event, scope)
    if settled is not None and settled.verdict in (Verdict.LATE_IGNORED, Verdict.NOTED):
        settlement.settle(work, settled)  # stored with the money; a repeat, or word of a void generation
        return settled.verdict, settled.reason
    if (refusal := _unfit(work, fit, status, event)) is not None:
        return refusal
    if settled is not None:
        settlement.settle(work, settled)
        if settled.verdict is Verdict.EARLY:
            return settled.verdict, settled.reason
        work.instance = dossier.prepaid(work.instance, event)
    _apply(work, event, status, graph, taken, scope)
    if settled is not None:
        return settled.verdict, settled.reason
    moved = fit is Fit.TAKEN or status is Verdict.APPLIED
    return (Verdict.APPLIED if moved else Verdict.NOTED), why


def _apply(
    work: Working, event: Event, status: Verdict | None, graph: Graph, taken: Sequence[Taken], scope: Scope
) -> None:
    """All that an event does to dossier and graph, and what follows; its money is settled already."""
    if status is Verdict.APPLIED or event.facts.get("status"):
        work.instance = dossier.applied(work.instance, event, status, work.clockwork, work.definition)
    work.instance = dossier.seen(work.instance, event, Verdict.APPLIED)
    settlement.follow_status(work, status)
    if taken:
        graph.take(taken, event, scope)
    elif status is Verdict.APPLIED and (target := _jump_for(work, event)):
        graph.jump(target)
    walk.settle(work, graph, event)
    if event.type == "dossier.apology_sent":
        work.instance, flag = dossier.apologised(work.instance, event)
        work.flags += [flag] if flag else []
    relatives.find_parent(work, event)
    relatives.note_replaced(work, event)
    if taken:
        relatives.tell_progress(work, event)
    work.clocks(min(event.occurred_at, work.now))


def _unknown(work: Working, event: Event) -> bool:
    """Whether nothing of its dossier is known yet: which definition it runs by is not either. Money is taken."""
    mine = event.facts.get("status") is not None or event.type.startswith(("payment.", "order."))
    return work.definition.subject == "dossier" and not work.instance.status and not mine


def _unfit(work: Working, fit: Fit, status: Verdict | None, event: Event) -> tuple[Verdict, str] | None:
    """A verdict of the graph alone: nothing of the event is applied."""
    target = _jump_for(work, event) if status is Verdict.APPLIED else None
    corrects = target is not None
    if event.type == CORRECTED and status is Verdict.APPLIED and target is None and fit is not Fit.TAKEN:
        return Verdict.ILLEGAL, f"{work.definition.name} has no end for status {event.facts['status']}"
    noted = status is Verdict.NOTED or event.type in work.definition.noted or money.moves_money(event)
    if fit in (Fit.TAKEN, Fit.UNMENTIONED) or corrects:
        return None
    if fit is Fit.PASSED:
        return None if status is not None or noted else (Verdict.LATE_IGNORED, "its place was left")
    if noted or (status is Verdict.APPLIED and event.facts["status"] not in RESULTS):
        return None  # that a dossier is worked on, or waits, may be said at any node
    if fit is Fit.EARLY:
        return Verdict.EARLY, MISSING
    return Verdict.ILLEGAL, "ended" if work.instance.end_state else "not possible any more"


def _jump_for(work: Working, event: Event) -> str | None:
    """The node at which the instance goes on although no edge leads there: after a correction, and at the end that fits
    a refusal or withdrawal, which the law allows wherever a dossier stands. Empty: it stays where it is.
    """
    status = Status(event.facts.get("status") or 0)
    ends = (name for name, node in work.definition.nodes.items() if node.state == END_OF.get(status, "-"))
    if event.type != CORRECTED:
        return next(ends, None) if status in GIVES_BACK else None
    if (named := work.definition.corrections.get(status)) is not None:
        return named
    if status in TERMINAL:
        return next(ends, None)
    back = work.instance.end_state or status <= Status.ACCEPTED
    return work.definition.start[0] if back else ""


def _from_child(work: Working, event: Event) -> tuple[Verdict, str]:
    """What a child says is kept and passed on; an edge may take it as well."""
    news = relatives.hear(work, event)
    may_wait = event.type not in work.definition.noted
    fit = walk.follow(work, event, may_wait=may_wait)
    if fit is Fit.EARLY and may_wait:
        return Verdict.EARLY, MISSING
    return (Verdict.APPLIED if news or fit is Fit.TAKEN else Verdict.NOTED), ""


def _begun(work: Working) -> bool:
    """Whether anything is known of what runs here: a document that was sent, a dossier with a status."""
    waits = any(token.node in work.definition.start and not token.item for token in work.instance.tokens)
    return bool(work.instance.status) or not waits


def _recalled(work: Working, event: Event) -> tuple[Verdict, str]:
    """A recall from another instance. What is not for a receiver of this one is for copies: those that are known, and
    those that will be.
    """
    before = work.instance
    if event.facts.get("name") == signals.GO_ON:
        work.instance = copies.let_go(before, itself=before.status in GIVES_BACK)
        return (Verdict.APPLIED if work.instance != before else Verdict.NOTED), ""
    organ = str(event.facts.get("organ") or "")
    work.instance = copies.recalled(before, organ)
    if work.definition.subject == "dossier" and not organ:
        work.instance = copies.recalled(work.instance, copies.ABOVE)
    fit = walk.follow(work, event, may_wait=False)
    return (Verdict.APPLIED if fit is Fit.TAKEN or work.instance != before else Verdict.NOTED), ""


def _variables(definition: Definition) -> dict[str, Any]:
    return {name: list(value) if isinstance(value, tuple) else value for name, value in definition.variables.items()}
