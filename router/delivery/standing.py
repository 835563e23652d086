"""Whether recipients may be called: as the ledger has it, and ahead of it what an outcome has just stopped."""

from __future__ import annotations

from collections.abc import Mapping

from router.delivery.calls import Recipient
from router.delivery.commit import ROUTER_SAYS, Alert, Group
from router.delivery.dispatch import Outcome
from router.delivery.outcome import over
from router.ledger import recipients as recipient_table
from router.ledger.rows import RecipientState
from router.ports import Clock, Ledger

OPEN, STOPPED = "open", "stopped"


class Standing:
    """The status of each recipient: open, held or stopped; without a row it is open."""

    def __init__(self, ledger: Ledger, clock: Clock, recipients: Mapping[str, Recipient]) -> None:
        self._ledger, self._clock, self._recipients = ledger, clock, recipients
        self._statuses: dict[str, str] = {}

    def is_shut(self, recipient: str) -> bool:
        """Whether nothing may be called there now."""
        return self._statuses.get(recipient, OPEN) != OPEN

    async def read(self) -> None:
        """Take over what the ledger says. Raises ``LedgerError``."""
        states = await self._ledger.read(recipient_table.recipient_states)
        self._statuses = {state.recipient: state.status for state in states}
        for recipient in self._recipients.values():
            recipient.health.heed(self._statuses.get(recipient.id, OPEN), self._clock.now())

    def heed(self, outcome: Outcome, group: Group) -> None:
        """Put into the group what an outcome means beyond its own row: a stopped recipient, alerts raised and cleared.
        A stopped recipient is shut from now on.
        """
        called, recipient = outcome.called, outcome.owned.shard.recipient
        if called is None:
            return
        failure, now = called.following.failure, self._clock.now()
        if called.following.stop and failure is not None:
            self._recipients[recipient].health.status = self._statuses[recipient] = STOPPED
            why = f"{failure.reason} {failure.partner_code}".strip()
            group.stops.append(RecipientState(recipient, STOPPED, now, why, ROUTER_SAYS))
            group.alerts.append(Alert("recipient_stopped", recipient, why))
        for name in over(outcome.head, called.following, now) if outcome.head.failure else ():
            group.alerts.append(Alert(name, recipient, "", raised=False))
        if called.following.alert:
            group.alerts.append(Alert(called.following.alert, recipient, failure.message if failure else ""))
