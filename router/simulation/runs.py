"""The checker of procedures: each instance against a fault-free replay of its deliveries through the pure engine."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple
from uuid import UUID

from router.codec import Codec
from router.events import CE_PROCEDURE, derived_id, text_header
from router.ledger.local import LocalWork
from router.ledger.rows import Shard
from router.procedures.definition import Definition, Kind
from router.procedures.dues import Clockwork, due_at
from router.procedures.effects import Step
from router.procedures.emissions import SOURCE as PROCEDURES
from router.procedures.engine import step
from router.procedures.instance import Event, Instance
from router.procedures.library import Library
from router.procedures.obligation import balance
from router.procedures.recount import CALENDAR
from router.procedures.signals import TIMER_DUE
from router.procedures.stimulus import event_of, pinned
from router.procedures.timetable import timers
from router.simulation.history import Violation


class Line(NamedTuple):
    """A line of an instance's log."""

    source: str
    event: str
    applied_at: int
    verdict: str


@dataclass(slots=True)
class Run:
    """One instance as the ledger holds it in the end: what was delivered to it, in order, and what it became.

    ``timers`` by name with their due time; ``stored`` is None if there is no instance at all.
    """

    key: bytes
    shard: Shard
    works: list[LocalWork] = field(default_factory=list)
    lines: list[Line] = field(default_factory=list)
    timers: dict[str, int] = field(default_factory=dict)
    stored: Instance | None = None


class Expected(NamedTuple):
    """Where every event that the engine sent must be found: by recipient, the ids."""

    routed: frozenset[str]
    to_instances: frozenset[str]
    refused: frozenset[str]


class Judgement(NamedTuple):
    """What the replays of all instances say."""

    violations: list[Violation]
    expected: Expected
    verdicts: Counter[str]


class Judge:
    """Replays. ``clockwork`` is the one that all due dates must have been counted by in the end."""

    def __init__(self, library: Library, clockwork: Clockwork, codec: Codec) -> None:
        self._library, self._clockwork, self._codec = library, clockwork, codec

    def judge(self, runs: Iterable[Run]) -> Judgement:
        """All instances. Their order does not matter."""
        violations: list[Violation] = []
        verdicts: Counter[str] = Counter()
        routed: list[str] = []
        to_instances: list[str] = []
        refused: list[str] = []
        for run in runs:
            replayed = _Replay(self._library, self._clockwork, self._codec, run)
            violations += replayed.checked()
            verdicts.update(line.verdict for line in run.lines)
            verdicts["timer"] += replayed.fired.total()
            routed += replayed.routed
            to_instances += replayed.to_instances
            refused += replayed.refused
        return Judgement(violations, Expected(frozenset(routed), frozenset(to_instances), frozenset(refused)), verdicts)


