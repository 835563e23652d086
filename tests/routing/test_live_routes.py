"""Rules and registry followed while the service runs: changed files, refused files, the ledger's registry."""

from __future__ import annotations

import os
from datetime import date
from pathlib import Path

import pytest

from router.errors import LedgerUnavailable
from router.ledger import alerts, leases, registry
from router.routing.agencies import Agency, Entry
from router.routing.live_routes import REFUSED, LiveRoutes
from router.routing.registry_files import load_registry
from router.routing.registry_records import record_of
from router.routing.rules_file import load_rules
from router.routing.table import Routes
from router.sdk.testing.clock import ManualClock
from tests.ledger.harness import in_memory
from tests.routing.test_files import folder_of

ONE = "rules:\n  - {name: một cửa, to: one}\n"
TWO = "rules:\n  - {name: một cửa, to: two}\n"


class Followed:
    """A process's routes over files in a folder; ``look`` is one turn of its loop."""

    def __init__(self, folder: Path, ledger) -> None:
        self.rules, self.ledger, self.clock = folder / "routes.yaml", ledger, ManualClock(flows=True)
        self.write(ONE)
        folder_of(folder)
        rules, found = load_rules(self.rules), load_registry(folder)
        self.routes = Routes(rules, found, date(2025, 8, 15), ["one", "two"])
        self.live = LiveRoutes(
            ledger, self.clock, "p1", rules=self.rules, agencies=folder,
            load_rules=lambda: load_rules(self.rules), load_registry=lambda: load_registry(folder),
        )  # fmt: skip

    def write(self, text: str) -> None:
        self.rules.write_text(text, "utf-8")

    async def look(self, times: int = 2) -> list[str]:
        for _ in range(times):
            self.routes = await self.live.renewed(self.routes)
        return [target for rule in self.routes.rules for target in rule.to]

    async def alerts(self) -> list[tuple[str, str, str]]:
        return [(a.name, a.subject, a.detail) for a in await self.ledger.read(alerts.open_alerts)]


@pytest.fixture
async def followed(tmp_path):
    async with in_memory() as ledger:
        await ledger.write(lambda conn: leases.beat(conn, "p1", 1))
        yield Followed(tmp_path, ledger)


async def test_routes_stay_the_same_object_while_nothing_changes(followed):
    before = followed.routes
    assert await followed.look() == ["one"]
    assert followed.routes is before


async def test_a_changed_rules_file_is_taken_when_it_stands_still(followed):
    followed.write(TWO[:10])
    assert await followed.look(1) == ["one"]
    followed.write(TWO)
    assert await followed.look(1) == ["one"]
    assert await followed.look(1) == ["two"]
    assert followed.routes.recipients == {"one", "two"}


@pytest.mark.parametrize("broken", ["rules: [", "rules:\n  - {name: a}\n", None])
async def test_a_broken_file_is_refused_with_an_alert_and_what_was_in_force_stays(followed, broken):
    if broken is None:
        followed.rules.unlink()
    else:
        followed.write(broken)
    assert await followed.look(3) == ["one"]
    ((name, subject, detail),) = await followed.alerts()
    assert (name, subject) == (REFUSED, str(followed.rules))
    assert str(followed.rules) in detail
    followed.write(TWO)
    assert await followed.look() == ["two"]
    assert await followed.alerts() == []


async def test_a_file_that_is_written_again_without_a_change_is_no_change_of_rules(followed):
    digest = followed.routes.digest
    os.utime(followed.rules, ns=(1, 1))
    await followed.look()
    assert followed.routes.digest == digest


async def test_a_file_read_while_the_ledger_was_away_is_read_again(followed):
    followed.write(TWO)
    await followed.look(1)
    write = followed.ledger.write

    async def away(work):
        raise LedgerUnavailable("away")

    followed.ledger.write = away
    with pytest.raises(LedgerUnavailable):
        await followed.look(1)
    followed.ledger.write = write
    assert await followed.look() == ["two"]


async def test_a_changed_folder_is_taken_until_the_ledger_has_a_registry(followed, tmp_path):
    before = followed.routes.registry.version
    folder_of(tmp_path, codes="H40,p,,\n")
    await followed.look()
    assert followed.routes.registry.version != before
    assert followed.routes.registry.holders("H40") == ["p"]
    await changed(followed.ledger, "so", "Sở Nội vụ", at=0)
    await followed.look(1)
    assert (followed.routes.registry.version, list(followed.routes.registry.agencies)) == ("1", ["so"])
    folder_of(tmp_path, codes="H41,p,,\n")
    await followed.look(3)
    assert followed.routes.registry.version == "1"


async def test_every_change_in_the_ledger_makes_the_next_version(followed):
    for number, name in enumerate(["Sở Nội vụ", "Sở Nội vụ tỉnh"]):
        await changed(followed.ledger, "so", name, at=number)
        await followed.look(1)
        assert followed.routes.registry.version == str(number + 1)
        assert followed.routes.registry.agencies["so"].name == name


async def test_a_registry_of_many_pages_is_read_whole(followed):
    entries = [Entry(Agency(f"xa-{n}", f"Xã {n}", "commune")) for n in range(1203)]
    found = [incoming(entry) for entry in entries]
    await followed.ledger.write(lambda conn: registry.apply(conn, found, {0: (0, 1203)}, now=1))
    await followed.look(1)
    assert len(followed.routes.registry.agencies) == 1203
    assert followed.routes.registry.version == "1203"


async def test_operators_see_what_a_process_routes_by(followed):
    await followed.look()
    (told,) = await followed.ledger.read(registry.all_in_force)
    assert (told.process, told.rules, told.registry) == ("p1", followed.routes.digest, followed.routes.registry.version)
    followed.write(TWO)
    await followed.look()
    (now,) = await followed.ledger.read(registry.all_in_force)
    assert now.rules == followed.routes.digest != told.rules


def incoming(entry: Entry) -> registry.Incoming:
    record = record_of(entry).model_dump(mode="json")
    return registry.Incoming(entry.agency.id, record, False, "test", "", 0, 1)


async def changed(ledger, agency: str, name: str, *, at: int) -> None:
    found = incoming(Entry(Agency(agency, name, "department")))
    await ledger.write(lambda conn: registry.apply(conn, [found], {0: (at, at + 1)}, now=1))
