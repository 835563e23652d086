"""A replay of many dead letters while its process is killed: each is sent again once, in the order of its lane."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from router.clock import SystemClock
from router.ledger.replays import ReplayState
from router.replay.desk import ReplayDesk
from tests.torture.installation import PARTNERS, Installation, installation
from tests.torture.load import Load
from tests.torture.operator import LOOK_EVERY, settle, until_backlog
from tests.torture.partner import NEVER
from tests.torture.storm import ROUNDS, reached
from tests.torture.verdict import violations

LANES = 20


@pytest.mark.skipif(not ROUNDS, reason="the long run: make torture")
async def test_a_replay_goes_on_after_kills_and_sends_nothing_twice(tmp_path: Path) -> None:
    async with installation(tmp_path) as made:
        [service] = await made.start()
        load = made.load(LANES, 3)
        await all_parked(made, load)
        words = ("--reason", "đối tác đã sửa lỗi")
        await made.command("replay", "plan", "--failed-with", "malformed", "--rate", "40/s", "--include-unsafe", *words)
        await made.command("replay", "start", "1", *words)
        for effects in (LANES // 2, 2 * LANES):
            await reached(made, effects)
            await service.kill()
            await service.start()
        await until_finished(made, 1)
        await settle(made, load.received, limit=40)
        assert await violations(made, load.received) == []


async def all_parked(made: Installation, load: Load) -> None:
    """Send everything to partners that call every event malformed, until the head of each lane is a dead letter."""
    partners = [made.partners[name] for name in PARTNERS]
    for partner in partners:
        partner.stumbles_from = 0
    await load.run()
    await until_backlog(made, "dead", len(PARTNERS) * LANES, limit=30)
    for partner in partners:
        partner.stumbles_from = NEVER


async def until_finished(made: Installation, number: int) -> None:
    """Wait until a replay has ended; it must not have stopped by itself."""
    async with made.ledger() as ledger, asyncio.timeout(60):
        desk = ReplayDesk(ledger, SystemClock())
        while (seen := await desk.status(number)).replay.state is ReplayState.RUNNING:
            await asyncio.sleep(LOOK_EVERY)
    assert seen.replay.state is ReplayState.FINISHED, seen
