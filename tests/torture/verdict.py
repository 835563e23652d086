"""What the partners saw and what the ledger holds against what the router received: the history checker's verdict."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, NamedTuple
from uuid import UUID

from sqlalchemy import select

from router.ledger import store
from router.ledger.tables import delivery
from router.simulation.history import Effect, History, Row, check
from tests.torture.installation import PARTNERS, REFUSING, SOURCE, Installation
from tests.torture.load import Sent
from tests.torture.partner import Taken
from tests.torture.recorder import CALL_LIMIT

if TYPE_CHECKING:
    from sqlalchemy import Connection


class Freeze(NamedTuple):
    """When a process stood still, in the partners' monotonic seconds."""

    start: float
    end: float

    def excuses(self, first: Taken, again: Taken) -> bool:
        """Whether a repetition is the one that cannot be kept off: the frozen process had checked its lease and not
        written to the socket yet; meanwhile another one delivered; woken up, the first one wrote.
        """
        return self.start <= first.at and self.end <= again.at <= self.end + CALL_LIMIT


async def violations(made: Installation, sent: Sequence[Sent], freezes: Sequence[Freeze] = ()) -> list[str]:
    """Every promise that was not kept, in words: each event once, in order per dossier, at every partner; at the source
    a reply for each event that was refused, once.
    """
    published: dict[str, list[str]] = defaultdict(list)
    for event in sent:
        published[event.key].append(event.id)
    async with made.ledger() as ledger:
        rows = await ledger.read(lambda conn: rows_of(conn, set(published)))
    refuses = made.partners[REFUSING].refuses
    history = History(
        published=published,
        wanted=PARTNERS,
        once=frozenset(PARTNERS),  # the one that recognises repetitions does not count them as effects
        effects=[effect for name in PARTNERS for effect in effects_of(made, name, set(published), freezes)],
        rows=rows,
        rejected=frozenset(event.id for event in sent if refuses(event.id)),
        answers=Counter(taken.answers for taken in made.partners[SOURCE].effects()),
    )
    return [f"{found.rule} at {found.recipient}: {found.event} {found.text}" for found in check(history)]


def rows_of(conn: Connection, keys: set[str]) -> list[Row]:
    """What the ledger holds of these dossiers, in the order of their lanes."""
    places = {place.id: place.recipient for place in store.shards(conn)}
    columns = select(delivery.c.shard, delivery.c.key, delivery.c.event_id, delivery.c.state)
    found = conn.execute(columns.order_by(delivery.c.shard, delivery.c.seq))
    named = (Row(places[row.shard], str(UUID(bytes=row.key)), row.event_id, row.state) for row in found)
    return [row for row in named if row.key in keys]


def effects_of(made: Installation, name: str, keys: set[str], freezes: Sequence[Freeze]) -> Iterator[Effect]:
    """What took effect at a partner; repetitions that a freeze explains are marked so."""
    first: dict[str, Taken] = {}
    for taken in made.partners[name].effects():
        if taken.key in keys:
            before = first.setdefault(taken.id, taken)
            excused = before is not taken and any(freeze.excuses(before, taken) for freeze in freezes)
            yield Effect(taken.at, name, taken.key, taken.id, "", excused=excused)
