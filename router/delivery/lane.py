"""What ``lanes`` is made of: a lane, a cursor, and the questions they have for the ledger. Values only."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from typing import NamedTuple

from router.ledger.rows import Delivery


class Walk(NamedTuple):
    """A page a cursor wants: unfinished rows of its class with ``seq`` above ``after``, oldest first.

    ``upto`` is the last seq accepted when the page was asked for: a page with fewer than ``limit`` rows has seen all
    up to it.
    """

    urgent: bool
    after: int
    limit: int
    upto: int


class Refill(NamedTuple):
    """Rows a lane wants: unfinished, of this key, ``seq`` above ``after``, oldest first."""

    key: bytes
    after: int
    limit: int
    ticket: int


class Counts(NamedTuple):
    """What the shard holds, for status and metrics."""

    lanes: int
    ready: int
    calling: int
    waiting: int
    parked: int
    saturated: bool


@dataclass(slots=True)
class Cursor:
    """How far a walk over the deliveries of one class has come."""

    at: int = 0  # everything of this class up to here was introduced, or is known by its lane
    last: int = 0  # last accepted seq of this class that we were told of
    walking: bool = False

    @property
    def at_end(self) -> bool:
        """Whether all that was accepted was introduced."""
        return self.at >= self.last and not self.walking


@dataclass(slots=True)
class Lane:
    """One lane in memory: a window of its oldest unfinished deliveries, and where it stands."""

    key: bytes
    urgent: bool
    ticket: int
    items: deque[Delivery] = field(default_factory=deque)
    loaded_upto: int = 0
    more: bool = False  # the ledger holds, or may hold, rows above loaded_upto
    refilling: bool = False
    queued: bool = False  # stands in a ready queue
    busy: int = 0  # seq whose outcome is not committed yet
    resting: bool = False  # taken over: the head may still be with the partner
    due_at: int | None = None  # its valid entry in the due heap; others are leftovers


def size(delivery: Delivery) -> int:
    """Bytes of the body it holds in memory."""
    return len(delivery.body.value) if delivery.body is not None else 0
