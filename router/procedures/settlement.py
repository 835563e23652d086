"""Money of a step: what was settled is kept, refunds are asked for, and who gets no result owes nothing."""

from __future__ import annotations

from dataclasses import replace

from router.procedures import finance, payments, signals
from router.procedures.instance import Early
from router.procedures.obligation import WINDOW_OVER, Settled
from router.procedures.signs import PAYMENT_SUSPENDED
from router.procedures.status import GIVES_BACK, Status
from router.procedures.takeover import left_over
from router.procedures.verdict import Verdict
from router.procedures.working import Working


def settle(work: Working, settled: Settled) -> None:
    """Keep what was made of the money, ask for its refunds, and tell of what a person has to decide."""
    before, after = work.instance.finance.undecided, settled.finance.undecided
    work.instance = replace(work.instance, finance=settled.finance)
    code, agency = work.instance.dossier.code, work.instance.dossier.agency
    work.emit(*(signals.refund(code, agency, each, work.now) for each in settled.refunds))
    if after != before and (after or before):
        detail = f"{sum(after.values())} đồng: {settled.reason or ', '.join(after)}"
        work.alert(PAYMENT_SUSPENDED, code, detail, raised=bool(after))


def give_back(work: Working, reason: str) -> None:
    """Notices are void, and all that was paid is given back."""
    settle(work, finance.given_back(work.instance.finance, reason))


def give_back_rest(work: Working) -> None:
    """The instance has ended: what is still carried waits for no notice any more."""
    left, refunds = left_over(work.instance.finance)
    settle(work, Settled(left, Verdict.APPLIED, "", refunds))


def give_up(work: Working, early: Early) -> None:
    """The window of money that came early is over: it is held for a person."""
    held = payments.given_up(work.instance.finance, str(early.event.facts.get("reference", "")))
    settle(work, Settled(held, Verdict.SUSPENDED, WINDOW_OVER))


def follow_status(work: Working, status: Verdict | None) -> None:
    """Who is refused or withdraws owes nothing, whatever the definition says; after a correction it may again.
    ``status`` is the verdict on the status of the event at hand.
    """
    closed = work.instance.finance.closed
    if status is Verdict.APPLIED and work.instance.status in GIVES_BACK and not closed:
        give_back(work, GIVES_BACK[Status(work.instance.status)])
    elif status is Verdict.APPLIED and work.instance.status not in GIVES_BACK and closed:
        work.instance = replace(work.instance, finance=finance.reopened(work.instance.finance))
