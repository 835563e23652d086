"""The clock that tests move."""

from __future__ import annotations

import asyncio

from router.sdk.testing.clock import CountingIds, ManualClock


async def test_sleepers_wake_in_the_order_of_their_times_and_see_their_own_time():
    clock, woken = ManualClock(), []

    async def sleeper(seconds: float) -> None:
        await clock.sleep(seconds)
        woken.append((seconds, clock.monotonic()))

    tasks = [asyncio.create_task(sleeper(seconds)) for seconds in (3, 1, 2)]
    await asyncio.sleep(0)
    await clock.advance(2)
    assert woken == [(1, 1.0), (2, 2.0)]
    await clock.advance(1)
    assert woken[2:] == [(3, 3.0)]
    await asyncio.gather(*tasks)


async def test_a_sleeper_that_was_cancelled_is_no_obstacle():
    clock = ManualClock()
    gone = asyncio.create_task(clock.sleep(1))
    await asyncio.sleep(0)
    gone.cancel()
    await asyncio.gather(gone, return_exceptions=True)
    await clock.advance(5)
    assert clock.monotonic() == 5


async def test_the_three_times_go_together():
    clock = ManualClock()
    before = (clock.monotonic(), clock.now(), clock.business())
    await clock.advance(90)
    assert clock.monotonic() - before[0] == 90
    assert clock.now() - before[1] == 90_000_000
    assert (clock.business() - before[2]).total_seconds() == 90


async def test_a_flowing_clock_sleeps_without_waiting():
    clock = ManualClock(flows=True)
    await clock.sleep(3600)
    assert clock.monotonic() == 3600


def test_ids_count():
    ids = CountingIds()
    assert [ids.new().int, ids.new().int, ids.jitter()] == [1, 2, 0.5]
