"""Keys, ids, conflicts: what a partner's message becomes."""

from __future__ import annotations

from collections import Counter
from datetime import timedelta
from itertools import pairwise

import hypothesis.strategies as st
import pytest
from hypothesis import given, settings

from router.errors import BadRequest, TooLarge
from router.events import (
    CE_DOSSIER,
    CE_PRIORITY,
    CE_SOURCE,
    CE_TIME,
    CE_TRACEPARENT,
    CE_TYPE,
    CONTENT_TYPE,
    DOCUMENT_TOPIC,
    DOSSIER_TOPIC,
    LGSP_DIGEST,
    LGSP_REASON,
    LGSP_REFERENCE,
    ROUTER,
    header,
    key_of,
    text_header,
    topic_of,
)
from router.ingress.envelope import drafts_of, event_id, owner_hash, read_reference, reference_bytes
from router.ledger.tables import alias, alias_conflict
from router.sdk.inbound import DOCUMENT_ID, DOSSIER_CODE, Reference
from tests.ingress.harness import AT, MANIFEST, OWNER_KEY, Note, Rig, emission, encode, ids, keys, notice, texts

WORDS = st.text(st.characters(exclude_categories=["Cc", "Cs"]), min_size=1, max_size=6)


async def test_a_bus_message_carries_the_cloudevents_attributes(rig: Rig) -> None:
    one = emission(time=AT + timedelta(microseconds=5), procedure="1.004889", addressed_to="H39.16", identity="m1")
    trace = "00-" + "a" * 32 + "-" + "b" * 16 + "-01"
    await rig.intake.receive("one-stop-h39", MANIFEST, [one], traceparent=trace)
    [record] = rig.log()
    found = dict(record.headers)
    key = key_of(DOSSIER_CODE, "H39.16-250616-0001")
    assert record.key == key.bytes
    assert len(found[LGSP_DIGEST]) == 16
    assert {name: found[name].decode() for name in found if name != LGSP_DIGEST} == {
        "ce_specversion": "1.0",
        "ce_id": ids([record])[0],
        CE_SOURCE: "one-stop-h39",
        CE_TYPE: "dossier.status_changed",
        "ce_subject": "H39.16-250616-0001",
        CE_TIME: "2025-06-16T01:00:00.000005+00:00",
        CE_DOSSIER: str(key),
        CONTENT_TYPE: "application/avro",
        "ce_procedure": "1.004889",
        "ce_addressedto": "H39.16",
        CE_TRACEPARENT: trace,
    }


async def test_documents_travel_apart_from_dossiers(rig: Rig) -> None:
    await rig.receive(emission(type="document.sent", subject=Reference(DOCUMENT_ID, "d1")), emission())
    assert len(rig.log(DOCUMENT_TOPIC)) == len(rig.log(DOSSIER_TOPIC)) == 1


@settings(max_examples=60, deadline=None)
@given(source=WORDS, operation=WORDS, identity=WORDS, first=WORDS, second=WORDS)
def test_the_partners_identity_alone_decides_the_id(
    source: str, operation: str, identity: str, first: str, second: str
) -> None:
    made = [
        event_id(source, drafts_of([emission(text, operation=operation, identity=identity)], encode)[0], n)
        for n, text in enumerate([first, second])
    ]
    assert made[0] == made[1]


@settings(max_examples=60, deadline=None)
@given(parts=st.lists(st.tuples(WORDS, WORDS, WORDS), min_size=2, max_size=8, unique=True))
def test_different_identities_have_different_ids(parts: list[tuple[str, str, str]]) -> None:
    made = {
        event_id(source, drafts_of([emission(operation=operation, identity=identity)], encode)[0], 0)
        for source, operation, identity in parts
    }
    assert len(made) == len(parts)


def test_events_that_share_one_message_identity_are_told_apart_the_same_way_each_time() -> None:
    message = [emission("9", identity="m"), emission("9", identity="m", type="dossier.result_ready")]
    made = [[event_id("s", draft, 0) for draft in drafts_of(message, encode)] for _ in range(2)]
    assert made[0] == made[1]
    assert len(set(made[0])) == 2


