"""Delivery on real parts: order per dossier through failure, dead letter, replay, stop and restart."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from sqlalchemy import select

from router.delivery.outcome import Next, Work, accepted
from router.errors import OrderRefused
from router.events import DEAD_LETTER_TOPIC, TopicPartition, by_partition, header, topic_of
from router.ledger.dead_letters import DeadFilter
from router.ledger.rows import Verb
from router.ledger.tables import audit
from router.sdk import Checked, Event, Invalid, Receipt, Rejected, Retry, Transient, Unauthorised, Uncertain
from tests.delivery.installation import PARTITIONS, PARTNER, Script, installation, message

WHO = {"who": "operator", "why": "test"}


def of(dossier: str, count: int) -> list[tuple[str, str]]:
    return [(f"{dossier}-{n}", dossier) for n in range(count)]


async def test_events_of_a_dossier_go_out_one_by_one_in_order(tmp_path: Path) -> None:
    async with installation(tmp_path) as place:
        events = [event for pair in zip(of("A", 30), of("B", 30), of("C", 30), strict=True) for event in pair]
        await place.publish(*events)
        await place.until(lambda: len(place.script.taken) == 90)
        for dossier in "ABC":
            mine = [event for event in place.script.taken if event.startswith(dossier)]
            assert mine == [event for event, _ in of(dossier, 30)]


async def test_a_failing_head_is_tried_again_and_nothing_overtakes_it(tmp_path: Path) -> None:
    script = Script()
    script.answers["A-0"] = [Transient("busy"), Transient("busy")]
    async with installation(tmp_path, script=script) as place:
        await place.publish(*of("A", 5), *of("B", 5))
        await place.until(lambda: len(script.taken) == 10)
        assert [e for e in script.taken if e[0] == "A"] == [e for e, _ in of("A", 5)]
        assert script.seen.count("A-0") == 3


async def test_poison_parks_its_own_dossier_and_nothing_else(tmp_path: Path) -> None:
    script = Script()
    script.answers["A-1"] = [Invalid("contract", "MaHoSo")]
    async with installation(tmp_path, script=script) as place:
        await place.publish(*of("A", 4), *of("B", 4))
        await place.until(lambda: len(script.taken) == 5)
        await place.settled("A-1", "dead")
        assert set(script.taken) == {"A-0", "B-0", "B-1", "B-2", "B-3"}


async def test_a_replay_sends_the_dead_letter_first_and_then_what_waited_behind_it(tmp_path: Path) -> None:
    script = Script()
    script.answers["A-1"] = [Invalid("contract")]
    async with installation(tmp_path, script=script) as place:
        await place.publish(*of("A", 4))
        name, _ = await place.settled("A-1", "dead")
        answer = await place.operations.replay(name, body=b"corrected", **WHO)
        assert answer.result.applied
        await place.until(lambda: len(script.taken) == 4)
        assert script.taken == [e for e, _ in of("A", 4)]
        assert script.bodies["A-1"] == b"corrected"
        shown = await place.operations.show(name)
        assert [body.value for _, body in shown.editions] == [b"A-1", b"corrected"]


async def test_a_skipped_delivery_lets_its_dossier_go_on_and_can_be_restored_only_on_purpose(tmp_path: Path) -> None:
    script = Script()
    script.answers["A-0"] = [Invalid("contract")]
    async with installation(tmp_path, script=script) as place:
        await place.publish(*of("A", 3))
        name, _ = await place.settled("A-0", "dead")
        await place.operations.order(name, Verb.SKIP, **WHO)
        await place.until(lambda: script.taken == ["A-1", "A-2"])
        await place.settled("A-2", "delivered")
        refused = await place.operations.order(name, Verb.RESTORE, **WHO)
        assert not refused.result.applied
        assert "out-of-order" in refused.result.text
        assert (await place.operations.order(name, Verb.RESTORE, out_of_order=True, **WHO)).result.applied
        await place.settled("A-0", "dead")


@pytest.mark.parametrize("answer", [Invalid("contract"), Uncertain("cut", "đứt")])
async def test_a_person_can_let_what_is_dead_or_uncertain_expire_and_take_it_back(
    tmp_path: Path, answer: Exception
) -> None:
    script = Script()
    script.answers["A-0"] = [answer]
    async with installation(tmp_path, script=script, idempotency="none") as place:
        await place.publish(*of("A", 2))
        name, _ = await place.settled("A-0", "dead", "uncertain")
        answered = await place.operations.order(name, Verb.EXPIRE, **WHO)
        assert (answered.result.applied, answered.result.text[-7:]) == (True, "expired")
        await place.settled("A-1", "delivered")
        assert script.taken == ["A-1"]
        told = await place.ledger.read(
            lambda conn: conn.execute(select(audit.c.verb, audit.c.who, audit.c.target)).all()
        )
        assert [tuple(row) for row in told] == [("expire", WHO["who"], name)]
        assert not (await place.operations.order(name, Verb.EXPIRE, **WHO)).result.applied
        restored = await place.operations.order(name, Verb.RESTORE, out_of_order=True, **WHO)
        assert restored.result.applied
        await place.settled("A-0", "dead")


async def test_a_dead_letter_is_on_the_dead_letter_topic_byte_for_byte(tmp_path: Path) -> None:
    script = Script()
    script.answers["A-0"] = [Invalid("contract", code="17")]
    async with installation(tmp_path, script=script) as place:
        await place.publish(("A-0", "A"))
        await place.settled("A-0", "dead")
        await place.until(lambda: place.service.outbox.published == 1)
        reader = await place.bus.reader("test")
        await reader.set({TopicPartition(DEAD_LETTER_TOPIC, n): 0 for n in range(PARTITIONS)})
        [record] = [r for records in (await reader.next(10, 1.0)).values() for r in records]
        key, value, headers = message("A-0", "A")
        assert (record.key, record.value) == (key, value)
        assert list(record.headers)[: len(headers)] == headers
        assert header(record.headers, "lgsp_failure_reason") == b"contract"
        assert header(record.headers, "lgsp_failure_partner_code") == b"17"
        assert header(record.headers, "lgsp_failure_origin_topic") == topic_of(PARTNER).encode()


async def test_a_rejection_is_answered_to_the_sender_and_the_dossier_goes_on(tmp_path: Path) -> None:
    script = Script()
    script.answers["A-0"] = [Rejected("unknown_dossier", code="02")]
    async with installation(tmp_path, script=script) as place:
        await place.bus.create([])
        await place.publish(*of("A", 2))
        await place.until(lambda: script.taken == ["A-1"])
        _, delivery = await place.settled("A-0", "rejected")
        assert delivery.receipt is not None
        assert delivery.receipt["code"] == "02"


async def test_refused_credentials_stop_the_recipient_until_a_person_resumes_it(tmp_path: Path) -> None:
    script = Script()
    script.answers["A-0"] = [Unauthorised("login_refused")]
    async with installation(tmp_path, script=script) as place:
        await place.publish(*of("A", 3), *of("B", 3))
        await place.until(lambda: place.service.recipients[PARTNER].health.status == "stopped")
        status = await place.operations.status()
        while PARTNER not in status.states:
            status = await place.operations.status()
        assert status.states[PARTNER].status == "stopped"
        await place.operations.resume_recipient(PARTNER, **WHO)
        await place.until(lambda: len(script.taken) == 6)
        assert [e for e in script.taken if e[0] == "A"] == ["A-0", "A-1", "A-2"]
        assert not (await place.operations.dead_groups(DeadFilter()))


async def test_what_comes_twice_is_recognised_and_other_bytes_under_the_same_id_are_kept_apart(tmp_path: Path) -> None:
    async with installation(tmp_path) as place:
        publisher = await place.bus.publisher()
        same = [message("A-0", "A", digest=b"1" * 16), message("A-0", "A", digest=b"1" * 16)]
        other = message("A-0", "A", body=b"changed", digest=b"2" * 16)
        await publisher.publish(by_partition(topic_of(PARTNER), [*same, other, message("A-1", "A")], PARTITIONS))
        await place.until(lambda: place.script.taken == ["A-0", "A-1"])
        accepted = place.service.tally.accepted
        assert accepted[PARTNER, "repeated"] == 1
        assert accepted[PARTNER, "conflict"] == 1


async def test_the_same_content_under_a_new_id_is_delivered_and_counted(tmp_path: Path) -> None:
    async with installation(tmp_path) as place:
        publisher = await place.bus.publisher()
        said = [("A-0", "A", b"4"), ("A-1", "A", b"5"), ("A-2", "A", b"4"), ("A-2", "A", b"4"), ("B-0", "B", b"4")]
        sent = [message(event, dossier, digest=body * 16) for event, dossier, body in said]
        await publisher.publish(by_partition(topic_of(PARTNER), sent, PARTITIONS))
        await place.until(lambda: sorted(place.script.taken) == ["A-0", "A-1", "A-2", "B-0"])
        accepted = place.service.tally.accepted
        assert (accepted[PARTNER, "same_content"], accepted[PARTNER, "repeated"]) == (1, 1)
        name = (await place.operations.trace("A-2", ["one-stop-h39"]))[0].name
        same = await place.operations.same_content("A-2", ["one-stop-h39"])
        assert list(same) == [name]


@pytest.mark.parametrize(("checked", "calls"), [(Checked.DONE, 1), (Checked.NOT_DONE, 2)])
async def test_a_call_cut_off_is_asked_about_before_it_is_sent_again(
    tmp_path: Path, checked: Checked, calls: int
) -> None:
    script = Script()
    script.answers["A-0"] = [Uncertain("reset")]
    script.checks["A-0"] = checked
    async with installation(tmp_path, script=script, idempotency="checked") as place:
        await place.publish(("A-0", "A"))
        await place.settled("A-0", "delivered")
        assert script.seen.count("A-0") == calls


async def test_an_operation_that_cannot_be_repeated_is_left_to_a_person(tmp_path: Path) -> None:
    script = Script()
    script.answers["A-0"] = [Uncertain("reset")]
    async with installation(tmp_path, script=script, idempotency="none") as place:
        await place.publish(*of("A", 2))
        await place.settled("A-0", "uncertain")
        assert script.seen == ["A-0"]


async def test_a_restart_goes_on_where_it_was_and_sends_nothing_twice(tmp_path: Path) -> None:
    first = Script()
    async with installation(tmp_path, script=first) as place:
        await place.publish(*of("A", 10), *of("B", 10))
        await place.until(lambda: len(first.taken) >= 5)
    again = Script()
    async with installation(tmp_path, script=again) as place:
        await place.until(lambda: len(first.taken) + len(again.taken) == 20)
        for dossier in "AB":
            taken = [e for e in first.taken + again.taken if e[0] == dossier]
            assert taken == [e for e, _ in of(dossier, 10)]


async def test_a_backlog_larger_than_memorys_window_goes_out_in_order(tmp_path: Path) -> None:
    script = Script()
    script.gate.clear()
    async with installation(tmp_path, script=script) as place:
        await place.publish(*of("A", 60))
        await place.until(lambda: script.seen)
        script.gate.set()
        await place.until(lambda: len(script.taken) == 60)
        assert script.taken == [e for e, _ in of("A", 60)]


async def test_two_operators_at_once_get_one_winner_and_a_clear_refusal(tmp_path: Path) -> None:
    script = Script()
    script.answers["A-0"] = [Invalid("contract")]
    async with installation(tmp_path, script=script) as place:
        await place.publish(("A-0", "A"))
        name, _ = await place.settled("A-0", "dead")
        first = await place.operations.order(name, Verb.DISCARD, **WHO)
        second = await place.operations.replay(name, body=None, **WHO)
        assert first.result.applied
        assert not second.result.applied
        assert "discarded" in second.result.text


async def test_an_order_on_an_unknown_delivery_is_refused(tmp_path: Path) -> None:
    async with installation(tmp_path) as place:
        with pytest.raises(OrderRefused, match="recipient/partition/seq"):
            await place.operations.show("nonsense")
        with pytest.raises(OrderRefused, match="no delivery"):
            await place.operations.show(f"{PARTNER}/0/999")


async def test_a_record_without_an_identity_is_a_dead_letter_and_not_lost(tmp_path: Path) -> None:
    async with installation(tmp_path) as place:
        publisher = await place.bus.publisher()
        await publisher.publish({TopicPartition(topic_of(PARTNER), 0): [(b"k", b"v", [("x", b"y")])]})
        await place.until(lambda: place.service.tally.accepted[PARTNER, "new"] == 1)
        [group] = await place.operations.dead_groups(DeadFilter())
        assert group.reason == "malformed_event"


UNSOUND = "H\ud800\0"
SHOWN = "H\ufffd\ufffd"


async def test_words_that_no_text_can_hold_are_stored_as_far_as_they_go(tmp_path: Path) -> None:
    """A partner's JSON may write a NUL and half a surrogate pair: neither ends the process or costs a receipt."""
    script = Script()
    script.answers["A-0"] = [Invalid(UNSOUND, UNSOUND, code=UNSOUND)]
    script.answers["B-0"] = [Rejected("refused", UNSOUND, code=UNSOUND)]
    script.answers["C-0"] = [Receipt(UNSOUND, UNSOUND, UNSOUND, details={UNSOUND: UNSOUND, "lines": 2})]
    async with installation(tmp_path, script=script) as place:
        await place.publish(*of("A", 1), *of("B", 1), *of("C", 1))
        _, dead = await place.settled("A-0", "dead")
        _, rejected = await place.settled("B-0", "rejected")
        _, delivered = await place.settled("C-0", "delivered")
    assert (dead.failure.reason, dead.failure.partner_code, dead.failure.message) == (SHOWN, SHOWN, SHOWN)
    assert rejected.receipt == {"code": SHOWN, "reason": "refused", "message": SHOWN}
    assert delivered.receipt == {
        "code": SHOWN, "message": SHOWN, "reference": SHOWN, "details": {SHOWN: SHOWN, "lines": 2},
    }  # fmt: skip


