"""Due dates and timers of a shard by another version of the calendar: an order, walked in pages by its owner.

An ended instance keeps the due date it was judged by; the timers it still has are counted again.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Final

from router.events import partition_of
from router.ledger import instances, orders
from router.ledger.rows import Order, OrderResult, Shard
from router.procedures.dues import Clockwork
from router.procedures.effects import Step
from router.procedures.library import Library
from router.procedures.recount import by_calendar
from router.procedures.rows import changes_of, instance_of
from router.procedures.timetable import standing, timers

if TYPE_CHECKING:
    from sqlalchemy import Connection

PAGE: Final = 200


def recalculate(
    conn: Connection, shard: Shard, order: Order, library: Library, clockwork: Clockwork,
    level_of: Callable[[str], str], now: int,
) -> OrderResult | None:  # fmt: skip
    """One page; None while more are left. ``order.args``: ``partitions`` of the installation, and the cursor, which is
    stored with the order, so that a restart goes on where it was.
    """
    partitions = int(order.args["partitions"])
    after, moved = bytes.fromhex(str(order.args.get("after", ""))), int(order.args.get("moved", 0))
    page = instances.page(conn, after, PAGE, counting_only=True)
    rows = instances.standing_timers(conn, [stored.key for stored in page])
    for stored in page:
        if partition_of(stored.key, partitions) == shard.partition:
            moved += _one(conn, stored, rows.get(stored.key, {}), library, clockwork, level_of, now)
    if len(page) < PAGE:
        return OrderResult(True, f"{moved} due dates moved by calendar {clockwork.calendar.version}")
    args = {**order.args, "after": page[-1].key.hex(), "moved": moved}
    orders.remember(conn, order, args)
    return None


def _one(
    conn: Connection, stored: instances.Stored, rows: Mapping[str, int], library: Library, clockwork: Clockwork,
    level_of: Callable[[str], str], now: int,
) -> int:  # fmt: skip
    before = instance_of(stored)
    definition = library.pinned(before.procedure, before.definition)
    after = by_calendar(definition, before, clockwork, now)
    step = Step(after, timers=timers(after, definition, clockwork))
    known = standing(before, definition, clockwork, rows, now)
    if after == before and step.timers == known:
        return 0
    instances.write(conn, [changes_of(stored.key, before, known, step, level_of)])
    return len(after.due.whole) + len(after.due.agency) - len(before.due.whole) - len(before.due.agency)
