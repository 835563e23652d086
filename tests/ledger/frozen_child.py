"""An owner that freezes inside its transaction, with its shards locked: started by a test, woken up by it later.

Says ``locked`` before it stops itself, and how the transaction ended once it was woken.
"""

from __future__ import annotations

import asyncio
import os
import signal
import sys

from sqlalchemy import Connection

from router.clock import SystemClock
from router.errors import LedgerUnavailable
from router.ledger import store
from router.ledger.engine import open_ledger
from router.ledger.rows import Lease, State, Transition


async def main(url: str, lease: Lease, lease_seconds: float) -> None:
    ledger = open_ledger(url, SystemClock(), lease_seconds=lease_seconds)
    await ledger.open()

    def work(conn: Connection) -> None:
        assert store.fence(conn, [lease]) == {lease.name}
        print("locked", flush=True)
        os.kill(os.getpid(), signal.SIGSTOP)
        store.apply(conn, [Transition(1, 1, 1, State.DISCARDED)])

    try:
        await ledger.write(work)
        print("written", flush=True)
    except LedgerUnavailable:
        print("unavailable", flush=True)
    await ledger.close()


asyncio.run(main(sys.argv[1], Lease(sys.argv[2], int(sys.argv[3])), float(sys.argv[4])))
