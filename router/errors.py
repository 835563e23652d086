"""The error tree. Every error the router raises on purpose is below ``RouterError``.

RouterError
├── ConfigError                 settings or data refused at the door: file, key, expected form
├── BusError
│   ├── BusUnavailable          broker unreachable; try again
│   ├── PublishFailed           some partitions did not take all; they stay closed until ``reopen``
│   ├── PublisherClosed         handed over to a partition that is closed after a failure
│   └── PositionOutOfRange      a reader's position is not (or no longer) on the bus
├── LedgerError
│   ├── LedgerUnavailable       no connection; nothing was written
│   ├── CommitUnknown           the connection went during COMMIT: read again before going on
│   ├── LeaseLost               another epoch owns the shard or job
│   ├── StaleVersion            a row is not in the state the change was made for
│   ├── StalePosition           the stored position is not the one the accept was made for
│   └── RowRefused              one row cannot be stored (for instance a NUL in a text)
├── CodecError
│   ├── MalformedPayload        bytes that are not a record of the schema they name
│   └── UnknownSchema           an id or fingerprint not known here
├── IngressError                (``status`` is the HTTP answer)
│   ├── BadRequest 400          malformed body
│   ├── Unauthenticated 401
│   ├── TooLarge 413
│   ├── Unsupported 415         an encoding of the body that is not taken
│   ├── TooMany 429             over the source's share; ``retry_after`` seconds
│   └── NotReceived 503         could not be made durable: the partner must send it again
├── ObjectError                 an attachment is missing or is not what its hash says
└── OrderRefused                an operator's order that cannot be carried out: why, and what would help
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

from router.events import TopicPartition


class RouterError(Exception):
    """Base of all errors raised on purpose."""


class ConfigError(RouterError):
    """Settings or data refused at the door.

    ``file``, ``line`` (0: not known) and ``key`` say where, ``problem`` what was found, ``expected`` which form would
    do; ``vi`` and ``expected_vi`` say the last two in Vietnamese, where they are given.
    """

    def __init__(
        self,
        problem: str,
        *,
        file: str = "",
        line: int = 0,
        key: str = "",
        expected: str = "",
        vi: str = "",
        expected_vi: str = "",
    ) -> None:
        place = ", ".join(part for part in (f"line {line}" if line else "", key) if part)
        where = "".join(f"{part}: " for part in (file, place) if part)
        said = f"{problem} (expected {expected})" if expected else problem
        form = expected_vi or expected
        said_vi = f" / {vi} (cần {form})" if vi and form else f" / {vi}" if vi else ""
        super().__init__(f"{where}{said}{said_vi}")
        self.problem, self.file, self.line, self.key, self.expected = problem, file, line, key, expected


class BusError(RouterError):
    """The log refused, or cannot be reached."""


class BusUnavailable(BusError):
    """The broker cannot be reached or answers with a retriable error."""


class PublishFailed(BusError):
    """A publish did not become durable as a whole.

    ``durable`` holds, for every failed partition, how many of the messages handed over in this call are known to be
    durable: always a prefix. Messages behind it may or may not be there. Partitions not named were taken whole.
    """

    def __init__(self, durable: Mapping[TopicPartition, int], cause: str) -> None:
        super().__init__(f"{cause}: {', '.join(f'{t}/{p}' for t, p in durable)}")
        self.durable = dict(durable)


class PublisherClosed(BusError):
    """A partition failed earlier and nothing newer may be handed over before ``Publisher.reopen``."""


class PositionOutOfRange(BusError):
    """A reader stands before the earliest or behind the latest record of a partition."""

    def __init__(self, partition: TopicPartition, position: int, earliest: int, latest: int) -> None:
        super().__init__(f"{partition.topic}/{partition.partition}: {position} is outside {earliest}..{latest}")
        self.partition, self.position, self.earliest, self.latest = partition, position, earliest, latest


class LedgerError(RouterError):
    """The ledger refused, or cannot be reached."""


class LedgerUnavailable(LedgerError):
    """No connection, or a retriable refusal before COMMIT was sent: nothing was written."""


class CommitUnknown(LedgerError):
    """The connection went while COMMIT was under way: the transaction may or may not have happened."""


class LeaseLost(LedgerError):
    """Another epoch owns what this process thought it owned."""


class StaleVersion(LedgerError):
    """A row's version is not the one the change was computed from."""


class StalePosition(LedgerError):
    """A stored position is not the one the change was computed from."""


class RowRefused(LedgerError):
    """The database refuses this very row, and would again."""


class CodecError(RouterError):
    """A payload cannot be read."""


class MalformedPayload(CodecError):
    """Bytes that are not a record of the schema they name: poison."""


class UnknownSchema(CodecError):
    """A fingerprint or registry id that is not known here (yet)."""


class IngressError(RouterError):
    """An inbound message that is not received. ``vi`` and ``en`` are shown to the partner."""

    status: ClassVar[int] = 400

    def __init__(self, vi: str, en: str) -> None:
        super().__init__(en)
        self.vi, self.en = vi, en


class BadRequest(IngressError):
    """Malformed or incomplete."""

    status = 400


class Unauthenticated(IngressError):
    """No or wrong credentials."""

    status = 401


class TooLarge(IngressError):
    """Longer than the route takes."""

    status = 413


class Unsupported(IngressError):
    """In an encoding that is not taken, for instance compressed."""

    status = 415


class TooMany(IngressError):
    """More than the source's share of requests. ``retry_after`` is in seconds."""

    status = 429

    def __init__(self, vi: str, en: str, retry_after: float) -> None:
        super().__init__(vi, en)
        self.retry_after = retry_after


class NotReceived(IngressError):
    """Could not be made durable now."""

    status = 503


class ObjectError(RouterError):
    """An attachment that is missing, or does not match its hash."""


class OrderRefused(RouterError):
    """An order that cannot be carried out; the text says why and what would help."""
