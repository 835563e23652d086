"""What comes of one call of a connector: a receipt, or one of the named failures.

A connector returns a ``Receipt`` or raises a ``Failure`` below; any other exception counts as *unclassified*: tried a
few times, then a dead letter that names the place in the code.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import ClassVar


class Outcome(StrEnum):
    """The outcome of an attempt, as it is stored and counted."""

    __hash__ = str.__hash__  # Enum's own is Python code, and these are looked up for every attempt

    DELIVERED = "delivered"
    DUPLICATE = "duplicate"
    REJECTED = "rejected"
    TRANSIENT = "transient"
    THROTTLED = "throttled"
    CLOSED = "closed"
    UNAUTHORISED = "unauthorised"
    INVALID = "invalid"
    UNKNOWN_SCHEMA = "unknown_schema"
    UNCERTAIN = "uncertain"
    UNCLASSIFIED = "unclassified"


@dataclass(frozen=True, slots=True)
class Receipt:
    """What the recipient's system answered when it took a delivery.

    ``duplicate`` says that the partner had it already. ``reference`` is the partner's own number for it, if any;
    ``details`` are further plain values worth keeping (no personal data).
    """

    code: str = ""
    message: str = ""
    reference: str = ""
    duplicate: bool = False
    details: Mapping[str, str | int] = field(default_factory=dict)


class Checked(StrEnum):
    """The partner's answer to *did you take this?*."""

    DONE = "done"
    NOT_DONE = "not_done"
    UNKNOWN = "unknown"


class Failure(Exception):
    """Base of the named failures. ``reason`` is a short code (``snake_case``), ``code`` the partner's own."""

    outcome: ClassVar[Outcome]

    def __init__(self, reason: str, message: str = "", *, code: str = "") -> None:
        super().__init__(f"{reason}: {message}" if message else reason)
        self.reason, self.message, self.code = reason, message, code


class Rejected(Failure):
    """The partner's business refusal: a receipt and a reply to the sender, never a dead letter."""

    outcome = Outcome.REJECTED


class Transient(Failure):
    """Surely not processed, may work later: refused before the request left, 429, 503, or a code declared so."""

    outcome = Outcome.TRANSIENT


class Throttled(Failure):
    """The partner asks to wait ``seconds`` (Retry-After). Spends no attempt."""

    outcome = Outcome.THROTTLED

    def __init__(self, reason: str, message: str = "", *, seconds: float, code: str = "") -> None:
        super().__init__(reason, message, code=code)
        self.seconds = seconds


class Closed(Failure):
    """The partner is closed until ``until`` (aware): a maintenance window it told us of. Spends no attempt."""

    outcome = Outcome.CLOSED

    def __init__(self, reason: str, message: str = "", *, until: datetime, code: str = "") -> None:
        super().__init__(reason, message, code=code)
        self.until = until


class Unauthorised(Failure):
    """Our credentials or certificate are refused: stops the whole recipient until a person resumes it."""

    outcome = Outcome.UNAUTHORISED


class Invalid(Failure):
    """Cannot be decoded, breaks the contract, or the partner says malformed: a dead letter at once."""

    outcome = Outcome.INVALID


class Uncertain(Failure):
    """It may have been processed: other 5xx, read time-out, reset after the request, unreadable answer."""

    outcome = Outcome.UNCERTAIN
