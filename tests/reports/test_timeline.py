"""One dossier as a person asks for it: all lines in one order, what it waits for, by any number, nothing personal."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import insert

from router.cli.timeline import document_of
from router.events import key_of
from router.ledger import orders, store
from router.ledger.identity import Waiting, merge, wait
from router.ledger.rows import Attempt, Body, Order, OrderResult, State, Verb
from router.ledger.tables import alias
from router.procedures.calendar import load_calendar
from router.procedures.definitions_file import shipped_definitions
from router.procedures.dues import Clockwork, micros
from router.procedures.library import Library
from router.reports.dossier import Dossiers, Shown
from tests.ledger.harness import NOW, RECIPIENT, SECOND, accept, arrival, change, failure, in_memory
from tests.ledger.test_instances import CODE, CODEC, KEY, START, Desk, snapshot

ID = UUID(bytes=KEY)
LIBRARY, CLOCKWORK = Library(shipped_definitions()), Clockwork(load_calendar())


@pytest.fixture
async def ledger() -> AsyncIterator[Any]:
    async with in_memory() as made:
        await made.write(lambda conn: store.register_shards(conn, RECIPIENT, 2))
        yield made


async def named(ledger: Any, scheme: str, value: str, key: bytes = KEY) -> None:
    row = {"scheme": scheme, "value": value, "key": key, "issuer": "x", "claimed_at": 1}
    await ledger.write(lambda conn: conn.execute(insert(alias).values(row)))


async def shown(ledger: Any, code: str = CODE, lang: str = "vi") -> Shown:
    dossiers = Dossiers(ledger, LIBRARY, CLOCKWORK, CODEC.decode)
    found = await dossiers.show(code, lang)
    assert found is not None
    return found


def payment(**changes: Any) -> Body:
    record = {
        "phase": "CONFIRM", "partner": None, "code": CODE, "reference": "TT-1", "transaction": None,
        "notice_number": "TB-1", "amount": 12_500_000, "currency": "VND", "paid_at": START, "gateway": None,
        "content": None, "payer": None, "status": "PAID", "receipts": [],
    }  # fmt: skip
    return Body(CODEC.encode("payment.confirmed", record | changes), [("ce_addressedto", b"H39.16")])


async def test_without_a_procedure_a_dossier_is_what_was_delivered_of_it(ledger: Any) -> None:
    await named(ledger, "dossier_code", CODE)
    event = arrival(1, key=KEY, event_type="payment.confirmed", body=payment())
    (made,) = await accept(ledger, event)
    answer = {"code": "00", "message": "số 080100000007 đã nhận"}
    tried = [
        Attempt(1, NOW, NOW + SECOND, "transient", "503", ""),
        Attempt(2, NOW, NOW + 2 * SECOND, "delivered", "00", ""),
    ]
    await change(ledger, made.seq, State.WAITING, attempts=1, last_at=NOW + SECOND, attempt=tried[0])
    await change(
        ledger, made.seq, State.DELIVERED, attempts=2, last_at=NOW + 2 * SECOND, attempt=tried[1], receipt=answer
    )
    found = await shown(ledger)
    assert [(line.what, line.name) for line in found.timeline] == [
        ("payment", "payment.confirmed"), ("delivery", "payment.confirmed"), ("attempt", "attempt 1"),
        ("attempt", "attempt 2"), ("receipt", "delivered"),
    ]  # fmt: skip
    assert found.timeline[0].says == "CONFIRM, notice TB-1, reference TT-1, 12.500.000 đ, PAID"
    assert "080100000007" not in str(found)
    assert "*********007" in found.timeline[-1].says
    assert found.waits == []


async def test_orders_stand_with_who_and_why_and_an_open_dead_letter_is_waited_for(ledger: Any) -> None:
    await named(ledger, "dossier_code", CODE)
    (made,) = await accept(ledger, arrival(1, key=KEY))
    await change(ledger, made.seq, State.DEAD, attempts=1, last_at=NOW + SECOND, failure=failure())
    at = await ledger.read(lambda conn: store.shards(conn, [RECIPIENT]))
    wish = Order(at[0].lease, Verb.SKIP, "an", "không cần nữa", shard=at[0].id, seq=made.seq, recipient=RECIPIENT)
    placed = await ledger.write(lambda conn: orders.place(conn, wish, now=NOW + 2 * SECOND))
    waiting = (await shown(ledger)).waits
    assert [(w.at, w.who, w.since) for w in waiting] == [(f"{RECIPIENT}/0/{made.seq}", RECIPIENT, NOW + SECOND)]
    assert "a person: dead letter (bad_request)" in waiting[0].waits_for
    done = Order(**{**{f: getattr(wish, f) for f in wish.__slots__}, "id": placed})
    await ledger.write(lambda conn: orders.finish(conn, done, OrderResult(False, "gone"), now=NOW + 3 * SECOND))
    (line,) = [line for line in (await shown(ledger)).timeline if line.what == "order"]
    assert (line.who, line.says) == ("an", "không cần nữa → refused: gone")


async def test_an_event_that_was_early_stands_where_it_came_and_where_it_was_applied(ledger: Any) -> None:
    await named(ledger, "dossier_code", CODE)
    desk = Desk(ledger)
    await desk.take("dossier.accepted", snapshot("ACCEPTED", procedure="9.000000"))
    desk.clock.at = START.replace(hour=9)
    await desk.take("dossier.result_returned", snapshot("RESULT_RETURNED"))
    (early,) = [wait for wait in (await shown(ledger)).waits if wait.at == "dossier.result_returned"]
    assert early.since == micros(desk.clock.at)
    assert early.due == micros(desk.clock.at.replace(minute=30))
    desk.clock.at = START.replace(minute=59)  # it happened before, and came after
    await desk.take("dossier.result_ready", snapshot("RESULT_READY"))
    lines = [line for line in (await shown(ledger)).timeline if line.what == "event"]
    assert [(line.name, line.says.split(":")[0].split()[0]) for line in lines] == [
        ("dossier.accepted", "applied"), ("dossier.result_returned", "early"),
        ("dossier.result_ready", "applied"), ("dossier.result_returned", "applied"),
    ]  # fmt: skip


async def test_it_says_what_it_waits_for_since_when_whose_clock_runs_and_by_when(ledger: Any) -> None:
    await named(ledger, "dossier_code", CODE)
    desk = Desk(ledger)
    await desk.take("dossier.accepted", snapshot("ACCEPTED"))
    waiting = (await shown(ledger, lang="en")).waits
    assert waiting
    assert {wait.clock for wait in waiting} == {"authority", "nobody"}
    assert all(wait.since == micros(START) for wait in waiting)
    assert any(wait.due for wait in waiting)
    desk.clock.at = START.replace(day=5)
    await desk.take("dossier.status_changed", snapshot("SUPPLEMENT_REQUESTED"))
    stopped = await shown(ledger)
    assert all("stopped: status 5" in wait.clock for wait in stopped.waits if wait.clock.startswith("authority"))
    assert stopped.summary["paused"] == "status 5"
    assert [line.says for line in stopped.timeline if line.what == "pause"] == ["not over yet"]


@pytest.mark.parametrize(
    ("scheme", "value"), [("pctt", "PC-1"), ("notice", "TB-1"), ("payment", "TT-1"), ("receipt_number", "VP-1")]
)
async def test_any_of_its_numbers_finds_it(ledger: Any, scheme: str, value: str) -> None:
    await named(ledger, "dossier_code", CODE)
    await named(ledger, scheme, value)
    await accept(ledger, arrival(1, key=KEY))
    assert (await shown(ledger, value)).timeline == (await shown(ledger)).timeline
    assert (await shown(ledger, str(ID))).timeline == (await shown(ledger)).timeline


async def test_two_ids_that_were_one_dossier_are_one_timeline(ledger: Any) -> None:
    other = key_of("dossier_code", "H39.16-250804-0002")
    await named(ledger, "dossier_code", CODE)
    await named(ledger, "dossier_code", "H39.16-250804-0002", other.bytes)
    await accept(ledger, arrival(1, key=KEY))
    await accept(ledger, arrival(2, key=other.bytes), partition=1)
    await ledger.write(lambda conn: merge(conn, other, ID, now=NOW + 5))
    for code in (CODE, "H39.16-250804-0002"):
        assert [line.what for line in (await shown(ledger, code)).timeline].count("delivery") == 2
        assert "link" in [line.what for line in (await shown(ledger, code)).timeline]


async def test_an_event_that_waits_for_its_dossier_is_found_by_its_number(ledger: Any) -> None:
    event = Waiting(0, "notice", "TB-9", "tax-h39", "tax.obligation_completed", Body(b"", []), NOW + 60 * SECOND)
    await ledger.write(lambda conn: wait(conn, event, b"i" * 16, now=NOW))
    (only,) = (await shown(ledger, "TB-9")).waits
    assert (only.who, only.since, only.due) == ("tax-h39", NOW, NOW + 60 * SECOND)


async def test_of_what_is_unknown_nothing_is_said(ledger: Any) -> None:
    dossiers = Dossiers(ledger, LIBRARY, CLOCKWORK, CODEC.decode)
    assert await dossiers.show("H39.16-250804-9999") is None
    assert await dossiers.show("00000000-0000-0000-0000-000000000000") is None


async def test_what_receivers_of_forwarded_copies_state_is_shown(ledger: Any) -> None:
    copy = "H56,2025/08/05,9/UBND-VX"
    child = key_of("document_id", copy)
    await named(ledger, "document_id", "G22,2025/08/04,8/VPCP-TH")
    await named(ledger, "document_id", copy, child.bytes)
    desk = Desk(ledger)
    signal = {"procedure": "official_document", "definition": 1, "name": "opened", "related_key": str(child),
              "organ_id": "H56", "stated_at": START}  # fmt: skip
    await desk.take("procedure.child_opened", signal)
    for state in ("ARRIVED", "RECEIVED"):
        await desk.take("procedure.child_progressed", signal | {"name": state, "organ_id": "H56.01"})
    await desk.take("procedure.child_progressed", signal | {"name": "REFUSED", "organ_id": "H56.02"})
    (row,) = (await shown(ledger, "G22,2025/08/04,8/VPCP-TH")).relatives.copies
    assert (row.code, row.organ, row.ended) == (copy, "H56", "")
    assert row.states == "H56.01 03 Đã tiếp nhận, H56.02 02 Từ chối tiếp nhận"


async def test_a_parent_and_its_child_are_shown_with_each_other_as_they_stand_now(ledger: Any) -> None:
    commune, province = "H39.16.02-250804-0009", "H39.05-250806-0007"
    keys = [key_of("dossier_code", code) for code in (commune, province)]
    for code, key in zip((commune, province), keys, strict=True):
        await named(ledger, "dossier_code", code, key.bytes)
    parent, child = (Desk(ledger, key=key.bytes) for key in keys)
    await parent.take("dossier.accepted", snapshot("ACCEPTED", procedure="1.001776", code=commune))
    child.clock.at = START.replace(day=6)
    up = {"code": province, "procedure": "1.001776", "agency": "H39.05", "parent_code": commune}
    effect = await child.take("dossier.accepted", snapshot("ACCEPTED", **up))
    (word,) = effect.emissions
    await parent.hear(word)
    child.clock.at = START.replace(day=7)
    await child.take("dossier.status_changed", snapshot("SUPPLEMENT_REQUESTED", **up))

    above, below = await shown(ledger, commune), await shown(ledger, province)
    (row,) = above.relatives.children
    assert (row.code, row.procedure, row.agency) == (province, "social_assistance/1 1.001776", "H39.05")
    assert (row.status, row.since, row.ended) == ("5 Yêu cầu bổ sung giấy tờ", micros(child.clock.at), "")
    assert row.due_date == below.summary["due_date"] != ""
    assert (above.relatives.parent, above.relatives.copies, below.relatives.children) == (None, [], [])
    assert below.relatives.parent is not None
    assert (below.relatives.parent.code, below.relatives.parent.status) == (commune, "2 Được tiếp nhận")
    told = document_of(above)
    assert (told["parent"], told["children"][0]["since"].isoformat()) == (None, "2025-08-07T08:00:00+07:00")


async def test_a_parent_that_nothing_else_is_known_of_is_shown_by_its_id(ledger: Any) -> None:
    await named(ledger, "dossier_code", CODE)
    await Desk(ledger).take("dossier.accepted", snapshot("ACCEPTED", parent_code="H39.05-250801-0001"))
    parent = (await shown(ledger)).relatives.parent
    assert parent is not None
    assert (parent.code, parent.status) == (str(key_of("dossier_code", "H39.05-250801-0001")), "")
