"""A connector, open, before its simulated partner."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from router.sdk import Context
from router.sdk.testing.clock import CountingIds, ManualClock
from router.sdk.testing.rig import Kit, Rig


@asynccontextmanager
async def running(kit: Kit) -> AsyncIterator[Rig]:
    clock = ManualClock()
    simulator = kit.simulator(clock)
    config = kit.connector.config_model.model_validate(kit.config(await simulator.start()))
    connector = kit.connector(config, Context("under-test", clock, CountingIds(), kit.objects()))
    await connector.open()
    try:
        yield Rig(kit, simulator, connector, clock)
    finally:
        await connector.close()
        await simulator.stop()
