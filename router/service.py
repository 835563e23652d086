"""The composition root: settings in, a running service out. The only place that knows all parts."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Mapping, Sequence
from contextlib import AsyncExitStack, suppress
from datetime import datetime
from pathlib import Path
from typing import Any

import structlog
from pydantic import SecretStr

from router.bus.embedded import EmbeddedBus
from router.bus.kafka import KafkaBus
from router.bus.kafka_settings import KafkaSettings
from router.clock import SystemIds
from router.codec import Codec, PackagedSchemas
from router.delivery.calls import Kit, Log, Recipient
from router.delivery.emissions import REPLY_TYPE
from router.delivery.ownership import BEATS_A_LEASE, DELIVERY, INGRESS, Ownership
from router.delivery.service import DeliveryService, DeliverySettings
from router.errors import BusError, ConfigError, LedgerError
from router.events import AGENCY_TOPIC, DEAD_LETTER_TOPIC, INPUT_TOPICS, ROUTER, TopicPartition, topic_of
from router.gauges import Gauges
from router.http_server import HttpServer, exposition, probes
from router.ingress.intake import Intake
from router.ingress.limits import Limits
from router.ingress.poll import PolledSource
from router.ingress.waiting import LEASE as WAITING
from router.ingress.waiting import WaitingSweep
from router.ingress.webhook import webhook_routes
from router.ledger import alerts, installation, registry, store, trail
from router.ledger.engine import open_ledger
from router.ledger.registry import LEASE as REGISTRY
from router.lock import DirectoryLock
from router.metrics import Metrics
from router.objects import FolderObjectStore
from router.owner_key import owner_key
from router.ports import Bus, Clock, Ids, Ledger, TopicSpec
from router.procedures.calendar import load_calendar
from router.procedures.definitions_file import load_definitions, shipped_definitions
from router.procedures.dues import Clockwork, PauseRule
from router.procedures.library import Library
from router.procedures.office import Place
from router.procedures.recipient import PROCEDURES, Procedures
from router.procedures.timers import TimerSweep
from router.recipients import build_recipients
from router.replay.runner import ReplayRunner
from router.replay.today import TodaysView
from router.routing.agencies import Active, Code, Registry
from router.routing.hop import STREAMING, Hop, HopSettings
from router.routing.live_routes import LiveRoutes, StoredRegistry
from router.routing.registry_feed import RegistryFeed
from router.routing.registry_files import load_registry, shipped_registry
from router.routing.rules_file import load_rules, shipped_rules
from router.routing.table import Match, Routes, Rule
from router.sdk.dates import local_date
from router.settings import Settings

SWEEP_EVERY = 1.0
ROUTES_EVERY = 1.0
KEEP_FOR_EVER = -1
#: Everything about dossiers and documents is also an event of its procedure.
FOLLOWED = Rule(
    name="procedures follow dossiers and documents",
    match=Match(type=("dossier.*", "land.*", "tax.*", "payment.*", "document.*")),
    to=(PROCEDURES,),
)


def build_bus(settings: Settings, clock: Clock) -> Bus:
    """The configured log, not opened yet."""
    if settings.embedded:
        return EmbeddedBus(settings.data / "bus.db", clock)
    section = settings.bus.kafka
    return KafkaBus(
        KafkaSettings(
            bootstrap_servers=settings.bus.url.removeprefix("kafka://"),
            security_protocol=section.security_protocol,
            sasl_mechanism=section.sasl_mechanism,
            user=section.sasl_username,
            password=section.sasl_password or SecretStr(""),
            ca_file=section.ca_file,
            cert_file=section.cert_file,
            key_file=section.key_file,
        )
    )


def build_ledger(settings: Settings, clock: Clock) -> Ledger:
    """The configured ledger, not opened yet."""
    password = settings.ledger.password
    return open_ledger(
        settings.ledger_url,
        clock,
        password=password.get_secret_value() if password else None,
        lease_seconds=settings.ledger.lease_seconds,
    )


def build_rules(settings: Settings) -> list[Rule]:
    """The configured rules, or those that ship. Raises ``ConfigError``."""
    rules = load_rules(settings.routing.rules) if settings.routing.rules else shipped_rules()
    return [FOLLOWED, *rules] if settings.procedures.enabled else rules


def build_registry(settings: Settings) -> Registry:
    """The registry of the configured folder, or the extract that ships: in force until the ledger has one. Raises
    ``ConfigError``.
    """
    return load_registry(settings.routing.agencies) if settings.routing.agencies else shipped_registry()


def build_routes(settings: Settings, clock: Clock) -> Routes:
    """Rules and registry of the files, for the local date of business time. Raises ``ConfigError``."""
    return Routes(build_rules(settings), build_registry(settings), local_date(clock.business()))


async def current_routes(settings: Settings, clock: Clock, ledger: Ledger) -> Routes:
    """The same under the ledger's registry, if it has one. Raises ``ConfigError``, ``LedgerError``."""
    routes = build_routes(settings, clock)
    return routes.under(await StoredRegistry(ledger).look() or routes.registry)


