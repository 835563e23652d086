"""What a local recipient is to delivery: no partner is called, its effects are rows of the same ledger.

Delivery takes heads off lanes as for any recipient, asks for their effects (computed before the transaction, on
instances read in one batch), and commits effects, timers, emissions and the delivery's outcome in one transaction.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

from router.ledger.rows import Body, Delivery, Emission, Failure, Order, OrderResult, Shard, State, Write

if TYPE_CHECKING:
    from sqlalchemy import Connection


class LocalWork(NamedTuple):
    """A lane's head, its shard and what it carries. The works of one call are of different lanes."""

    shard: Shard
    delivery: Delivery
    body: Body


@dataclass(frozen=True, slots=True)
class LocalEffect:
    """What one delivery does: the state it reaches (``delivered`` or ``dead`` with a failure) and what is written.

    ``write`` runs in the transaction that stores the outcome, after the fence. It checks the version of every row it
    rewrites and raises ``StaleVersion`` if another is found: then nothing was written and the delivery is computed
    again. It may run more than once and has no effect but its rows. ``emissions`` go to the outbox, in this order.
    """

    state: State
    failure: Failure | None = None
    receipt: Mapping[str, Any] | None = None
    emissions: Sequence[Emission] = ()
    write: Write | None = None


class LocalRecipient(Protocol):
    """A recipient inside the ledger. ``id`` names its topic ``lgsp.to.<id>``.

    ``prepare`` answers every work, in order, and writes nothing. ``order`` applies an order inside the owner's fenced
    transaction: about one key, or about the shard as a whole (a recalculation), one page at a time; None means: more is
    left, the order stays outstanding and is asked for again.
    """

    @property
    def id(self) -> str: ...
    async def prepare(self, works: Sequence[LocalWork]) -> list[LocalEffect]: ...
    def order(self, conn: Connection, shard: Shard, order: Order, now: int) -> OrderResult | None: ...
