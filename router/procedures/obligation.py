"""What is known of a dossier's financial obligation: requests, notices, payments, and where all money is. Pure.

Amounts are whole đồng and exact: at any time a payment's amount is what was allocated to notices, plus what is to be
refunded, plus what is suspended, plus what is carried over to notices that are to come, plus what was a fee. A dossier
is financially complete when every notice of the latest generation is paid, exempt or cancelled (and there is one).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Final, NamedTuple

from router.procedures.verdict import Verdict


class NoticeState(StrEnum):
    """Where a tax notice stands. ``void``: its generation was replaced or returned."""

    ACTIVE = "active"
    PAID = "paid"
    EXEMPT = "exempt"
    CANCELLED = "cancelled"
    VOID = "void"


SETTLED: Final = frozenset({NoticeState.PAID, NoticeState.EXEMPT, NoticeState.CANCELLED})

# Why money is suspended. What is ``HELD`` waits for a word that is on its way; the rest waits for a person.
AMOUNT_MISMATCH: Final = "amount_mismatch"
NOTICE_UNKNOWN: Final = "its notice is not known"
NOT_STARTED: Final = "its start is not known"
WINDOW_OVER: Final = "window_over"
IN_PART: Final = "decided_in_part"  # a person decided about some of it and will about the rest
HELD: Final = frozenset({NOTICE_UNKNOWN, NOT_STARTED})


class Notice(NamedTuple):
    """A notice to pay (thông báo nộp tiền). ``lines`` are the amounts that may be paid apart (instalments), ``items``
    the sub-items (tiểu mục) they are for, each once: what the obligation is, whatever number a notice of it bears.
    """

    number: str
    generation: int
    total: int
    state: NoticeState
    lines: tuple[int, ...] = ()
    items: tuple[str, ...] = ()


class Payment(NamedTuple):
    """Money that came. ``allocated`` says to which notices, ``carried`` from which void ones it waits to be taken over;
    ``reason`` why some of it is suspended or refunded.
    """

    reference: str
    transaction: str
    notice: str
    amount: int
    allocated: tuple[tuple[str, int], ...] = ()
    refunded: int = 0
    suspended: int = 0
    fee: int = 0
    reason: str = ""
    carried: tuple[tuple[str, int], ...] = ()


class Refund(NamedTuple):
    """Money to be given back: asked of the treasury or the tax office, never done here."""

    reference: str
    transaction: str
    notice: str
    amount: int
    reason: str


@dataclass(frozen=True, slots=True)
class Finance:
    """All of it. ``returned`` holds generations that the tax office sent back; ``started`` references of payments that
    were begun; ``disputed`` what the treasury stated of notices and does not fit them. ``closed`` says why nothing is
    owed any more (withdrawn, refused): whatever still comes is given back at once. ``takes_over``: money of void
    notices goes to those that replace them; ``replaced`` are the numbers of the notices that were void last.
    """

    generation: int = 0
    requests: tuple[tuple[str, int], ...] = ()
    returned: tuple[int, ...] = ()
    notices: tuple[Notice, ...] = ()
    payments: tuple[Payment, ...] = ()
    started: tuple[str, ...] = ()
    disputed: tuple[tuple[str, int], ...] = ()
    closed: str = ""
    takes_over: bool = False
    replaced: tuple[str, ...] = ()

    def notice(self, number: str) -> Notice | None:
        """The notice of that number."""
        return next((notice for notice in self.notices if notice.number == number), None)

    def paid(self, number: str) -> int:
        """What was allocated to a notice."""
        return sum(amount for payment in self.payments for to, amount in payment.allocated if to == number)

    def open(self, notice: Notice) -> int:
        """What is still to be paid of a notice."""
        return notice.total - self.paid(notice.number) if notice.state is NoticeState.ACTIVE else 0

    @property
    def latest(self) -> tuple[Notice, ...]:
        """Notices of the latest generation."""
        return tuple(notice for notice in self.notices if notice.generation == self.generation)

    @property
    def due(self) -> int:
        """What is still to be paid in all."""
        return sum(map(self.open, self.latest))

    @property
    def complete(self) -> bool:
        """Whether every notice of the latest generation is settled; not while that generation is back at the land
        office or has no notice yet.
        """
        settled = all(notice.state in SETTLED for notice in self.latest)
        return bool(self.latest) and settled and self.generation not in self.returned

    @property
    def suspended(self) -> int:
        """Money that has no place yet."""
        return sum(payment.suspended for payment in self.payments)

    @property
    def undecided(self) -> Mapping[str, int]:
        """What waits for a person: amounts by payment reference, or by notice that the treasury states otherwise."""
        money = {each.reference: each.suspended for each in self.payments if each.suspended and each.reason not in HELD}
        return money | dict(self.disputed)


@dataclass(frozen=True, slots=True)
class Settled:
    """What a financial event led to."""

    finance: Finance
    verdict: Verdict
    reason: str = ""
    refunds: tuple[Refund, ...] = ()


def scope_of(finance: Finance) -> Mapping[str, Any]:
    """What guards see as ``finance``."""
    return {
        "complete": finance.complete,
        "generation": finance.generation,
        "notices": len([notice for notice in finance.latest if notice.state is not NoticeState.VOID]),
        "due": finance.due,
        "paid": sum(finance.paid(notice.number) for notice in finance.latest),
        "suspended": finance.suspended,
    }


@dataclass(frozen=True, slots=True)
class Balance:
    """Where all money is: for the invariant that none is lost or made."""

    received: int = 0
    allocated: int = 0
    refunded: int = 0
    suspended: int = 0
    fees: int = 0
    carried: int = 0
    odd: tuple[str, ...] = field(default=())  # references of payments whose parts do not add up


def balance(finance: Finance) -> Balance:
    """The sums over all payments."""
    payments = finance.payments
    return Balance(
        received=sum(p.amount for p in payments),
        allocated=sum(map(allocated_of, payments)),
        refunded=sum(p.refunded for p in payments),
        suspended=sum(p.suspended for p in payments),
        fees=sum(p.fee for p in payments),
        carried=sum(map(carried_of, payments)),
        odd=tuple(
            p.reference
            for p in payments
            if p.amount != allocated_of(p) + p.refunded + p.suspended + p.fee + carried_of(p)
        ),
    )


def carried_of(payment: Payment) -> int:
    """What of a payment waits for notices that are to come."""
    return sum(amount for _, amount in payment.carried)


def allocated_of(payment: Payment) -> int:
    """What of a payment went to notices."""
    return sum(amount for _, amount in payment.allocated)
