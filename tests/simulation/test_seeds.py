"""Many seeds of the simulated installation: no promise is broken, and every fault was really met."""

from __future__ import annotations

import json

import pytest

from tests.simulation.conftest import STARTED, played


def test_a_seed_is_one_history_and_no_other() -> None:
    one, other = (played(["router.simulation", "--seed", "5"]).stdout for _ in range(2))
    assert "trace" in one
    assert one == other


@pytest.mark.seeds
@pytest.mark.timeout(1300)
def test_three_hundred_seeds_break_no_promise_and_meet_every_fault(request: pytest.FixtureRequest) -> None:
    running = request.config.stash[STARTED]
    running.process.wait(timeout=1200)
    running.output.seek(0)
    told = json.loads(running.output.read())
    assert told["broken"] == []
    assert told["unmet"] == []
    assert told["seeds"] == 300
    assert running.process.returncode == 0
