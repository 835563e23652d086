"""A source that sends events through the router's webhook until each is received, in order per dossier."""

from __future__ import annotations

import asyncio
import json
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import aiohttp

from router.events import derived_id, key_of
from router.sdk import DOSSIER_CODE
from tests.torture.recorder import OPERATION

PATIENCE = 4.0  # seconds for an answer: a process that is frozen gives none
PAUSE = 0.05  # before an event that was not received is sent again


class Sent(NamedTuple):
    """An event the router has received: its dossier's key and code, and its id on the bus."""

    key: str
    code: str
    id: str


@dataclass
class Load:
    """``dossiers`` of ``length`` events each, sent by ``source`` as fast as the router takes them, one at a time per
    dossier. ``urls`` says where the router can be reached at this moment. ``received`` is in order per dossier.
    """

    source: str
    urls: Callable[[], Sequence[str]]
    dossiers: int
    length: int
    name: str = "H39"
    pause: float = 0.0
    seed: int = 0
    received: list[Sent] = field(default_factory=list)
    refused: int = 0
    _refusal: asyncio.Event = field(default_factory=asyncio.Event)

    async def until_refused(self, count: int) -> None:
        """Wait until so many tries were not received; fails after half a minute."""
        async with asyncio.timeout(30):
            while self.refused < count:
                self._refusal.clear()
                await self._refusal.wait()

    async def run(self) -> None:
        """Send everything."""
        chance = random.Random(self.seed)
        timeout = aiohttp.ClientTimeout(total=PATIENCE)
        async with aiohttp.ClientSession(timeout=timeout) as session, asyncio.TaskGroup() as group:
            for number in range(self.dossiers):
                group.create_task(self._dossier(session, f"{self.name}-{number}", random.Random(chance.random())))

    async def _dossier(self, session: aiohttp.ClientSession, code: str, chance: random.Random) -> None:
        key = str(key_of(DOSSIER_CODE, code))
        for number in range(self.length):
            identity = f"{code}/{number}"
            body = json.dumps({"code": code, "identity": identity}).encode()
            while not await self._say(session, body, chance):
                self.refused += 1
                self._refusal.set()
                await asyncio.sleep(PAUSE)
            self.received.append(Sent(key, code, derived_id("message", self.source, OPERATION, identity)))
            if self.pause:
                await asyncio.sleep(self.pause * chance.random())

    async def _say(self, session: aiohttp.ClientSession, body: bytes, chance: random.Random) -> bool:
        urls = self.urls()
        if not urls:
            return False
        try:
            async with session.post(f"{chance.choice(urls)}/in/{self.source}/say", data=body) as answer:
                await answer.read()
                return answer.status == 200
        except (aiohttp.ClientError, OSError, TimeoutError):
            return False
