"""A small installation for delivery's tests: an embedded log, a SQLite ledger, one scripted partner."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from types import MappingProxyType

from router.bus.embedded import EmbeddedBus
from router.clock import SystemClock, SystemIds
from router.delivery.calls import Kit, Recipient
from router.delivery.opening import ALWAYS, Opening
from router.delivery.ownership import Ownership
from router.delivery.service import DeliveryService, DeliverySettings
from router.events import DEAD_LETTER_TOPIC, INPUT_TOPICS, ROUTER, Message, by_partition, key_of, topic_of
from router.ledger import store
from router.ledger.engine import open_ledger
from router.ledger.local import LocalRecipient
from router.ledger.rows import Delivery
from router.objects import FolderObjectStore
from router.operations import Operations
from router.ports import Bus, Clock, Ledger, TopicSpec
from router.sdk import Checked, Connector, ConnectorConfig, Context, Event, Limits, Manifest, Operation, Receipt, Retry
from tests.ledger.harness import new_file

PARTITIONS = 3


class FastClock(SystemClock):
    """Time runs a hundred times as fast, so that pauses between probes pass while a test waits for what they bring."""

    SPEED = 100

    def __init__(self) -> None:
        self._start = super().now()

    def monotonic(self) -> float:
        return super().monotonic() * self.SPEED

    def now(self) -> int:
        return self._start + (super().now() - self._start) * self.SPEED

    def business(self) -> datetime:
        return datetime.fromtimestamp(self.now() / 1e6, UTC)

    async def sleep(self, seconds: float) -> None:
        await super().sleep(seconds / self.SPEED)


PARTNER = "partner"


def manifest(idempotency: str = "natural_key") -> Manifest:
    return Manifest(
        name="scripted",
        version="1",
        partner="Đối tác thử",
        role="other",
        operations=(Operation(name="take", events=("dossier.progressed",), idempotency=idempotency, timeout=0.5),),
        limits=Limits(concurrency=4),
        retry=Retry(in_place=1, first_delay=0.01, longest_delay=0.02, budget=3),
    )


@dataclass
class Script:
    """What the partner does: ``answers`` by event id are used up one by one; after that it takes everything."""

    answers: dict[str, list[Exception | Receipt]] = field(default_factory=lambda: defaultdict(list))
    checks: dict[str, Checked] = field(default_factory=dict)
    seen: list[str] = field(default_factory=list)
    taken: list[str] = field(default_factory=list)
    bodies: dict[str, bytes] = field(default_factory=dict)
    gate: asyncio.Event = field(default_factory=asyncio.Event)

    def __post_init__(self) -> None:
        self.gate.set()


class Scripted(Connector[ConnectorConfig]):
    manifest = manifest()
    config_model = ConnectorConfig
    script: Script

    async def deliver(self, event: Event) -> Receipt:
        self.script.seen.append(event.id)
        await self.script.gate.wait()
        if self.script.answers[event.id]:
            answer = self.script.answers[event.id].pop(0)
            if isinstance(answer, Exception):
                raise answer
            return answer
        self.script.taken.append(event.id)
        self.script.bodies[event.id] = event.payload
        return Receipt(code="00")

    async def check(self, event: Event) -> Checked:
        return self.script.checks.get(event.id, Checked.UNKNOWN)


@dataclass
class Installation:
    """What a test needs of it."""

    bus: Bus
    ledger: Ledger
    service: DeliveryService
    script: Script
    operations: Operations

    async def publish(self, *events: tuple[str, str], topic: str = topic_of(PARTNER)) -> None:
        """Events as (id, dossier), in order."""
        publisher = await self.bus.publisher()
        messages = [message(event_id, dossier) for event_id, dossier in events]
        await publisher.publish(by_partition(topic, messages, PARTITIONS))
        await publisher.close()

    async def until(self, condition: Callable[[], object]) -> None:
        """Let the service work until the condition holds; fails after ten seconds."""
        async with asyncio.timeout(10):
            while not condition():
                await asyncio.sleep(0)
                await SystemClock().sleep(0.002)

    async def delivery(self, event_id: str) -> tuple[str, Delivery]:
        """The delivery of an event at the partner, with its name."""
        found = [
            named for named in await self.operations.trace(event_id, ["one-stop-h39"]) if named.recipient == PARTNER
        ]
        return found[0].name, found[0].delivery

    async def settled(self, event_id: str, *states: str) -> tuple[str, Delivery]:
        """Wait until an event's delivery is in one of these states."""
        async with asyncio.timeout(10):
            while True:
                found = await self.operations.trace(event_id, ["one-stop-h39"])
                for named in found:
                    if named.delivery.state.value in states:
                        return named.name, named.delivery
                await SystemClock().sleep(0.002)


def message(event_id: str, dossier: str, *, body: bytes = b"", digest: bytes = b"") -> Message:
    headers = [
        ("ce_specversion", b"1.0"),
        ("ce_id", event_id.encode()),
        ("ce_source", b"one-stop-h39"),
        ("ce_type", b"dossier.progressed"),
        ("ce_subject", dossier.encode()),
        ("ce_time", b"2025-06-16T01:00:00+00:00"),
    ]
    if digest:
        headers.append(("lgsp_digest", digest))
    return key_of("dossier_code", dossier).bytes, body or event_id.encode(), headers


@asynccontextmanager
async def installation(
    folder: Path,
    *,
    script: Script | None = None,
    idempotency: str = "natural_key",
    url: str = "",
    grace: float = 2.0,
    clock: Clock | None = None,
    opening: Opening = ALWAYS,
    local: Sequence[LocalRecipient] = (),
    beside: Mapping[str, Script] = MappingProxyType({}),
) -> AsyncIterator[Installation]:
    """Run delivery over ``folder``; leaving stops it. ``beside`` the partner there may be others, by name."""
    clock, ids = clock or SystemClock(), SystemIds()
    script = script or Script()
    url = url or new_file(folder)
    bus, ledger = EmbeddedBus(folder / "bus.db", clock), open_ledger(url, clock, lease_seconds=2.0)
    await bus.open()
    names = [PARTNER, ROUTER, *beside, *(each.id for each in local)]
    topics = [*INPUT_TOPICS, *map(topic_of, names), DEAD_LETTER_TOPIC]
    await bus.create([TopicSpec(name, PARTITIONS) for name in topics])
    await ledger.open()
    for name in names:
        await ledger.write(lambda conn, recipient=name: store.register_shards(conn, recipient, PARTITIONS))
    recipients = []
    for name, played in {PARTNER: script, **beside}.items():
        connector = Scripted(ConnectorConfig(), Context(name, clock, ids, FolderObjectStore(folder / "objects")))
        connector.script, connector.manifest = played, manifest(idempotency)
        recipients.append(Recipient(name, connector, connector.manifest, 4, opening=opening))
    kit = Kit(clock, ids, lambda payload: {}, lambda record: b"reply", lambda source: source)
    ownership = Ownership(ledger, clock, str(ids.new()), length=2.0, exclusive=url.startswith("sqlite"))
    settings = DeliverySettings(PARTITIONS, grace=grace)
    service = DeliveryService(bus, ledger, ownership, recipients, kit, settings=settings, local=local)
    running = asyncio.create_task(service.run())
    try:
        yield Installation(bus, ledger, service, script, Operations(ledger, clock, None))
    finally:
        service.stop()
        await running
        await ledger.close()
        await bus.close()
