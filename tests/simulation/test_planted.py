"""The checker itself: each planted bug is caught within 200 seeds, by the rule that is meant for it."""

from __future__ import annotations

import json

import pytest

from tests.simulation.conftest import played
from tests.simulation.planted import SEEDS, bugs


@pytest.mark.parametrize("name", sorted(bugs()))
def test_a_planted_bug_is_caught_by_its_rule(name: str) -> None:
    run = played(["tests.simulation.planted", name])
    found = json.loads(run.stdout)
    assert found["seed"] is not None, f"{name} was not found in {SEEDS} seeds: {run.stderr[-500:]}"
    assert bugs()[name].rules & set(found["rules"])
