"""Orders on their way into a group: looked for, kept back while their lane has a call in flight, then judged."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, NamedTuple

from router.delivery.ordering import STATUS_OF
from router.delivery.shards import Owned
from router.ledger import orders, store
from router.ledger.rows import Order, Shard
from router.ports import Ledger

if TYPE_CHECKING:
    from sqlalchemy import Connection

PAGE = 100


class Waiting(NamedTuple):
    """An order, and the lane it is about (None for a recipient's)."""

    order: Order
    key: bytes | None
    urgent: bool


class OrderDesk:
    """Pending orders of the leases this process holds."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger
        self._frozen: dict[int, Waiting] = {}  # by order id: those in the group under way

    async def ready(self, owned: Mapping[str, Owned]) -> list[tuple[Shard | None, Order]]:
        """Orders that can be committed now; their lanes are frozen until ``done``."""
        found = await self._ledger.read(lambda conn: _pending(conn, sorted(owned)))
        ready: list[tuple[Shard | None, Order]] = []
        for waiting in found:
            place = owned[waiting.order.lease]
            if waiting.order.id not in self._frozen and self._freeze(place, waiting):
                self._frozen[waiting.order.id] = waiting
                of_recipient = waiting.order.verb in STATUS_OF
                ready.append((None if of_recipient else place.shard, waiting.order))
        return ready

    def done(self, taken: Iterable[tuple[Shard | None, Order]], owned: Mapping[str, Owned]) -> None:
        """The group was committed, or given up: lanes are read again."""
        for _, order in taken:
            waiting = self._frozen.pop(order.id)
            place = owned.get(order.lease)
            if waiting.key is not None and place is not None and place.lanes is not None:
                place.lanes.reload(waiting.key, urgent=waiting.urgent)

    def _freeze(self, place: Owned, waiting: Waiting) -> bool:
        if waiting.key is None or place.lanes is None:
            return True
        if any(other.key == waiting.key for other in self._frozen.values()):
            return False  # one at a time on a lane
        return place.lanes.freeze(waiting.key, urgent=waiting.urgent)


def _pending(conn: Connection, leases: list[str]) -> list[Waiting]:
    found: list[Waiting] = []
    for order in orders.pending(conn, leases, PAGE):
        delivery = store.one(conn, order.shard, order.seq) if order.seq else None
        key = delivery.key if delivery is not None else None
        found.append(Waiting(order, key, delivery.urgent if delivery is not None else False))
    return found
