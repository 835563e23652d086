"""Alerts of a step as rows."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from router.ledger import alerts
from router.procedures.effects import Alert

if TYPE_CHECKING:
    from sqlalchemy import Connection


def tell(conn: Connection, told: Iterable[Alert], now: int) -> None:
    """Raise and clear them. ``now`` is the machine's time, µs UTC."""
    for alert in told:
        if alert.raised:
            alerts.raise_alert(conn, alert.name, alert.subject, alert.detail, now=now)
        else:
            alerts.clear_alert(conn, alert.name, alert.subject, now=now)
