"""Recalculation by the difference: money paid for void notices goes to those that replace them. Pure.

A second request (PCTT) voids the notices of the first. Where the definition says ``recalculation: difference``, what
was paid for them is carried until the new notices come, pays those of the same obligation (the same sub-items, tiểu
mục), and only what is missing is owed, only what is too much refunded. Elsewhere all of it is refunded at once.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Final

from router.procedures.notices import closed_notices, refund_of, with_paid
from router.procedures.obligation import SETTLED, Finance, Notice, NoticeState, Refund, carried_of

RECALCULATED: Final = "recalculated"
_OWED: Final = frozenset({NoticeState.ACTIVE, NoticeState.PAID})


def voided(finance: Finance, notices: list[Notice], reason: str) -> tuple[Finance, tuple[Refund, ...]]:
    """Notices that others will replace are void."""
    numbers = [notice.number for notice in notices]
    void, refunds = closed_notices(finance, numbers, NoticeState.VOID, reason, carry=finance.takes_over)
    owed = tuple(notice.number for notice in notices if notice.state in _OWED)
    return replace(void, replaced=owed or finance.replaced), refunds


def taken_over(finance: Finance) -> tuple[Finance, tuple[Refund, ...]]:
    """Carried money, oldest payment first, allocated to open notices of the same obligation. What is left over is to be
    refunded when as many notices as were void have come for the obligation and are settled: a further one may need it.
    """
    if not any(payment.carried for payment in finance.payments):
        return finance, ()
    for notice in finance.latest:
        finance = _into(finance, notice)
    after = with_paid(finance)
    return _refunded(after, lambda number: _replaced(after, number))


def left_over(finance: Finance) -> tuple[Finance, tuple[Refund, ...]]:
    """All that is still carried is to be refunded: the dossier has ended, no notice will come."""
    return _refunded(finance, lambda _: True)


def _into(finance: Finance, notice: Notice) -> Finance:
    rest, payments = finance.open(notice), []
    for payment in finance.payments:
        parts, kept = list[tuple[str, int]](), list[tuple[str, int]]()
        for number, amount in payment.carried:
            part = min(rest, amount) if _same(finance.notice(number), notice) else 0
            rest -= part
            parts += [(notice.number, part)] if part else []
            kept += [(number, amount - part)] if part < amount else []
        payments.append(payment._replace(allocated=(*payment.allocated, *parts), carried=tuple(kept)))
    return replace(finance, payments=tuple(payments))


def _same(old: Notice | None, new: Notice | None) -> bool:
    """Whether two notices are of one obligation; where their sub-items are not known, they are taken to be."""
    if old is None or new is None:
        return False
    return not old.items or not new.items or not set(old.items).isdisjoint(new.items)


def _replaced(finance: Finance, number: str) -> bool:
    """Whether the notices that replace a void one have come and are settled."""
    old = finance.notice(number)
    new = [each for each in finance.latest if each.state is not NoticeState.VOID and _same(old, each)]
    gone = [each for each in finance.replaced if _same(old, finance.notice(each))]
    return len(new) >= max(1, len(gone)) and all(each.state in SETTLED for each in new)


def _refunded(finance: Finance, over: Callable[[str], bool]) -> tuple[Finance, tuple[Refund, ...]]:
    payments, refunds = [], list[Refund]()
    for payment in finance.payments:
        kept = tuple(each for each in payment.carried if not over(each[0]))
        back = carried_of(payment) - sum(amount for _, amount in kept)
        given = payment._replace(carried=kept, refunded=payment.refunded + back, reason=RECALCULATED)
        payments.append(given if back else payment)
        refunds += [refund_of(given, back)] if back else []
    return replace(finance, payments=tuple(payments)), tuple(refunds)
