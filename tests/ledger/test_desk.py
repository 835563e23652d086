"""Orders, the audit chain, alerts and recipients' states: what people and the router tell each other."""

from __future__ import annotations

from dataclasses import replace

import pytest
from sqlalchemy import delete, func, select, update

from router.errors import ConfigError, OrderRefused, RowRefused
from router.ledger import alerts, audit, installation, orders, query, recipients
from router.ledger import tables as t
from router.ledger.rows import Order, OrderResult, RecipientState, Verb
from tests.ledger.harness import NOW, RECIPIENT, SECOND

LEASE = f"shard:{RECIPIENT}/0"
REPLAY = Order(
    LEASE, Verb.REPLAY, "an.nv", "đã sửa danh mục", shard=1, seq=5, recipient=RECIPIENT, expected_version=3,
    args={"out_of_order": True, "ghi chú": "Nguyễn Văn A"},
)  # fmt: skip
STOP = Order("recipient:tax-h39", Verb.STOP, "an.nv", "đối tác bảo trì", recipient=RECIPIENT)


async def placed(ledger, order, now=NOW):
    return await ledger.write(lambda conn: orders.place(conn, order, now=now))


async def finish(ledger, order, result, now=NOW):
    await ledger.write(lambda conn: orders.finish(conn, order, result, now=now))


async def test_an_order_comes_back_as_it_was_placed(ledger):
    number = await placed(ledger, REPLAY)
    found = await ledger.read(lambda conn: orders.pending(conn, [LEASE], 9))
    assert found == [replace(REPLAY, id=number, created=NOW)]
    assert await ledger.read(lambda conn: orders.result(conn, number)) is None


async def test_a_second_order_on_a_delivery_is_refused_until_the_first_is_done(ledger):
    first = replace(REPLAY, id=await placed(ledger, REPLAY))
    with pytest.raises(OrderRefused, match=r"order \d+ by an\.nv"):
        await placed(ledger, replace(REPLAY, verb=Verb.SKIP, who="binh.tt"))
    assert len(await ledger.read(lambda conn: orders.pending(conn, [LEASE], 9))) == 1
    await finish(ledger, first, OrderResult(False, "it changed meanwhile"))
    await placed(ledger, replace(REPLAY, verb=Verb.SKIP, who="binh.tt"))


async def test_orders_on_other_deliveries_and_on_recipients_stand_beside_each_other(ledger):
    for order in (REPLAY, replace(REPLAY, seq=6), replace(REPLAY, shard=2), STOP, STOP):
        await placed(ledger, order)
    assert len(await ledger.read(lambda conn: orders.pending(conn, [LEASE, STOP.lease], 9))) == 5


async def test_pending_orders_are_those_of_the_leases_asked_for_oldest_first(ledger):
    numbers = [await placed(ledger, replace(REPLAY, seq=seq)) for seq in (9, 7, 8)]
    await placed(ledger, replace(STOP, lease="elsewhere"))
    found = await ledger.read(lambda conn: orders.pending(conn, [LEASE], 2))
    assert [order.id for order in found] == numbers[:2]
    assert [order.seq for order in found] == [9, 7]


async def test_a_finished_order_has_its_result_and_an_audit_row(ledger):
    order = replace(REPLAY, id=await placed(ledger, REPLAY))
    stop = replace(STOP, id=await placed(ledger, STOP))
    await finish(ledger, order, OrderResult(False, "không phải đầu hàng"), now=NOW + 7)
    await finish(ledger, stop, OrderResult(True, "stopped"), now=NOW + 8)
    assert await ledger.read(lambda conn: orders.result(conn, order.id)) == OrderResult(False, "không phải đầu hàng")
    assert await ledger.read(lambda conn: orders.pending(conn, [LEASE, STOP.lease], 9)) == []
    newest, older = await ledger.read(lambda conn: audit.page(conn, 9))
    assert (newest.verb, newest.target, newest.at) == ("stop", RECIPIENT, NOW + 8)
    assert (older.who, older.verb, older.target, older.why) == ("an.nv", "replay", f"{RECIPIENT}/0/5", REPLAY.why)
    assert older.detail == {"order": order.id, "applied": False, "result": "không phải đầu hàng"}
    listed = await ledger.read(lambda conn: query.orders_of(conn, 1, 5))
    assert [(row.id, row.applied, row.done) for row in listed] == [(order.id, False, NOW + 7)]


# The audit chain


async def written(ledger, count=5):
    for number in range(count):
        row = {"who": "an.nv", "verb": "skip", "target": f"tax-h39/0/{number}", "why": "lý do"}
        detail = {"số": number, "danh sách": [1, None, "x"], "tỉ lệ": 0.5}
        await ledger.write(lambda c, n=number, r=row, d=detail: audit.record(c, NOW + n, **r, detail=d))
    return await ledger.read(lambda conn: list(conn.execute(select(t.audit.c.id).order_by(t.audit.c.id)).scalars()))


