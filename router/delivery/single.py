"""A command's single-handed job: its lease for the length of a block."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Final

from router.delivery.ownership import Ownership
from router.errors import LeaseLost, OrderRefused
from router.ledger.rows import Lease
from router.ports import Clock, Ledger

PATIENCE: Final = 2.0  # lease lengths: one that was killed is taken for dead after one and a half
PAUSE: Final = 0.2


@asynccontextmanager
async def single_handed(
    ledger: Ledger, clock: Clock, process: str, name: str, *, lease_seconds: float
) -> AsyncIterator[Callable[[], Awaitable[Lease]]]:
    """The lease ``name`` for the block. What it gives is awaited before each transaction: it keeps the lease and
    returns it, or raises ``LeaseLost``.

    Waits for a holder that was killed. Raises ``OrderRefused`` while somebody else does this job, ``LedgerError``.
    """
    # A role of its own: such jobs are not shared, and this process takes no part in what others share.
    ownership = Ownership(ledger, clock, process, length=lease_seconds, exclusive=False, roles=(name,))

    async def turn() -> Lease:
        await ownership.keep()
        lease = ownership.held(name)
        if lease is None:
            raise LeaseLost(f"the lease {name} ran out")
        return lease

    until = clock.monotonic() + PATIENCE * lease_seconds
    try:
        await ownership.beat()
        while await ownership.hold(name, name) is None:
            if clock.monotonic() > until:
                raise OrderRefused(f"another {name} is running: wait until it has ended")
            await clock.sleep(PAUSE)
            await ownership.keep()
        yield turn
    finally:
        await ownership.release(clean=True)
