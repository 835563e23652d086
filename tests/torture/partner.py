"""A partner that records: what it was handed, in the order in which that took effect, in a file that outlives it."""

from __future__ import annotations

import asyncio
import json
import random
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

from aiohttp import web

from tests.torture.recorder import MALFORMED, REFUSED

TOOK, RECOGNISED = "took", "recognised"
REFUSES = 26  # of 256 events, where a partner refuses any
SOME, NEVER = 240, 256  # from where on, of 256, events are called malformed the first time


class Taken(NamedTuple):
    """One line of the record. ``at`` is monotonic seconds; ``answers`` is the event that a reply is about; ``effect``
    is ``took`` or ``recognised``.
    """

    at: float
    source: str
    id: str
    key: str
    subject: str
    answers: str
    effect: str


class Partner:
    """An HTTP server on loopback. ``knows_repetitions`` makes a second request for the same event have no effect.

    ``moods`` are played at random, seeded: an answer of 500 after the work, 503 before it, a slow answer, a
    connection cut after the work. A partner that ``refuses`` says no to some events, always to the same ones; it
    calls some malformed the first time (``stumbles_from``), and takes them when a person has them sent again.
    """

    def __init__(
        self, name: str, folder: Path, *, knows_repetitions: bool, refuses: bool = False, seed: int = 0
    ) -> None:
        self.name, self.knows_repetitions, self._refuses = name, knows_repetitions, refuses
        self.record: list[Taken] = []
        self.port = 0
        self.answered = 0
        self.moods: dict[str, float] = {}
        self.stumbles_from = NEVER
        self.stumbled: set[str] = set()
        self.gate = asyncio.Event()  # while clear, requests are taken in but not worked on
        self.gate.set()
        self.waiting = 0
        self._file = (folder / f"{name}.jsonl").open("a", encoding="utf-8")
        self._known: set[tuple[str, str]] = set()
        self._random = random.Random(seed)
        self._changed = asyncio.Event()
        self._runner: web.AppRunner | None = None

    async def start(self) -> None:
        """Serve on a free loopback port."""
        app = web.Application()
        app.router.add_post("/take", self._take)
        app.router.add_get("/taken", self._taken)
        app.router.add_get("/alive", self._alive)
        self._runner = web.AppRunner(app, access_log=None, handler_cancellation=True)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", 0, backlog=512)
        await site.start()
        self.port = self._runner.addresses[0][1]

    async def stop(self) -> None:
        """End the server; the record stays."""
        if self._runner is not None:
            await self._runner.cleanup()
        self._file.close()

    def took(self, source: str, event_id: str) -> bool:
        """Whether an event had its effect here."""
        return (source, event_id) in self._known

    def refuses(self, event_id: str) -> bool:
        """Whether this event is one that is refused here."""
        return self._refuses and int(event_id[:2], 16) < REFUSES

    def effects(self) -> list[Taken]:
        """What had an effect, in order."""
        return [taken for taken in self.record if taken.effect == TOOK]

    def of(self, key: str) -> list[Taken]:
        """What had an effect on one dossier, in order."""
        return [taken for taken in self.effects() if taken.key == key]

    async def until(self, condition: Callable[[], object], limit: float = 60.0) -> None:
        """Wait until something that changes with the record is so; fails after ``limit`` seconds."""
        async with asyncio.timeout(limit):
            while not condition():
                self._changed.clear()
                await self._changed.wait()

    async def until_effects(self, count: int) -> None:
        """Wait until so many events had their effect here."""
        await self.until(lambda: len(self.effects()) >= count)

    async def _take(self, request: web.Request) -> web.StreamResponse:
        facts = await request.json()
        mood = self._mood()
        self.waiting += 1
        self._changed.set()
        try:
            await self.gate.wait()
        finally:
            self.waiting -= 1
        if mood == "busy":
            return web.Response(status=503)
        if int(facts["id"][:2], 16) >= self.stumbles_from and facts["id"] not in self.stumbled:
            self.stumbled.add(facts["id"])
            return web.Response(status=MALFORMED)
        effect = self._write(facts)
        if mood == "slow":
            await asyncio.sleep(0.3)
        if mood == "fails_after_work":
            return web.Response(status=500)
        if mood == "cuts_after_work" and request.transport is not None:
            request.transport.abort()
            return web.Response()
        self.answered += 1
        if self.refuses(facts["id"]):
            return web.Response(status=REFUSED)
        return web.json_response({"effect": effect})

    def _write(self, facts: dict[str, str]) -> str:
        identity = (facts["source"], facts["id"])
        effect = RECOGNISED if self.knows_repetitions and identity in self._known else TOOK
        self._known.add(identity)
        taken = Taken(time.monotonic(), *identity, facts["key"], facts["subject"], facts["answers"], effect)
        self.record.append(taken)
        self._file.write(json.dumps(taken._asdict(), ensure_ascii=False) + "\n")
        self._file.flush()
        self._changed.set()
        return effect

    async def _taken(self, request: web.Request) -> web.StreamResponse:
        return web.json_response({"taken": self.took(request.query["source"], request.query["id"])})

    async def _alive(self, _request: web.Request) -> web.StreamResponse:
        return web.Response()

    def _mood(self) -> str:
        drawn = self._random.random()
        for mood, share in self.moods.items():
            if drawn < share:
                return mood
            drawn -= share
        return ""


async def cancelled(task: asyncio.Task[None]) -> None:
    """End a task of the test's own."""
    task.cancel()
    with suppress(asyncio.CancelledError):
        await task
