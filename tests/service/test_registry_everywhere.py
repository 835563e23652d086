"""A change of the registry reaches every process of an installation on Kafka and PostgreSQL, whoever owns the feed."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import replace
from datetime import date
from pathlib import Path

import pytest

from router.assembly import build_bus, build_ledger, topics_of
from router.clock import SystemClock, SystemIds
from router.doctor import examine
from router.events import AGENCY_TOPIC
from router.registrar import Registrar
from router.routing.agencies import Active, Entry, Registry
from router.routing.registry_files import shipped_registry
from router.service import Service
from router.settings import Settings
from tests.parts.kafka import PartMissing, own_broker

pytestmark = [pytest.mark.kafka, pytest.mark.postgres]
WHO = {"who": "Lê Thị Hoa", "why": "NQ 202/2025/QH15"}


@pytest.fixture(scope="module")
def own_bootstrap() -> Iterator[str]:
    """A broker of this module's own: its topics hold a registry that no other test may find."""
    try:
        with own_broker() as broker:
            yield broker.bootstrap
    except PartMissing as missing:
        if os.environ.get("CI") == "true":
            pytest.fail(f"no Kafka: {missing}")
        pytest.skip(f"no Kafka: {missing}")


def settings_of(folder: Path, bootstrap: str, url: str, *roles: str) -> Settings:
    return Settings.model_validate(
        {
            "data": folder,
            "http": {"port": 0},
            "roles": roles,
            "bus": {
                "url": f"kafka://{bootstrap}", "partitions": 2,
                "kafka": {"replication": 1, "min_insync_replicas": 1},
            },
            "ledger": {"url": url, "lease_seconds": 5},
        }
    )  # fmt: skip


@asynccontextmanager
async def running(settings: Settings) -> AsyncIterator[Service]:
    service = Service(settings, SystemClock(), SystemIds())
    async with service.running():
        yield service


def renamed(name: str) -> Registry:
    entries = shipped_registry().entries()
    entries["tay-ninh"] = Entry(replace(entries["tay-ninh"].agency, name=name), *entries["tay-ninh"][1:])
    return Registry.of("", entries.values())


async def known_to(services: list[Service], name: str) -> None:
    async with asyncio.timeout(30):
        while any(service.routes.registry.agencies["tay-ninh"].name != name for service in services):
            await SystemClock().sleep(0.05)


async def test_a_change_reaches_every_process_whoever_owns_the_feed(
    tmp_path: Path, own_bootstrap: str, postgres_url: str
) -> None:
    settings = settings_of(tmp_path, own_bootstrap, postgres_url, "router", "delivery")
    clock, count = SystemClock(), len(shipped_registry().agencies)
    async with AsyncExitStack() as stack:
        bus, ledger = build_bus(settings, clock), build_ledger(settings, clock)
        await bus.open()
        stack.push_async_callback(bus.close)
        await bus.create(topics_of(settings))
        assert (await bus.describe())[AGENCY_TOPIC].config["cleanup.policy"] == "compact"
        await ledger.open()
        stack.push_async_callback(ledger.close)
        registrar = Registrar(settings, ledger, clock)

        async def changed(name: str) -> tuple[int, bool]:
            plan = await registrar.plan(lambda _known: renamed(name), part=False)
            done = await registrar.carry_out(plan, **WHO)
            return done.version, done.alone

        assert await changed("UBND tỉnh Tây Ninh mới") == (count, True)  # no process: applied by the command
        other = await stack.enter_async_context(running(settings_of(tmp_path, own_bootstrap, postgres_url, "router")))
        async with running(settings) as first:
            assert [one.routes.registry.version for one in (first, other)] == [str(count)] * 2
            assert await changed("Tây Ninh (2)") == (count + 1, False)
            await known_to([first, other], "Tây Ninh (2)")
            second = await stack.enter_async_context(running(settings))
        assert await changed("Tây Ninh (3)") == (count + 2, False)  # the first has gone, the second owns the feed
        await known_to([other, second], "Tây Ninh (3)")
        findings = await examine(settings, clock, SystemIds())
        assert [finding.verdict for finding in findings if finding.part == "bus"] == ["ok"]
        resolved = other.routes.registry.resolve("H39", date(2025, 8, 15))
        assert isinstance(resolved, Active)
        assert resolved.agency.name == "Tây Ninh (3)"
