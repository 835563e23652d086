"""A call with a limit: what it returns and raises comes through, and what takes too long is cut off where it waits."""

import asyncio

import pytest

from router.delivery.limited import limited


async def at_once() -> str:
    return "taken"


async def after_waiting(seconds: float = 0.0) -> str:
    await asyncio.sleep(seconds)
    await asyncio.sleep(0)
    return "taken"


async def test_a_call_that_never_waits_returns_at_once():
    assert await limited(at_once(), 1) == "taken"


async def test_a_call_that_waits_more_than_once_returns():
    assert await limited(after_waiting(), 30) == "taken"


@pytest.mark.parametrize("waits", [0, 1, 2])
async def test_what_a_call_raises_comes_through(waits):
    async def refused() -> str:
        for _ in range(waits):
            await asyncio.sleep(0)
        raise ValueError("no")

    with pytest.raises(ValueError, match="no"):
        await limited(refused(), 30)


@pytest.mark.parametrize("waits", [0, 1])
async def test_a_call_that_takes_too_long_is_cut_off_where_it_waits(waits):
    seen = []

    async def slow() -> str:
        for _ in range(waits):
            await asyncio.sleep(0)
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            seen.append("cut")
            raise
        return "never"

    with pytest.raises(TimeoutError):
        await limited(slow(), 0.001)
    assert seen == ["cut"]


async def test_a_call_may_answer_although_it_is_being_cut_off():
    """As with ``asyncio.timeout`` itself: who swallows the cancellation has answered."""

    async def stubborn() -> str:
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            await asyncio.sleep(0)
        return "taken after all"

    async with asyncio.timeout(0.001):
        assert await stubborn() == "taken after all"
    assert await limited(stubborn(), 0.001) == "taken after all"


async def test_a_cancelled_caller_cancels_the_call_and_no_limit_is_claimed():
    ended = []

    async def call() -> str:
        try:
            await asyncio.Event().wait()
        finally:
            ended.append(True)
        return "never"

    running = asyncio.create_task(limited(call(), 30))
    await asyncio.sleep(0)
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    assert ended == [True]


async def test_a_call_has_the_callers_own_task_and_may_set_limits_of_its_own():
    async def inner() -> str:
        async with asyncio.timeout(0.001):
            await asyncio.Event().wait()
        return "never"

    async def call() -> str:
        try:
            return await inner()
        except TimeoutError:
            return "its own limit"

    assert await limited(call(), 30) == "its own limit"
