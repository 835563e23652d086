"""The recipient ``procedures`` on real ledgers: steps become rows in one transaction, or none of them."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import select

from router.codec import Codec, PackagedSchemas
from router.errors import StaleVersion
from router.events import (
    CE_ID,
    CE_PRIORITY,
    CE_SOURCE,
    CE_TIME,
    CE_TYPE,
    LGSP_ORIGIN,
    LGSP_REASON,
    key_of,
    partition_of,
    text_header,
    topic_of,
)
from router.ledger import identity, instances, leases, orders, outbox, store
from router.ledger.local import LocalEffect, LocalWork
from router.ledger.procedure_tables import dossier, due_move, instance, instance_event, timer
from router.ledger.rows import Arrival, Body, Emission, Lease, Order, Shard, Verb, shard_lease
from router.ports import Ledger
from router.procedures.calendar import load_calendar
from router.procedures.definitions_file import shipped_definitions
from router.procedures.dues import Clockwork, micros
from router.procedures.library import Library
from router.procedures.recipient import PROCEDURES, Procedures
from router.procedures.timers import LEASE, TimerSweep
from router.sdk.dates import VIETNAM
from router.sdk.records import NoticeLine, NoticeStatus, TaxNotice
from router.sdk.testing.clock import ManualClock

CODEC = Codec(PackagedSchemas())
CODE = "H39.16-250804-0001"
KEY = key_of("dossier_code", CODE).bytes
PARTITIONS = 2
START = datetime(2025, 8, 4, 8, 0, tzinfo=VIETNAM)


class MovedClock(ManualClock):
    """Business time stands where the test puts it."""

    at = START

    def business(self) -> datetime:
        return self.at.astimezone(UTC)


class Desk:
    """Hands events to the recipient as delivery does: accepted first, prepared, then written with their outcome."""

    def __init__(self, ledger: Ledger, calendar: Any = None, *, key: bytes = KEY) -> None:
        self.ledger, self.clock, self.key = ledger, MovedClock(), key
        self.calendar = Clockwork(calendar or load_calendar())
        self.recipient = Procedures(
            ledger, self.clock, Library(shipped_definitions()), self.calendar,
            decode=CODEC.decode, encode=CODEC.encode, level_of=lambda code: "commune",
        )  # fmt: skip
        self.count = 0
        self.sent: list[Any] = []

    async def shard(self) -> Shard:
        await self.ledger.write(lambda conn: store.register_shards(conn, PROCEDURES, PARTITIONS))
        found = await self.ledger.read(lambda conn: store.shards(conn, [PROCEDURES]))
        return next(each for each in found if each.partition == partition_of(self.key, PARTITIONS))

    async def prepare(self, event_type: str, record: dict[str, Any]) -> LocalEffect:
        return await self._prepare(event_type, CODEC.encode(event_type, record))

    async def _prepare(self, event_type: str, payload: bytes) -> LocalEffect:
        shard = await self.shard()
        self.count += 1
        name = f"e{self.count}" if self.key == KEY else f"{self.key.hex()[:8]}-{self.count}"
        headers = [
            (CE_ID, name.encode()),
            (CE_SOURCE, b"one-stop-h39"),
            (CE_TYPE, event_type.encode()),
            (CE_TIME, self.clock.at.isoformat().encode()),
        ]
        body = Body(payload, headers)
        arrival = Arrival(
            shard.position, self.key, name.encode().ljust(16, b"."), b"d" * 16, "one-stop-h39", name, event_type, CODE,
            urgent=False, body=body,
        )  # fmt: skip
        made = await self.ledger.write(
            lambda conn: store.accept(conn, shard, shard.position + 1, b"f", [arrival], now=micros(self.clock.at))
        )
        seq = made[0].seq
        delivery = await self.ledger.read(lambda conn: store.one(conn, shard.id, seq))
        (effect,) = await self.recipient.prepare([LocalWork(shard, delivery, body)])
        return effect

    async def write(self, effect: LocalEffect) -> LocalEffect:
        if effect.write is not None:
            await self.ledger.write(effect.write)
        self.sent += effect.emissions
        return effect

    async def take(self, event_type: str, record: dict[str, Any]) -> LocalEffect:
        return await self.write(await self.prepare(event_type, record))

    async def hear(self, word: Emission) -> LocalEffect:
        """What another instance has sent to this one."""
        assert word.key == self.key
        return await self.write(await self._prepare(text_header(word.headers, CE_TYPE), word.value))

    async def rows(self, table: Any) -> list[Any]:
        return await self.ledger.read(lambda conn: conn.execute(select(table)).all())


async def count_again(desk: Desk, later: Desk, why: str) -> None:
    """The order to count due dates again, carried out by ``later``, which has another calendar."""
    shard = await later.shard()
    order = Order("x", Verb.RECALCULATE, "an", why, args={"partitions": PARTITIONS})
    await desk.ledger.write(lambda conn: later.recipient.order(conn, shard, order, micros(desk.clock.at)))


def snapshot(status: str, **more: Any) -> dict[str, Any]:
    return {
        "code": CODE, "procedure": "1.012783", "agency": "H39.16", "status": status, "raw_status": "2",
        "applicant": {"name": "Nguyễn Văn A", "kind": "CITIZEN"}, "payment_status": "NOT_PAID",
        "delivery_status": "NOT_STARTED", "synchronisation_status": "NOT_SYNCHRONISED", "channel": "ONLINE",
        "level": "FULL", "papers": [], "results": [], "fees": [], "supplements": [], "digitised": False,
        "out_of_territory": False, **more,
    }  # fmt: skip


async def test_an_accepted_dossier_becomes_an_instance_with_its_log_its_clock_and_its_facts(bare: Ledger) -> None:
    desk = Desk(bare)
    effect = await desk.take("dossier.accepted", snapshot("ACCEPTED"))
    assert effect.receipt == {"verdict": "applied", "flags": []}
    (row,) = await desk.rows(instance)
    assert (row.procedure, row.definition, row.version, row.end_state) == ("land_transfer", 1, 1, "")
    (line,) = await desk.rows(instance_event)
    assert (line.number, line.event_type, line.verdict) == (0, "dossier.accepted", "applied")
    assert "Nguyễn" not in str(line.facts)
    (facts,) = await desk.rows(dossier)
    assert (facts.code, facts.channel, facts.service_level, facts.level) == (CODE, "online", "full", "commune")
    assert facts.due_date == "2025-08-21"
    assert {each.name for each in await desk.rows(timer)} == {"overdue", "task:reception"}
    assert [(move.kind, move.why) for move in await desk.rows(due_move)] == [
        ("agency", "task reception"),
        ("whole", "accepted"),
    ]


async def test_a_step_computed_from_an_older_version_writes_nothing(bare: Ledger) -> None:
    desk = Desk(bare)
    await desk.take("dossier.accepted", snapshot("ACCEPTED"))
    one = await desk.prepare("dossier.status_changed", snapshot("PROCESSING"))
    other = await desk.prepare("dossier.status_changed", snapshot("STOPPED"))
    await desk.write(one)
    with pytest.raises(StaleVersion):
        await desk.write(other)
    (row,) = await desk.rows(instance)
    assert (row.version, row.state["status"]) == (2, 4)
    assert len(await desk.rows(instance_event)) == 2


async def owned(ledger: Ledger, name: str) -> Lease:
    def take(conn: Any) -> Lease | None:
        leases.ensure(conn, [name])
        row = leases.leases(conn)[name]
        return leases.take(conn, name, "p1", row.epoch)

    lease = await ledger.write(take)
    assert lease is not None
    return lease


@pytest.mark.parametrize("urgent", [True, False])
async def test_a_timer_that_came_due_is_one_event_on_its_key_and_only_under_the_lease(
    bare: Ledger, urgent: bool
) -> None:
    desk = Desk(bare)
    await bare.write(lambda conn: identity.pin_urgent(conn, UUID(bytes=KEY), urgent))
    await desk.take("dossier.accepted", snapshot("ACCEPTED"))
    lease = await owned(bare, LEASE)
    sweep = TimerSweep(bare, desk.clock, CODEC.encode)
    assert await sweep.sweep(lease) == 0  # nothing is due yet
    desk.clock.at = START + timedelta(days=30)
    assert await sweep.sweep(replace_epoch(lease)) == 0
    assert await sweep.sweep(lease) == 2
    _, (_, emission) = await bare.read(lambda conn: outbox.pending(conn, [LEASE], 10))
    assert (emission.topic, emission.key) == (topic_of(PROCEDURES), KEY)
    assert text_header(emission.headers, CE_PRIORITY) == ("urgent" if urgent else ""), "the class of its key"
    assert await desk.rows(timer) == []
    record = CODEC.decode(emission.value)
    effect = await desk.take("procedure.timer_due", dict(record))
    assert effect.receipt == {"verdict": "applied", "flags": ["overdue"]}
    (told,) = [each for each in desk.sent if text_header(each.headers, CE_TYPE) == "dossier.overdue_detected"]
    assert CODEC.decode(told.value)["waits_for"] == ["reception"]
    assert text_header(told.headers, CE_PRIORITY) == ("urgent" if urgent else ""), "whatever caused it"
    assert {each.name for each in await desk.rows(timer)} == {"apology"}


def replace_epoch(lease: Lease) -> Lease:
    return lease._replace(epoch=lease.epoch + 1)


async def test_an_illegal_event_goes_to_a_person_with_its_bytes_and_its_way_back(bare: Ledger) -> None:
    desk = Desk(bare)
    await desk.take("dossier.accepted", snapshot("ACCEPTED"))
    early = await desk.take("dossier.result_returned", snapshot("RESULT_RETURNED"))
    assert early.receipt == {"verdict": "early", "flags": ["status 10 after 2"]}
    (name,) = [each.name for each in await desk.rows(timer) if each.name.startswith("early:")]
    desk.clock.at = START + timedelta(hours=1)
    signal = {"procedure": "", "definition": 0, "name": name, "stated_at": desk.clock.business()}
    effect = await desk.take("procedure.timer_due", signal)
    (letter,) = effect.emissions
    assert letter.topic == topic_of("router")
    assert letter.value == CODEC.encode("dossier.result_returned", snapshot("RESULT_RETURNED"))
    assert text_header(letter.headers, LGSP_REASON) == "illegal_transition"
    assert text_header(letter.headers, LGSP_ORIGIN).startswith(topic_of(PROCEDURES))
    assert UUID(text_header(letter.headers, CE_ID))


@pytest.mark.parametrize("moved_on", [False, True], ids=["untouched", "a step was made by the new calendar"])
async def test_a_changed_calendar_moves_open_due_dates_with_the_reason(
    bare: Ledger, tmp_path: Any, *, moved_on: bool
) -> None:
    desk = Desk(bare)
    await desk.take("dossier.accepted", snapshot("ACCEPTED"))
    file = tmp_path / "days.yaml"
    file.write_text("jurisdiction: vn\ndays: [{day: 2025-08-15, kind: off, why: hoán đổi}]", "utf-8")
    later = Desk(bare, load_calendar("vn", file))
    later.count = desk.count
    if moved_on:
        await later.take("dossier.status_changed", snapshot("PROCESSING"))
    shard = await later.shard()
    args = {"partitions": PARTITIONS}
    wish = Order(shard_lease(PROCEDURES, shard.partition), Verb.RECALCULATE, "an", "nghỉ bù", args=args)
    placed = await bare.write(lambda conn: orders.place(conn, wish, now=1))
    result = await bare.write(lambda conn: later.recipient.order(conn, shard, replace(wish, id=placed), 2))
    assert result is not None
    assert result.text.startswith("0 due dates moved" if moved_on else "1 due dates moved")  # a step moves its own
    (facts,) = await desk.rows(dossier)
    assert facts.due_date == "2025-08-22"
    version = later.calendar.calendar.version
    assert [move.why for move in await desk.rows(due_move) if move.kind == "whole"] == [
        "accepted",
        f"calendar {version}",
    ]


async def test_timers_that_become_earlier_by_a_new_calendar_are_rewritten(bare: Ledger, tmp_path: Any) -> None:
    desk = Desk(bare)
    desk.clock.at = START + timedelta(days=8)
    await desk.take("dossier.accepted", snapshot("ACCEPTED"))
    (before,) = [each for each in await desk.rows(timer) if each.name == "overdue"]
    file = tmp_path / "days.yaml"
    file.write_text("jurisdiction: vn\ndays: [{day: 2025-08-16, kind: makeup_work, why: làm bù}]", "utf-8")
    await count_again(desk, Desk(bare, load_calendar("vn", file)), "làm bù")
    (after,) = [each for each in await desk.rows(timer) if each.name == "overdue"]
    assert (after.name, before.due - after.due) == ("overdue", 24 * 3_600_000_000)
    assert after.version == 2


async def test_money_waiting_at_an_ended_dossier_is_given_up_by_the_new_calendar(bare: Ledger, tmp_path: Any) -> None:
    desk = Desk(bare)
    for event, status in (("accepted", "ACCEPTED"), ("withdrawn", "WITHDRAWN")):
        await desk.take(f"dossier.{event}", snapshot(status))
    line = NoticeLine(sub_item="Lệ phí trước bạ", amount=6_000_000)
    notice = TaxNotice(
        number="TB-1/CCT", issued_date=START.date(), code=CODE, generation=1, tax_code="8300012345", lines=(line,),
        total=line.amount, status=NoticeStatus.ACTIVE, file_hash="0" * 64, file_lines=1, file_total=line.amount,
    )  # fmt: skip
    await desk.take("tax.notice_issued", notice.model_dump())
    desk.clock.at = START + timedelta(hours=1)  # a person was told; the money is held on
    (told,) = await desk.rows(timer)
    signal = {"procedure": "", "definition": 0, "name": told.name, "stated_at": desk.clock.business()}
    await desk.take("procedure.timer_due", signal)
    assert [each.closed_at is not None for each in await desk.rows(instance)] == [True]
    (before,) = await desk.rows(timer)
    file = tmp_path / "days.yaml"
    file.write_text("jurisdiction: vn\ndays: [{day: 2025-08-15, kind: off, why: hoán đổi}]", "utf-8")
    await count_again(desk, Desk(bare, load_calendar("vn", file)), "hoán đổi")
    (after,) = await desk.rows(timer)
    assert (after.name, after.due - before.due) == (before.name, 24 * 3_600_000_000)


async def test_what_open_instances_run_by_is_known_with_its_digest(bare: Ledger) -> None:
    desk = Desk(bare)
    assert await bare.read(instances.pinned) == []
    await desk.take("dossier.accepted", snapshot("ACCEPTED"))
    (used,) = await bare.read(instances.pinned)
    assert used[:2] == ("land_transfer", 1)
    assert len(used[2]) == 16
    await desk.recipient.check()


async def test_a_dossier_first_heard_of_before_its_acceptance_goes_on_by_its_own_definition(bare: Ledger) -> None:
    desk = Desk(bare)
    before = {"message": "L1", "code": CODE}  # names no procedure: the definition of any dossier begins
    await desk.take("land.file_submitted", before)
    await desk.take("dossier.accepted", snapshot("ACCEPTED"))
    (row,) = await desk.rows(instance)
    assert row.procedure == "land_transfer"
    assert {each.name for each in await desk.rows(timer)} == {"overdue", "task:appraisal"}


async def test_pages_of_instances_come_in_the_order_of_their_keys(bare: Ledger) -> None:
    desk = Desk(bare)
    await desk.take("dossier.accepted", snapshot("ACCEPTED"))
    assert [each.key for each in await bare.read(lambda conn: instances.page(conn, b"", 10))] == [KEY]
    assert await bare.read(lambda conn: instances.page(conn, KEY, 10)) == []
