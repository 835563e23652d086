"""Polled sources: fetch, receive, confirm, then save the cursor. In that order, so that nothing is lost."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Final

import structlog

from router.errors import LeaseLost, LedgerError
from router.ledger import alerts, store
from router.ledger import identity as table
from router.ledger.rows import Lease
from router.ports import Clock, Ids, Ledger
from router.sdk.connector import Connector
from router.sdk.inbound import Emission, Poll
from router.sdk.manifest import Manifest

if TYPE_CHECKING:
    from sqlalchemy import Connection

Receive = Callable[[str, Manifest, Sequence[Emission]], Awaitable[None]]

LONGEST_PAUSE: Final = 300.0  # seconds between tries of a source that keeps failing
POLL_FAILED: Final = "poll_failed"

_log = structlog.get_logger(__name__)


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

    async def once(self, lease: Lease) -> bool:
        """One fetch; whether the source has more. Raises what the source or the receipt raised, or ``LeaseLost``.

        The confirmation goes before the cursor: if it fails, the same is fetched, recognised and confirmed again.
        """
        cursor = await self._ledger.read(lambda conn: table.read_cursor(conn, self.recipient, self.poll.name))
        polled = await self.poll.fetch(cursor)
        await self._receive(self.recipient, self._manifest, polled.emissions)
        if polled.confirm is not None:
            await polled.confirm()
        if polled.cursor != cursor:
            await self._ledger.write(lambda conn: self._save(conn, lease, polled.cursor))
        return polled.more

    async def turn(self, lease: Lease, clock: Clock, ids: Ids) -> float:
        """Fetch until the source has no more; seconds to pause. A failing source raises an alert and waits longer
        each time; whatever its connector raised concerns no other source.
        """
        try:
            while await self.once(lease):
                pass
        except LeaseLost:
            return self.poll.every
        except Exception as error:
            self.failures += 1
            await self._alert(type(error).__name__, clock)
            longest = max(LONGEST_PAUSE, self.poll.every)
            return min(longest, self.poll.every * 2.0 ** min(self.failures, 16)) * (0.5 + ids.jitter() / 2)
        if self.failures:
            self.failures = 0
            with suppress(LedgerError):  # stays open until the next recovery; polling goes on
                await self._ledger.write(
                    lambda conn: alerts.clear_alert(conn, POLL_FAILED, self.lease, now=clock.now())
                )
        return self.poll.every

    async def run(
        self, clock: Clock, ids: Ids, lease: Callable[[], Lease | None], stopping: Callable[[], bool]
    ) -> None:
        """Poll while the lease is held, until stopping."""
        while not stopping():
            held = lease()
            await clock.sleep(self.poll.every if held is None else await self.turn(held, clock, ids))

    def _save(self, conn: Connection, lease: Lease, cursor: str) -> None:
        if not store.fence(conn, [lease]):
            raise LeaseLost(lease.name)
        table.save_cursor(conn, self.recipient, self.poll.name, cursor)

    async def _alert(self, kind: str, clock: Clock) -> None:
        """A row and a line. The kind of error only: its text may hold the partner's data."""
        _log.warning(POLL_FAILED, source=self.lease, kind=kind, failures=self.failures)
        with suppress(LedgerError):  # the line above has said it
            await self._ledger.write(
                lambda conn: alerts.raise_alert(conn, POLL_FAILED, self.lease, kind, now=clock.now())
            )
