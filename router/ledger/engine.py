"""Which database a ledger is, by its URL. Both engines run the same work."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from sqlalchemy import make_url
from sqlalchemy.exc import ArgumentError

from router.ledger.sqlite import SqliteLedger
from router.ports import Clock
from router.refusals import refused

if TYPE_CHECKING:
    from router.ports import Ledger

__all__ = ["SqliteLedger", "open_ledger"]


def open_ledger(url: str, clock: Clock, *, password: str | None = None, lease_seconds: float = 15.0) -> Ledger:
    """The ledger of a URL: ``sqlite:///path/ledger.db`` or ``postgresql://user@host:port/database``. Not opened yet.

    Raises ``ConfigError`` for any other form; the text never holds the URL, which may hold a password.
    """
    try:
        parsed = make_url(url)
    except (ArgumentError, ValueError):
        raise refused("no_url", key="ledger.url") from None
    if parsed.drivername == "sqlite":
        return SqliteLedger(Path(parsed.database) if parsed.database else None, clock)
    if parsed.drivername == "postgresql":
        from router.ledger.postgres import PostgresLedger

        return PostgresLedger(parsed.set(password=password) if password else parsed, clock, lease_seconds)
    raise refused("other_ledger", key="ledger.url")
