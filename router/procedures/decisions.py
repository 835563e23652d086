"""What a person decides about money that has no place: it goes to a notice, or back. Pure.

A decision is an order, and stands in the instance's log like an event. Its facts: ``order`` (its number),
``reference`` of the payment, ``expected`` (what of it waited when the person looked), ``amount`` if it is about a part,
and ``notice`` if the money is released to one.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Final

from router.procedures.notices import refund_of, with_paid
from router.procedures.obligation import IN_PART, Finance, Payment, Settled, carried_of
from router.procedures.payments import cut
from router.procedures.verdict import Verdict

RELEASED: Final = "order.money_released"
REFUNDED: Final = "order.money_refunded"


def waiting(payment: Payment) -> int:
    """What of a payment has no place: suspended, held, or carried over to notices that are to come."""
    return payment.suspended + carried_of(payment)


def decided(finance: Finance, kind: str, facts: Mapping[str, Any]) -> Settled:
    """What a decision makes of the money. One that cannot be carried out changes nothing: ``noted``, and why."""
    payment = next((each for each in finance.payments if each.reference == facts["reference"]), None)
    number = str(facts.get("notice") or "")
    if payment is None or (why := _refused(finance, payment, kind, number, facts)):
        return Settled(finance, Verdict.NOTED, why if payment is not None else "there is no such payment")
    amount = int(facts.get("amount") or waiting(payment))
    notice = finance.notice(number)
    part = min(finance.open(notice), amount) if kind == RELEASED and notice is not None else 0
    from_suspended = min(payment.suspended, amount)
    _, carried = cut(payment.carried, amount - from_suspended)
    after = payment._replace(
        suspended=payment.suspended - from_suspended,
        carried=carried,
        allocated=(*payment.allocated, (number, part)) if part else payment.allocated,
        refunded=payment.refunded + amount - part,
    )
    over = "overpaid" if part else "refunded_by_order"
    back = (refund_of(after._replace(reason=over), amount - part),) if amount > part else ()
    after = after._replace(reason=IN_PART if after.suspended else over if back else "released")
    payments = tuple(after if each is payment else each for each in finance.payments)
    return Settled(with_paid(replace(finance, payments=payments)), Verdict.APPLIED, "", back)


def _refused(finance: Finance, payment: Payment, kind: str, number: str, facts: Mapping[str, Any]) -> str:
    """Why a decision cannot be carried out; empty if it can."""
    there, amount = waiting(payment), int(facts.get("amount") or 0)
    if not there:
        return "nothing of this payment waits"
    if int(facts.get("expected") or there) != there:
        return f"{there} đồng of this payment wait by now, not {facts['expected']}: look again"
    if not 0 <= amount <= there:
        return f"{there} đồng of this payment wait, not {amount}"
    if kind != RELEASED:
        return ""
    notice = finance.notice(number)
    if notice is None:
        known = ", ".join(each.number for each in finance.notices if finance.open(each))
        return f"there is no notice {number} (open are: {known or 'none'})"
    return "" if finance.open(notice) else f"notice {number} is {notice.state}: nothing is owed for it"
