"""What the settings say, built: bus, ledger, routes, registry, procedures, topics, and what all calls share."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from pydantic import SecretStr

from router.bus.embedded import EmbeddedBus
from router.bus.kafka_settings import KafkaSettings
from router.clock import SystemIds
from router.codec import Codec, PackagedSchemas
from router.delivery.calls import Kit, Log
from router.delivery.emissions import REPLY_TYPE
from router.delivery.ownership import DELIVERY, INGRESS, Ownership
from router.events import AGENCY_TOPIC, DEAD_LETTER_TOPIC, INPUT_TOPICS, ROUTER, topic_of
from router.ledger.engine import open_ledger
from router.lock import DirectoryLock
from router.objects import FolderObjectStore
from router.ports import Bus, Clock, Ids, Ledger, TopicSpec
from router.procedures.calendar import load_calendar
from router.procedures.definitions_file import load_definitions, shipped_definitions
from router.procedures.dues import Clockwork, PauseRule
from router.procedures.library import Library
from router.procedures.office import Place
from router.procedures.recipient import PROCEDURES, Procedures
from router.recipients import build_recipients
from router.refusals import refused
from router.replay.today import TodaysView
from router.routing.agencies import Active, Code, Registry
from router.routing.live_routes import LiveRoutes, StoredRegistry
from router.routing.registry_feed import RegistryFeed
from router.routing.registry_files import load_registry, shipped_registry
from router.routing.rules_file import load_rules, shipped_rules
from router.routing.table import Match, Routes, Rule
from router.schema_ids import load_schema_ids
from router.sdk.dates import local_date
from router.settings import Settings

KEEP_FOR_EVER = -1
#: Everything about dossiers and documents is also an event of its procedure.
FOLLOWED = Rule(
    name="procedures follow dossiers and documents",
    match=Match(type=("dossier.*", "land.*", "tax.*", "payment.*", "document.*")),
    to=(PROCEDURES,),
)


def has_ledger(settings: Settings) -> bool:
    """Whether there is a ledger to open: the embedded runtime makes its own at the first start."""
    return not settings.embedded or (settings.data / "ledger.db").exists()


def build_lock(settings: Settings) -> DirectoryLock | None:
    """The lock on the data directory, not taken yet; none where leases are in the ledger alone."""
    return DirectoryLock(settings.data) if settings.embedded else None


def build_bus(settings: Settings, clock: Clock) -> Bus:
    """The configured log, not opened yet."""
    if settings.embedded:
        return EmbeddedBus(settings.data / "bus.db", clock)
    from router.bus.kafka import KafkaBus

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
            session_timeout_ms=int(section.session_seconds * 1000),
        )
    )


def build_codec(settings: Settings) -> Codec:
    """Today's schemas, and the registry ids that are configured. Raises ``ConfigError``."""
    if settings.schemas.ids is None:
        return Codec(PackagedSchemas())
    ids = load_schema_ids(settings.schemas.ids)
    return Codec(PackagedSchemas(ids.known), ids=ids.written)


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
    return Routes(build_rules(settings), await registry_of(settings, ledger), local_date(clock.business()))


async def registry_of(settings: Settings, ledger: Ledger) -> Registry:
    """The registry in force: the ledger's, else that of the files. Raises ``ConfigError``, ``LedgerError``."""
    return await StoredRegistry(ledger).look() or build_registry(settings)


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


def build_ownership(settings: Settings, ledger: Ledger, clock: Clock, ids: Ids) -> Ownership:
    """What a process of this installation owns, under a name that is new at every start."""
    return Ownership(
        ledger,
        clock,
        str(ids.new()),
        length=settings.ledger.lease_seconds,
        exclusive=settings.embedded,
        roles={DELIVERY, INGRESS} & set(settings.roles),
    )


def build_live_routes(
    settings: Settings, ledger: Ledger, clock: Clock, process: str, told: Callable[[str, str, str], None]
) -> LiveRoutes:
    """What follows rules and registry while ``process`` runs; alerts are ``told``."""
    section = settings.routing
    return LiveRoutes(
        ledger, clock, process, rules=section.rules, agencies=section.agencies,
        load_rules=lambda: build_rules(settings), load_registry=lambda: build_registry(settings), told=told,
    )  # fmt: skip


def todays_view(settings: Settings, clock: Clock, file: str, routes: Routes) -> TodaysView:
    """What this release, these routes and the configured connectors make of an event. Raises ``ConfigError``."""
    ids, codec = SystemIds(), build_codec(settings)
    objects = FolderObjectStore(settings.data / "objects")
    recipients = {recipient.id: recipient for recipient in build_recipients(settings, clock, ids, objects, file)}
    kit = delivery_kit(settings, codec, clock, ids, lambda _event, _facts: None)
    return TodaysView(codec, routes, recipients, kit)


def data_directory(settings: Settings) -> Path:
    """The data directory, made if it is missing, for this user alone. Raises ``ConfigError``."""
    try:
        settings.data.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        found = error.strerror or "cannot be made"
        raise refused(
            "fault", key="data", form="a writable directory", form_vi="một thư mục ghi được", found=found
        ) from error
    return settings.data
