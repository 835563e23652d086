"""Payments of a dossier: what L9, L10 and L11 say, where the amounts go, what is held and what is given back. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any, Final

from router.procedures.obligation import (
    AMOUNT_MISMATCH,
    HELD,
    NOT_STARTED,
    NOTICE_UNKNOWN,
    SETTLED,
    WINDOW_OVER,
    Finance,
    Notice,
    NoticeState,
    Payment,
    Refund,
    Settled,
)
from router.procedures.verdict import Verdict

VOID_NOTICE: Final = "void_notice"
_STATEMENT: Final = "completed "  # reference of what L11 says was paid, while no payment is known


def completed(finance: Finance, number: str, amount: int) -> Settled:
    """L11: tax office or treasury say that a notice, or an instalment of it, is settled. What no payment told of is
    taken as paid there; an amount that fits neither waits for a person.
    """
    notice = finance.notice(number)
    if notice is None:
        return Settled(finance, Verdict.EARLY, NOTICE_UNKNOWN)
    if notice.state in SETTLED:
        return Settled(finance, Verdict.NOTED)
    if notice.state is NoticeState.VOID:
        return Settled(finance, Verdict.LATE_IGNORED, finance.closed or VOID_NOTICE)
    rest = finance.open(notice)
    stated = rest if amount in (notice.total, rest) else amount
    if stated > rest or (stated != rest and stated not in notice.lines):
        disputed = dict(finance.disputed) | {number: amount}
        return Settled(replace(finance, disputed=tuple(disputed.items())), Verdict.SUSPENDED, AMOUNT_MISMATCH)
    known = sum(payment.reference.startswith(_STATEMENT + number) for payment in finance.payments)
    name = _STATEMENT + number + (f" {known + 1}" if known else "")
    believed = Payment(name, "", number, stated, allocated=((number, stated),))
    return Settled(with_paid(replace(finance, payments=(*finance.payments, believed))), Verdict.APPLIED)


def paid(finance: Finance, facts: Mapping[str, Any]) -> Settled:
    """L9, L10: money came. The same reference or transaction again has no second effect.

    Money whose notice is not known yet, or a confirmation of another payment than those begun, is held: it is early.
    """
    payment = Payment(
        str(facts["reference"]), str(facts.get("transaction") or ""), str(facts.get("notice") or ""), facts["amount"]
    )
    if facts["phase"] == "INIT":
        started = finance.started if payment.reference in finance.started else (*finance.started, payment.reference)
        return Settled(replace(finance, started=started), Verdict.NOTED)
    if facts["payment_status"] != "PAID" or payment.amount <= 0:
        return Settled(finance, Verdict.NOTED)
    if (before := _same(finance.payments, payment)) is not None:
        if before.amount != payment.amount:
            return Settled(finance, Verdict.NOTED, AMOUNT_MISMATCH)
        if before.reason not in HELD | {WINDOW_OVER}:
            return Settled(finance, Verdict.NOTED, "already_confirmed")
        finance = replace(finance, payments=tuple(each for each in finance.payments if each is not before))
    if finance.closed:
        back = payment._replace(refunded=payment.amount, reason=finance.closed)
        return Settled(_with(finance, back), Verdict.APPLIED, finance.closed, (refund_of(back, back.amount),))
    exact = facts["phase"] == "CONFIRM"
    if why := _waits(finance, payment, exact=exact):
        return Settled(_with(finance, payment._replace(suspended=payment.amount, reason=why)), Verdict.EARLY, why)
    if not payment.notice and not finance.generation:
        return Settled(_with(finance, payment._replace(fee=payment.amount)), Verdict.APPLIED)
    finance = _without_statement(finance, payment)
    placed = _placed(finance, payment, exact=exact)
    verdict = Verdict.SUSPENDED if placed.suspended else Verdict.APPLIED
    refunds = (refund_of(placed, placed.refunded),) if placed.refunded else ()
    return Settled(with_paid(_with(finance, placed)), verdict, placed.reason, refunds)


def given_up(finance: Finance, reference: str) -> Finance:
    """Nothing came that held money waited for: now it waits for a person."""
    return replace(
        finance,
        payments=tuple(
            each._replace(reason=WINDOW_OVER) if each.reference == reference and each.reason in HELD else each
            for each in finance.payments
        ),
    )


def _waits(finance: Finance, payment: Payment, *, exact: bool) -> str:
    if exact and finance.started and payment.reference not in finance.started:
        return NOT_STARTED
    known = finance.notice(payment.notice) if payment.notice else finance.latest or not finance.generation
    return "" if known else NOTICE_UNKNOWN


def _with(finance: Finance, payment: Payment) -> Finance:
    return replace(finance, payments=(*finance.payments, payment))


def _without_statement(finance: Finance, payment: Payment) -> Finance:
    """Without as much of what the treasury alone had stated of a notice: now its payment itself is known."""
    left, kept = payment.amount if payment.notice else 0, []
    for each in finance.payments:
        stated = each.reference.startswith(_STATEMENT) and each.notice == payment.notice
        gone = min(left, each.amount) if stated else 0
        left -= gone
        if gone < each.amount:
            rest = each.amount - gone
            kept.append(each._replace(amount=rest, allocated=((each.notice, rest),)) if gone else each)
    return with_paid(replace(finance, payments=tuple(kept)))


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
        refunds += [refund_of(given, back)] if back else []
    disputed = tuple(each for each in finance.disputed if each[0] not in gone)
    return replace(finance, notices=notices, payments=tuple(payments), disputed=disputed), tuple(refunds)


def resumed(finance: Finance) -> tuple[Finance, tuple[Refund, ...]]:
    """Suspended payments whose amount fits by now, or whose notice is void. What is held is judged with its event."""
    for place, payment in enumerate(finance.payments):
        unknown = payment.notice and finance.notice(payment.notice) is None
        if not payment.suspended or payment.reason in HELD or unknown:
            continue
        others = replace(finance, payments=(*finance.payments[:place], *finance.payments[place + 1 :]))
        bare = Payment(payment.reference, payment.transaction, payment.notice, payment.amount)
        placed = _placed(with_paid(others), bare, exact=True)
        if not placed.suspended:
            payments = (*finance.payments[:place], placed, *finance.payments[place + 1 :])
            after, refunds = resumed(with_paid(replace(finance, payments=payments)))
            mine = (refund_of(placed, placed.refunded),) if placed.refunded else ()
            return after, (*mine, *refunds)
    return finance, ()


def _same(payments: Iterable[Payment], new: Payment) -> Payment | None:
    for payment in payments:
        if payment.reference == new.reference or (new.transaction and payment.transaction == new.transaction):
            return payment
    return None


def refund_of(payment: Payment, amount: int) -> Refund:
    """So much of a payment, to be given back."""
    return Refund(payment.reference, payment.transaction, payment.notice, amount, payment.reason)
