"""How tests are dealt out to workers: one by one, but those that share what takes seconds to start go to one worker."""

from __future__ import annotations

from typing import Any, Final

import pytest

#: What they share, and how their ids begin.
TOGETHER: Final = {
    "broker": ("tests/bus/test_contract.py", "tests/bus/test_kafka.py", "tests/demo/test_demo.py::test_the_same_story"),
    "guarded broker": ("tests/bus/test_kafka_security.py",),
    "broker with a registry": ("tests/service/test_registry_everywhere.py",),
    "what a demo left": ("tests/cli/test_cli.py",),
    "broker and database that are killed": (
        "tests/torture/test_distributed.py",
        "tests/torture/test_rounds.py::test_distr",
    ),
}


def unit_of(nodeid: str) -> str:
    """What a test is dealt out with: its group, or itself alone."""
    return next((name for name, begins in TOGETHER.items() if nodeid.startswith(begins)), nodeid)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """The largest groups first, then the others in their order. (xdist's own groups are lost on pytest 9.2.)"""
    from xdist.scheduler import LoadScopeScheduling

    class Dealing(LoadScopeScheduling):
        def _split_scope(self, nodeid: str) -> str:
            return unit_of(nodeid)

    return Dealing(config, log)
