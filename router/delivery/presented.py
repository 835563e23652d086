"""The event as a connector sees it, made of a delivery's state row and its body."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any, Final
from uuid import UUID

from router.events import (
    CE_ADDRESSED_TO,
    CE_CAUSATION_ID,
    CE_CORRELATION_ID,
    CE_DELIVERED_TO,
    CE_PROCEDURE,
    CE_TIME,
)
from router.ledger.rows import Body, Delivery
from router.sdk.event import Event

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_NO_KEY: Final = UUID(int=0)


def event_of(head: Delivery, body: Body, decoder: Callable[[bytes], Mapping[str, Any]]) -> Event:
    """The event as the connector sees it. A time that cannot be read is 1970, a key that is no UUID is zero."""
    found = dict(body.headers)
    get = found.get
    return Event(
        head.event_id,
        head.source,
        head.event_type,
        head.subject,
        UUID(bytes=head.key) if len(head.key) == 16 else _NO_KEY,
        _time(get(CE_TIME, b"")),
        _text(get(CE_PROCEDURE)),
        _text(get(CE_ADDRESSED_TO)),
        _text(get(CE_DELIVERED_TO)),
        head.urgent,
        _text(get(CE_CORRELATION_ID)),
        _text(get(CE_CAUSATION_ID)),
        head.attempts + 1,
        body.value,
        decoder,
    )


def _text(value: bytes | None) -> str:
    return value.decode("utf-8", "replace") if value else ""


def _time(value: bytes) -> datetime:
    try:
        return datetime.fromisoformat(value.decode("utf-8", "replace"))
    except ValueError:
        return _EPOCH
