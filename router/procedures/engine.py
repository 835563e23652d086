"""One step of a procedure: a stimulus on an instance gives the next instance, log lines, emissions and alerts. Pure.

An event is judged in three layers: its status against the table of transitions, its place on the definition's graph,
its money against the obligation. It is applied by all or by none. What came too early is kept and tried again after
every step; what no step can make legal is refused and becomes a dead letter.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Final

from router.procedures import copies, dossier, dues, finance, money, payments, signals
from router.procedures.definition import Definition
from router.procedures.dues import Clockwork
from router.procedures.effects import Alert, Refused, Step
from router.procedures.graph import Fit, Graph
from router.procedures.instance import Due, Early, Event, Instance, LogLine, Replaced
from router.procedures.obligation import Finance, Settled, scope_of
from router.procedures.recount import by_calendar
from router.procedures.signs import APOLOGY_MISSING, MONEY_WAITS, PAYMENT_SUSPENDED, TASK_OVERDUE, made_good
from router.procedures.status import DONE, TERMINAL, Status
from router.procedures.takeover import left_over
from router.procedures.timetable import timers
from router.procedures.verdict import Verdict

TIMER_DUE: Final = "procedure.timer_due"
CORRECTED: Final = "dossier.corrected"
MISSING: Final = "predecessor_missing"
MOST_EARLY: Final = 100  # early events of one instance; what more comes goes to a person
TOO_MANY: Final = f"{MOST_EARLY} events wait already"
UNKNOWN: Final = "its dossier is not known"
#: Ends without a result by status, and what they are called where money is given back.
GIVES_BACK: Final = {Status.NOT_ACCEPTED: "refused", Status.WITHDRAWN: "withdrawn"}
#: The state of the end that a terminal status leads to when no edge speaks of it.
END_OF: Final = {**GIVES_BACK, Status.RESULT_RETURNED: "returned"}
RESULTS: Final = DONE | TERMINAL


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
    run = _Run(definition, by_calendar(definition, instance, clockwork, now), clockwork, now)
    run.stimulus(event)
    return run.finished()


@dataclass(slots=True)
class _Run:
    """The working state of one step."""

    definition: Definition
    instance: Instance
    clockwork: Clockwork
    now: int
    result: Step = field(init=False)
    flags: list[str] = field(default_factory=list)  # of the event at hand, for its line in the log

    def __post_init__(self) -> None:
        self.result = Step(self.instance)

    def stimulus(self, event: Event) -> None:
        """Judge and apply one, then whatever it made possible."""
        if event.type == TIMER_DUE:
            self._log(event, *self._timer(str(event.facts.get("name", ""))))
        else:
            verdict, reason = self._judge(event)
            if verdict is Verdict.EARLY and len(self.instance.early) >= MOST_EARLY:
                verdict, reason = Verdict.ILLEGAL, TOO_MANY
            self._log(event, verdict, reason)
            if verdict is Verdict.EARLY:
                early = (*self.instance.early, Early(event, self.now, reason or MISSING))
                self.instance = replace(self.instance, early=early)
                return  # what waits itself makes nothing else possible
            if verdict is Verdict.ILLEGAL:
                self.result.refused.append(Refused(event, reason))
                return
        self._again()

    def finished(self) -> Step:
        """The step with its timers."""
        if self.instance.end_state:
            left, refunds = left_over(self.instance.finance)
            self._pay(Settled(left, Verdict.APPLIED, "", refunds))
        instance = replace(self.instance, events=self.instance.events + len(self.result.log))
        if instance.end_state and not instance.closed_at:
            instance = replace(instance, closed_at=self.now)
        elif not instance.end_state and instance.closed_at:
            instance = replace(instance, closed_at=0)
        if instance.end_state != self.result.instance.end_state:
            self._tell_parent(instance)
        self.result.alerts += made_good(self.definition, self.result.instance, instance)
        self.result.instance = instance
        self.result.timers = timers(instance, self.definition, self.clockwork)
        return self.result

    # One event

    def _judge(self, event: Event) -> tuple[Verdict, str]:
        """Apply an event if it may be applied now; the verdict on it and why."""
        if event.type in copies.WORDS:
            return self._child(event)
        if event.type == signals.RECALL and self._begun():
            return self._recalled(event)
        event = dossier.as_meant(self.instance, event)
        if self._unknown(event):
            return Verdict.EARLY, UNKNOWN
        status, why = dossier.judged(self.instance, event)
        if status in (Verdict.EARLY, Verdict.LATE_IGNORED, Verdict.ILLEGAL):
            self._seen(event, status)
            return status, why
        settled = money.settled(self.instance.finance, event)
        graph = self._graph(min(event.occurred_at, self.now))
        scope = self._scope()
        fit, taken = graph.look(event, graph.scope(scope))
        if settled is not None and settled.verdict in (Verdict.LATE_IGNORED, Verdict.NOTED):
            self._pay(settled)  # stored with the money; a repeat, or word of a void generation, leads nowhere
            return settled.verdict, settled.reason
        if (refusal := self._unfit(fit, status, event)) is not None:
            return refusal
        if settled is not None:
            self._pay(settled)
            if settled.verdict is Verdict.EARLY:
                return settled.verdict, settled.reason
            self.instance = dossier.prepaid(self.instance, event)
        if status is Verdict.APPLIED or event.facts.get("status"):
            self.instance = dossier.applied(self.instance, event, status, self.clockwork, self.definition)
        self._seen(event, Verdict.APPLIED)
        self._close_money(status)
        if fit is Fit.TAKEN:
            graph.take(taken, event, graph.scope(scope))
        elif status is Verdict.APPLIED and (target := self._jump_for(event)):
            graph.jump(target)
        self._settle(graph, event)
        self._others(event, fit)
        self._clocks(min(event.occurred_at, self.now))
        if settled is not None:
            return settled.verdict, settled.reason
        moved = fit is Fit.TAKEN or status is Verdict.APPLIED
        return (Verdict.APPLIED if moved else Verdict.NOTED), why

    def _unknown(self, event: Event) -> bool:
        """Whether nothing of its dossier is known yet: which definition it runs by is not either. Money is taken."""
        mine = event.facts.get("status") is not None or event.type.startswith(("payment.", "order."))
        return self.definition.subject == "dossier" and not self.instance.status and not mine

    def _unfit(self, fit: Fit, status: Verdict | None, event: Event) -> tuple[Verdict, str] | None:
        """A verdict of the graph alone: nothing of the event is applied."""
        target = self._jump_for(event) if status is Verdict.APPLIED else None
        corrects = target is not None
        if event.type == CORRECTED and status is Verdict.APPLIED and target is None and fit is not Fit.TAKEN:
            return Verdict.ILLEGAL, f"{self.definition.name} has no end for status {event.facts['status']}"
        noted = status is Verdict.NOTED or event.type in self.definition.noted or money.moves_money(event)
        if fit in (Fit.TAKEN, Fit.UNMENTIONED) or corrects:
            return None
        if fit is Fit.PASSED:
            return None if status is not None or noted else (Verdict.LATE_IGNORED, "its place was left")
        if noted or (status is Verdict.APPLIED and event.facts["status"] not in RESULTS):
            return None  # that a dossier is worked on, or waits, may be said at any node
        if fit is Fit.EARLY:
            return Verdict.EARLY, MISSING
        return Verdict.ILLEGAL, "ended" if self.instance.end_state else "not possible any more"

    def _pay(self, settled: Settled) -> None:
        before, after = self.instance.finance.undecided, settled.finance.undecided
        self.instance = replace(self.instance, finance=settled.finance)
        code, agency = self.instance.dossier.code, self.instance.dossier.agency
        self.result.emissions += [signals.refund(code, agency, each, self.now) for each in settled.refunds]
        if after != before and (after or before):
            detail = f"{sum(after.values())} đồng: {settled.reason or ', '.join(after)}"
            self.result.alerts.append(Alert(PAYMENT_SUSPENDED, code, detail, bool(after)))

    def _seen(self, event: Event, verdict: Verdict) -> None:
        """What any event tells beside its effect: apologies, the last time the dossier was seen being processed."""
        self.instance = dossier.seen(self.instance, event, verdict)

    def _others(self, event: Event, fit: Fit) -> None:
        if event.type == "dossier.apology_sent":
            self.instance, flag = dossier.apologised(self.instance, event)
            self.flags += [flag] if flag else []
        if not self.instance.parent:
            self._find_parent(event)
        if event.type == "document.sent" and event.facts.get("business") == "REPLACE":
            replaced = [Replaced(signals.key_of_document(old["document"]), tuple(old["organs"]))
                        for old in event.facts.get("instead_of", ())]  # fmt: skip
            self.instance = replace(self.instance, replaces=tuple(replaced))
        if event.type == "document.status_changed" and fit is Fit.TAKEN and event.facts["state"] in copies.PROGRESS:
            self._to_parent(copies.CHILD_PROGRESSED, event.facts["state"], event.facts["organ"])

    # The graph

    def _graph(self, at: int) -> Graph:
        now = self.instance
        return Graph(
            self.definition, list(now.tokens), list(now.passed), dict(now.arrived), dict(now.forks),
            dict(now.variables), now.end_state, self.now, at,
        )  # fmt: skip

    def _settle(self, graph: Graph, event: Event | None = None) -> None:
        """Follow what needs no event, and do what the edges taken, the first of them by ``event``, ask for beside
        moving.
        """
        graph.settle(self._scope())
        self.instance = replace(
            self.instance,
            tokens=tuple(graph.tokens),
            passed=tuple(graph.passed),
            arrived=graph.arrived,
            forks=graph.forks,
            variables=graph.variables,
            end_state=graph.end_state,
        )
        if any(edge.tell_children for _, edge, _ in graph.told):
            self.instance = copies.recalled(self.instance)
        named = event.facts.get("receivers", ()) if event is not None else ()
        for token, edge, _ in graph.told:
            unnamed = edge.tell_receivers == "recall" or (named and token is not None and token.item not in named)
            if edge.tell_receivers and token is not None and unnamed:
                self.result.emissions.append(signals.taken_back(self.instance, token.item, self.now))
            if edge.tell_replaced and token is not None:
                self._spare(token.item, token.item)
            if edge.tell_sender:
                self.result.emissions.append(signals.outcome(self.instance, self.now))
            if edge.compensate:
                self._compensate()
            elif edge.undo:
                self._undo(edge.undo)
        graph.told.clear()
        self._tell_children()

    def _compensate(self) -> None:
        """What was done is undone where the definition says so, the last thing first; money is given back."""
        self._undo()
        self._give_back(self.instance.end_state or "compensated")

    def _undo(self, only: Collection[str] = ()) -> None:
        scope = {**self._scope(), "vars": self.instance.variables}
        self.result.emissions += signals.compensations(
            self.definition, self.instance, scope, self.clockwork.seat, self.now, only
        )

    def _close_money(self, verdict: Verdict | None) -> None:
        """Who is refused or withdraws owes nothing, whatever the definition says; after a correction it may again."""
        closed = self.instance.finance.closed
        if verdict is Verdict.APPLIED and self.instance.status in GIVES_BACK and not closed:
            self._give_back(GIVES_BACK[Status(self.instance.status)])
        elif verdict is Verdict.APPLIED and self.instance.status not in GIVES_BACK and closed:
            self.instance = replace(self.instance, finance=finance.reopened(self.instance.finance))

    def _give_back(self, reason: str) -> None:
        self._pay(finance.given_back(self.instance.finance, reason))

    def _jump_for(self, event: Event) -> str | None:
        """The node at which the instance goes on although no edge leads there: after a correction, and at the end
        that fits a refusal or withdrawal, which the law allows wherever a dossier stands. Empty: it stays where it is.
        """
        status = Status(event.facts.get("status") or 0)
        ends = (name for name, node in self.definition.nodes.items() if node.state == END_OF.get(status, "-"))
        if event.type != CORRECTED:
            return next(ends, None) if status in GIVES_BACK else None
        if (named := self.definition.corrections.get(status)) is not None:
            return named
        if status in TERMINAL:
            return next(ends, None)
        back = self.instance.end_state or status <= Status.ACCEPTED
        return self.definition.start[0] if back else ""

    def _scope(self) -> Mapping[str, Mapping[str, Any]]:
        now = self.instance
        children = [child.ended for child in now.children]
        return {
            "dossier": {
                "status": now.status,
                "code": now.dossier.code,
                "accepted": bool(now.dossier.accepted_at),
                "child": bool(now.parent),
            },
            "finance": scope_of(now.finance),
            "children": {
                "total": len(children),
                "open": children.count(""),
                **{state: children.count(state) for state in END_OF.values()},
                "recalled": sum(1 for ended in children if ended in copies.GONE),
                "kept": sum(1 for child in now.children if copies.keeps(child)),
            },
        }

    # Other instances

    def _child(self, event: Event) -> tuple[Verdict, str]:
        """What a child says is kept and passed on to the parent; an edge may take it as well."""
        before = self.instance
        self.instance = copies.heard(before, event)
        news = self.instance is not before
        if news and event.type == copies.CHILD_PROGRESSED:
            key, organ = str(event.facts["related"]), str(event.facts.get("organ") or "")
            child = copies.child_of(self.instance, key)
            if child is not None and copies.newly_held(copies.child_of(before, key), event):
                self._spare(child.organ, organ)
            self._to_parent(event.type, str(event.facts["name"]), organ)
        may_wait = event.type not in self.definition.noted
        fit = self._follow(event, may_wait=may_wait)
        if fit is Fit.EARLY and may_wait:
            return Verdict.EARLY, MISSING
        return (Verdict.APPLIED if news or fit is Fit.TAKEN else Verdict.NOTED), ""

    def _begun(self) -> bool:
        """Whether anything is known of what runs here: a document that was sent, a dossier with a status."""
        waits = any(token.node in self.definition.start and not token.item for token in self.instance.tokens)
        return bool(self.instance.status) or not waits

    def _recalled(self, event: Event) -> tuple[Verdict, str]:
        """A recall from another instance. What is not for a receiver of this one is for copies: those that are known,
        and those that will be.
        """
        before = self.instance
        self.instance = copies.recalled(before, str(event.facts.get("organ") or ""))
        fit = self._follow(event, may_wait=False)
        return (Verdict.APPLIED if fit is Fit.TAKEN or self.instance != before else Verdict.NOTED), ""

    def _follow(self, event: Event, *, may_wait: bool) -> Fit:
        """Take the edges that another instance's word opens, and all that follows; nothing if it ``may_wait`` and came
        early.
        """
        at = min(event.occurred_at, self.now)
        graph = self._graph(at)
        scope = graph.scope(self._scope())
        fit, taken = graph.look(event, scope)
        if fit is Fit.EARLY and may_wait:
            self._tell_children()
            return fit
        if fit is Fit.TAKEN:
            graph.take(taken, event, scope)
        self._settle(graph, event)
        self._clocks(at)
        return fit

    def _tell_children(self) -> None:
        self.instance, told = copies.tell(self.instance)
        emit = (signals.recall(self.instance, child.key, organ, self.now) for child, organ in told)
        self.result.emissions += emit

    def _spare(self, receiver: str, organ: str) -> None:
        """An agency has this document now: what it replaces may be taken back from it."""
        for old in copies.replaced_for(self.instance, receiver, organ):
            self.result.emissions.append(signals.recall(self.instance, old.key, organ, self.now))

    def _find_parent(self, event: Event) -> None:
        """What brought this about learns of it: the original of a forwarded copy, or the dossier of another level that
        a dossier names. A plain reply names the document too, but passed no other system before its sender, or goes
        back to one.
        """
        facts, parent = event.facts, ""
        if event.type == "document.sent":
            named = [each for each in facts.get("response_for", ()) if each != facts.get("document")]
            passed = set(facts.get("traces", ())) - {facts.get("sender")}
            if named and passed and not passed & set(facts.get("receivers", ())):
                parent = signals.key_of_document(named[0])
        elif (code := facts.get("parent")) and code != facts.get("code"):
            parent = signals.key_of_dossier(code)
        if parent:
            self.instance = replace(self.instance, parent=parent)
            by = facts.get("sender") or facts.get("agency") or ""
            self._to_parent(copies.CHILD_OPENED, "opened", str(by))

    def _to_parent(self, event_type: str, name: str, organ: str = "") -> None:
        if self.instance.parent:
            self.result.emissions.append(signals.to_parent(self.instance, event_type, name, organ, self.now))

    def _tell_parent(self, instance: Instance) -> None:
        """That it has ended, or goes on after its end."""
        if instance.end_state:
            self._to_parent(copies.CHILD_ENDED, instance.end_state)
        else:
            self._to_parent(copies.CHILD_OPENED, "reopened")

    # Time

    def _timer(self, name: str) -> tuple[Verdict, str]:
        due = timers(self.instance, self.definition, self.clockwork).get(name)
        if due is None or due > self.now:
            return Verdict.NOTED, "stale_timer"
        kind, _, rest = name.partition(":")
        now, code = self.instance.due, self.instance.dossier.code
        match kind:
            case "node":
                self._time_out(rest)
            case "early":
                self._give_up(rest)
            case "task":
                self._due(replace(now, late=(*now.late, rest)))
                self._alert(TASK_OVERDUE, f"{code} {rest}".strip(), f"due on {dues.day_of(dues.task_due(now, rest))}")
            case "pause":
                self._rested()
            case "overdue":
                self._due(replace(now, detected_at=self.now))
                self.result.emissions.append(signals.overdue(self.instance, self.now))
            case _:
                self._due(replace(now, alerted_at=self.now))
                self._alert(APOLOGY_MISSING, code, f"overdue since {dues.day_of(now.detected_at)}")
        self._clocks(self.now)
        return Verdict.APPLIED, name

    def _rested(self) -> None:
        """A status that stops the clock lasts longer than it may."""
        limit = self.definition.pause_limits[self.instance.status]
        self._due(replace(self.instance.due, pause_alerted=True))
        if limit.alert:
            self._alert(limit.alert, self.instance.dossier.code, f"status {self.instance.status}: {limit.after}")
        if limit.to:
            graph = self._graph(self.now)
            graph.jump(limit.to)
            self._settle(graph)
        if limit.compensate:
            self._compensate()

    def _due(self, due: Due) -> None:
        self.instance = replace(self.instance, due=due)

    def _alert(self, name: str, subject: str, detail: str) -> None:
        self.result.alerts.append(Alert(name, subject, detail))

    def _time_out(self, token_id: str) -> None:
        graph = self._graph(self.now)
        token = next(token for token in graph.tokens if token.id == token_id)
        timeout = self.definition.nodes[token.node].timeout
        assert timeout is not None  # or there was no timer of this name
        if timeout.alert:
            subject = f"{self.instance.dossier.code} {token_id}".strip()
            detail = f"{self.definition.nodes[token.node].title.vi}: {timeout.after}"
            self._alert(timeout.alert, subject, detail)
        graph.time_out(token, timeout.to)
        self._settle(graph)
        if timeout.compensate:
            self._compensate()

    def _give_up(self, named: str) -> None:
        """An early event whose window is over: refused. Money stays held while a person is told, and longer."""
        found = next(early for early in self.instance.early if early.id == named)
        rest = tuple(early for early in self.instance.early if early is not found)
        if found.reason in money.WAITS and not found.alerted:
            self.instance = replace(self.instance, early=(*rest, found._replace(alerted=True)))
            subject, detail = self.instance.dossier.code, f"{found.event.type} {named}: {found.reason}"
            self._alert(MONEY_WAITS, subject, detail)
            return
        self.instance = replace(self.instance, early=rest)
        reference = str(found.event.facts.get("reference", ""))
        held = payments.given_up(self.instance.finance, reference)
        self._pay(Settled(held, Verdict.SUSPENDED, "window_over"))
        self._log(found.event, Verdict.ILLEGAL, "window_over")
        self.result.refused.append(Refused(found.event, found.reason))

    def _again(self) -> None:
        """Early events that have become possible, oldest first, until none is left."""
        progress = bool(self.instance.early)
        while progress:
            progress = False
            for early in sorted(self.instance.early, key=lambda each: (each.event.occurred_at, each.taken_at)):
                held = self.instance
                self.instance = replace(held, early=tuple(each for each in held.early if each != early))
                verdict, reason = self._judge(early.event)
                if verdict is Verdict.EARLY:
                    self.instance = held
                    continue
                self._log(early.event, verdict, reason)
                if verdict is Verdict.ILLEGAL:
                    self.result.refused.append(Refused(early.event, reason))
                progress = True

    def _clocks(self, at: int) -> None:
        if self.definition.subject == "dossier":
            due = dues.clocks(self.instance, self.definition, self.clockwork, at)
            counted_by = due.calendar or (self.clockwork.calendar.version if due.whole or due.agency else "")
            self.instance = replace(self.instance, due=replace(due, calendar=counted_by))

    def _log(self, event: Event, verdict: Verdict, reason: str) -> None:
        found = (reason, *self.flags, *dossier.warnings(self.instance, event, verdict))
        flags = tuple(flag for flag in found if flag)
        self.flags.clear()
        number = self.instance.events + len(self.result.log)
        self.result.log.append(LogLine(number, event, self.now, verdict, flags))


def _variables(definition: Definition) -> dict[str, Any]:
    return {name: list(value) if isinstance(value, tuple) else value for name, value in definition.variables.items()}
