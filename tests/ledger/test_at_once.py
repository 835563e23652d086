"""Two processes do the same thing at the same moment on one PostgreSQL: each is right, none fails."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from typing import Any

import pytest
from sqlalchemy import Connection, func, select, text
from sqlalchemy.util import await_only

from router.errors import LedgerUnavailable, OrderRefused
from router.events import key_of
from router.ledger import alerts, audit, identity, installation, leases, orders, recipients, store
from router.ledger import tables as t
from router.ledger.identity import Claim
from router.ledger.rows import Lease, Order, RecipientState, Verb
from router.ports import Ledger
from router.sdk.testing.clock import ManualClock
from tests.ledger.harness import NOW, RECIPIENT, accept, arrival, opened

pytestmark = pytest.mark.postgres

ORDER = Order(f"shard:{RECIPIENT}/0", Verb.SKIP, "an.nv", "trùng", shard=1, seq=1, recipient=RECIPIENT)


@pytest.fixture
async def server(emptied) -> AsyncIterator[Ledger]:
    """A ledger whose pool lets several transactions run side by side."""
    async with opened(await emptied.empty(), ManualClock(flows=True)) as ledger:
        yield ledger


async def at_once(ledger: Ledger, *works: Callable[[Connection], Any]) -> list[Any]:
    """Run works in transactions that are all open before any of them does anything."""
    open_together = asyncio.Barrier(len(works))
    begun: set[int] = set()

    def together(number: int, work: Callable[[Connection], Any]) -> Callable[[Connection], Any]:
        def run(conn: Connection) -> Any:
            conn.execute(text("SELECT 1"))
            if number not in begun:
                begun.add(number)
                await_only(open_together.wait())
            return work(conn)

        return run

    return await asyncio.gather(
        *(ledger.write(together(number, work)) for number, work in enumerate(works)), return_exceptions=True
    )


async def test_two_first_starts_register_the_same_shards_once(server):
    def start(conn):
        installation.require_partitions(conn, 4)
        store.register_shards(conn, RECIPIENT, 4)
        leases.ensure(conn, ["waiting", "purge"])

    assert await at_once(server, start, start, start) == [None] * 3
    assert len(await server.read(store.shards)) == 4
    assert len(await server.read(leases.leases)) == 6


async def test_audit_rows_written_at_once_are_one_chain(server):
    def record(conn):
        audit.record(conn, NOW, who="an.nv", verb="skip", target="x", why="lý do", detail={})

    assert await at_once(server, *[record] * 6) == [None] * 6
    assert await server.read(audit.broken) is None
    assert await server.read(lambda c: c.execute(select(func.count()).select_from(t.audit)).scalar()) == 6


async def test_an_alert_raised_at_once_is_one_alert_counted(server):
    made = await at_once(server, *[lambda c: alerts.raise_alert(c, "down", RECIPIENT, "x", now=NOW)] * 4)
    assert sorted(made) == [False, False, False, True]
    assert [alert.times for alert in await server.read(alerts.open_alerts)] == [4]


async def test_of_two_orders_on_one_delivery_one_is_placed_and_the_other_told(server):
    other = replace(ORDER, who="binh.tt", verb=Verb.DISCARD)
    made = await at_once(server, *(lambda c, o=o: orders.place(c, o, now=NOW) for o in (ORDER, other)))
    assert {type(result) for result in made} == {int, OrderRefused}


async def test_of_two_takers_one_has_the_lease(server):
    await server.write(lambda conn: leases.ensure(conn, ["waiting"]))
    made = await at_once(server, *(lambda c, p=p: leases.take(c, "waiting", p, 0) for p in ("p1", "p2", "p3")))
    assert sorted(made, key=str) == [Lease("waiting", 1), None, None]


async def test_one_code_claimed_at_once_is_one_id_and_another_owner_still_a_conflict(server):
    def claim(owner):
        def work(conn):
            identity.lock_references(conn, [("dossier", "c")])
            return identity.claim(conn, "dossier", "c", issuer="one-stop-h39", owner=owner, now=NOW)

        return work

    key = key_of("dossier", "c")
    made = await at_once(server, claim(b"1" * 16), claim(b"1" * 16), claim(b"2" * 16))
    assert {result.key for result in made} == {key}
    assert sorted(result.conflict for result in made) in ([False, False, True], [False, True, True])
    assert Claim(key, False) in made


async def test_a_recipients_state_and_a_documents_class_are_set_at_once(server):
    key = key_of("document", "d")

    def work(conn):
        recipients.set_recipient(conn, RecipientState(RECIPIENT, "stopped", NOW, "401"))
        return identity.pin_urgent(conn, key, True)

    assert await at_once(server, work, work, work) == [True] * 3
    assert len(await server.read(recipients.recipient_states)) == 1


async def test_a_serialization_failure_is_tried_again(server):
    await server.write(lambda conn: store.register_shards(conn, RECIPIENT, 1))
    await accept(server, arrival(0))
    tries = []

    def work(conn):
        conn.execute(text("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ"))
        before = conn.execute(select(t.shard.c.position)).scalar_one()
        tries.append(before)
        if len(tries) == 1:
            await_only(server.write(lambda other: other.execute(text("UPDATE shard SET position = position + 10"))))
        conn.execute(text("UPDATE shard SET position = :to"), {"to": before + 1})

    await server.write(work)
    assert tries == [1, 11]
    assert (await server.read(store.shards))[0].position == 12


async def test_a_transaction_that_always_collides_is_given_up(server):
    collide = "DO $$ BEGIN RAISE EXCEPTION 'again' USING ERRCODE = '40001'; END $$"
    with pytest.raises(LedgerUnavailable, match="colliding"):
        await server.write(lambda conn: conn.execute(text(collide)))
