"""Whose turn it is: lanes with a head that may go now, urgent ones apart, and lanes whose head waits for a time. Pure.

A lane that was reloaded is another lane of the same key: what is left here of the old one is passed over.
"""

from __future__ import annotations

import heapq
from collections import deque
from collections.abc import Callable, Mapping

from router.delivery.lane import Lane
from router.ledger.rows import Delivery, State

_Entry = tuple[int, int, Lane]


class Turns:
    """``lanes`` are the lanes as they are now, by key."""

    def __init__(self, lanes: Mapping[bytes, Lane]) -> None:
        self._lanes = lanes
        self._ready: dict[bool, deque[Lane]] = {True: deque(), False: deque()}
        self._due: list[_Entry] = []

    def enqueue(self, lane: Lane) -> None:
        """Its head may go, behind those of the others."""
        if not lane.queued and not lane.busy and lane.items:
            lane.queued = True
            self._ready[lane.urgent].append(lane)

    def put_first(self, lane: Lane) -> None:
        """Its head was given and not called: it is the next again."""
        lane.queued = True
        self._ready[lane.urgent].appendleft(lane)

    def wait(self, lane: Lane, due: int) -> None:
        """Its head may go at ``due`` (UTC µs)."""
        if lane.due_at != due:
            lane.due_at = due
            heapq.heappush(self._due, (due, lane.ticket, lane))

    def ripen(self, now: int) -> None:
        """Those whose time has come may go."""
        while self._due and self._due[0][0] <= now:
            due, _, lane = heapq.heappop(self._due)
            if self._stands(lane, due):
                lane.resting, lane.due_at = False, None
                self.enqueue(lane)

    def next(self, *, urgent_only: bool) -> Lane | None:
        """The first lane that may go."""
        for urgent in (True,) if urgent_only else (True, False):
            queue = self._ready[urgent]
            while queue:
                lane = queue.popleft()
                if lane.queued and self._lanes.get(lane.key) is lane:
                    return lane
        return None

    def soonest(self) -> Lane | None:
        """The waiting lane whose time comes first, taken out. One whose head may be with the partner is left where it
        is: it is asked about when its time has come.
        """
        left: list[_Entry] = []
        found = None
        while self._due and found is None:
            entry = heapq.heappop(self._due)
            due, _, lane = entry
            if not self._stands(lane, due):
                continue
            if lane.resting or lane.items[0].state is not State.WAITING:
                left.append(entry)
            else:
                lane.due_at, found = None, lane
        for entry in left:
            heapq.heappush(self._due, entry)
        return found

    def hasten(self, may_go: Callable[[Delivery], bool]) -> None:
        """Waiting heads of which this is true may go now."""
        for due, _, lane in self._due:
            if self._stands(lane, due) and not lane.resting and may_go(lane.items[0]):
                lane.due_at = None
                self.enqueue(lane)

    def next_due(self) -> int | None:
        """When the next waiting head is due (UTC µs), or None."""
        return self._due[0][0] if self._due else None

    def ready(self) -> int:
        """How many may go."""
        return len(self._ready[True]) + len(self._ready[False])

    def waiting(self) -> int:
        """How many wait for their time."""
        return len(self._due)

    def _stands(self, lane: Lane, due: int) -> bool:
        """Whether an entry of the heap is still true."""
        return lane.due_at == due and self._lanes.get(lane.key) is lane
