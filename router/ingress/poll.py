"""Polled sources: fetch, receive, then save the cursor and confirm. In that order, so that nothing is lost."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import Any

from router.errors import IngressError, LedgerError
from router.ledger import identity as table
from router.ports import Clock, Ids, Ledger
from router.sdk.connector import Connector
from router.sdk.inbound import Emission, Poll
from router.sdk.manifest import Manifest
from router.sdk.outcomes import Failure

Receive = Callable[[str, Manifest, Sequence[Emission]], Awaitable[None]]
Alarm = Callable[[str, str, str], Awaitable[None]]

LONGEST_PAUSE = 300.0


class PolledSource:
    """One poll of one connector; it runs under the lease ``poll:<recipient>/<name>``."""

    def __init__(
        self, recipient: str, connector: Connector[Any], poll: Poll, *, ledger: Ledger, receive: Receive
    ) -> None:
        self.recipient, self.poll = recipient, poll
        self._manifest, self._ledger, self._receive = connector.manifest, ledger, receive

    @property
    def lease(self) -> str:
        """The lease it runs under."""
        return f"poll:{self.recipient}/{self.poll.name}"

    async def once(self) -> bool:
        """One fetch; whether the source has more. Raises what the source or the receipt raised."""
        cursor = await self._ledger.read(lambda conn: table.read_cursor(conn, self.recipient, self.poll.name))
        polled = await self.poll.fetch(cursor)
        await self._receive(self.recipient, self._manifest, polled.emissions)
        if polled.cursor != cursor:
            await self._ledger.write(
                lambda conn: table.save_cursor(conn, self.recipient, self.poll.name, polled.cursor)
            )
        if polled.confirm is not None:
            await polled.confirm()
        return polled.more

    async def run(self, clock: Clock, ids: Ids, may_run: Callable[[], bool], alarm: Alarm) -> None:
        """Poll for ever; a failing source waits longer each time, and says so."""
        failures = 0
        while True:
            pause = self.poll.every
            if may_run():
                try:
                    while await self.once():
                        failures = 0
                    failures = 0
                except (Failure, IngressError, LedgerError) as error:
                    failures += 1
                    pause = min(LONGEST_PAUSE, self.poll.every * 2**failures) * (0.5 + ids.jitter() / 2)
                    await alarm("poll_failed", self.lease, type(error).__name__)
            await clock.sleep(pause)
