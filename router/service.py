"""A process of an installation: its parts, in the order in which they open and let go. The composition root."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from datetime import datetime
from functools import partial
from typing import Any

import structlog

from router.admission import admit
from router.assembly import (
    build_bus,
    build_codec,
    build_feed,
    build_ledger,
    build_live_routes,
    build_lock,
    build_ownership,
    build_procedures,
    build_routes,
    delivery_kit,
    locals_of,
    topics_of,
)
from router.delivery.calls import Recipient
from router.delivery.ownership import BEATS_A_LEASE
from router.delivery.service import DeliveryService, DeliverySettings
from router.errors import LedgerError
from router.gauges import Gauges
from router.http_server import HttpServer, exposition, probes
from router.ingress.intake import Intake
from router.ingress.limits import Limits
from router.ingress.loops import Loops
from router.ingress.poll import PolledSource
from router.ingress.webhook import webhook_routes
from router.metrics import Metrics
from router.objects import FolderObjectStore
from router.owner_key import owner_key
from router.ports import Bus, Clock, Ids
from router.procedures.recipient import Procedures
from router.recipients import build_recipients
from router.replay.runner import ReplayRunner
from router.rounds import Rounds, until
from router.routing.hop import STREAMING, Hop, HopSettings
from router.routing.table import Routes
from router.sdk.dates import local_date
from router.settings import Settings

ROUTES_EVERY = 1.0  # seconds


class Service:
    """One process of an installation, playing the roles of its settings. ``run`` until ``stop``.

    ``recipients`` are served beside those of the settings (benches, and installations embedded in a program).
    """

    def __init__(
        self,
        settings: Settings,
        clock: Clock,
        ids: Ids,
        *,
        file: str = "settings",
        bus: Bus | None = None,
        recipients: Sequence[Recipient] = (),
    ) -> None:
        self.settings, self.clock, self.ids = settings, clock, ids
        self.log = structlog.get_logger("lgsp")
        self.lock = build_lock(settings)
        self.bus, self.ledger = bus or build_bus(settings, clock), build_ledger(settings, clock)
        self.codec = build_codec(settings)
        self.objects = FolderObjectStore(settings.data / "objects")
        self.recipients = [*build_recipients(settings, clock, ids, self.objects, file), *recipients]
        self.ownership = build_ownership(settings, self.ledger, clock, ids)
        self.routes = self._routes()
        self.live = build_live_routes(settings, self.ledger, clock, self.ownership.process, self._log_alert)
        self.procedures = self._procedures() if settings.procedures.enabled else None
        self.hop = self._hop() if "router" in settings.roles else None
        self.delivery = self._delivery() if "delivery" in settings.roles else None
        self.intake = self._intake()
        self.http, self.metrics_http = self._servers()
        self.metrics = Metrics(self.hop, self.delivery, self.intake, Gauges(self.ledger, self.bus, clock, self.hop))
        self.ready = asyncio.Event()
        self._stopping = asyncio.Event()
        self._drained = asyncio.Event()  # delivery has let go of everything
        self._wound_down = True  # and cut no call off

    @property
    def url(self) -> str:
        """Where webhooks come in, once it is ready."""
        return self.http.url

    async def run(self) -> None:
        """Open everything, work until ``stop``, let go in the order in which nothing is lost."""
        async with AsyncExitStack() as stack:
            await self._open(stack)
            tasks = [asyncio.create_task(part()) for part in self._parts()]
            self.ready.set()
            self.log.info("ready", url=self.url, roles=list(self.settings.roles), recipients=len(self.recipients))
            stopping = asyncio.create_task(self._stopping.wait())
            await asyncio.wait({stopping, *tasks}, return_when=asyncio.FIRST_COMPLETED)
            stopping.cancel()
            self.log.info("stopping")
            await self._wind_down(tasks)
        self.log.info("stopped")

    def stop(self) -> None:
        """Take nothing more in, settle what runs, and return from ``run``."""
        self._stopping.set()

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """``run`` while it is used, ready at the beginning. Raises what it ended with instead of becoming ready."""
        working, ready = asyncio.create_task(self.run()), asyncio.create_task(self.ready.wait())
        await asyncio.wait({working, ready}, return_when=asyncio.FIRST_COMPLETED)
        ready.cancel()
        if working.done():
            working.result()
        try:
            yield
        finally:
            self.stop()
            await working

    async def _open(self, stack: AsyncExitStack) -> None:
        if self.lock is not None:
            self.lock.take()
            stack.callback(self.lock.release)
        await self.bus.open()
        stack.push_async_callback(self.bus.close)
        if self.settings.embedded:
            await self.bus.create(topics_of(self.settings))
        await self.ledger.open()
        stack.push_async_callback(self.ledger.close)
        await admit(self.settings, self.bus, self.ledger, self._names())
        await self._renew_routes()
        if self.procedures is not None:
            await self.procedures.check()
        for recipient in self.recipients:
            await recipient.connector.open()
            stack.push_async_callback(recipient.connector.close)
        http, sections = self.settings.http, self.settings.recipients.items()
        rates = {name: each.inbound_rate for name, each in sections if each.inbound_rate is not None}
        limits = Limits(self.clock, rate=http.source_rate, in_flight=http.requests_in_flight, rates=rates)
        connectors = {recipient.id: recipient.connector for recipient in self.recipients}
        receiving = "ingress" in self.settings.roles
        hooks = webhook_routes(connectors, self.intake.receive, limits, self._now) if receiving else []
        inspected = exposition(self.metrics.render)
        probed = probes(self.ready.is_set, self._in_force)
        if self.metrics_http is None:
            probed.append(inspected)
        else:
            await self.metrics_http.start([*probed, inspected])
            stack.push_async_callback(self.metrics_http.stop)
        await self.http.start([*hooks, *probed])
        stack.push_async_callback(self.http.stop)

    def _parts(self) -> list[Callable[[], Coroutine[Any, Any, None]]]:
        parts: list[Callable[[], Coroutine[Any, Any, None]]] = [self._beat, self._follow_routes]
        if self.hop is not None:
            parts += [self.hop.run]
        rounds = Rounds(self.ledger, self.ownership, self.clock, self._stopping, self._wake_outbox, self._log_alert)
        if self.delivery is not None:
            replays = ReplayRunner(self.ledger, self.ownership, self.clock)
            feed = build_feed(self.settings, self.clock, self.bus, self.ledger, self.codec, self._log_alert)
            parts += [self._deliver, rounds.waiting, rounds.trail, partial(rounds.registry, feed)]
            parts += [lambda: replays.run(self._stopping.is_set)]
            parts += [partial(rounds.timers, self.codec.encode)] if self.settings.procedures.enabled else []
        if "ingress" in self.settings.roles:
            parts += [partial(rounds.poll, source, self.ids) for source in self._sources()]
        return parts

    async def _wind_down(self, tasks: list[asyncio.Task[None]]) -> None:
        """Stop taking in, then the hop, then delivery; a part that failed is told after the others have settled."""
        self.ready.clear()
        self._stopping.set()
        await self.http.stop_accepting()
        await self.intake.close()
        if self.hop is not None:
            self.hop.stop()
        if self.delivery is not None:
            self.delivery.stop()
        endless = [task for task in tasks if not task.done()]
        grace = self.settings.delivery.grace + 10
        await asyncio.wait(endless, timeout=grace) if endless else None
        for task in tasks:
            task.cancel()
        results = await asyncio.gather(*tasks, return_exceptions=True)
        for result in results:
            if isinstance(result, Exception):
                raise result

    def _names(self) -> list[str]:
        """All recipients of this process, the local ones last."""
        return [*(recipient.id for recipient in self.recipients), *locals_of(self.settings)]

    def _routes(self) -> Routes:
        of_files = build_routes(self.settings, self.clock)
        return Routes(of_files.rules, of_files.registry, of_files.today, self._names())

    def _procedures(self) -> Procedures:
        return build_procedures(self.settings, self.clock, self.ledger, self.codec, lambda: self.routes.registry)

    def _intake(self) -> Intake:
        settings = self.settings
        return Intake(
            self.bus, self.ledger, self.clock, self.codec.encode,
            partitions=settings.bus.partitions, owner_key=owner_key(settings),
            loops=Loops(self.ledger, self.clock, settings.identity.organs, self._log_alert),
        )  # fmt: skip

    def _servers(self) -> tuple[HttpServer, HttpServer | None]:
        """That of partners, and that of metrics where they stand apart."""
        http = self.settings.http
        partners = HttpServer(http.host, http.port)
        if http.metrics_port is None:
            return partners, None
        return partners, HttpServer(http.metrics_host, http.metrics_port, "http.metrics_port")

    def _hop(self) -> Hop:
        member = self.settings.instance or None
        return Hop(
            self.bus,
            lambda: self.routes,
            self.clock,
            HopSettings() if self.settings.embedded else STREAMING,
            member=member,
        )

    def _delivery(self) -> DeliveryService:
        def log(event: str, facts: Mapping[str, object]) -> None:
            self.log.warning(event, **facts)

        kit = delivery_kit(self.settings, self.codec, self.clock, self.ids, log)
        settings = DeliverySettings(self.settings.bus.partitions, grace=self.settings.delivery.grace)
        local = [self.procedures] if self.procedures is not None else []
        return DeliveryService(
            self.bus, self.ledger, self.ownership, self.recipients, kit, settings=settings, local=local
        )

    async def _beat(self) -> None:
        """Keep the leases, whatever other parts wait for, until delivery has let go of them."""
        done = self._drained if self.delivery is not None else self._stopping
        while not done.is_set():
            with suppress(LedgerError):
                await self.ownership.keep()
            await until(done, self.ownership.length / BEATS_A_LEASE / 2)
        await self.ownership.release(clean=self._wound_down)

    async def _deliver(self) -> None:
        assert self.delivery is not None
        try:
            await self.delivery.run()
        except BaseException:
            self._wound_down = False  # its calls may have been cut off
            raise
        finally:
            self._drained.set()

    async def _follow_routes(self) -> None:
        """Rules and registry are followed; addressees are resolved for today, which changes at midnight in Vietnam."""
        while not self._stopping.is_set():
            with suppress(LedgerError):
                await self._renew_routes()
            await until(self._stopping, ROUTES_EVERY)

    async def _renew_routes(self) -> None:
        before = self.routes
        self.routes = before.on(local_date(self.clock.business()))
        self.routes = await self.live.renewed(self.routes)
        if self.routes is not before:
            self.log.info("routes", **self._in_force())

    def _in_force(self) -> dict[str, str]:
        routes = self.routes
        return {"registry": routes.registry.version, "rules": routes.digest, "day": routes.today.isoformat()}

    def _sources(self) -> list[PolledSource]:
        return [
            PolledSource(r.id, r.connector, poll, ledger=self.ledger, receive=self.intake.receive)
            for r in self.recipients
            for poll in r.connector.polls()
        ]

    def _wake_outbox(self) -> None:
        if self.delivery is not None:
            self.delivery.outbox.wake()

    def _log_alert(self, name: str, subject: str, detail: str) -> None:
        self.log.warning("alert", alert=name, subject=subject, detail=detail)

    def _now(self) -> datetime:
        return self.clock.business()
