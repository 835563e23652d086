"""Outage against poison: the truth table of one step, and what holds of every history of calls."""

from __future__ import annotations

import hypothesis.strategies as st
import pytest
from hypothesis import given

from router.delivery.health import (
    FIRST_PAUSE,
    LANES_TO_JUDGE,
    LONG_REST,
    LONGEST_PAUSE,
    REMEMBERED,
    SECOND,
    SILENCE,
    SILENT_FOR,
    WORKING,
    Condition,
    Evidence,
    Health,
    Signal,
    pause,
    step,
)
from router.sdk.outcomes import Outcome

NOW = 1_000 * SECOND
DOWN = Condition(NOW - 60 * SECOND, "http 503", 2, NOW - SECOND)
LONG_AGO = NOW - SILENT_FOR


def evidence(signal: Signal, *, lanes: int = 1, since: int = LONG_AGO, probe: bool = False) -> Evidence:
    return Evidence(NOW, signal, lanes, since, probe, "http 503", 0.5)


@pytest.mark.parametrize(
    ("before", "seen", "after"),
    [
        # one or two lanes may be poison, three are an outage, but not within the first moment
        (WORKING, evidence(Signal.FAILS, lanes=1), WORKING),
        (WORKING, evidence(Signal.FAILS, lanes=LANES_TO_JUDGE - 1), WORKING),
        (WORKING, evidence(Signal.FAILS, lanes=LANES_TO_JUDGE, since=NOW - SILENT_FOR + 1), WORKING),
        (
            WORKING,
            evidence(Signal.FAILS, lanes=LANES_TO_JUDGE),
            Condition(NOW, "http 503", 0, NOW + pause(0, 0.5)),
        ),
        # what our own side could not prepare says nothing, in either condition
        (WORKING, evidence(Signal.NOTHING, lanes=9), WORKING),
        (DOWN, evidence(Signal.NOTHING), DOWN),
        # a probe that tells nothing puts the next one off and does not count
        (DOWN, evidence(Signal.NOTHING, probe=True), DOWN._replace(probe_at=NOW + pause(2, 0.5))),
        # any answer opens it, a probe's or a late one's
        (DOWN, evidence(Signal.WORKS), WORKING),
        (DOWN, evidence(Signal.WORKS, probe=True), WORKING),
        (WORKING, evidence(Signal.WORKS), WORKING),
        # only a probe's failure puts the next probe off; what was under way when it went down tells nothing new
        (DOWN, evidence(Signal.FAILS, lanes=9), DOWN),
        (DOWN, evidence(Signal.FAILS, probe=True), DOWN._replace(probes=3, probe_at=NOW + pause(3, 0.5))),
    ],
)
def test_one_step(before: Condition, seen: Evidence, after: Condition) -> None:
    assert step(before, seen) == after


@pytest.mark.parametrize("outcome", Outcome)
def test_which_outcomes_of_different_dossiers_are_an_outage(outcome: Outcome) -> None:
    """A partner that asks to wait, is closed, or says what nobody can classify, answers; a restart knows of nothing."""
    calls = [(key, outcome, SILENT_FOR) for key in KEYS]
    health, now = played(calls)
    assert health.condition.down is (outcome in (Outcome.TRANSIENT, Outcome.UNCERTAIN))
    opens = played([(key, Outcome.TRANSIENT, SILENT_FOR) for key in KEYS])[0]
    opens.saw(KEYS[0], now, outcome, reason="x", probe=True, jitter=0.5)
    answers = (Outcome.DELIVERED, Outcome.DUPLICATE, Outcome.REJECTED)
    assert opens.condition.down is (outcome not in answers)
    assert not Health().condition.down


@given(st.integers(0, 100), st.floats(0, 1, exclude_max=True))
def test_pauses_grow_to_a_limit(probes: int, jitter: float) -> None:
    assert FIRST_PAUSE * 3 // 4 <= pause(probes, jitter) <= LONGEST_PAUSE
    assert pause(probes, jitter) <= pause(probes + 1, jitter)


KEYS = [bytes([n]) * 16 for n in range(5)]
CALLS = st.lists(
    st.tuples(
        st.sampled_from(KEYS),
        st.sampled_from([Outcome.DELIVERED, Outcome.REJECTED, Outcome.TRANSIENT, Outcome.UNCERTAIN, Outcome.INVALID]),
        st.integers(0, 5 * SECOND),
    ),
    max_size=60,
)


def played(calls: list[tuple[bytes, Outcome, int]]) -> tuple[Health, int]:
    health, now = Health(), NOW
    for key, outcome, later in calls:
        now += later
        probe = health.condition.down
        health.saw(key, now, outcome, reason="x", probe=probe, jitter=0.5)
    return health, now


@given(CALLS)
def test_down_means_that_three_lanes_failed_since_the_last_answer(calls: list[tuple[bytes, Outcome, int]]) -> None:
    health, _ = played(calls)
    answers = [n for n, call in enumerate(calls) if call[1] in (Outcome.DELIVERED, Outcome.REJECTED)]
    behind = calls[answers[-1] + 1 :] if answers else calls
    failed = {key for key, outcome, _ in behind if outcome in (Outcome.TRANSIENT, Outcome.UNCERTAIN)}
    if health.condition.down:
        assert len(failed) >= LANES_TO_JUDGE
    if calls and calls[-1][1] is Outcome.DELIVERED:
        assert not health.condition.down


