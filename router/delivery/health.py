"""Outage against poison: what this process concludes of a recipient from its own lanes. Pure.

One lane that fails may be poison; several different lanes that fail, with nobody succeeding in between, are an outage:
the recipient is *down*. Then nothing is called but one probe at a time, with growing pauses, and nothing is
dead-lettered, however long it lasts. The first success opens it again.
"""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final, NamedTuple

from router.sdk.outcomes import Outcome

SECOND: Final = 1_000_000
ACTIVE_FOR: Final = 300 * SECOND  # a lane counts as active this long after its last call
REMEMBERED: Final = 1_000  # lanes remembered per recipient
LANES_TO_JUDGE: Final = 3  # with fewer lanes at work nobody can tell poison from an outage
SILENT_FOR: Final = 2 * SECOND  # failures must have gone on this long without a success
FIRST_PAUSE: Final = 5 * SECOND
LONGEST_PAUSE: Final = 300 * SECOND
SILENCE: Final = 3_600 * SECOND  # failing this long without a success is an outage, however few lanes could tell
LONG_REST: Final = 3 * 86_400 * SECOND  # no call for longer than a weekend: it was closed, or nobody asked


class Signal(StrEnum):
    """What an outcome says about the recipient as a whole."""

    WORKS = "works"
    FAILS = "fails"
    NOTHING = "nothing"


#: A refusal is an answer: whoever refuses, works. What our own side could not prepare says nothing.
SIGNALS: Final = {
    Outcome.DELIVERED: Signal.WORKS,
    Outcome.DUPLICATE: Signal.WORKS,
    Outcome.REJECTED: Signal.WORKS,
    Outcome.TRANSIENT: Signal.FAILS,
    Outcome.UNCERTAIN: Signal.FAILS,
}


class Condition(NamedTuple):
    """Working (``since`` 0), or down ``since`` then for ``reason``; ``probes`` failed, the next one is at ``probe_at``.
    All times UTC µs.
    """

    since: int = 0
    reason: str = ""
    probes: int = 0
    probe_at: int = 0

    @property
    def down(self) -> bool:
        """Whether it is held."""
        return self.since > 0


class Evidence(NamedTuple):
    """What just came of a call, and what is remembered around it.

    ``lanes`` counts the different lanes that failed since the last success (this one included), ``failing_since`` is
    when the first of them did. ``probe``: this call was the probe of a recipient that is down.
    """

    now: int
    signal: Signal
    lanes: int
    failing_since: int
    probe: bool
    reason: str
    jitter: float


WORKING: Final = Condition()


def step(condition: Condition, evidence: Evidence) -> Condition:
    """What to think of the recipient after one more outcome."""
    if evidence.signal is Signal.WORKS:
        return WORKING
    if evidence.signal is Signal.NOTHING:
        if condition.down and evidence.probe:  # it told nothing, and the next one must not follow at once
            return condition._replace(probe_at=evidence.now + pause(condition.probes, evidence.jitter))
        return condition
    if condition.down:
        if not evidence.probe:
            return condition  # a call that was under way when it went down tells nothing new
        probes = condition.probes + 1
        return condition._replace(probes=probes, probe_at=evidence.now + pause(probes, evidence.jitter))
    if evidence.lanes < LANES_TO_JUDGE or evidence.now - evidence.failing_since < SILENT_FOR:
        return condition
    return Condition(evidence.now, evidence.reason, 0, evidence.now + pause(0, evidence.jitter))


def pause(probes: int, jitter: float) -> int:
    """µs before the next probe after ``probes`` failed ones: doubled each time, a quarter of it by jitter."""
    whole: int = min(LONGEST_PAUSE, FIRST_PAUSE * 2 ** min(probes, 20))
    return int(whole * (0.75 + jitter / 4))


