"""What operators ask and order about money that has no place: the service behind ``lgsp payments``."""

from __future__ import annotations

from functools import partial
from typing import Final

from router.errors import OrderRefused
from router.events import partition_of
from router.ledger import store
from router.ledger.rows import Order, Verb
from router.masking import mask
from router.placing import Answer, Placing
from router.ports import Ledger
from router.procedures import suspended
from router.procedures.recipient import PROCEDURES
from router.procedures.suspended import Waiting

MOST_PAYMENTS: Final = 1_000  # of one dossier


class MoneyDesk:
    """``placing`` needs the local recipient ``procedures`` where a decision shall be taken without a process."""

    def __init__(self, ledger: Ledger, placing: Placing) -> None:
        self._ledger, self._placing = ledger, placing

    async def waiting(self, code: str, limit: int) -> list[Waiting]:
        """Payments of which something waits for a person, a notice or a start: those of a dossier, or of all."""
        if code:
            return (await self._ledger.read(lambda conn: suspended.of_code(conn, code)))[:limit]
        found: list[Waiting] = []
        after: bytes | None = b""
        while after is not None and len(found) < limit:
            more, last = await self._ledger.read(partial(suspended.page, after=after))
            found, after = found + more, last or None
        return found[:limit]

    async def decide(self, code: str, payment: str, *, notice: str = "", amount: int = 0, who: str, why: str) -> Answer:
        """Release money that waits to a notice, or have it given back where none is named. ``payment`` is its id in
        ``waiting`` or its reference, ``amount`` a part of what waits (0: all). Raises ``OrderRefused``.
        """
        one = await self._one(code, payment)
        places = [each for each in await self._ledger.read(store.shards) if each.recipient == PROCEDURES]
        partition = partition_of(one.key, len(places))
        place = next(each for each in places if each.partition == partition)
        verb = Verb.RELEASE_MONEY if notice else Verb.REFUND_MONEY
        args: dict[str, object] = {"key": one.key.hex(), "target": suspended.dossier_of(one)}
        args |= {"reference": one.reference, "expected": one.suspended + one.carried}
        args |= {"notice": notice, "amount": amount}
        return await self._placing.place(Order(place.lease, verb, who, why, recipient=PROCEDURES, args=args), place)

    async def _one(self, code: str, payment: str) -> Waiting:
        found = await self.waiting(code, MOST_PAYMENTS)
        fit = [each for each in found if payment in (each.id, each.reference)]
        if len(fit) != 1:
            known = ", ".join(each.id for each in found) or "none"
            raise OrderRefused(f"no money of payment {mask(payment)} of {code} waits (of these it does: {known})")
        return fit[0]
