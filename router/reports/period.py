"""The period a report is about: a year, a quarter, a month or a day, by the local date of reception."""

from __future__ import annotations

import re
from datetime import date, timedelta
from typing import Final, NamedTuple

_FORM: Final = re.compile(r"(\d{4})(?:-(?:Q([1-4])|(\d{2})(?:-(\d{2}))?))?")


class Period(NamedTuple):
    """From ``first`` to ``last``, both included."""

    name: str
    first: date
    last: date

    @classmethod
    def read(cls, text: str) -> Period:
        """``2025``, ``2025-Q3``, ``2025-07`` or ``2025-07-01``. Raises ``ValueError`` naming the forms."""
        found = _FORM.fullmatch(text)
        if found is None:
            raise ValueError("a period is 2025, 2025-Q3, 2025-07 or 2025-07-01")
        year, quarter, month, day = (int(part) if part else 0 for part in found.groups())
        if day:
            only = date(year, month, day)
            return cls(text, only, only)
        start = month or (3 * quarter - 2 if quarter else 1)
        length = 1 if month else 3 if quarter else 12
        following = start + length
        end = date(year + (following > 12), (following - 1) % 12 + 1, 1)
        return cls(text, date(year, start, 1), end - timedelta(days=1))
