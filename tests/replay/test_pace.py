"""What a running replay does next: canaries, pace, lanes, and when it stops."""

from __future__ import annotations

import dataclasses

import hypothesis.strategies as st
import pytest
from hypothesis import given

from router.ledger.replays import Item, ItemState, Replay, ReplayState
from router.ledger.rows import OrderResult
from router.replay.pace import OUTSTANDING, Look, Now, step

DONE = OrderResult(True, "dead → waiting")


def replay(canary=(), **wanted):
    return Replay(7, ReplayState.RUNNING, 2, "an", "vì", wanted, 0.0, canary, False, 10, 0)


def item(number, lane=None, state=ItemState.WAITING, **changes):
    values = {"safe": True, "order_id": number if state is ItemState.ORDERED else 0, **changes}
    key = bytes([number if lane is None else lane]) * 16
    return Item(number, 1, number, key, f"tax-h39/0/{number}", 3, "c1", state=state, **values)


def look(items, *, canary=(), deliveries=None, results=None, ordered=0, allowance=100, **wanted):
    return Look(replay(canary, **wanted), items, deliveries or {}, results or {}, ordered, allowance)


def numbers(made):
    return [each.number for each in made.release]


def test_the_canary_goes_alone_and_the_next_size_waits_for_its_end():
    waiting = [item(n) for n in range(1, 10)]
    assert numbers(step(look(waiting, canary=(1, 5)))) == [1]
    flying = [item(1, state=ItemState.ORDERED), *waiting[1:]]
    assert numbers(step(look(flying, canary=(1, 5), ordered=1))) == []
    done = {(1, 1): Now("delivered", 5, "")}
    made = step(look(flying, canary=(1, 5), ordered=1, results={1: DONE}, deliveries=done))
    assert [(s.item.number, s.state) for s in made.settled] == [(1, ItemState.DONE)]
    assert numbers(made) == [2, 3, 4, 5, 6]


def test_behind_the_canaries_the_pace_decides():
    waiting = [item(n) for n in range(7, 30)]
    assert numbers(step(look(waiting, canary=(1, 5), ordered=6, allowance=3))) == [7, 8, 9]
    assert numbers(step(look(waiting, canary=(1, 5), ordered=6, allowance=0))) == []


def test_the_pace_waits_for_the_last_canary_to_end():
    items = [item(6, state=ItemState.ORDERED), item(7)]
    assert numbers(step(look(items, canary=(1, 5), ordered=6))) == []


def test_of_a_lane_one_item_at_a_time_goes_out_in_its_order():
    items = [item(1, lane=1), item(2, lane=1), item(3, lane=2)]
    assert numbers(step(look(items))) == [1, 3]
    items = [item(1, lane=1, state=ItemState.ORDERED), item(2, lane=1), item(3, lane=2)]
    assert numbers(step(look(items))) == [3]


def test_it_stops_when_the_old_cause_comes_back_and_orders_nothing_more():
    items = [item(1, state=ItemState.ORDERED), item(2)]
    made = step(look(items, results={1: DONE}, deliveries={(1, 1): Now("dead", 6, "c1")}))
    assert made.end is ReplayState.STOPPED
    assert "c1" in made.note
    assert made.release == []
    assert [(s.state, s.result) for s in made.settled] == [(ItemState.FAILED, "c1")]


def test_another_cause_is_a_failed_item_and_the_replay_goes_on():
    items = [item(1, state=ItemState.ORDERED), item(2)]
    made = step(look(items, results={1: DONE}, deliveries={(1, 1): Now("dead", 6, "c2")}))
    assert made.end is None
    assert numbers(made) == [2]


def test_a_delivery_that_waits_for_its_next_try_is_still_on_its_way():
    items = [item(1, state=ItemState.ORDERED)]
    for state in ("waiting", "calling"):
        made = step(look(items, results={1: DONE}, deliveries={(1, 1): Now(state, 5, "c1")}))
        assert (made.settled, made.end) == ([], None)


def test_an_order_that_was_refused_says_why():
    items = [item(1, state=ItemState.ORDERED)]
    made = step(look(items, results={1: OrderResult(False, "it changed meanwhile")}))
    assert [(s.state, s.result) for s in made.settled] == [(ItemState.REFUSED, "it changed meanwhile")]
    assert made.end is ReplayState.FINISHED or made.release == []


def test_what_the_dry_run_warns_of_is_left_out_unless_asked_for():
    unsafe = item(1, safe=False, findings=({"safe": "no", "text": "it may double"},))
    made = step(look([unsafe, item(2)]))
    assert [(s.state, s.result) for s in made.settled] == [(ItemState.REFUSED, "left out: it may double")]
    assert numbers(made) == [2]
    assert numbers(step(look([unsafe, item(2)], include_unsafe=True))) == [1, 2]


def test_items_left_out_are_no_canary():
    unsafe = [item(n, safe=False) for n in range(1, 8)]
    made = step(look([*unsafe, *(item(n) for n in range(8, 20))], canary=(1, 5)))
    assert len(made.settled) == 7
    assert numbers(made) == [8]


@pytest.mark.parametrize("state", [ReplayState.PAUSED, ReplayState.STOPPED, ReplayState.CANCELLED])
def test_a_replay_that_does_not_run_notes_what_became_of_its_orders_and_nothing_else(state):
    items = [item(1, state=ItemState.ORDERED), item(2, state=ItemState.ORDERED), item(3, safe=False), item(4)]
    seen = look(
        items, results={1: DONE, 2: DONE}, deliveries={(1, 1): Now("delivered", 5, ""), (1, 2): Now("calling", 5, "")}
    )
    made = step(seen._replace(replay=dataclasses.replace(seen.replay, state=state)))
    assert [(s.item.number, s.state) for s in made.settled] == [(1, ItemState.DONE)]
    assert (made.release, made.end) == ([], None)


def test_it_is_finished_when_nothing_is_in_hand():
    assert step(look([])).end is ReplayState.FINISHED


@given(
    st.lists(st.tuples(st.integers(1, 5), st.sampled_from([ItemState.WAITING, ItemState.ORDERED])), max_size=60),
    st.lists(st.integers(1, 10), max_size=3),
    st.integers(0, 30),
    st.integers(0, 500),
)
def test_never_two_of_a_lane_never_more_than_bounds_allow_and_always_in_order(items, canary, ended, allowance):
    listed = [item(n, lane=lane, state=state) for n, (lane, state) in enumerate(items, 1)]
    flying = [each for each in listed if each.state is ItemState.ORDERED]
    made = step(look(listed, canary=canary, ordered=ended + len(flying), allowance=allowance))
    busy = {each.key for each in flying}
    assert len({each.key for each in made.release}) == len(made.release)
    assert not busy & {each.key for each in made.release}
    assert len(made.release) + len(flying) <= max(OUTSTANDING, len(flying))
    assert numbers(made) == sorted(numbers(made))
    for each in made.release:
        older = [o for o in listed if o.key == each.key and o.number < each.number and o.state is ItemState.WAITING]
        assert not older
    if ended + len(flying) >= sum(canary):
        assert len(made.release) <= allowance
