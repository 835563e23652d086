"""Awaiting a partner for so long and no longer."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Generator
from types import coroutine
from typing import Any, TypeVar

R = TypeVar("R")


async def limited(call: Coroutine[Any, Any, R], seconds: float) -> R:
    """What a call returns; ``TimeoutError``, and the call is cancelled, when it takes longer than ``seconds``.

    The limit is set when the call first waits for something: most of what a timer costs is setting it, and what never
    waits cannot be cut off anyway.
    """
    try:
        awaited = call.send(None)
    except StopIteration as ended:
        result: R = ended.value
        return result
    async with asyncio.timeout(seconds):
        return await _resumed(call, awaited)


@coroutine
def _resumed(call: Coroutine[Any, Any, R], awaited: Any) -> Generator[Any, Any, R]:
    """Go on with a coroutine that has run up to its first ``awaited``."""
    try:
        yield awaited
    except GeneratorExit:
        call.close()
        raise
    except BaseException as error:  # a cancellation, to be thrown in where the call waits
        caught: R
        try:
            awaited = call.throw(error)
        except StopIteration as ended:
            caught = ended.value
            return caught
        caught = yield from _resumed(call, awaited)
        return caught
    result: R = yield from call
    return result
