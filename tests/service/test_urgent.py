"""Urgent documents through the whole embedded service: at night, and past slots that ordinary ones have taken."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, date, datetime
from pathlib import Path

from router.assembly import build_bus
from router.clock import SystemClock, SystemIds
from router.delivery.calls import Recipient
from router.events import CE_PRIORITY, DOCUMENT_TOPIC, URGENT, by_partition, key_of, topic_of
from router.ledger.migrate import migrate_ledger
from router.objects import FolderObjectStore
from router.ports import TopicSpec
from router.recipients import opening_of
from router.sdk import ConnectorConfig, Context, Limits, Manifest, Operation
from router.sdk.dates import VIETNAM
from router.sdk.manifest import Hours
from router.service import Service
from router.settings import RecipientSection, Settings
from tests.delivery.installation import Script, Scripted

OFFICE = "office"
RULES = """
rules:
  - name: văn bản về văn phòng
    match: {type: document.*}
    to: office
"""
DAY = datetime(2025, 6, 16, 9, 0, tzinfo=VIETNAM)
NIGHT = datetime(2025, 6, 16, 22, 0, tzinfo=VIETNAM)
SLOTS, RESERVED = 4, 1


class Office(Scripted):
    """Takes documents during office hours."""

    manifest = Manifest(
        name="scripted", version="1", partner="Văn phòng", role="document",
        limits=Limits(concurrency=SLOTS, urgent_reserved=RESERVED),
        hours=Hours(ranges=[("07:30", "17:00")]),
        operations=(Operation(name="take", events=("document.sent",), idempotency="natural_key", timeout=30),),
    )  # fmt: skip


@dataclass
class Place:
    service: Service
    clock: SystemClock
    script: Script

    def at(self, instant: datetime) -> None:
        """Business time becomes this instant; nothing else moves."""
        self.clock.business_offset = instant - datetime.now(UTC)

    async def until(self, condition: Callable[[], object]) -> None:
        async with asyncio.timeout(20):
            while not condition():
                await self.clock.sleep(0.005)

    async def send(self, *names: str, urgent: bool = False) -> None:
        publisher = await self.service.bus.publisher()
        messages = []
        for name in names:
            headers = [
                ("ce_specversion", b"1.0"), ("ce_id", name.encode()), ("ce_source", b"portal"),
                ("ce_type", b"document.sent"), ("ce_subject", name.encode()),
                ("ce_time", b"2025-06-16T01:00:00+00:00"), *([(CE_PRIORITY, URGENT)] if urgent else []),
            ]  # fmt: skip
            messages.append((key_of("document_code", name).bytes, name.encode(), headers))
        await publisher.publish(by_partition(DOCUMENT_TOPIC, messages, self.service.settings.bus.partitions))
        await publisher.close()
        tally = self.service.delivery.tally.accepted
        before = self.accepted
        self.accepted += len(names)
        await self.until(lambda: tally[OFFICE, "new"] == before + len(names))

    accepted: int = 0


@asynccontextmanager
async def working(folder: Path, at: datetime) -> AsyncIterator[Place]:
    clock, ids = SystemClock(), SystemIds()
    (folder / "rules.yaml").write_text(RULES, "utf-8")
    settings = Settings(data=folder, http={"port": 0}, routing={"rules": folder / "rules.yaml"})
    await migrate_ledger(settings.ledger_url, None)
    connector = Office(ConnectorConfig(), Context(OFFICE, clock, ids, FolderObjectStore(folder / "objects")))
    connector.script = Script()
    opening = opening_of(Office.manifest, RecipientSection(connector="scripted"), _is_working_day)
    bus = build_bus(settings, clock)
    await bus.open()
    await bus.create([TopicSpec(topic_of(OFFICE), settings.bus.partitions)])
    await bus.close()
    recipient = Recipient(OFFICE, connector, Office.manifest, SLOTS, opening=opening)
    service = Service(settings, clock, ids, recipients=[recipient])
    place = Place(service, clock, connector.script)
    place.at(at)
    running = asyncio.create_task(service.run())
    ready = asyncio.create_task(service.ready.wait())
    await asyncio.wait({running, ready}, return_when=asyncio.FIRST_COMPLETED)
    try:
        if running.done():
            running.result()
        yield place
    finally:
        ready.cancel()
        connector.script.gate.set()
        service.stop()
        await running


def _is_working_day(day: date) -> bool:
    return day.weekday() < 5


async def test_at_night_only_urgent_documents_go_out_and_the_others_in_the_morning(tmp_path: Path) -> None:
    async with working(tmp_path, NIGHT) as place:
        await place.send("cv-1", "cv-2")
        await place.send("hoả-tốc", urgent=True)
        await place.until(lambda: place.script.taken)
        assert place.script.taken == ["hoả-tốc"]
        await place.send("hoả-tốc-2", urgent=True)
        await place.until(lambda: len(place.script.taken) == 2)
        assert place.script.taken == ["hoả-tốc", "hoả-tốc-2"]
        place.at(DAY)
        await place.until(lambda: len(place.script.taken) == 4)
        assert set(place.script.taken[2:]) == {"cv-1", "cv-2"}


async def test_ordinary_documents_never_take_the_slot_that_is_kept_for_urgent_ones(tmp_path: Path) -> None:
    async with working(tmp_path, DAY) as place:
        await place.until(lambda: len(place.service.delivery.shards) >= place.service.settings.bus.partitions)
        place.script.gate.clear()
        await place.send(*(f"cv-{n}" for n in range(12)))
        await place.until(lambda: len(place.script.seen) == SLOTS - RESERVED)
        await place.send("hoả-tốc", urgent=True)
        await place.until(lambda: "hoả-tốc" in place.script.seen)
        assert len(place.script.seen) == SLOTS
        place.script.gate.set()
        await place.until(lambda: len(place.script.taken) == 13)
