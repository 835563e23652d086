"""Dates as partners write them: each field declares its format and zone; inside, everything is UTC.

In this field ``yyyyMMddHHmmss``, ``dd/MM/yyyy``, ``dd-MM-yyyy``, ``yyyy/MM/dd HH:mm:ss`` and UTC without a marker stand
side by side; local time is that of Asia/Ho_Chi_Minh, which has no summer time.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta, timezone
from typing import Final

VIETNAM: Final = timezone(timedelta(hours=7), "Asia/Ho_Chi_Minh")


@dataclass(frozen=True, slots=True)
class Format:
    """A field's format (as ``strptime`` has it), its zone, and how people write it down."""

    pattern: str
    written: str
    zone: timezone = VIETNAM

    def read(self, text: str, field: str) -> datetime:
        """The instant, in UTC. Raises ``ValueError`` naming the field and the expected form."""
        try:
            return datetime.strptime(text.strip(), self.pattern).replace(tzinfo=self.zone).astimezone(UTC)
        except ValueError:
            raise ValueError(f"{field}: expected {self.written}") from None

    def read_date(self, text: str, field: str) -> date:
        """The date as written. Raises ``ValueError``."""
        try:
            return datetime.strptime(text.strip(), self.pattern).date()  # noqa: DTZ007 (a date has no zone)
        except ValueError:
            raise ValueError(f"{field}: expected {self.written}") from None

    def write(self, instant: datetime) -> str:
        """An instant in this form and zone."""
        return instant.astimezone(self.zone).strftime(self.pattern)

    def write_date(self, day: date) -> str:
        """A date in this form."""
        return day.strftime(self.pattern)


COMPACT: Final = Format("%Y%m%d%H%M%S", "yyyyMMddHHmmss")
SLASHED: Final = Format("%d/%m/%Y", "dd/MM/yyyy")
DASHED: Final = Format("%d-%m-%Y", "dd-MM-yyyy")
EDXML_DATE: Final = Format("%Y/%m/%d", "yyyy/MM/dd")
EDXML_TIME: Final = Format("%Y/%m/%d %H:%M:%S", "yyyy/MM/dd HH:mm:ss")
UTC_UNMARKED: Final = Format("%Y-%m-%dT%H:%M:%S", "yyyy-MM-ddTHH:mm:ss (UTC)", timezone.utc)  # noqa: UP017


def local_date(instant: datetime) -> date:
    """The date in Vietnam at an instant."""
    return instant.astimezone(VIETNAM).date()
