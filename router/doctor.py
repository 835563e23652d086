"""The examination behind ``lgsp doctor``: what is missing, wrong or unreachable, and what to do next."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from typing import Final, NamedTuple

from router.errors import BusError, ConfigError, LedgerError
from router.events import TopicPartition, topic_of
from router.ledger import alerts, audit, registry, store
from router.ledger.rows import Shard
from router.objects import FolderObjectStore
from router.ports import Bus, Clock, Ids
from router.recipients import build_recipients
from router.routing.lint import check
from router.routing.table import Routes
from router.service import build_bus, build_ledger, build_routes, current_routes, topics_of
from router.settings import Settings
from schemas.catalogue import EVENT_TYPES

MOST_LATE: Final = 20  # shards looked at
DAY_MS: Final = 86_400_000


class Finding(NamedTuple):
    """One thing examined. ``verdict`` is ``ok``, ``wrong`` or ``mind``."""

    part: str
    verdict: str
    what: str
    next_step: str


async def examine(settings: Settings, clock: Clock, ids: Ids) -> list[Finding]:
    """Examine configuration, connectors, routes, bus and ledger; each as far as it can be reached."""
    findings = [Finding("settings", "ok", f"data in {settings.data}", "")]
    findings += _connectors(settings, clock, ids)
    findings += await _routes(settings, clock)
    findings += await _bus(settings, clock)
    findings += await _ledger(settings, clock)
    return findings


def _connectors(settings: Settings, clock: Clock, ids: Ids) -> list[Finding]:
    try:
        made = build_recipients(settings, clock, ids, FolderObjectStore(settings.data / "objects"), "settings")
    except ConfigError as error:
        return [Finding("recipients", "wrong", str(error), "correct the configuration")]
    if not made:
        return [Finding("recipients", "mind", "none is configured", "add a section [recipients.<id>]")]
    return [Finding("recipients", "ok", ", ".join(recipient.id for recipient in made), "")]


async def _routes(settings: Settings, clock: Clock) -> list[Finding]:
    try:
        routes = build_routes(settings, clock)
    except ConfigError as error:
        return [Finding("routes", "wrong", str(error), "correct the file")]
    found: list[Finding] = []
    if not settings.embedded or (settings.data / "ledger.db").exists():
        with suppress(LedgerError, ConfigError):  # the examination of the ledger says so
            routes, found = await _in_force(settings, clock)
    problems = [finding for finding in check(routes, settings.recipients, EVENT_TYPES) if finding.error]
    found += [Finding("routes", "mind", f"{p.rule}: {p.problem}", "see `lgsp routes check`") for p in problems[:3]]
    said = f"{len(routes.rules)} rules ({routes.digest}), registry {routes.registry.version}"
    return [Finding("routes", "ok", said, ""), *found]


async def _in_force(settings: Settings, clock: Clock) -> tuple[Routes, list[Finding]]:
    """The routes under the ledger's registry, and where processes follow others than the files."""
    ledger = build_ledger(settings, clock)
    await ledger.open()
    try:
        routes = await current_routes(settings, clock, ledger)
        others = [each for each in await ledger.read(registry.all_in_force) if each.rules != routes.digest]
        kept = await ledger.read(registry.version)
    finally:
        await ledger.close()
    found = []
    if kept and settings.routing.agencies:
        what = f"{settings.routing.agencies} is not looked at: the ledger has a registry"
        found.append(Finding("routes", "mind", what, "`lgsp agencies import`, and leave routing.agencies out"))
    if others:
        what = f"{len(others)} running processes follow other rules than the file has"
        found.append(Finding("routes", "mind", what, "see `lgsp status` and `lgsp alerts`"))
    return routes, found


async def _bus(settings: Settings, clock: Clock) -> list[Finding]:
    if settings.embedded and not (settings.data / "bus.db").exists():
        return [Finding("bus", "mind", "the log is not made yet", "`lgsp run` makes it")]
    bus = build_bus(settings, clock)
    try:
        await bus.open()
        try:
            return await _topics(settings, bus)
        finally:
            await bus.close()
    except (BusError, OSError) as error:
        return [Finding("bus", "wrong", str(error), f"is {settings.bus.url} running and reachable?")]


