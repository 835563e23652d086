"""The embedded runtime, mistreated: whatever is received is delivered once and in order."""

from __future__ import annotations

import asyncio
import random
from pathlib import Path

from tests.torture.installation import installation
from tests.torture.operator import settle
from tests.torture.verdict import violations


async def test_killed_at_random_points_nothing_is_lost_doubled_or_reordered(tmp_path: Path) -> None:
    chance = random.Random(1)
    async with installation(tmp_path) as made:
        [service] = await made.start()
        load = made.load(20, 15)
        sending = asyncio.create_task(load.run())
        plain = made.partners["plain"]
        for share in sorted(chance.sample(range(20, 260), 3)):
            await plain.until_effects(share)
            await service.kill()
            await service.start()
        await sending
        await settle(made, load.received, limit=40)
        assert violations(made, load.received) == []
