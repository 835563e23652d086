"""Runs the demo from an empty folder to a verdict."""

from __future__ import annotations

import asyncio
import tempfile
from contextlib import AsyncExitStack
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from router.assembly import build_bus, data_directory, topics_of
from router.cli import output
from router.clock import SystemClock, SystemIds
from router.demo.books import books_of
from router.demo.keeping import next_commands, write_config
from router.demo.later import FIRST_DAY
from router.demo.operator import Operator
from router.demo.sabotage import Sabotage, SabotagedBus
from router.demo.story import Story
from router.demo.summary import Summary, summary_of
from router.demo.telling import Telling, telling
from router.demo.verdict import findings
from router.demo.world import World, demo_settings, demo_values
from router.ledger.migrate import migrate_ledger
from router.ports import Bus
from router.runtime import quiet_collector
from router.service import Service


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
    clock = SystemClock(FIRST_DAY - datetime.fromtimestamp(SystemClock().now() / 1e6, UTC))
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
        async with service.running():
            quiet_collector()
            with telling(lambda: clock.monotonic() - began, choices.dossiers, silent=choices.as_json) as saying:
                story = Story(world, service, clock, choices.dossiers, choices.documents, saying.tell, choices.seed)
                summary = await _watched(story, saying, clock)
        summary.seconds = round(clock.monotonic() - began, 1)
        summary.tell(as_json=choices.as_json)
        if kept is not None and not choices.as_json:
            output.line("\nLook into it:\n" + "\n".join(f"  {command}" for command in next_commands(kept)))
    return 1 if summary.differences else 0


async def _watched(story: Story, saying: Telling, clock: SystemClock) -> Summary:
    """Play, saying twice a second how far it is; then compare everybody's books."""
    operator = Operator(story.service, clock, saying.tell)

    async def watch() -> None:
        while True:
            await clock.sleep(0.5)
            effects = sum(len(simulator.effects) for simulator in story.world.partners().values())
            saying.count(story.closed(), effects)

    watching = asyncio.create_task(watch())
    try:
        await story.play(operator)
    finally:
        watching.cancel()
    saying.tell("comparing everybody's books")
    books = await books_of(story, operator)
    return await summary_of(story, operator, books, findings(story, operator, books))
