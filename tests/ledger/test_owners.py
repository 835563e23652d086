"""One code with two owners (case 26): an alert from the first dead letter on until a person has decided the last."""

from __future__ import annotations

from typing import NamedTuple

import pytest

from router.delivery.accept import Batch, arrival_of
from router.delivery.commit import Group, GroupCommit, Intake
from router.events import LGSP_REASON, OWNER_CONFLICT, ROUTER
from router.ledger import alerts, leases, orders, store
from router.ledger.rows import Lease, Order, Verb
from router.sdk.testing.clock import ManualClock
from tests.ledger.harness import HEADERS, shard

LEASE = f"shard:{ROUTER}/0"


class Record(NamedTuple):
    """A record as the bus gives it."""

    offset: int
    key: bytes
    headers: list[tuple[str, bytes]]
    value: bytes = b"payload"
    topic: str = "lgsp.to.router"
    partition: int = 0


class Desk:
    """The owner of the one shard of ``router``."""

    def __init__(self, ledger) -> None:
        self.ledger, self.group = ledger, GroupCommit(ledger, self, ManualClock())
        self.offset = 0

    def held(self, name: str) -> Lease | None:
        return Lease(name, 1) if name == LEASE else None

    async def comes(self, number: int, reason: str = OWNER_CONFLICT) -> None:
        """A record of which the hop or ingress says so."""
        headers = [(n, b"%d" % number if n == "ce_id" else v) for n, v in HEADERS if n != "lgsp_digest"]
        headers += [("ce_type", b"dossier.accepted"), (LGSP_REASON, reason.encode())]
        record = Record(self.offset, b"%016d" % number, headers)
        self.offset += 1
        place = await shard(self.ledger, 0, ROUTER)
        batch = Batch([arrival_of(ROUTER, record)], self.offset, b"print")
        await self.group.commit(Group(intakes=[Intake(place, batch)]))

    async def decides(self, seq: int, verb: Verb) -> None:
        """An operator's order on one of them, applied."""
        place = await shard(self.ledger, 0, ROUTER)
        order = Order(LEASE, verb, "ops.binh", "hai chủ hồ sơ", place.id, seq, ROUTER)
        await self.ledger.write(lambda conn: orders.place(conn, order, now=0))
        (placed,) = await self.ledger.read(lambda conn: orders.pending(conn, [LEASE], 9))
        await self.group.commit(Group(orders=[(place, placed)]))

    async def raised(self) -> list[tuple[str, str, int]]:
        return [(a.name, a.subject, a.times) for a in await self.ledger.read(alerts.open_alerts)]


@pytest.fixture
async def desk(ledger):
    await ledger.write(lambda conn: store.register_shards(conn, ROUTER, 1))
    await ledger.write(lambda conn: leases.take(conn, LEASE, "p1", 0))
    return Desk(ledger)


async def test_two_owners_of_a_code_raise_an_alert_which_counts_them(desk):
    await desk.comes(1)
    await desk.comes(2)
    assert await desk.raised() == [(OWNER_CONFLICT, ROUTER, 2)]


async def test_a_repetition_is_not_counted_and_other_dead_letters_raise_nothing(desk):
    await desk.comes(1, "no_route")
    assert await desk.raised() == []
    await desk.comes(2)
    await desk.comes(2)
    assert await desk.raised() == [(OWNER_CONFLICT, ROUTER, 1)]


@pytest.mark.parametrize("verb", [Verb.DISCARD, Verb.SKIP, Verb.REPLAY])
async def test_it_is_cleared_when_the_last_of_them_is_decided(desk, verb):
    await desk.comes(1)
    await desk.comes(2)
    await desk.comes(3, "no_route")
    await desk.decides(1, verb)
    assert [name for name, _, _ in await desk.raised()] == [OWNER_CONFLICT]
    await desk.decides(2, verb)
    assert await desk.raised() == []


async def test_one_that_is_restored_or_comes_again_after_its_decision_raises_it_again(desk):
    await desk.comes(1)
    await desk.decides(1, Verb.DISCARD)
    assert await desk.raised() == []
    await desk.decides(1, Verb.RESTORE)
    assert await desk.raised() == [(OWNER_CONFLICT, ROUTER, 1)]
    await desk.decides(1, Verb.DISCARD)
    await desk.comes(1)
    assert await desk.raised() == [(OWNER_CONFLICT, ROUTER, 1)]
