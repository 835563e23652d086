"""A commit beside the loop: the loop goes on, and nobody touches the connection before it has ended."""

import asyncio
import threading

import pytest

from router.aside import aside


async def test_the_loop_goes_on_until_the_call_returns():
    allowed = threading.Event()
    running = asyncio.create_task(aside(lambda: allowed.wait(30)))
    await asyncio.sleep(0)
    assert not running.done()
    allowed.set()
    assert await running is True


async def test_what_the_call_raises_is_raised_here():
    def refused() -> None:
        raise OSError("disk full")

    with pytest.raises(OSError, match="disk full"):
        await aside(refused)


@pytest.mark.parametrize("cancellations", [1, 2])
async def test_a_cancelled_caller_is_let_go_only_when_the_call_has_ended(cancellations):
    started, allowed, ended = threading.Event(), threading.Event(), []

    def call() -> None:
        started.set()
        allowed.wait(30)
        ended.append(True)

    running = asyncio.create_task(aside(call))
    await asyncio.sleep(0)
    await asyncio.get_running_loop().run_in_executor(None, started.wait, 30)
    for _ in range(cancellations):
        running.cancel()
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        assert not running.done()
    allowed.set()
    with pytest.raises(asyncio.CancelledError):
        await running
    assert ended == [True]
