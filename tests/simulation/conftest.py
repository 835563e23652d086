"""What waits for the seeds comes last; other seeds are played in processes of their own."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Sequence

import pytest

from tests.parts.seeds import ROOT

ENVIRONMENT = {**os.environ, "PYTHONHASHSEED": "0"}


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """What waits for the seeds comes last, whatever the order of the others."""
    items.sort(key=lambda item: item.get_closest_marker("seeds") is not None)


def played(words: Sequence[str]) -> subprocess.CompletedProcess[str]:
    """The simulation with these words, in a process of its own."""
    command = [sys.executable, "-m", *words]
    return subprocess.run(command, check=False, capture_output=True, text=True, timeout=600, cwd=ROOT, env=ENVIRONMENT)
