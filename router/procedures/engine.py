"""One step of a procedure: a stimulus on an instance gives the next instance, log lines, emissions and alerts. Pure.

An event is judged in three layers: its status against the table of transitions, its place on the definition's graph,
its money against the obligation. It is applied by all or by none. What came too early is kept and tried again after
every step; what no step can make legal is refused and becomes a dead letter.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Final

from router.procedures import dossier, dues, finance, signals
from router.procedures.definition import Definition
from router.procedures.dues import Clockwork
from router.procedures.effects import Alert, Refused, Step
from router.procedures.finance import Settled
from router.procedures.graph import Fit, Graph
from router.procedures.instance import Child, Early, Event, Instance, LogLine
from router.procedures.status import DONE, TERMINAL
from router.procedures.verdict import Verdict

TIMER_DUE: Final = "procedure.timer_due"
CHILD_OPENED: Final = "procedure.child_opened"
CHILD_ENDED: Final = "procedure.child_ended"
CORRECTED: Final = "dossier.corrected"
MISSING: Final = "predecessor_missing"
RESULTS: Final = DONE | TERMINAL


def opened(definition: Definition, now: int, key: str = "") -> Instance:
    """A new instance, at its start nodes."""
    graph = Graph(definition, [], [], {}, {}, _variables(definition), "", now)
    graph.begin()
    fresh = Instance(definition.procedure, definition.version, now, key, tokens=tuple(graph.tokens))
    return replace(fresh, variables=graph.variables)


def timers(instance: Instance, definition: Definition, clockwork: Clockwork) -> dict[str, int]:
    """Every timer the instance wants, by name, with its due time in business time. They follow from its state."""
    wanted: dict[str, int] = {}
    for token in instance.tokens:
        timeout = definition.nodes[token.node].timeout
        if timeout is not None and not token.alerted:
            wanted[f"node:{token.id}"] = clockwork.after(token.since, timeout.after)
    for early in instance.early:
        wanted[f"early:{early.event.source}/{early.event.id}"] = clockwork.after(
            early.taken_at, definition.early_window
        )
    if definition.subject == "dossier":
        if at := dues.overdue_timer(instance):
            wanted["overdue"] = at
        if at := dues.apology_timer(instance, clockwork):
            wanted["apology"] = at
    return wanted


def step(definition: Definition, instance: Instance, event: Event, clockwork: Clockwork, now: int) -> Step:
    """What an event, or a timer that came due, does to an instance. ``now`` is business time."""
    run = _Run(definition, instance, clockwork, now)
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

    def __post_init__(self) -> None:
        self.result = Step(self.instance)

    def stimulus(self, event: Event) -> None:
        """Judge and apply one, then whatever it made possible."""
        if event.type == TIMER_DUE:
            self._log(event, *self._timer(str(event.facts.get("name", ""))))
        else:
            verdict, reason = self._judge(event)
            self._log(event, verdict, reason)
            if verdict is Verdict.EARLY:
                early = (*self.instance.early, Early(event, self.now, reason or MISSING))
                self.instance = replace(self.instance, early=early)
            elif verdict is Verdict.ILLEGAL:
                self.result.refused.append(Refused(event, reason))
        self._again()

    def finished(self) -> Step:
        """The step with its timers."""
        instance = replace(self.instance, events=self.instance.events + len(self.result.log))
        if instance.end_state and not instance.closed_at:
            instance = replace(instance, closed_at=self.now)
            self._tell_parent(instance)
        elif not instance.end_state and instance.closed_at:
            instance = replace(instance, closed_at=0)
        self.result.instance = instance
        self.result.timers = timers(instance, self.definition, self.clockwork)
        return self.result

    # One event

    def _judge(self, event: Event) -> tuple[Verdict, str]:
        """Apply an event if it may be applied now; the verdict on it and why."""
        if event.type in (CHILD_OPENED, CHILD_ENDED):
            return self._child(event)
        status, why = dossier.judged(self.instance, event)
        if status in (Verdict.EARLY, Verdict.LATE_IGNORED, Verdict.ILLEGAL):
            self._seen(event, status)
            return status, why
        graph = self._graph()
        scope = self._scope()
        fit, taken = graph.look(event, graph.scope(scope))
        if (refusal := self._unfit(fit, status, event)) is not None:
            return refusal
        money = self._money(event)
        if money is not None and money.verdict is Verdict.EARLY:
            return money.verdict, money.reason
        if money is not None:
            self._pay(money)
        if status is Verdict.APPLIED or event.facts.get("status"):
            self.instance = dossier.applied(self.instance, event, status, self.clockwork, self.definition)
        self._seen(event, Verdict.APPLIED)
        if fit is Fit.TAKEN:
            graph.take(taken, event, graph.scope(scope))
        elif status is Verdict.APPLIED and event.type == CORRECTED:
            self._correct(graph, int(event.facts["status"]))
        self._settle(graph)
        self._others(event)
        self._clocks(min(event.occurred_at, self.now))
        return self._verdict(status, fit, money, why)

    def _unfit(self, fit: Fit, status: Verdict | None, event: Event) -> tuple[Verdict, str] | None:
        """A verdict of the graph alone: nothing of the event is applied."""
        corrects = event.type == CORRECTED and status is Verdict.APPLIED
        noted = status is Verdict.NOTED or event.type in self.definition.noted or self._moves_money(event)
        if fit in (Fit.TAKEN, Fit.UNMENTIONED) or corrects:
            return None
        if fit is Fit.PASSED:
            return None if status is not None or noted else (Verdict.LATE_IGNORED, "its place was left")
        if noted or (status is Verdict.APPLIED and event.facts["status"] not in RESULTS):
            return None  # that a dossier is worked on, or waits, may be said at any node
        if fit is Fit.EARLY:
            return Verdict.EARLY, MISSING
        return Verdict.ILLEGAL, "ended" if self.instance.end_state else "not possible any more"

    def _verdict(self, status: Verdict | None, fit: Fit, money: Settled | None, why: str) -> tuple[Verdict, str]:
        if money is not None and money.verdict is not Verdict.NOTED:
            return money.verdict, money.reason
        if fit is Fit.TAKEN or status is Verdict.APPLIED:
            return Verdict.APPLIED, why
        return Verdict.NOTED, (money.reason if money is not None else "") or why

    def _money(self, event: Event) -> Settled | None:
        now, facts = self.instance.finance, event.facts
        match event.type:
            case "tax.obligation_requested":
                return finance.requested(now, str(facts["number"]), int(facts["generation"]))
            case "tax.obligation_returned":
                return finance.returned(now, facts.get("generation"))
            case "tax.notice_issued":
                return finance.noticed(now, facts)
            case "tax.obligation_completed":
                return finance.completed(now, str(facts["notice"]), int(facts["amount"]))
            case "payment.confirmed" | "payment.evidenced":
                return finance.paid(now, facts)
        return None

    def _moves_money(self, event: Event) -> bool:
        return event.type.startswith("payment.") or event.type in ("tax.notice_issued", "tax.obligation_completed")

    def _pay(self, settled: Settled) -> None:
        before = self.instance.finance.suspended
        self.instance = replace(self.instance, finance=settled.finance)
        code, agency = self.instance.dossier.code, self.instance.dossier.agency
        self.result.emissions += [signals.refund(code, agency, each, self.now) for each in settled.refunds]
        if bool(before) != bool(settled.finance.suspended):
            detail = f"{settled.finance.suspended} đồng: {settled.reason}"
            self.result.alerts.append(Alert("payment_suspended", code, detail, bool(settled.finance.suspended)))

    def _seen(self, event: Event, verdict: Verdict) -> None:
        """What any event tells beside its effect: apologies, the last time the dossier was seen being processed."""
        self.instance = dossier.seen(self.instance, event, verdict)

    def _others(self, event: Event) -> None:
        if event.type == "dossier.apology_sent":
            self.instance = dossier.apologised(self.instance, event)
            self.result.alerts.append(Alert("apology_missing", self.instance.dossier.code, "", raised=False))
        if event.type == "document.sent" and not self.instance.parent:
            self._find_parent(event)

    # The graph

    def _graph(self) -> Graph:
        now = self.instance
        return Graph(
            self.definition, list(now.tokens), list(now.passed), dict(now.arrived), dict(now.forks),
            dict(now.variables), now.end_state, self.now,
        )  # fmt: skip

    def _settle(self, graph: Graph) -> None:
        """Follow what needs no event, and do what the edges taken ask for beside moving."""
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
        for edge in graph.told:
            if edge.tell_children:
                self.result.emissions += [signals.recall(self.instance, child, self.now) for child in self._living()]
            if edge.compensate:
                self._compensate()
        graph.told.clear()

    def _compensate(self) -> None:
        """What was done is undone where the definition says so, the last thing first; money is given back."""
        self.result.emissions += signals.compensations(self.definition, self.instance, self.now)
        self._pay(finance.withdrawn(self.instance.finance))

    def _correct(self, graph: Graph, status: int) -> None:
        if (target := self.definition.corrections.get(status)) is not None:
            graph.jump(target)

    def _scope(self) -> Mapping[str, Mapping[str, Any]]:
        now = self.instance
        children = [child.ended for child in now.children]
        return {
            "dossier": {"status": now.status, "code": now.dossier.code, "accepted": bool(now.dossier.accepted_at)},
            "finance": finance.scope_of(now.finance),
            "children": {
                "total": len(children),
                "open": children.count(""),
                "recalled": children.count("recalled"),
                "kept": sum(1 for ended in children if ended and ended != "recalled"),
            },
        }

    # Other instances

    def _child(self, event: Event) -> tuple[Verdict, str]:
        key, ended = str(event.facts["related"]), str(event.facts["name"]) if event.type == CHILD_ENDED else ""
        others = tuple(child for child in self.instance.children if child.key != key)
        known = next((child for child in self.instance.children if child.key == key), None)
        if known == Child(key, ended) or (known is not None and not ended):
            return Verdict.NOTED, ""
        self.instance = replace(self.instance, children=(*others, Child(key, ended)))
        self._settle(self._graph())
        return Verdict.APPLIED, ""

    def _living(self) -> list[Child]:
        return [child for child in self.instance.children if not child.ended]

    def _find_parent(self, event: Event) -> None:
        """A document that answers or forwards another: that one's instance learns of it."""
        named = [each for each in event.facts.get("response_for", ()) if each != event.facts.get("document")]
        if named:
            parent = signals.key_of_document(named[0])
            self.instance = replace(self.instance, parent=parent)
            self.result.emissions.append(signals.to_parent(self.instance, CHILD_OPENED, "opened", self.now))

    def _tell_parent(self, instance: Instance) -> None:
        if instance.parent:
            self.result.emissions.append(signals.to_parent(instance, CHILD_ENDED, instance.end_state, self.now))

    # Time

    def _timer(self, name: str) -> tuple[Verdict, str]:
        due = timers(self.instance, self.definition, self.clockwork).get(name)
        if due is None or due > self.now:
            return Verdict.NOTED, "stale_timer"
        kind, _, rest = name.partition(":")
        match kind:
            case "node":
                self._time_out(rest)
            case "early":
                self._give_up(rest)
            case "overdue":
                self.instance = replace(self.instance, due=replace(self.instance.due, detected_at=self.now))
                self.result.emissions.append(signals.overdue(self.instance, self.now))
            case _:
                self.instance = replace(self.instance, due=replace(self.instance.due, alerted_at=self.now))
                since = f"overdue since {dues.day_of(self.instance.due.detected_at)}"
                self.result.alerts.append(Alert("apology_missing", self.instance.dossier.code, since))
        self._clocks(self.now)
        return Verdict.APPLIED, name

    def _time_out(self, token_id: str) -> None:
        graph = self._graph()
        token = next(token for token in graph.tokens if token.id == token_id)
        timeout = self.definition.nodes[token.node].timeout
        assert timeout is not None  # or there was no timer of this name
        if timeout.alert:
            subject = f"{self.instance.dossier.code} {token_id}".strip()
            detail = f"{self.definition.nodes[token.node].title.vi}: {timeout.after}"
            self.result.alerts.append(Alert(timeout.alert, subject, detail))
        graph.time_out(token, timeout.to)
        self._settle(graph)

    def _give_up(self, named: str) -> None:
        """An early event whose window is over: refused, unless it has become legal."""
        found = next(early for early in self.instance.early if f"{early.event.source}/{early.event.id}" == named)
        rest = tuple(early for early in self.instance.early if early is not found)
        self.instance = replace(self.instance, early=rest)
        self._log(found.event, Verdict.ILLEGAL, "window_over")
        self.result.refused.append(Refused(found.event, found.reason))

    def _again(self) -> None:
        """Early events that have become possible, oldest first, until none is left."""
        progress = True
        while progress:
            progress = False
            for early in sorted(self.instance.early, key=lambda each: (each.event.occurred_at, each.taken_at)):
                held = self.instance
                rest = tuple(each for each in held.early if each != early)
                self.instance = replace(held, early=rest)
                verdict, reason = self._judge(early.event)
                if verdict is Verdict.EARLY:
                    self.instance = held
                    continue
                self._log(early.event, verdict, reason)
                if verdict is Verdict.ILLEGAL:
                    self.result.refused.append(Refused(early.event, reason))
                progress = True
                break

    def _clocks(self, at: int) -> None:
        if self.definition.subject == "dossier":
            due = dues.clocks(self.instance, self.definition, self.clockwork, at)
            self.instance = replace(self.instance, due=due)

    def _log(self, event: Event, verdict: Verdict, reason: str) -> None:
        flags = tuple(flag for flag in (reason, *dossier.warnings(self.instance, event, verdict)) if flag)
        number = self.instance.events + len(self.result.log)
        self.result.log.append(LogLine(number, event, self.now, verdict, flags))


def _variables(definition: Definition) -> dict[str, Any]:
    return {name: list(value) if isinstance(value, tuple) else value for name, value in definition.variables.items()}
