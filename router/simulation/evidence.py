"""What is left when a simulation is over, read for the checkers: deliveries, effects, instances and what became of
each.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

from sqlalchemy import select

from router.events import ROUTER, header
from router.framing import unpack
from router.ledger import instances, store
from router.ledger.local import LocalWork
from router.ledger.procedure_tables import instance_event, timer
from router.ledger.tables import body, delivery
from router.procedures.recipient import PROCEDURES
from router.procedures.rows import instance_of
from router.procedures.signals import TIMER_DUE
from router.simulation.history import History, Row, Violation, check
from router.simulation.runs import Judge, Judgement, Line, Run, misplaced
from router.simulation.world import CLASSES, SENT_TO, SOURCE, World

if TYPE_CHECKING:
    from sqlalchemy import Connection

#: How the verdicts of instances' logs are counted.
_TURNS: Final = {
    "applied": "event applied", "early": "event early", "late_ignored": "event late", "noted": "event noted",
    "illegal_transition": "event illegal", "timer": "timer fires",
}  # fmt: skip


async def violations_of(world: World, published: Mapping[str, Sequence[str]]) -> list[Violation]:
    """All that the checkers say of a world at rest. ``published`` events by dossier, in order."""
    return await world.store.read(lambda conn: _violations(conn, world, published))


def _violations(conn: Connection, world: World, published: Mapping[str, Sequence[str]]) -> list[Violation]:
    places = {place.id: place.recipient for place in store.shards(conn)}
    everything = select(delivery).order_by(delivery.c.shard, delivery.c.seq)
    rows = [(places[row.shard], row) for row in conn.execute(everything)]
    if not world.procedures:
        return check(_history(conn, world, published, rows))
    judged = Judge(world.stage.library, world.clockwork, world.stage.codec).judge(_runs(conn))
    for verdict, count in judged.verdicts.items():
        world.chance.hits[_TURNS[verdict]] += count
    history = _history(conn, world, published, rows)
    history.also = {SENT_TO: judged.expected.routed}
    return [*check(history), *judged.violations, *_misplaced(judged, published, rows)]


def _history(
    conn: Connection, world: World, published: Mapping[str, Sequence[str]], rows: Sequence[tuple[str, Any]]
) -> History:
    effects = [effect for name in CLASSES for effect in world.partners[name].effects]
    return History(
        published=published,
        wanted=tuple(CLASSES),
        once=frozenset({"checked", "none"}),
        effects=sorted(effects, key=lambda each: each.at),
        rows=[Row(name, row.subject, row.event_id, row.state) for name, row in rows if name in CLASSES],
        rejected=frozenset(row.event_id for name, row in rows if name == SENT_TO and row.state == "rejected"),
        answers=_answers(conn, world),
    )


def _answers(conn: Connection, world: World) -> Counter[str]:
    """Replies that the source took, by the event they answer."""
    wanted = select(body.c.headers).where(body.c.shard.in_(world.shards[SOURCE]), body.c.edition == 0)
    answered = [header(unpack(bytes(row.headers)), "ce_causationid") or b"" for row in conn.execute(wanted)]
    return Counter(each.decode() for each in answered)


def _misplaced(
    judged: Judgement, published: Mapping[str, Sequence[str]], rows: Sequence[tuple[str, Any]]
) -> list[Violation]:
    """What local recipients hold: the source's events, those between instances, and what was refused."""
    expected, known = judged.expected, [each for events in published.values() for each in events]
    held = [row for name, row in rows if name == PROCEDURES]
    told = [row.event_id for row in held if row.source == SOURCE and row.event_id not in expected.refused]
    between = [row.event_id for row in held if row.source == PROCEDURES and row.event_type != TIMER_DUE]
    to_people = [row.event_id for name, row in rows if name == ROUTER]
    return [
        *misplaced(known, told, PROCEDURES),
        *misplaced(expected.to_instances, between, PROCEDURES),
        *misplaced(expected.refused, to_people, ROUTER),
        *(Violation("stuck", PROCEDURES, row.event_id, row.state) for row in held if row.state != "delivered"),
    ]


def _runs(conn: Connection) -> list[Run]:
    """All runs, whether their instance exists or not, by key."""
    runs: dict[bytes, Run] = {}
    for shard in store.shards(conn, [PROCEDURES]):
        arrived = select(delivery).where(delivery.c.shard == shard.id, delivery.c.state == "delivered")
        rows = [store.delivery_of(row) for row in conn.execute(arrived.order_by(delivery.c.seq))]
        bodies = store.bodies(conn, shard.id, [row.seq for row in rows])
        for row in rows:
            runs.setdefault(row.key, Run(row.key, shard)).works.append(LocalWork(shard, row, bodies[row.seq]))
    for stored in instances.page(conn, b"", 1_000):
        runs[bytes(stored.key)].stored = instance_of(stored)
    for line in conn.execute(select(instance_event).order_by(instance_event.c.key, instance_event.c.number)):
        runs[bytes(line.key)].lines.append(Line(line.source, line.event_id, line.applied_at, line.verdict))
    for standing in conn.execute(select(timer)):
        runs[bytes(standing.key)].timers[standing.name] = standing.due
    return [runs[key] for key in sorted(runs)]
