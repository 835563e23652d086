"""One hot dossier, or one recipient with a long backlog, is in nobody's way: by turns and commits, not by the clock."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from router.events import topic_of
from router.sdk import Transient
from tests.delivery.installation import PARTNER, Installation, Script, installation

HOT, OTHERS, SLOTS = 10_000, 100, 4
BACKLOG = 5_000


async def accepted(place: Installation, recipient: str, count: int) -> None:
    await place.until(lambda: place.service.tally.accepted[recipient, "new"] >= count)


def turns(taken: Sequence[str]) -> list[int]:
    """For every event of another dossier: how many calls went out before its own."""
    return [at for at, event in enumerate(taken) if event.startswith("other")]


async def test_a_dossier_with_ten_thousand_events_costs_the_others_one_turn_each_at_most(tmp_path: Path) -> None:
    """All of the hot dossier's events stand before the others on the bus and in the ledger."""
    script = Script()
    script.gate.clear()
    async with installation(tmp_path, script=script) as place:
        await place.publish(*((f"hot-{n}", "hot") for n in range(HOT)))
        await accepted(place, PARTNER, HOT)
        await place.publish(*((f"other-{n}", f"other-{n}") for n in range(OTHERS)))
        await accepted(place, PARTNER, HOT + OTHERS)
        script.gate.set()
        await place.until(lambda: len(turns(script.taken)) == OTHERS)
        waited = turns(script.taken)
        ninety_ninth = waited[OTHERS * 99 // 100 - 1]
        assert ninety_ninth <= 2 * OTHERS + SLOTS  # alone they take 100 turns: the hot one gets one beside each
        hot = [event for event in script.taken if event.startswith("hot")]
        assert hot == [f"hot-{n}" for n in range(len(hot))]


async def test_a_partner_that_is_down_with_a_long_backlog_costs_another_recipient_nothing(tmp_path: Path) -> None:
    """The other one's events are called within as many commits as without the backlog."""
    down, other = Script(), Script()
    async with installation(tmp_path, script=down, beside={"other": other}) as place:
        spent = [await _commits(place, other, "before")]
        down.answers.default_factory = lambda: [Transient("refused")] * 1_000
        for start in range(0, BACKLOG, 1_000):
            await place.publish(*((f"down-{n}", f"down-{n}") for n in range(start, start + 1_000)))
        await accepted(place, PARTNER, BACKLOG)
        await place.until(lambda: place.service.recipients[PARTNER].health.condition.down)
        spent.append(await _commits(place, other, "during"))
        assert down.taken == []
        assert len(other.taken) == 2 * OTHERS
        assert spent[1] <= 2 * spent[0] + 10, spent


async def _commits(place: Installation, script: Script, name: str) -> int:
    """How many commits it takes to deliver an event of each of many dossiers to the other recipient."""
    before, taken = place.service.tally.commits, len(script.taken)
    await place.publish(*((f"{name}-{n}", f"{name}-{n}") for n in range(OTHERS)), topic=topic_of("other"))
    await place.until(lambda: len(script.taken) == taken + OTHERS)
    return place.service.tally.commits - before
