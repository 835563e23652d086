"""The service that benches load: embedded or not, with partners that take one event type each."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from typing import Any, Generic, NamedTuple, TypeVar

from router.assembly import build_bus, topics_of
from router.clock import SystemClock, SystemIds
from router.delivery.calls import Recipient
from router.ledger.migrate import migrate_ledger
from router.objects import FolderObjectStore
from router.ports import Publisher
from router.routing.agencies import Registry
from router.routing.table import Match, Routes, Rule
from router.runtime import quiet_collector
from router.sdk import Connector, Context
from router.sdk.dates import local_date
from router.service import Service
from router.settings import RecipientSection, Settings

P = TypeVar("P", bound=Connector[Any])


class Served(NamedTuple, Generic[P]):
    """A running service, its partners by recipient, and a publisher of its bus."""

    service: Service
    partners: Mapping[str, P]
    publisher: Publisher


@asynccontextmanager
async def serving(
    settings: Settings, types: Mapping[str, str], partner: Callable[[Context], P]
) -> AsyncIterator[Served[P]]:
    """The service with one recipient for each event type of ``types``, by recipient, while it is used."""
    clock, ids = SystemClock(), SystemIds()
    await migrate_ledger(settings.ledger_url, None)
    bus = build_bus(settings, clock)
    await bus.open()
    named = {name: RecipientSection(connector="bench") for name in types}
    await bus.create(topics_of(settings.model_copy(update={"recipients": named})))
    store = FolderObjectStore(settings.data / "objects")
    partners = {name: partner(Context(name, clock, ids, store)) for name in types}
    recipients = [Recipient(n, p, p.manifest, p.manifest.limits.concurrency) for n, p in partners.items()]
    service = Service(settings, clock, ids, bus=bus, recipients=recipients)
    rules = [Rule(name=name, match=Match(type=(kind,)), to=(name,)) for name, kind in types.items()]
    service.routes = Routes(rules, Registry("bench", [], [], []), local_date(clock.business()))
    quiet_collector()
    async with service.running():
        publisher = await bus.publisher()
        yield Served(service, partners, publisher)
        await publisher.close()
