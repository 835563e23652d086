"""One call of a connector: from a lane's head to the change that records what came of it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, NamedTuple, TypeVar

from aiolimiter import AsyncLimiter
from tenacity import AsyncRetrying, RetryCallState, retry_if_result, stop_after_attempt, wait_exponential

from router.delivery import emissions
from router.delivery.health import LANES_TO_JUDGE, Health
from router.delivery.limited import limited
from router.delivery.opening import ALWAYS, Opening
from router.delivery.outcome import (
    Facts,
    Next,
    Work,
    accepted,
    after_call,
    after_check,
    asked,
    describe,
    place_of,
    resume_calling,
)
from router.delivery.presented import event_of
from router.ledger.rows import Attempt, Body, Delivery, Emission, Shard, State, Transition
from router.ports import Clock, Ids
from router.sdk.connector import Connector
from router.sdk.event import Event
from router.sdk.manifest import Idempotency, Manifest, Operation
from router.sdk.outcomes import Checked, Invalid, Outcome, Receipt, Transient, Uncertain

R = TypeVar("R")

PROBE_LIMIT: Final = 30.0  # seconds a partner may take to say that it answers
IN_PLACE_WAIT: Final = wait_exponential(multiplier=0.2, max=2)
_NO_OPERATION: Final = Operation(name="none", events=(), idempotency=Idempotency.NATURAL_KEY)


Log = Callable[[str, Mapping[str, object]], None]


def _silent(_event: str, _facts: Mapping[str, object]) -> None:
    """No log."""


class NotStarted(Exception):
    """The lease ran out or the recipient was stopped before the request was made."""


@dataclass(slots=True)
class Recipient:
    """A configured recipient as this process runs it.

    ``concurrency`` calls at once and ``rate`` calls a second (0: no limit) are what all processes together may make;
    ``slots`` and ``limiter`` are this process's part.
    """

    id: str
    connector: Connector[Any]
    manifest: Manifest
    concurrency: int
    rate: float = 0.0
    opening: Opening = ALWAYS
    health: Health = field(default_factory=Health)
    wake: asyncio.Event = field(default_factory=asyncio.Event)
    slots: int = field(init=False)
    limiter: AsyncLimiter | None = field(init=False)

    def __post_init__(self) -> None:
        self.share(1, 1)

    @property
    def ordinary(self) -> int:
        """How many of the slots serve any lane; the others are kept for urgent ones."""
        return self.slots - min(self.manifest.limits.urgent_reserved, self.slots - 1)

    def share(self, owned: int, partitions: int) -> None:
        """Take a part of concurrency and rate as large as this process's part of the recipient's shards: a shard has
        one owner, so all parts together are never more than the whole. One call at a time is the least.
        """
        owned = max(1, owned)
        self.slots = max(1, self.concurrency * owned // partitions)
        rate = self.rate * owned / partitions
        self.limiter = AsyncLimiter(max(1.0, rate), max(1.0, rate) / rate) if rate else None


@dataclass(frozen=True, slots=True)
class Kit:
    """What calls share: clock, ids, payload decoder, the reply's encoder, the sender's recipient, and the log."""

    clock: Clock
    ids: Ids
    decode: Callable[[bytes], Mapping[str, Any]]
    encode_reply: Callable[[Mapping[str, Any]], bytes]
    reply_to: Callable[[str], str]
    log: Log = _silent


class Called(NamedTuple):
    """What came of a call: the change to commit, and what else follows."""

    transition: Transition
    outcome: str
    following: Next
    started: int


def work_of(recipient: Recipient, head: Delivery) -> Work:
    """A head with the operation and retry policy that serve it."""
    operation = recipient.manifest.operation_for(head.event_type) or _NO_OPERATION
    return Work(recipient.id, head, operation, recipient.manifest.retry_of(operation))


def mark_of(work: Work, now: int) -> Transition:
    """The durable mark before a call that may not be repeated blindly: due when the partner may be asked."""
    due = now + int(work.operation.timeout * 1_000_000)
    return _transition(work.delivery, Next(State.CALLING, due, work.delivery.spent), attempts=0, now=now)


async def call(
    kit: Kit, recipient: Recipient, work: Work, body: Body, may_start: Callable[[], bool], *, probe: bool = False
) -> Called:
    """Hand the head to the connector and decide what follows. Raises ``NotStarted``."""
    head, started = work.delivery, kit.clock.now()
    answer = await _deliver(kit, recipient, work, event_of(head, body, kit.decode), may_start)
    if isinstance(answer, NotStarted):
        raise answer
    now = kit.clock.now()
    outcome = _learn(kit, recipient, work, answer, now, probe=probe)
    following = accepted(work, answer) or after_call(work, answer, _facts(kit, recipient, head, started, now))
    return _called(head, following, outcome, started, now)


async def resume(
    kit: Kit, recipient: Recipient, work: Work, body: Body, may_start: Callable[[], bool], *, probe: bool = False
) -> Called:
    """A head that was found in mid-call: ask the partner about it, or leave it to a person. Raises ``NotStarted``."""
    head, started = work.delivery, kit.clock.now()
    left = resume_calling(work)
    if left is not None:
        return _called(head, left, Outcome.UNCERTAIN, started, started)
    if not may_start():
        raise NotStarted
    asking = recipient.connector.check(event_of(head, body, kit.decode))
    checked = await _answer(asking, work.operation.timeout)
    now = kit.clock.now()
    if isinstance(checked, BaseException):
        _learn(kit, recipient, work, checked, now, probe=probe)
    elif checked is not Checked.UNKNOWN:
        _learn(kit, recipient, work, Receipt(), now, probe=probe)
    following = after_check(work, checked, _facts(kit, recipient, head, started, now))
    return _called(head, following, Outcome.DELIVERED if checked is Checked.DONE else Outcome.UNCERTAIN, started, now)


def broken(kit: Kit, recipient: Recipient, work: Work, error: Exception) -> Called:
    """What follows when our own code failed around a call: nobody knows whether the partner took it."""
    started = kit.clock.now()
    unsure = Uncertain("internal_error", f"{type(error).__name__} at {place_of(error)}: {error}")
    following = after_call(work, unsure, _facts(kit, recipient, work.delivery, started, started))
    return _called(work.delivery, following, Outcome.UNCERTAIN, started, started)


async def ask(kit: Kit, recipient: Recipient) -> bool:
    """Ask a recipient that is down whether it answers at all, before a delivery is risked; a *no* puts the next probe
    off.
    """
    answer = await _answer(recipient.connector.probe(), PROBE_LIMIT)
    reason = type(answer).__name__ if isinstance(answer, BaseException) else "no answer to the probe"
    answers = answer is True
    recipient.health.probed(kit.clock.now(), answers=answers, reason=reason, jitter=kit.ids.jitter())
    return answers


def _learn(
    kit: Kit, recipient: Recipient, work: Work, answer: Receipt | BaseException, now: int, *, probe: bool
) -> Outcome:
    """The outcome of a call, noted with what it says about the recipient as a whole."""
    reason = ""
    if isinstance(answer, Receipt):
        outcome = Outcome.DUPLICATE if answer.duplicate else Outcome.DELIVERED
    else:
        failure = describe(work, answer)
        outcome, reason = Outcome(failure.outcome), f"{failure.reason} {failure.partner_code}".strip()
    if isinstance(answer, BaseException) and (until := asked(answer, now)) is not None:
        recipient.health.pause(until, reason)
    recipient.health.saw(
        work.delivery.key, now, outcome, reason=reason, probe=probe, jitter=kit.ids.jitter() if reason else 0.0
    )
    return outcome


_PASSING: Final = frozenset({Outcome.DELIVERED, Outcome.DUPLICATE, Outcome.REJECTED})


async def _deliver(
    kit: Kit, recipient: Recipient, work: Work, event: Event, may_start: Callable[[], bool]
) -> Receipt | BaseException:
    if not work.operation.events:
        return Invalid("unsupported_event", f"{recipient.id} takes no events of type {event.type}")

    async def once() -> Receipt | BaseException:
        if not may_start():
            return NotStarted()
        answer: Receipt | BaseException = await _answer(recipient.connector.deliver(event), work.operation.timeout)
        return answer

    async def once_more() -> Receipt | BaseException:
        if recipient.limiter is not None:
            await recipient.limiter.acquire()
        return await once()

    answer = await once()
    if not isinstance(answer, Transient) or work.retry.in_place < 2:
        return answer
    again = AsyncRetrying(
        sleep=kit.clock.sleep,
        stop=stop_after_attempt(work.retry.in_place - 1),
        wait=IN_PLACE_WAIT,
        retry=retry_if_result(lambda answer: isinstance(answer, Transient)),
        retry_error_callback=_last,
    )
    await kit.clock.sleep(0.1 + 0.2 * kit.ids.jitter())
    answer = await again(once_more)
    return answer


def _last(tries: RetryCallState) -> Any:
    """The answer of the last try."""
    assert tries.outcome is not None
    return tries.outcome.result()


async def _answer(call: Coroutine[Any, Any, R], seconds: float) -> R | Exception:
    """A call's result or its exception as a value; only cancellation passes through."""
    try:
        return await limited(call, seconds)
    except Exception as error:  # every failure of a connector becomes an outcome that is stored
        return error


