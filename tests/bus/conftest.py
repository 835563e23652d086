from collections.abc import AsyncIterator

import pytest

from tests.bus.harness import Rig, opened

KAFKA = pytest.param("kafka", marks=pytest.mark.kafka)


@pytest.fixture(params=["embedded", "memory", KAFKA])
async def rig(request, tmp_path) -> AsyncIterator[Rig]:
    """Each kind of bus."""
    kind = request.param
    where = request.getfixturevalue("kafka_bootstrap") if kind == "kafka" else str(tmp_path / "bus.db")
    rig = await opened(kind, where)
    yield rig
    await rig.bus.close()


@pytest.fixture(params=["embedded", KAFKA])
async def durable_rig(request, tmp_path) -> AsyncIterator[Rig]:
    """The kinds that outlive their process."""
    kind = request.param
    where = request.getfixturevalue("kafka_bootstrap") if kind == "kafka" else str(tmp_path / "bus.db")
    rig = await opened(kind, where)
    yield rig
    await rig.bus.close()
