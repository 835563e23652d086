"""An intake over the log in memory and the real ledger in memory, and what a test asks of them."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from pydantic import BaseModel

from router.bus.memory import MemoryBus
from router.events import (
    CE_ID,
    CE_SUBJECT,
    DOCUMENT_TOPIC,
    DOSSIER_TOPIC,
    ROUTER,
    Fetched,
    TopicPartition,
    partition_of,
    text_header,
    topic_of,
)
from router.ingress.intake import Intake
from router.ingress.waiting import LEASE, WaitingSweep
from router.ledger import leases, outbox
from router.ledger.engine import SqliteLedger
from router.ledger.rows import Lease
from router.ports import TopicSpec
from router.sdk.inbound import DOSSIER_CODE, Emission, Reference
from router.sdk.manifest import Inbound, Manifest
from router.sdk.testing.clock import ManualClock

PARTITIONS = 3
AT = datetime(2025, 6, 16, 1, 0, tzinfo=UTC)
OWNER_KEY = b"a key of this test"
MANIFEST = Manifest(
    name="t", version="1", partner="t", role="other", inbound=Inbound(repeat_window=3600.0, wait_window=86_400.0)
)


class Note(BaseModel):
    """A record that is enough for ingress, which never looks inside."""

    text: str


def encode(event_type: str, record: Mapping[str, Any]) -> bytes:
    return json.dumps([event_type, record]).encode()


def emission(text: str = "4", code: str = "H39.16-250616-0001", **changes: Any) -> Emission:
    values: dict[str, Any] = {
        "type": "dossier.status_changed",
        "record": Note(text=text),
        "subject": Reference(DOSSIER_CODE, code),
        "operation": "status",
        "time": AT,
        "original": text.encode(),
        "mints": True,
    }
    return Emission(**{**values, **changes})


def notice(text: str, number: str = "TB-123/2025", **changes: Any) -> Emission:
    """An event whose only number is a notice's."""
    return emission(
        text,
        type="tax.obligation_completed",
        subject=Reference("notice", number),
        mints=False,
        operation="L11",
        **changes,
    )


class Rig:
    """One process's ingress. ``another`` is a second process over the same log and ledger."""

    def __init__(self, bus: MemoryBus, ledger: SqliteLedger, clock: ManualClock) -> None:
        self.bus, self.ledger, self.clock = bus, ledger, clock
        self.intake = Intake(bus, ledger, clock, encode, partitions=PARTITIONS, owner_key=OWNER_KEY)
        self.waiting = WaitingSweep(ledger, clock)

    @classmethod
    async def start(cls) -> Rig:
        clock = ManualClock()
        bus, ledger = MemoryBus(clock), SqliteLedger(None, clock)
        await bus.create([TopicSpec(t, PARTITIONS) for t in (DOSSIER_TOPIC, DOCUMENT_TOPIC, topic_of(ROUTER))])
        await ledger.open()
        await ledger.write(lambda conn: leases.ensure(conn, [LEASE]))
        await ledger.write(lambda conn: leases.take(conn, LEASE, "this process", 0))
        return cls(bus, ledger, clock)

    def another(self) -> Rig:
        return Rig(self.bus, self.ledger, self.clock)

    async def stop(self) -> None:
        await self.intake.close()
        await self.ledger.close()

    async def receive(self, *emissions: Emission, source: str = "one-stop-h39") -> None:
        await self.intake.receive(source, MANIFEST, emissions)

    async def sweep(self) -> int:
        """Release what is due, without publishing it yet."""
        return await self.waiting.sweep(Lease(LEASE, 1))

    async def publish_outbox(self) -> None:
        """What the owner of the lease does with its outbox."""
        rows = await self.ledger.read(lambda conn: outbox.pending(conn, [LEASE], 1000))
        publisher = await self.bus.publisher()
        for _, row in rows:
            place = TopicPartition(row.topic, partition_of(row.key, PARTITIONS))
            await publisher.publish({place: [(row.key, row.value, row.headers)]})
        await self.ledger.write(lambda conn: outbox.published(conn, [row_id for row_id, _ in rows]))
        await publisher.close()

    async def release(self) -> None:
        """Sweep and publish until nothing is due."""
        while await self.sweep():
            await self.publish_outbox()

    def log(self, topic: str = DOSSIER_TOPIC) -> list[Fetched]:
        return [r for p in self.bus.partitions([topic]) for r in self.bus.fetch(p, 0, 100_000)]


def texts(records: Sequence[Fetched]) -> list[str]:
    return [json.loads(record.value)[1]["text"] for record in records]


def ids(records: Sequence[Fetched]) -> list[str]:
    return [text_header(record.headers, CE_ID) for record in records]


def subjects(records: Sequence[Fetched]) -> list[str]:
    return [text_header(record.headers, CE_SUBJECT) for record in records]


def keys(records: Sequence[Fetched]) -> list[UUID]:
    return [UUID(bytes=record.key) for record in records]
