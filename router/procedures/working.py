"""The working state of one step: the instance as far as it has come, and what the step gives beside it."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from router.procedures import dossier, dues
from router.procedures.definition import Definition
from router.procedures.dues import Clockwork
from router.procedures.effects import Alert, Emit, Refused, Step
from router.procedures.instance import Due, Event, Instance, LogLine
from router.procedures.status import TERMINAL
from router.procedures.verdict import Verdict


@dataclass(slots=True)
class Working:
    """``instance`` goes on with the step, ``result.instance`` is the one before it until the step is finished. ``now``
    is business time (µs UTC). ``flags`` are of the event at hand, for its line in the log.
    """

    definition: Definition
    instance: Instance
    clockwork: Clockwork
    now: int
    result: Step = field(init=False)
    flags: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.result = Step(self.instance)

    def emit(self, *emissions: Emit) -> None:
        """Send these, after what is sent already."""
        self.result.emissions += emissions

    def alert(self, name: str, subject: str, detail: str, *, raised: bool = True) -> None:
        """Raise an alert, or clear it."""
        self.result.alerts.append(Alert(name, subject, detail, raised))

    def refuse(self, event: Event, why: str) -> None:
        """Leave an event to a person, as a dead letter."""
        self.result.refused.append(Refused(event, why))

    def log(self, event: Event, verdict: Verdict, reason: str) -> None:
        """The event's line, with the flags it has gathered."""
        found = (reason, *self.flags, *dossier.warnings(self.instance, event, verdict))
        flags = tuple(flag for flag in found if flag)
        self.flags.clear()
        number = self.instance.events + len(self.result.log)
        self.result.log.append(LogLine(number, event, self.now, verdict, flags))

    def clocks(self, at: int) -> None:
        """Let due dates follow where the instance stands since ``at``."""
        if self.definition.subject == "dossier":
            if self.instance.status not in TERMINAL and dues.is_made_again(self.instance, self.definition):
                here, before = self.instance.dossier, self.instance.due
                known, given = dossier.made_again(here, before, self.clockwork, at)
                self.instance = replace(self.instance, dossier=known, due=given)
            due = dues.clocks(self.instance, self.definition, self.clockwork, at)
            counted_by = due.calendar or (self.clockwork.calendar.version if due.whole or due.agency else "")
            self.due(replace(due, calendar=counted_by))

    def due(self, due: Due) -> None:
        """Put due dates and clocks in their place."""
        self.instance = replace(self.instance, due=due)
