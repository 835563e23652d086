"""A dossier or document as tests tell it: events one after the other, with a working clock, and what became of them."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from functools import cache
from typing import Any

from router.procedures.calendar import load_calendar
from router.procedures.definition import Definition
from router.procedures.definitions_file import shipped_definitions
from router.procedures.dues import Clockwork, local, micros
from router.procedures.effects import Alert, Emit, Refused
from router.procedures.engine import opened, step
from router.procedures.instance import Event, Instance, LogLine, from_json, to_json
from router.procedures.signals import TIMER_DUE
from router.procedures.timetable import timers
from router.procedures.verdict import Verdict
from router.sdk.dates import VIETNAM

CLOCKWORK = Clockwork(load_calendar())
START = datetime(2025, 8, 4, 8, 0, tzinfo=VIETNAM)


@cache
def definition(named: str) -> Definition:
    """``land_use_change``: its first version; ``land_use_change/2``: that one."""
    procedure, _, version = named.partition("/")
    return next(e for e in shipped_definitions() if e.procedure == procedure and version in ("", str(e.version)))


class Story:
    """``status`` and ``event`` tell one more thing, a minute later; ``later`` lets time pass, with its timers."""

    def __init__(
        self, procedure: str | Definition, *, start: datetime = START, clockwork: Clockwork = CLOCKWORK
    ) -> None:
        self.definition = procedure if isinstance(procedure, Definition) else definition(procedure)
        self.clockwork = clockwork
        self.now = micros(start)
        self.instance: Instance = opened(self.definition, self.now, "0b6a8d3e-5d2a-5b7e-8c55-1f0a7c1d2e3f")
        self.log: list[LogLine] = []
        self.emitted: list[Emit] = []
        self.alerts: list[Alert] = []
        self.refused: list[Refused] = []

    def event(
        self, event_type: str, *, source: str = "one-stop-h39", at: datetime | None = None, **facts: Any
    ) -> Verdict:
        """An event, and the verdict on it."""
        if at is None:
            self.now += 60_000_000
        else:
            self.now = max(self.now, micros(at))
        occurred = self.now if at is None else micros(at)
        event = Event(event_type, source, f"e{len(self.log)}-{len(facts)}", occurred, self.now, facts)
        return self._step(event)

    def status(self, status: int, *, source: str = "one-stop-h39", at: datetime | None = None, **facts: Any) -> Verdict:
        """A snapshot with a status."""
        said = {"code": "H39.16-250804-0001", "procedure": "1.012793", "agency": "H39.16", "status": status, **facts}
        return self.event("dossier.status_changed", source=source, at=at, **said)

    def component(self, component: str, state: str, **facts: Any) -> Verdict:
        """A part of an interconnected procedure."""
        return self.event("dossier.component_changed", component=component, state=state, **facts)

    def request(self, generation: int) -> Verdict:
        """L5."""
        return self.event("tax.obligation_requested", number=f"PC-{generation}", generation=generation)

    def notice(self, number: str, generation: int, *amounts: int, state: str = "ACTIVE", item: str = "2801") -> Verdict:
        """L7."""
        lines = [{"item": item, "amount": amount, "due_date": None} for amount in amounts]
        return self.event(
            "tax.notice_issued",
            number=number,
            generation=generation,
            total=sum(amounts),
            lines=lines,
            notice_status=state,
        )

    def pays(
        self, amount: int, notice: str = "", *, phase: str = "EVIDENCE", reference: str = "", partner: str = ""
    ) -> Verdict:
        """L9 or L10; with ``partner`` over the payment platform."""
        kind = "payment.evidenced" if phase == "EVIDENCE" else "payment.confirmed"
        facts: dict[str, Any] = {"phase": phase, "amount": amount, "payment_status": "PAID", "paid_at": self.now}
        facts |= {"reference": reference or f"R{len(self.log)}"} | ({"notice": notice} if notice else {})
        facts |= {"partner": partner} if partner else {}
        return self.event(kind, source="portal", **facts)

    def later(self, **span: float) -> None:
        """Let time pass; every timer comes due in its turn."""
        end = micros(local(self.now) + timedelta(**span))
        while True:
            due = timers(self.instance, self.definition, self.clockwork)
            ready = sorted((at, name) for name, at in due.items() if at <= end)
            if not ready:
                break
            self.now = max(self.now, ready[0][0])
            name = ready[0][1]
            self._step(Event(TIMER_DUE, "procedures", f"t{len(self.log)}", self.now, self.now, {"name": name}))
        self.now = end

    @property
    def nodes(self) -> set[str]:
        """What is active."""
        return {token.id for token in self.instance.tokens}

    def emissions(self, event_type: str) -> list[Emit]:
        """What was sent of a type."""
        return [emit for emit in self.emitted if emit.type == event_type]

    def _step(self, event: Event) -> Verdict:
        result = step(self.definition, self.instance, event, self.clockwork, self.now)
        assert from_json(to_json(result.instance)) == result.instance
        self.instance = replace(result.instance, version=self.instance.version + 1)
        self.log += result.log
        self.emitted += result.emissions
        self.alerts += result.alerts
        self.refused += result.refused
        assert [line.number for line in self.log] == list(range(len(self.log)))
        return result.log[0].verdict
