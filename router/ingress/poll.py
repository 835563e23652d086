"""Polled sources: fetch, receive, confirm, then save the cursor. In that order, so that nothing is lost."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Any, Final

from router.errors import LedgerError
from router.ingress.intake import Receive
from router.ledger import alerts
from router.ledger import identity as table
from router.ports import Clock, Ids, Ledger
from router.sdk.connector import Connector
from router.sdk.inbound import Poll

Alarm = Callable[[str, str, str], Awaitable[None]]  # name, subject, detail

LONGEST_PAUSE: Final = 300.0  # seconds between tries of a source that keeps failing
POLL_FAILED: Final = "poll_failed"


def poll_lease(recipient: str, name: str) -> str:
    """The lease a polled source runs under."""
    return f"poll:{recipient}/{name}"


class PolledSource:
    """One poll of one connector; it runs under its lease, one fetch at a time."""

    def __init__(
        self, recipient: str, connector: Connector[Any], poll: Poll, *, ledger: Ledger, receive: Receive
    ) -> None:
        self.recipient, self.poll = recipient, poll
        self._manifest, self._ledger, self._receive = connector.manifest, ledger, receive
        self.failures = 0  # in a row

    @property
    def lease(self) -> str:
        """The lease it runs under."""
        return poll_lease(self.recipient, self.poll.name)

    async def once(self) -> bool:
        """One fetch; whether the source has more. Raises what the source or the receipt raised.

        The confirmation goes before the cursor: if it fails, the same is fetched, recognised and confirmed again. The
        cursor needs no fence: it never passes what is received, and an older one only fetches repetitions.
        """
        cursor = await self._ledger.read(lambda conn: table.read_cursor(conn, self.recipient, self.poll.name))
        polled = await self.poll.fetch(cursor)
        await self._receive(self.recipient, self._manifest, polled.emissions, unreadable=polled.unreadable)
        if polled.confirm is not None:
            await polled.confirm()
        if polled.cursor != cursor:
            await self._ledger.write(
                lambda conn: table.save_cursor(conn, self.recipient, self.poll.name, polled.cursor)
            )
        return polled.more

    async def turn(self, clock: Clock, ids: Ids, may_run: Callable[[], bool], alarm: Alarm) -> float:
        """Fetch until the source has no more; seconds to pause. A failing source raises an alert and waits longer
        each time; whatever its connector raised concerns no other source.
        """
        try:
            while may_run() and await self.once():
                pass
        except Exception as error:  # its text may hold the partner's data: only its kind is told
            self.failures += 1
            with suppress(LedgerError):  # the alarm's line in the log has said it
                await alarm(POLL_FAILED, self.lease, type(error).__name__)
            longest = max(LONGEST_PAUSE, self.poll.every)
            return min(longest, self.poll.every * 2.0 ** min(self.failures, 16)) * (0.5 + ids.jitter() / 2)
        if self.failures:
            await self._recovered(clock.now())
        return self.poll.every

    async def run(self, clock: Clock, ids: Ids, may_run: Callable[[], bool], alarm: Alarm) -> None:
        """Poll for ever, while ``may_run`` says that the lease is held and nothing is being stopped."""
        while True:
            await clock.sleep(await self.turn(clock, ids, may_run, alarm) if may_run() else self.poll.every)

    async def _recovered(self, now: int) -> None:
        self.failures = 0
        with suppress(LedgerError):  # then the row stays until the next recovery; polling goes on
            await self._ledger.write(lambda conn: alerts.clear_alert(conn, POLL_FAILED, self.lease, now=now))
