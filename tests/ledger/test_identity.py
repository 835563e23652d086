"""Who is who: nothing is merged by itself, and a repetition is told from a new occurrence."""

from __future__ import annotations

from uuid import UUID

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import select

from router.events import key_of
from router.ledger import identity, query
from router.ledger.identity import Claim, Waiting
from router.ledger.rows import Body
from router.ledger.tables import alias_conflict
from tests.ledger.harness import DAY, HEADERS, NOW, SECOND, in_memory

SCHEME, CODE = "dossier", "H39.16-250616-0001"
KEY = key_of(SCHEME, CODE)
OTHER = key_of(SCHEME, "H39.16-250616-0002")
FIRST, SECOND_OWNER = b"owner-1".ljust(16), b"owner-2".ljust(16)


async def claim(ledger, owner=None, issuer="one-stop-h39", code=CODE, now=NOW):
    return await ledger.write(lambda c: identity.claim(c, SCHEME, code, issuer=issuer, owner=owner, now=now))


async def link(ledger, key, value="TN-79-1", now=NOW):
    return await ledger.write(lambda conn: identity.link(conn, "tax_notice", value, key, issuer="tax-h39", now=now))


async def resolve(ledger, scheme=SCHEME, value=CODE):
    return await ledger.read(lambda conn: identity.resolve(conn, scheme, value))


async def conflicts(ledger):
    rows = await ledger.read(lambda conn: list(conn.execute(select(alias_conflict).order_by(alias_conflict.c.id))))
    return [(r.value, r.issuer, None if r.owner is None else bytes(r.owner)) for r in rows]


# Claims


async def test_a_code_always_mints_the_same_id_and_is_known_from_then_on(bare):
    assert await resolve(bare) is None
    assert await claim(bare, FIRST) == Claim(KEY, False)
    assert await claim(bare, FIRST) == Claim(KEY, False)
    assert await claim(bare) == Claim(KEY, False)
    assert await resolve(bare) == KEY
    assert await resolve(bare, "other space") is None
    assert await conflicts(bare) == []


async def test_the_same_code_with_another_owner_is_a_conflict_and_changes_nothing(bare):
    await claim(bare, FIRST)
    for _ in range(2):
        assert await claim(bare, SECOND_OWNER, "one-stop-h40") == Claim(KEY, True)
    assert await conflicts(bare) == [(CODE, "one-stop-h40", SECOND_OWNER)]
    assert await claim(bare, FIRST) == Claim(KEY, False)


async def test_an_owner_completes_a_claim_that_had_none(bare):
    await claim(bare)
    assert await claim(bare, FIRST) == Claim(KEY, False)
    assert await claim(bare, SECOND_OWNER) == Claim(KEY, True)


async def test_a_code_is_disputed_for_the_issuer_who_used_it_for_another_owner(bare):
    await claim(bare, FIRST)
    await claim(bare, SECOND_OWNER, "one-stop-h40")

    async def disputed(issuer, code=CODE):
        return await bare.read(lambda conn: identity.is_disputed(conn, SCHEME, code, issuer=issuer))

    assert await disputed("one-stop-h40") is True
    assert await disputed("one-stop-h39") is False
    assert await disputed("one-stop-h40", "H39.16-250616-0002") is False


# Links and dated merges


async def test_a_reference_means_one_dossier_and_a_second_meaning_is_a_conflict(bare):
    await claim(bare, FIRST)
    assert await link(bare, KEY) is True
    assert await link(bare, KEY) is True
    assert await link(bare, OTHER) is False
    assert await resolve(bare, "tax_notice", "TN-79-1") == KEY
    assert await conflicts(bare) == [("TN-79-1", "tax-h39", None)]


async def test_readers_follow_a_merge_to_the_oldest_id(bare):
    oldest = UUID(int=1)
    await claim(bare)
    await link(bare, KEY)
    await bare.write(lambda conn: identity.merge(conn, KEY, OTHER, now=NOW))
    await bare.write(lambda conn: identity.merge(conn, OTHER, oldest, now=NOW))
    assert await resolve(bare) == oldest
    assert await resolve(bare, "tax_notice", "TN-79-1") == oldest
    assert await claim(bare) == Claim(oldest, False)
    assert await link(bare, oldest) is True


async def test_ids_merged_in_a_circle_still_end(bare):
    await bare.write(lambda conn: identity.merge(conn, KEY, OTHER, now=NOW))
    await bare.write(lambda conn: identity.merge(conn, OTHER, KEY, now=NOW))
    assert await bare.read(lambda conn: identity.current(conn, KEY)) in (KEY, OTHER)


async def test_the_code_of_an_id_is_the_one_claimed_first(bare):
    await claim(bare)
    await link(bare, KEY, value="TN-79-2")
    await link(bare, KEY, value="TN-79-1", now=NOW + 1)

    async def code(*schemes):
        return await bare.read(lambda conn: identity.code_of(conn, KEY, schemes))

    assert (await code(SCHEME), await code("tax_notice"), await code("none")) == (CODE, "TN-79-2", "")
    assert sorted(await bare.read(lambda conn: query.aliases(conn, KEY.bytes))) == [
        (SCHEME, CODE), ("tax_notice", "TN-79-1"), ("tax_notice", "TN-79-2"),
    ]  # fmt: skip
    assert await bare.read(lambda conn: query.keys_by_code(conn, "TN-79-1")) == [KEY.bytes]
    assert await bare.read(lambda conn: query.keys_by_code(conn, "unknown")) == []


