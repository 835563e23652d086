"""Leases and beats, on every kind of ledger."""

from __future__ import annotations

from router.ledger import alerts, leases
from router.ledger.holds import Hold, current_holds, put_holds
from router.ledger.rows import Lease
from tests.ledger.harness import RECIPIENT

SHARD = f"shard:{RECIPIENT}/0"


async def stored(ledger, name=SHARD):
    return (await ledger.read(leases.leases))[name]


async def test_a_new_lease_belongs_to_nobody_and_needs_no_rest(ledger):
    assert await stored(ledger) == leases.LeaseRow(SHARD, None, 0, True)


async def test_ensuring_again_leaves_a_lease_with_its_owner(bare):
    await bare.write(lambda conn: leases.ensure(conn, ["waiting", "purge"]))
    await bare.write(lambda conn: leases.take(conn, "purge", "p1", 0))
    await bare.write(lambda conn: leases.ensure(conn, ["purge", "timers"]))
    found = await bare.read(leases.leases)
    assert sorted(found) == ["purge", "timers", "waiting"]
    assert (found["purge"].owner, found["purge"].epoch) == ("p1", 1)


async def test_taking_raises_the_epoch_and_only_the_first_of_two_takers_has_it(ledger):
    assert await ledger.write(lambda conn: leases.take(conn, SHARD, "p1", 0)) == Lease(SHARD, 1)
    assert await ledger.write(lambda conn: leases.take(conn, SHARD, "p2", 0)) is None
    assert await stored(ledger) == leases.LeaseRow(SHARD, "p1", 1, False)
    assert await ledger.write(lambda conn: leases.take(conn, SHARD, "p2", 1)) == Lease(SHARD, 2)
    assert await ledger.write(lambda conn: leases.take(conn, "no such lease", "p2", 0)) is None


async def test_a_release_says_whether_a_call_was_cut(ledger):
    for clean in (True, False):
        epoch = (await stored(ledger)).epoch
        held = await ledger.write(lambda conn, e=epoch: leases.take(conn, SHARD, "p1", e))
        await ledger.write(lambda conn, held=held, clean=clean: leases.release(conn, [held], clean=clean))
        assert await stored(ledger) == leases.LeaseRow(SHARD, None, epoch + 1, clean)


async def test_a_late_release_does_not_touch_what_another_took(ledger):
    old = await ledger.write(lambda conn: leases.take(conn, SHARD, "p1", 0))
    await ledger.write(lambda conn: leases.take(conn, SHARD, "p2", 1))
    await ledger.write(lambda conn: leases.release(conn, [old], clean=True))
    assert await stored(ledger) == leases.LeaseRow(SHARD, "p2", 2, False)


async def test_beats_are_kept_per_process_until_it_is_forgotten(bare):
    for owner, number in (("p1", 1), ("p2", 7), ("p1", 2)):
        await bare.write(lambda conn, o=owner, n=number: leases.beat(conn, o, n, "delivery,ingress"))
    roles = frozenset({"delivery", "ingress"})
    assert await bare.read(leases.processes) == {"p1": (2, roles), "p2": (7, roles)}
    await bare.write(lambda conn: leases.forget(conn, "p1", now=9))
    assert set(await bare.read(leases.processes)) == {"p2"}


async def test_a_dead_process_is_removed_with_what_it_held_back_unless_it_beats_again(bare):
    held = Hold("tax-h39", "p1", "down", 1, "http 503", 2)
    for owner in ("p1", "p2"):
        await bare.write(lambda conn, o=owner: leases.beat(conn, o, 3))
    await bare.write(lambda conn: put_holds(conn, "p1", [("tax-h39", held)]))
    for subject in ("p1", "p2"):
        await bare.write(lambda conn, s=subject: alerts.raise_alert(conn, "outbox_waits", s, "no broker", now=8))
    await bare.write(lambda conn: leases.bury(conn, "p1", 2, now=9))
    assert await bare.read(current_holds) == [held]
    await bare.write(lambda conn: leases.bury(conn, "p1", 3, now=9))
    assert await bare.read(current_holds) == []
    assert [alert.subject for alert in await bare.read(alerts.open_alerts)] == ["p2"]
    assert set(await bare.read(leases.processes)) == {"p2"}


async def test_a_lease_is_not_taken_from_an_owner_whose_beat_moved_meanwhile(ledger):
    await ledger.write(lambda conn: leases.beat(conn, "p1", 5))
    await ledger.write(lambda conn: leases.take(conn, SHARD, "p1", 0))
    await ledger.write(lambda conn: leases.beat(conn, "p1", 6))
    assert await ledger.write(lambda conn: leases.take(conn, SHARD, "p2", 1, still=("p1", 5))) is None
    assert await ledger.write(lambda conn: leases.take(conn, SHARD, "p2", 1, still=("p1", 6))) == Lease(SHARD, 2)
