"""The verdict finds what it is there to find: a sound run is spoilt on paper."""

from __future__ import annotations

from pathlib import Path

from tests.torture.installation import installation
from tests.torture.operator import settle
from tests.torture.verdict import Freeze, violations


async def test_a_lost_a_doubled_and_a_reordered_effect_are_named(tmp_path: Path) -> None:
    async with installation(tmp_path) as made:
        await made.start()
        load = made.load(3, 4)
        await load.run()
        await settle(made, load.received, limit=30)
        assert await violations(made, load.received) == []
        record = made.partners["asked"].record
        sound = list(record)
        record.pop(0)
        assert {text.split()[0] for text in await violations(made, load.received)} == {"lost"}
        again = sound[0]._replace(at=sound[-1].at + 1.0)
        record[:] = [*sound, again]
        assert {text.split()[0] for text in await violations(made, load.received)} == {"doubled"}
        freeze = Freeze(sound[0].at - 1.0, again.at - 0.5)
        assert await violations(made, load.received, [freeze]) == []
        record[:] = sound[::-1]
        assert {text.split()[0] for text in await violations(made, load.received)} == {"reordered"}
