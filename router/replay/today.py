"""What today's release, rules and connectors would make of an event: for the dry run, nothing is sent."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from router.codec import Codec
from router.delivery.calls import Kit, Recipient
from router.delivery.presented import event_of
from router.errors import CodecError
from router.ledger.rows import Body, Delivery
from router.routing.decide import facts_of
from router.routing.table import Routes
from router.sdk.manifest import Operation
from router.sdk.outcomes import Failure


@dataclass(frozen=True, slots=True)
class TodaysView:
    """``kit`` and ``recipients`` as delivery has them."""

    codec: Codec
    routes: Routes
    recipients: Mapping[str, Recipient]
    kit: Kit

    def unreadable(self, body: Body) -> str:
        """Why it cannot be decoded; empty if it can."""
        try:
            self.codec.decode(body.value)
        except CodecError as error:
            return str(error)
        return ""

    def routed_to(self, body: Body) -> Sequence[str]:
        """Where today's rules would send it."""
        return self.routes.decide(facts_of(body.headers)).recipients

    def operation(self, recipient: str, event_type: str) -> Operation | None:
        """The recipient's operation that would serve it."""
        known = self.recipients.get(recipient)
        return known.manifest.operation_for(event_type) if known is not None else None

    async def unprepared(self, recipient: str, delivery: Delivery, body: Body) -> str:
        """Why the connector cannot prepare its request; empty if it can."""
        known = self.recipients.get(recipient)
        if known is None:
            return "the recipient is not configured"
        try:
            await known.connector.prepare(event_of(delivery, body, self.kit.decode))
        except Failure as error:
            return str(error)
        return ""
