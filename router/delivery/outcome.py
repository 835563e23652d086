"""What follows from an attempt: pure decisions over values.

``after_call`` and ``after_check`` turn what a connector did into the next state of the delivery and into what else has
to happen (a reply to the sender, a dead letter, a stopped recipient). Nothing here waits, calls or stores.
"""

from __future__ import annotations

import traceback
from collections.abc import Mapping
from dataclasses import dataclass, replace
from hashlib import blake2b
from pathlib import PurePath
from typing import Any, Final, NamedTuple

from router.delivery.health import LANES_TO_JUDGE
from router.errors import CodecError, UnknownSchema
from router.ledger.rows import Delivery, Failure, State
from router.ledger.texts import storable
from router.masking import mask
from router.sdk.manifest import Idempotency, Operation, Retry
from router.sdk.outcomes import Checked, Closed, Outcome, Receipt, Throttled
from router.sdk.outcomes import Failure as SdkFailure

SECOND: Final = 1_000_000
UNKNOWN_SCHEMA_PAUSE: Final = 60 * SECOND
UNKNOWN_SCHEMA_PATIENCE: Final = 86_400 * SECOND
LONGEST_THROTTLE: Final = 3_600.0  # seconds
LONGEST_CLOSING: Final = 86_400 * SECOND
CHECK_BUDGET: Final = 5
CHECK_UNANSWERED: Final = "check_unanswered"
MESSAGE_LIMIT: Final = 2_000
CODE_LIMIT: Final = 200
AGING: Final = 3_600 * SECOND  # after this a head that still fails is worth an alert
AGING_ALERT: Final = "aging"
UNKNOWN_SCHEMA_ALERT: Final = "unknown_schema"


@dataclass(frozen=True, slots=True)
class Facts:
    """What is known around the attempt: when it ``started`` and what time it is ``now`` (UTC µs).

    ``passing``: other lanes of this recipient succeeded since this head's last attempt. ``active_lanes``: lanes of
    this recipient that were called lately. ``down``: the recipient is held for an outage. ``open_since``: since when
    it has been at work, its last outage or hold being over. ``jitter`` in [0, 1).
    """

    now: int
    started: int
    passing: bool
    active_lanes: int
    jitter: float
    down: bool = False
    open_since: int = 0

    @property
    def judged(self) -> bool:
        """Whether poison can be told from an outage: enough lanes at work, and another one passing."""
        return self.passing and self.active_lanes >= LANES_TO_JUDGE and not self.down


@dataclass(frozen=True, slots=True)
class Next:
    """The decision: a new state; whether a ``reply`` is due, the recipient is to ``stop``, an ``alert`` is raised."""

    state: State
    due: int | None = None
    spent: int = 0
    failure: Failure | None = None
    receipt: Mapping[str, Any] | None = None
    reply: bool = False
    stop: bool = False
    alert: str = ""

    @property
    def dead_letter(self) -> bool:
        """Whether a person has to look at it."""
        return self.state is State.DEAD or self.state is State.UNCERTAIN


class Work(NamedTuple):
    """One delivery at one recipient's operation, with its retry policy."""

    recipient: str
    delivery: Delivery
    operation: Operation
    retry: Retry


def after_call(work: Work, answer: Receipt | BaseException, facts: Facts) -> Next:
    """What follows a call of ``deliver`` that ended with a receipt or an exception."""
    spent = work.delivery.spent
    if (taken := accepted(work, answer)) is not None:
        return taken
    assert not isinstance(answer, Receipt)
    failure = describe(work, answer)
    match Outcome(failure.outcome):
        case Outcome.REJECTED:
            receipt = {"code": failure.partner_code, "reason": failure.reason, "message": failure.message}
            return Next(State.REJECTED, spent=spent, failure=failure, receipt=receipt, reply=True)
        case Outcome.THROTTLED | Outcome.CLOSED:
            return _speaking(work, facts, Next(State.WAITING, asked(answer, facts.now), spent, failure))
        case Outcome.UNAUTHORISED:
            return Next(State.WAITING, None, spent, failure, stop=True)
        case Outcome.INVALID:
            return Next(State.DEAD, None, spent, failure)
        case Outcome.UNKNOWN_SCHEMA:
            return _unknown_schema(work, failure, facts)
        case Outcome.UNCERTAIN:
            return _uncertain(work, failure, facts)
        case Outcome.UNCLASSIFIED:
            return _again(work, failure, facts, work.retry.unclassified_budget)
        case _:
            return _again(work, failure, facts, work.retry.budget)


