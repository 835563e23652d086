"""The lanes of one shard in memory: which delivery may go out next. Pure: no clock, no ledger, no await.

Memory holds lanes, not backlogs. Two cursors (urgent, ordinary) walk the shard's unfinished deliveries in ``seq``
order and introduce lanes; a known lane holds a window of its oldest deliveries and refills from the ledger by key.
The caller reads what ``next_walk`` and ``next_refills`` ask for and hands the rows back; reads may be under way while
accepts and outcomes are committed, so every answer is taken as the past: nothing is introduced twice, nothing is
skipped.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final

from router.delivery.lane import Counts, Cursor, Lane, Refill, Walk, size
from router.delivery.turns import Turns
from router.ledger.rows import FINISHED, PARKED, Delivery, State

FROZEN: Final = -1  # a ``busy`` that no seq has
RESERVE: Final = 4  # urgent lanes have this part of the ordinary ones' room


class Lanes:
    """The lanes of one shard.

    ``window`` is how many deliveries of a lane are kept, up to ``wide`` as long as all lanes together keep no more than
    ``spare`` beyond their windows; ``capacity`` how many ordinary lanes; ``parked_capacity`` how many parked keys
    before ordinary lanes stand; urgent lanes have a quarter of both for themselves, so that none of them ever waits
    behind ordinary ones. ``body_capacity`` is how many bytes of bodies. ``last_seq`` is the shard's last seq at
    take-over; deliveries up to it were another owner's, and rest until ``rest_until`` (UTC µs) before their first call
    here.
    """

    def __init__(
        self,
        *,
        last_seq: int = 0,
        rest_until: int = 0,
        window: int = 4,
        wide: int = 32,
        spare: int = 10_000,
        capacity: int = 10_000,
        parked_capacity: int = 500_000,
        page: int = 200,
        body_capacity: int = 4 * 1_048_576,
    ) -> None:
        self._inherited, self._rest_until = last_seq, rest_until
        self._window, self._page = window, page
        self._capacity = {False: capacity, True: max(1, capacity // RESERVE)}
        self._parked_capacity = {False: parked_capacity, True: parked_capacity + max(1, parked_capacity // RESERVE)}
        self._known = {False: 0, True: 0}  # lanes of each class
        self._wide, self._spare, self._beyond = wide, spare, 0  # held beyond windows now
        self._body_capacity, self._body_bytes = body_capacity, 0
        self._cursors = {urgent: Cursor(last=last_seq) for urgent in (True, False)}
        self._lanes: dict[bytes, Lane] = {}
        self._parked: set[bytes] = set()
        self._turns = Turns(self._lanes)
        self._thirsty: dict[bytes, Lane] = {}
        self._idle: dict[bytes, Lane] = {}  # empty lanes kept while a page is under way that may still name them
        self._tickets = 0
        self._calling = 0

    # What comes in

    def accepted(self, deliveries: Sequence[Delivery]) -> None:
        """New deliveries of a committed accept, in seq order."""
        for delivery in deliveries:
            cursor = self._cursors[delivery.urgent]
            direct = cursor.at_end and not self._is_full(delivery.urgent)
            cursor.last = max(cursor.last, delivery.seq)
            if delivery.seq <= cursor.at:  # a page saw it before we were told
                continue
            lane = self._lanes.get(delivery.key)
            if direct:
                self._introduce(delivery)
                cursor.at = delivery.seq
            elif lane is not None:
                self._lacks(lane)

    def next_walk(self) -> Walk | None:
        """The next page to read, urgent first; None where a cursor stands at the end, or its class has no more room."""
        for urgent in (True, False):
            cursor = self._cursors[urgent]
            if not cursor.walking and cursor.at < cursor.last and not self._is_full(urgent):
                cursor.walking = True
                room = self._capacity[urgent] - self._known[urgent]
                return Walk(urgent, cursor.at, max(1, min(self._page, room)), cursor.last)
        return None

    def walked(self, walk: Walk, rows: Sequence[Delivery]) -> None:
        """The answer to ``next_walk``."""
        cursor = self._cursors[walk.urgent]
        for row in rows:
            self._introduce(row)
        cursor.at = max(cursor.at, rows[-1].seq if rows else 0, walk.upto if len(rows) < walk.limit else 0)
        cursor.walking = False
        if not any(c.walking for c in self._cursors.values()):
            for lane in list(self._idle.values()):
                self._forget(lane)
            self._idle.clear()

    def walk_failed(self, walk: Walk) -> None:
        """The page could not be read: it will be asked for again."""
        self.walked(Walk(walk.urgent, walk.after, 0, 0), ())

    def next_refills(self, limit: int) -> list[Refill]:
        """Lanes that lack rows, oldest need first."""
        wanted: list[Refill] = []
        for key, lane in list(self._thirsty.items()):
            if len(wanted) >= limit:
                break
            del self._thirsty[key]
            lane.refilling, lane.more = True, False
            wanted.append(Refill(key, lane.loaded_upto, min(self._room(lane), 2 * self._window), lane.ticket))
        return wanted

    def refilled(self, refill: Refill, rows: Sequence[Delivery]) -> None:
        """The answer to one of ``next_refills``; an answer to a lane since reloaded is ignored."""
        lane = self._lanes.get(refill.key)
        if lane is None or lane.ticket != refill.ticket:
            return
        lane.refilling = False
        told = [row for row in rows if row.seq <= self._cursors[lane.urgent].last]
        for row in told:
            if row.seq > lane.loaded_upto:
                if not self._room(lane):
                    lane.more = True
                    break
                self._append(lane, row)
        if len(rows) >= refill.limit or len(told) < len(rows):  # what ``accepted`` has yet to tell waits for it
            lane.more = True
        self._place(lane)

    def refill_failed(self, refill: Refill) -> None:
        """The rows could not be read: they will be asked for again."""
        lane = self._lanes.get(refill.key)
        if lane is not None and lane.ticket == refill.ticket:
            lane.refilling, lane.more = False, True
            self._place(lane)

    # What goes out

    def take(self, now: int, *, urgent_only: bool = False) -> Delivery | None:
        """The head of a lane that may be called now; its lane gives nothing more until ``settled``."""
        self._turns.ripen(now)
        lane = self._turns.next(urgent_only=urgent_only)
        return None if lane is None else self._give(lane)

    def probe(self, now: int) -> Delivery | None:
        """A head for the one probe of a recipient that is down: one that may be called now, else the waiting one whose
        time comes first. Each failure puts its head behind the others, so probes go round over the lanes.
        """
        if (head := self.take(now)) is not None:
            return head
        lane = self._turns.soonest()
        return None if lane is None else self._give(lane)

    def hasten(self, failures: frozenset[str]) -> None:
        """The recipient works again: what waits for its next try only because of such ``failures`` may go now."""

        def waits_for_it(head: Delivery) -> bool:
            return head.state is State.WAITING and head.failure is not None and head.failure.outcome in failures

        self._turns.hasten(waits_for_it)

    def returned(self, key: bytes) -> None:
        """What ``take`` gave was not called after all: the lane is ready again, at the front."""
        lane = self._lanes[key]
        lane.busy = 0
        self._calling -= 1
        if lane.items:
            self._turns.put_first(lane)
        else:
            self._place(lane)

    def settled(self, delivery: Delivery) -> None:
        """The committed new state of what ``take`` gave."""
        lane = self._lanes[delivery.key]
        if lane.busy == delivery.seq:
            lane.busy, lane.due_at = 0, None
            self._calling -= 1
        if lane.items and lane.items[0].seq == delivery.seq:
            self._pop(lane)
            if delivery.state not in FINISHED:
                lane.items.appendleft(delivery)
                self._beyond += len(lane.items) > self._window
                self._body_bytes += size(delivery)
        self._place(lane)

    def reload(self, key: bytes, *, urgent: bool) -> None:
        """An order changed this lane (``freeze`` came first): read it again from its oldest unfinished row."""
        self._parked.discard(key)
        old = self._drop(key)
        self._thirsty.pop(key, None)
        self._idle.pop(key, None)
        lane = self._new_lane(key, urgent)
        if old is not None:
            self._let_go(old)
        lane.resting = self._rest_until > 0  # when that time is over, this costs nothing
        lane.more = True
        self._place(lane)

    def freeze(self, key: bytes, *, urgent: bool) -> bool:
        """Keep a lane still while an order on it is committed; False while one of its deliveries is in flight.

        ``reload`` ends it. A parked lane gives nothing anyway.
        """
        if key in self._parked:
            return True
        lane = self._lanes.get(key)
        if lane is None:
            lane = self._new_lane(key, urgent)
            lane.more = True
        elif lane.busy > 0:
            return False
        lane.busy, lane.queued, lane.due_at = FROZEN, False, None
        return True

    # What it says of itself

    @property
    def saturated(self) -> bool:
        """Memory is full for one class: its cursor stands until lanes are finished."""
        return self._is_full(False) or self._is_full(True)

    @property
    def parked_full(self) -> bool:
        """As many lanes are parked as may be: ordinary ones stand until a person has dealt with some."""
        return len(self._parked) >= self._parked_capacity[False]

    def next_due(self) -> int | None:
        """When the next waiting head is due (UTC µs), or None."""
        return self._turns.next_due()

    def has_ready(self) -> bool:
        """Whether ``take`` may find something without waiting for a due time."""
        return self._turns.ready() > 0

    def counts(self) -> Counts:
        """A glance for status and metrics."""
        turns = self._turns
        lanes, parked = len(self._lanes), len(self._parked)
        return Counts(lanes, turns.ready(), self._calling, turns.waiting(), parked, self.saturated)

    def parked(self) -> Iterable[bytes]:
        """Keys of parked lanes."""
        return iter(self._parked)

    # Inside

    def _is_full(self, urgent: bool) -> bool:
        return self._known[urgent] >= self._capacity[urgent] or len(self._parked) >= self._parked_capacity[urgent]

    def _drop(self, key: bytes) -> Lane | None:
        lane = self._lanes.pop(key, None)
        if lane is not None:
            self._known[lane.urgent] -= 1
        return lane

    def _give(self, lane: Lane) -> Delivery:
        lane.queued, lane.busy = False, lane.items[0].seq
        self._calling += 1
        return lane.items[0]

    def _new_lane(self, key: bytes, urgent: bool) -> Lane:
        self._tickets += 1
        lane = self._lanes[key] = Lane(key, urgent, self._tickets)
        self._known[urgent] += 1
        return lane

    def _introduce(self, delivery: Delivery) -> None:
        if delivery.key in self._parked:
            return  # stands behind a dead head; a reload will find it
        lane = self._lanes.get(delivery.key)
        if lane is None:
            lane = self._new_lane(delivery.key, delivery.urgent)
            lane.resting = delivery.seq <= self._inherited and self._rest_until > 0
        if delivery.seq <= lane.loaded_upto:
            return
        if lane.more or lane.refilling or (len(lane.items) >= self._window and not self._room(lane)):
            self._lacks(lane)
        else:
            self._append(lane, delivery)
            self._place(lane)

    def _append(self, lane: Lane, delivery: Delivery) -> None:
        if delivery.body is not None:
            if self._body_bytes >= self._body_capacity:
                delivery.body = None
            else:
                self._body_bytes += size(delivery)
        lane.items.append(delivery)
        lane.loaded_upto = delivery.seq
        self._beyond += len(lane.items) > self._window

    def _pop(self, lane: Lane) -> None:
        self._beyond -= len(lane.items) > self._window
        self._body_bytes -= size(lane.items.popleft())

    def _let_go(self, lane: Lane) -> None:
        self._beyond -= max(0, len(lane.items) - self._window)
        self._body_bytes -= sum(size(item) for item in lane.items)

    def _room(self, lane: Lane) -> int:
        """How many more deliveries a lane may hold."""
        held, window = len(lane.items), self._window
        spare = max(0, min(self._wide - max(held, window), self._spare - self._beyond))
        return max(0, window - held) + spare

    def _lacks(self, lane: Lane) -> None:
        lane.more = True
        self._place(lane)

    def _place(self, lane: Lane) -> None:
        """Put a lane where it belongs after any change: queue, due heap, refill list, parked, or nowhere."""
        if lane.more and not lane.refilling and len(lane.items) <= self._window // 2:
            self._thirsty[lane.key] = lane
        if lane.busy or lane.queued:
            return
        if not lane.items:
            if not lane.more and not lane.refilling:
                self._retire(lane)
            return
        head = lane.items[0]
        if head.state in PARKED:
            self._park(lane)
        elif head.due is not None or lane.resting:
            due = max(head.due or 0, self._rest_until if lane.resting else 0)
            self._turns.wait(lane, due)
        else:
            self._turns.enqueue(lane)

    def _park(self, lane: Lane) -> None:
        self._let_go(lane)
        self._drop(lane.key)
        self._thirsty.pop(lane.key, None)
        self._parked.add(lane.key)

    def _retire(self, lane: Lane) -> None:
        if any(cursor.walking for cursor in self._cursors.values()):
            self._idle[lane.key] = lane  # a page under way may still show what is finished by now
        else:
            self._forget(lane)

    def _forget(self, lane: Lane) -> None:
        if not lane.items and not lane.more and not lane.refilling and not lane.busy:
            self._drop(lane.key)
