"""Lanes in memory against a naive model: nothing skipped, nothing twice, order kept, memory bounded."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import hypothesis.strategies as st
import pytest
from hypothesis import settings
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from router.delivery.lane import Refill, Walk
from router.delivery.lanes import Lanes
from router.ledger.rows import FINISHED, PARKED, Body, Delivery, Failure, State

KEYS = [bytes([n]) * 16 for n in range(5)]
URGENT = {KEYS[0], KEYS[1]}
CAPACITY, WINDOW, WIDE, SPARE = 2, 2, 4, 3
REST = 5  # until then heads of the last owner are kept back


def delivery(seq: int, key: bytes = KEYS[2], **changes: object) -> Delivery:
    return Delivery(
        shard=1, seq=seq, key=key, state=State.WAITING, version=1, urgent=key in URGENT, source="s", event_id=str(seq),
        event_type="dossier.accepted", subject="", offset=seq, accepted_at=0, body=Body(b"x", ()), **changes,  # type: ignore[arg-type]
    )  # fmt: skip


@dataclass
class LedgerModel:
    """The ledger as a list: what is committed, in seq order."""

    rows: list[Delivery] = field(default_factory=list)

    def unfinished(self) -> list[Delivery]:
        return [row for row in self.rows if row.state not in FINISHED]

    def walk(self, walk: Walk) -> list[Delivery]:
        found = [r for r in self.unfinished() if r.urgent == walk.urgent and r.seq > walk.after]
        return [replace(row) for row in found[: walk.limit]]

    def refill(self, refill: Refill) -> list[Delivery]:
        found = [r for r in self.unfinished() if r.key == refill.key and r.seq > refill.after]
        return [replace(row) for row in found[: refill.limit]]

    def head(self, key: bytes) -> Delivery | None:
        return next((row for row in self.unfinished() if row.key == key), None)


class LanesMachine(RuleBasedStateMachine):
    """Accepts, reads that answer late, calls, outcomes, orders and time, in any order."""

    @initialize(inherited=st.lists(st.sampled_from(KEYS), max_size=8))
    def take_over(self, inherited: list[bytes]) -> None:
        self.ledger = LedgerModel([delivery(seq, key) for seq, key in enumerate(inherited, 1)])
        self.lanes = Lanes(
            last_seq=len(inherited), rest_until=REST, window=WINDOW, wide=WIDE, spare=SPARE, capacity=CAPACITY, page=2,
            body_capacity=3,
        )  # fmt: skip
        self.now = 0
        self.inherited = len(inherited)
        self.hastened: set[bytes] = set()
        self.flying: dict[int, Delivery] = {}
        self.frozen: set[bytes] = set()
        self.reads: list[tuple[Walk | Refill, list[Delivery]]] = []
        self.untold: list[Delivery] = []

    @rule(keys=st.lists(st.sampled_from(KEYS), min_size=1, max_size=4))
    def commit(self, keys: list[bytes]) -> None:
        """An accept is durable; memory is told later."""
        first = len(self.ledger.rows) + 1
        new = [delivery(seq, key) for seq, key in enumerate(keys, first)]
        self.ledger.rows += [replace(row) for row in new]
        self.untold += new

    @rule()
    def tell(self) -> None:
        self.lanes.accepted(self.untold)
        self.untold = []

    @rule(key=st.sampled_from(KEYS))
    def accept(self, key: bytes) -> None:
        self.commit([key])
        self.tell()

    @rule()
    def ask(self) -> None:
        """Reads begin: they see the ledger as it is now, and answer later."""
        if walk := self.lanes.next_walk():
            self.reads.append((walk, self.ledger.walk(walk)))
        self.reads += [(refill, self.ledger.refill(refill)) for refill in self.lanes.next_refills(3)]

    @precondition(lambda self: self.reads)
    @rule(data=st.data(), lost=st.integers(0, 9))
    def answer(self, data: st.DataObject, lost: int) -> None:
        """One read under way answers; one in ten is lost."""
        self._answer(data.draw(st.integers(0, len(self.reads) - 1)), lost=lost == 0)

    @rule()
    def read(self) -> None:
        """Everything is read that is wanted."""
        self.ask()
        while self.reads:
            self._answer(0, lost=False)

    def _answer(self, index: int, *, lost: bool) -> None:
        asked, rows = self.reads.pop(index)
        if isinstance(asked, Walk):
            self.lanes.walk_failed(asked) if lost else self.lanes.walked(asked, rows)
        else:
            self.lanes.refill_failed(asked) if lost else self.lanes.refilled(asked, rows)

    @rule(urgent_only=st.booleans())
    def take(self, urgent_only: bool) -> None:
        head = self.lanes.take(self.now, urgent_only=urgent_only)
        if head is None:
            return
        assert head.due is None or head.due <= self.now or head.key in self.hastened
        assert not urgent_only or head.urgent
        self._given(head)
        self.hastened.discard(head.key)

    @rule()
    def probe(self) -> None:
        """A recipient that is down is asked with one head, whose due time does not matter."""
        head = self.lanes.probe(self.now)
        if head is not None:
            self._given(head)

    @rule()
    def hasten(self) -> None:
        """It works again: what waits for its next try may go now."""
        self.lanes.hasten(frozenset({"transient"}))
        self.hastened |= {row.key for row in self.ledger.rows if row.state is State.WAITING and row.due is not None}

    def _given(self, head: Delivery) -> None:
        assert head.seq > self.inherited or self.now >= REST, "a head that may be with the partner was given out"
        oldest = self.ledger.head(head.key)
        assert oldest is not None, "a finished delivery was given out"
        assert head.seq == oldest.seq, "a delivery was given out before an older one of its lane"
        assert head.version == oldest.version, "a row was given out as it was before an order"
        assert oldest.state not in PARKED, "a parked lane gave something out"
        assert head.seq not in self.flying, "given out twice"
        assert head.key not in {other.key for other in self.flying.values()}, "two of one lane in flight"
        assert head.key not in self.frozen
        self.flying[head.seq] = head

    @precondition(lambda self: self.flying)
    @rule(data=st.data(), state=st.sampled_from([State.DELIVERED, State.DELIVERED, State.WAITING, State.DEAD]))
    def settle(self, data: st.DataObject, state: State) -> None:
        seq = data.draw(st.sampled_from(sorted(self.flying)))
        head = self.flying.pop(seq)
        head.state, head.version = state, head.version + 1
        head.due = self.now + 3 if state is State.WAITING else None
        head.failure = Failure("transient", "http") if state is State.WAITING else None
        self.ledger.rows[seq - 1] = replace(head, body=Body(b"x", ()))
        self.lanes.settled(head)

    @precondition(lambda self: self.flying)
    @rule(data=st.data())
    def give_back(self, data: st.DataObject) -> None:
        seq = data.draw(st.sampled_from(sorted(self.flying)))
        head = self.flying.pop(seq)
        self.lanes.returned(head.key)
        self.hastened.add(head.key)  # it may go again at once, as it might when it was taken

    @rule(key=st.sampled_from(KEYS))
    def order_begins(self, key: bytes) -> None:
        """An operator's order on some row of the lane starts to be committed."""
        busy = key in {other.key for other in self.flying.values()}
        if key in self.frozen:
            return
        assert self.lanes.freeze(key, urgent=key in URGENT) is not busy
        if not busy:
            self.frozen.add(key)

    @precondition(lambda self: self.frozen)
    @rule(data=st.data(), state=st.sampled_from([State.WAITING, State.SKIPPED, State.DEAD]))
    def order_ends(self, data: st.DataObject, state: State) -> None:
        key = data.draw(st.sampled_from(sorted(self.frozen)))
        self.frozen.discard(key)
        told = len(self.ledger.rows) - len(self.untold)
        mine = [row for row in self.ledger.rows[:told] if row.key == key]
        if mine:
            row = data.draw(st.sampled_from(mine))
            row.state, row.version, row.due = state, row.version + 1, None
        self.lanes.reload(key, urgent=key in URGENT)

    @rule(step=st.integers(1, 10))
    def time_passes(self, step: int) -> None:
        self.now += step

    @invariant()
    def memory_is_bounded(self) -> None:
        if not hasattr(self, "lanes"):
            return
        counts = self.lanes.counts()
        classes = [lane.urgent for lane in self.lanes._lanes.values()]
        assert self.lanes._known == {urgent: classes.count(urgent) for urgent in (True, False)}
        assert counts.lanes <= CAPACITY + 1 + len(self.frozen) + len(self.flying) + len(KEYS)
        held = [len(lane.items) for lane in self.lanes._lanes.values()]
        assert max(held, default=0) <= WIDE
        beyond = sum(max(0, items - WINDOW) for items in held)
        assert beyond == self.lanes._beyond, "what is held beyond the windows is miscounted"
        assert beyond <= SPARE

    def teardown(self) -> None:
        """Left alone, everything that is not parked goes out, each delivery once, in order."""
        if not hasattr(self, "lanes"):
            return
        while self.reads:
            self._answer(0, lost=True)
        self.tell()
        for key in sorted(self.frozen):
            self.lanes.reload(key, urgent=key in URGENT)
        self.frozen.clear()
        for head in list(self.flying.values()):
            self._finish(head)
        for _ in range(4 * len(self.ledger.rows) + 60):
            self.now += 100
            if walk := self.lanes.next_walk():
                self.lanes.walked(walk, self.ledger.walk(walk))
            for refill in self.lanes.next_refills(3):
                self.lanes.refilled(refill, self.ledger.refill(refill))
            if head := self.lanes.take(self.now):
                oldest = self.ledger.head(head.key)
                assert oldest is not None
                assert oldest.seq == head.seq
                self._finish(head)
        for key in KEYS:
            left = self.ledger.head(key)
            assert left is None or left.state in PARKED, f"seq {left.seq} was never given out"

    def _finish(self, head: Delivery) -> None:
        self.flying.pop(head.seq, None)
        head.state, head.version, head.due = State.DELIVERED, head.version + 1, None
        self.ledger.rows[head.seq - 1] = replace(head)
        self.lanes.settled(head)


