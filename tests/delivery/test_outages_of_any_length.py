"""An outage of any length dead-letters nothing, neither while it lasts nor when its backlog goes out."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime

import hypothesis.strategies as st
from hypothesis import given, settings

from router.delivery.health import LANES_TO_JUDGE, Health
from router.delivery.outcome import SECOND, Facts, Work, after_call, asked
from router.ledger.rows import Delivery, State
from router.sdk import Closed, Idempotency, Operation, Receipt, Retry, Throttled, Transient, Uncertain
from router.sdk.outcomes import Failure, Outcome

START = 1_000_000 * SECOND
HOUR, DAY = 3_600 * SECOND, 86_400 * SECOND
RETRY = Retry(first_delay=60, longest_delay=3600, maximal_age=3 * 86_400.0)
OPERATION = Operation(name="take", events=("x",), idempotency=Idempotency.NATURAL_KEY)
TROUBLE = ("refused", "lost", "flooded", "closed")


@dataclass
class Partner:
    """``lanes`` dossiers, a new event in each every ``every`` µs; away in ``outage``; the first one is refused ``more``
    times once it is back. ``held`` by an operator; the router ``restarts`` at these times.
    """

    lanes: int
    every: int
    outage: tuple[int, int]
    trouble: str
    more: int
    held: tuple[int, int]
    restarts: list[int]
    health: Health = field(default_factory=Health)
    heads: list[Delivery] = field(default_factory=list)
    refused: dict[int, int] = field(default_factory=dict)
    now: int = START

    def run(self) -> list[State]:
        """What became of the heads that the outage met."""
        self.heads = [self.head(n) for n in range(self.lanes)]
        end = max(self.outage[1], self.held[1], *self.restarts) + 2 * DAY
        step = max(5 * SECOND, (end - START) // 400)
        while self.now < end:
            self.now += step
            if self.restarts and self.now >= self.restarts[0]:
                self.restarts.pop(0)
                self.health = Health()
            self.health.heed("held" if self.held[0] <= self.now < self.held[1] else "open", self.now)
            for n, head in enumerate(self.heads):
                if head.state is State.DELIVERED and self.now - head.accepted_at >= self.every:
                    self.heads[n] = self.head(n)
                if self.heads[n].state is State.WAITING:
                    self.call(n, self.heads[n])
        return [head.state for head in self.heads]

    def head(self, n: int) -> Delivery:
        return Delivery(1, 1, bytes([n]) * 16, State.WAITING, 1, False, "s", "e", "x", "", 0, self.now)

    def call(self, n: int, head: Delivery) -> None:
        probe = self.health.may_probe(self.now)
        if not probe and not (self.health.may_call(self.now) and (head.due or 0) <= self.now):
            return
        answer = self.answer(n)
        outcome = answer.outcome if isinstance(answer, Failure) else Outcome.DELIVERED
        if isinstance(answer, Failure) and (until := asked(answer, self.now)) is not None:
            self.health.pause(until, "x")
        self.health.saw(head.key, self.now, outcome, reason="x", probe=probe, jitter=0.5)
        passing = self.health.passing(head.key, head.last_at or head.accepted_at)
        active = self.health.active_lanes(self.now, LANES_TO_JUDGE)
        condition, since = self.health.condition, self.health.open_since
        facts = Facts(self.now, self.now, passing, active, 0.5, condition.down, since)
        following = after_call(Work("r", head, OPERATION, RETRY), answer, facts)
        head.state, head.due, head.spent, head.failure = (
            following.state, following.due, following.spent, following.failure,
        )  # fmt: skip
        head.attempts, head.first_at, head.last_at = head.attempts + 1, head.first_at or self.now, self.now

    def answer(self, n: int) -> Receipt | Failure:
        if not self.outage[0] <= self.now < self.outage[1]:
            if n == 0 and self.now >= self.outage[1] and self.refused.get(n, 0) < self.more:
                self.refused[n] = self.refused.get(n, 0) + 1
                return Transient("busy")
            return Receipt()
        if self.trouble == "flooded":
            return Throttled("retry_after", seconds=7200)
        if self.trouble == "closed":
            return Closed("night", until=datetime.fromtimestamp((self.now + HOUR) / 1e6, UTC))
        return Transient("connect") if self.trouble == "refused" else Uncertain("reset")


@settings(max_examples=100, deadline=None)
@given(
    lanes=st.integers(1, 5),
    every=st.integers(60, 86_400).map(lambda seconds: seconds * SECOND),
    begins=st.integers(0, 2 * DAY),
    lasts=st.integers(HOUR, 30 * DAY),
    trouble=st.sampled_from(TROUBLE),
    more=st.integers(0, 3),
    held=st.tuples(st.integers(0, 30 * DAY), st.integers(0, 10 * DAY)),
    restarts=st.lists(st.integers(0, 33 * DAY), max_size=3),
)
def test_an_outage_of_any_length_dead_letters_nothing(
    lanes: int,
    every: int,
    begins: int,
    lasts: int,
    trouble: str,
    more: int,
    held: tuple[int, int],
    restarts: list[int],
) -> None:
    partner = Partner(
        lanes,
        every,
        (START + begins, START + begins + lasts),
        trouble,
        more,
        (START + held[0], START + held[0] + held[1]),
        sorted(START + at for at in restarts) or [START],
    )
    assert State.DEAD not in partner.run()
