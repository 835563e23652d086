"""How long something lasts or may last: so many working days, hours, or until the end of the day."""

from __future__ import annotations

import re
from collections.abc import Mapping
from enum import StrEnum
from fractions import Fraction
from typing import Final

from pydantic import BaseModel, ConfigDict


class Unit(StrEnum):
    """Units of a duration."""

    WORKING_DAYS = "working days"
    WORKING_HOURS = "working hours"
    CALENDAR_DAYS = "calendar days"
    HOURS = "hours"
    MINUTES = "minutes"
    NEXT_WORKING_DAY = "next working day"  # its end
    SAME_DAY = "same day"  # its end if begun early enough, else that of the next working day


_NAMED: Final = frozenset({Unit.NEXT_WORKING_DAY, Unit.SAME_DAY})
_VIETNAMESE: Final = {
    Unit.WORKING_DAYS: "ngày làm việc",
    Unit.WORKING_HOURS: "giờ làm việc",
    Unit.CALENDAR_DAYS: "ngày",
    Unit.HOURS: "giờ",
    Unit.MINUTES: "phút",
    Unit.NEXT_WORKING_DAY: "ngày làm việc tiếp theo",
    Unit.SAME_DAY: "trong ngày",
}
_AMOUNT: Final = r"\d{1,6}(?:\.\d{1,4})?|\d{1,6}/\d{1,6}"
_DURATION: Final = re.compile(rf"({_AMOUNT}) (working days?|working hours?|calendar days?|hours?|minutes?)")
_BARE: Final = re.compile(_AMOUNT)
#: The longest duration: ten years. Longer ones are slips, and counting them day by day would hold everybody up.
LONGEST: Final[Mapping[Unit, int]] = {
    Unit.WORKING_DAYS: 2_500,
    Unit.WORKING_HOURS: 20_000,
    Unit.CALENDAR_DAYS: 3_650,
    Unit.HOURS: 87_600,
    Unit.MINUTES: 5_256_000,
}


class Duration(BaseModel):
    """``5 working days``, ``8 working hours``, ``30 calendar days``, ``4 hours``, ``30 minutes``, ``same day`` or
    ``next working day``.
    """

    model_config = ConfigDict(frozen=True)

    amount: Fraction
    unit: Unit

    @classmethod
    def read(cls, text: object) -> Duration:
        """Raises ``ValueError`` naming the forms."""
        if isinstance(text, str) and text in _NAMED:
            return cls(amount=Fraction(1), unit=Unit(str(text)))
        found = _DURATION.fullmatch(str(text))
        if found is None:
            raise ValueError(
                "a duration is like `5 working days`, `8 working hours`, `30 calendar days`, `30 minutes`, `same day`"
            )
        return cls.of(found[1], Unit(found[2] if found[2].endswith("s") else found[2] + "s"))

    @classmethod
    def read_allowance(cls, text: object) -> Duration:
        """The same for a budget, where a bare number means working days. Raises ``ValueError``."""
        return cls.of(str(text), Unit.WORKING_DAYS) if _BARE.fullmatch(str(text)) else cls.read(text)

    @classmethod
    def of(cls, amount: str, unit: Unit) -> Duration:
        """Raises ``ValueError`` for nothing, for more than ten years, and for half a calendar day."""
        try:
            exact = Fraction(amount)
        except ZeroDivisionError:
            raise ValueError(f"`{amount}` divides by zero") from None
        if not 0 < exact <= LONGEST[unit]:
            raise ValueError(f"a duration is above 0 and at most {LONGEST[unit]:,} {unit}")
        if unit is Unit.CALENDAR_DAYS and exact.denominator != 1:
            raise ValueError("calendar days are counted whole")
        return cls(amount=exact, unit=unit)

    def __str__(self) -> str:
        return str(self.unit) if self.unit in _NAMED else f"{float(self.amount):g} {self.unit}"

    def words(self, lang: str) -> str:
        """For people, in ``vi`` or ``en``."""
        if lang != "vi":
            return str(self)
        return _VIETNAMESE[self.unit] if self.unit in _NAMED else f"{float(self.amount):g} {_VIETNAMESE[self.unit]}"
