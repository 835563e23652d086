"""The long run: ``TORTURE_ROUNDS`` rounds of random faults on each runtime, the first with seed ``TORTURE_SEED``."""

from __future__ import annotations

import os
import random
from pathlib import Path

import pytest

from tests.torture.conftest import Parts
from tests.torture.faults import Choice
from tests.torture.installation import PARTNERS, Installation, installation
from tests.torture.partner import SOME
from tests.torture.storm import ROUNDS, WITNESS, storm

FIRST = int(os.environ.get("TORTURE_SEED", "1"))
FAULTS = 5
MOODS = {"fails_after_work": 0.01, "busy": 0.02, "slow": 0.02, "cuts_after_work": 0.01}

pytestmark = [
    pytest.mark.skipif(not ROUNDS, reason="the long run: make torture"),
    pytest.mark.timeout(240),
    pytest.mark.parametrize("seed", range(FIRST, FIRST + max(1, ROUNDS))),
]


async def test_embedded(tmp_path: Path, seed: int) -> None:
    async with installation(tmp_path, seed=seed) as made:
        await made.start()
        await played(made, Choice(made), seed)


@pytest.mark.kafka
@pytest.mark.postgres
async def test_distributed(tmp_path: Path, parts: Parts, seed: int) -> None:
    async with installation(tmp_path, **await parts.address(), seed=seed) as made:
        await made.start(2)
        await played(made, Choice(made, [parts.broker, parts.cluster]), seed)
        for process in made.processes:
            assert await process.terminate() == 0, process.last_words()


async def played(made: Installation, choice: Choice, seed: int) -> None:
    """One round: the kinds of fault are printed, so that a failure tells what led to it."""
    possible, chance = choice.all(), random.Random(seed)
    chosen = chance.choices(sorted(possible), k=FAULTS)
    print(f"seed {seed}: {', '.join(chosen)}")
    for name in PARTNERS:
        made.partners[name].moods = MOODS
        if name != WITNESS:  # its lanes must not wait for the operator
            made.partners[name].stumbles_from = SOME
    load = made.load(20, 25, name=f"T{seed}", pause=0.3, seed=seed)
    await storm(made, load, [possible[name] for name in chosen], seed=seed, limit=120.0, freezes=choice.freezes)
