"""Local recipients: effects, emissions and outcome in one transaction; one bad event stops only its own lane."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import pytest
from sqlalchemy import Connection, select

from router.delivery.outbox import OutboxPublisher
from router.errors import BusUnavailable, LedgerUnavailable, StaleVersion
from router.events import TopicPartition, topic_of
from router.ledger.dead_letters import DeadFilter
from router.ledger.local import LocalEffect, LocalWork
from router.ledger.rows import Emission, Failure, Order, OrderResult, Shard, State, Write
from router.ledger.tables import cursor, orders
from router.ledger.upsert import put
from tests.delivery.installation import PARTITIONS, Script, installation

LOCAL = "procedures"
DOSSIERS = [f"H39-{n}" for n in range(8)]
_ALL = DeadFilter()


class Counting:
    """Counts the events of each dossier in a table of the ledger, each with the number it had."""

    id = LOCAL

    def __init__(self) -> None:
        self.trouble: dict[str, list[Exception]] = {}
        self.batches: list[int] = []
        self.pages = 0

    async def prepare(self, works: Sequence[LocalWork]) -> list[LocalEffect]:
        self.batches.append(len(works))
        for work in works:
            if self.trouble.get(work.delivery.event_id):
                raise self.trouble[work.delivery.event_id].pop(0)
        return [self._effect(work) for work in works]

    def _effect(self, work: LocalWork) -> LocalEffect:
        event_id, subject = work.delivery.event_id, work.delivery.subject
        if event_id.startswith("illegal"):
            return LocalEffect(State.DEAD, Failure("invalid", "illegal_transition", cause="c1"))

        def write(conn: Connection, _: Sequence[None]) -> None:
            if self.trouble.get(f"write {event_id}"):
                raise self.trouble[f"write {event_id}"].pop(0)
            row = conn.execute(
                select(cursor.c.value).where(cursor.c.source == LOCAL, cursor.c.name == subject)
            ).scalar()
            put(conn, cursor, {"source": LOCAL, "name": subject, "value": f"{row or ''},{event_id}"})

        told = Emission("lgsp.dossier", -1, work.delivery.key, b"told", [("ce_id", event_id.encode())])
        return LocalEffect(State.DELIVERED, receipt={"code": "applied"}, emissions=(told,), write=Write(write, None))

    def order(self, conn: Connection, shard: Shard, order: Order, now: int) -> OrderResult | None:
        self.pages += 1
        return OrderResult(True, "all pages done") if self.pages >= 3 else None


async def counted(place):
    rows = await place.ledger.read(lambda conn: conn.execute(select(cursor.c.name, cursor.c.value)).all())
    return {name: value.strip(",").split(",") for name, value in rows}


async def run(tmp_path, local, events):
    async with installation(tmp_path, script=Script(), local=[local]) as place:
        await place.publish(*events, topic=topic_of(LOCAL))
        expected = [event_id for event_id, _ in events if not event_id.startswith("illegal")]
        async with asyncio.timeout(10):
            while True:
                found = await counted(place)
                if sum(map(len, found.values())) >= len(expected):
                    break
                await place.service._clock.sleep(0.01)
        return found, await place.operations.dead_groups(_ALL)


EVENTS = [(f"{dossier}/{n}", dossier) for n in range(4) for dossier in DOSSIERS]


async def test_every_event_takes_effect_once_in_the_order_of_its_dossier(tmp_path):
    local = Counting()
    found, dead = await run(tmp_path, local, EVENTS)
    assert found == {dossier: [f"{dossier}/{n}" for n in range(4)] for dossier in DOSSIERS}
    assert dead == []
    assert max(local.batches) > 1


async def test_an_effect_computed_from_an_older_version_is_computed_again(tmp_path):
    local = Counting()
    local.trouble["write H39-3/1"] = [StaleVersion("moved"), StaleVersion("moved")]
    found, _ = await run(tmp_path, local, EVENTS)
    assert found == {dossier: [f"{dossier}/{n}" for n in range(4)] for dossier in DOSSIERS}


async def test_a_ledger_that_cannot_be_read_only_delays(tmp_path):
    local = Counting()
    local.trouble["H39-3/1"] = [LedgerUnavailable("cut off")]
    found, _ = await run(tmp_path, local, EVENTS)
    assert found["H39-3"] == [f"H39-3/{n}" for n in range(4)]


async def test_what_the_recipient_refuses_is_a_dead_letter_and_parks_only_its_own_dossier(tmp_path):
    events = [*EVENTS, ("illegal/1", "H39-99"), ("behind/1", "H39-99")]
    local = Counting()
    async with installation(tmp_path, local=[local]) as place:
        await place.publish(*events, topic=topic_of(LOCAL))
        async with asyncio.timeout(10):
            while len(await counted(place)) < len(DOSSIERS) or not await place.operations.dead_groups(_ALL):
                await place.service._clock.sleep(0.01)
        groups = await place.operations.dead_groups(_ALL)
        assert [group.reason for group in groups] == ["illegal_transition"]
        assert "H39-99" not in await counted(place)


async def test_what_it_emits_is_published_under_the_same_key(tmp_path):
    async with installation(tmp_path, local=[Counting()]) as place:
        await place.publish(*EVENTS, topic=topic_of(LOCAL))
        reader = await place.bus.reader("test")
        await reader.set({TopicPartition("lgsp.dossier", n): 0 for n in range(PARTITIONS)})
        told: list[str] = []
        async with asyncio.timeout(10):
            while len(told) < len(EVENTS):
                for records in (await reader.next(100, 0.2)).values():
                    told += [dict(record.headers)["ce_id"].decode() for record in records]
        await reader.close()
        for dossier in DOSSIERS:
            assert [each for each in told if each.startswith(f"{dossier}/")] == [f"{dossier}/{n}" for n in range(4)]


async def test_an_order_on_a_whole_shard_is_applied_page_by_page_until_it_is_done(tmp_path):
    local = Counting()
    async with installation(tmp_path, local=[local]) as place:
        first, *others = await place.operations.recalculate(LOCAL, who="lịch", why="nghỉ bù")
        assert first.result == OrderResult(True, "all pages done")
        assert len(others) == PARTITIONS - 1
        assert local.pages >= 3
        left = await place.ledger.read(lambda conn: conn.execute(select(orders.c.done)).scalars().all())
        assert all(left)


@pytest.mark.parametrize("part", ["local.LocalDispatcher._heads", "outbox.OutboxPublisher.sweep"])
async def test_a_task_that_died_ends_the_service_and_is_not_missed_in_silence(tmp_path, monkeypatch, part):
    """Whoever restarts it sees why; else local recipients or the outbox would stand still for ever."""

    def dies(*_args):
        raise ZeroDivisionError("a fault")

    monkeypatch.setattr(f"router.delivery.{part}", dies)

    async def until_it_ends():
        async with installation(tmp_path, script=Script(), local=[Counting()]) as place:
            await place.publish(*EVENTS[:1], topic=topic_of(LOCAL))
            await place.until(lambda: place.service.stopping)

    with pytest.raises(ZeroDivisionError):
        await until_it_ends()


async def test_an_outbox_that_cannot_publish_is_told_of_and_so_is_its_end(tmp_path, monkeypatch):
    honest, away = OutboxPublisher.sweep, [True]

    async def sweep(self):
        if away[0]:
            raise BusUnavailable("no broker")
        return await honest(self)

    monkeypatch.setattr(OutboxPublisher, "sweep", sweep)
    monkeypatch.setattr("router.delivery.outbox.PAUSE_AFTER_FAILURE", 0.01)
    async with installation(tmp_path) as place:
        raised = place.service.tally.alerts
        await place.until(lambda: raised["outbox_waits"])
        (alert,) = await place.operations.alerts()
        assert (alert.name, alert.detail) == ("outbox_waits", "no broker")
        away[0] = False
        await place.until(lambda: not place.service.outbox.trouble)
        async with asyncio.timeout(10):
            while await place.operations.alerts():
                await place.service._clock.sleep(0.01)
