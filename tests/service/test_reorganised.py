"""Dossiers under way across 1 July 2025 end where they should: the embedded service, with business time moved.

The shipped registry: Long An (H39) is merged into Tây Ninh (H53), the district Bến Lức (H39.25) split into communes.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import UTC, date, datetime
from pathlib import Path

import pytest

from router.events import DOSSIER_TOPIC, ROUTER, key_of, text_header
from router.operations import Operations
from router.registrar import Registrar
from router.routing.agencies import Code, Registry
from router.routing.registry_files import shipped_registry
from router.sdk import Invalid, Limits, Manifest, Operation
from tests.delivery.installation import Scripted
from tests.service.embedded import Office, Running, serving

JUNE, JULY, AUGUST = (datetime(2025, month, day, 1, tzinfo=UTC) for month, day in ((6, 30), (7, 1), (8, 1)))
WHO = {"who": "Lê Thị Hoa", "why": "NQ 202/2025/QH15"}
RULES = """
rules:
  - name: mọi việc về một cửa có thẩm quyền
    match: {type: [dossier.*, tax.notice_issued]}
    to: addressee:one_stop
"""
EVENTS = ("dossier.submitted", "dossier.progressed", "tax.notice_issued")
OLD, NEW = "one-stop-h39", "one-stop-h53"


class OneStop(Scripted):
    """A one-stop that takes every event, and keeps what it was told of the addressee."""

    manifest = Manifest(
        name="scripted", version="1", partner="Một cửa", role="one_stop", limits=Limits(concurrency=4),
        operations=(Operation(name="take", events=EVENTS, idempotency="natural_key", timeout=5),),
    )  # fmt: skip


class Place:
    """Both one-stops at work."""

    def __init__(self, running: Running) -> None:
        self.running, self.service, self.clock, self.scripts = running, running.service, running.clock, running.scripts
        self.operations = Operations(running.service.ledger, running.clock, None)
        self.day, self.until = running.at, running.until

    async def send(self, event_id: str, addressed_to: str, event_type: str = "dossier.progressed", commune: str = ""):
        headers = [
            ("ce_specversion", b"1.0"), ("ce_id", event_id.encode()), ("ce_source", b"portal"),
            ("ce_type", event_type.encode()), ("ce_subject", f"{addressed_to}-250620-0001".encode()),
            ("ce_time", b"2025-06-20T01:00:00+00:00"), ("ce_addressedto", addressed_to.encode()),
            *([("ce_commune", commune.encode())] if commune else []),
        ]  # fmt: skip
        message = (key_of("dossier_code", event_id).bytes, event_id.encode(), headers)
        await self.running.publish(DOSSIER_TOPIC, [message])

    async def found(self, event_id: str, state: str) -> tuple[str, str, dict[str, str]]:
        """Where an event is in this state: its delivery's name, recipient and what its headers say. What a person
        sent on from the router counts where it arrived.
        """
        async with asyncio.timeout(20):
            while True:
                for named in await self.operations.trace(event_id, ["portal"]):
                    sent_on = named.recipient == ROUTER and state == "delivered"
                    if named.delivery.state.value == state and not sent_on:
                        shown = await self.operations.show(named.name)
                        headers = shown.editions[-1][1].headers
                        names = ("ce_addressedto", "ce_deliveredto", "ce_registryversion", "lgsp_reason")
                        return named.name, named.recipient, {name: text_header(headers, name) for name in names}
                await self.clock.sleep(0.01)

    async def reaches(self, event_id: str, recipient: str, addressed_to: str, delivered_to: str, version: str) -> None:
        """The event is delivered there; what the sender wrote stays, what was made of it is recorded."""
        _, where, told = await self.found(event_id, "delivered")
        assert where == recipient
        assert told["ce_addressedto"] == addressed_to
        assert (told["ce_deliveredto"], told["ce_registryversion"]) == (delivered_to, version)
        assert event_id in self.scripts[recipient].taken


@asynccontextmanager
async def working(folder: Path) -> AsyncIterator[Place]:
    async with serving(folder, RULES, [Office(OLD, OneStop), Office(NEW, OneStop)], JUNE) as running:
        yield Place(running)


@pytest.fixture
async def place(tmp_path) -> AsyncIterator[Place]:
    async with working(tmp_path) as made:
        yield made


async def test_what_is_under_way_over_the_reform_ends_at_who_is_responsible_then(place: Place) -> None:
    version = place.service.routes.registry.version
    place.scripts[OLD].gate.clear()  # the old one-stop answers nothing before the reform
    await place.send("accepted-before", "H39.25")
    await place.send("unknown-before", "H53.102")  # the commune begins on 1 July
    name, _, told = await place.found("unknown-before", "dead")
    assert told["lgsp_reason"] == "unknown_addressee"
    await place.until(lambda: "accepted-before" in place.scripts[OLD].seen)

    place.day(JULY)
    await place.until(lambda: place.service.routes.today == date(2025, 7, 1))
    # The dossier of 20 June is finished by the commune: its later events go there, by the commune they name.
    await place.send("finished-by-commune", "H39.25", commune="28003")
    await place.send("of-nobody", "H39.25")
    await place.send("to-the-province", "000.00.00.H39", "tax.notice_issued")
    await place.reaches("finished-by-commune", NEW, "H39.25", "H53.102", version)
    await place.reaches("to-the-province", NEW, "000.00.00.H39", "H53", version)
    _, _, told = await place.found("of-nobody", "dead")
    assert (told["lgsp_reason"], told["ce_addressedto"]) == ("ambiguous_successor", "H39.25")
    # What was accepted for the old one-stop drains to it.
    place.scripts[OLD].gate.set()
    await place.reaches("accepted-before", OLD, "H39.25", "H39.25", version)
    # A dead letter of June is routed by the registry of the day of its replay.
    assert (await place.operations.replay(name, body=None, **WHO)).result.applied
    await place.reaches("unknown-before", NEW, "H53.102", "H53.102", version)
    assert place.scripts[OLD].taken == ["accepted-before"]


async def test_a_dead_letter_of_the_old_agency_is_replayed_in_its_place_or_redirected_to_the_successor(
    place: Place,
) -> None:
    version = place.service.routes.registry.version
    for event in ("stays", "moves"):
        place.scripts[OLD].answers[event] = [Invalid("contract")]
        await place.send(event, "H39.25")
    stays, _, _ = await place.found("stays", "dead")
    moves, _, _ = await place.found("moves", "dead")
    place.day(JULY)
    await place.until(lambda: place.service.routes.today == date(2025, 7, 1))
    assert (await place.operations.replay(stays, body=None, **WHO)).result.applied
    await place.reaches("stays", OLD, "H39.25", "H39.25", version)
    assert (await place.operations.redirect(moves, NEW, **WHO)).result.applied
    await place.until(lambda: "moves" in place.scripts[NEW].taken)
    _, where, told = await place.found("moves", "delivered")
    assert (where, told["ce_addressedto"]) == (NEW, "H39.25")


async def test_the_running_service_takes_an_imported_registry_and_keeps_the_grace_it_gives(place: Place) -> None:
    registrar = Registrar(place.service.settings, place.service.ledger, place.clock)
    plan = await registrar.plan(lambda _known: with_grace(shipped_registry()), part=False)
    done = await registrar.carry_out(plan, **WHO)
    assert (done.version, done.alone) == (len(shipped_registry().agencies), False)
    version = str(done.version)
    await place.until(lambda: place.service.routes.registry.version == version)

    place.day(JULY)
    await place.until(lambda: place.service.routes.today == date(2025, 7, 1))
    await place.send("continues", "H39.25")
    await place.send("begins", "H39.25", "dossier.submitted")
    await place.reaches("continues", OLD, "H39.25", "H39.25", version)
    _, _, told = await place.found("begins", "dead")
    assert told["lgsp_reason"] == "ambiguous_successor"
    place.day(AUGUST)
    await place.until(lambda: place.service.routes.today == date(2025, 8, 1))
    await place.send("too-late", "H39.25")
    _, _, told = await place.found("too-late", "dead")
    assert told["lgsp_reason"] == "ambiguous_successor"
    assert [state.registry for state in (await place.operations.status()).in_force] == [version]


async def test_a_successor_that_was_missing_is_imported_and_its_dead_letters_replayed(place: Place) -> None:
    await place.send("for-28.22.H17", "28.22.H17")
    name, _, told = await place.found("for-28.22.H17", "dead")
    assert told["lgsp_reason"] == "unknown_addressee"
    registrar = Registrar(place.service.settings, place.service.ledger, place.clock)
    shipped = shipped_registry().entries()
    irregular = Code("28.22.H17", "tay-ninh")
    shipped["tay-ninh"] = shipped["tay-ninh"]._replace(codes=(*shipped["tay-ninh"].codes, irregular))
    plan = await registrar.plan(lambda _known: Registry.of("", shipped.values()), part=False)
    version = str((await registrar.carry_out(plan, **WHO)).version)
    await place.until(lambda: place.service.routes.registry.version == version)
    assert (await place.operations.replay(name, body=None, **WHO)).result.applied
    await place.reaches("for-28.22.H17", NEW, "28.22.H17", "H53", version)
    again = await registrar.plan(lambda _known: Registry.of("", shipped.values()), part=False)
    assert again.changes == []


async def test_rules_are_taken_up_without_a_restart_and_broken_ones_are_not(place: Place) -> None:
    rules = place.service.settings.routing.rules
    assert rules is not None
    digest = place.service.routes.digest
    rules.write_text("rules: [", "utf-8")
    async with asyncio.timeout(20):
        while not (raised := await place.operations.alerts()):
            await place.clock.sleep(0.05)
    assert [(alert.name, alert.subject) for alert in raised] == [("routes_refused", str(rules))]
    assert place.service.routes.digest == digest
    rules.write_text(f"rules:\n  - {{name: tất cả, to: {NEW}}}\n", "utf-8")
    await place.until(lambda: place.service.routes.digest != digest)
    await place.send("by-the-new-rules", "H39.25")
    await place.until(lambda: "by-the-new-rules" in place.scripts[NEW].taken)
    async with asyncio.timeout(20):
        while await place.operations.alerts():
            await place.clock.sleep(0.05)


def with_grace(registry: Registry) -> Registry:
    """The same registry, in which the district's account is drained for a month."""
    entries = registry.entries()
    district = entries["ben-luc"]
    entries["ben-luc"] = district._replace(agency=replace(district.agency, grace_until=date(2025, 8, 1)))
    return Registry.of("", entries.values())
