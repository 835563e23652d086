"""The hop's inner loop: records in, messages per recipient topic out. Headers only; decisions are remembered."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from router.events import (
    CE_ADDRESSED_TO,
    CE_PRIORITY,
    CE_PROCEDURE,
    CE_SOURCE,
    CE_TYPE,
    LGSP_ORIGIN,
    URGENT,
    Fetched,
    Header,
    Message,
    TopicPartition,
    topic_of,
)
from router.routing.table import Facts, Routes

REMEMBERED: Final = 100_000
CE_COMMUNE: Final = "ce_commune"  # tells which part of a split agency is meant

_Kinds = tuple[bytes | None, bytes | None, bytes | None, bytes | None, bytes | None, bytes | None]
_Plan = tuple[list[Header], tuple[str, ...], bool]


class Decider:
    """Decisions under one version of the routes; ``use`` swaps it between polls."""

    def __init__(self, routes: Routes) -> None:
        self._routes = routes
        self._plans: dict[_Kinds, _Plan] = {}
        self.routed = self.unroutable = 0

    def use(self, routes: Routes) -> None:
        """Decide by these from now on."""
        if routes is not self._routes:
            self._routes = routes
            self._plans.clear()

    def route(
        self, partition: TopicPartition, records: Sequence[Fetched], batches: dict[TopicPartition, list[Message]]
    ) -> None:
        """Append a message per recipient of each record to ``batches``, on the same partition number."""
        plans, number = self._plans, partition.partition
        outputs: dict[tuple[str, ...], list[list[Message]]] = {}
        for record in records:
            headers = record.headers
            found = dict(headers)
            get = found.get
            kinds = (
                get(CE_TYPE), get(CE_SOURCE), get(CE_PROCEDURE),
                get(CE_ADDRESSED_TO), get(CE_PRIORITY), get(CE_COMMUNE),
            )  # fmt: skip
            plan = plans.get(kinds)
            if plan is None:
                plan = self._plan(kinds)
            added, topics, routable = plan
            if added:
                headers = [*headers, *added]
            if not routable:
                origin = f"{record.topic}/{record.partition}/{record.offset}".encode()
                headers = [*headers, (LGSP_ORIGIN, origin)]
                self.unroutable += 1
            lists = outputs.get(topics)
            if lists is None:
                lists = outputs[topics] = [batches.setdefault(TopicPartition(t, number), []) for t in topics]
            message = (record.key or b"", record.value or b"", headers)
            for output in lists:
                output.append(message)
        self.routed += len(records)

    def _plan(self, kinds: _Kinds) -> _Plan:
        event_type, source, procedure, addressed_to, priority, commune = (_text(value) for value in kinds)
        hints = (("commune", commune),) if commune else ()
        if procedure:
            hints = (*hints, ("procedure", procedure))
        facts = Facts(event_type, source, procedure, priority == URGENT.decode(), addressed_to, hints)
        decision = self._routes.decide(facts)
        plan = (list(decision.headers), tuple(map(topic_of, decision.recipients)), not decision.reason)
        if len(self._plans) >= REMEMBERED:
            self._plans.clear()
        self._plans[kinds] = plan
        return plan


def _text(value: bytes | None) -> str:
    return value.decode("utf-8", "replace") if value else ""
