"""The dossier's own life in an instance: its status against the table, the facts that are counted, odd claims. Pure."""

from __future__ import annotations

from dataclasses import replace
from datetime import date, datetime
from typing import Final

from router.procedures import dues
from router.procedures.definition import Definition
from router.procedures.dues import CLOSING, VIETNAM, Clockwork, micros
from router.procedures.instance import Dossier, Due, Event, Instance, Move
from router.procedures.status import DONE, TERMINAL, Status, may_follow, transitions
from router.procedures.verdict import Verdict

CORRECTED: Final = "dossier.corrected"
INTEGRITY_WARNING: Final = "integrity_warning"
EXACT_TO: Final = 60_000_000  # µs; partners state times in whole seconds or minutes
SECOND_EXTENSION: Final = "second_extension"
NO_LATER_DATE: Final = "no_later_date"
ANSWERED: Final = "dossier.supplement_answered"
PROGRESSED: Final = "dossier.progressed"
#: What is said of a land file whose work is over, or goes back to the one-stop: no processing.
LAND_DONE: Final = frozenset({"land.supplement_answered", "land.finished", "land.result_returned",
                              "land.result_disputed"})  # fmt: skip

#: How far a dossier is: an older status of any source that is no further than the one known brings nothing back.
_PROGRESS: Final = {
    Status.NONE: 0, Status.SUBMITTED: 1, Status.ACCEPTED: 2, Status.PROCESSING: 3, Status.SUPPLEMENT_REQUESTED: 3,
    Status.FINANCIAL_OBLIGATION: 3, Status.STOPPED: 3, Status.RESULT_READY: 4, Status.RESULT_RETURNED: 5,
    Status.NOT_ACCEPTED: 5, Status.WITHDRAWN: 5,
}  # fmt: skip


def judged(instance: Instance, event: Event) -> tuple[Verdict | None, str]:
    """What the table says of an event's status; None for one that has none."""
    stated = event.facts.get("status")
    if stated is None:
        return None, ""
    now, following = Status(instance.status), Status(stated)
    older = event.occurred_at < instance.status_at
    if event.type == CORRECTED and event.facts.get("corrects"):
        return (Verdict.LATE_IGNORED, "older") if older else (Verdict.APPLIED, "correction")
    if following is now:
        return Verdict.NOTED, "same_status"
    if older and (event.source == instance.status_source or _PROGRESS[following] <= _PROGRESS[now]):
        return Verdict.LATE_IGNORED, "older"
    if following is Status.SUBMITTED and instance.dossier.accepted_at:
        return Verdict.LATE_IGNORED, "older"
    if may_follow(now, following):
        return Verdict.APPLIED, ""
    if older or following is Status.SUBMITTED:
        return Verdict.LATE_IGNORED, "older"
    if now in TERMINAL:
        return Verdict.ILLEGAL, f"status {following} after {now}: needs a correction with reason and authority"
    if following in _ahead(now):
        return Verdict.EARLY, f"status {following} after {now}"
    return Verdict.ILLEGAL, f"status {following} after {now}"


def as_meant(instance: Instance, event: Event) -> Event:
    """An answer to a supplement says 4; before acceptance it leads back to where the dossier was: submitted."""
    if event.type != ANSWERED or instance.dossier.accepted_at:
        return event
    return event._replace(facts={**event.facts, "status": int(Status.SUBMITTED)})


def _ahead(now: Status) -> set[Status]:
    found: set[Status] = set()
    front = set(transitions()[now])
    while front:
        found |= front
        front = {after for each in front for after in transitions()[each]} - found
    return found


def applied(
    instance: Instance, event: Event, verdict: Verdict | None, clockwork: Clockwork, definition: Definition
) -> Instance:
    """The instance with a snapshot's status and facts; with a repeated status only the facts are taken."""
    facts, at = event.facts, event.occurred_at
    status = Status(facts["status"])
    known = instance.dossier
    known = replace(
        known,
        code=facts.get("code") or known.code,
        procedure=facts.get("procedure") or known.procedure,
        sector=facts.get("sector") or known.sector,
        agency=facts.get("agency") or known.agency,
        channel=_told(facts.get("channel"), known.channel),
        level=_told(facts.get("level"), known.level),
        received_at=known.received_at or facts.get("submitted_at") or facts.get("accepted_at") or at,
    )
    if verdict is not Verdict.APPLIED:
        if status in DONE and status == instance.status and not known.finished_at:  # ready once more
            known = replace(known, finished_at=facts.get("finished_at") or at)
        later = dues.stated(instance.due, at, int(facts.get("due_at") or 0))
        return replace(instance, dossier=known, due=later)
    due = instance.due
    if status in (Status.ACCEPTED, Status.PROCESSING) and not known.accepted_at:
        known = replace(known, accepted_at=facts.get("accepted_at") or at)
        here, claimed = clockwork.at(known.agency), int(facts.get("due_at") or 0)
        due = dues.accepted(due, here, definition.budget_of(known.agency), known.accepted_at, claimed)
    else:
        due = dues.stated(due, at, int(facts.get("due_at") or 0))
    if status is Status.SUPPLEMENT_REQUESTED:
        known = replace(known, supplement_rounds=known.supplement_rounds + 1)
    if status in DONE or status in TERMINAL:
        known = replace(known, finished_at=known.finished_at or facts.get("finished_at") or at)
        if status is Status.RESULT_RETURNED:
            known = replace(known, returned_at=facts.get("returned_at") or at)
    elif known.finished_at:  # rework, or a correction back to work
        known, due = made_again(known, due, clockwork, at)
    if new := facts.get("new_due_date"):
        due = _new_date(due, at, date.fromisoformat(new))
    return replace(
        instance,
        status=int(status),
        status_at=max(at, instance.status_at),
        status_source=event.source,
        dossier=known,
        due=due,
    )  # fmt: skip


