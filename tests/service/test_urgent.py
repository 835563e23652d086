"""Urgent documents through the whole embedded service: at night, and past slots that ordinary ones have taken."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import date, datetime
from pathlib import Path

from router.events import CE_PRIORITY, DOCUMENT_TOPIC, URGENT, key_of
from router.recipients import opening_of
from router.sdk import Limits, Manifest, Operation
from router.sdk.dates import VIETNAM
from router.sdk.manifest import Hours
from router.settings import RecipientSection
from tests.delivery.installation import Scripted
from tests.service import embedded
from tests.service.embedded import Running, serving

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


class Place:
    """The office at work, and how many documents it was sent."""

    def __init__(self, running: Running) -> None:
        self.running, self.script, self.accepted = running, running.scripts[OFFICE], 0
        self.at, self.until = running.at, running.until

    async def send(self, *names: str, urgent: bool = False) -> None:
        messages = []
        for name in names:
            headers = [
                ("ce_specversion", b"1.0"), ("ce_id", name.encode()), ("ce_source", b"portal"),
                ("ce_type", b"document.sent"), ("ce_subject", name.encode()),
                ("ce_time", b"2025-06-16T01:00:00+00:00"), *([(CE_PRIORITY, URGENT)] if urgent else []),
            ]  # fmt: skip
            messages.append((key_of("document_code", name).bytes, name.encode(), headers))
        await self.running.publish(DOCUMENT_TOPIC, messages)
        self.accepted += len(names)
        tally = self.running.service.delivery.tally.accepted
        await self.until(lambda: tally[OFFICE, "new"] == self.accepted)


@asynccontextmanager
async def working(folder: Path, at: datetime) -> AsyncIterator[Place]:
    opening = opening_of(Office.manifest, RecipientSection(connector="scripted"), _is_working_day)
    async with serving(folder, RULES, [embedded.Office(OFFICE, Office, opening)], at) as running:
        yield Place(running)


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
        await place.until(
            lambda: len(place.running.service.delivery.shards) >= place.running.service.settings.bus.partitions
        )
        place.script.gate.clear()
        await place.send(*(f"cv-{n}" for n in range(12)))
        await place.until(lambda: len(place.script.seen) == SLOTS - RESERVED)
        await place.send("hoả-tốc", urgent=True)
        await place.until(lambda: "hoả-tốc" in place.script.seen)
        assert len(place.script.seen) == SLOTS
        place.script.gate.set()
        await place.until(lambda: len(place.script.taken) == 13)
