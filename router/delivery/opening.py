"""When a recipient takes calls: office hours, working days and maintenance windows. Pure."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from typing import Final, NamedTuple, Protocol

from router.sdk.dates import VIETNAM
from router.sdk.manifest import DAYS

FIRST_OF_WEEKEND: Final = 5
LOOK_AHEAD: Final = 60  # days; a partner closed for longer is asked about again after them


class Window(Protocol):
    """A maintenance window, and its reason."""

    @property
    def why(self) -> str:
        """The reason."""

    def until(self, at: datetime) -> datetime | None:
        """The end (aware) of the window, when ``at`` (aware) lies in it."""


class Shut(NamedTuple):
    """Closed until then (aware), and why."""

    until: datetime
    why: str


def _every_day(_day: date) -> bool:
    return True


@dataclass(frozen=True, slots=True)
class Opening:
    """Local time of Vietnam. No ``ranges``: open at all hours of all days. ``is_working_day`` judges public holidays
    and make-up days; a make-up Saturday is open though ``days`` does not name it.
    """

    days: tuple[str, ...] = DAYS
    ranges: tuple[tuple[time, time], ...] = ()
    urgent_always: bool = True
    windows: Sequence[Window] = ()
    is_working_day: Callable[[date], bool] | None = None

    def shut(self, at: datetime, *, urgent: bool = False) -> Shut | None:
        """None while calls may start; maintenance closes for urgent deliveries too, office hours need not."""
        for window in self.windows:
            if (end := window.until(at)) is not None:
                return Shut(end, window.why)
        if not self.ranges or (urgent and self.urgent_always):
            return None
        local = at.astimezone(VIETNAM)
        if self._open_on(local.date()) and any(start <= local.time() < end for start, end in self.ranges):
            return None
        return Shut(self._next(local), "office hours")

    def _next(self, local: datetime) -> datetime:
        for ahead in range(LOOK_AHEAD):
            day = local.date() + timedelta(days=ahead)
            if not self._open_on(day):
                continue
            for start, _end in sorted(self.ranges):
                opening = datetime.combine(day, start, VIETNAM)
                if opening > local:
                    return opening
        return local + timedelta(days=LOOK_AHEAD)

    def _open_on(self, day: date) -> bool:
        named, weekend = DAYS[day.weekday()] in self.days, day.weekday() >= FIRST_OF_WEEKEND
        if self.is_working_day is None:
            return named
        if named:
            return weekend or self.is_working_day(day)
        return weekend and self.is_working_day(day)  # a make-up day


ALWAYS: Final = Opening()
