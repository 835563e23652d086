"""A whole installation for these tests: partners that record, a proxy before each, and the router's processes."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from router.assembly import build_bus, topics_of
from router.clock import SystemClock
from router.configuration import load_settings
from router.ledger.engine import open_ledger
from router.ledger.migrate import migrate_ledger
from router.lock import DirectoryLock
from router.operations import Operations
from router.ports import Ledger
from router.settings import Settings
from tests.parts.fault_proxy import FaultProxy
from tests.torture.load import Load
from tests.torture.partner import Partner
from tests.torture.process import ServiceProcess, command
from tests.torture.recorder import CALL_LIMIT

SOURCE, REFUSING = "counter", "plain"
CLASSES = {SOURCE: "natural_key", "plain": "natural_key", "asked": "checked", "once": "none"}
PARTNERS = ("plain", "asked", "once")  # these get every event
PARTITIONS = 3
LEASE_SECONDS = 2.0
RULES = """rules:
  - name: everything to all partners
    match: {type: "dossier.*"}
    to: [plain, asked, once]
"""
METADATA = "Metadata-Version: 2.1\nName: lgsp-torture\nVersion: 1\n"
ENTRY_POINTS = "[lgsp.connectors]\nrecorder = tests.torture.recorder:Recorder\n"


@dataclass
class Installation:
    """Partners and proxies by recipient: the source, which gets replies, and those that get every event. ``settings``
    of all processes; ``path`` on which the connector is found.
    """

    folder: Path
    partners: Mapping[str, Partner]
    proxies: Mapping[str, FaultProxy]
    settings: Settings
    config: Path
    path: Path
    processes: list[ServiceProcess] = field(default_factory=list)
    numbers: itertools.count[int] = field(default_factory=itertools.count)

    async def start(self, count: int = 1) -> list[ServiceProcess]:
        """Start further processes and wait until they are ready."""
        made = [self.process() for _ in range(count)]
        await asyncio.gather(*(process.start() for process in made))
        return made

    def process(self) -> ServiceProcess:
        """One more process, not started."""
        name = f"process-{next(self.numbers)}"
        made = ServiceProcess(name, self.config, self.folder / f"{name}.log", [self.path])
        self.processes.append(made)
        return made

    async def command(self, *words: str) -> str:
        """Run a command of ``lgsp``; what it printed."""
        return await command(self.config, [self.path], *words)

    def urls(self) -> list[str]:
        """Where the router can be reached now."""
        return [p.url for p in self.processes if p.url and p.running and not p.stopped]

    def load(self, dossiers: int, length: int, **changes: Any) -> Load:
        """A source that sends so much."""
        return Load(SOURCE, self.urls, dossiers, length, **changes)

    @asynccontextmanager
    async def ledger(self) -> AsyncIterator[Ledger]:
        """The ledger, as an operator's command opens it."""
        opened = open_ledger(self.settings.ledger_url, SystemClock(), lease_seconds=LEASE_SECONDS)
        await opened.open()
        try:
            yield opened
        finally:
            await opened.close()

    def operations(self, ledger: Ledger) -> Operations:
        """What an operator can do."""
        lock = DirectoryLock(self.settings.data) if self.settings.embedded else None
        return Operations(ledger, SystemClock(), lock)

    def words(self) -> str:
        """The last words of all processes."""
        return "\n".join(f"--- {number}: {p.last_words()}" for number, p in enumerate(self.processes))


@asynccontextmanager
async def installation(
    folder: Path,
    *,
    bus: str = "embedded",
    ledger: str = "sqlite",
    data: Path | None = None,
    seed: int = 0,
    grace: float = 5.0,
    call_limit: float = CALL_LIMIT,
    session: float = 10.0,
) -> AsyncIterator[Installation]:
    """Partners, proxies and configuration; all processes that a test started end with the block. ``session``: seconds
    that a member of the hop's group may be away.

    Fails in the end if one of them logged an error that nobody had thought of.
    """
    async with AsyncExitStack() as stack:
        partners: dict[str, Partner] = {}
        proxies: dict[str, FaultProxy] = {}
        for number, (name, idempotency) in enumerate(CLASSES.items()):
            knows = idempotency == "natural_key"
            partner = Partner(name, folder, knows_repetitions=knows, refuses=name == REFUSING, seed=seed + number)
            await partner.start()
            stack.push_async_callback(partner.stop)
            proxy = FaultProxy(partner.port)
            await proxy.up()
            stack.push_async_callback(proxy.close)
            partners[name], proxies[name] = partner, proxy
        config = written(
            folder, bus, ledger, data or folder / "data", proxies, grace=grace, call_limit=call_limit, session=session
        )
        settings = load_settings(config)
        await prepare(settings)
        made = Installation(folder, partners, proxies, settings, config, entry_point(folder))
        stack.push_async_callback(ended, made.processes)
        yield made
        for process in made.processes:
            assert not process.defects(), process.defects()


async def ended(processes: Sequence[ServiceProcess]) -> None:
    """No process outlives its test."""
    await asyncio.gather(*(process.kill() for process in processes))


async def prepare(settings: Settings) -> None:
    """What ``lgsp migrate`` and ``lgsp topics create`` do, where processes do not do it themselves."""
    if settings.embedded:
        return
    await migrate_ledger(settings.ledger_url, None)
    bus = build_bus(settings, SystemClock())
    await bus.open()
    try:
        await bus.create(topics_of(settings))
    finally:
        await bus.close()


def written(
    folder: Path,
    bus: str,
    ledger: str,
    data: Path,
    proxies: Mapping[str, FaultProxy],
    *,
    grace: float,
    call_limit: float,
    session: float,
) -> Path:
    """The configuration file of all processes."""
    (folder / "rules.yaml").write_text(RULES, "utf-8")
    kafka = f"{{replication = 1, min_insync_replicas = 1, session_seconds = {session}}}"
    lines = [
        f'data = "{data}"',
        f'bus = {{url = "{bus}", partitions = {PARTITIONS}, kafka = {kafka}}}',
        f'ledger = {{url = "{ledger}", lease_seconds = {LEASE_SECONDS}}}',
        "http = {port = 0}",
        f"delivery = {{grace = {grace}}}",
        f'routing = {{rules = "{folder / "rules.yaml"}"}}',
    ]
    for name, proxy in proxies.items():
        http = f'{{base_url = "http://127.0.0.1:{proxy.port}", connect_timeout = 1.0}}'
        lines += [f"[recipients.{name}]", 'connector = "recorder"', f"timeout = {call_limit}"]
        lines += [f'config = {{http = {http}, idempotency = "{CLASSES[name]}"}}']
    config = folder / "lgsp.toml"
    config.write_text("\n".join(lines), "utf-8")
    return config


def entry_point(folder: Path) -> Path:
    """A folder that, on the import path, registers the recording connector as an installed package would."""
    package = folder / "site" / "lgsp_torture-1.dist-info"
    package.mkdir(parents=True)
    (package / "METADATA").write_text(METADATA, "utf-8")
    (package / "entry_points.txt").write_text(ENTRY_POINTS, "utf-8")
    return package.parent