@pytest.mark.parametrize(
    ("idempotency", "state"), [("natural_key", "waiting"), ("checked", "calling"), ("none", "uncertain")]
)
async def test_a_fault_of_ours_around_a_call_stops_its_own_dossier_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, idempotency: str, state: str
) -> None:
    """Nobody knows then whether the partner took it, so what follows goes by the operation's class."""

    def failing(work: Work, answer: Receipt | BaseException) -> Next | None:
        if work.delivery.event_id == "A-0":
            raise ZeroDivisionError("a fault")
        return accepted(work, answer)

    monkeypatch.setattr("router.delivery.calls.accepted", failing)
    async with installation(tmp_path, idempotency=idempotency) as place:
        await place.publish(*of("A", 2), *of("B", 2))
        await place.settled("B-1", "delivered")
        await place.until(lambda: place.service.tally.outcomes[PARTNER, "uncertain"])
        _, left = await place.settled("A-0", state)
        assert left.failure.reason == "internal_error"
        assert "test_service.py" in left.failure.message
        assert "A-1" not in place.script.seen


class Rate:
    """A limiter that lets everybody pass and counts; ``then`` happens at the second call."""

    def __init__(self, then: Callable[[], None] = lambda: None) -> None:
        self.passed, self.then = 0, then

    async def acquire(self) -> None:
        self.passed += 1
        if self.passed == 2:
            self.then()


