"""Correcting a record in place: fields, checks, differences; redirecting, and deciding conflicts."""

from __future__ import annotations

from base64 import b64encode
from datetime import date

import pytest

from router.clock import SystemClock
from router.codec import Codec, PackagedSchemas
from router.delivery.verdict import Situation, judge
from router.errors import OrderRefused
from router.events import LONGEST_VALUE, ROUTER
from router.ledger import store
from router.ledger.rows import Body, Delivery, Order, State, Verb
from router.operations import Operations
from router.replay.edits import Change, checked, difference, with_fields
from router.sdk import Invalid
from router.sdk.records import NoticeLine, NoticeStatus, TaxNotice
from tests.delivery.installation import PARTNER, Script, installation, message

CODEC = Codec(PackagedSchemas())


def test_difference_names_fields_by_their_path():
    before = {"a": 1, "lines": [{"amount": 5}, {"amount": 6}], "same": "x"}
    after = {"a": 2, "lines": [{"amount": 5}], "same": "x", "new": True}
    assert difference(before, after) == [
        Change("a", 1, 2),
        Change("lines.1", {"amount": 6}, None),
        Change("new", None, True),
    ]


@pytest.fixture
def notice():
    record = TaxNotice(
        number="TB-1/CCT",
        issued_date=date(2025, 6, 23),
        code="H39.25.01-250616-0012",
        generation=1,
        tax_code="8300012345",
        lines=(NoticeLine(sub_item="Lệ phí trước bạ", amount=6_000_000),),
        total=6_000_000,
        status=NoticeStatus.ACTIVE,
        file_hash="0" * 64,
        file_lines=1,
        file_total=6_000_000,
    )
    return CODEC.encode("tax.notice_issued", record.model_dump())


def test_fields_are_set_by_their_path(notice):
    made = with_fields(CODEC, "tax.notice_issued", notice, ["number=TB-9/CCT", "lines.0.amount=7"])
    changed = {change.path for change in difference(CODEC.decode(notice), CODEC.decode(made))}
    assert changed == {"number", "lines.0.amount"}
    assert CODEC.decode(made)["lines"][0]["amount"] == 7


@pytest.mark.parametrize(
    ("field", "said"),
    [
        ("nothing=1", "no field nothing"),
        ("lines.99.amount=1", "no field"),
        ("total", "sets nothing"),
        ("total=x", "fit"),
    ],
)
def test_what_cannot_be_set_is_refused(notice, field, said):
    with pytest.raises(OrderRefused, match=said):
        with_fields(CODEC, "tax.notice_issued", notice, [field])


def test_a_body_that_is_no_record_or_another_record_or_breaks_the_contract_is_refused(notice):
    checked(CODEC, "tax.notice_issued", notice)
    with pytest.raises(OrderRefused, match=r"no tax\.notice_issued"):
        checked(CODEC, "tax.notice_issued", b"rubbish")
    with pytest.raises(OrderRefused):
        checked(CODEC, "dossier.accepted", notice)


def test_a_body_longer_than_a_message_may_be_is_refused(notice):
    with pytest.raises(OrderRefused, match=r"262145 bytes.*262144"):
        checked(CODEC, "tax.notice_issued", notice.ljust(LONGEST_VALUE + 1, b"."))


async def test_the_service_refuses_a_long_body_whoever_calls_it(tmp_path):
    script = Script()
    script.answers["A/1"] = [Invalid("contract")]
    async with installation(tmp_path, script=script) as place:
        await place.publish(("A/1", "A"))
        name, before = await place.settled("A/1", "dead")
        with pytest.raises(OrderRefused, match="262145 bytes"):
            await place.operations.replay(name, who="an", why="thử", body=b"x" * (LONGEST_VALUE + 1))
        assert (await place.delivery("A/1"))[1] == before


LONG = b"x" * (LONGEST_VALUE + 1)


