"""Requests and notices of a dossier's financial obligation, and its end: what they make of the money. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Final

from router.procedures.notices import closed_notices, refund_of, with_paid
from router.procedures.obligation import Finance, Notice, NoticeState, Payment, Refund, Settled, carried_of
from router.procedures.payments import resumed
from router.procedures.takeover import RECALCULATED, voided
from router.procedures.verdict import Verdict

REQUEST_UNKNOWN: Final = "its request is not known"
_STATED: Final = {
    "EXEMPT": NoticeState.EXEMPT,
    "CANCELLED": NoticeState.CANCELLED,
    "VOID": NoticeState.VOID,
}


def requested(finance: Finance, number: str, generation: int) -> Settled:
    """L5: a request (PCTT) of a generation. A newer one voids the notices of those before; what was paid for them is
    to be refunded, or taken over by the new ones.
    """
    if (number, generation) in finance.requests:
        return Settled(finance, Verdict.NOTED)
    known = replace(finance, requests=(*finance.requests, (number, generation)))
    if finance.closed or generation < finance.generation:
        return Settled(known, Verdict.LATE_IGNORED, finance.closed)
    if generation == finance.generation:  # asked again, perhaps after it was returned
        still = tuple(each for each in finance.returned if each != generation)
        return Settled(replace(known, returned=still), Verdict.APPLIED)
    old = [notice for notice in finance.notices if notice.generation < generation]
    void, refunds = voided(replace(known, generation=generation), old, RECALCULATED)
    again, more = resumed(void)
    return Settled(again, Verdict.APPLIED, "", (*refunds, *more))


def returned(finance: Finance, generation: int | None) -> Settled:
    """L6: the tax office sends a request back: its notices are void."""
    which = finance.generation if generation is None else generation
    if which > finance.generation or not finance.generation:
        return Settled(finance, Verdict.EARLY, REQUEST_UNKNOWN)
    if which < finance.generation or which in finance.returned:
        return Settled(finance, Verdict.LATE_IGNORED)
    old = [notice for notice in finance.notices if notice.generation == which]
    void, refunds = voided(replace(finance, returned=(*finance.returned, which)), old, "returned")
    again, more = resumed(void)
    return Settled(again, Verdict.APPLIED, "", (*refunds, *more))


def noticed(finance: Finance, facts: Mapping[str, Any]) -> Settled:
    """L7: a notice, or what became of it. Money that waited for it is allocated."""
    number, generation, total = str(facts["number"]), int(facts["generation"]), int(facts["total"])
    if generation > finance.generation:
        return Settled(finance, Verdict.EARLY, REQUEST_UNKNOWN)
    known = finance.notice(number)
    lines = tuple(int(line["amount"]) for line in facts.get("lines", ()))
    items = tuple(dict.fromkeys(str(line["item"]) for line in facts.get("lines", ()) if line.get("item")))
    fresh = Notice(number, generation, total, NoticeState.ACTIVE, lines, items)
    if known is None and (finance.closed or generation < finance.generation):
        late = replace(finance, notices=(*finance.notices, fresh._replace(state=NoticeState.VOID)))
        back, refunds = resumed(late)
        return Settled(back, Verdict.LATE_IGNORED, finance.closed, refunds)
    if known is not None and known.state is NoticeState.VOID:
        return Settled(finance, Verdict.LATE_IGNORED)
    stated = _STATED.get(str(facts.get("notice_status")))
    others = tuple(notice for notice in finance.notices if notice.number != number)
    changed = replace(finance, notices=(*others, fresh))
    if stated is not None:
        settled, refunds = closed_notices(changed, [number], stated, stated.value)
        again, more = resumed(settled)
        return Settled(again, Verdict.APPLIED, "", (*refunds, *more))
    changed, refunds = _overpaid(changed, fresh)
    again, more = resumed(with_paid(changed))
    same = known is not None and known._replace(items=items) == fresh
    verdict = Verdict.NOTED if same else Verdict.APPLIED
    return Settled(again, verdict, "", (*refunds, *more))


def given_back(finance: Finance, reason: str) -> Settled:
    """The dossier ends without a result: notices are void, all that was paid is to be refunded, and whatever comes
    later as well.
    """
    numbers = [notice.number for notice in finance.notices]
    void, refunds = closed_notices(replace(finance, closed=reason), numbers, NoticeState.VOID, reason)
    payments: list[Payment] = []
    more: list[Refund] = []
    for payment in void.payments:
        left = payment.suspended + payment.fee + carried_of(payment)
        back = payment._replace(suspended=0, fee=0, carried=(), refunded=payment.refunded + left, reason=reason)
        payments.append(back if left else payment)
        more += [refund_of(back, left)] if left else []
    return Settled(replace(void, payments=tuple(payments), disputed=()), Verdict.APPLIED, "", (*refunds, *more))


def reopened(finance: Finance) -> Finance:
    """An end was corrected: money is taken again. Its old notices stay void, the tax office issues others."""
    return replace(finance, closed="")


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
        refunds.append(refund_of(payments[place], back))
        over -= back
    return replace(finance, payments=tuple(payments)), tuple(refunds)
