"""The 300 seeds run beside the other tests, on the second core: started when collection is over, awaited at the end."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryFile
from typing import IO, NamedTuple

import pytest

ROOT = Path(__file__).resolve().parents[2]
SEEDS = "0..300"
ENVIRONMENT = {**os.environ, "PYTHONHASHSEED": "0"}


class Running(NamedTuple):
    """A simulation under way; what it prints goes to a file, so that it never waits for its reader."""

    process: subprocess.Popen[bytes]
    output: IO[bytes]


STARTED = pytest.StashKey[Running]()


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """What waits for the seeds comes last, whatever the order of the others."""
    items.sort(key=lambda item: item.get_closest_marker("seeds") is not None)


def pytest_collection_finish(session: pytest.Session) -> None:
    """Start the seeds if a test asks for them."""
    if any(item.get_closest_marker("seeds") for item in session.items) and not session.config.option.collectonly:
        output = TemporaryFile()  # noqa: SIM115 - closed when the session ends
        words = ["router.simulation", "--seeds", SEEDS, "--json", "--keep-going"]
        command = ["nice", "-n", "15", sys.executable, "-m", *words]  # tests that wait for real parts go first
        process = subprocess.Popen(command, stdout=output, stderr=subprocess.DEVNULL, cwd=ROOT, env=ENVIRONMENT)
        session.config.stash[STARTED] = Running(process, output)


def pytest_sessionfinish(session: pytest.Session) -> None:
    """Nothing is left running."""
    if (running := session.config.stash.get(STARTED, None)) is not None:
        if running.process.poll() is None:
            running.process.kill()
            running.process.wait()
        running.output.close()


def played(words: Sequence[str]) -> subprocess.CompletedProcess[str]:
    """The simulation with these words, in a process of its own."""
    command = [sys.executable, "-m", *words]
    return subprocess.run(command, check=False, capture_output=True, text=True, timeout=300, cwd=ROOT, env=ENVIRONMENT)
