"""One long call into C beside the loop: a commit that waits for the disk, while the loop goes on.

The only thread of the flow, used by the two adapters that own an SQLite file. It fits nothing but a single call that
lets go of the interpreter lock for nearly all of its time: statements row by row, each of which takes the lock back,
are many times slower beside a busy loop than on it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import TypeVar

R = TypeVar("R")


async def aside(call: Callable[[], R]) -> R:
    """The result of ``call``, made in a thread; what it raises is raised here.

    A caller that is cancelled is let go only when the call has ended: nobody else may touch what it works on before.
    """
    running = asyncio.get_running_loop().run_in_executor(None, call)
    try:
        return await asyncio.shield(running)
    except asyncio.CancelledError:
        while not running.done():
            await _ended(running)
        raise


async def _ended(running: asyncio.Future[R]) -> None:
    try:
        await asyncio.wait({running})
    except asyncio.CancelledError:
        return  # asked to go again: it still may not
