"""One round of mistreatment: events are sent, faults happen at random points of the work, then all must be well."""

from __future__ import annotations

import asyncio
import os
import random
from collections.abc import Awaitable, Callable, Sequence

from tests.torture.installation import Installation
from tests.torture.load import Load
from tests.torture.operator import attend, settle
from tests.torture.partner import cancelled
from tests.torture.verdict import Freeze, violations

ROUNDS = int(os.environ.get("TORTURE_ROUNDS", "0"))  # 0: the bounded set only
Fault = Callable[[], Awaitable[object]]
WITNESS = "plain"  # its lanes never wait for a person, so its record tells how far the work is


async def storm(
    made: Installation,
    load: Load,
    faults: Sequence[Fault],
    *,
    seed: int,
    upto: float = 0.9,
    limit: float = 60.0,
    freezes: Sequence[Freeze] = (),
) -> None:
    """Send ``load`` while each of ``faults`` happens once, in order, at a random point of the work's first ``upto``.

    Afterwards everything received must have had its effect once and in order at every partner within ``limit``
    seconds, the operator answering for what only a person may decide: afterwards, and on PostgreSQL all the time.
    ``freezes`` is filled by faults that freeze.
    """
    witness, total = made.partners[WITNESS], load.dossiers * load.length
    before = len(witness.effects())
    sending = asyncio.create_task(load.run())
    # Embedded, an order placed while no service runs holds the directory for a moment, and a start would be refused.
    over = asyncio.Event()
    attending = None if made.settings.embedded else asyncio.create_task(attend(made, over))
    try:
        for share in points(len(faults), total, upto, seed):
            await reached(made, before + share)
            await faults[0]()
            faults = faults[1:]
        async with asyncio.timeout(limit):
            await sending
    except TimeoutError:
        raise AssertionError(f"seed {seed}: {len(load.received)} of {total} received\n{made.words()}") from None
    finally:
        await cancelled(sending)
        if attending is not None:
            over.set()  # not cancelled: that would tear a connection of its own
            await attending
    await settle(made, load.received, limit=limit)
    found = await violations(made, load.received, freezes)
    assert not found, f"seed {seed}: {found}"


async def reached(made: Installation, count: int) -> None:
    """Wait until the work has come so far; fails with the processes' last words when it stands still."""
    try:
        await made.partners[WITNESS].until_effects(count)
    except TimeoutError:
        seen = len(made.partners[WITNESS].effects())
        raise AssertionError(f"the work stands still at {seen}, awaited {count}\n{made.words()}") from None


def points(count: int, total: int, upto: float, seed: int) -> list[int]:
    """Random points of the work, rising: counts of effects at the witness."""
    chance = random.Random(seed)
    return sorted(chance.sample(range(total // 20, int(total * upto)), count))
