"""Who owns what: everybody comes to the same answer, and little moves when somebody comes or goes."""

from __future__ import annotations

import hypothesis.strategies as st
from hypothesis import given

from router.delivery.sharing import Watch, preferred
from router.ledger.leases import ProcessRow

PROCESSES = st.sets(st.text("abcdef0123456789", min_size=4, max_size=8), min_size=1, max_size=6)
NAMES = [f"shard:r{n}/{p}" for n in range(6) for p in range(6)]


def row(beat: int) -> ProcessRow:
    return ProcessRow(beat, frozenset({"delivery"}))


@given(PROCESSES, st.sampled_from(NAMES), st.randoms(use_true_random=False))
def test_the_order_in_which_processes_are_seen_changes_nothing(processes, name, chance):
    listed = sorted(processes)
    chance.shuffle(listed)
    assert preferred(name, listed) == preferred(name, sorted(processes))


@given(PROCESSES)
def test_when_one_goes_only_its_own_share_moves(processes):
    before = {name: preferred(name, processes) for name in NAMES}
    for gone in processes if len(processes) > 1 else ():
        left = processes - {gone}
        for name, owner in before.items():
            assert owner == gone or preferred(name, left) == owner


def test_a_share_is_fair_enough():
    shares = [preferred(name, ["a", "b"]) for name in NAMES]
    assert 9 <= shares.count("a") <= 27


def test_a_process_is_dead_when_its_beat_stands_still_or_it_has_none():
    watch = Watch(patience=22.5)
    watch.observe({"p1": row(1), "p2": row(7)}, 0.0)
    watch.observe({"p1": row(1), "p2": row(8)}, 20.0)
    assert not watch.is_dead("p1", 22.5)
    assert watch.is_dead("p1", 22.6)
    assert not watch.is_dead("p2", 42.5)
    assert watch.is_dead("p3", 0.0)
    watch.observe({"p2": row(8)}, 21.0)
    assert watch.is_dead("p1", 21.0)
