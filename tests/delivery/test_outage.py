"""A recipient that is down, closed or told to wait: held, never dead-lettered, and everything in order afterwards."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from itertools import pairwise

from router.delivery.opening import Opening
from router.ledger import alerts
from router.ledger.holds import current_holds
from router.sdk import Throttled, Transient
from router.sdk.manifest import Maintenance
from tests.delivery.installation import PARTITIONS, PARTNER, FastClock, Script, installation

DOSSIERS = [f"H39-{n}" for n in range(6)]
EVENTS = [(f"{dossier}/{n}", dossier) for n in range(3) for dossier in DOSSIERS]


class Outage(Script):
    """Refuses every connection until ``up``."""

    def __post_init__(self) -> None:
        super().__post_init__()
        self.answers = _Refusing(self)
        self.up = False


class _Refusing(dict):
    def __init__(self, partner):
        self.partner = partner

    def __missing__(self, _event_id):
        return [] if self.partner.up else [Transient("connect", "refused")]


async def holds(place):
    return await place.ledger.read(current_holds)


async def open_alerts(place):
    return {alert.name for alert in await place.ledger.read(alerts.open_alerts)}


async def test_an_outage_dead_letters_nothing_and_ends_with_everything_delivered_in_order(tmp_path):
    script = Outage()
    async with installation(tmp_path, script=script, clock=FastClock()) as place:
        await place.publish(*EVENTS)
        health = place.service.recipients[PARTNER].health
        await place.until(lambda: health.condition.probes >= 3)
        held = await holds(place)
        assert [(each.recipient, each.kind) for each in held] == [(PARTNER, "down")]
        assert held[0].reason.startswith("connect")
        assert held[0].until > held[0].since
        assert "recipient_down" in await open_alerts(place)
        script.up = True
        await place.until(lambda: len(script.taken) == len(EVENTS))
        for dossier in DOSSIERS:
            mine = [event_id for event_id in script.taken if event_id.startswith(f"{dossier}/")]
            assert mine == [f"{dossier}/{n}" for n in range(3)]
        for event_id, _ in EVENTS:
            await place.settled(event_id, "delivered")
        await place.until(lambda: not place.service._holds._written)
        assert await holds(place) == []


async def test_while_it_is_down_only_one_probe_at_a_time_goes_out_and_never_the_same_head_twice_running(tmp_path):
    script = Outage()
    async with installation(tmp_path, script=script, clock=FastClock()) as place:
        await place.publish(*EVENTS)
        health = place.service.recipients[PARTNER].health
        await place.until(lambda: health.condition.down and not place.service.dispatcher.calling)
        before = len(script.seen)
        await place.until(lambda: health.condition.probes >= 4)
        probed = script.seen[before:]
        assert len(probed) in (health.condition.probes, health.condition.probes + 1)
        assert all(one != other for one, other in pairwise(probed))


async def test_one_poisoned_dossier_among_working_ones_is_no_outage(tmp_path):
    script = Script()
    script.answers["H39-0/0"] = [Transient("connect") for _ in range(50)]
    async with installation(tmp_path, script=script, clock=FastClock()) as place:
        await place.publish(*EVENTS)
        others = [event_id for event_id, dossier in EVENTS if dossier != "H39-0"]
        await place.until(lambda: set(others) <= set(script.taken))
        more = iter(range(1_000))
        while (await place.operations.trace("H39-0/0", ["one-stop-h39"]))[0].delivery.state.value != "dead":
            number = next(more)
            await place.publish(*[(f"more/{number}/{n}", f"H39-1{n}") for n in range(4)])
            await place.until(lambda: place.service.tally.outcomes[PARTNER, "delivered"] >= 15)
        _, dead = await place.delivery("H39-0/0")
        assert dead.failure.reason == "exhausted"
        assert not place.service.recipients[PARTNER].health.condition.down


async def test_a_partner_that_asks_to_wait_is_left_alone_for_all_its_dossiers(tmp_path):
    script = Script()
    script.answers["H39-0/0"] = [Throttled("retry_after", seconds=60)]
    async with installation(tmp_path, script=script, clock=FastClock()) as place:
        await place.publish(EVENTS[0])
        health = place.service.recipients[PARTNER].health
        await place.until(lambda: health.paused_until)
        until = health.paused_until
        await place.publish(*EVENTS[1:])
        await place.until(lambda: len(script.taken) == len(EVENTS))
        _, first = await place.delivery("H39-1/0")
        assert first.first_at >= until
        _, asked = await place.delivery("H39-0/0")
        assert asked.spent == 0


async def test_a_closed_partner_is_called_when_it_opens_and_no_attempt_is_spent(tmp_path):
    clock, script = FastClock(), Script()
    start = clock.business()
    window = Maintenance(start=start - timedelta(hours=1), end=start + timedelta(seconds=300), why="bảo trì")
    async with installation(tmp_path, script=script, clock=clock, opening=Opening(windows=[window])) as place:
        await place.publish(*EVENTS)
        await place.until(lambda: place.service._holds._written)
        assert [(each.kind, each.reason) for each in await holds(place)] == [("closed", "bảo trì")]
        assert script.seen == []
        await place.until(lambda: len(script.taken) == len(EVENTS))
        _, first = await place.delivery("H39-0/0")
        assert first.first_at >= int(window.end.timestamp() * 1e6)
        assert first.attempts == 1


async def test_probes_that_tell_nothing_keep_their_pauses(tmp_path):
    """The partner is back with answers that nobody can classify."""
    script, clock = Outage(), FastClock()
    async with installation(tmp_path, script=script, clock=clock) as place:
        await place.publish(*EVENTS)
        health = place.service.recipients[PARTNER].health
        await place.until(lambda: health.condition.down and not place.service.dispatcher.calling)
        script.answers = _Unreadable()
        before, since = len(script.seen), clock.now()
        await place.until(lambda: len(script.seen) - before >= 3)
        assert clock.now() - since >= 2 * 3_750_000, "FIRST_PAUSE less a quarter, twice"
        assert health.condition.down


class _Unreadable(dict):
    def __missing__(self, _event_id):
        return [ZeroDivisionError()]


async def test_a_memory_full_of_waiting_dossiers_is_told_of_and_so_is_its_end(tmp_path, monkeypatch):
    monkeypatch.setattr("router.delivery.holdings.FEWEST_LANES", 1)
    monkeypatch.setattr("router.delivery.holdings.LANES_A_RECIPIENT", PARTITIONS)
    script = Script()
    script.gate.clear()
    async with installation(tmp_path, script=script) as place:
        await place.publish(*EVENTS)
        await place.until(lambda: place.service.tally.alerts["saturated"])
        assert [(each.kind, each.recipient) for each in await holds(place)] == [("saturated", PARTNER)]
        script.gate.set()
        await place.until(lambda: len(script.taken) == len(EVENTS) and not place.service._holds._written)
        async with asyncio.timeout(10):
            while await open_alerts(place):
                await place.service._clock.sleep(0.01)
        assert await holds(place) == []
