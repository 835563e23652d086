"""What waits in the installation, for metrics: read from ledger and bus when asked, at most every few seconds."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable, Iterator
from typing import Final

from prometheus_client.core import GaugeMetricFamily, Metric

from router.errors import BusError, LedgerError
from router.events import TopicPartition, topic_of
from router.ledger import store
from router.ledger.rows import Shard
from router.operations import Operations, Status
from router.ports import Bus, Clock, Ledger
from router.routing.hop import Hop

FRESH: Final = 15.0  # seconds a reading is used again: counting a large backlog is not free


class Gauges:
    """The installation as a whole: every process that is asked says the same, so take the maximum and not the sum."""

    def __init__(self, ledger: Ledger, bus: Bus, clock: Clock, hop: Hop | None) -> None:
        self._ledger, self._bus, self._clock, self._hop = ledger, bus, clock, hop
        self._read_at: float | None = None
        self._families: list[Metric] = []

    async def read(self) -> list[Metric]:
        """The gauges; those of a ledger or bus that cannot be reached are left out."""
        now = self._clock.monotonic()
        if self._read_at is None or now - self._read_at >= FRESH:
            self._read_at, self._families = now, [family async for family in self._fresh()]
        return self._families

    async def _fresh(self) -> AsyncIterator[Metric]:
        try:
            status = await Operations(self._ledger, self._clock, None).status()
            shards = await self._ledger.read(store.shards)
        except LedgerError:
            return
        for family in families(status, self._clock.now()):
            yield family
        try:
            behind = await self._behind(shards)
            unrouted = sum((await self._hop.lag()).values()) if self._hop is not None else None
        except BusError:
            return
        yield _by_recipient("lgsp_lag", "Records on the bus that are not accepted yet", behind.items())
        if unrouted is not None:
            yield GaugeMetricFamily("lgsp_hop_lag", "Records this process's hop has to route", value=unrouted)

    async def _behind(self, shards: list[Shard]) -> dict[str, int]:
        places = {TopicPartition(topic_of(shard.recipient), shard.partition): shard for shard in shards}
        reader = await self._bus.reader("lgsp-metrics")
        try:
            ends = await reader.latest(list(places))
        finally:
            await reader.close()
        behind: dict[str, int] = {}
        for place, shard in places.items():
            behind[shard.recipient] = behind.get(shard.recipient, 0) + max(0, ends[place] - shard.position)
        return behind


def families(status: Status, now: int) -> Iterator[Metric]:
    """Gauges of a status. ``now`` in UTC µs."""
    deliveries = GaugeMetricFamily("lgsp_deliveries", "Unfinished deliveries by state", labels=["recipient", "state"])
    for backlog in status.backlogs:
        for state in ("waiting", "calling", "dead", "uncertain"):
            deliveries.add_metric([backlog.recipient, state], getattr(backlog, state))
    yield deliveries
    ages = [(b.recipient, (now - b.oldest) / 1e6 if b.oldest else 0.0) for b in status.backlogs]
    yield _by_recipient("lgsp_oldest_seconds", "Age of the oldest delivery that is to go out", ages)
    conflicts = [(b.recipient, status.conflicts.get(b.recipient, 0)) for b in status.backlogs]
    yield _by_recipient("lgsp_conflicts", "Other bytes under an id that is taken", conflicts)
    not_open = {hold.recipient for hold in status.holds}
    not_open |= {name for name, state in status.states.items() if state.status != "open"}
    held = [(b.recipient, int(b.recipient in not_open)) for b in status.backlogs]
    yield _by_recipient("lgsp_held", "1 while a recipient is down, closed, held or stopped", held)
    yield GaugeMetricFamily("lgsp_outbox", "Events that are not published yet", value=status.outbox)
    yield GaugeMetricFamily(
        "lgsp_waiting_for_dossier", "Events whose dossier is not known yet", value=status.waiting_for_dossier
    )
    yield GaugeMetricFamily(
        "lgsp_owner_conflicts", "Dead letters of a code with two owners", value=status.owner_conflicts
    )
    yield GaugeMetricFamily("lgsp_open_alerts", "Open alerts", value=status.alerts)


def _by_recipient(name: str, text: str, values: Iterable[tuple[str, float]]) -> Metric:
    family = GaugeMetricFamily(name, text, labels=["recipient"])
    for recipient, value in values:
        family.add_metric([recipient], value)
    return family
