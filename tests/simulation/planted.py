"""Bugs that a router like this one could have, each a small patch; the simulation must find every one.

``python -m tests.simulation.planted NAME`` plays seeds until the checker says something, and prints what it said.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable
from contextlib import contextmanager, suppress
from dataclasses import replace
from itertools import count
from types import SimpleNamespace
from typing import NamedTuple
from unittest.mock import patch

from sqlalchemy import update

from router.delivery import dispatch, outbox, settle, verdict
from router.delivery.commit import GroupCommit, Intake
from router.delivery.emissions import REPLY_TYPE
from router.delivery.lanes import Lanes
from router.delivery.local import LocalDispatcher
from router.delivery.ownership import Ownership
from router.delivery.service import DeliveryService
from router.errors import StaleVersion
from router.events import CE_ID, CE_TYPE
from router.ledger import outbox as outbox_table
from router.ledger import store
from router.ledger.local import LocalEffect
from router.ledger.rows import FINISHED, State
from router.ledger.tables import shard
from router.procedures import timers
from router.procedures.recipient import Procedures
from router.routing.hop import Hop
from router.simulation import chaos
from router.simulation.office import stage
from router.simulation.scenario import run_seed

SEEDS = 200


class Bug(NamedTuple):
    """A patch, and the rules of the checker that must speak of it. The seeds are played from ``first`` on, all 200 of
    them in a circle: a rare bug is known to show there.
    """

    patch: Callable[[], object]
    rules: frozenset[str]
    first: int = 0


def bugs() -> dict[str, Bug]:
    """Every planted bug, by name."""
    return {
        "position_before_ledger": Bug(position_before_ledger, frozenset({"lost"})),
        "no_epoch_check": Bug(no_epoch_check, frozenset({"stale", "overtaken", "doubled"}), 166),
        "next_before_commit": Bug(next_before_commit, frozenset({"overtaken"})),
        "retry_to_the_back": Bug(retry_to_the_back, frozenset({"reordered", "overtaken"})),
        "replay_without_claim": Bug(replay_without_claim, frozenset({"doubled"}), 105),
        "poll_dropped": Bug(poll_dropped, frozenset({"lost"})),
        "outbox_twice": Bug(outbox_twice, frozenset({"answered twice"})),
        "window_skips_fifth": Bug(window_skips_fifth, frozenset({"overtaken", "reordered"}), 32),
        "parked_lane_passes": Bug(parked_lane_passes, frozenset({"overtaken"})),
        "slot_ends": Bug(slot_ends, frozenset({"stuck"}), 163),
        "call_without_mark": Bug(call_without_mark, frozenset({"doubled"})),
        "effects_apart": Bug(effects_apart, frozenset({"doubled", "diverged"})),
        "timer_twice": Bug(timer_twice, frozenset({"timer twice"})),
        "signal_forgotten": Bug(signal_forgotten, frozenset({"lost"}), 8),
    }


@contextmanager
def position_before_ledger():
    """The position is stored in a transaction of its own, and the deliveries in the next one."""
    honest = GroupCommit._once

    async def once(self, group):
        intakes = []
        for intake in group.intakes:
            ahead = update(shard).where(shard.c.id == intake.shard.id).values(position=intake.batch.position)
            await self._ledger.write(lambda conn, ahead=ahead: conn.execute(ahead))
            intakes.append(Intake(replace(intake.shard, position=intake.batch.position), intake.batch))
        return await honest(self, replace(group, intakes=intakes))

    with patch.object(GroupCommit, "_once", once):
        yield


@contextmanager
def no_epoch_check():
    """A process believes in its leases for ever, whatever its beats find, and the ledger believes the process.

    Freezes last longer than usual: a successor lets heads rest before it overtakes what a zombie still has in hand.
    """
    honest = Ownership.beat

    async def beat(self):
        before = dict(self._held)
        await honest(self)
        self._held.update(before)

    with (
        patch.object(chaos, "LONGEST_FREEZE", 9.0),
        patch.object(Ownership, "beat", beat),
        patch.object(Ownership, "lost", lambda self, name: None),
        patch.object(Ownership, "held", lambda self, name: self._held.get(name)),
        patch.object(Ownership, "names", lambda self: set(self._held)),
        patch.object(Ownership, "lapsed", lambda self, lease: False),
        patch.object(Ownership, "_valid", lambda self: True),
        patch.object(store, "fence", lambda conn, held: {lease.name for lease in held}),
    ):
        yield


@contextmanager
def next_before_commit():
    """A lane gives its next delivery when the call has ended, not when its outcome is in the ledger."""
    honest_leave, honest_settled = DeliveryService.leave, settle._settled

    def leave(self, outcome):
        honest_leave(self, outcome)
        if outcome.called is not None and outcome.transition.state in FINISHED and outcome.owned.lanes is not None:
            outcome.owned.lanes.settled(replace(outcome.head, state=outcome.transition.state))

    def settled(outcome, current):
        early = outcome.called is not None and outcome.transition.state in FINISHED
        honest_settled(outcome, current and not early)

    with patch.object(DeliveryService, "leave", leave), patch.object(settle, "_settled", settled):
        yield


@contextmanager
def retry_to_the_back():
    """What must be tried again goes behind the others of its lane."""
    honest = Lanes.settled

    def settled(self, delivery):
        lane = self._lanes[delivery.key]
        honest(self, delivery)
        if delivery.state is State.WAITING and len(lane.items) > 1 and lane.items[0] is delivery:
            lane.items.rotate(-1)
            lane.due_at = None
            self._place(lane)

    with patch.object(Lanes, "settled", settled):
        yield


@contextmanager
def replay_without_claim():
    """A replay is done whatever became of the delivery since it was ordered."""
    with (
        patch.object(verdict, "ALLOWED", dict.fromkeys(verdict.ALLOWED, frozenset(State))),
        patch.object(verdict, "_refusal", lambda order, situation: ""),
    ):
        yield


@contextmanager
def poll_dropped():
    """What a poll brought around a rebalance is thrown away, and the position stays behind it."""

    async def nothing(self, polled):
        return None

    with patch.object(Hop, "_seek_back", nothing):
        yield


@contextmanager
def outbox_twice():
    """A reply in the outbox goes out twice, the second time under an id of its own."""
    honest, number = outbox.batches_of, count()

    def batches_of(rows, partitions):
        twice = []
        for row_id, emission in rows:
            twice.append((row_id, emission))
            if (CE_TYPE, REPLY_TYPE.encode()) in emission.headers:
                headers = [(k, f"again-{next(number)}".encode() if k == CE_ID else v) for k, v in emission.headers]
                twice.append((row_id, replace(emission, headers=headers)))
        return honest(twice, partitions)

    with patch.object(outbox, "batches_of", batches_of):
        yield


@contextmanager
def window_skips_fifth():
    """A refill takes up one row too late."""
    honest = Lanes.refilled

    def refilled(self, refill, rows):
        lane = self._lanes.get(refill.key)
        skips = lane is not None and bool(lane.items)
        honest(self, refill, rows[1:] if skips else rows)

    with patch.object(Lanes, "refilled", refilled):
        yield


@contextmanager
def parked_lane_passes():
    """What stands behind a dead letter goes on."""

    def park(self, lane):
        self._pop(lane)
        self._place(lane)

    with patch.object(Lanes, "_park", park):
        yield


@contextmanager
def slot_ends():
    """A slot that cannot read a body ends, and nobody looks."""

    async def serve(self, recipient, found):
        self.calling += 1
        try:
            await self._call(recipient, found)
        except dispatch.NotStarted:
            self._give_back(found.owned, found.head, marked=False)
        finally:
            self.calling -= 1

    with (
        patch.object(dispatch.Dispatcher, "_serve", serve),
        patch.object(dispatch.Dispatcher, "check", lambda self: None),
    ):
        yield


@contextmanager
def call_without_mark():
    """A call that cannot be repeated begins before it is recorded that it may have been made."""

    async def mark(self, owned, head, transition):
        return True

    with patch.object(dispatch.Dispatcher, "_mark", mark):
        yield


@contextmanager
def effects_apart():
    """An instance is written in a transaction of its own, and the outcome of its delivery in the next one."""
    honest = Procedures.prepare

    async def prepare(self, works):
        effects = await honest(self, works)
        for effect in effects:
            if effect.write is not None:
                with suppress(StaleVersion):
                    await self._ledger.write(effect.write)
        return [replace(effect, write=None) for effect in effects]

    with patch.object(Procedures, "prepare", prepare):
        yield


@contextmanager
def timer_twice():
    """A timer that came due becomes two events, each with an id of its own."""

    def add(conn, lease, emissions):
        again = [
            replace(each, headers=[(k, v + b"-again" if k == CE_ID else v) for k, v in each.headers])
            for each in emissions
        ]
        outbox_table.add(conn, lease, [*emissions, *again])

    with patch.object(timers, "outbox", SimpleNamespace(add=add)):
        yield


@contextmanager
def signal_forgotten():
    """What a step sends is dropped when the step had to be computed again."""
    honest, seen = LocalDispatcher._outcome, set()

    def outcome(self, owned, work, effect):
        place = (id(self._desk), work.delivery.shard, work.delivery.seq)
        if place in seen and isinstance(effect, LocalEffect):
            effect = replace(effect, emissions=())
        seen.add(place)
        return honest(self, owned, work, effect)

    with patch.object(LocalDispatcher, "_outcome", outcome):
        yield


def main(name: str) -> None:
    """Play seeds under the bug until one is caught."""
    bug, ready = bugs()[name], stage()
    with bug.patch():
        for seed in ((bug.first + n) % SEEDS for n in range(SEEDS)):
            spoken = sorted({violation.rule for violation in run_seed(seed, ready).violations})
            if bug.rules.intersection(spoken):
                print(json.dumps({"seed": seed, "rules": spoken}))
                return
    print(json.dumps({"seed": None, "rules": []}))


if __name__ == "__main__":
    if os.environ.get("PYTHONHASHSEED") != "0":
        raise SystemExit("set PYTHONHASHSEED=0: a seed stands for one history only then")
    main(sys.argv[1])
