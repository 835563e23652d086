"""Shares of the service: rate per source, places in flight."""

from __future__ import annotations

from contextlib import ExitStack, suppress

import pytest

from router.errors import NotReceived, TooMany
from router.ingress.limits import Limits
from router.sdk.testing.clock import ManualClock


def ask(limits: Limits, source: str = "a") -> None:
    with limits.admit(source):
        pass


async def test_a_source_over_its_rate_is_told_when_to_come_back() -> None:
    clock = ManualClock()
    limits = Limits(clock, rate=2.0, in_flight=8)
    ask(limits)
    ask(limits)
    with pytest.raises(TooMany) as refused:
        ask(limits)
    assert refused.value.retry_after == pytest.approx(0.5)
    await clock.advance(0.5)
    ask(limits)


async def test_a_bucket_holds_one_seconds_worth() -> None:
    clock = ManualClock()
    limits = Limits(clock, rate=3.0, in_flight=8)
    ask(limits)
    await clock.advance(3600)
    for _ in range(3):
        ask(limits)
    with pytest.raises(TooMany):
        ask(limits)


def test_one_source_over_its_rate_does_not_touch_another() -> None:
    limits = Limits(ManualClock(), rate=1.0, in_flight=8)
    ask(limits, "a")
    with pytest.raises(TooMany):
        ask(limits, "a")
    ask(limits, "b")


async def test_a_source_may_have_a_rate_of_its_own() -> None:
    clock = ManualClock()
    limits = Limits(clock, rate=2.0, in_flight=8, rates={"portal": 5.0, "trusted": 0.0})
    for source, most in (("portal", 5), ("one-stop", 2)):
        for _ in range(most):
            ask(limits, source)
        with pytest.raises(TooMany) as refused:
            ask(limits, source)
        assert refused.value.retry_after == pytest.approx(1 / most)
    for _ in range(1000):
        ask(limits, "trusted")


def let_in(limits: Limits, requests: int) -> int:
    """How many of so many requests at once are taken."""
    taken = 0
    for _ in range(requests):
        with suppress(TooMany):
            ask(limits)
            taken += 1
    return taken


def test_no_rate_means_no_limit() -> None:
    assert let_in(Limits(ManualClock(), rate=0, in_flight=1), 1000) == 1000
    assert let_in(Limits(ManualClock(), rate=1, in_flight=1), 1000) == 1


def test_places_in_flight_are_bounded_and_given_back() -> None:
    limits = Limits(ManualClock(), rate=0, in_flight=2)
    with limits.admit("a"), limits.admit("b"), pytest.raises(NotReceived):
        ask(limits, "c")
    ask(limits, "c")


def test_one_source_cannot_take_every_place() -> None:
    limits = Limits(ManualClock(), rate=0, in_flight=8)
    with ExitStack() as stack:
        for _ in range(6):
            stack.enter_context(limits.admit("resync"))
        with pytest.raises(NotReceived):
            ask(limits, "resync")
        ask(limits, "urgent")


def test_a_place_is_given_back_after_an_error() -> None:
    limits = Limits(ManualClock(), rate=0, in_flight=1)
    with pytest.raises(KeyError), limits.admit("a"):
        raise KeyError
    ask(limits)