@pytest.mark.parametrize(
    ("recipient", "verb", "args", "said"),
    [
        (ROUTER, Verb.REPLAY, {}, "give a shorter one"),
        (PARTNER, Verb.REPLAY, {"body": b64encode(LONG).decode()}, "give a shorter one"),
        (PARTNER, Verb.REDIRECT, {"to": "other"}, "cannot be redirected"),
        (PARTNER, Verb.REPLAY, {}, ""),
        (ROUTER, Verb.REPLAY, {"body": b64encode(b"short").decode()}, ""),
    ],
)
def test_nothing_is_published_that_no_publisher_would_take(recipient, verb, args, said):
    """Other producers may send more than the router takes; it would keep back all that stands behind it."""
    letter = Delivery(1, 1, b"k" * 16, State.DEAD, 1, False, "one-stop-h39", "A/1", "dossier.accepted", "A", 0, 0)
    situation = Situation(recipient, letter, Body(LONG, ()), is_head=True, later_out=False, partition=0)
    verdict = judge(Order("l", verb, "an", "thử", recipient=recipient, args=args), situation, now=0)
    assert said in verdict.text
    assert (verdict.transition is None) == bool(said)


async def test_nothing_is_redirected_to_a_recipient_that_is_not_configured_any_more(tmp_path):
    script = Script()
    script.answers["A/1"] = [Invalid("contract")]
    async with installation(tmp_path, script=script) as place:
        await place.ledger.write(lambda conn: store.register_shards(conn, "gone", 3))
        await place.publish(("A/1", "A"))
        name, before = await place.settled("A/1", "dead")
        desk = Operations(place.ledger, SystemClock(), None, configured=[PARTNER, "other", ROUTER])
        with pytest.raises(OrderRefused, match=r"gone is not configured any more.*\(other, partner are\)"):
            await desk.redirect(name, "gone", who="an", why="thử")
        assert (await place.delivery("A/1"))[1] == before


async def test_a_redirected_delivery_counts_as_skipped_and_the_target_takes_it_like_any_event(tmp_path):
    from router.events import TopicPartition, topic_of

    script = Script()
    script.gate.clear()
    async with installation(tmp_path, script=script) as place:
        await place.ledger.write(lambda conn: store.register_shards(conn, "other", 3))
        await place.bus.create([_topic("other")])
        await place.operations.hold_recipient(PARTNER, who="an", why="chờ")
        await place.publish(("A/1", "A"))
        await place.settled("A/1", "waiting")
        name, _ = await place.delivery("A/1")
        answer = await place.operations.redirect(name, "other", who="an", why="đã sáp nhập")
        assert answer.result.text == "redirected to other"
        _, skipped = await place.settled("A/1", "skipped")
        assert skipped.receipt == {"code": "redirected", "to": "other"}
        partition = int(name.split("/")[1])
        reader = await place.bus.reader("test")
        await reader.set({TopicPartition(topic_of("other"), partition): 0})
        (record,) = next(iter((await reader.next(10, 5.0)).values()))
        await reader.close()
        assert dict(record.headers)["ce_id"] == b"A/1"
        with pytest.raises(OrderRefused, match="no recipient nobody"):
            await place.operations.redirect(name, "nobody", who="an", why="x")
        script.gate.set()


async def test_other_bytes_under_a_taken_id_wait_for_a_decision(tmp_path):
    async with installation(tmp_path) as place:
        publisher = await place.bus.publisher()
        from router.events import by_partition, topic_of
        from tests.delivery.installation import PARTITIONS

        for body in (b"first", b"second", b"third"):
            batch = by_partition(topic_of(PARTNER), [message("A/1", "A", body=body)], PARTITIONS)
            await publisher.publish(batch)
        await publisher.close()
        await place.settled("A/1", "delivered")
        await place.until(lambda: place.service.tally.accepted[PARTNER, "conflict"] == 2)
        third, second = await place.operations.conflicts(10)
        assert (second.body.value, third.body.value) == (b"second", b"third")
        dropped = await place.operations.decide_conflict(third.id, take=False, who="an", why="sai")
        assert dropped.result.applied
        taken = await place.operations.decide_conflict(second.id, take=True, who="an", why="bản sau đúng")
        assert "goes out as event" in taken.result.text
        await place.until(lambda: len(place.script.taken) == 2)
        own_id = taken.result.text.rpartition(" ")[2]
        assert place.script.bodies == {"A/1": b"first", own_id: b"second"}
        assert await place.operations.conflicts(10) == []
        with pytest.raises(OrderRefused, match="no conflict"):
            await place.operations.decide_conflict(second.id, take=True, who="an", why="lại")


def _topic(recipient):
    from router.events import topic_of
    from router.ports import TopicSpec

    return TopicSpec(topic_of(recipient), 3)
