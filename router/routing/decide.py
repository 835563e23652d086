"""The hop's inner loop: records in, messages per recipient topic out. Headers only; decisions are remembered."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from operator import itemgetter
from typing import Final

from router.events import (
    CE_ADDRESSED_TO,
    CE_PRIORITY,
    CE_PROCEDURE,
    CE_SOURCE,
    CE_TYPE,
    LGSP_ORIGIN,
    URGENT,
    Header,
    Headers,
    Message,
    Polled,
    TopicPartition,
    topic_of,
)
from router.routing.table import Facts, Routes

REMEMBERED: Final = 100_000
REMEMBERED_LAYOUTS: Final = 1_000
CE_COMMUNE: Final = "ce_commune"  # tells which part of a split agency is meant
HINTS: Final = (("commune", CE_COMMUNE), ("procedure", CE_PROCEDURE))

#: The headers that decide.
DECIDING: Final = (CE_TYPE, CE_SOURCE, CE_PROCEDURE, CE_ADDRESSED_TO, CE_PRIORITY, CE_COMMUNE)

#: What is remembered of a record: its deciding headers, picked by position.
_Kinds = tuple[Header, ...]
_Pick = Callable[[Headers], _Kinds]
_NAME: Final = itemgetter(0)
_Plan = tuple[list[Header], tuple[str, ...], bool]


def facts_of(headers: Headers) -> Facts:
    """What the rules look at, from an event's headers."""
    found = {name: value.decode("utf-8", "replace") for name, value in headers if name in DECIDING}
    hints = [(hint, found[name]) for hint, name in HINTS if found.get(name)]
    return Facts(
        type=found.get(CE_TYPE, ""),
        source=found.get(CE_SOURCE, ""),
        procedure=found.get(CE_PROCEDURE, ""),
        urgent=found.get(CE_PRIORITY) == URGENT.decode(),
        addressed_to=found.get(CE_ADDRESSED_TO, ""),
        hints=tuple(hints),
    )


class Decider:
    """Decisions under one version of the routes; ``use`` swaps it between polls."""

    def __init__(self, routes: Routes) -> None:
        self._routes = routes
        self._plans: dict[_Kinds, _Plan] = {}
        self._picks: dict[tuple[str, ...], _Pick] = {}
        self.routed = self.unroutable = 0

    def use(self, routes: Routes) -> None:
        """Decide by these from now on."""
        if routes is not self._routes:
            self._routes = routes
            self._plans.clear()

    def route(
        self, partition: TopicPartition, records: Sequence[Polled], batches: dict[TopicPartition, list[Message]]
    ) -> None:
        """Append a message per recipient of each record to ``batches``, on the same partition number."""
        plans, number = self._plans, partition.partition
        outputs: dict[tuple[str, ...], list[Callable[[Message], None]]] = {}
        usual: tuple[str, ...] | None = None
        for record in records:
            headers = record.headers
            names = tuple(map(_NAME, headers))
            if names != usual:  # cheaper than a look-up, for which the client's fresh names would have to be hashed
                usual, pick = names, self._picks.get(names) or self._pick(names)
            kinds = pick(headers)
            plan = plans.get(kinds)
            if plan is None:
                plan = self._plan(kinds)
            added, topics, routable = plan
            outgoing = [*headers, *added]
            if not routable:
                origin = f"{partition.topic}/{number}/{record.offset}".encode()
                outgoing.append((LGSP_ORIGIN, origin))
                self.unroutable += 1
            appends = outputs.get(topics)
            if appends is None:
                appends = [batches.setdefault(TopicPartition(topic, number), []).append for topic in topics]
                outputs[topics] = appends
            message = (record.key or b"", record.value or b"", outgoing)
            for append in appends:
                append(message)
        self.routed += len(records)

    def _pick(self, names: tuple[str, ...]) -> _Pick:
        """How to pick the deciding headers of records whose headers are named and ordered like this."""
        places = [names.index(name) for name in DECIDING if name in names]
        pick: _Pick = itemgetter(*places) if len(places) > 1 else lambda headers: tuple(headers[n] for n in places)
        if len(self._picks) >= REMEMBERED_LAYOUTS:
            self._picks.clear()
        self._picks[names] = pick
        return pick

    def _plan(self, kinds: _Kinds) -> _Plan:
        decision = self._routes.decide(facts_of(kinds))
        plan = (list(decision.headers), tuple(map(topic_of, decision.recipients)), not decision.reason)
        if len(self._plans) >= REMEMBERED:
            self._plans.clear()
        self._plans[kinds] = plan
        return plan