def made_again(known: Dossier, due: Due, clockwork: Clockwork, at: int) -> tuple[Dossier, Due]:
    """A dossier whose result has to be made again, and its due dates."""
    given = dues.given_back(due, clockwork.at(known.agency), known.finished_at, at)
    return replace(known, finished_at=0, returned_at=0), given


def _new_date(due: Due, at: int, to: date) -> Due:
    """The one-stop's new date in a supplement round; the hour stays."""
    before = dues.due_at(due.whole)
    clock = dues.local(before).timetz() if before else CLOSING.replace(tzinfo=VIETNAM)
    end = micros(datetime.combine(to, clock))
    return due if end == before else replace(due, whole=(*due.whole, Move(at, end, dues.SUPPLEMENT)))


def _told(stated: object, known: str) -> str:
    return str(stated) if stated and stated != "UNKNOWN" else known


def seen(instance: Instance, event: Event, verdict: Verdict) -> Instance:
    """The last time the dossier was seen being processed, and whether its end is claimed to be before that."""
    known = instance.dossier
    if odd_end(instance, event):
        known = replace(known, integrity_warning=True)
    if verdict in (Verdict.APPLIED, Verdict.LATE_IGNORED) or event.type == PROGRESSED:
        known = replace(known, processed_at=max(known.processed_at, _processed_at(event)))
    return replace(instance, dossier=known)


def _processed_at(event: Event) -> int:
    """When the event says that the dossier was being processed; 0 if it says nothing of that."""
    if event.type == PROGRESSED:
        return 0 if event.facts.get("line_status") in DONE else int(event.facts["processed_at"])
    at_work = event.type.startswith("land.") and event.type not in LAND_DONE
    return event.occurred_at if at_work or event.facts.get("status") == Status.PROCESSING else 0


def odd_end(instance: Instance, event: Event) -> bool:
    """Whether end and processing contradict each other: an end claimed before the dossier was last seen being
    processed, or on an earlier day than the end that is known; or processing seen after the end.
    """
    known = instance.dossier
    if claimed := event.facts.get("finished_at") or 0:
        before = known.finished_at > 0 and dues.day_of(claimed) < dues.day_of(known.finished_at)
        return before or dues.older(claimed, known.processed_at - EXACT_TO)
    seen_at = _processed_at(event)
    return bool(seen_at and known.finished_at) and dues.older(known.finished_at, seen_at - EXACT_TO)


def warnings(instance: Instance, event: Event, verdict: Verdict) -> tuple[str, ...]:
    """Flags for the log beside the verdict."""
    odd = verdict is not Verdict.ILLEGAL and odd_end(instance, event)
    return (INTEGRITY_WARNING,) if odd else ()


def prepaid(instance: Instance, event: Event) -> Instance:
    """A fee that is paid before reception: the dossier counts as submitted from then on."""
    known = instance.dossier
    if (
        not event.type.startswith("payment.")
        or known.accepted_at
        or not known.received_at
        or instance.finance.generation
        or instance.finance.closed
    ):
        return instance
    received_at = max(known.received_at, int(event.facts["paid_at"]))
    return replace(instance, dossier=replace(known, received_at=received_at))


def apologised(instance: Instance, event: Event) -> tuple[Instance, str]:
    """An apology was sent, for the due date as it stands; it may set a new date, once. With it a flag for the log if
    the date it names is not taken.
    """
    before = instance.due
    due = replace(before, apology_at=event.facts["sent_at"], apologised=dues.due_at(before.whole))
    flag = ""
    if new := event.facts.get("new_due_date"):
        due = dues.extended(due, event.occurred_at, date.fromisoformat(new))
        if due.whole == before.whole:
            flag = SECOND_EXTENSION if before.extended else NO_LATER_DATE
    return replace(instance, due=due), flag