async def test_an_untouched_chain_is_whole(ledger):
    assert await ledger.read(audit.broken) is None
    await written(ledger)
    assert await ledger.read(audit.broken) is None


@pytest.mark.parametrize(
    "change",
    [{"why": "lý do khác"}, {"who": "binh.tt"}, {"at": NOW}, {"target": "x"}, {"verb": "x"}, {"detail": {"số": 9}}],
    ids=lambda change: next(iter(change)),
)
async def test_a_row_changed_afterwards_is_found(ledger, change):
    ids = await written(ledger)
    await ledger.write(lambda conn: conn.execute(update(t.audit).where(t.audit.c.id == ids[2]).values(**change)))
    assert await ledger.read(audit.broken) == ids[2]


async def test_a_row_taken_out_shows_at_the_next_one(ledger):
    ids = await written(ledger)
    await ledger.write(lambda conn: conn.execute(delete(t.audit).where(t.audit.c.id == ids[1])))
    assert await ledger.read(audit.broken) == ids[2]


async def test_a_row_rehashed_to_hide_a_change_breaks_the_one_behind(ledger):
    ids = await written(ledger)

    def forge(conn):
        rows = list(conn.execute(select(t.audit).order_by(t.audit.c.id)))
        forged = {**audit.content(rows[2]), "why": "khác"}
        new = audit.link(bytes(rows[1].hash), forged)
        conn.execute(update(t.audit).where(t.audit.c.id == ids[2]).values(why="khác", hash=new))

    await ledger.write(forge)
    assert await ledger.read(audit.broken) == ids[3]


async def test_audit_pages_run_backwards_without_a_gap(ledger):
    ids = await written(ledger)
    first = await ledger.read(lambda conn: audit.page(conn, 2))
    second = await ledger.read(lambda conn: audit.page(conn, 9, before=first[-1].id))
    assert [row.id for row in [*first, *second]] == ids[::-1]


# Alerts, recipients, installation


async def test_an_alert_is_counted_while_it_lasts_and_new_after_it_was_cleared(bare):
    async def raised(subject, detail, now):
        return await bare.write(lambda c: alerts.raise_alert(c, "recipient_down", subject, detail, now=now))

    assert await raised("tax-h39", "một", NOW) is True
    assert await raised("tax-h39", "hai", NOW + SECOND) is False
    assert await raised("land-h39", "ba", NOW + 2 * SECOND) is True
    assert await bare.read(alerts.open_alerts) == [
        alerts.Alert("recipient_down", "tax-h39", "hai", NOW, NOW + SECOND, 2),
        alerts.Alert("recipient_down", "land-h39", "ba", NOW + 2 * SECOND, NOW + 2 * SECOND, 1),
    ]
    assert await bare.write(lambda c: alerts.clear_alert(c, "recipient_down", "tax-h39", now=NOW)) is True
    assert await bare.write(lambda c: alerts.clear_alert(c, "recipient_down", "tax-h39", now=NOW)) is False
    assert [alert.subject for alert in await bare.read(alerts.open_alerts)] == ["land-h39"]
    assert await raised("tax-h39", "bốn", NOW + 9 * SECOND) is True
    assert (await bare.read(alerts.open_alerts))[-1].times == 1


async def test_a_recipients_last_state_counts(bare):
    stopped = RecipientState("tax-h39", "stopped", NOW, "401", "lgsp-router")
    opened = RecipientState("tax-h39", "open", NOW + 1, "mật khẩu mới", "an.nv")
    held = RecipientState("land-h39", "held", NOW)
    for state in (stopped, held, opened):
        await bare.write(lambda conn, state=state: recipients.set_recipient(conn, state))
    assert await bare.read(recipients.recipient_states) == [held, opened]


async def test_the_partition_count_is_fixed_by_the_first_start(bare):
    await bare.write(lambda conn: installation.require_partitions(conn, 12))
    await bare.write(lambda conn: installation.require_partitions(conn, 12))
    with pytest.raises(ConfigError, match="12 partitions"):
        await bare.write(lambda conn: installation.require_partitions(conn, 24))


@pytest.mark.parametrize("why", ["a\x00b", "a\ud800b"], ids=["nul", "lone surrogate"])
async def test_an_order_whose_text_cannot_be_stored_is_refused_and_leaves_no_row(bare, why):
    with pytest.raises(RowRefused):
        await placed(bare, replace(REPLAY, args={"why": why}))
    assert await bare.read(lambda conn: conn.execute(select(func.count()).select_from(t.orders)).scalar()) == 0
