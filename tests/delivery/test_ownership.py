"""Leases between processes, on one ledger and one clock that only the tests move."""

from __future__ import annotations

import pytest

from router.delivery.ownership import DELIVERY, INGRESS, Ownership
from router.delivery.sharing import preferred
from router.errors import LedgerUnavailable
from router.ledger import leases
from router.ledger.engine import open_ledger
from router.sdk.testing.clock import ManualClock
from tests.ledger.harness import new_file

L = 10.0
NAMES = [f"shard:tax-h39/{n}" for n in range(12)]


@pytest.fixture
async def ledger(tmp_path):
    opened = open_ledger(new_file(tmp_path), ManualClock(), lease_seconds=L)
    await opened.open()
    yield opened
    await opened.close()


@pytest.fixture
def clock():
    return ManualClock()


def process(ledger, clock, name, **changes):
    return Ownership(ledger, clock, name, length=L, exclusive=False, **changes)


async def share(*owners, wanted=NAMES):
    """One round: everybody has seen everybody, lets go of what others should have, and takes its share."""
    for owner in (*owners, *owners):
        await owner.beat()
    for owner in owners:
        await owner.let_go(owner.surplus(wanted), clean=True)
    for owner in owners:
        await owner.beat()
        await owner.take(wanted)


async def test_one_process_alone_has_everything(ledger, clock):
    alone = process(ledger, clock, "p1")
    await share(alone)
    assert alone.names() == set(NAMES)


async def test_two_processes_share_and_nobody_has_what_another_has(ledger, clock):
    first, second = process(ledger, clock, "p1"), process(ledger, clock, "p2")
    await share(first)
    await share(first, second)
    assert first.names() | second.names() == set(NAMES)
    assert not first.names() & second.names()
    assert first.names() == {name for name in NAMES if preferred(name, ["p1", "p2"]) == "p1"}


async def test_a_process_that_goes_leaves_its_share_to_the_others_at_once(ledger, clock):
    first, second = process(ledger, clock, "p1"), process(ledger, clock, "p2")
    await share(first, second)
    await share(first, second)
    await second.release(clean=True)
    await first.beat()
    taken = await first.take(NAMES)
    assert first.names() == set(NAMES)
    assert all(taking.clean for taking in taken)


async def test_a_dead_process_is_taken_over_only_after_one_and_a_half_lease_lengths(ledger, clock):
    first, second = process(ledger, clock, "p1"), process(ledger, clock, "p2")
    await share(first)
    await second.beat()
    await clock.advance(1.5 * L)
    await second.beat()
    assert await second.take(NAMES) == []
    await clock.advance(0.1)
    await second.beat()
    taken = await second.take(NAMES)
    assert second.names() == set(NAMES)
    assert not any(taking.clean for taking in taken)


async def test_an_owner_relies_on_nothing_from_the_moment_its_lease_has_run_out(ledger, clock):
    owner = process(ledger, clock, "p1")
    await share(owner)
    await clock.advance(L - 0.001)
    assert owner.held(NAMES[0]) is not None
    await clock.advance(0.001)
    assert owner.held(NAMES[0]) is None
    assert owner.names() == set()
    await owner.beat()
    assert owner.names() == set(NAMES)  # nobody had taken anything


async def test_a_frozen_owner_learns_of_its_loss_before_it_relies_on_anything_again(ledger, clock):
    frozen, taker = process(ledger, clock, "p1"), process(ledger, clock, "p2")
    await share(frozen)
    lease = frozen.held(NAMES[0])
    await taker.beat()
    await clock.advance(1.6 * L)
    await taker.beat()
    await taker.take(NAMES)
    await frozen.beat()
    assert frozen.names() == set()
    assert frozen.lapsed(lease)


async def test_a_beat_between_the_look_and_the_taking_saves_the_owner(ledger, clock):
    owner, taker = process(ledger, clock, "p1"), process(ledger, clock, "p2")
    await share(owner)
    await taker.beat()
    await clock.advance(1.6 * L)
    await taker.beat()
    await owner.beat()
    assert await taker.take(NAMES) == []
    assert owner.names() == set(NAMES)


async def test_processes_of_other_roles_take_no_part(ledger, clock):
    delivery = process(ledger, clock, "p1", roles={DELIVERY})
    ingress = process(ledger, clock, "p2", roles={INGRESS})
    await share(delivery)
    await ingress.beat()
    await delivery.beat()
    assert delivery.surplus(NAMES) == []
    assert await ingress.hold("poll:tax-h39/notices", INGRESS) is not None


async def test_a_single_handed_job_moves_to_the_process_whose_turn_it_is(ledger, clock):
    first, second = process(ledger, clock, "p1"), process(ledger, clock, "p2")
    job = next(name for name in (f"job:{n}" for n in range(99)) if preferred(name, ["p1", "p2"]) == "p2")
    await first.beat()
    assert await first.hold(job) is not None
    await second.beat()
    await first.beat()
    assert await first.hold(job) is None
    await second.beat()
    assert await second.hold(job) is not None


async def test_a_release_that_did_not_reach_the_ledger_is_made_good_by_the_next_beat(ledger, clock):
    first, second = process(ledger, clock, "p1"), process(ledger, clock, "p2")
    await share(first)
    await second.beat()
    await first.beat()
    surplus = first.surplus(NAMES)
    write, ledger.write = ledger.write, _unreachable
    await first.let_go(surplus, clean=True)
    ledger.write = write
    assert surplus
    assert not set(surplus) & first.names()
    await first.beat()
    rows = await ledger.read(leases.leases)
    assert {rows[name].owner for name in surplus} == {None}


async def test_the_row_of_a_process_long_dead_is_removed(ledger, clock):
    first, second = process(ledger, clock, "p1"), process(ledger, clock, "p2")
    await first.beat()
    await second.beat()
    await clock.advance(10 * L + 1)
    await second.beat()
    assert set(await ledger.read(leases.processes)) == {"p2"}


async def _unreachable(_work):
    raise LedgerUnavailable("cut off")


async def test_who_is_born_while_it_is_looked_at_is_not_taken_for_dead(ledger, clock, monkeypatch):
    """PostgreSQL shows each read what is committed by then: a beat and a lease may appear between two of them."""
    first = process(ledger, clock, "p1")
    await share(first)
    await first.let_go(NAMES, clean=True)
    honest = {"processes": leases.processes, "leases": leases.leases}
    reads = []

    def between(name):
        def read(conn):
            found = honest[name](conn)
            if not reads:
                leases.beat(conn, "p2", 1, DELIVERY)
                leases.take(conn, NAMES[0], "p2", honest["leases"](conn)[NAMES[0]].epoch)
            reads.append(name)
            return found

        return read

    for name in honest:
        monkeypatch.setattr(leases, name, between(name))
    await first.beat()
    taken = await first.take(NAMES[:1])
    assert [each.lease.name for each in taken] == []
    assert (await ledger.read(honest["leases"]))[NAMES[0]].owner == "p2"
