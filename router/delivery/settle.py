"""After a commit: memory follows what the ledger now holds."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Final, NamedTuple

from router.delivery.commit import Committed, Intake
from router.delivery.contents import Contents
from router.delivery.dispatch import Outcome
from router.delivery.shards import Owned, take_in
from router.delivery.tally import Tally
from router.ledger.rows import Accepted, Delivery, Lease, Shard, State, Transition, Verdict

SAME_CONTENT: Final = "same_content"  # counted beside the verdict ``new``


class Same(NamedTuple):
    """A delivery ``seq`` that carries, under another id, what ``first`` carried for the same dossier."""

    shard: Shard
    seq: int
    first: int


def settle_intakes(
    intakes: Iterable[Intake], committed: Committed, shards: Mapping[str, Owned], tally: Tally, contents: Contents
) -> tuple[bool, list[Same]]:
    """Move positions and hand new deliveries to their lanes; False if an intake must be read again. Then what came with
    the content of an earlier one of its dossier.
    """
    complete = True
    same: list[Same] = []
    for intake in intakes:
        accepted = committed.accepted.get(intake.shard.id)
        owned = shards.get(intake.shard.lease)
        if accepted is None or owned is None:
            complete = False
            continue
        newest = max((made.seq for made in accepted), default=0)
        owned.shard = replace(
            owned.shard,
            position=intake.batch.position,
            next_seq=max(owned.shard.next_seq, newest + 1),
            fingerprint=intake.batch.fingerprint,
        )
        take_in(owned, intake.batch.arrivals, accepted, committed.accepted_at[intake.shard.id])
        for verdict, count in Counter(made.verdict for made in accepted).items():
            tally.accepted[owned.shard.recipient, str(verdict)] += count
        found = _same_content(owned, intake, accepted, contents)
        tally.accepted[owned.shard.recipient, SAME_CONTENT] += len(found)
        same += found
    return complete, same


def _same_content(owned: Owned, intake: Intake, accepted: Sequence[Accepted], contents: Contents) -> list[Same]:
    earlier, shard = contents.earlier, owned.shard
    return [
        Same(shard, made.seq, first)
        for arrival, made in zip(intake.batch.arrivals, accepted, strict=True)
        if made.verdict is Verdict.NEW and (first := earlier(shard.id, arrival, made.seq))
    ]


def settle_outcomes(
    outcomes: Iterable[Outcome],
    committed: Committed,
    shards: Mapping[str, Owned],
    tally: Tally,
    now: int,
    lapsed: Callable[[Lease], bool],
) -> list[Outcome]:
    """Tell lanes and slots what was committed; returns the outcomes that wait for the next group (shard busy).

    An outcome that is neither committed nor waiting belongs to a shard that is read again, or to one that another
    process owns by now (``lapsed``): it is dropped, and the ledger says what happens next.
    """
    waiting: list[Outcome] = []
    for outcome in outcomes:
        owned, change = outcome.owned, outcome.transition
        if (change.shard, change.seq) in committed.changed:
            _settled(outcome, shards.get(owned.shard.lease) is owned)
            if outcome.called is not None:
                tally.finished(owned.shard.recipient, outcome.called.outcome, now - outcome.head.accepted_at)
        elif owned.lease.name in committed.waiting - committed.reread and not lapsed(owned.lease):
            waiting.append(outcome)
        else:
            given_up(outcome)
    return waiting


def given_up(outcome: Outcome) -> None:
    """An outcome that this process will not store: its slot goes on, and its lane is no business of it any more."""
    outcome.owned.flying -= 1
    if outcome.marked is not None:
        outcome.marked.set_result(False)


def _settled(outcome: Outcome, current: bool) -> None:
    owned, head = outcome.owned, outcome.head
    _update(head, outcome.transition)
    if outcome.marked is not None and head.state is State.CALLING:
        outcome.marked.set_result(current)
        if current:
            return  # the slot goes on to the call; the lane stays busy
    owned.flying -= 1
    if current and owned.lanes is not None:
        owned.lanes.settled(head)


def _update(head: Delivery, change: Transition) -> None:
    head.state, head.version = change.state, head.version + 1
    head.due, head.attempts, head.spent = change.due, change.attempts, change.spent
    head.first_at, head.last_at = change.first_at, change.last_at
    head.failure, head.receipt, head.order_id = change.failure, change.receipt, change.order_id
