"""Events that come before their dossier is known."""

from __future__ import annotations

from router.events import CE_DOSSIER, LGSP_LINK, LGSP_REASON, LGSP_REFERENCE, ROUTER, header, text_header, topic_of
from router.ledger.rows import Lease
from router.sdk.inbound import Reference
from tests.ingress.harness import MANIFEST, Rig, emission, ids, keys, notice, subjects, texts

NOTICE = Reference("notice", "TB-123/2025")


async def test_an_event_with_an_unknown_number_waits_and_is_received(rig: Rig) -> None:
    await rig.receive(notice("paid"))
    assert rig.log() == []
    assert await rig.sweep() == 0


async def test_a_late_link_releases_waiting_events_in_the_order_of_arrival(rig: Rig) -> None:
    for text in ("1", "2", "3"):
        await rig.receive(notice(text))
    await rig.receive(emission("link", references=[NOTICE]))
    await rig.release()
    assert texts(rig.log()) == ["link", "1", "2", "3"]
    assert len(set(keys(rig.log()))) == 1


async def test_a_newer_event_of_the_reference_queues_behind_those_that_wait(rig: Rig) -> None:
    await rig.receive(notice("1"))
    await rig.receive(emission("link", references=[NOTICE]))
    await rig.receive(notice("2"))
    await rig.release()
    await rig.receive(notice("3"))
    assert texts(rig.log()) == ["link", "1", "2", "3"]


async def test_within_one_request_too_a_newer_event_queues_behind_one_that_waits(rig: Rig) -> None:
    await rig.receive(notice("1"), emission("link", references=[NOTICE]), notice("2"))
    await rig.release()
    assert texts(rig.log()) == ["link", "1", "2"]


async def test_a_newer_event_does_not_overtake_what_is_released_but_not_published(rig: Rig) -> None:
    await rig.receive(notice("1"))
    await rig.receive(emission("link", references=[NOTICE]))
    assert await rig.sweep() == 1
    await rig.receive(notice("2"))
    await rig.publish_outbox()
    await rig.release()
    assert texts(rig.log()) == ["link", "1", "2"]


async def test_a_released_event_is_complete(rig: Rig) -> None:
    await rig.receive(notice("1"))
    await rig.receive(emission("link", references=[NOTICE]))
    await rig.release()
    released = rig.log()[-1]
    assert subjects([released]) == ["H39.16-250616-0001"]
    assert text_header(released.headers, CE_DOSSIER) == str(keys([released])[0])
    assert header(released.headers, LGSP_REFERENCE) is None
    assert header(released.headers, LGSP_LINK) is None


async def test_an_id_is_the_same_before_and_after_the_reference_is_known(rig: Rig) -> None:
    await rig.receive(notice("1"))
    await rig.receive(emission("link", references=[NOTICE]))
    await rig.release()
    await rig.receive(notice("1"))
    _, waited, again = rig.log()
    assert ids([waited]) == ids([again])


async def test_contents_that_alternate_while_waiting_are_all_kept(rig: Rig) -> None:
    for text in ("4", "5", "4", "4"):
        await rig.receive(notice(text))
    await rig.receive(emission("link", references=[NOTICE]))
    await rig.release()
    assert texts(rig.log()) == ["link", "4", "5", "4"]
    await rig.receive(notice("5"))
    assert len(set(ids(rig.log()))) == 5


async def test_other_bytes_under_the_id_of_a_waiting_event_are_not_dropped(rig: Rig) -> None:
    await rig.receive(notice("1", identity="m"))
    await rig.receive(notice("2", identity="m"))
    await rig.receive(emission("link", references=[NOTICE]))
    await rig.release()
    assert texts(rig.log()) == ["link", "1", "2"]


async def test_equal_bytes_under_different_ids_wait_both(rig: Rig) -> None:
    await rig.receive(notice("1", identity="m1"), notice("1", identity="m2"))
    await rig.receive(emission("link", references=[NOTICE]))
    await rig.release()
    assert texts(rig.log()) == ["link", "1", "1"]


async def test_a_released_event_links_its_own_numbers_and_releases_what_waits_for_them(rig: Rig) -> None:
    await rig.receive(notice("payment", number="BL-9"))
    await rig.receive(notice("notice", references=[Reference("notice", "BL-9")]))
    await rig.receive(emission("link", references=[NOTICE]))
    await rig.release()
    assert texts(rig.log()) == ["link", "notice", "payment"]


async def test_the_event_that_introduces_a_code_goes_before_those_that_wait_for_it(rig: Rig) -> None:
    await rig.receive(emission("early", mints=False), source="land-h39")
    await rig.receive(emission("introduction"), emission("next", operation="other"))
    await rig.release()
    assert texts(rig.log()) == ["introduction", "early", "next"]


async def test_an_event_whose_dossier_stays_unknown_goes_to_a_person(rig: Rig) -> None:
    await rig.receive(notice("1"), notice("2"))
    await rig.clock.advance(MANIFEST.inbound.wait_window + 1)
    await rig.release()
    expired = rig.log(topic_of(ROUTER))
    assert texts(expired) == ["1", "2"]
    assert {text_header(r.headers, LGSP_REASON) for r in expired} == {"unknown_dossier"}
    assert len(set(keys(expired))) == 1
    assert all(header(r.headers, LGSP_REFERENCE) == b"notice\x1fTB-123/2025" for r in expired)


async def test_a_known_dossier_wins_over_expiry(rig: Rig) -> None:
    await rig.receive(notice("1"))
    await rig.receive(emission("link", references=[NOTICE]))
    await rig.clock.advance(MANIFEST.inbound.wait_window + 1)
    await rig.release()
    assert texts(rig.log()) == ["link", "1"]


async def test_a_sweep_under_a_lost_lease_moves_nothing(rig: Rig) -> None:
    await rig.receive(notice("1"))
    await rig.receive(emission("link", references=[NOTICE]))
    assert await rig.waiting.sweep(Lease("waiting", 99)) == 0
    await rig.release()
    assert texts(rig.log()) == ["link", "1"]


async def test_more_than_a_page_is_released_in_order(rig: Rig) -> None:
    wanted = [str(n) for n in range(250)]
    await rig.receive(*(notice(text) for text in wanted))
    await rig.receive(emission("link", references=[NOTICE]))
    await rig.release()
    assert texts(rig.log()) == ["link", *wanted]
