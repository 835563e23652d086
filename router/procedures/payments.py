"""Payments of a dossier: what L9, L10 and L11 say, where the amounts go, what is held and what is given back. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any, Final

from router.procedures.notices import refund_of, with_paid
from router.procedures.obligation import (
    AMOUNT_MISMATCH,
    HELD,
    IN_PART,
    NOT_STARTED,
    NOTICE_UNKNOWN,
    SETTLED,
    WINDOW_OVER,
    Finance,
    NoticeState,
    Payment,
    Refund,
    Settled,
    allocated_of,
    carried_of,
)
from router.procedures.takeover import taken_over
from router.procedures.verdict import Verdict

_Parts = tuple[tuple[str, int], ...]

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

    Money whose notice is not known yet, or a confirmation whose start was promised and is not known, is held: it is
    early.
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
        finance, payment = _of_statements(finance, payment)
        left = _unplaced(payment)
        back = payment._replace(refunded=payment.refunded + left, reason=finance.closed)
        return Settled(_with(finance, back), Verdict.APPLIED, finance.closed, (refund_of(back, left),) if left else ())
    exact = facts["phase"] == "CONFIRM"
    promised = exact and bool(finance.started or facts.get("partner"))
    if why := _waits(finance, payment, promised=promised):
        return Settled(_with(finance, payment._replace(suspended=payment.amount, reason=why)), Verdict.EARLY, why)
    if not payment.notice and not finance.generation:
        return Settled(_with(finance, payment._replace(fee=payment.amount)), Verdict.APPLIED)
    finance, payment = _of_statements(finance, payment)
    if not _unplaced(payment):
        return Settled(_with(finance, payment), Verdict.APPLIED)
    placed, refunds = _put(finance, payment, exact=exact)
    verdict = Verdict.SUSPENDED if placed.suspended else Verdict.APPLIED
    after, more = taken_over(with_paid(_with(finance, placed)))
    return Settled(after, verdict, placed.reason, (*refunds, *more))


def given_up(finance: Finance, reference: str) -> Finance:
    """Nothing came that held money waited for: now it waits for a person."""
    return replace(
        finance,
        payments=tuple(
            each._replace(reason=WINDOW_OVER) if each.reference == reference and each.reason in HELD else each
            for each in finance.payments
        ),
    )


def _waits(finance: Finance, payment: Payment, *, promised: bool) -> str:
    """What a payment waits for; empty if for nothing. ``promised``: its start (INIT) is. The payment platform of the
    national portal announces each payment under the collecting side's code (MaDoiTac, v1.0.6); a gateway's own call
    (VNPAY's IPN) and cash at the counter have none, and evidence is no confirmation.
    """
    if promised and payment.reference not in finance.started:
        return NOT_STARTED
    known = finance.notice(payment.notice) if payment.notice else finance.latest or not finance.generation
    return "" if known else NOTICE_UNKNOWN


def _with(finance: Finance, payment: Payment) -> Finance:
    return replace(finance, payments=(*finance.payments, payment))


def _unplaced(payment: Payment) -> int:
    """What of a payment has no place yet."""
    placed = allocated_of(payment) + carried_of(payment)
    return payment.amount - placed - payment.refunded - payment.suspended - payment.fee


def _of_statements(finance: Finance, payment: Payment) -> tuple[Finance, Payment]:
    """Without as much of what the treasury alone had stated of a notice: now its payment itself is known. What the
    notice had got of it is placed anew; what was given back or taken over meanwhile stays so, under the payment's name.
    """
    left, kept = payment.amount if payment.notice else 0, []
    for each in finance.payments:
        stated = each.reference.startswith(_STATEMENT) and each.notice == payment.notice
        gone, rest = _split(each, min(left, each.amount) if stated else 0)
        left -= gone.amount
        kept += [rest] if rest.amount else []
        if gone.amount and each.allocated != ((each.notice, each.amount),):
            payment = payment._replace(
                allocated=(*payment.allocated, *gone.allocated),
                carried=(*payment.carried, *gone.carried),
                refunded=payment.refunded + gone.refunded,
                reason=gone.reason,
            )
    return with_paid(replace(finance, payments=tuple(kept))), payment


def _split(payment: Payment, amount: int) -> tuple[Payment, Payment]:
    """So much of what the treasury stated, and the rest of it."""
    refunded = min(amount, payment.refunded)
    carried, still = cut(payment.carried, amount - refunded)
    allocated, others = cut(payment.allocated, amount - refunded - sum(part for _, part in carried))
    gone = payment._replace(amount=amount, refunded=refunded, carried=carried, allocated=allocated)
    left, back = payment.amount - amount, payment.refunded - refunded
    return gone, payment._replace(amount=left, refunded=back, carried=still, allocated=others)


def cut(parts: _Parts, amount: int) -> tuple[_Parts, _Parts]:
    """So much of these parts, the first first, and the rest."""
    taken, kept = list[tuple[str, int]](), list[tuple[str, int]]()
    for number, part in parts:
        mine = min(part, amount)
        amount -= mine
        taken += [(number, mine)] if mine else []
        kept += [(number, part - mine)] if mine < part else []
    return tuple(taken), tuple(kept)


def _put(finance: Finance, payment: Payment, *, exact: bool) -> tuple[Payment, tuple[Refund, ...]]:
    """A payment with what had no place yet, or was suspended, in its place."""
    amount = _unplaced(payment) + payment.suspended
    placed = _placed(finance, Payment(*payment[:3], amount), exact=exact)
    put = placed._replace(
        amount=payment.amount,
        allocated=(*payment.allocated, *placed.allocated),
        carried=(*payment.carried, *placed.carried),
        refunded=payment.refunded + placed.refunded,
        reason=placed.reason or payment.reason,
    )
    return put, (refund_of(put, placed.refunded),) if placed.refunded else ()


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
    if notice is not None and notice.state is NoticeState.VOID and finance.takes_over:
        return payment._replace(carried=((notice.number, payment.amount),), reason=VOID_NOTICE)
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


def resumed(finance: Finance) -> tuple[Finance, tuple[Refund, ...]]:
    """Carried money whose new notice has come; then suspended payments whose amount fits by now, or whose notice is
    void. What is held is judged with its event.
    """
    finance, over = taken_over(finance)
    for place, payment in enumerate(finance.payments):
        unknown = payment.notice and finance.notice(payment.notice) is None
        if not payment.suspended or payment.reason in HELD | {IN_PART} or unknown:
            continue
        placed, mine = _put(with_paid(finance), payment._replace(reason=""), exact=True)
        if not placed.suspended:
            payments = (*finance.payments[:place], placed, *finance.payments[place + 1 :])
            after, refunds = resumed(with_paid(replace(finance, payments=payments)))
            return after, (*over, *mine, *refunds)
    return finance, over


def _same(payments: Iterable[Payment], new: Payment) -> Payment | None:
    for payment in payments:
        if payment.reference == new.reference or (new.transaction and payment.transaction == new.transaction):
            return payment
    return None
