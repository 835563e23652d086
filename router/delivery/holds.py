"""What this process holds back and why, written where operators can see it, with the alerts that go with it."""

from __future__ import annotations

from collections.abc import Iterable
from types import MappingProxyType

from router.delivery.calls import Recipient
from router.delivery.commit import Alert
from router.delivery.crowding import Crowd, changes
from router.ledger import holds as table
from router.ledger.holds import Hold
from router.ports import Clock, Ledger

DOWN, PAUSED, CLOSED = "down", "paused", "closed"
FAILURES_OF_AN_OUTAGE = frozenset({"transient", "uncertain"})


class HoldBoard:
    """``notice`` compares every recipient with what was last written, and writes what changed."""

    def __init__(self, ledger: Ledger, clock: Clock, process: str) -> None:
        self._ledger, self._clock, self._process = ledger, clock, process
        self._written: dict[str, Hold] = {}
        self._crowd: Crowd = {}

    def current(self, recipient: Recipient, crowd: Crowd = MappingProxyType({})) -> Hold | None:
        """Why this process calls a recipient less than it could, or None. Operators' holds are not here: the
        recipient's own row shows them.
        """
        now, health = self._clock.now(), recipient.health
        if health.condition.down:
            since, reason, probes, probe_at = health.condition
            return Hold(recipient.id, self._process, DOWN, since, f"{reason} ({probes} probes failed)", probe_at)
        if now < health.paused_until:
            since = self._since(recipient.id, PAUSED, now)
            return Hold(recipient.id, self._process, PAUSED, since, health.paused_why, health.paused_until)
        shut = recipient.opening.shut(self._clock.business())
        if shut is not None:
            since = self._since(recipient.id, CLOSED, now)
            left = (shut.until - self._clock.business()).total_seconds()
            known = self._written.get(recipient.id)
            until = known.until if known is not None and known.kind == CLOSED else now + int(left * 1e6)
            return Hold(recipient.id, self._process, CLOSED, since, shut.why, until)
        for (name, subject), why in crowd.items():
            if subject == recipient.id:
                return Hold(recipient.id, self._process, name, self._since(recipient.id, name, now), why, 0)
        return None

    async def notice(
        self, recipients: Iterable[Recipient], crowd: Crowd = MappingProxyType({})
    ) -> tuple[list[Recipient], list[Alert]]:
        """Recipients that are no longer down, and alerts to raise or to clear. Raises ``LedgerError``."""
        changed: list[tuple[str, Hold | None]] = []
        recovered: list[Recipient] = []
        alerts = changes(self._crowd, crowd)
        for recipient in recipients:
            hold, before = self.current(recipient, crowd), self._written.get(recipient.id)
            if hold == before:
                continue
            changed.append((recipient.id, hold))
            was_down, is_down = before is not None and before.kind == DOWN, hold is not None and hold.kind == DOWN
            if is_down and not was_down and hold is not None:
                alerts.append(Alert("recipient_down", recipient.id, hold.reason))
            if was_down and not is_down:
                recovered.append(recipient)
                alerts.append(Alert("recipient_down", recipient.id, "it answers again", raised=False))
        if changed:
            await self._ledger.write(lambda conn: table.put_holds(conn, self._process, changed))
        self._crowd = crowd
        for name, hold in changed:
            if hold is None:
                self._written.pop(name, None)
            else:
                self._written[name] = hold
        return recovered, alerts

    def _since(self, recipient: str, kind: str, now: int) -> int:
        known = self._written.get(recipient)
        return known.since if known is not None and known.kind == kind else now
