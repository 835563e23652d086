"""What operators see, and what purge leaves."""

from __future__ import annotations

from dataclasses import fields

import pytest
from sqlalchemy import func, select

from router.errors import ConfigError
from router.events import ROUTER
from router.ledger import dead_letters, outbox, purge, query, store
from router.ledger.dead_letters import CauseGroup, DeadFilter
from router.ledger.query import Backlog
from router.ledger.rows import FINISHED, Body, State, Verdict
from router.ledger.tables import attempt as attempt_table
from router.ledger.tables import body, seen
from tests.ledger.harness import (
    DAY,
    NOW,
    RECIPIENT,
    SECOND,
    WINDOW,
    accept,
    arrival,
    attempt,
    change,
    delivery,
    emission,
    failure,
    hashed,
    in_memory,
    key,
    purged,
)


@pytest.fixture
async def two(ledger):
    """A ledger with a second recipient."""
    await ledger.write(lambda conn: store.register_shards(conn, "land-h39", 1))
    return ledger


async def dead(ledger, wanted=DeadFilter(), limit=99, before=None):  # noqa: B008 (frozen)
    return [n.name for n in await ledger.read(lambda c: dead_letters.listed(c, wanted, limit=limit, before=before))]


async def test_backlogs_count_the_unfinished_by_state_and_name_the_oldest_that_waits(two):
    await accept(two, *(arrival(n) for n in range(4)), now=NOW)
    await accept(two, arrival(9), partition=1, now=NOW - 5)
    for seq, state in ((1, State.DEAD), (2, State.DELIVERED), (3, State.CALLING)):
        await change(two, seq, state)
    await change(two, 1, State.UNCERTAIN, partition=1)
    assert await two.read(query.backlogs) == [
        Backlog("land-h39", 0, 0, 0, 0, None), Backlog(RECIPIENT, 1, 1, 1, 1, NOW),
    ]  # fmt: skip


async def test_each_part_of_the_filter_restricts_the_dead_letters(two):
    body = Body(b"x", [("ce_procedure", b"1.012783"), ("ce_addressedto", b"H39.90")])
    other = arrival(3, event_type="x", subject="Mã khác", body=body)
    await accept(two, *(arrival(n) for n in range(3)), other)
    await accept(two, arrival(0), recipient="land-h39")
    await change(two, 1, State.DEAD, failure=failure(), last_at=NOW + 10)
    await change(two, 2, State.UNCERTAIN, failure=failure("timeout", cause="c2", message="100% quá hạn"))
    await change(two, 4, State.DEAD, failure=failure("rejected_by", cause="c3"), last_at=NOW + 30)
    await change(two, 1, State.DEAD, failure=failure(), last_at=NOW + 40, recipient="land-h39")
    names = {n: f"{RECIPIENT}/0/{n}" for n in (1, 2, 4)}
    land = "land-h39/0/1"
    assert await dead(two) == [land, names[4], names[1], names[2]]
    for wanted, expected in (
        (DeadFilter(recipient=RECIPIENT), [names[4], names[1], names[2]]),
        (DeadFilter(recipient="unknown"), []),
        (DeadFilter(reason="timeout"), [names[2]]),
        (DeadFilter(cause="c1"), [land, names[1]]),
        (DeadFilter(event_type="x"), [names[4]]),
        (DeadFilter(subject="Mã khác"), [names[4]]),
        (DeadFilter(text="bản đồ", recipient=RECIPIENT, cause="c1"), [names[1]]),
        (DeadFilter(text="100%"), [names[2]]),
        (DeadFilter(text="1_0"), []),
        (DeadFilter(procedure="1.012783"), [names[4]]),
        (DeadFilter(procedure="1.0127"), []),
        (DeadFilter(agency="H39.90"), [names[4]]),
        (DeadFilter(partner_code="none such"), []),
        (DeadFilter(since=NOW + 30), [land, names[4]]),
        (DeadFilter(until=NOW + 30), [names[1], names[2]]),
    ):
        assert await dead(two, wanted) == expected, wanted


def test_the_filter_has_no_part_without_a_case():
    assert {field.name for field in fields(DeadFilter)} == {
        "recipient", "reason", "cause", "event_type", "subject", "text", "since", "until", "partner_code", "procedure",
        "agency",
    }  # fmt: skip


