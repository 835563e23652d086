"""The values that cross the ledger's border: what the flow hands in, what it gets back. No SQL here.

Times are UTC microseconds since 1970. ``seq`` rises per shard in the order of acceptance and orders a lane.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from router.events import Headers

if TYPE_CHECKING:
    from sqlalchemy import Connection


class State(StrEnum):
    """States of a delivery. ``FINISHED`` ones never hold a lane."""

    __hash__ = str.__hash__  # Enum's own is Python code, and these are looked up in sets for every delivery

    WAITING = "waiting"
    CALLING = "calling"
    DEAD = "dead"
    UNCERTAIN = "uncertain"
    DELIVERED = "delivered"
    DUPLICATE = "duplicate"
    REJECTED = "rejected"
    SKIPPED = "skipped"
    DISCARDED = "discarded"
    EXPIRED = "expired"


FINISHED: Final = frozenset(
    {State.DELIVERED, State.DUPLICATE, State.REJECTED, State.SKIPPED, State.DISCARDED, State.EXPIRED}
)
PARKED: Final = frozenset({State.DEAD, State.UNCERTAIN})


class Lease(NamedTuple):
    """Ownership of a shard or another single-handed job, as this process believes it has it."""

    name: str
    epoch: int


def shard_lease(recipient: str, partition: int) -> str:
    """The lease name of a shard."""
    return f"shard:{recipient}/{partition}"


@dataclass(frozen=True, slots=True)
class Shard:
    """One partition of one recipient's topic. ``position`` is the next offset to accept, ``next_seq`` the next seq.

    ``fingerprint`` is a hash of the last accepted record (b"" before the first): a recreated topic shows by it.
    """

    id: int
    recipient: str
    partition: int
    position: int
    next_seq: int
    fingerprint: bytes
    lease: str = field(init=False)  # its lease's name

    def __post_init__(self) -> None:
        object.__setattr__(self, "lease", shard_lease(self.recipient, self.partition))


@dataclass(frozen=True, slots=True)
class Body:
    """What is delivered: value and headers as accepted, or as edited."""

    value: bytes
    headers: Headers


@dataclass(slots=True)
class Arrival:
    """One bus record on its way into the ledger. ``identity`` hashes (ce_source, ce_id), ``digest`` the sender's own
    bytes; both are 16 bytes. ``state`` is WAITING, or DEAD with a ``failure`` (the local recipient ``router``).
    """

    offset: int
    key: bytes
    identity: bytes
    digest: bytes
    source: str
    event_id: str
    event_type: str
    subject: str
    urgent: bool
    body: Body
    state: State = State.WAITING
    failure: Failure | None = None


class Verdict(StrEnum):
    """What acceptance made of an arrival."""

    NEW = "new"
    REPEATED = "repeated"  # same identity, same body: dropped with a count
    CONFLICT = "conflict"  # same identity, other body: kept in the conflict table and shown
    REOPENED = "reopened"  # identity finished at ``router``: that row is dead again


class Accepted(NamedTuple):
    """Verdict on an arrival, its ``seq`` (of the reopened row; 0 when repeated or in conflict) and its lane's class."""

    verdict: Verdict
    seq: int
    urgent: bool = False


@dataclass(frozen=True, slots=True)
class Failure:
    """Why a delivery did not succeed. ``cause`` is the fingerprint by which dead letters are grouped.

    ``outcome`` is a name of ``router.sdk.outcomes.Outcome``. ``message`` is already masked and cut to 2,000
    characters.
    """

    outcome: str
    reason: str
    partner_code: str = ""
    message: str = ""
    place: str = ""
    cause: str = ""


@dataclass(frozen=True, slots=True)
class Attempt:
    """One call of a connector. ``replay`` names the order that asked for it, if any."""

    number: int
    started: int
    ended: int
    outcome: str
    partner_code: str = ""
    message: str = ""
    order_id: int = 0


@dataclass(frozen=True, slots=True)
class Emission:
    """An outbox row: published under the lease that wrote it, in the order written, deleted after acknowledgement.

    ``partition`` -1 lets the publisher place it by key.
    """

    topic: str
    partition: int
    key: bytes
    value: bytes
    headers: Headers


