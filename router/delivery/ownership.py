"""Leases of this process: beats, taking, sharing, and the moment from which nothing may rely on them any more.

A process holds its leases for L seconds after its own monotonic reading taken *before* its last successful beat was
sent. A lease may be taken when its owner's beat has stood still for 1.5 L on the taker's monotonic clock, or was
released; the taker looks at that beat once more inside its transaction, and a beat reads what its process still owns,
so that a frozen process learns of its loss before it relies on anything again. No stored time is ever compared between
clocks. Live processes share leases by rendezvous hashing. Where a lock on the data directory is the lease (embedded
runtime), ``exclusive`` takes everything at once and holds it until the end.
"""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Iterable
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING, Final, NamedTuple

from router.delivery.sharing import Watch, preferred
from router.errors import LedgerError
from router.ledger import leases as table
from router.ledger.rows import Lease
from router.ports import Clock, Ledger

if TYPE_CHECKING:
    from sqlalchemy import Connection

BEATS_A_LEASE: Final = 5
FORGOTTEN_AFTER: Final = 10  # lease lengths after which the row of a dead process is removed
DELIVERY: Final = "delivery"
INGRESS: Final = "ingress"


class Taken(NamedTuple):
    """A lease just taken. ``clean``: its last owner had no call under way when it let go."""

    lease: Lease
    clean: bool


class _Look(NamedTuple):
    processes: dict[str, table.ProcessRow]
    leases: dict[str, table.LeaseRow]


