"""A simulated process is a set of port handles with a power switch, and chance decides what each use of one meets."""

from __future__ import annotations

import asyncio
from collections import Counter
from contextvars import ContextVar
from dataclasses import dataclass, field
from datetime import UTC, datetime
from random import Random  # the one source of chance of a whole simulation
from typing import Final
from uuid import UUID

from router.events import derived_id

EPOCH: Final = 1_750_000_000_000_000  # µs; what virtual time 0 is in wall time, and in business time
BUSINESS_PACE: Final = 43_200.0  # seconds of business time in a virtual second: half a day
BUSINESS_STOPS: Final = 24.0  # virtual seconds; behind it no timer comes due any more, so that the world comes to rest

#: Everything that can go wrong. A run of many seeds that never met one proves nothing.
FAULTS: Final = (
    "500 after the work", "500 without the work", "acknowledgement lost", "broker restarts", "commit unknown, done",
    "commit unknown, not done", "crash at an await", "instance changed meanwhile", "lease lost", "ledger away",
    "ledger unavailable", "no answer to the question", "note lost", "partner busy", "partner down", "partner throttles",
    "process frozen", "process killed", "process restarted", "publish lost", "published twice", "slow answer",
    "stale poll",
)  # fmt: skip

#: What people do, and what becomes of events, timers and computed effects in procedures: must be met as well.
TURNS: Final = (
    "calendar changes", "effects computed again", "event applied", "event early", "event illegal", "event late",
    "event noted", "operator discards", "operator edits", "operator plans a replay", "operator recalculates",
    "operator refused", "operator replays", "operator skips", "operator stops", "timer fires",
)  # fmt: skip

#: Every place where a process waits for a port, and may be frozen or end.
AWAITS: Final = (
    "edges", "effects prepared", "fetched", "lag", "ledger committed", "ledger read", "ledger write", "note",
    "offsets commit", "partner answers", "partner asked", "partner called", "partner probed", "polled", "published",
    "publisher", "publisher reopen", "reader", "reader set", "subscribe", "subscription close", "timers swept",
)  # fmt: skip


class Over(BaseException):
    """The simulation is over: whatever still runs unwinds."""


class Gone(BaseException):
    """A process died while the broker waited for its listener: the broker goes on without it."""


#: Whether what runs is a member's listener that a rebalance waits for.
BROKER_WAITS: Final[ContextVar[bool]] = ContextVar("broker_waits", default=False)


@dataclass
class Chance:
    """All chance of a simulation, and how often each fault and each await point was met."""

    random: Random
    intensity: float = 1.0
    quiet: bool = False  # no faults any more: the world comes to rest
    hits: Counter[str] = field(default_factory=lambda: Counter(dict.fromkeys((*FAULTS, *TURNS, *AWAITS), 0)))

    def met(self, name: str) -> None:
        """Count a fault, a turn or an await. Raises ``KeyError`` for one that is not listed above."""
        if name not in self.hits:
            raise KeyError(name)
        self.hits[name] += 1

    def strikes(self, fault: str, probability: float) -> bool:
        """Whether a fault happens here; counted if it does."""
        if self.quiet or self.random.random() >= probability * self.intensity:
            return False
        self.met(fault)
        return True

    def between(self, low: float, high: float) -> float:
        """A number in between."""
        return self.random.uniform(low, high)


@dataclass(eq=False)
class Power:
    """On, frozen, or off for good. ``gate`` is where a process uses a port: there it may be frozen or end."""

    name: str
    chance: Chance
    off: bool = False
    over: bool = False
    frozen: asyncio.Event | None = None
    thawed_at: float = -1.0
    crash_wanted: bool = False

    async def gate(self, point: str, low: float = 0.0005, high: float = 0.01) -> None:
        """Take some time; never return if the process is off."""
        self.chance.met(point)
        if self.chance.strikes("crash at an await", 0.0004):
            self.crash_wanted = True
            self.off = True
        await asyncio.sleep(self.chance.between(low, high))
        await self.still()

    async def still(self) -> None:
        """Wait while frozen; for ever if off."""
        if self.frozen is not None:
            await self.frozen.wait()
        if self.off:
            await _ended(self)


async def _ended(power: Power) -> None:
    """Nothing of a dead process goes on, until the simulation itself is over."""
    if BROKER_WAITS.get():
        raise Gone
    while not power.over:
        await asyncio.sleep(1e6)
    raise Over


class SimClock:
    """Virtual time as a process has it: it goes on while the process is frozen."""

    def __init__(self, power: Power) -> None:
        self._power = power

    def monotonic(self) -> float:
        """Seconds since the start."""
        return asyncio.get_running_loop().time()

    def now(self) -> int:
        """UTC µs."""
        return EPOCH + int(self.monotonic() * 1_000_000)

    def business(self) -> datetime:
        """Half a day for each second, until it stands still."""
        passed = BUSINESS_PACE * min(self.monotonic(), BUSINESS_STOPS)
        return datetime.fromtimestamp(EPOCH / 1e6 + passed, UTC)

    async def sleep(self, seconds: float) -> None:
        """Virtual seconds."""
        await asyncio.sleep(seconds)
        await self._power.still()


class SimIds:
    """Ids and jitter from the simulation's chance."""

    def __init__(self, chance: Chance, name: str) -> None:
        self._chance, self._name, self._count = chance, name, 0

    def new(self) -> UUID:
        """The next id."""
        self._count += 1
        return UUID(derived_id("simulation", self._name, str(self._count)))

    def jitter(self) -> float:
        """In [0, 1)."""
        return self._chance.random.random()
