"""What operators do with replays: the service behind commands and consoles."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Final, NamedTuple

from router.errors import OrderRefused
from router.ledger import audit, replays
from router.ledger.dead_letters import DeadFilter
from router.ledger.replays import Item, Replay, ReplayState
from router.ports import Clock, Ledger
from router.replay.planner import Planner, Progress, stored_filter

if TYPE_CHECKING:
    from sqlalchemy import Connection

#: From which states a person may bring a replay into which.
ALLOWED: Final = {
    ReplayState.RUNNING: (ReplayState.PLANNED, ReplayState.PAUSED),
    ReplayState.PAUSED: (ReplayState.RUNNING,),
    ReplayState.CANCELLED: (ReplayState.FREEZING, ReplayState.PLANNED, ReplayState.RUNNING, ReplayState.PAUSED),
}
VERBS: Final = {
    ReplayState.RUNNING: "replay_start",
    ReplayState.PAUSED: "replay_pause",
    ReplayState.CANCELLED: "replay_cancel",
}


@dataclass(frozen=True, slots=True)
class Plan:
    """What an operator asks for: by ``names``, or by ``wanted``. ``rate`` in items a second (0: no limit)."""

    who: str
    why: str
    wanted: DeadFilter = field(default_factory=DeadFilter)
    names: Sequence[str] = ()
    rate: float = 0.0
    canary: Sequence[int] = ()
    out_of_order: bool = False
    include_unsafe: bool = False


class Seen(NamedTuple):
    """A replay with the number of its items by state."""

    replay: Replay
    counts: dict[str, int]


class ReplayDesk:
    """``planner`` is needed for planning only."""

    def __init__(self, ledger: Ledger, clock: Clock, planner: Planner | None = None) -> None:
        self._ledger, self._clock, self._planner = ledger, clock, planner

    async def plan(self, plan: Plan, progress: Progress) -> int:
        """Freeze the list and examine every item; the replay's id. Raises ``OrderRefused``."""
        assert self._planner is not None
        wanted = {**stored_filter(plan.wanted), "include_unsafe": plan.include_unsafe}
        opened = Replay(
            0, ReplayState.FREEZING, 1, plan.who, plan.why, wanted, plan.rate, plan.canary, plan.out_of_order, 0,
            self._clock.now(),
        )  # fmt: skip
        plan_id = await self._planner.begin(opened, plan.names)
        await self.plan_on(plan_id, progress)
        return plan_id

    async def plan_on(self, plan_id: int, progress: Progress) -> None:
        """Go on with a plan that was interrupted while it was frozen or examined. Raises ``OrderRefused``."""
        assert self._planner is not None
        plan = await self._ledger.read(partial(replays.load, replay_id=plan_id))
        if plan.state is not ReplayState.FREEZING:
            raise OrderRefused(f"replay {plan_id} is {plan.state}: nothing is left to plan")
        await self._planner.freeze(plan, progress)
        await self._planner.dry_run(plan_id, progress)

    async def start(self, plan_id: int, *, who: str, why: str) -> Replay:
        """Let a planned or paused replay run. Raises ``OrderRefused``."""
        return await self._move(plan_id, ReplayState.RUNNING, who, why)

    async def pause(self, plan_id: int, *, who: str, why: str) -> Replay:
        """Order nothing more until it is resumed; what is ordered goes on. Raises ``OrderRefused``."""
        return await self._move(plan_id, ReplayState.PAUSED, who, why)

    async def cancel(self, plan_id: int, *, who: str, why: str) -> Replay:
        """End it; items that were not ordered stay dead letters. Raises ``OrderRefused``."""
        return await self._move(plan_id, ReplayState.CANCELLED, who, why)

    async def status(self, plan_id: int) -> Seen:
        """One replay. Raises ``OrderRefused``."""
        return await self._ledger.read(lambda conn: _seen(conn, replays.load(conn, plan_id)))

    async def listed(self, limit: int) -> list[Seen]:
        """The newest replays."""
        return await self._ledger.read(lambda conn: [_seen(conn, each) for each in replays.listed(conn, limit)])

    async def items(self, plan_id: int, *, after: int = 0, limit: int = 1_000) -> list[Item]:
        """Items in their order, with what the dry run said and what became of them."""
        return await self._ledger.read(partial(replays.page, replay_id=plan_id, after=after, limit=limit))

    async def _move(self, plan_id: int, state: ReplayState, who: str, why: str) -> Replay:
        now = self._clock.now()

        def write(conn: Connection) -> Replay:
            seen = replays.load(conn, plan_id)
            if seen.state not in ALLOWED[state]:
                raise OrderRefused(f"replay {plan_id} is {seen.state}: it cannot become {state}")
            if not replays.move(conn, seen, state, now=now):
                raise OrderRefused(f"somebody else has just changed replay {plan_id}: look again")
            detail = {"from": seen.state.value, "to": state.value, "items": seen.items}
            audit.record(conn, now, who=who, verb=VERBS[state], target=f"replay/{plan_id}", why=why, detail=detail)
            return replays.load(conn, plan_id)

        return await self._ledger.write(write)


def _seen(conn: Connection, replay: Replay) -> Seen:
    return Seen(replay, replays.counts(conn, replay.id))