@pytest.mark.parametrize("limit", [1, 2, 3])
async def test_pages_of_dead_letters_meet_each_once_even_where_time_and_seq_are_the_same(two, limit):
    """A group commit gives deliveries of several shards the same time, and their seqs are the same too."""
    await two.write(lambda conn: store.register_shards(conn, ROUTER, 2))
    for recipient, partition in (("land-h39", 0), (RECIPIENT, 0), (RECIPIENT, 1), (ROUTER, 0), (ROUTER, 1)):
        letters = [arrival(n, state=State.DEAD, failure=failure()) for n in range(2)]
        await accept(two, *letters, recipient=recipient, partition=partition)
    met, before = [], None
    while page := await two.read(lambda c, at=before: dead_letters.listed(c, DeadFilter(), limit=limit, before=at)):
        met += [named.name for named in page]
        before = dead_letters.page_mark(page[-1])
        assert len(met) <= 10
    assert len(met) == 10
    assert sorted(met) == sorted(await dead(two))


async def test_dead_letters_are_grouped_by_cause_and_recipient_with_the_newest_text(two):
    await accept(two, *(arrival(n) for n in range(4)))
    await accept(two, arrival(0), partition=1)
    await accept(two, arrival(0), recipient="land-h39")
    for seq, at, text in ((1, 30, "mới nhất"), (2, 10, "cũ"), (3, 20, "giữa")):
        await change(two, seq, State.DEAD, failure=failure(message=text), last_at=NOW + at)
    await change(two, 1, State.DEAD, failure=failure(message="phân vùng khác"), last_at=NOW + 5, partition=1)
    await change(two, 4, State.DEAD, failure=failure("other", cause="c2"), last_at=NOW)
    await change(two, 1, State.UNCERTAIN, failure=failure(), last_at=NOW, recipient="land-h39")
    groups = await two.read(lambda conn: dead_letters.groups(conn, DeadFilter()))
    assert groups[0] == CauseGroup("c1", RECIPIENT, "bad_request", "TAX-04", "mới nhất", 4, 2, NOW + 5, NOW + 30)
    assert {(g.cause, g.recipient, g.letters) for g in groups[1:]} == {("c2", RECIPIENT, 1), ("c1", "land-h39", 1)}
    only = await two.read(lambda conn: dead_letters.groups(conn, DeadFilter(cause="c2")))
    assert [(g.cause, g.letters) for g in only] == [("c2", 1)]


async def test_a_delivery_is_found_by_its_name(two):
    await accept(two, arrival(0), partition=1)

    async def find(name):
        return await two.read(lambda conn: query.find(conn, name))

    place, found = await find(f"{RECIPIENT}/1/1")
    assert (place.lease, found.event_id) == (f"shard:{RECIPIENT}/1", "event-0")
    assert query.name_of(place, found.seq) == f"{RECIPIENT}/1/1"
    for name in (f"{RECIPIENT}/0/1", f"{RECIPIENT}/7/1", f"{RECIPIENT}/1/2", "unknown/0/1"):
        assert await find(name) is None


@pytest.mark.parametrize("name", ["", "tax-h39", "tax-h39/0", "tax-h39/0/x", "tax-h39/-1/1", "tax-h39/0/1/2"])
def test_what_is_no_name_is_refused_with_the_form_expected(name):
    with pytest.raises(ValueError, match="expected recipient/partition/seq"):
        query.split_name(name)


async def test_a_trace_shows_an_event_at_all_recipients_and_nothing_else(two):
    await accept(two, arrival(0), arrival(1), now=NOW + 5)
    await accept(two, arrival(7, event_id="event-0"), recipient="land-h39")
    found = await two.read(lambda conn: query.trace(conn, [hashed(b"event-0"), hashed(b"unknown")]))
    assert [named.name for named in found] == ["land-h39/0/1", f"{RECIPIENT}/0/1"]


async def test_the_same_content_under_another_id_is_said_to_be_the_same_within_its_dossier_and_recipient(two):
    said = [(0, "A", b"4"), (1, "A", b"5"), (2, "A", b"4"), (3, "B", b"4"), (4, "A", b"4")]
    await accept(two, *(arrival(n, key=key(name), digest=body.ljust(16)) for n, name, body in said))
    await accept(two, arrival(5, key=key("A"), digest=b"4".ljust(16)), recipient="land-h39")
    identities = [hashed(f"event-{n}".encode()) for n in range(6)]
    found = await two.read(lambda conn: query.same_content(conn, identities))
    places = {place.id: place for place in await two.read(store.shards)}
    named = {query.name_of(places[shard], seq): earlier for (shard, seq), earlier in found.items()}
    assert named == {f"{RECIPIENT}/0/3": [1], f"{RECIPIENT}/0/5": [1, 3]}


