"""What happens after the first day: business time goes on, and with it due dates and the reorganisation of July 2025.

Only business time is moved; pauses, retries and leases go by mechanical time as ever.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

from router.demo.cast import OVERDUE, REORGANISED, number_of
from router.sdk.dates import local_date

if TYPE_CHECKING:
    from router.demo.story import Story

#: Mornings in Vietnam. Dossiers of 2 June are due on the 20th, one of 13 June on 1 July.
FIRST_DAY: Final = datetime(2025, 6, 2, 1, 0, tzinfo=UTC)
FILED_LATER: Final = datetime(2025, 6, 13, 1, 0, tzinfo=UTC)
DUE_DATE_PASSED: Final = datetime(2025, 6, 23, 1, 0, tzinfo=UTC)
NEW_DATE_PASSED: Final = datetime(2025, 6, 26, 1, 0, tzinfo=UTC)  # the apology's new date was the 25th
REFORM: Final = datetime(2025, 7, 1, 1, 0, tzinfo=UTC)
TURN: Final = 0.1
PATIENCE: Final = 20.0  # seconds within which the service must see that it is another day


class Later:
    """Two dossiers that are kept back until all others are done: one becomes overdue, one is reorganised."""

    def __init__(self, story: Story) -> None:
        self._story, self._world = story, story.world

    async def play(self) -> None:
        """To the end, as far as the story has these dossiers; nothing if it is stuck."""
        if self._story.dossiers >= REORGANISED:
            await self._file()
        if self._story.dossiers >= OVERDUE:
            await self._overdue()
        if self._story.dossiers >= REORGANISED:
            await self._reorganised()

    async def _file(self) -> None:
        self._move(FILED_LATER, "one more dossier is filed")
        code = self._story.file(REORGANISED)
        await self._story.until(lambda: code in self._world.land.kept)

    async def _overdue(self) -> None:
        story, one_stop = self._story, self._world.one_stop
        code = next(each for each in story.codes if number_of(each) == OVERDUE)
        self._move(DUE_DATE_PASSED, f"the due date of {code} has passed")
        if await story.until(lambda: one_stop.overdue(code) == 1):
            story.told(f"{code} was found overdue; the one-stop has apologised and set a new date")
        self._move(NEW_DATE_PASSED, "the new date has passed as well")
        if await story.until(lambda: one_stop.overdue(code) == 2):
            self._world.land.release(code)
        if await story.until(lambda: one_stop.status[code] == "10"):
            story.told(f"{code} is finished, overdue")

    async def _reorganised(self) -> None:
        story, world = self._story, self._world
        if story.stuck:
            return
        code = next(each for each in story.codes if number_of(each) == REORGANISED)
        self._move(REFORM, f"Long An (H39) is merged into Tây Ninh (H53), which goes on with {code}")
        if not await self._within(PATIENCE, lambda: story.service.routes.today == local_date(REFORM)):
            story.told("the service does not see that it is another day")
            story.stuck = True
            return
        world.hand_over(code)
        world.land.release(code)
        if await story.until(lambda: world.neighbour.status[code] == "10"):
            story.told(f"{code} was returned by the successor")

    def _move(self, to: datetime, why: str) -> None:
        if self._story.stuck:
            return
        clock = self._story.clock
        clock.business_offset += to - clock.business()
        self._story.told(f"business time: {local_date(to):%d/%m/%Y}; {why}")

    async def _within(self, seconds: float, condition: Callable[[], bool]) -> bool:
        clock = self._story.clock
        until = clock.monotonic() + seconds
        while not condition() and clock.monotonic() < until:
            await clock.sleep(TURN)
        return condition()
