"""The whole embedded service in a test: scripted recipients, rules of the test's own, business time moved."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple

from router.assembly import build_bus
from router.clock import SystemClock, SystemIds
from router.delivery.calls import Recipient
from router.delivery.opening import ALWAYS, Opening
from router.events import Message, by_partition, topic_of
from router.ledger.migrate import migrate_ledger
from router.objects import FolderObjectStore
from router.ports import TopicSpec
from router.sdk import ConnectorConfig, Context
from router.service import Service
from router.settings import Settings
from tests.delivery.installation import Script, Scripted


class Office(NamedTuple):
    """A recipient to serve: its id, the scripted connector, and when it is open."""

    id: str
    connector: type[Scripted]
    opening: Opening = ALWAYS


class Running(NamedTuple):
    """A service at work. ``scripts`` say how each recipient answers, and note what it was given."""

    service: Service
    clock: SystemClock
    scripts: dict[str, Script]

    def at(self, instant: datetime) -> None:
        """Business time becomes this instant; nothing else moves."""
        self.clock.business_offset = instant - datetime.now(UTC)

    async def until(self, condition: Callable[[], object]) -> None:
        """Wait for it; fails after 20 seconds."""
        async with asyncio.timeout(20):
            while not condition():
                await self.clock.sleep(0.005)

    async def publish(self, topic: str, messages: Sequence[Message]) -> None:
        """Put messages on the bus, in order per key."""
        publisher = await self.service.bus.publisher()
        await publisher.publish(by_partition(topic, list(messages), self.service.settings.bus.partitions))
        await publisher.close()


@asynccontextmanager
async def serving(folder: Path, rules: str, offices: Sequence[Office], at: datetime) -> AsyncIterator[Running]:
    """The service in ``folder`` while it is used. What a script still holds back when it ends is let go."""
    clock, ids = SystemClock(), SystemIds()
    (folder / "rules.yaml").write_text(rules, "utf-8")
    settings = Settings(data=folder, http={"port": 0}, routing={"rules": folder / "rules.yaml"})
    await migrate_ledger(settings.ledger_url, None)
    scripts, recipients = {}, []
    for office in offices:
        context = Context(office.id, clock, ids, FolderObjectStore(folder / "objects"))
        connector, manifest = office.connector(ConnectorConfig(), context), office.connector.manifest
        connector.script = scripts[office.id] = Script()
        slots = manifest.limits.concurrency
        recipients.append(Recipient(office.id, connector, manifest, slots, opening=office.opening))
    bus = build_bus(settings, clock)
    await bus.open()
    await bus.create([TopicSpec(topic_of(name), settings.bus.partitions) for name in scripts])
    await bus.close()
    service = Service(settings, clock, ids, recipients=recipients)
    running = Running(service, clock, scripts)
    running.at(at)
    async with service.running():
        try:
            yield running
        finally:
            for script in scripts.values():
                script.gate.set()