@dataclass(slots=True)
class Health:
    """Recent calls of one recipient, and what follows. Bounded: the lanes called last."""

    status: str = "open"  # ``open``, ``held``, ``stopped``: as the ledger says
    condition: Condition = WORKING
    paused_until: int = 0  # the partner asked everybody to wait, or is in a maintenance it told of
    paused_why: str = ""
    probing: bool = False
    last_success: int = 0
    open_since: int = 0  # at work since then: its last outage, hold, pause or long closing was over
    _called: OrderedDict[bytes, int] = field(default_factory=OrderedDict)
    _succeeded: OrderedDict[bytes, int] = field(default_factory=OrderedDict)
    _failing: OrderedDict[bytes, int] = field(default_factory=OrderedDict)  # since the last success
    _failing_since: int = 0  # the first failure since then; its lane may be forgotten when very many fail

    def may_call(self, now: int) -> bool:
        """Whether calls may start, as far as partner and operators are concerned."""
        return self.status == "open" and not self.condition.down and now >= self.paused_until

    def may_probe(self, now: int) -> bool:
        """Whether the one probe of a recipient that is down may start."""
        open_to_probe = self.status == "open" and self.condition.down and now >= self.paused_until
        return open_to_probe and not self.probing and now >= self.condition.probe_at

    def next_change(self) -> int | None:
        """When (UTC µs) ``may_call`` or ``may_probe`` may turn by time alone; None if no time does it."""
        if self.status != "open" or self.probing:
            return None
        wait = max(self.paused_until, self.condition.probe_at if self.condition.down else 0)
        return wait or None

    def heed(self, status: str, now: int) -> None:
        """The status as the ledger says it."""
        if status == "open" and self.status != "open":
            self.open_since = now
        self.status = status

    def saw(self, key: bytes, now: int, outcome: Outcome, *, reason: str, probe: bool, jitter: float) -> None:
        """One attempt of a lane ended."""
        signal = SIGNALS.get(outcome, Signal.NOTHING)
        before = next(reversed(self._called.values()), 0)
        silent = before > self.last_success and now - max(self.last_success, self.open_since) > SILENCE
        if not before or now - before > LONG_REST or (silent and signal is Signal.WORKS):
            self.open_since = now
        _touch(self._called, key, now)
        if signal is Signal.WORKS:
            self.last_success = now
            _touch(self._succeeded, key, now)
            self._failing.clear()
            if self.condition is WORKING:
                return
        elif signal is Signal.FAILS and key not in self._failing:
            if not self._failing:
                self._failing_since = now
            _touch(self._failing, key, now)
        self._judge(Evidence(now, signal, len(self._failing), self._failing_since, probe, reason, jitter))

    def probed(self, now: int, *, answers: bool, reason: str, jitter: float) -> None:
        """The partner was asked whether it answers at all: *no* counts as a failed probe, *yes* is not yet proof."""
        if not answers:
            self._judge(Evidence(now, Signal.FAILS, len(self._failing), 0, True, reason, jitter))

    def probe_over(self, now: int, jitter: float) -> None:
        """The one probe has ended; if nothing was seen of it, the next one is put off all the same."""
        self.probing = False
        if self.condition.probe_at <= now:
            self._judge(Evidence(now, Signal.NOTHING, len(self._failing), 0, True, "", jitter))

    def pause(self, until: int, why: str) -> None:
        """Call nobody of this recipient before ``until`` (UTC µs): it said so itself."""
        if until > self.paused_until:
            self.paused_until, self.paused_why, self.open_since = until, why, until

    def passing(self, key: bytes, since: int) -> bool:
        """Whether another lane succeeded after ``since`` (UTC µs)."""
        for other, at in reversed(self._succeeded.items()):
            if at <= since:
                return False
            if other != key:
                return True
        return False

    def active_lanes(self, now: int, enough: int) -> int:
        """How many lanes were called lately; counting stops at ``enough``."""
        count = 0
        for at in reversed(self._called.values()):
            if now - at > ACTIVE_FOR or count >= enough:
                break
            count += 1
        return count

    def _judge(self, evidence: Evidence) -> None:
        before, self.condition = self.condition, step(self.condition, evidence)
        if before.down and not self.condition.down:
            self.open_since = evidence.now


def _touch(seen: OrderedDict[bytes, int], key: bytes, now: int) -> None:
    seen[key] = now
    seen.move_to_end(key)
    if len(seen) > REMEMBERED:
        seen.popitem(last=False)
