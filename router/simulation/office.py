"""The procedures of a simulated world: their definitions, calendars and clock, and the recipient under mistreatment."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import date
from fractions import Fraction
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from sqlalchemy import update

from router.codec import Codec, PackagedSchemas
from router.ledger.local import LocalEffect, LocalWork
from router.ledger.procedure_tables import instance
from router.ledger.rows import Order, OrderResult, Shard
from router.procedures.calendar import load_calendar
from router.procedures.definitions_file import shipped_definitions
from router.procedures.dues import Clockwork
from router.procedures.duration import Duration, Unit
from router.procedures.library import Library
from router.procedures.recipient import PROCEDURES, Procedures
from router.simulation.ports import Store
from router.simulation.power import Power

if TYPE_CHECKING:
    from sqlalchemy import Connection

#: Decreed while dossiers are open, and behind everything that business time reaches: it moves dates, and no timer.
NEW_HOLIDAY: Final = date(2025, 7, 3)


class Stage(NamedTuple):
    """What is made once for many seeds: today's schemas, definitions and two calendars, of which the second one knows
    a holiday more; and the statements to the ledger that were compiled before.
    """

    codec: Codec
    library: Library
    clockworks: tuple[Clockwork, Clockwork]
    compiled: dict[Any, Any]


def stage() -> Stage:
    """Everything as it is shipped, but early events are waited for long enough for a simulated source to send them."""
    patience = Duration(amount=Fraction(2), unit=Unit.CALENDAR_DAYS)
    definitions = [each.model_copy(update={"early_window": patience}) for each in shipped_definitions()]
    calendar = load_calendar()
    later = replace(calendar, version="decreed", overrides={**calendar.overrides, NEW_HOLIDAY: False})
    clockworks = (Clockwork(calendar), Clockwork(later))
    return Stage(Codec(PackagedSchemas()), Library(definitions), clockworks, {})


@dataclass
class Meddled:
    """The recipient of one process: it may be frozen or end between its computation and the commit, and meanwhile
    another may raise an instance's version. ``computed`` is shared by all processes: what was prepared before.
    """

    inner: Procedures
    store: Store
    power: Power
    computed: set[tuple[int, int]]

    @property
    def id(self) -> str:
        """As the recipient inside."""
        return PROCEDURES

    async def prepare(self, works: Sequence[LocalWork]) -> list[LocalEffect]:
        """As the recipient inside, later."""
        chance = self.power.chance
        effects = await self.inner.prepare(works)
        for work in works:
            place = (work.shard.id, work.delivery.seq)
            if place in self.computed:
                chance.met("effects computed again")
            self.computed.add(place)
            if chance.strikes("instance changed meanwhile", 0.01):
                await self.store.write(lambda conn, key=work.delivery.key: _raise_version(conn, key))  # type: ignore[misc]
        await self.power.gate("effects prepared", 0.0, 0.01)
        return effects

    def order(self, conn: Connection, shard: Shard, order: Order, now: int) -> OrderResult | None:
        """As the recipient inside."""
        return self.inner.order(conn, shard, order, now)


def _raise_version(conn: Connection, key: bytes) -> None:
    conn.execute(update(instance).where(instance.c.key == key).values(version=instance.c.version + 1))
