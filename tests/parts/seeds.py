"""The 300 seeds run beside the other tests: started when collection is over, awaited by the test that comes last.

Where tests are dealt out to workers, the session that deals them out starts the seeds, and every worker knows the
folder in which they leave what they say.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[2]
TEST = "tests/simulation/test_seeds.py::test_three_hundred_seeds_break_no_promise_and_meet_every_fault"
WORDS = ["-m", "router.simulation", "--seeds", "0..300", "--json", "--keep-going"]
#: Its exit code is there only when all it said is.
KEPT = '"$@" > "$0/said" 2> /dev/null; echo $? > "$0/ending"; mv "$0/ending" "$0/code"'

FOLDER = pytest.StashKey[Path]()
RUNNING = pytest.StashKey[subprocess.Popen[bytes]]()


def pytest_configure(config: pytest.Config) -> None:
    """Agree on the folder."""
    given = getattr(config, "workerinput", {}).get("seeds")
    config.stash[FOLDER] = Path(given or tempfile.mkdtemp(prefix="lgsp-seeds-"))


@pytest.hookimpl(optionalhook=True)
def pytest_configure_node(node: Any) -> None:
    """Tell a worker of it."""
    node.workerinput["seeds"] = str(node.config.stash[FOLDER])


def pytest_collection_finish(session: pytest.Session) -> None:
    """Start them, in a session that plays its tests itself."""
    if not hasattr(session.config, "workerinput") and not session.config.option.collectonly:
        started(session.config, (item.nodeid for item in session.items))


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_node_collection_finished(node: Any, ids: Iterable[str]) -> None:
    """Start them, in a session that deals tests out."""
    started(node.config, ids)


def started(config: pytest.Config, ids: Iterable[str]) -> None:
    """Start them, once, if one of the tests asks for them."""
    if RUNNING not in config.stash and TEST in ids:
        command = ["nice", "-n", "15", "sh", "-c", KEPT, str(config.stash[FOLDER]), sys.executable, *WORDS]
        environment = {**os.environ, "PYTHONHASHSEED": "0"}
        config.stash[RUNNING] = subprocess.Popen(command, cwd=ROOT, env=environment, start_new_session=True)


def pytest_unconfigure(config: pytest.Config) -> None:
    """Nothing is left, and nothing is left running."""
    if (running := config.stash.get(RUNNING, None)) is not None:
        if running.poll() is None:
            os.killpg(running.pid, signal.SIGKILL)
        running.wait()
    if not hasattr(config, "workerinput") and FOLDER in config.stash:
        shutil.rmtree(config.stash[FOLDER], ignore_errors=True)
