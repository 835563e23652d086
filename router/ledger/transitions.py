"""Transitions: state rows change, each only in the version it was computed from."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict
from typing import Any, Final

from sqlalchemy import Connection, bindparam, insert, literal_column, select, text, update

from router.errors import StaleVersion
from router.ledger import outbox
from router.ledger.bulk import array, is_number, numbers, run_many
from router.ledger.faults import refuse_nul, to_json
from router.ledger.rows import Attempt, Emission, Transition, shard_lease
from router.ledger.tables import attempt, delivery, shard

#: What a transition sets.
_SET: Final = (
    "state", "due", "attempts", "spent", "first_at", "last_at", "failure", "cause", "receipt", "order_id",
)  # fmt: skip
_AT: Final = ("shard", "seq", "version")
_DOCUMENTS: Final = ("failure", "receipt")

_ATTEMPT: Final = insert(attempt)
_SHARDS: Final = select(shard.c.id, shard.c.recipient, shard.c.partition).where(
    shard.c.id.in_(bindparam("ids", expanding=True))
)
_ROW: Final = (
    update(delivery)
    .where(
        delivery.c.shard == bindparam("at_shard"),
        delivery.c.seq == bindparam("at_seq"),
        delivery.c.version == bindparam("at_version"),
    )
    .values({name: bindparam(name) for name in _SET} | {"version": delivery.c.version + literal_column("1")})
)
_ROW_NAMES: Final = (*_SET, "at_shard", "at_seq", "at_version")
#: PostgreSQL takes a whole group as one statement over arrays.
_GROUP: Final = text(
    "UPDATE delivery SET version = delivery.version + 1, "
    + ", ".join(f"{name} = CAST(c.{name} AS json)" if name in _DOCUMENTS else f"{name} = c.{name}" for name in _SET)
    + " FROM unnest("
    + ", ".join(array(f":{name}", delivery.c[name]) for name in (*_AT, *_SET))
    + f") AS c({', '.join((*_AT, *_SET))})"
    + " WHERE delivery.shard = c.shard AND delivery.seq = c.seq AND delivery.version = c.version"
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
    if _changed(conn, transitions) != len(transitions):
        raise StaleVersion("a delivery changed meanwhile")
    details = [_attempt_row(t, t.attempt) for t in transitions if t.attempt is not None]
    if details:
        conn.execute(_ATTEMPT, details)
    emitting = [t for t in transitions if t.emissions]
    if emitting:
        names = _leases(conn, {t.shard for t in emitting})
        rows: list[tuple[str, Emission]] = [(names[t.shard], emission) for t in emitting for emission in t.emissions]
        outbox.add_all(conn, rows)
    for t in transitions:
        if t.write is not None:
            t.write(conn)


def _changed(conn: Connection, transitions: Sequence[Transition]) -> int:
    """How many rows were in the version they had to be in. asyncpg does not count the rows of a batch of statements,
    and to read the versions back would take another's change for our own: there a group is one statement.
    """
    if conn.dialect.name != "postgresql":
        rows = [(*_values(t), t.shard, t.seq, t.version) for t in transitions]
        return run_many(conn, _ROW, _ROW_NAMES, rows)
    return sum(conn.execute(_GROUP, _columns(run)).rowcount for run in _runs(transitions))


def _runs(transitions: Sequence[Transition]) -> Iterator[list[Transition]]:
    """Runs in which no row occurs twice: one statement changes a row once."""
    run: dict[tuple[int, int], Transition] = {}
    for t in transitions:
        if (t.shard, t.seq) in run:
            yield list(run.values())
            run = {}
        run[t.shard, t.seq] = t
    yield list(run.values())


def _columns(transitions: Sequence[Transition]) -> dict[str, Any]:
    rows = ((t.shard, t.seq, t.version, *_values(t)) for t in transitions)
    columns = zip((*_AT, *_SET), zip(*rows, strict=True), strict=True)
    return {name: numbers(column) if is_number(delivery.c[name]) else list(column) for name, column in columns}


def _values(t: Transition) -> tuple[Any, ...]:
    """In the order of ``_SET``."""
    failure, receipt = t.failure, t.receipt
    return (
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