def test_the_same_line_twice_in_one_message_has_one_id() -> None:
    twice = drafts_of([emission("4", identity="m"), emission("4", identity="m")], encode)
    assert event_id("s", twice[0], 0) == event_id("s", twice[1], 0)


async def test_four_five_four_without_ids_are_three_events_and_a_repeat_inside_the_window_is_one(rig: Rig) -> None:
    for text in ("4", "5", "4", "4"):
        await rig.receive(emission(text))
    made = ids(rig.log())
    assert len(made) == 4
    assert len(set(made)) == 3
    assert made[2] == made[3]


async def test_the_same_content_after_the_window_is_a_new_event(rig: Rig) -> None:
    await rig.receive(emission("4"))
    await rig.clock.advance(MANIFEST.inbound.repeat_window + 1)
    await rig.receive(emission("4"))
    assert len(set(ids(rig.log()))) == 2


async def test_another_sources_message_in_between_does_not_make_a_repeat_new(rig: Rig) -> None:
    await rig.receive(emission("4"))
    await rig.receive(emission("5"), source="portal")
    await rig.receive(emission("4"))
    assert sorted(Counter(ids(rig.log())).values()) == [1, 2]


async def test_one_message_of_several_events_repeats_as_a_whole(rig: Rig) -> None:
    message = [emission("9"), emission("9", type="dossier.result_ready")]
    await rig.receive(*message)
    await rig.receive(*message)
    assert sorted(Counter(ids(rig.log())).values()) == [2, 2]


@settings(max_examples=25, deadline=None)
@given(contents=st.lists(st.sampled_from(["4", "5", "6"]), min_size=1, max_size=12))
async def test_without_ids_every_change_of_content_is_one_event(contents: list[str]) -> None:
    rig = await Rig.start()
    for text in contents:
        await rig.receive(emission(text))
    made = ids(rig.log())
    unchanged = [before == after for before, after in pairwise(contents)]
    assert [before == after for before, after in pairwise(made)] == unchanged
    changes = 1 + unchanged.count(False)
    assert len(set(made)) == changes
    await rig.stop()


async def test_the_same_id_with_other_bytes_is_published_with_another_digest(rig: Rig) -> None:
    await rig.receive(emission("4", identity="m1"))
    await rig.receive(emission("5", identity="m1"))
    records = rig.log()
    assert len(set(ids(records))) == 1
    assert len({header(record.headers, LGSP_DIGEST) for record in records}) == 2


async def test_one_code_for_two_citizens_goes_to_a_person_and_is_never_merged(rig: Rig) -> None:
    await rig.receive(emission("a", owner="079200001234"), source="one-stop-h39")
    await rig.receive(emission("b", owner="001300004321"), source="one-stop-h53")
    await rig.receive(emission("c", owner="079200001234"), source="one-stop-h39")
    assert texts(rig.log()) == ["a", "c"]
    [conflict] = rig.log(topic_of(ROUTER))
    assert texts([conflict]) == ["b"]
    assert text_header(conflict.headers, LGSP_REASON) == "owner_conflict"
    assert keys([conflict])[0] not in keys(rig.log())


async def test_messages_without_owner_from_the_issuer_in_conflict_go_to_a_person_too(rig: Rig) -> None:
    await rig.receive(emission("a", owner="079200001234"), source="one-stop-h39")
    await rig.receive(emission("b", owner="001300004321"), source="one-stop-h53")
    await rig.receive(emission("b2"), source="one-stop-h53")
    await rig.receive(emission("a2"), source="one-stop-h39")
    assert texts(rig.log()) == ["a", "a2"]
    assert texts(rig.log(topic_of(ROUTER))) == ["b", "b2"]


