"""Metrics in Prometheus form, read from the parts' own counters when they are asked for. No personal data in labels."""

from __future__ import annotations

from collections.abc import Iterator

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric

from router.delivery.service import DeliveryService
from router.gauges import Gauges
from router.ingress.intake import Intake
from router.routing.hop import Hop


class Metrics:
    """A collector over hop, delivery and ingress of this process, and over what waits in the installation."""

    def __init__(self, hop: Hop | None, delivery: DeliveryService | None, intake: Intake, gauges: Gauges) -> None:
        self._hop, self._delivery, self._intake, self._gauges = hop, delivery, intake, gauges
        self._waiting: list[Metric] = []
        self._registry = CollectorRegistry()
        self._registry.register(self)

    async def render(self) -> bytes:
        """The exposition."""
        self._waiting = await self._gauges.read()
        return generate_latest(self._registry)

    def collect(self) -> Iterator[Metric]:
        """All metrics as they are now."""
        yield CounterMetricFamily("lgsp_received", "Events received from partners", value=self._intake.received)
        if self._hop is not None:
            stats = self._hop.stats()
            yield CounterMetricFamily("lgsp_routed", "Events routed by the hop", value=stats.routed)
            yield CounterMetricFamily("lgsp_unroutable", "Events sent to the recipient router", value=stats.unroutable)
            yield CounterMetricFamily("lgsp_hop_failures", "Failed publishes and polls", value=stats.failures)
            yield CounterMetricFamily("lgsp_hop_rebalances", "Assignments of partitions", value=stats.rebalances)
            yield HistogramMetricFamily(
                "lgsp_hop_seconds",
                "From an event's publication to the acknowledgement by its recipients' topics",
                buckets=self._hop.latency.cumulative(),
                sum_value=self._hop.latency.total,
            )
        if self._delivery is not None:
            yield from self._of_delivery(self._delivery)
        yield from self._waiting

    def _of_delivery(self, delivery: DeliveryService) -> Iterator[Metric]:
        tally = delivery.tally
        accepted = CounterMetricFamily("lgsp_accepted", "Arrivals by verdict", labels=["recipient", "verdict"])
        for (recipient, verdict), count in tally.accepted.items():
            accepted.add_metric([recipient, verdict], count)
        yield accepted
        attempts = CounterMetricFamily("lgsp_attempts", "Attempts by outcome", labels=["recipient", "outcome"])
        for (recipient, outcome), count in tally.outcomes.items():
            attempts.add_metric([recipient, outcome], count)
        yield attempts
        alerts = CounterMetricFamily("lgsp_alerts", "Alerts raised", labels=["alert"])
        for name, count in tally.alerts.items():
            alerts.add_metric([name], count)
        yield alerts
        latency = HistogramMetricFamily(
            "lgsp_delivery_seconds", "From acceptance to the end of an attempt", labels=["recipient"]
        )
        for recipient, histogram in tally.latency.items():
            latency.add_metric([recipient], histogram.cumulative(), histogram.total)
        yield latency
        yield self._lanes(delivery)

    def _lanes(self, delivery: DeliveryService) -> Metric:
        lanes = GaugeMetricFamily("lgsp_lanes", "Lanes in memory by state", labels=["recipient", "state"])
        totals: dict[tuple[str, str], int] = {}
        for owned in delivery.shards.values():
            if owned.lanes is not None:
                for state, count in owned.lanes.counts()._asdict().items():
                    place = (owned.shard.recipient, state)
                    totals[place] = totals.get(place, 0) + int(count)
        for (recipient, state), count in sorted(totals.items()):
            lanes.add_metric([recipient, state], count)
        return lanes
