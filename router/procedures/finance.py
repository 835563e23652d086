"""A dossier's financial obligation: generations of requests, notices, payments, and what must be given back. Pure.

Amounts are whole đồng and exact: at any time a payment's amount is what was allocated to notices, plus what is to be
refunded, plus what is suspended, plus what was a fee. A dossier is financially complete when every notice of the
latest generation is paid, exempt or cancelled (and there is one).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
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
_STATED: Final = {
    "EXEMPT": NoticeState.EXEMPT,
    "CANCELLED": NoticeState.CANCELLED,
    "VOID": NoticeState.VOID,
}

AMOUNT_MISMATCH: Final = "amount_mismatch"
VOID_NOTICE: Final = "void_notice"
_STATEMENT: Final = "completed "  # reference of what L11 says was paid, while no payment is known


class Notice(NamedTuple):
    """A notice to pay (thông báo nộp tiền). ``lines`` are the amounts that may be paid apart (instalments)."""

    number: str
    generation: int
    total: int
    state: NoticeState
    lines: tuple[int, ...] = ()


class Payment(NamedTuple):
    """Money that came. ``allocated`` says to which notices; ``reason`` why some of it is suspended or refunded."""

    reference: str
    transaction: str
    notice: str
    amount: int
    allocated: tuple[tuple[str, int], ...] = ()
    refunded: int = 0
    suspended: int = 0
    fee: int = 0
    reason: str = ""


class Refund(NamedTuple):
    """Money to be given back: asked of the treasury or the tax office, never done here."""

    reference: str
    transaction: str
    notice: str
    amount: int
    reason: str


@dataclass(frozen=True, slots=True)
class Finance:
    """All of it. ``returned`` holds generations that the tax office sent back."""

    generation: int = 0
    requests: tuple[tuple[str, int], ...] = ()
    returned: tuple[int, ...] = ()
    notices: tuple[Notice, ...] = ()
    payments: tuple[Payment, ...] = ()

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
        """Money that waits for a person."""
        return sum(payment.suspended for payment in self.payments)


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


def requested(finance: Finance, number: str, generation: int) -> Settled:
    """L5: a request (PCTT) of a generation. A newer one voids the notices of those before; what was paid for them is
    to be refunded.
    """
    if (number, generation) in finance.requests:
        return Settled(finance, Verdict.NOTED)
    known = replace(finance, requests=(*finance.requests, (number, generation)))
    if generation < finance.generation:
        return Settled(known, Verdict.LATE_IGNORED)
    if generation == finance.generation:
        return Settled(known, Verdict.APPLIED)
    old = [notice.number for notice in finance.notices if notice.generation < generation]
    voided, refunds = _closed(replace(known, generation=generation), old, NoticeState.VOID, "recalculated")
    return Settled(voided, Verdict.APPLIED, "", refunds)


def returned(finance: Finance, generation: int | None) -> Settled:
    """L6: the tax office sends a request back: its notices are void."""
    which = finance.generation if generation is None else generation
    if which > finance.generation or not finance.generation:
        return Settled(finance, Verdict.EARLY, "the request is not known")
    if which < finance.generation or which in finance.returned:
        return Settled(finance, Verdict.LATE_IGNORED)
    old = [notice.number for notice in finance.notices if notice.generation == which]
    voided, refunds = _closed(replace(finance, returned=(*finance.returned, which)), old, NoticeState.VOID, "returned")
    return Settled(voided, Verdict.APPLIED, "", refunds)


def noticed(finance: Finance, facts: Mapping[str, Any]) -> Settled:
    """L7: a notice, or what became of it. Money that waited for it is allocated."""
    number, generation, total = str(facts["number"]), int(facts["generation"]), int(facts["total"])
    if generation > finance.generation:
        return Settled(finance, Verdict.EARLY, "its request is not known")
    known = finance.notice(number)
    if known is None and generation < finance.generation:
        late = Notice(number, generation, total, NoticeState.VOID)
        return Settled(replace(finance, notices=(*finance.notices, late)), Verdict.LATE_IGNORED)
    if known is not None and known.state is NoticeState.VOID:
        return Settled(finance, Verdict.LATE_IGNORED)
    lines = tuple(int(line["amount"]) for line in facts.get("lines", ()))
    stated = _STATED.get(str(facts.get("notice_status")))
    fresh = Notice(number, generation, total, NoticeState.ACTIVE, lines)
    others = tuple(notice for notice in finance.notices if notice.number != number)
    changed = replace(finance, notices=(*others, fresh))
    if stated is not None:
        closed, refunds = _closed(changed, [number], stated, stated.value)
        return Settled(closed, Verdict.APPLIED, "", refunds)
    changed, refunds = _overpaid(changed, fresh)
    again, more = _resumed(_with_paid(changed))
    verdict = Verdict.NOTED if known == fresh else Verdict.APPLIED
    return Settled(again, verdict, "", (*refunds, *more))


def completed(finance: Finance, number: str, amount: int) -> Settled:
    """L11: tax office or treasury say that a notice is settled. What no payment told of is taken as paid there."""
    notice = finance.notice(number)
    if notice is None:
        return Settled(finance, Verdict.EARLY, "its notice is not known")
    if notice.state in SETTLED:
        return Settled(finance, Verdict.NOTED)
    if notice.state is NoticeState.VOID:
        return Settled(finance, Verdict.LATE_IGNORED, VOID_NOTICE)
    rest = finance.open(notice)
    if amount not in (notice.total, rest):
        return Settled(finance, Verdict.SUSPENDED, AMOUNT_MISMATCH)
    stated = Payment(_STATEMENT + number, "", number, rest, allocated=((number, rest),))
    return Settled(_with_paid(replace(finance, payments=(*finance.payments, stated))), Verdict.APPLIED)


def paid(finance: Finance, facts: Mapping[str, Any]) -> Settled:
    """L9, L10: money came. The same reference or transaction again has no second effect."""
    payment = Payment(
        str(facts["reference"]), str(facts.get("transaction") or ""), str(facts.get("notice") or ""), facts["amount"]
    )
    if facts["phase"] == "INIT" or facts["payment_status"] != "PAID" or payment.amount <= 0:
        return Settled(finance, Verdict.NOTED)
    if (before := _same(finance.payments, payment)) is not None:
        mismatch = before.amount != payment.amount
        return Settled(finance, Verdict.NOTED, AMOUNT_MISMATCH if mismatch else "already_confirmed")
    finance = _without_statement(finance, payment.notice)
    if not payment.notice and not finance.generation:
        fee = payment._replace(fee=payment.amount)
        return Settled(replace(finance, payments=(*finance.payments, fee)), Verdict.APPLIED)
    if payment.notice and finance.notice(payment.notice) is None:
        return Settled(finance, Verdict.EARLY, "its notice is not known")
    if not payment.notice and not finance.latest:
        return Settled(finance, Verdict.EARLY, "no notice is known")
    placed = _placed(finance, payment, exact=facts["phase"] == "CONFIRM")
    after = _with_paid(replace(finance, payments=(*finance.payments, placed)))
    verdict = Verdict.SUSPENDED if placed.suspended else Verdict.APPLIED
    refunds = (_refund(placed, placed.refunded),) if placed.refunded else ()
    return Settled(after, verdict, placed.reason, refunds)


def _without_statement(finance: Finance, notice: str) -> Finance:
    """Without what the treasury alone had stated of a notice: now its payment itself is known."""
    payments = tuple(payment for payment in finance.payments if payment.reference != _STATEMENT + notice)
    if not notice or len(payments) == len(finance.payments):
        return finance
    return _with_paid(replace(finance, payments=payments))


def withdrawn(finance: Finance) -> Settled:
    """The dossier is withdrawn: open notices are void, and all that was paid is to be refunded."""
    closed, refunds = _closed(finance, [notice.number for notice in finance.notices], NoticeState.VOID, "withdrawn")
    payments: list[Payment] = []
    more: list[Refund] = []
    for payment in closed.payments:
        left = payment.suspended + payment.fee
        back = payment._replace(suspended=0, fee=0, refunded=payment.refunded + left, reason="withdrawn")
        payments.append(back if left else payment)
        more += [_refund(back, left)] if left else []
    return Settled(replace(closed, payments=tuple(payments)), Verdict.APPLIED, "", (*refunds, *more))


def _placed(finance: Finance, payment: Payment, *, exact: bool) -> Payment:
    """A new payment with its amount allocated, suspended or to be refunded. A confirmation is exact; evidence may be
    of a part, and what is too much is given back.
    """
    if not payment.notice:
        if payment.amount != finance.due:
            return payment._replace(suspended=payment.amount, reason=AMOUNT_MISMATCH)
        parts = tuple((each.number, part) for each in finance.latest if (part := finance.open(each)))
        return payment._replace(allocated=parts)
    notice = finance.notice(payment.notice)
    if notice is None or notice.state is not NoticeState.ACTIVE:
        reason = VOID_NOTICE if notice is None or notice.state is not NoticeState.PAID else "already_paid"
        return payment._replace(refunded=payment.amount, reason=reason)
    rest = finance.open(notice)
    if exact and payment.amount != rest and payment.amount not in notice.lines:
        return payment._replace(suspended=payment.amount, reason=AMOUNT_MISMATCH)
    part = min(rest, payment.amount)
    over = payment.amount - part
    return payment._replace(
        allocated=((notice.number, part),), refunded=over, reason="overpaid" if over else payment.reason
    )


def _with_paid(finance: Finance) -> Finance:
    """Notices whose total is allocated are paid; one whose total was raised is not any more."""

    def state(notice: Notice) -> NoticeState:
        if notice.state not in (NoticeState.ACTIVE, NoticeState.PAID):
            return notice.state
        return NoticeState.PAID if finance.paid(notice.number) >= notice.total else NoticeState.ACTIVE

    return replace(finance, notices=tuple(notice._replace(state=state(notice)) for notice in finance.notices))


def _closed(
    finance: Finance, numbers: Iterable[str], state: NoticeState, reason: str
) -> tuple[Finance, tuple[Refund, ...]]:
    """Notices in a state in which nothing is owed; what was allocated to them is to be refunded."""
    gone = set(numbers)
    notices = tuple(n._replace(state=state) if n.number in gone else n for n in finance.notices)
    payments: list[Payment] = []
    refunds: list[Refund] = []
    for payment in finance.payments:
        back = sum(amount for to, amount in payment.allocated if to in gone)
        kept = tuple((to, amount) for to, amount in payment.allocated if to not in gone)
        given = payment._replace(allocated=kept, refunded=payment.refunded + back, reason=reason)
        payments.append(given if back else payment)
        refunds += [_refund(given, back)] if back else []
    return replace(finance, notices=notices, payments=tuple(payments)), tuple(refunds)


def _overpaid(finance: Finance, notice: Notice) -> tuple[Finance, tuple[Refund, ...]]:
    """A notice whose total was lowered below what was paid: the rest of the last payments is to be refunded."""
    over = finance.paid(notice.number) - notice.total
    payments = list(finance.payments)
    refunds: list[Refund] = []
    for place in reversed(range(len(payments))):
        mine = sum(amount for to, amount in payments[place].allocated if to == notice.number)
        back = min(mine, over)
        if back <= 0:
            continue
        kept = [(to, amount) for to, amount in payments[place].allocated if to != notice.number]
        kept += [(notice.number, mine - back)] if mine > back else []
        refunded = payments[place].refunded + back
        payments[place] = payments[place]._replace(allocated=tuple(kept), refunded=refunded, reason="overpaid")
        refunds.append(_refund(payments[place], back))
        over -= back
    return replace(finance, payments=tuple(payments)), tuple(refunds)


def _resumed(finance: Finance) -> tuple[Finance, tuple[Refund, ...]]:
    """Suspended payments whose amount fits by now."""
    for place, payment in enumerate(finance.payments):
        if not payment.suspended:
            continue
        others = replace(finance, payments=(*finance.payments[:place], *finance.payments[place + 1 :]))
        bare = Payment(payment.reference, payment.transaction, payment.notice, payment.amount)
        placed = _placed(_with_paid(others), bare, exact=True)
        if not placed.suspended:
            payments = (*finance.payments[:place], placed, *finance.payments[place + 1 :])
            after, refunds = _resumed(_with_paid(replace(finance, payments=payments)))
            mine = (_refund(placed, placed.refunded),) if placed.refunded else ()
            return after, (*mine, *refunds)
    return finance, ()


def _same(payments: Iterable[Payment], new: Payment) -> Payment | None:
    for payment in payments:
        if payment.reference == new.reference or (new.transaction and payment.transaction == new.transaction):
            return payment
    return None


def _refund(payment: Payment, amount: int) -> Refund:
    return Refund(payment.reference, payment.transaction, payment.notice, amount, payment.reason)


@dataclass(frozen=True, slots=True)
class Balance:
    """Where all money is: for the invariant that none is lost or made."""

    received: int = 0
    allocated: int = 0
    refunded: int = 0
    suspended: int = 0
    fees: int = 0
    odd: tuple[str, ...] = field(default=())  # references of payments whose parts do not add up


def balance(finance: Finance) -> Balance:
    """The sums over all payments."""
    parts = [(p, sum(amount for _, amount in p.allocated)) for p in finance.payments]
    return Balance(
        received=sum(p.amount for p, _ in parts),
        allocated=sum(allocated for _, allocated in parts),
        refunded=sum(p.refunded for p, _ in parts),
        suspended=sum(p.suspended for p, _ in parts),
        fees=sum(p.fee for p, _ in parts),
        odd=tuple(p.reference for p, a in parts if p.amount != a + p.refunded + p.suspended + p.fee),
    )