async def test_a_conflict_names_what_to_resolve_again(rig: Rig) -> None:
    await rig.receive(emission("a", owner="1"))
    await rig.receive(emission("b", owner="2"))
    [record] = rig.log(topic_of(ROUTER))
    reference = header(record.headers, LGSP_REFERENCE)
    assert reference is not None
    assert read_reference(reference) == emission().subject


async def test_an_owner_is_kept_as_a_keyed_hash_only(rig: Rig) -> None:
    await rig.receive(emission(owner="079200001234"))
    await rig.receive(emission(owner="001300004321"))

    def stored(conn: object) -> str:
        rows = [*conn.execute(alias.select()), *conn.execute(alias_conflict.select())]  # type: ignore[attr-defined]
        return repr(rows)

    text = await rig.ledger.read(stored)
    assert "079200001234" not in text
    assert "001300004321" not in text
    assert owner_hash("079200001234", OWNER_KEY) != owner_hash("079200001234", b"another key")


async def test_a_code_is_one_dossier_whoever_writes_it(rig: Rig) -> None:
    await rig.receive(emission("a"), source="one-stop-h39")
    await rig.receive(emission("b", mints=False), source="land-h39")
    assert len(set(keys(rig.log()))) == 1


async def test_a_document_keeps_the_class_of_its_first_event(rig: Rig) -> None:
    about = {"subject": Reference(DOCUMENT_ID, "d1"), "identity": ""}
    await rig.receive(emission("1", type="document.sent", urgent=True, **about))
    await rig.receive(emission("2", type="document.status_changed", urgent=False, **about))
    assert [header(r.headers, CE_PRIORITY) for r in rig.log(DOCUMENT_TOPIC)] == [b"urgent", b"urgent"]


async def test_a_dossier_is_never_urgent_since_its_events_share_one_lane(rig: Rig) -> None:
    await rig.receive(emission(urgent=True))
    assert header(rig.log()[0].headers, CE_PRIORITY) is None


async def test_an_event_found_by_a_notice_number_is_about_the_dossiers_code(rig: Rig) -> None:
    await rig.receive(emission(references=[Reference("notice", "TB-123/2025")]))
    await rig.receive(notice("paid"))
    first, second = rig.log()
    assert first.key == second.key
    assert text_header(second.headers, "ce_subject") == "H39.16-250616-0001"


async def test_a_record_above_256_kib_is_refused(rig: Rig) -> None:
    with pytest.raises(TooLarge):
        await rig.receive(emission(record=Note(text="x" * 262_144)))
    assert rig.log() == []


async def test_a_message_without_a_code_is_refused(rig: Rig) -> None:
    with pytest.raises(BadRequest):
        await rig.receive(emission(code=""))


@pytest.mark.parametrize("code", ["H39\x00", "H39\udce9", "H39\x1f"])
async def test_a_code_with_control_characters_is_refused(rig: Rig, code: str) -> None:
    with pytest.raises(BadRequest):
        await rig.receive(emission(code=code))
    with pytest.raises(BadRequest):
        await rig.receive(emission(references=[Reference("notice", code)]))


async def test_a_code_that_is_too_long_is_refused_in_both_languages(rig: Rig) -> None:
    await rig.receive(emission(code="H" * 50))
    with pytest.raises(BadRequest, match="more than 50 characters") as refused:
        await rig.receive(emission(code="H" * 51))
    assert "dài quá 50 ký tự" in refused.value.vi
    with pytest.raises(BadRequest):
        await rig.receive(emission(references=[Reference("notice", "1" * 1001)]))


async def test_a_time_without_zone_is_refused(rig: Rig) -> None:
    with pytest.raises(BadRequest):
        await rig.receive(emission(time=AT.replace(tzinfo=None)))


@given(scheme=st.sampled_from(["notice", DOSSIER_CODE]), value=st.text(max_size=20).filter(lambda t: "\x1f" not in t))
def test_a_reference_survives_its_header(scheme: str, value: str) -> None:
    assert read_reference(reference_bytes(Reference(scheme, value))) == Reference(scheme, value)
