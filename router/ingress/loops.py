"""Documents that come round: one whose trace header names this installation already has been here.

Such a document is dropped with an alert and never forwarded in a circle. The alert is about the partner it came from,
is counted while more of them come, and is cleared once none has come for a day.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from functools import partial
from typing import Final

from router.ledger import alerts
from router.ports import Clock, Ledger
from router.sdk.inbound import Emission

ALERT: Final = "document_loop"  # its subject is the recipient that sent it to us
QUIET: Final = 86_400.0  # seconds

Told = Callable[[str, str, str], None]  # name, subject, detail


class Loops:
    """Turns back what has passed ``organs``, the codes by which trace headers name this installation."""

    def __init__(self, ledger: Ledger, clock: Clock, organs: Collection[str], told: Told) -> None:
        self._ledger, self._clock, self._told = ledger, clock, told
        self._organs = frozenset(map(_same, organs))

    async def turn_back(self, source: str, emissions: Sequence[Emission]) -> Sequence[Emission]:
        """The emissions that have not passed here yet. Raises ``LedgerError`` when the alert cannot be stored: then
        nothing may be dropped.
        """
        fresh: list[Emission] = []
        again: dict[str, None] = {}  # documents, each once, in their order
        for each in emissions:
            if self._was_here(each):
                again[each.subject.value] = None
            else:
                fresh.append(each)
        for document in again:
            detail = f"{document} has passed here before: dropped"
            self._told(ALERT, source, detail)
            raising = partial(alerts.raise_alert, name=ALERT, subject=source, detail=detail, now=self._clock.now())
            await self._ledger.write(raising)
        return fresh

    def _was_here(self, emission: Emission) -> bool:
        return not self._organs.isdisjoint(map(_same, emission.passed))


async def clear_when_quiet(ledger: Ledger, clock: Clock) -> None:
    """Clear the alerts of partners that have sent nothing round for a day. Raises ``LedgerError``."""
    now = clock.now()
    for alert in await ledger.read(alerts.open_alerts):
        if alert.name == ALERT and now - alert.last >= QUIET * 1e6:
            await ledger.write(partial(alerts.clear_alert, name=ALERT, subject=alert.subject, now=now))


def _same(organ: str) -> str:
    return organ.strip().upper()
