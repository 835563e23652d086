"""Simulated partners: what they hold, how they fail, and what each effect met in the ledger."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from router.sdk import (
    Checked,
    Connector,
    ConnectorConfig,
    Context,
    Event,
    Invalid,
    Limits,
    Manifest,
    Operation,
    Receipt,
    Rejected,
    Retry,
    Throttled,
    Transient,
    Uncertain,
)
from router.simulation.history import Effect
from router.simulation.power import Chance, Power
from schemas.catalogue import EVENT_TYPES

CALL_LIMIT = 2.0
FIXED = b"fixed"


def manifest(idempotency: str) -> Manifest:
    """A partner's manifest."""
    return Manifest(
        name="simulated",
        version="1",
        partner="simulated",
        role="other",
        operations=(
            Operation(
                name="take",
                events=(*EVENT_TYPES, "delivery.rejected"),
                idempotency=idempotency,
                timeout=CALL_LIMIT,
            ),
        ),
        limits=Limits(concurrency=4),
        retry=Retry(in_place=2, first_delay=0.2, longest_delay=2.0, budget=4, maximal_age=None),
    )


@dataclass
class Partner:
    """What an agency's system holds, whoever called it. ``open_before`` asks the ledger what stands before an event."""

    name: str
    idempotency: str
    chance: Chance
    open_before: Callable[[str, str, str], Sequence[str]]
    down: bool = False
    taken: set[str] = field(default_factory=set)
    effects: list[Effect] = field(default_factory=list)
    newest: dict[str, str] = field(default_factory=dict)  # by key, the last event that took effect for the first time

    def poison(self, event: str) -> bool:
        """Whether this event is malformed for this partner, until somebody corrects it."""
        return event.endswith("3") and hash_of(event, self.name) % 6 == 0

    def refuses(self, event: str) -> bool:
        """Whether this is a business refusal here. What procedures send (its ids are UUIDs) is not refused: its sender
        has nobody to answer.
        """
        return self.name == "checked" and "-" in event[:4] and hash_of(event, "refuse") % 9 == 0

    def take(self, event: Event, power: Power, began: float) -> bool:
        """The event takes effect, now; whether it was new."""
        now = asyncio.get_running_loop().time()
        repeated = event.id in self.taken
        self.taken.add(event.id)
        excused = power.thawed_at >= began
        if repeated and self.idempotency == "natural_key":
            if (behind := self.newest[event.subject]) != event.id:
                again = Effect(now, self.name, event.subject, event.id, power.name, (), excused, behind)
                self.effects.append(again)
            return False
        if not repeated:
            self.newest[event.subject] = event.id
        before = self.open_before(self.name, event.source, event.id)
        self.effects.append(Effect(now, self.name, event.subject, event.id, power.name, before, excused))
        return not repeated


def hash_of(event: str, salt: str) -> int:
    """A small number that an event always has."""
    from hashlib import blake2b

    return blake2b(f"{event}/{salt}".encode(), digest_size=2).digest()[0]


class Simulated(Connector[ConnectorConfig]):
    """The connector of a simulated partner, in the hands of one process."""

    config_model = ConnectorConfig
    manifest = manifest("natural_key")

    def __init__(self, context: Context, partner: Partner, power: Power) -> None:
        super().__init__(ConnectorConfig(), context)
        self.manifest = manifest(partner.idempotency)
        self._partner, self._power, self._chance = partner, power, partner.chance

    async def deliver(self, event: Event) -> Receipt:
        """Take it, or fail before, in the middle or after the work."""
        began, chance, partner = self.context.clock.monotonic(), self._chance, self._partner
        await self._power.gate("partner called")
        if partner.down:
            raise Transient("connect", "refused")
        if chance.strikes("partner busy", 0.03):
            raise Transient("busy", code="503")
        if chance.strikes("partner throttles", 0.005):
            raise Throttled("retry_after", seconds=chance.between(0.1, 1.0))
        if partner.poison(event.id) and FIXED not in event.payload:
            raise Invalid("malformed", code="07")
        if partner.refuses(event.id):
            partner.take(event, self._power, began)
            await self._power.gate("partner answers")
            raise Rejected("refused", code="02")
        lying = chance.strikes("500 without the work", 0.01)
        new = True if lying else partner.take(event, self._power, began)
        if lying or chance.strikes("500 after the work", 0.02):
            raise Uncertain("server_error", code="500")
        slow = chance.strikes("slow answer", 0.01)
        await self._power.gate("partner answers", *((2.5, 3.0) if slow else (0.001, 0.02)))
        return Receipt(code="00", duplicate=not new)

    async def check(self, event: Event) -> Checked:
        """What the partner holds."""
        await self._power.gate("partner asked")
        if self._partner.down or self._chance.strikes("no answer to the question", 0.05):
            return Checked.UNKNOWN
        return Checked.DONE if event.id in self._partner.taken else Checked.NOT_DONE

    async def probe(self) -> bool:
        """Whether it answers."""
        await self._power.gate("partner probed")
        return not self._partner.down

    async def close(self) -> None:
        """Nothing is held."""


def connector(context: Context, partner: Partner, power: Power) -> Connector[Any]:
    """The connector of a partner for one process."""
    return Simulated(context, partner, power)
