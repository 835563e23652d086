"""One process's ingress per test."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from tests.ingress.harness import Rig


@pytest.fixture
async def rig() -> AsyncIterator[Rig]:
    started = await Rig.start()
    yield started
    await started.stop()
