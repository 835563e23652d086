"""Memory that is full: said where operators look, since what is beyond it waits in the ledger unseen. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final

from router.delivery.commit import Alert
from router.delivery.shards import Owned

SATURATED: Final = "saturated"
PARKED_FULL: Final = "parked_full"

#: By alert and recipient: what fills it.
Crowd = Mapping[tuple[str, str], str]


def crowd_of(shards: Iterable[Owned]) -> Crowd:
    """The recipients one of whose shards has no more room."""
    found: dict[tuple[str, str], str] = {}
    for owned in shards:
        if owned.lanes is None or not owned.lanes.saturated:
            continue
        if owned.lanes.parked_full:
            found[PARKED_FULL, owned.shard.recipient] = "as many dossiers are parked as memory holds"
        else:
            found[SATURATED, owned.shard.recipient] = "as many dossiers wait as memory holds; others wait in the ledger"
    return found


def changes(before: Crowd, now: Crowd) -> list[Alert]:
    """Alerts to raise and to clear."""
    raised = [Alert(name, subject, now[name, subject]) for name, subject in sorted(now.keys() - before.keys())]
    gone = [Alert(name, subject, "", raised=False) for name, subject in sorted(before.keys() - now.keys())]
    return raised + gone
