"""Which events move money, what they do to the obligation, and how long money may wait for a word. Pure."""

from __future__ import annotations

from typing import Final

from router.procedures import decisions, finance, payments
from router.procedures.definition import Definition
from router.procedures.duration import Duration
from router.procedures.instance import Early, Event
from router.procedures.obligation import NOT_STARTED, NOTICE_UNKNOWN, Finance, Settled

#: How long a confirmation waits for the start of its payment.
START_WINDOW: Final = Duration.read("24 hours")
WAITS: Final = frozenset({NOTICE_UNKNOWN, NOT_STARTED, finance.REQUEST_UNKNOWN})


def settled(now: Finance, event: Event) -> Settled | None:
    """What the event makes of the money; None if it is about something else."""
    facts = event.facts
    match event.type:
        case "tax.obligation_requested":
            return finance.requested(now, str(facts["number"]), int(facts["generation"]))
        case "tax.obligation_returned":
            return finance.returned(now, facts.get("generation"))
        case "tax.notice_issued":
            return finance.noticed(now, facts)
        case "tax.obligation_completed":
            return payments.completed(now, str(facts["notice"]), int(facts["amount"]))
        case "payment.confirmed" | "payment.evidenced":
            return payments.paid(now, facts)
        case decisions.RELEASED | decisions.REFUNDED:
            return decisions.decided(now, event.type, facts)
    return None


def moves_money(event: Event) -> bool:
    """Whether the event may come wherever the dossier stands, also after its end."""
    named = ("tax.notice_issued", "tax.obligation_completed", decisions.RELEASED, decisions.REFUNDED)
    return event.type.startswith("payment.") or event.type in named


def patience(early: Early, definition: Definition) -> Duration:
    """How long an early event is kept. Money has moved already: it waits for days, and a person is told after the
    window of other events.
    """
    if early.reason not in WAITS or not early.alerted:
        return definition.early_window
    return START_WINDOW if early.reason == NOT_STARTED else definition.money_window