def accepted(work: Work, answer: Receipt | BaseException) -> Next | None:
    """What follows a receipt, for which nothing around the attempt matters; None for a failure."""
    if not isinstance(answer, Receipt):
        return None
    state = State.DUPLICATE if answer.duplicate else State.DELIVERED
    return Next(state, spent=work.delivery.spent, receipt=receipt_of(answer))


def after_check(work: Work, checked: Checked | BaseException, facts: Facts) -> Next:
    """What follows asking the partner whether it took an event whose call was cut off."""
    spent = work.delivery.spent
    if checked is Checked.DONE:
        return Next(State.DELIVERED, spent=spent, receipt={"code": "checked", "message": "", "reference": ""})
    if checked is Checked.NOT_DONE:
        return Next(State.WAITING, None, 0, work.delivery.failure)
    failure = work.delivery.failure or describe(work, TimeoutError())
    if isinstance(checked, BaseException) and describe(work, checked).outcome == Outcome.UNAUTHORISED:
        return Next(State.CALLING, facts.now + delay(work.retry, 1, facts.jitter), spent, failure, stop=True)
    if spent + 1 >= CHECK_BUDGET:
        return Next(State.UNCERTAIN, None, spent + 1, replace(failure, reason=CHECK_UNANSWERED))
    return Next(State.CALLING, facts.now + delay(work.retry, spent + 1, facts.jitter), spent + 1, failure)


def resume_calling(work: Work) -> Next | None:
    """A head found in mid-call: ask the partner (None), or leave it to a person where it cannot be asked."""
    if work.operation.idempotency is Idempotency.NONE:
        failure = work.delivery.failure or describe(work, TimeoutError())
        return Next(State.UNCERTAIN, None, work.delivery.spent, replace(failure, reason="stopped_in_call"))
    return None


def over(head: Delivery, following: Next, now: int) -> list[str]:
    """Alerts of a recipient to clear, now that a head that failed waits no more; what else waits raises its own again
    at its next try.
    """
    if head.failure is None or following.state in (State.WAITING, State.CALLING):
        return []
    names = [AGING_ALERT] if now - (head.first_at or now) > AGING else []
    return [*names, UNKNOWN_SCHEMA_ALERT] if head.failure.outcome == Outcome.UNKNOWN_SCHEMA else names


def delay(retry: Retry, spent: int, jitter: float) -> int:
    """Exponential pause before the next attempt in µs: half of it fixed, half by jitter."""
    seconds = min(retry.longest_delay, retry.first_delay * retry.factor ** min(max(spent - 1, 0), 60))
    return int(seconds * SECOND * (0.5 + jitter / 2))


def describe(work: Work, error: BaseException) -> Failure:
    """The failure as it is stored: masked, cut, of storable texts alone, with the place in the code where nothing
    better is known.
    """
    place = ""
    if isinstance(error, SdkFailure):
        outcome, reason, code, message = error.outcome, error.reason, error.code, error.message
    elif isinstance(error, UnknownSchema):
        outcome, reason, code, message = Outcome.UNKNOWN_SCHEMA, "unknown_schema", "", str(error)
    elif isinstance(error, CodecError):
        outcome, reason, code, message = Outcome.INVALID, "poison", "", str(error)
    elif isinstance(error, TimeoutError):
        outcome, reason, code, message = Outcome.UNCERTAIN, "call_timeout", "", "the call was cut off at its limit"
    else:
        outcome, reason, place = Outcome.UNCLASSIFIED, "unclassified", place_of(error)
        code = str(getattr(error, "code", "") or "")
        message = f"{type(error).__name__}: {error}"
    failure = Failure(str(outcome), _code(reason), _code(code), _words(message), storable(place))
    return replace(failure, cause=fingerprint(work.recipient, work.operation.name, failure))


def fingerprint(recipient: str, operation: str, failure: Failure) -> str:
    """The cause by which dead letters are grouped: recipient, operation, reason, partner code, place."""
    parts = (recipient, operation, failure.reason, failure.partner_code, failure.place)
    return blake2b("\x00".join(parts).encode(), digest_size=6).hexdigest()