@dataclass(slots=True)
class Delivery:
    """A delivery's state row. ``body`` may be absent (loaded on demand by ``bodies``)."""

    shard: int
    seq: int
    key: bytes
    state: State
    version: int
    urgent: bool
    source: str
    event_id: str
    event_type: str
    subject: str
    offset: int
    accepted_at: int
    due: int | None = None
    attempts: int = 0  # calls made in all
    spent: int = 0  # attempts that count against the budget since the last replay
    first_at: int | None = None  # start of the first attempt since the last replay
    last_at: int | None = None  # end of the last attempt; while calling: its start
    edited: bool = False
    failure: Failure | None = None
    receipt: Mapping[str, Any] | None = None
    order_id: int = 0  # the order that made it waiting again, if any
    body: Body | None = None


class Write(NamedTuple):
    """Further rows of a local recipient. Those of a group that stand together and have one ``write_all`` are written
    by one call, in their order.
    """

    write_all: Callable[[Connection, Sequence[Any]], None]
    value: Any

    def __call__(self, conn: Connection) -> None:
        """Write this one alone."""
        self.write_all(conn, [self.value])


@dataclass(slots=True)
class Transition:
    """A change of one delivery's state row: applied only if the row has ``version``, which it raises by one.

    Fields given replace the row's. ``attempt`` is appended to the attempt table (left out for a first-try success:
    the state row holds all of it). ``emissions`` go to the outbox in the same transaction.
    """

    shard: int
    seq: int
    version: int
    state: State
    due: int | None = None
    attempts: int = 0
    spent: int = 0
    first_at: int | None = None
    last_at: int | None = None
    failure: Failure | None = None
    receipt: Mapping[str, Any] | None = None
    order_id: int = 0
    attempt: Attempt | None = None
    emissions: Sequence[Emission] = ()
    write: Write | None = None  # in the same transaction


class Verb(StrEnum):
    """What an order asks for."""

    REPLAY = "replay"  # delivery: send again; ``args.body`` (base64) and ``args.headers`` edit it first
    SKIP = "skip"
    DISCARD = "discard"
    EXPIRE = "expire"
    RESTORE = "restore"
    REDIRECT = "redirect"  # delivery: to another recipient, ``args.to``
    TAKE_CONFLICT = "take_conflict"  # ``args.conflict``: deliver the other bytes as an event of its own
    DROP_CONFLICT = "drop_conflict"  # ``args.conflict``: the first bytes were right
    STOP = "stop"  # recipient
    HOLD = "hold"  # recipient
    RESUME = "resume"  # recipient
    RECALCULATE = "recalculate"  # a local recipient's whole shard, page by page
    RELEASE_MONEY = "release_money"  # a dossier of a local recipient, ``args.key``: suspended money to a notice
    REFUND_MONEY = "refund_money"  # the same: suspended money is given back
    CHANGE_AGENCIES = "change_agencies"  # the registry: ``args.records``, and ``args.versions`` they were made for


@dataclass(frozen=True, slots=True)
class Order:
    """An operator's (or job's) wish. ``lease`` names who must apply it. For a delivery ``shard`` and ``seq`` are set
    and ``expected_version`` is the version the operator saw (None: any).
    """

    lease: str
    verb: Verb
    who: str
    why: str
    shard: int = 0
    seq: int = 0
    recipient: str = ""
    expected_version: int | None = None
    args: Mapping[str, Any] = field(default_factory=dict)
    id: int = 0
    created: int = 0


@dataclass(frozen=True, slots=True)
class OrderResult:
    """What came of an order: ``applied`` or ``refused``, and why in a sentence."""

    applied: bool
    text: str


@dataclass(frozen=True, slots=True)
class RecipientState:
    """Whether a recipient may be called. ``status`` is ``open``, ``held`` or ``stopped``."""

    recipient: str
    status: str
    since: int
    reason: str = ""
    by: str = ""
