"""Orders where nobody is alive to apply them: the lease is taken, and let go of as it was found."""

from __future__ import annotations

import pytest

from router.ledger import leases, orders, recipients
from router.ledger.rows import shard_lease
from router.lock import DirectoryLock
from router.operations import Operations
from router.placing import ANSWER_PATIENCE, Placing
from router.sdk.testing.clock import ManualClock
from tests.ledger.harness import RECIPIENT

LEASE = shard_lease(RECIPIENT, 0)
WHO = {"who": "an.nv", "why": "bảo trì"}
LENGTH = 8.0


class Passing(ManualClock):
    """Time passes by sleeping; ``meanwhile`` is done at each pause."""

    def __init__(self, meanwhile=None) -> None:
        super().__init__(flows=True)
        self.meanwhile = meanwhile
        self.slept = 0.0

    async def sleep(self, seconds: float) -> None:
        self.slept += seconds
        if self.meanwhile is not None:
            await self.meanwhile(self)
        await super().sleep(seconds)


async def owned(ledger, *, beat=1, released: bool | None = None):
    def write(conn):
        leases.beat(conn, "p1", beat, "delivery")
        lease = leases.take(conn, LEASE, "p1", 0)
        if released is not None:
            leases.release(conn, [lease], clean=released)

    await ledger.write(write)


async def row(ledger):
    return (await ledger.read(leases.leases))[LEASE]


async def status(ledger):
    return [state.status for state in await ledger.read(recipients.recipient_states)]


@pytest.mark.parametrize("clean", [True, False])
async def test_a_free_lease_is_let_go_of_as_clean_as_it_was(ledger, clean):
    """Else a call that was cut off would count as ended, and its successor would go out beside it."""
    await owned(ledger, released=clean)
    answer = await Operations(ledger, Passing(), None, lease_seconds=LENGTH).hold_recipient(RECIPIENT, **WHO)
    assert (answer.alone, answer.result.applied) == (True, True)
    assert await status(ledger) == ["held"]
    assert ((await row(ledger)).owner, (await row(ledger)).clean) == (None, clean)


async def test_under_the_directory_lock_a_killed_owner_stays_unclean(ledger, tmp_path):
    await owned(ledger)
    desk = Operations(ledger, Passing(), DirectoryLock(tmp_path), lease_seconds=LENGTH)
    assert (await desk.hold_recipient(RECIPIENT, **WHO)).alone
    assert ((await row(ledger)).owner, (await row(ledger)).clean) == (None, False)


async def test_an_owner_whose_beat_stands_still_is_waited_for_and_then_stood_in_for(ledger):
    """What a SIGKILL leaves behind: the lease in the name of a process that is gone."""
    await owned(ledger)
    clock = Passing()
    answer = await Operations(ledger, clock, None, lease_seconds=LENGTH).hold_recipient(RECIPIENT, **WHO)
    assert (answer.alone, answer.result.applied) == (True, True)
    assert 1.5 * LENGTH < clock.slept < 1.5 * LENGTH + 1
    assert ((await row(ledger)).owner, (await row(ledger)).clean) == (None, False)


async def test_an_owner_that_lives_is_not_robbed_however_late_it_answers(ledger):
    await owned(ledger)

    async def beats(clock):
        await ledger.write(lambda conn: leases.beat(conn, "p1", int(clock.slept), "delivery"))

    answer = await Operations(ledger, Passing(beats), None, lease_seconds=LENGTH).hold_recipient(RECIPIENT, **WHO)
    assert (answer.alone, answer.result.applied) == (False, False)
    assert "no process has answered" in answer.result.text
    assert (await row(ledger)).owner == "p1"
    assert await status(ledger) == []


async def test_who_took_the_lease_since_it_was_looked_at_keeps_it(ledger, monkeypatch):
    """A process that starts at this very moment: its lease is read as free, and taken before the order is applied."""
    await owned(ledger, released=True)
    honest = Placing._apply_alone

    async def late(self, *args):
        if (await row(ledger)).owner is None:
            await ledger.write(lambda conn: leases.beat(conn, "p2", 1, "delivery"))
            await ledger.write(lambda conn: leases.take(conn, LEASE, "p2", 1))
        return await honest(self, *args)

    async def beats(clock):
        await ledger.write(lambda conn: leases.beat(conn, "p2", int(clock.slept), "delivery"))

    monkeypatch.setattr(Placing, "_apply_alone", late)
    clock = Passing(beats)
    answer = await Operations(ledger, clock, None, lease_seconds=LENGTH).hold_recipient(RECIPIENT, **WHO)
    assert not answer.alone
    assert (await row(ledger)).owner == "p2"
    assert len(await ledger.read(lambda conn: orders.pending(conn, [LEASE], 9))) == 1
    assert clock.slept < ANSWER_PATIENCE + 1