_claims = st.lists(st.tuples(st.integers(0, 2), st.sampled_from([None, FIRST, SECOND_OWNER, b"x" * 16])), max_size=12)


@settings(max_examples=25, deadline=None)
@given(_claims)
async def test_whatever_is_claimed_the_first_owner_of_a_code_keeps_it(claims):
    owners: dict[int, bytes] = {}
    async with in_memory() as ledger:
        for number, owner in claims:
            if owner is not None:
                owners.setdefault(number, owner)
            conflict = owner is not None and owners[number] != owner
            assert await claim(ledger, owner, code=str(number)) == Claim(key_of(SCHEME, str(number)), conflict)


# Events that wait


def event(name=b"a", value="TN-79-1", expires=NOW + DAY):
    return Waiting(0, "tax_notice", value, "tax-h39", "payment.confirmed", Body(name, HEADERS), expires)


async def wait(ledger, made, same):
    await ledger.write(lambda conn: identity.wait(conn, made, same, now=NOW))


async def due(ledger, now=NOW, limit=9):
    return await ledger.read(lambda conn: identity.due(conn, now=now, limit=limit))


async def test_a_waiting_event_is_due_when_its_reference_is_known_and_comes_back_whole(bare):
    await wait(bare, event(), b"1" * 16)
    assert await due(bare) == []
    await link(bare, KEY)
    ((found, key),) = await due(bare)
    assert key == KEY
    assert found._replace(id=0, body=Body(found.body.value, tuple(map(tuple, found.body.headers)))) == event()
    await bare.write(lambda conn: identity.drop_waiting(conn, [found.id]))
    assert await due(bare) == []
    assert await bare.read(query.unsettled) == (0, 0)


async def test_waiting_events_come_in_arrival_order_and_a_repetition_waits_once(bare):
    await link(bare, KEY)
    for number in (3, 1, 2, 1, 3):
        await wait(bare, event(str(number).encode()), str(number).encode() * 16)
    assert [found.body.value for found, _ in await due(bare)] == [b"3", b"1", b"2"]
    assert [found.body.value for found, _ in await due(bare, limit=2)] == [b"3", b"1"]


async def test_an_event_nobody_linked_expires_without_a_key(bare):
    await wait(bare, event(expires=NOW + SECOND), b"1" * 16)
    assert await due(bare, NOW + SECOND - 1) == []
    ((found, key),) = await due(bare, NOW + SECOND)
    assert (found.body.value, key) == (b"a", None)


# Occurrences


async def occur(ledger, content, now=NOW, key=KEY, operation="status", window=3600 * SECOND):
    at = {"window": window, "now": now}
    return await ledger.write(lambda c: identity.occurrence_of(c, key, operation, content.encode(), **at))


async def test_4_5_4_are_three_events_and_4_4_is_one(bare):
    assert [await occur(bare, status) for status in ("4", "5", "4", "4")] == [1, 2, 3, 3]


async def test_the_same_again_after_the_window_is_another_event(bare):
    hour = 3600 * SECOND
    assert [await occur(bare, "4", NOW + at) for at in (0, hour, 2 * hour, 3 * hour + 1)] == [1, 1, 1, 2]


async def test_occurrences_are_apart_for_each_key_and_operation(bare):
    assert await occur(bare, "4") == 1
    assert await occur(bare, "5", operation="fee") == 1
    assert await occur(bare, "5", key=OTHER) == 1
    assert await occur(bare, "4") == 1


@settings(max_examples=25, deadline=None)
@given(st.lists(st.tuples(st.sampled_from("45"), st.integers(0, 20)), min_size=1, max_size=15))
async def test_the_counter_rises_exactly_where_content_changes_or_the_window_passes(messages):
    async with in_memory() as ledger:
        now, last, number = NOW, None, 0
        for content, pause in messages:
            now += pause
            number += content != last or pause > 10
            last = content
            assert await occur(ledger, content, now, window=10) == number


# Classes and cursors


@pytest.mark.parametrize("urgent", [True, False])
async def test_the_class_of_a_document_is_the_one_its_first_event_had(bare, urgent):
    for later in (urgent, not urgent):
        assert await bare.write(lambda conn, later=later: identity.pin_urgent(conn, KEY, later)) is urgent
    assert await bare.write(lambda conn: identity.pin_urgent(conn, OTHER, not urgent)) is (not urgent)


async def test_a_cursor_is_empty_at_first_and_then_what_was_saved_last(bare):
    assert await bare.read(lambda conn: identity.read_cursor(conn, "one-stop-h39", "dossiers")) == ""
    for value in ("1", "2"):
        await bare.write(lambda c, value=value: identity.save_cursor(c, "one-stop-h39", "dossiers", value))
    await bare.write(lambda conn: identity.save_cursor(conn, "one-stop-h39", "documents", "9"))
    assert await bare.read(lambda conn: identity.read_cursor(conn, "one-stop-h39", "dossiers")) == "2"
