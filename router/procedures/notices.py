"""What notices have got of the money that came, and what becomes of it when one is settled otherwise. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from router.procedures.obligation import Finance, Notice, NoticeState, Payment, Refund


def with_paid(finance: Finance) -> Finance:
    """Notices whose total is allocated are paid; one whose total was raised is not any more."""

    def state(notice: Notice) -> NoticeState:
        if notice.state not in (NoticeState.ACTIVE, NoticeState.PAID):
            return notice.state
        return NoticeState.PAID if finance.paid(notice.number) >= notice.total else NoticeState.ACTIVE

    notices = tuple(notice._replace(state=state(notice)) for notice in finance.notices)
    open_ones = {notice.number for notice in notices if notice.state is NoticeState.ACTIVE}
    disputed = tuple(each for each in finance.disputed if each[0] in open_ones)
    return replace(finance, notices=notices, disputed=disputed)


def closed_notices(
    finance: Finance, numbers: Iterable[str], state: NoticeState, reason: str, *, carry: bool = False
) -> tuple[Finance, tuple[Refund, ...]]:
    """Notices in a state in which nothing is owed; what was allocated to them is to be refunded, or carried over."""
    gone = set(numbers)
    notices = tuple(n._replace(state=state) if n.number in gone else n for n in finance.notices)
    payments: list[Payment] = []
    refunds: list[Refund] = []
    for payment in finance.payments:
        moved = tuple((to, amount) for to, amount in payment.allocated if to in gone)
        kept = tuple((to, amount) for to, amount in payment.allocated if to not in gone)
        back = 0 if carry else sum(amount for _, amount in moved)
        carried = (*payment.carried, *moved) if carry else payment.carried
        given = payment._replace(allocated=kept, refunded=payment.refunded + back, carried=carried, reason=reason)
        payments.append(given if moved else payment)
        refunds += [refund_of(given, back)] if back else []
    disputed = tuple(each for each in finance.disputed if each[0] not in gone)
    return replace(finance, notices=notices, payments=tuple(payments), disputed=disputed), tuple(refunds)


def refund_of(payment: Payment, amount: int) -> Refund:
    """So much of a payment, to be given back."""
    return Refund(payment.reference, payment.transaction, payment.notice, amount, payment.reason)
