"""Runs the demo from an empty folder to a verdict."""

from __future__ import annotations

import asyncio
import tempfile
from collections import Counter
from contextlib import AsyncExitStack
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from router.assembly import build_bus, data_directory, topics_of
from router.cli import output
from router.clock import SystemClock, SystemIds
from router.demo.check import Finding
from router.demo.keeping import next_commands, write_config
from router.demo.sabotage import Sabotage, SabotagedBus
from router.demo.story import Story
from router.demo.telling import Telling, telling
from router.demo.world import World, demo_settings, demo_values
from router.ledger.migrate import migrate_ledger
from router.ports import Bus
from router.runtime import quiet_collector
from router.service import Service

#: The demo happens on this day: before the reorganisation of 1 July 2025, with districts still at work.
DAY = datetime(2025, 6, 16, 1, 0, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Choices:
    """What the command line says."""

    dossiers: int = 50
    documents: int = 20
    bus: str = "embedded"
    ledger: str = "sqlite"
    keep: Path | None = None
    seed: int = 1
    sabotage: Sabotage | None = None
    as_json: bool = False


async def run_demo(choices: Choices) -> int:
    """Play the story; 0 if everything is as it must be, else 1."""
    with tempfile.TemporaryDirectory(prefix="lgsp-demo-") as scratch:
        data = choices.keep or Path(scratch)
        return await _in_directory(choices, data)


async def _in_directory(choices: Choices, data: Path) -> int:
    clock = SystemClock(DAY - datetime.fromtimestamp(SystemClock().now() / 1e6, UTC))
    began = clock.monotonic()
    async with AsyncExitStack() as stack:
        world = World.make(clock, choices.seed)
        await world.start(stack)
        values = demo_values(world, data, bus=choices.bus, ledger=choices.ledger)
        settings = demo_settings(values)
        data_directory(settings)
        kept = write_config(data, values) if choices.keep is not None else None
        await migrate_ledger(settings.ledger_url, None)
        bus = build_bus(settings, clock)
        if not settings.embedded:
            await bus.create(topics_of(settings))
        wrapped: Bus = SabotagedBus(bus, choices.sabotage) if choices.sabotage else bus
        service = Service(settings, clock, SystemIds(choices.seed), bus=wrapped)
        running = asyncio.create_task(service.run())
        ready = asyncio.create_task(service.ready.wait())
        await asyncio.wait({running, ready}, return_when=asyncio.FIRST_COMPLETED)
        if running.done():
            ready.cancel()
            running.result()
        quiet_collector()
        try:
            with telling(lambda: clock.monotonic() - began, choices.dossiers, silent=choices.as_json) as saying:
                story = Story(world, service, clock, choices.dossiers, choices.documents, saying.tell, choices.seed)
                findings = await _watched(story, saying, clock)
        finally:
            service.stop()
            await running
        _report(choices, story, service, findings, clock.monotonic() - began)
        if kept is not None and not choices.as_json:
            output.line("\nLook into it:\n" + "\n".join(f"  {command}" for command in next_commands(kept)))
    return 1 if findings else 0


async def _watched(story: Story, saying: Telling, clock: SystemClock) -> list[Finding]:
    """Play, and say twice a second how far it is."""

    async def watch() -> None:
        while True:
            await clock.sleep(0.5)
            effects = sum(len(simulator.effects) for simulator in story.world.partners().values())
            saying.count(story.closed(), effects)

    watching = asyncio.create_task(watch())
    try:
        return await story.play()
    finally:
        watching.cancel()


def _report(choices: Choices, story: Story, service: Service, findings: list[Finding], seconds: float) -> None:
    assert service.hop is not None
    stats = service.hop.stats()
    summary = {
        "dossiers": len(story.codes),
        "returned": story.closed(),
        "documents": story.documents,
        "routed": stats.routed,
        "unroutable": stats.unroutable,
        "hop_p50_s": service.hop.latency.quantile(0.5),
        "hop_p99_s": service.hop.latency.quantile(0.99),
        "repaired": story.repaired,
        "tax_files": [f"{lines} dossiers, {total:,} VND" for lines, total in story.world.tax.files[:3]],
        "seconds": round(seconds, 1),
        "differences": [finding._asdict() for finding in findings],
    }
    events, outcomes = _events(story), _outcomes(service)
    if choices.as_json:
        output.document({**summary, "outcomes": outcomes, "events": events}, as_json=True)
        return
    output.listing(events, as_json=False, empty="")
    output.line()
    output.listing(outcomes, as_json=False, empty="")
    output.line()
    output.document(summary, as_json=False)
    verdict = f"FAILED: {len(findings)} differences" if findings else "OK: everything arrived once and in order"
    output.line(f"\n{verdict}")


def _events(story: Story) -> list[dict[str, object]]:
    counts = Counter(
        (sender, sent.identity.split("/", maxsplit=1)[0])
        for sender, simulator in story.world.partners().items()
        for sent in simulator.sent
    )
    return [{"from": sender, "message": kind, "sent": count} for (sender, kind), count in sorted(counts.items())]


def _outcomes(service: Service) -> list[dict[str, object]]:
    assert service.delivery is not None
    tally = service.delivery.tally
    return [
        {
            "recipient": recipient,
            "outcome": outcome,
            "attempts": count,
            "p50_s": tally.latency[recipient].quantile(0.5),
            "p99_s": tally.latency[recipient].quantile(0.99),
        }
        for (recipient, outcome), count in sorted(tally.outcomes.items())
    ]