def build_feed(
    settings: Settings,
    clock: Clock,
    bus: Bus,
    ledger: Ledger,
    codec: Codec,
    told: Callable[[str, str, str], None] = lambda _name, _subject, _detail: None,
) -> RegistryFeed:
    """The registry's change feed; ``told`` hears of alerts."""
    partitions = settings.bus.partitions
    return RegistryFeed(bus, ledger, clock, partitions=partitions, decode=codec.decode, encode=codec.encode, told=told)


def build_library(settings: Settings) -> Library:
    """The shipped definitions and the installation's own. Raises ``ConfigError``."""
    folder = settings.procedures.definitions
    return Library([*shipped_definitions(), *(load_definitions(folder) if folder is not None else ())])


def build_clockwork(settings: Settings, clock: Clock, registry: Callable[[], Registry] | None = None) -> Clockwork:
    """What counts time in the jurisdiction, by the office hours of its agencies. ``registry`` gives the one in force;
    without it that of the files counts. Raises ``ConfigError``.
    """
    section, of_files = settings.procedures, build_registry(settings)

    def place_of(code: str) -> Place:
        known = registry() if registry is not None else of_files
        found = known.resolve(code, local_date(clock.business()))
        if not isinstance(found, Active):
            return Place((code,))
        names = [name for each in known.chain(found.agency) for name in (each.id, *_values(known.codes_of(each.id)))]
        return Place((code, *names), found.agency.level)

    calendar = load_calendar(section.jurisdiction, section.overrides)
    return Clockwork(calendar, PauseRule(section.pauses), place_of)


def _values(codes: Sequence[Code]) -> list[str]:
    return [code.value for code in codes]


def build_procedures(
    settings: Settings, clock: Clock, ledger: Ledger, codec: Codec, registry: Callable[[], Registry]
) -> Procedures:
    """The local recipient that follows procedures, by the registry in force. Raises ``ConfigError``."""

    def level_of(code: str) -> str:
        found = registry().resolve(code, local_date(clock.business()))
        return found.agency.level if isinstance(found, Active) else ""

    return Procedures(
        ledger,
        clock,
        build_library(settings),
        build_clockwork(settings, clock, registry),
        decode=codec.decode,
        encode=codec.encode,
        level_of=level_of,
    )


def topics_of(settings: Settings) -> list[TopicSpec]:
    """The topics an installation needs, with their settings."""
    replication = 1 if settings.embedded else settings.bus.kafka.replication
    config = {
        "min.insync.replicas": str(min(settings.bus.kafka.min_insync_replicas, replication)),
        "cleanup.policy": "delete",
        "max.message.bytes": str(1_048_576),
    }
    retention = int(settings.bus.retention_days * 86_400_000)
    names = [
        *INPUT_TOPICS,
        *(topic_of(recipient) for recipient in (*sorted(settings.recipients), *locals_of(settings))),
    ]
    specs = [TopicSpec(name, settings.bus.partitions, replication, retention, config) for name in names]
    compacted = {**config, "cleanup.policy": "compact"}
    return [
        *specs,
        TopicSpec(DEAD_LETTER_TOPIC, settings.bus.partitions, replication, KEEP_FOR_EVER, config),
        TopicSpec(AGENCY_TOPIC, settings.bus.partitions, replication, KEEP_FOR_EVER, compacted),
    ]


def locals_of(settings: Settings) -> tuple[str, ...]:
    """The recipients that work inside the ledger."""
    return (PROCEDURES, ROUTER) if settings.procedures.enabled else (ROUTER,)


def delivery_kit(settings: Settings, codec: Codec, clock: Clock, ids: Ids, log: Log) -> Kit:
    """What calls of connectors share."""
    return Kit(
        clock=clock,
        ids=ids,
        decode=codec.decode,
        encode_reply=lambda record: codec.encode(REPLY_TYPE, record),
        reply_to=lambda source: source if source in settings.recipients else "",
        log=log,
    )


