"""Transitions: state rows change, each only in the version it was computed from."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from itertools import groupby
from operator import attrgetter
from typing import Any, Final

from sqlalchemy import Connection, bindparam, insert, select

from router.errors import StaleVersion
from router.ledger import outbox
from router.ledger.bulk import change_many
from router.ledger.faults import refuse_nul, to_json
from router.ledger.rows import Attempt, Emission, Transition, shard_lease
from router.ledger.tables import attempt, delivery, shard

#: What a transition sets.
_SET: Final = (
    "state", "due", "attempts", "spent", "first_at", "last_at", "failure", "cause", "receipt", "order_id",
)  # fmt: skip
_AT: Final = ("shard", "seq")

_ATTEMPT: Final = insert(attempt)
_SHARDS: Final = select(shard.c.id, shard.c.recipient, shard.c.partition).where(
    shard.c.id.in_(bindparam("ids", expanding=True))
)


def apply(conn: Connection, transitions: Sequence[Transition]) -> None:
    """Change state rows, each only in the version it was computed from; ``StaleVersion`` undoes the whole group.

    Attempts are appended and emissions go to the outbox under the shard's lease, in the order given; then further
    rows of local recipients are written.
    """
    if not transitions:
        return
    for t in transitions:
        _refuse_unstorable(t)
    if change_many(conn, delivery, _AT, _SET, [_row(t) for t in transitions]) != len(transitions):
        raise StaleVersion("a delivery changed meanwhile")
    details = [_attempt_row(t, t.attempt) for t in transitions if t.attempt is not None]
    if details:
        conn.execute(_ATTEMPT, details)
    emitting = [t for t in transitions if t.emissions]
    if emitting:
        names = _leases(conn, {t.shard for t in emitting})
        rows: list[tuple[str, Emission]] = [(names[t.shard], emission) for t in emitting for emission in t.emissions]
        outbox.add_all(conn, rows)
    writes = (t.write for t in transitions if t.write is not None)
    for write_all, same in groupby(writes, key=attrgetter("write_all")):
        write_all(conn, [each.value for each in same])


def _row(t: Transition) -> tuple[Any, ...]:
    failure, receipt = t.failure, t.receipt
    return (
        t.shard,
        t.seq,
        t.version,
        t.state.value,
        t.due,
        t.attempts,
        t.spent,
        t.first_at,
        t.last_at,
        to_json(asdict(failure)) if failure else None,
        failure.cause if failure else None,
        to_json(dict(receipt)) if receipt is not None else None,
        t.order_id,
    )


def _attempt_row(t: Transition, made: Attempt) -> dict[str, Any]:
    return {"shard": t.shard, "seq": t.seq, **asdict(made)}


def _refuse_unstorable(t: Transition) -> None:
    if t.failure is not None:
        refuse_nul(t.failure.cause)
    if t.attempt is not None:
        refuse_nul(t.attempt.outcome, t.attempt.partner_code, t.attempt.message)


def _leases(conn: Connection, shard_ids: set[int]) -> dict[int, str]:
    rows = conn.execute(_SHARDS, {"ids": list(shard_ids)})
    return {row.id: shard_lease(row.recipient, row.partition) for row in rows}
