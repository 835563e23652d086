"""What is in nobody's way: a dossier with very many events, and a partner with a backlog."""

from __future__ import annotations

from pathlib import Path

from tests.torture.installation import installation
from tests.torture.operator import settle
from tests.torture.verdict import violations

HOT, OTHERS = 150, 20


async def test_other_dossiers_do_not_queue_behind_a_hot_one(tmp_path: Path) -> None:
    async with installation(tmp_path, call_limit=20.0) as made:
        await made.start()
        plain = made.partners["plain"]
        plain.gate.clear()
        hot, others = made.load(1, HOT, name="hot"), made.load(OTHERS, 1, name="other")
        await hot.run()
        await others.run()
        plain.gate.set()
        await settle(made, [*hot.received, *others.received], limit=40)
        order = [taken.subject == "hot-0" for taken in plain.effects()]
        last_of_others = len(order) - order[::-1].index(False)
        assert sum(order[:last_of_others]) <= OTHERS  # a hot event for each other at most; behind the hot ones: all
        assert await violations(made, hot.received) == []


async def test_a_partner_that_takes_nothing_holds_up_nobody_else(tmp_path: Path) -> None:
    async with installation(tmp_path, call_limit=20.0) as made:
        await made.start()
        plain = made.partners["plain"]
        plain.gate.clear()
        load = made.load(20, 20)
        await load.run()
        for name in ("asked", "once"):
            await made.partners[name].until_effects(20 * 20)
        assert plain.effects() == []
        plain.gate.set()
        await settle(made, load.received, limit=40)
        assert await violations(made, load.received) == []