def todays_view(settings: Settings, clock: Clock, file: str, routes: Routes) -> TodaysView:
    """What this release, these routes and the configured connectors make of an event. Raises ``ConfigError``."""
    ids, codec = SystemIds(), Codec(PackagedSchemas())
    objects = FolderObjectStore(settings.data / "objects")
    recipients = {recipient.id: recipient for recipient in build_recipients(settings, clock, ids, objects, file)}
    kit = delivery_kit(settings, codec, clock, ids, lambda _event, _facts: None)
    return TodaysView(codec, routes, recipients, kit)


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
        self.lock = DirectoryLock(settings.data) if settings.embedded else None
        self.bus, self.ledger = bus or build_bus(settings, clock), build_ledger(settings, clock)
        self.codec = Codec(PackagedSchemas())
        self.objects = FolderObjectStore(settings.data / "objects")
        self.recipients = [*build_recipients(settings, clock, ids, self.objects, file), *recipients]
        routes, names = build_routes(settings, clock), [recipient.id for recipient in self.recipients]
        self.routes = Routes(routes.rules, routes.registry, routes.today, [*names, *locals_of(settings)])
        self.ownership = Ownership(
            self.ledger,
            clock,
            str(ids.new()),
            length=settings.ledger.lease_seconds,
            exclusive=settings.embedded,
            roles={DELIVERY, INGRESS} & set(settings.roles),
        )
        self.live = LiveRoutes(
            self.ledger,
            clock,
            self.ownership.process,
            rules=settings.routing.rules,
            agencies=settings.routing.agencies,
            load_rules=lambda: build_rules(settings),
            load_registry=lambda: build_registry(settings),
            told=self._log_alert,
        )
        self.procedures = (
            build_procedures(settings, clock, self.ledger, self.codec, lambda: self.routes.registry)
            if settings.procedures.enabled
            else None
        )
        self.hop = self._hop() if "router" in settings.roles else None
        self.delivery = self._delivery() if "delivery" in settings.roles else None
        self.intake = Intake(
            self.bus, self.ledger, clock, self.codec.encode,
            partitions=settings.bus.partitions, owner_key=owner_key(settings),
        )  # fmt: skip
        self.http = HttpServer(settings.http.host, settings.http.port)
        apart = settings.http.metrics_port
        self.metrics_http = (
            None if apart is None else HttpServer(settings.http.metrics_host, apart, "http.metrics_port")
        )
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
        await self._register()
        await self._renew_routes()
        if self.procedures is not None:
            await self.procedures.check()
        for recipient in self.recipients:
            await recipient.connector.open()
            stack.push_async_callback(recipient.connector.close)
        limits = Limits(
            self.clock, rate=self.settings.http.source_rate, in_flight=self.settings.http.requests_in_flight
        )
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

    async def _register(self) -> None:
        """Shards of all recipients exist; the partition count is the one the installation was made with."""
        partitions = self.settings.bus.partitions

        def register(conn: Any) -> None:
            installation.require_partitions(conn, partitions)
            for name in (*(recipient.id for recipient in self.recipients), *locals_of(self.settings)):
                store.register_shards(conn, name, partitions)

        await self.ledger.write(register)
        described = await self.bus.describe()
        for spec in topics_of(self.settings):
            state = described.get(spec.name)
            if state is None:
                raise ConfigError(f"topic {spec.name} does not exist", key="bus", expected="`lgsp topics create`")
            if state.partitions != partitions:
                raise ConfigError(
                    f"topic {spec.name} has {state.partitions} partitions",
                    key="bus.partitions",
                    expected=str(partitions),
                )
        await self._require_whole_bus()

    async def _require_whole_bus(self) -> None:
        """Refuse a bus that is older than the ledger (a backup restored in parts, a topic made again)."""
        shards = await self.ledger.read(store.shards)
        at = {TopicPartition(topic_of(shard.recipient), shard.partition): shard.position for shard in shards}
        feed = await self.ledger.read(registry.positions)
        at |= {TopicPartition(AGENCY_TOPIC, number): position for number, position in feed.items()}
        existing = await self.bus.describe()
        reader = await self.bus.reader("lgsp-delivery")
        try:
            latest = await reader.latest([one for one in at if one.topic in existing])
        finally:
            await reader.close()
        beyond = [f"{one.topic}/{one.partition}" for one in latest if at[one] > latest[one]]
        if beyond:
            raise ConfigError(
                f"the ledger has accepted more of {', '.join(sorted(beyond))} than the bus holds",
                key="bus.url",
                expected="bus and ledger of the same installation, the bus not older than the ledger",
            )

    def _parts(self) -> list[Callable[[], Coroutine[Any, Any, None]]]:
        parts: list[Callable[[], Coroutine[Any, Any, None]]] = [self._beat, self._follow_routes]
        if self.hop is not None:
            parts += [self.hop.run]
        if self.delivery is not None:
            replays = ReplayRunner(self.ledger, self.ownership, self.clock)
            parts += [self._deliver, self._sweep_waiting, self._sweep_trail, lambda: replays.run(self._stopping.is_set)]
            parts += [self._feed_registry]
            parts += [self._sweep_timers] if self.settings.procedures.enabled else []
        if "ingress" in self.settings.roles:
            parts += [self._polling(source) for source in self._sources()]
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
            await _until(done, self.ownership.length / BEATS_A_LEASE / 2)
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

    async def _sweep_waiting(self) -> None:
        sweep = WaitingSweep(self.ledger, self.clock)
        while not self._stopping.is_set():
            with suppress(LedgerError):
                lease = await self.ownership.hold(WAITING)
                while lease is not None and await sweep.sweep(lease):
                    self._wake_outbox()
            await self._pause(SWEEP_EVERY)

    async def _sweep_timers(self) -> None:
        sweep = TimerSweep(self.ledger, self.clock, self.codec.encode)
        while not self._stopping.is_set():
            with suppress(LedgerError):
                await sweep.turn(self.ownership, self._wake_outbox)
            await self._pause(SWEEP_EVERY)

    def _wake_outbox(self) -> None:
        if self.delivery is not None:
            self.delivery.outbox.wake()

    async def _sweep_trail(self) -> None:
        """Keep up with what timelines are found by; never ahead of anything else that wants the ledger."""
        while not self._stopping.is_set():
            with suppress(LedgerError):
                while await self.ownership.hold(trail.LEASE) is not None and await trail.sweep(self.ledger):
                    await self._pause(SWEEP_EVERY / trail.PAGE)
            await self._pause(SWEEP_EVERY)

    async def _feed_registry(self) -> None:
        feed = build_feed(self.settings, self.clock, self.bus, self.ledger, self.codec, self._log_alert)
        while not self._stopping.is_set():
            with suppress(LedgerError, BusError):
                lease = await self.ownership.hold(REGISTRY)
                if lease is None:
                    await feed.rest()
                while lease is not None and not self._stopping.is_set() and await feed.turn(lease):
                    if self.delivery is not None:
                        self.delivery.outbox.wake()
            await self._pause(SWEEP_EVERY)
        await feed.rest()

    async def _follow_routes(self) -> None:
        """Rules and registry are followed; addressees are resolved for today, which changes at midnight in Vietnam."""
        while not self._stopping.is_set():
            with suppress(LedgerError):
                await self._renew_routes()
            await self._pause(ROUTES_EVERY)

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

    def _polling(self, source: PolledSource) -> Callable[[], Coroutine[Any, Any, None]]:
        async def poll() -> None:
            while not self._stopping.is_set():
                pause = source.poll.every
                with suppress(LedgerError):
                    await self.ownership.hold(source.lease, INGRESS)
                    pause = await source.turn(self.clock, self.ids, lambda: self._may_poll(source.lease), self._alarm)
                await self._pause(pause)

        return poll

    def _may_poll(self, lease: str) -> bool:
        return not self._stopping.is_set() and self.ownership.held(lease) is not None

    async def _alarm(self, name: str, subject: str, detail: str) -> None:
        now = self.clock.now()
        self._log_alert(name, subject, detail)
        await self.ledger.write(lambda conn: alerts.raise_alert(conn, name, subject, detail, now=now))

    def _log_alert(self, name: str, subject: str, detail: str) -> None:
        self.log.warning("alert", alert=name, subject=subject, detail=detail)

    async def _pause(self, seconds: float) -> None:
        await _until(self._stopping, seconds)

    def _now(self) -> datetime:
        return self.clock.business()


async def _until(event: asyncio.Event, seconds: float) -> None:
    """Wait for the event, at most so long."""
    with suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            await event.wait()


def data_directory(settings: Settings) -> Path:
    """The data directory, made if it is missing, for this user alone. Raises ``ConfigError``."""
    try:
        settings.data.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise ConfigError(error.strerror or "cannot be made", key="data", expected="a writable directory") from error
    return settings.data