@given(CALLS)
def test_one_lane_alone_never_brings_a_recipient_down(calls: list[tuple[bytes, Outcome, int]]) -> None:
    health, _ = played([(KEYS[0], outcome, later) for _, outcome, later in calls])
    assert not health.condition.down


@given(CALLS)
def test_at_any_moment_calls_may_start_or_the_one_probe_or_a_time_is_named(
    calls: list[tuple[bytes, Outcome, int]],
) -> None:
    health, now = played(calls)
    if health.may_call(now) or health.may_probe(now):
        assert not (health.may_call(now) and health.may_probe(now))
    else:
        later = health.next_change()
        assert later is not None
        assert health.may_call(later) or health.may_probe(later)


def down() -> Health:
    return played([(key, Outcome.TRANSIENT, 2 * SECOND) for key in KEYS[:3]])[0]


def test_only_one_probe_is_out_at_a_time() -> None:
    health = down()
    then = health.condition.probe_at
    assert not health.may_probe(then - 1)
    assert health.may_probe(then)
    health.probing = True
    assert not health.may_probe(then)


def test_a_partner_that_says_it_does_not_answer_puts_the_next_probe_off() -> None:
    health = down()
    first = health.condition.probe_at
    health.probed(first, answers=True, reason="", jitter=0.5)
    assert health.condition.probe_at == first
    health.probed(first, answers=False, reason="no answer", jitter=0.5)
    assert health.condition.probe_at == first + pause(1, 0.5)


def test_a_probe_of_which_nothing_was_seen_puts_the_next_one_off() -> None:
    """Its head was left to a person, or its body could not be read: nobody was asked."""
    health = down()
    then = health.condition.probe_at
    health.probing = True
    health.probe_over(then, 0.5)
    assert health.condition == (health.condition.since, "x", 0, then + pause(0, 0.5))
    assert not health.may_probe(then)
    assert health.may_probe(health.condition.probe_at)
    before = health.condition
    health.probe_over(then + 1, 0.5)
    assert health.condition == before, "what the probe brought has put the next one off already"


def test_an_operators_hold_is_stronger_than_any_time() -> None:
    health = down()
    health.status = "held"
    assert not health.may_probe(health.condition.probe_at)
    assert health.next_change() is None


def test_a_partner_that_asks_everybody_to_wait_is_not_called_before() -> None:
    health = Health()
    health.pause(NOW + 30 * SECOND, "retry_after")
    health.pause(NOW + 10 * SECOND, "retry_after")
    assert not health.may_call(NOW + 30 * SECOND - 1)
    assert health.may_call(NOW + 30 * SECOND)


def test_others_pass_only_if_another_lane_succeeded_since() -> None:
    health = Health()
    health.saw(KEYS[0], NOW, Outcome.DELIVERED, reason="", probe=False, jitter=0)
    assert not health.passing(KEYS[0], NOW - 1)
    assert health.passing(KEYS[1], NOW - 1)
    assert not health.passing(KEYS[1], NOW)


def opened(health: Health, key: bytes, now: int, outcome: Outcome = Outcome.DELIVERED) -> int:
    health.saw(key, now, outcome, reason="x", probe=False, jitter=0.5)
    return health.open_since


def test_a_recipient_is_at_work_since_its_last_outage_hold_or_pause() -> None:
    """From then on ages count: what nobody could deliver does not grow old."""
    health = Health()
    assert opened(health, KEYS[0], NOW) == NOW, "a start knows nothing of what was before"
    assert opened(health, KEYS[1], NOW + 1) == NOW
    health.heed("held", NOW + 2)
    health.heed("open", NOW + 3)
    assert health.open_since == NOW + 3
    health.heed("open", NOW + 4)
    assert health.open_since == NOW + 3
    health.pause(NOW + 9, "retry_after")
    assert health.open_since == NOW + 9
    assert opened(health, KEYS[0], NOW + LONG_REST + 20) == NOW + LONG_REST + 20, (
        "it was closed for longer than a weekend"
    )


def test_the_end_of_an_outage_begins_a_new_count() -> None:
    health = down()
    then = NOW + 6 * 86_400 * SECOND
    for late in range(1, 4):
        health.saw(KEYS[0], then - late, Outcome.TRANSIENT, reason="x", probe=True, jitter=0.5)
    assert opened(health, KEYS[0], then) == then


def test_a_long_silence_of_too_few_dossiers_to_tell_was_an_outage_too() -> None:
    health = Health()
    opened(health, KEYS[0], NOW)
    for hour in range(1, 10):
        assert opened(health, KEYS[1], NOW + hour * 600 * SECOND, Outcome.UNCLASSIFIED) == NOW
    then = NOW + 10 * 600 * SECOND
    assert opened(health, KEYS[0], then) == then


def test_however_many_dossiers_fail_at_once_an_outage_is_told_from_its_beginning() -> None:
    """More of them than are remembered, within the time that an outage takes to be told."""
    health, many = Health(), 5 * REMEMBERED
    for n in range(many):
        now = NOW + 2 * SILENT_FOR * n // many
        health.saw(n.to_bytes(16), now, Outcome.TRANSIENT, reason="connect", probe=False, jitter=0.5)
        assert health.condition.down is (now - NOW >= SILENT_FOR)


def test_one_dossier_that_fails_among_others_that_pass_grows_old() -> None:
    health = Health()
    for hour in range(100):
        opened(health, KEYS[1], NOW + hour * SILENCE // 2, Outcome.TRANSIENT)
        assert opened(health, KEYS[0], NOW + hour * SILENCE // 2) == NOW
