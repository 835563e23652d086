"""The alert about codes with two owners: open while a dead letter of one waits at ``router`` for a person."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from router.events import OWNER_CONFLICT, ROUTER
from router.ledger import alerts, dead_letters
from router.ledger.rows import Failure, Shard

if TYPE_CHECKING:
    from sqlalchemy import Connection

DETAIL: Final = f"a code has two owners: `lgsp dead --recipient {ROUTER} --failed-with {OWNER_CONFLICT}`"


def told(conn: Connection, shard: Shard, failure: Failure | None, *, now: int) -> None:
    """A delivery became a dead letter: raise the alert if it is one of two owners."""
    if _is_one(shard, failure):
        alerts.raise_alert(conn, OWNER_CONFLICT, ROUTER, DETAIL, now=now)


def decided(conn: Connection, shard: Shard, failure: Failure | None, *, now: int) -> None:
    """An order changed a delivery that had failed so: clear the alert if it was the last one, as the rows now are; one
    that was restored raises it again.
    """
    if not _is_one(shard, failure):
        return
    if dead_letters.owner_conflicts(conn):
        alerts.raise_alert(conn, OWNER_CONFLICT, ROUTER, DETAIL, now=now)
    else:
        alerts.clear_alert(conn, OWNER_CONFLICT, ROUTER, now=now)


def _is_one(shard: Shard, failure: Failure | None) -> bool:
    return shard.recipient == ROUTER and failure is not None and failure.reason == OWNER_CONFLICT
