"""What is told of a committed group, as log lines and counts: no payload and no personal data."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from router.delivery.calls import Log
from router.delivery.commit import Alert
from router.delivery.dispatch import Outcome
from router.delivery.settle import SAME_CONTENT, Same
from router.delivery.tally import Tally


def tell_alerts(alerts: Iterable[Alert], tally: Tally, log: Log) -> None:
    """A line and a count for each."""
    for alert in alerts:
        tally.alerts[alert.name] += alert.raised
        log("alert", {"alert": alert.name, "subject": alert.subject, "detail": alert.detail})


def tell_dead_letters(outcomes: Iterable[Outcome], log: Log) -> None:
    """A line for each outcome that made a dead letter."""
    for outcome in outcomes:
        called, shard = outcome.called, outcome.owned.shard
        if called is not None and called.following.dead_letter and called.following.failure is not None:
            failure, name = called.following.failure, f"{shard.recipient}/{shard.partition}/{outcome.head.seq}"
            log("dead_letter", {"delivery": name, "reason": failure.reason, "cause": failure.cause})


def tell_same_content(same: Sequence[Same], log: Log) -> None:
    """One line a group, however many: a source may send its whole archive under new ids."""
    if same:
        place = f"{same[0].shard.recipient}/{same[0].shard.partition}"
        said = {"delivery": f"{place}/{same[0].seq}", "first": f"{place}/{same[0].first}", "count": str(len(same))}
        log(SAME_CONTENT, said)