@pytest.mark.parametrize("told", [True, False])
def test_an_urgent_event_never_waits_behind_a_memory_full_of_ordinary_ones(told: bool) -> None:
    """A recipient that is closed for the night: its ordinary lanes fill the memory, and wait."""
    ordinary = [delivery(seq, bytes([seq + 10]) * 16) for seq in range(1, 9)]
    lanes = Lanes(last_seq=0, capacity=4, page=8)
    lanes.accepted(ordinary)
    assert lanes.saturated
    assert lanes.next_walk() is None
    urgent = delivery(9, KEYS[0])
    if told:
        lanes.accepted([urgent])
    else:  # found by the cursor, at another owner's
        lanes = Lanes(last_seq=9, capacity=4, page=4)
        for _ in range(2):
            walk = lanes.next_walk()
            assert walk is not None
            lanes.walked(walk, [urgent] if walk.urgent else ordinary[:4])
        assert lanes.saturated
    head = lanes.take(0, urgent_only=True)
    assert head is not None
    assert head.seq == 9


def test_urgent_lanes_are_bounded_too_and_go_on_when_there_is_room() -> None:
    urgent = [replace(delivery(seq, bytes([seq + 10]) * 16), urgent=True) for seq in range(1, 5)]
    lanes = Lanes(capacity=4, parked_capacity=4)
    lanes.accepted(urgent)
    assert (lanes.counts().lanes, lanes.saturated, lanes.next_walk()) == (1, True, None)
    head = lanes.take(0)
    assert head is not None
    lanes.settled(replace(head, state=State.DELIVERED))
    assert not lanes.saturated
    walk = lanes.next_walk()
    assert walk is not None
    assert (walk.urgent, walk.limit) == (True, 1)


def test_parked_lanes_leave_room_for_urgent_ones() -> None:
    lanes = Lanes(parked_capacity=4)
    lanes.accepted([replace(delivery(seq, bytes([seq + 10]) * 16), state=State.DEAD) for seq in range(1, 5)])
    assert lanes.saturated
    lanes.accepted([delivery(5), delivery(6, KEYS[0])])
    head = lanes.take(0)
    assert head is not None
    assert head.seq == 6


LanesMachine.TestCase.settings = settings(max_examples=400, stateful_step_count=50, deadline=None)
TestLanesMachine = LanesMachine.TestCase
