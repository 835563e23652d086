"""What a running replay does next: pure. Canary first, then the pace; lanes in their order; stop when it goes wrong."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import accumulate
from typing import Final, NamedTuple

from router.ledger.replays import Item, ItemState, Replay, ReplayState
from router.ledger.rows import FINISHED, PARKED, OrderResult, State

OUTSTANDING: Final = 200  # items that may be on their way at once


class Now(NamedTuple):
    """A delivery as it is at the moment."""

    state: str
    version: int
    cause: str


class Look(NamedTuple):
    """What the runner sees: items in hand by number (ordered ones, and the next that wait), their deliveries, the
    results of their orders so far, how many items were ever ordered, and how many the pace allows now.
    """

    replay: Replay
    items: Sequence[Item]
    deliveries: Mapping[tuple[int, int], Now]
    results: Mapping[int, OrderResult]
    ordered: int
    allowance: int


class Settled(NamedTuple):
    """What became of an item."""

    item: Item
    state: ItemState
    result: str


class Step(NamedTuple):
    """What to write: items settled, items to order now, and the state in which the replay ends, if it does."""

    settled: list[Settled]
    release: list[Item]
    end: ReplayState | None = None
    note: str = ""


def step(look: Look) -> Step:
    """The next step of a replay. One that does not run notes what becomes of the items it has ordered, and no more."""
    if look.replay.state is not ReplayState.RUNNING:
        flying = [item for item in look.items if item.state is ItemState.ORDERED]
        return Step([done for item in flying if (done := _settled(item, look)) is not None], [])
    settled = [done for item in look.items if (done := _settled(item, look)) is not None]
    back = [each for each in settled if each.state is ItemState.FAILED and each.result == each.item.cause]
    if back:
        return Step(
            settled, [], ReplayState.STOPPED, f"the old cause {back[0].item.cause} came back: {back[0].item.name}"
        )
    gone = {each.item.number for each in settled}
    ordered = [item for item in look.items if item.state is ItemState.ORDERED and item.number not in gone]
    waiting = [item for item in look.items if item.state is ItemState.WAITING and item.number not in gone]
    if not ordered and not waiting:
        return Step(settled, [], ReplayState.FINISHED)
    room = min(_room(look.replay.canary, look.ordered, len(ordered), look.allowance), OUTSTANDING - len(ordered))
    return Step(settled, _release(waiting, ordered, room))


def _room(canary: Sequence[int], released: int, outstanding: int, allowance: int) -> int:
    """How many may go now. A canary's next size opens when everything before it has ended."""
    sizes = list(accumulate(canary))
    for size in sizes:
        if released < size:
            began = released == 0 or released in sizes
            return 0 if began and outstanding else size - released
    if sizes and released == sizes[-1] and outstanding:
        return 0
    return allowance


def _release(waiting: Sequence[Item], ordered: Sequence[Item], room: int) -> list[Item]:
    """The next items, one of a lane at a time: its next one waits for the outcome."""
    busy = {(item.shard, item.key) for item in ordered}
    chosen: list[Item] = []
    for item in waiting:
        if len(chosen) >= room:
            break
        lane = (item.shard, item.key)
        if lane not in busy:
            busy.add(lane)
            chosen.append(item)
    return chosen


def _settled(item: Item, look: Look) -> Settled | None:
    """An ordered item that has ended, or one that is not to be ordered at all."""
    if item.state is ItemState.WAITING:
        if item.safe or look.replay.wanted.get("include_unsafe"):
            return None
        why = next((finding["text"] for finding in item.findings if finding.get("safe") == "no"), "not safe")
        return Settled(item, ItemState.REFUSED, f"left out: {why}")
    answer = look.results.get(item.order_id)
    if answer is None:
        return None
    if not answer.applied:
        return Settled(item, ItemState.REFUSED, answer.text)
    now = look.deliveries.get((item.shard, item.seq))
    if now is None:
        return Settled(item, ItemState.DONE, "removed by age")
    state = State(now.state)
    if state in FINISHED:
        return Settled(item, ItemState.DONE, now.state)
    if state in PARKED and now.version > item.version + 1:
        return Settled(item, ItemState.FAILED, now.cause)
    return None
