"""The ten business statuses of a dossier, and which may follow which: a table, read once from its file."""

from __future__ import annotations

from collections.abc import Mapping
from enum import IntEnum
from functools import cache
from importlib.resources import files
from typing import Final

import yaml


class Status(IntEnum):
    """TrangThaiHoSo of the national portal. 0 is ours: nothing is known yet."""

    NONE = 0
    SUBMITTED = 1
    ACCEPTED = 2
    NOT_ACCEPTED = 3
    PROCESSING = 4
    SUPPLEMENT_REQUESTED = 5
    FINANCIAL_OBLIGATION = 6
    WITHDRAWN = 7
    STOPPED = 8
    RESULT_READY = 9
    RESULT_RETURNED = 10


TERMINAL: Final = frozenset({Status.NOT_ACCEPTED, Status.WITHDRAWN, Status.RESULT_RETURNED})
PAUSED: Final = frozenset({Status.SUPPLEMENT_REQUESTED, Status.FINANCIAL_OBLIGATION, Status.STOPPED})
DONE: Final = frozenset({Status.RESULT_READY, Status.RESULT_RETURNED})
RESULTS: Final = DONE | TERMINAL
#: Ends without a result by status, and what they are called where money is given back.
GIVES_BACK: Final = {Status.NOT_ACCEPTED: "refused", Status.WITHDRAWN: "withdrawn"}
#: The state of the end that a terminal status leads to when no edge speaks of it.
END_OF: Final = {**GIVES_BACK, Status.RESULT_RETURNED: "returned"}


@cache
def transitions() -> Mapping[Status, frozenset[Status]]:
    """From each status the ones that may follow."""
    table = yaml.safe_load((files("router.procedures") / "transitions.yaml").read_text("utf-8"))
    return {Status(one): frozenset(map(Status, others)) for one, others in table.items()}


def may_follow(now: Status, following: Status) -> bool:
    """Whether ``following`` may come after ``now``."""
    return following in transitions()[now]