class Ownership:
    """The leases this process holds. ``roles`` are the kinds of leases it takes part in sharing."""

    def __init__(
        self,
        ledger: Ledger,
        clock: Clock,
        process: str,
        *,
        length: float = 15.0,
        exclusive: bool,
        roles: Collection[str] = (DELIVERY, INGRESS),
    ) -> None:
        self.process, self.length, self.exclusive, self.roles = process, length, exclusive, frozenset(roles)
        self._ledger, self._clock = ledger, clock
        self._watch = Watch(1.5 * length)
        self._held: dict[str, Lease] = {}
        self._look = _Look({}, {})
        self._until = 0.0
        self._next_beat = 0.0
        self._beats = 0
        self._ended = False
        self._one_at_a_time = asyncio.Lock()  # what a beat reads and what this process takes must not cross

    def held(self, name: str) -> Lease | None:
        """The lease, if it may be relied on now."""
        return self._held.get(name) if self._valid() else None

    def names(self) -> set[str]:
        """All leases that may be relied on now."""
        return set(self._held) if self._valid() else set()

    def lapsed(self, lease: Lease) -> bool:
        """Whether another epoch owns it for certain; while a beat is only late it may come back."""
        return self._held.get(lease.name) != lease

    async def keep(self) -> None:
        """Beat if it is time to. Raises ``LedgerError``; then the leases run out by themselves."""
        now = self._clock.monotonic()
        if not self._ended and now >= self._next_beat:
            self._next_beat = now + self.length / BEATS_A_LEASE
            await self.beat()

    async def beat(self) -> None:
        """Say that this process lives, and learn who else does and what is still its own. Raises ``LedgerError``."""
        async with self._one_at_a_time:
            if self._ended:
                return
            before = self._clock.monotonic()
            self._beats += 1
            beats, roles = self._beats, ",".join(sorted(self.roles))
            look = await self._ledger.write(lambda conn: _beat(conn, self.process, beats, roles))
            self._see(look)
            for name, lease in list(self._held.items()):
                row = look.leases.get(name)
                if row is None or row.epoch != lease.epoch or row.owner != self.process:
                    del self._held[name]
            self._until = max(self._until, before + self.length)
            await self._tidy(look)

    async def take(self, wanted: Iterable[str], role: str = DELIVERY) -> list[Taken]:
        """Take what is free of ``wanted`` and this process's share of it, one lease per transaction.

        Those already held are left out. Raises ``LedgerError``.
        """
        missing = sorted(set(wanted) - self._held.keys())
        if not missing or self._ended:
            return []
        if unknown := [name for name in missing if name not in self._look.leases]:
            self._see(await self._ledger.write(lambda conn: _ensured(conn, unknown)))
        taken: list[Taken] = []
        live = self._live(role)
        for name in missing:
            row = self._look.leases[name]
            if self._free(row) and (self.exclusive or preferred(name, live) == self.process):
                try:
                    lease = await self._take(row)
                except LedgerError:
                    if taken:
                        return taken  # those are this process's now: they must not be forgotten
                    raise
                if lease is not None:
                    taken.append(Taken(lease, row.clean or row.epoch == 0))
        return taken

    def surplus(self, names: Iterable[str], role: str = DELIVERY) -> list[str]:
        """Which of these held leases another live process should have."""
        if self.exclusive:
            return []
        live = self._live(role)
        return [name for name in names if name in self._held and preferred(name, live) != self.process]

    async def hold(self, name: str, role: str = DELIVERY) -> Lease | None:
        """Take part in a single-handed job: its lease while it is this process's turn, else None.

        To be called between two turns of the job: a lease that another process should have is let go of here.
        Raises ``LedgerError``.
        """
        if self.surplus([name], role):
            await self.let_go([name], clean=True)
            return None
        await self.take([name], role)
        return self.held(name)

    async def let_go(self, names: Iterable[str], *, clean: bool) -> None:
        """Release leases that another process should have; ``clean`` only if no call of theirs was cut off."""
        async with self._one_at_a_time:
            released = [lease for name in names if (lease := self._held.pop(name, None)) is not None]
            with suppress(LedgerError):  # the next beat finds them still in its name, and lets go of them
                await self._ledger.write(lambda conn: table.release(conn, released, clean=clean))

    def lost(self, name: str) -> None:
        """Another epoch owns it: forget it."""
        self._held.pop(name, None)

    async def release(self, *, clean: bool) -> None:
        """Let go of everything at the end. ``clean`` only if no call was cut off.

        If the ledger cannot be reached, the beat stands still from now on and others take over by that.
        """
        async with self._one_at_a_time:
            self._ended = True  # a beat now would make others believe in a process that has gone
            held = list(self._held.values())
            self._held.clear()
            with suppress(LedgerError):
                await self._ledger.write(
                    lambda conn: _let_go(conn, held, self.process, clean=clean, now=self._clock.now())
                )

    def _see(self, look: _Look) -> None:
        self._look = look
        self._watch.observe(look.processes, self._clock.monotonic())

    def _live(self, role: str) -> list[str]:
        now = self._clock.monotonic()
        others = [
            name
            for name, row in self._look.processes.items()
            if name != self.process and role in row.roles and not self._watch.is_dead(name, now)
        ]
        return [*others, self.process]

    def _free(self, row: table.LeaseRow) -> bool:
        if self.exclusive or row.owner is None:
            return True
        return row.owner != self.process and self._watch.is_dead(row.owner, self._clock.monotonic())

    async def _take(self, row: table.LeaseRow) -> Lease | None:
        seen = self._watch.seen.get(row.owner) if row.owner is not None and not self.exclusive else None
        still = (row.owner, seen.beat) if row.owner is not None and seen is not None else None
        async with self._one_at_a_time:
            if self._ended:
                return None
            lease = await self._ledger.write(
                lambda conn: table.take(conn, row.name, self.process, row.epoch, still=still)
            )
            if lease is not None:
                self._held[row.name] = lease
            return lease

    async def _tidy(self, look: _Look) -> None:
        """Let go of what stands in this process's name without its knowing (the commit's fate was unknown), and remove
        the rows of processes that are dead for long and own nothing.
        """
        strays = [
            Lease(row.name, row.epoch)
            for row in look.leases.values()
            if row.owner == self.process and row.name not in self._held
        ]
        if strays:
            await self._ledger.write(lambda conn: table.release(conn, strays, clean=False))
        owners = {row.owner for row in look.leases.values()}
        now, limit = self._clock.monotonic(), FORGOTTEN_AFTER * self.length
        for name, seen in list(self._watch.seen.items()):
            if name != self.process and name not in owners and now - seen.since > limit:
                await self._ledger.write(partial(table.bury, owner=name, beat=seen.beat, now=self._clock.now()))

    def _valid(self) -> bool:
        return self.exclusive or self._clock.monotonic() < self._until


def _beat(conn: Connection, process: str, number: int, roles: str) -> _Look:
    table.beat(conn, process, number, roles)
    return _looked(conn)


def _ensured(conn: Connection, names: list[str]) -> _Look:
    table.ensure(conn, names)
    return _looked(conn)


def _looked(conn: Connection) -> _Look:
    """Leases first: whoever owns one beat before it did, so that one born between the two reads is not taken for dead
    (each read sees what is committed by then).
    """
    leases = table.leases(conn)
    return _Look(table.processes(conn), leases)


def _let_go(conn: Connection, held: list[Lease], process: str, *, clean: bool, now: int) -> None:
    table.release(conn, held, clean=clean)
    table.forget(conn, process, now=now)
