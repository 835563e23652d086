"""The part of ``lgsp doctor`` that looks at the log: topics, their settings, and what nobody accepts."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final, NamedTuple

from router.assembly import build_bus, topics_of
from router.errors import BusError
from router.events import TopicPartition, topic_of
from router.ledger.rows import Shard
from router.ports import Bus, Clock, TopicSpec, TopicState
from router.settings import Settings

MOST_LATE: Final = 20  # shards looked at
DAY_MS: Final = 86_400_000
#: Settings of which more is no fault.
AT_LEAST: Final = frozenset({"min.insync.replicas", "max.message.bytes", "retention.ms"})


class Finding(NamedTuple):
    """One thing examined. ``verdict`` is ``ok``, ``wrong`` or ``mind``."""

    part: str
    verdict: str
    what: str
    next_step: str


async def examine_bus(settings: Settings, clock: Clock) -> list[Finding]:
    """Findings about the bus; nothing is made."""
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
        if state is not None:
            findings += _deviations(spec, state)
    return findings or [Finding("bus", "ok", f"{len(states)} topics", "")]


def _deviations(spec: TopicSpec, state: TopicState) -> Iterator[Finding]:
    """Settings of a topic on which the promises rest, where they are not what the installation needs."""
    for name, wanted in {"retention.ms": str(spec.retention_ms), **spec.config}.items():
        found = state.config.get(name)
        if found is None or found == wanted or (name in AT_LEAST and _amount(found) > _amount(wanted)):
            continue
        step = f"kafka-configs --alter --entity-type topics --entity-name {spec.name} --add-config {name}={wanted}"
        yield Finding("bus", "wrong", f"topic {spec.name} has {name}={found}, not {wanted}", step)


def _amount(value: str) -> float:
    """A setting that is a number; -1 is for ever."""
    return float("inf") if value == "-1" else float(value)


async def examine_lag(settings: Settings, shards: Sequence[Shard], clock: Clock) -> list[Finding]:
    """Shards whose oldest record not accepted has used up half of its topic's retention: soon it would be deleted."""
    if settings.embedded and not (settings.data / "bus.db").exists():
        return []
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
