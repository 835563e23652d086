"""Many seeds of the simulated installation: no promise is broken, and every fault was really met."""

from __future__ import annotations

import json
import time
from collections import Counter
from dataclasses import replace

import pytest

from router.simulation.__main__ import Summary
from router.simulation.power import FAULTS
from router.simulation.scenario import Result
from tests.parts.seeds import FOLDER
from tests.simulation.conftest import played


def test_a_seed_is_one_history_and_no_other() -> None:
    one, other = (played(["router.simulation", "--seed", "5"]).stdout for _ in range(2))
    assert "trace" in one
    assert one == other


def test_seeds_on_two_processes_are_the_same_seeds() -> None:
    alone, shared = (
        played(["router.simulation", "--seeds", "1..3", "--json", *more]) for more in ([], ["--jobs", "2"])
    )
    assert json.loads(alone.stdout) == json.loads(shared.stdout)


@pytest.mark.parametrize(
    "short", [{"events": 199}, {"recipients": 2}, {"processes": 1}, {"hits": Counter(dict.fromkeys(FAULTS[:4], 1))}]
)
def test_a_seed_that_is_too_tame_proves_nothing(short: dict[str, object]) -> None:
    enough = Result(7, [], Counter(dict.fromkeys(FAULTS[:5], 1)), "", 20.0, events=200, recipients=3, processes=2)
    summary = Summary()
    summary.add(enough)
    assert summary.thin == []
    summary.add(replace(enough, **short))
    assert summary.thin == [7]


@pytest.mark.seeds
@pytest.mark.timeout(1300)
def test_three_hundred_seeds_break_no_promise_and_meet_every_fault(request: pytest.FixtureRequest) -> None:
    folder = request.config.stash[FOLDER]
    while not (folder / "code").exists():  # until the test's own time limit
        time.sleep(0.1)
    told = json.loads((folder / "said").read_text())
    assert told["broken"] == []
    assert told["unmet"] == []
    assert told["seeds"] == 300
    assert told["thin"] == []  # each drove 200 events, 3 recipients, 2 processes and 5 kinds of fault
    assert told["fewest_kinds"] >= 5
    assert int((folder / "code").read_text()) == 0
