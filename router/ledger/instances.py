"""Rows of procedure instances: read in one batch, written with a version check, their logs only ever added to."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any, Final, NamedTuple

from sqlalchemy import JSON, Connection, Select, Table, bindparam, delete, select

from router.errors import StaleVersion
from router.ledger.bulk import change_many, insert_many, put_many
from router.ledger.faults import to_json
from router.ledger.lists import among_given
from router.ledger.procedure_tables import MONEY_WAITS, dossier, due_move, instance, instance_event, timer

_SET: Final = tuple(c.name for c in instance.columns if c.name not in ("key", "version"))  # what a step sets
_UNSET: Final = delete(timer).where(timer.c.key == bindparam("at_key"), timer.c.name == bindparam("gone"))


class Stored(NamedTuple):
    """An instance as it is stored."""

    key: bytes
    version: int
    state: Mapping[str, Any]


class DueTimer(NamedTuple):
    """A timer whose time has come."""

    key: bytes
    name: str
    version: int
    due: int


@dataclass(slots=True)
class Changes:
    """All rows that one step writes. ``row`` is the instance's; ``expected`` its version before (0: it is new)."""

    key: bytes
    expected: int
    row: Mapping[str, Any]
    events: Sequence[Mapping[str, Any]] = ()
    timers_gone: Collection[str] = ()
    timers_set: Mapping[str, int] = field(default_factory=dict)
    facts: Mapping[str, Any] | None = None
    moves: Sequence[Mapping[str, Any]] = ()


def load(conn: Connection, keys: Collection[bytes]) -> dict[bytes, Stored]:
    """The instances of these keys that exist."""
    found = conn.execute(_of_keys(conn.dialect.name, instance), {"keys": list(keys)})
    return {row.key: Stored(row.key, row.version, row.state) for row in found}


def write(conn: Connection, steps: Sequence[Changes]) -> None:
    """Write steps, each of another instance. Raises ``StaleVersion`` if one of them is not in the version that its step
    was computed from.
    """
    if len({s.key for s in steps}) != len(steps):
        raise StaleVersion("two steps of one instance: the second was not computed from the first")
    new = [{"key": s.key, **s.row} for s in steps if s.expected == 0]
    if _add(conn, instance, new, unless_there=True) != len(new):
        raise StaleVersion("an instance exists already")
    known = [(s.key, s.expected, *_values(instance, _SET, s.row)) for s in steps if s.expected]
    if known and change_many(conn, instance, ("key",), _SET, known) != len(known):
        raise StaleVersion("an instance changed meanwhile")
    _add(conn, instance_event, [{"key": s.key, **event} for s in steps for event in s.events])
    if gone := [{"at_key": s.key, "gone": name} for s in steps for name in s.timers_gone]:
        conn.execute(_UNSET, gone)
    timers = [(s.key, name, s.row["version"], due) for s in steps for name, due in s.timers_set.items()]
    put_many(conn, timer, _names(timer), timers)
    facts = [{"key": s.key, **s.facts} for s in steps if s.facts is not None]
    put_many(conn, dossier, _names(dossier), [_values(dossier, _names(dossier), row) for row in facts])
    _add(conn, due_move, [{"key": s.key, **move} for s in steps for move in s.moves], unless_there=True)


def due_timers(conn: Connection, *, now: int, limit: int) -> list[DueTimer]:
    """Timers whose time has come, oldest first. ``now`` is business time, µs UTC."""
    query = select(timer).where(timer.c.due <= now).order_by(timer.c.due).limit(limit)
    return [DueTimer(row.key, row.name, row.version, row.due) for row in conn.execute(query)]


def standing_timers(conn: Connection, keys: Collection[bytes]) -> dict[bytes, dict[str, int]]:
    """The timers of these instances as they stand: by name, when each is due."""
    found: dict[bytes, dict[str, int]] = {}
    for row in conn.execute(_of_keys(conn.dialect.name, timer), {"keys": list(keys)}):
        found.setdefault(row.key, {})[row.name] = row.due
    return found


def drop_timers(conn: Connection, timers: Collection[DueTimer]) -> None:
    """Remove timers that have been turned into events."""
    for each in timers:
        same = (timer.c.key == each.key) & (timer.c.name == each.name) & (timer.c.due == each.due)
        conn.execute(delete(timer).where(same))


def page(
    conn: Connection, after: bytes, limit: int, *, counting_only: bool = False, money_only: bool = False
) -> list[Stored]:
    """Instances in the order of their keys, behind ``after``. ``counting_only``: those for which time still counts. An
    ended one may be among them: money without a notice waits there, and an apology. ``money_only``: those in which
    money waits, found by an index of their own.
    """
    query = select(instance).where(instance.c.key > after).order_by(instance.c.key).limit(limit)
    if counting_only:
        timed = select(timer.c.key).where(timer.c.key > after)
        query = query.where(instance.c.closed_at.is_(None) | instance.c.key.in_(timed))
    if money_only:
        query = query.where(MONEY_WAITS)
    return [Stored(row.key, row.version, row.state) for row in conn.execute(query)]


def pinned(conn: Connection) -> list[tuple[str, int, str]]:
    """Procedure, version and digest of every definition that open instances run by."""
    digest = instance.c.state["digest"].as_string()
    query = select(instance.c.procedure, instance.c.definition, digest).where(instance.c.closed_at.is_(None)).distinct()
    return [(procedure, version, said or "") for procedure, version, said in conn.execute(query)]


def log(conn: Connection, key: bytes) -> list[Mapping[str, Any]]:
    """An instance's log, first line first."""
    query = select(instance_event).where(instance_event.c.key == key).order_by(instance_event.c.number)
    return [dict(row._mapping) for row in conn.execute(query)]


def logs(conn: Connection, keys: Collection[bytes]) -> Iterator[Mapping[str, Any]]:
    """The logs of several instances, each in its order."""
    query = _of_keys(conn.dialect.name, instance_event).order_by(instance_event.c.key, instance_event.c.number)
    for row in conn.execute(query, {"keys": list(keys)}):
        yield dict(row._mapping)


def _add(conn: Connection, table: Table, rows: Sequence[Mapping[str, Any]], *, unless_there: bool = False) -> int:
    """How many rows were added."""
    if not rows:
        return 0
    names = _names(table)
    return insert_many(conn, table, names, [_values(table, names, row) for row in rows], unless_there=unless_there)


@lru_cache(maxsize=8)
def _names(table: Table) -> tuple[str, ...]:
    return tuple(column.name for column in table.columns)


@lru_cache(maxsize=8)
def _documents(table: Table) -> frozenset[str]:
    return frozenset(column.name for column in table.columns if isinstance(column.type, JSON))


def _values(table: Table, names: Sequence[str], row: Mapping[str, Any]) -> tuple[Any, ...]:
    """A row in the order of ``names``. Raises ``RowRefused`` for a text in JSON that PostgreSQL cannot read back."""
    documents = _documents(table)
    return tuple(to_json(row[name]) if name in documents else row[name] for name in names)


@lru_cache(maxsize=8)
def _of_keys(dialect: str, table: Table) -> Select[Any]:
    """A table's rows by keys of instances. Built once: a step would pay more for building it than for asking."""
    return select(table).where(among_given(dialect, table.c.key, "keys"))
