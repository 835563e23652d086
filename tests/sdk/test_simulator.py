"""The simulated partner: its outbox, its quirks, its books."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator

import pytest

from router.sdk.http import Answer, Http
from router.sdk.outcomes import Failure, Transient, Uncertain
from router.sdk.testing import Incoming, ManualClock, Outgoing, Quirk, Quirks, Sent, Simulator, answer_json, seeded
from router.sdk.testing.simulator import PUSH_TRIES
from tests.sdk.wire import client


class Partner(Simulator):
    """One endpoint that keeps what it got, and answers in Vietnamese."""

    def __init__(self, clock: ManualClock, quirks: Quirks | None = None) -> None:
        super().__init__(clock, quirks)
        self.route("POST", "/nhan", "take", self._take)

    async def _take(self, request: Incoming) -> Outgoing:
        new = self.effect(request.json()["code"], "take", "taken")
        return answer_json({"message": "Đã nhận" if new else "Đã tồn tại"})


class Router(Simulator):
    """Stands where the router's webhooks are."""

    def __init__(self, clock: ManualClock) -> None:
        super().__init__(clock)
        self.got: list[str] = []
        self.refusals = 0
        self.route("POST", "/in", "in", self._in)

    async def _in(self, request: Incoming) -> Outgoing:
        if self.refusals > 0:
            self.refusals -= 1
            return answer_json({}, 503)
        self.got.append(request.json()["text"])
        return answer_json({})


@pytest.fixture
async def partner() -> AsyncIterator[Partner]:
    made = Partner(ManualClock(flows=True))
    await made.start()
    yield made
    await made.stop()


@pytest.fixture
async def http(partner: Partner) -> AsyncIterator[Http]:
    async with client(partner.url) as opened:
        yield opened


@pytest.fixture
async def router(partner: Partner) -> AsyncIterator[Router]:
    made = Router(partner.clock)  # type: ignore[arg-type]
    partner.inbound_url = await made.start()
    yield made
    await made.stop()


async def take(http: Http, code: str = "A") -> Answer:
    return await http.request("POST", "/nhan", json_body={"code": code}, headers={"X-Event-Id": "e-1"}, timeout=5)


async def until_idle(simulator: Simulator) -> None:
    while not simulator.idle():
        await asyncio.gather(*simulator._tasks)


async def test_a_repetition_is_recognised_and_has_no_second_effect(partner: Partner, http: Http):
    await take(http)
    await take(http)
    assert [(effect.repeated, effect.event_id) for effect in partner.effects] == [(False, "e-1"), (True, "e-1")]


@pytest.mark.parametrize(
    ("quirk", "status", "done"),
    [
        (Quirk.DUPLICATE_ACK, 200, 1),
        (Quirk.OK_WITH_ERROR, 200, 0),
        (Quirk.FAIL_AFTER_WORK, 500, 1),
        (Quirk.BUSY, 503, 0),
        (Quirk.BUSY_WITH_TIME, 503, 0),
        (Quirk.SLOW, 200, 1),
        (Quirk.UNREADABLE, 200, 1),
    ],
)
async def test_a_quirk_answers_and_does_what_its_name_says(
    partner: Partner, http: Http, quirk: Quirk, status: int, done: int
):
    partner.quirks.plan("take", quirk)
    assert (await take(http)).status == status
    assert len(partner.effects) == done
    assert partner.quirks.hits == {quirk: 1}


async def test_a_reset_cuts_the_answer_after_the_work(partner: Partner, http: Http):
    partner.quirks.plan("take", Quirk.RESET)
    with pytest.raises(Uncertain):
        await take(http)
    assert len(partner.effects) == 1


async def test_the_wrong_charset_is_no_utf_8(partner: Partner, http: Http):
    partner.quirks.plan("take", Quirk.WRONG_CHARSET)
    answer = await take(http)
    with pytest.raises(UnicodeDecodeError):
        answer.body.decode("utf-8")
    assert answer.object() == {"message": "Đã nhận"}


async def test_planned_quirks_come_in_order_and_end(partner: Partner, http: Http):
    partner.quirks.plan("take", Quirk.BUSY, Quirk.FAIL_AFTER_WORK)
    assert [(await take(http)).status for _ in range(3)] == [503, 500, 200]


async def test_a_machine_that_is_down_refuses_and_comes_back_at_its_address(partner: Partner, http: Http):
    await partner.down()
    with pytest.raises(Transient, match="connect"):
        await take(http)
    await partner.up()
    assert (await take(http)).status == 200


async def test_a_connection_kept_open_is_cut_when_the_machine_goes_down(partner: Partner, http: Http):
    await take(http)
    await partner.down()
    with pytest.raises(Failure):  # transient if the cut was noticed before the request, else uncertain
        await take(http)
    assert len(partner.effects) == 1


async def test_a_seeded_rule_hits_the_same_requests_every_time_and_about_as_many_as_it_says():
    rule = seeded(7, {Quirk.BUSY: 100, Quirk.RESET: 50})
    drawn = [rule("take", count) for count in range(4000)]
    assert drawn == [seeded(7, {Quirk.BUSY: 100, Quirk.RESET: 50})("take", count) for count in range(4000)]
    assert drawn != [seeded(8, {Quirk.BUSY: 100, Quirk.RESET: 50})("take", count) for count in range(4000)]
    hits = Counter(drawn)
    assert 320 < hits[Quirk.BUSY] < 480
    assert 140 < hits[Quirk.RESET] < 260


async def test_a_rule_is_asked_where_nothing_is_planned(partner: Partner, http: Http):
    partner.quirks.rule = lambda _operation, count: Quirk.BUSY if count == 2 else None
    assert [(await take(http)).status for _ in range(3)] == [200, 503, 200]


async def test_messages_of_a_dossier_are_pushed_in_order_until_they_are_taken(partner: Partner, router: Router):
    router.refusals = 5
    for number in range(4):
        partner.push(Sent("A", f"m{number}", ("land",)), "/in", {"text": f"A{number}"})
    await until_idle(partner)
    assert router.got == ["A0", "A1", "A2", "A3"]
    assert partner.pushed == 4


async def test_a_dossier_that_is_not_taken_holds_no_other_up(partner: Partner, router: Router):
    router.refusals = 10_000
    partner.push(Sent("A", "m", ()), "/in", {"text": "A"})
    while not router.requests:
        await asyncio.sleep(0)
    router.refusals = 1
    partner.push(Sent("B", "m", ()), "/in", {"text": "B"})
    await until_idle(partner)
    assert sorted(router.got) == ["A", "B"]


async def test_what_is_never_taken_is_given_up_and_said(partner: Partner, router: Router):
    router.refusals = PUSH_TRIES
    partner.push(Sent("A", "m1", ()), "/in", {"text": "first"})
    partner.push(Sent("A", "m2", ()), "/in", {"text": "second"})
    await until_idle(partner)
    assert partner.given_up == ["A"]
    assert router.got == ["second"]


async def test_a_router_that_is_gone_is_tried_again(partner: Partner, router: Router):
    await router.down()
    partner.push(Sent("A", "m", ()), "/in", {"text": "A"})
    await asyncio.sleep(0)
    await router.up()
    await until_idle(partner)
    assert router.got == ["A"]


async def test_stopping_ends_what_is_still_being_pushed():
    partner = Partner(ManualClock())  # stands still, so the second try never comes
    await partner.start()
    partner.inbound_url = "http://127.0.0.1:1"
    partner.push(Sent("A", "m", ()), "/in", {"text": "A"})
    await partner.stop()
    assert not partner._tasks