class _Replay:
    """One instance from its first delivery on."""

    def __init__(self, library: Library, clockwork: Clockwork, codec: Codec, run: Run) -> None:
        self._library, self._clockwork, self._codec, self.run = library, clockwork, codec, run
        self.instance: Instance | None = None
        self.definition: Definition | None = None
        self.routed: list[str] = []
        self.to_instances: list[str] = []
        self.refused: list[str] = []
        self.refunded = 0
        self.armed: Counter[str] = Counter()
        self.fired: Counter[str] = Counter()
        self.wanted: Mapping[str, int] = {}

    def checked(self) -> list[Violation]:
        """Everything that is wrong with this run."""
        found = [*self._log()]
        if found:
            return found  # what was applied is not what was delivered: no replay can agree
        stimuli = {(line.source, line.event): line.applied_at for line in reversed(self.run.lines)}
        for work in self.run.works:
            event = event_of(work, self._codec.decode)
            self._step(work, event, stimuli[event.source, event.id])
        return [*self._timers_fired(), *self._state(), *self._way_on(), *self._money()]

    def _log(self) -> Iterable[Violation]:
        """Each delivery was applied once, in the order of the lane; an early event has a second line."""
        lines: dict[tuple[str, str], list[str]] = {}
        for line in self.run.lines:
            lines.setdefault((line.source, line.event), []).append(line.verdict)
        delivered = [(work.delivery.source, work.delivery.event_id) for work in self.run.works]
        for name in delivered:
            if name not in lines:
                yield self._violation("lost", name[1], "delivered, and the instance never saw it")
        for name, verdicts in lines.items():
            if name not in delivered:
                yield self._violation("ghost", name[1], "applied, and never delivered")
            elif len(verdicts) > 1 and (verdicts[0] != "early" or len(verdicts) > 2):
                yield self._violation("doubled", name[1], f"applied {len(verdicts)} times: {', '.join(verdicts)}")
        if [name for name in lines if name in set(delivered)] != [name for name in delivered if name in lines]:
            yield self._violation("reordered", "", "applied in another order than that of its lane")

    def _step(self, work: LocalWork, event: Event, now: int) -> None:
        run, key = self.run, str(UUID(bytes=self.run.key))
        procedure = text_header(work.body.headers, CE_PROCEDURE)
        self.definition, before = pinned(self._library, event, self.instance, procedure, key, now)
        made = step(self.definition, before, event, self._clockwork, now)
        if event.type == TIMER_DUE:
            self.fired[str(event.facts["name"])] += 1
        self.armed.update(name for name, due in made.timers.items() if self.wanted.get(name) != due)
        self.instance, self.wanted = made.instance, made.timers
        self._sent(work, made, run.shard.partition)

    def _sent(self, work: LocalWork, made: Step, partition: int) -> None:
        """The ids of what this step sent. The delivery's version was raised once when its outcome was stored."""
        version = work.delivery.version - 1
        for number, emit in enumerate(made.emissions):
            own_id = derived_id(PROCEDURES, partition, work.delivery.seq, version, number)
            (self.to_instances if emit.key else self.routed).append(own_id)
            if emit.type == "payment.refund_requested":
                self.refunded += emit.record["amount"]
        self.refused += [derived_id("illegal", each.event.source, each.event.id) for each in made.refused]

    def _timers_fired(self) -> Iterable[Violation]:
        for name, count in self.fired.items():
            if count > self.armed[name]:
                yield self._violation("timer twice", name, f"set {self.armed[name]} times, and fired {count} times")

    def _state(self) -> Iterable[Violation]:
        """What is stored is what the replay comes to; the timers that stand are those it wants."""
        stored, now = self.run.stored, self.instance
        if stored is None or now is None:
            if self.run.works:
                yield self._violation("lost", "", "there is no instance")
            return
        if (a := _compared(stored)) != (b := _compared(now)):
            names = [name for name in a if a[name] != b[name]]
            yield self._violation("diverged", "", f"the replay comes to another {', '.join(names)}")
        assert self.definition is not None
        wanted = timers(stored, self.definition, self._clockwork)
        if wanted != self.run.timers:
            stands = self.run.timers
            odd = [
                f"{name} ({stands.get(name)} instead of {wanted.get(name)})"
                for name in sorted({*wanted, *stands})
                if wanted.get(name) != stands.get(name)
            ]
            yield self._violation("timer lost", "", f"not as the instance wants them: {', '.join(odd)}")
        dated = self.definition.subject == "dossier" and not _judged(stored) and stored.due.whole
        if dated and stored.due.calendar != self._clockwork.calendar.version:
            yield self._violation("stale calendar", "", "not counted again by the calendar of today")

    def _way_on(self) -> Iterable[Violation]:
        """An instance that has not ended waits for something that has a name."""
        if self.instance is None or self.definition is None or self.instance.end_state:
            return
        if not self.instance.tokens:
            yield self._violation("stuck", "", "neither ended nor anywhere")
        for token in self.instance.tokens:
            node = self.definition.nodes[token.node]
            waits = node.edges or node.kind is Kind.JOIN or f"node:{token.id}" in self.run.timers
            if not waits:
                yield self._violation("stuck", token.id, "waits for nothing")

    def _money(self) -> Iterable[Violation]:
        if self.instance is None:
            return
        held = balance(self.instance.finance)
        if held.received != held.allocated + held.refunded + held.suspended + held.carried + held.fees or held.odd:
            yield self._violation("money", "", f"{held}")
        if self.refunded != held.refunded:
            yield self._violation("money", "", f"{held.refunded} to be refunded, {self.refunded} asked for")

    def _violation(self, rule: str, event: str, text: str) -> Violation:
        return Violation(rule, PROCEDURES, event or str(UUID(bytes=self.run.key)), text)


def _judged(instance: Instance) -> bool:
    """Whether a dossier was judged by its due date: it is not counted again."""
    return bool(instance.end_state or instance.dossier.finished_at)


def _compared(instance: Instance) -> dict[str, Any]:
    """An instance without what a recalculation in between rightly changes: how often due dates moved, the agency's
    own ones, the date an apology was for, and the version of its row.
    """
    due = replace(instance.due, whole=(), agency=(), apologised=0, calendar="")
    return {
        "version": 0,
        "instance": replace(instance, version=0, due=due),
        "due date": 0 if _judged(instance) else due_at(instance.due.whole),
        "agency's tasks": [(m.at, m.why, m.since) for m in instance.due.agency if not m.why.startswith(CALENDAR)],
    }


def misplaced(expected: Iterable[str], found: Sequence[str], recipient: str) -> Iterable[Violation]:
    """Events that the engine sent, against those that a local recipient has: each once, and no others."""
    wanted, counted = set(expected), Counter(found)
    for each in sorted(wanted - counted.keys()):
        yield Violation("lost", recipient, each, "sent by a procedure, and never accepted")
    for each, count in sorted(counted.items()):
        if each not in wanted:
            yield Violation("ghost", recipient, each, "no procedure sent it")
        elif count > 1:
            yield Violation("doubled", recipient, each, f"accepted {count} times")
