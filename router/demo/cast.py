"""Which dossiers have a way of their own, by their running number. All others take the usual one."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final

from connectors.land_registry.office import Turn

WRONG_DATA: Final = 1
RECALCULATED: Final = 2
OVERDUE: Final = 4
POISON: Final = 7  # its land file says nothing of its parcel
REORGANISED: Final = 8
DISPUTED: Final = 9  # its first certificate is wrong
WRONG_PROCEDURE: Final = 10

TURNS: Final[Mapping[int, Turn]] = {
    WRONG_DATA: Turn.WRONG_DATA,
    RECALCULATED: Turn.RECALCULATED,
    OVERDUE: Turn.KEPT_AT_SIGNATURE,
    REORGANISED: Turn.KEPT_AT_APPRAISAL,
    WRONG_PROCEDURE: Turn.WRONG_PROCEDURE,
}


def number_of(code: str) -> int:
    """The running number in a dossier's code."""
    return int(code.rpartition("-")[2])


def turn_of(code: str) -> Turn:
    """What happens to a dossier at the land office."""
    return TURNS.get(number_of(code), Turn.NONE)


def disputed(code: str) -> bool:
    """Whether the one-stop finds its first certificate wrong."""
    return number_of(code) == DISPUTED


def one_in_ten(which: int) -> Callable[[str], bool]:
    """Picks one dossier in ten by its running number, of those that take the usual way."""

    def picked(code: str) -> bool:
        number = number_of(code)
        return number % 10 == which % 10 and number not in TURNS and number != DISPUTED

    return picked