def place_of(error: BaseException) -> str:
    """``file:line function`` of the innermost frame of an exception."""
    frames = traceback.extract_tb(error.__traceback__)
    return f"{PurePath(frames[-1].filename).name}:{frames[-1].lineno} {frames[-1].name}" if frames else ""


def receipt_of(receipt: Receipt) -> dict[str, Any]:
    """A receipt as it is stored: a connector may have put into it whatever its partner's JSON held."""
    details = {
        _code(name): value if isinstance(value, int) else storable(str(value))[:MESSAGE_LIMIT]
        for name, value in receipt.details.items()
    }
    return {
        "code": _code(receipt.code),
        "message": _words(receipt.message),
        "reference": _code(receipt.reference),
        **({"details": details} if details else {}),
    }


def _code(value: object) -> str:
    return storable(str(value))[:CODE_LIMIT] if value else ""


def _words(value: object) -> str:
    return mask(storable(str(value)))[:MESSAGE_LIMIT] if value else ""


def asked(answer: BaseException, now: int) -> int | None:
    """Until when (UTC µs) a partner asks to be left alone; None if it does not.

    Nothing that a partner says keeps it unasked for longer than an hour (Retry-After) or a day (a closing): an answer
    may be a slip, or a gateway's. Nor does it make us ask again in less than a second.
    """
    if isinstance(answer, Throttled):
        return now + int(min(max(answer.seconds, 1.0), LONGEST_THROTTLE) * SECOND)
    if isinstance(answer, Closed):
        return min(max(int(answer.until.timestamp() * SECOND), now + SECOND), now + LONGEST_CLOSING)
    return None


def _again(work: Work, failure: Failure, facts: Facts, budget: int | None) -> Next:
    """Try later. The budget is spent only while the recipient works for others, and kills only where that is known."""
    spent = work.delivery.spent + 1 if facts.passing else max(work.delivery.spent, 1)
    if budget is not None and spent >= budget and facts.judged:
        reason = failure.reason if failure.outcome == Outcome.UNCLASSIFIED else "exhausted"
        return Next(State.DEAD, None, spent, replace(failure, reason=reason))
    due = facts.now + delay(work.retry, max(spent, work.delivery.attempts), facts.jitter)
    return _aged(work, facts, Next(State.WAITING, due, spent, failure))


def _uncertain(work: Work, failure: Failure, facts: Facts) -> Next:
    match work.operation.idempotency:
        case Idempotency.NATURAL_KEY:
            return _again(work, failure, facts, work.retry.budget)
        case Idempotency.CHECKED:
            due = facts.started + int(work.operation.timeout * SECOND)
            return Next(State.CALLING, max(due, facts.now), 0, failure)
        case _:
            return Next(State.UNCERTAIN, None, work.delivery.spent, failure)


def _unknown_schema(work: Work, failure: Failure, facts: Facts) -> Next:
    if _worked(work, facts) > UNKNOWN_SCHEMA_PATIENCE:
        return Next(State.DEAD, None, work.delivery.spent, failure)
    due = facts.now + UNKNOWN_SCHEMA_PAUSE
    return Next(State.WAITING, due, work.delivery.spent, failure, alert=UNKNOWN_SCHEMA_ALERT)


def _aged(work: Work, facts: Facts, following: Next) -> Next:
    """A maximal age ends in a dead letter a person sees, never silently: only where the recipient passes others, and
    counted only while it was at work, so that no outage, hold or night kills.
    """
    limit = work.retry.maximal_age
    if limit is None or following.failure is None or not facts.judged or _worked(work, facts) <= limit * SECOND:
        return _speaking(work, facts, following)
    return Next(State.DEAD, None, following.spent, replace(following.failure, reason="expired_age"))


def _speaking(work: Work, facts: Facts, following: Next) -> Next:
    """With an alert where a head fails for long and nothing else would tell a person."""
    waited = facts.now - (work.delivery.first_at or facts.started)
    return replace(following, alert=AGING_ALERT) if waited > AGING and not facts.down else following


def _worked(work: Work, facts: Facts) -> int:
    """How long (µs) a head has failed at a recipient that was at work."""
    return facts.now - max(work.delivery.first_at or facts.started, facts.open_since)
