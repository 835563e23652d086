"""Decisions about suspended money on real ledgers: an order on the instance's key, audited, applied once."""

from __future__ import annotations

from datetime import UTC
from uuid import UUID

import pytest
from sqlalchemy import select

from router.errors import OrderRefused
from router.events import CE_ADDRESSED_TO, CE_DOSSIER, CE_TYPE, text_header
from router.ledger import alerts, outbox
from router.ledger.procedure_tables import instance, instance_event
from router.ledger.rows import Order, Verb, shard_lease
from router.ledger.tables import audit, orders
from router.money_desk import MoneyDesk
from router.placing import Placing
from router.ports import Ledger
from router.procedures.recipient import PROCEDURES
from router.procedures.suspended import Waiting
from router.sdk.records import (
    LandFile,
    LandMessage,
    NoticeLine,
    NoticeStatus,
    ObligationRequest,
    Payment,
    PaymentPhase,
    PaymentStatus,
    TaxNotice,
)
from router.sdk.testing.clock import ManualClock
from tests.ledger.test_instances import CODE, CODEC, KEY, START, Desk, snapshot

ID = str(UUID(bytes=KEY))


async def suspended(ledger: Ledger) -> tuple[Desk, MoneyDesk, Waiting]:
    """A dossier with a notice of 900 and a confirmation of 1,000 that waits for a person."""
    desk = Desk(ledger)
    await desk.take("dossier.accepted", snapshot("ACCEPTED"))
    file = LandFile(message=LandMessage.L1, code=CODE)
    await desk.take("land.file_submitted", file.model_dump())
    request = ObligationRequest(
        number="PC-1", issued_date=START.date(), branch="H39.25", generation=1, code=CODE, procedure_kind="x"
    )
    await desk.take("tax.obligation_requested", request.model_dump())
    line = NoticeLine(sub_item="Lệ phí trước bạ", amount=900)
    notice = TaxNotice(
        number="TB-1/CCT", issued_date=START.date(), code=CODE, generation=1, tax_code="8300012345", lines=(line,),
        total=900, status=NoticeStatus.ACTIVE, file_hash="0" * 64, file_lines=1, file_total=900,
    )  # fmt: skip
    await desk.take("tax.notice_issued", notice.model_dump())
    paid = Payment(
        phase=PaymentPhase.CONFIRM, code=CODE, reference="079123456789", notice_number="TB-1/CCT", amount=1_000,
        currency="VND", paid_at=START.astimezone(UTC), status=PaymentStatus.PAID,
    )  # fmt: skip
    await desk.take("payment.confirmed", paid.model_dump())
    local = {PROCEDURES: desk.recipient}
    money = MoneyDesk(ledger, Placing(ledger, ManualClock(flows=True), None, local=local, answer_every=0.001))
    (waits,) = await money.waiting("", 10)
    return desk, money, waits


async def test_released_money_is_an_order_with_its_audit_row_its_line_and_its_refund(bare: Ledger) -> None:
    desk, money, waits = await suspended(bare)
    assert (waits.code, waits.suspended, waits.reason) == (CODE, 1_000, "amount_mismatch")
    assert waits.open_notices == {"TB-1/CCT": 900}
    assert [row.money_waits for row in await desk.rows(instance)] == [True]
    answer = await money.decide(ID, waits.id, notice="TB-1/CCT", who="an", why="đã đối chiếu")
    assert answer.result.applied
    assert answer.alone
    assert answer.result.text == "released to notice TB-1/CCT, 0 đồng of it still open, 100 đồng to be refunded"
    assert [row.money_waits for row in await desk.rows(instance)] == [False]
    assert await money.waiting("", 10) == []
    (row,) = await desk.rows(audit)
    assert (row.who, row.verb, row.target, row.why) == ("an", "release_money", CODE, "đã đối chiếu")
    assert "079123456789" not in str(row.detail)
    last = (await desk.rows(instance_event))[-1]
    assert (last.source, last.event_type, last.verdict) == ("operator", "order.money_released", "applied")
    assert await bare.read(alerts.open_alerts) == []
    place = await desk.shard()
    ((_, sent),) = await bare.read(lambda conn: outbox.pending(conn, [shard_lease(PROCEDURES, place.partition)], 10))
    assert text_header(sent.headers, CE_TYPE) == "payment.refund_requested"
    assert text_header(sent.headers, CE_ADDRESSED_TO) == "H39.16"
    assert text_header(sent.headers, CE_DOSSIER)
    assert (sent.key, CODEC.decode(sent.value)["amount"]) == (KEY, 100)
    assert await money.waiting("", 10) == []


async def test_of_two_operators_the_second_is_told_that_it_is_decided(bare: Ledger) -> None:
    desk, money, waits = await suspended(bare)
    await money.decide(ID, waits.id, amount=400, who="an", why="nộp nhầm")
    stale = await bare.read(lambda conn: conn.execute(select(orders)).one())
    late = Order(stale.lease, Verb(stale.verb), "bình", "x", recipient=PROCEDURES, args=stale.args, id=stale.id + 1)
    place = await desk.shard()
    result = await bare.write(lambda conn: desk.recipient.order(conn, place, late, 3))
    assert result is not None
    assert (result.applied, result.text) == (False, "600 đồng of this payment wait by now, not 1000: look again")
    with pytest.raises(OrderRefused, match="no money of payment"):
        await money.decide(ID, "ffffffff", who="an", why="x")


async def test_without_a_process_and_without_procedures_the_order_waits(bare: Ledger) -> None:
    _, _, waits = await suspended(bare)
    money = MoneyDesk(bare, Placing(bare, ManualClock(flows=True), None, answer_every=5.0))
    answer = await money.decide(ID, waits.id, who="an", why="nộp nhầm")
    assert not answer.result.applied
    assert "no process has answered it yet" in answer.result.text
    assert (await money.waiting(ID, 10)) == [waits]