async def test_a_lane_for_people_has_finished_ones_too_and_ends_with_the_newest(two):
    await accept(two, *(arrival(n, key=key("AB"[n % 2])) for n in range(8)))
    await change(two, 3, State.DELIVERED)
    lane = await two.read(lambda conn: query.lane(conn, RECIPIENT, [key("A")], 3))
    assert [(named.name, named.delivery.state) for named in lane] == [
        (f"{RECIPIENT}/0/3", State.DELIVERED), (f"{RECIPIENT}/0/5", State.WAITING), (f"{RECIPIENT}/0/7", State.WAITING),
    ]  # fmt: skip
    assert await two.read(lambda conn: query.lane(conn, "land-h39", [key("A")], 3)) == []


async def test_unsettled_counts_what_is_not_published(two):
    assert await two.read(query.unsettled) == (0, 0)
    await two.write(lambda conn: outbox.add(conn, "waiting", [emission(1), emission(2)]))
    assert await two.read(query.unsettled) == (2, 0)


# Purge


async def counts(ledger):
    tables = (body, attempt_table, seen)
    return await ledger.read(lambda c: [c.execute(select(func.count()).select_from(t)).scalar() for t in tables])


async def test_purge_removes_what_finished_before_with_its_body_and_attempts(ledger):
    await accept(ledger, *(arrival(n) for n in range(4)))
    await change(ledger, 1, State.DELIVERED, last_at=NOW + SECOND, attempt=attempt())
    await change(ledger, 2, State.DELIVERED, last_at=NOW + DAY, attempt=attempt())
    await change(ledger, 3, State.SKIPPED)
    removed = await purged(ledger, before=NOW + DAY)
    assert removed == {"deliveries": 2, "recognition": 0}
    assert await counts(ledger) == [2, 1, 4]
    for seq in (2, 4):
        assert (await delivery(ledger, seq)).seq == seq


@pytest.mark.parametrize("state", list(State))
async def test_purge_keeps_the_unfinished_and_their_recognition_however_old(state):
    async with in_memory() as ledger:
        await ledger.write(lambda conn: store.register_shards(conn, RECIPIENT, 1))
        await accept(ledger, arrival(0))
        await change(ledger, 1, state, last_at=NOW)
        removed = await purged(ledger, before=NOW + 1_000 * DAY)
        gone = 1 if state in FINISHED else 0
        assert removed == {"deliveries": gone, "recognition": gone}
        again = await accept(ledger, arrival(1, event_id="event-0"))
        assert [made.verdict for made in again] == [Verdict.NEW if gone else Verdict.REPEATED]


async def test_recognition_outlives_its_purged_delivery_for_the_whole_window(ledger):
    await accept(ledger, arrival(0))
    await change(ledger, 1, State.DELIVERED, last_at=NOW)
    assert (await purged(ledger, before=NOW + WINDOW))["recognition"] == 0
    again = await accept(ledger, arrival(1, event_id="event-0"))
    assert [made.verdict for made in again] == [Verdict.REPEATED]
    assert (await purged(ledger, before=NOW + WINDOW + store.MONTH))["recognition"] == 1


async def test_recognition_stays_everywhere_while_one_recipient_has_not_finished_the_event(two):
    await accept(two, arrival(0))
    await accept(two, arrival(0), recipient="land-h39")
    await change(two, 1, State.DELIVERED, last_at=NOW)
    await change(two, 1, State.DEAD, last_at=NOW, recipient="land-h39")
    assert await purged(two, before=NOW + 1_000 * DAY) == {"deliveries": 1, "recognition": 0}
    await change(two, 1, State.DISCARDED, last_at=NOW, recipient="land-h39")
    assert await purged(two, before=NOW + 1_000 * DAY) == {"deliveries": 1, "recognition": 2}


async def test_purge_goes_on_behind_its_first_page(ledger, monkeypatch):
    monkeypatch.setattr(purge, "PAGE", 3)
    monkeypatch.setattr(purge, "RECOGNITION_PAGE", 4)
    await accept(ledger, *(arrival(n) for n in range(10)))
    for seq in (1, 2, 3, 4, 6, 7, 8, 9):
        await change(ledger, seq, State.DELIVERED, last_at=NOW)
    assert await purged(ledger, before=NOW + 1_000 * DAY) == {"deliveries": 8, "recognition": 8}
    assert await counts(ledger) == [2, 0, 2]


def test_a_file_that_is_not_there_cannot_be_copied(tmp_path):
    with pytest.raises(ConfigError):
        purge.copy_sqlite(tmp_path / "no.db", tmp_path / "copy.db")
    assert list(tmp_path.iterdir()) == []