async def test_each_try_in_place_takes_its_share_of_the_rate(tmp_path: Path) -> None:
    script = Script()
    script.answers["A-0"] = [Transient("busy"), Transient("busy")]
    async with installation(tmp_path, script=script) as place:
        recipient = place.service.recipients[PARTNER]
        await place.until(lambda: len(place.service.shards) == 2 * PARTITIONS)  # its rate is settled
        recipient.limiter = rate = Rate()  # type: ignore[assignment]
        recipient.manifest = recipient.manifest.model_copy(update={"retry": Retry(in_place=3)})
        await place.publish(*of("A", 1))
        _, done = await place.settled("A-0", "delivered")
    assert (done.attempts, rate.passed) == (1, 3)


async def test_a_partner_held_while_its_turn_was_waited_for_is_not_asked_either(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str] = []
    script = Script()
    script.answers["A-0"] = [Uncertain("reset")]
    async with installation(tmp_path, script=script, idempotency="checked") as place:
        recipient, service = place.service.recipients[PARTNER], place.service

        async def check(event: Event) -> Checked:
            asked.append(event.id)
            return Checked.DONE

        monkeypatch.setattr(recipient.connector, "check", check)
        shut = [False]
        monkeypatch.setattr(service._standing, "is_shut", lambda _recipient: shut[0])
        await place.until(lambda: len(place.service.shards) == 2 * PARTITIONS)  # its rate is settled
        recipient.limiter = rate = Rate(lambda: shut.append(shut.pop() or True))  # type: ignore[assignment]
        await place.publish(*of("A", 1))
        await place.until(lambda: rate.passed == 2 and not service.dispatcher.calling)
        assert asked == []
        shut[0] = False
        await place.settled("A-0", "delivered")
        assert asked == ["A-0"]
