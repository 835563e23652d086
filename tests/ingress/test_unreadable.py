"""Parts of a message that nobody can read: a dead letter each, with the partner's own bytes, and the rest goes on."""

from __future__ import annotations

import pytest

from router.delivery.accept import arrival_of
from router.delivery.verdict import Situation, judge
from router.errors import TooLarge
from router.events import (
    CE_ADDRESSED_TO,
    CE_TYPE,
    CONTENT_TYPE,
    ROUTER,
    Fetched,
    key_of,
    text_header,
    topic_of,
)
from router.ledger.rows import Body, Order, State, Verb
from router.sdk.inbound import DOSSIER_CODE, Reference, Unreadable
from tests.delivery.test_outcome import work
from tests.ingress.harness import AT, MANIFEST, Rig, emission, texts

CODE = "H39.16-250616-0001"


@pytest.fixture
async def rig():
    made = await Rig.start()
    yield made
    await made.stop()


def row(place: str = "MA_HSO[1]", code: str = CODE, **changes):
    values = {
        "type": "tax.notice_issued",
        "original": f"<ROW>{place}</ROW>".encode(),
        "place": place,
        "vi": "Trường SO_TIEN không hợp lệ",
        "en": "field SO_TIEN: expected dong",
        "operation": "notice",
        "time": AT,
        "identity": f"hash/{place}",
        "subject": Reference(DOSSIER_CODE, code) if code else None,
        "addressed_to": "H39.90",
    }
    return Unreadable(**{**values, **changes})


async def receive(rig, *parts, emissions=()):
    await rig.intake.receive("tax-h39", MANIFEST, emissions, unreadable=parts)


async def test_one_unreadable_row_is_a_dead_letter_and_the_others_are_received(rig):
    await receive(rig, row(), emissions=[emission("a"), emission("b", operation="other")])
    assert texts(rig.log()) == ["a", "b"]
    (letter,) = rig.log(topic_of(ROUTER))
    assert letter.value == b"<ROW>MA_HSO[1]</ROW>"
    assert text_header(letter.headers, CE_TYPE) == "tax.notice_issued"
    assert text_header(letter.headers, CE_ADDRESSED_TO) == "H39.90"
    assert text_header(letter.headers, CONTENT_TYPE) == "application/octet-stream"


async def test_it_is_dead_on_acceptance_with_its_place_and_what_was_expected(rig):
    await receive(rig, row())
    arrival = arrival_of(ROUTER, rig.log(topic_of(ROUTER))[0])
    assert (arrival.state, arrival.failure.reason) == (State.DEAD, "poison")
    assert arrival.failure.message == "MA_HSO[1]: field SO_TIEN: expected dong"


async def test_the_same_file_again_is_the_same_dead_letter(rig):
    await receive(rig, row())
    await receive(rig, row())
    first, second = rig.log(topic_of(ROUTER))
    one, other = arrival_of(ROUTER, first), arrival_of(ROUTER, second)
    assert (one.identity, one.digest) == (other.identity, other.digest)


async def test_where_its_dossier_is_known_it_stands_under_the_dossiers_key(rig):
    await receive(rig, emissions=[emission("a", code=CODE)])
    await receive(rig, row(code=CODE), row("MA_HSO[2]", code=""))
    keys = {record.value: record.key for record in rig.log(topic_of(ROUTER))}
    assert keys[b"<ROW>MA_HSO[1]</ROW>"] == key_of(DOSSIER_CODE, CODE).bytes
    assert keys[b"<ROW>MA_HSO[2]</ROW>"] != keys[b"<ROW>MA_HSO[1]</ROW>"]


async def test_a_part_too_large_for_the_bus_is_refused_like_any_payload(rig):
    with pytest.raises(TooLarge):
        await receive(rig, row(original=b"x" * 262_145))


def replayed(record: Fetched, **args):
    """What an order to replay it comes to."""
    delivery = work(state=State.DEAD).delivery
    situation = Situation(ROUTER, delivery, Body(record.value, record.headers), is_head=True, later_out=False)
    return judge(Order(lease="l", verb=Verb.REPLAY, who="w", why="y", args=args), situation, now=0)


async def test_it_is_replayed_with_a_corrected_record_only_and_then_waits_for_its_dossier(rig):
    await receive(rig, row())
    (letter,) = rig.log(topic_of(ROUTER))
    refused = replayed(letter)
    assert refused.transition is None
    assert "--body" in refused.text
    taken = replayed(letter, body="YXZybw==")
    assert taken.transition.state is State.DELIVERED
    assert (taken.resolve.scheme, taken.resolve.value) == (DOSSIER_CODE, CODE)
    assert taken.resolve.body.value == b"avro"
    assert text_header(taken.resolve.body.headers, CONTENT_TYPE) == "application/avro"
    assert not {"lgsp_reason", "lgsp_detail"} & {name for name, _ in taken.resolve.body.headers}


async def test_what_does_not_even_say_its_dossier_can_only_be_discarded(rig):
    await receive(rig, row(code=""))
    refused = replayed(rig.log(topic_of(ROUTER))[0], body="YXZybw==")
    assert refused.transition is None
    assert "discard" in refused.text
