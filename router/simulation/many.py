"""Many seeds, on as many processes as asked for. A module of its own: processes that start afresh import it by name."""

from __future__ import annotations

from collections.abc import Generator
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from typing import Final

from router.simulation.office import Stage, stage
from router.simulation.scenario import Result, run_seed

_READY: Final[list[Stage]] = []  # of a process that plays seeds for another: made once, when it starts


def results(seeds: range, jobs: int) -> Generator[Result, None, None]:
    """What came of each, in their order, whoever played them. Raises ``BrokenProcessPool`` if a process died."""
    if jobs < 2 or len(seeds) < 2:
        ready = stage()
        for seed in seeds:
            yield run_seed(seed, ready)
        return
    with ProcessPoolExecutor(jobs, get_context("spawn"), _prepare) as pool:
        try:
            yield from pool.map(_play, seeds)
        finally:
            pool.shutdown(cancel_futures=True)


def _prepare() -> None:
    _READY.append(stage())


def _play(seed: int) -> Result:
    return run_seed(seed, _READY[0])
