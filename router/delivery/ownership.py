"""Leases of this process: beats, taking, and the moment from which nothing may rely on them any more.

A process holds its leases for L seconds after its own monotonic reading taken *before* its last successful beat was
sent. A lease may be taken when its owner's beat has stood still for 1.5 L on the taker's monotonic clock, or was
released. No stored time is ever compared between clocks. Where a lock on the data directory is the lease (embedded
runtime), ``exclusive`` takes everything at once and holds it until the end.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

from router.errors import LedgerError
from router.ledger import leases as table
from router.ledger.rows import Lease
from router.ports import Clock, Ledger

if TYPE_CHECKING:
    from sqlalchemy import Connection


class Seen(NamedTuple):
    """A process's beat, and when (monotonic) this process first saw it at that value."""

    beat: int
    since: float


class Taken(NamedTuple):
    """A lease just taken. ``clean``: its last owner had no call under way when it let go."""

    lease: Lease
    clean: bool


@dataclass(slots=True)
class Watch:
    """What this process has seen of the others' beats. Pure."""

    patience: float
    seen: dict[str, Seen] = field(default_factory=dict)

    def observe(self, beats: Mapping[str, int], now: float) -> None:
        """Note the beats as just read."""
        for process, beat in beats.items():
            if process not in self.seen or self.seen[process].beat != beat:
                self.seen[process] = Seen(beat, now)
        for gone in self.seen.keys() - beats.keys():
            del self.seen[gone]

    def is_dead(self, process: str, now: float) -> bool:
        """Whether a process's beat has stood still for long enough, or it has none."""
        seen = self.seen.get(process)
        return seen is None or now - seen.since > self.patience


class Ownership:
    """The leases this process holds. ``wanted`` names all it would own."""

    def __init__(self, ledger: Ledger, clock: Clock, process: str, *, length: float = 15.0, exclusive: bool) -> None:
        self.process, self.length, self.exclusive = process, length, exclusive
        self._ledger, self._clock = ledger, clock
        self._watch = Watch(1.5 * length)
        self._held: dict[str, Lease] = {}
        self._until = 0.0
        self._beats = 0

    def held(self, name: str) -> Lease | None:
        """The lease, if it may be relied on now."""
        return self._held.get(name) if self._valid() else None

    def names(self) -> set[str]:
        """All leases that may be relied on now."""
        return set(self._held) if self._valid() else set()

    async def beat(self) -> None:
        """Say that this process lives. Raises ``LedgerError``; then the leases run out by themselves."""
        before = self._clock.monotonic()
        self._beats += 1
        beats = self._beats
        await self._ledger.write(lambda conn: table.beat(conn, self.process, beats))
        self._until = before + self.length

    async def take(self, wanted: Iterable[str]) -> list[Taken]:
        """Take what is free of ``wanted``, one lease per transaction; those already held are left out."""
        missing = sorted(set(wanted) - self._held.keys())
        if not missing:
            return []
        await self._ledger.write(lambda conn: table.ensure(conn, missing))
        beats, rows = await self._ledger.read(lambda conn: (table.processes(conn), table.leases(conn)))
        now = self._clock.monotonic()
        self._watch.observe(beats, now)
        taken: list[Taken] = []
        for name in missing:
            row = rows[name]
            free = self.exclusive or row.owner is None or self._watch.is_dead(row.owner, now)
            if not free:
                continue
            lease = await self._take(row)
            if lease is not None:
                self._held[name] = lease
                taken.append(Taken(lease, row.clean or row.epoch == 0))
        return taken

    async def _take(self, row: table.LeaseRow) -> Lease | None:
        return await self._ledger.write(lambda conn: table.take(conn, row.name, self.process, row.epoch))

    def lost(self, name: str) -> None:
        """Another epoch owns it: forget it."""
        self._held.pop(name, None)

    async def release(self, *, clean: bool) -> None:
        """Let go of everything at the end. ``clean`` only if no call was cut off.

        If the ledger cannot be reached, the beat stands still from now on and others take over by that.
        """
        held = list(self._held.values())
        self._held.clear()
        with suppress(LedgerError):
            await self._ledger.write(lambda conn: _let_go(conn, held, self.process, clean=clean))

    def _valid(self) -> bool:
        return self.exclusive or self._clock.monotonic() < self._until


def _let_go(conn: Connection, held: list[Lease], process: str, *, clean: bool) -> None:
    table.release(conn, held, clean=clean)
    table.forget(conn, process)