def _facts(kit: Kit, recipient: Recipient, head: Delivery, started: int, now: int) -> Facts:
    health = recipient.health
    passing = health.passing(head.key, head.last_at or head.accepted_at)
    active = health.active_lanes(now, LANES_TO_JUDGE)
    return Facts(now, started, passing, active, kit.ids.jitter(), health.condition.down, health.open_since)


def _called(head: Delivery, following: Next, outcome: Outcome, started: int, now: int) -> Called:
    change = _transition(head, following, attempts=1, now=now, started=started)
    if not (head.attempts == 0 and outcome in _PASSING and head.order_id == 0):
        failure = following.failure
        change.attempt = Attempt(
            number=head.attempts + 1,
            started=started,
            ended=now,
            outcome=str(outcome),
            partner_code=failure.partner_code if failure else str((following.receipt or {}).get("code", "")),
            message=failure.message if failure else "",
            order_id=head.order_id,
        )
    return Called(change, str(outcome), following, started)


def emissions_of(kit: Kit, shard: Shard, head: Delivery, body: Body, called: Called) -> list[Emission]:
    """What the outbox has to publish for a change: a dead-letter record, or a reply to the sender."""
    following = called.following
    if not (following.dead_letter or following.reply):
        return []
    now, made = kit.clock.now(), list[Emission]()
    if following.dead_letter and following.failure is not None:
        tries = emissions.Tries(called.transition.attempts, called.transition.first_at or now, now)
        made.append(emissions.dead_letter(shard, head, body, failure=following.failure, tries=tries))
    if following.reply:
        record = emissions.rejection_record(shard, head, following.receipt or {}, now)
        answer = emissions.reply(
            shard, head, body, payload=kit.encode_reply(record), now=now, reply_to=kit.reply_to(head.source)
        )
        made += [answer] if answer is not None else []
    return made


def _transition(head: Delivery, following: Next, *, attempts: int, now: int, started: int = 0) -> Transition:
    return Transition(
        shard=head.shard,
        seq=head.seq,
        version=head.version,
        state=following.state,
        due=following.due,
        attempts=head.attempts + attempts,
        spent=following.spent,
        first_at=head.first_at or started or now,
        last_at=now,
        failure=following.failure,
        receipt=following.receipt,
        order_id=head.order_id,
    )