async def _topics(settings: Settings, bus: Bus) -> list[Finding]:
    states = await bus.describe()
    findings: list[Finding] = []
    for spec in topics_of(settings):
        state = states.get(spec.name)
        if state is None:
            findings.append(Finding("bus", "wrong", f"topic {spec.name} is missing", "`lgsp topics create`"))
        elif state.partitions != spec.partitions:
            what = f"topic {spec.name} has {state.partitions} partitions, not {spec.partitions}"
            findings.append(Finding("bus", "wrong", what, "set bus.partitions, or drain and recreate"))
        elif state.replication < spec.replication:
            what = f"topic {spec.name} is kept {state.replication} times, not {spec.replication}"
            findings.append(Finding("bus", "mind", what, "raise its replication, or bus.kafka.replication is too high"))
        elif state.config.get("cleanup.policy", spec.config["cleanup.policy"]) != spec.config["cleanup.policy"]:
            what = f"topic {spec.name} has cleanup.policy {state.config['cleanup.policy']}"
            findings.append(Finding("bus", "wrong", what, f"set it to {spec.config['cleanup.policy']} on the broker"))
    return findings or [Finding("bus", "ok", f"{len(states)} topics", "")]


async def _ledger(settings: Settings, clock: Clock) -> list[Finding]:
    if settings.embedded and not (settings.data / "ledger.db").exists():
        return [Finding("ledger", "mind", "the ledger is not made yet", "`lgsp run` makes it")]
    ledger = build_ledger(settings, clock)
    try:
        await ledger.open()
    except ConfigError as error:
        return [Finding("ledger", "wrong", str(error), "`lgsp migrate`")]
    except LedgerError as error:
        return [Finding("ledger", "wrong", str(error), f"is {settings.ledger.url} running and reachable?")]
    try:
        shards = await ledger.read(store.shards)
        broken = await ledger.read(audit.broken)
        raised = await ledger.read(alerts.open_alerts)
    finally:
        await ledger.close()
    findings = [Finding("ledger", "ok", f"{len(shards)} shards", ""), *await _late(settings, shards, clock)]
    if broken is not None:
        findings.append(Finding("audit", "wrong", f"row {broken} does not follow from the one before", "keep the file"))
    if raised:
        findings.append(Finding("alerts", "mind", f"{len(raised)} open", "`lgsp alerts`"))
    return findings


async def _late(settings: Settings, shards: Sequence[Shard], clock: Clock) -> list[Finding]:
    """Shards whose oldest record not accepted has used up half of its topic's retention: soon it would be deleted."""
    bus = build_bus(settings, clock)
    try:
        await bus.open()
    except (BusError, OSError):
        return []  # the examination of the bus has said so
    kept = settings.bus.retention_days
    try:
        ages = await _ages(bus, shards, clock)
    except BusError:
        return []
    finally:
        await bus.close()
    return [
        Finding(
            "lag",
            "mind",
            f"{place.topic}/{place.partition}: not accepted for {age:.1f} of {kept:g} days",
            "is delivery running? See `lgsp status`",
        )
        for place, age in ages.items()
        if age > kept / 2
    ]


async def _ages(bus: Bus, shards: Sequence[Shard], clock: Clock) -> dict[TopicPartition, float]:
    """The age in days of the oldest record not accepted, of shards that are behind."""
    reader = await bus.reader("lgsp-doctor")
    places = {TopicPartition(topic_of(shard.recipient), shard.partition): shard.position for shard in shards}
    ends = await reader.latest(places)
    behind = [place for place, position in places.items() if position < ends[place]]
    ages: dict[TopicPartition, float] = {}
    for place in behind[:MOST_LATE]:
        await reader.set({place: places[place]})
        for record in (await reader.next(1, 2.0)).get(place, ()):
            ages[place] = (clock.now() / 1000 - record.timestamp) / DAY_MS
    await reader.close()
    return ages
