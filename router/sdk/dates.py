"""Dates as partners write them: each field declares its format and zone; inside, everything is UTC.

In this field ``yyyyMMddHHmmss``, ``dd/MM/yyyy``, ``dd-MM-yyyy``, ``yyyy/MM/dd HH:mm:ss`` and UTC without a marker stand
side by side; local time is that of Asia/Ho_Chi_Minh, which has no summer time.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta, timezone
from functools import lru_cache
from typing import Final

LONGEST: Final = 64  # characters; no date is longer
VIETNAM: Final = timezone(timedelta(hours=7), "Asia/Ho_Chi_Minh")


@dataclass(frozen=True, slots=True)
class Format:
    """A field's format (as ``strptime`` has it), its zone, and how people write it down."""

    pattern: str
    written: str
    zone: timezone = VIETNAM

    def read(self, text: str, field: str) -> datetime:
        """The instant, in UTC. Raises ``ValueError`` naming the field and the expected form, never the value."""
        return self._parsed(text, field).astimezone(UTC)

    def read_date(self, text: str, field: str) -> date:
        """The date as written. Raises ``ValueError``."""
        return self._parsed(text, field).date()

    def _parsed(self, text: str, field: str) -> datetime:
        text = text.strip()
        if len(text) > LONGEST or (found := _understood(self, text)) is None:
            raise ValueError(f"{field}: expected {self.written}")
        return found

    def _instant(self, text: str) -> datetime:
        found = datetime.strptime(text, self.pattern).replace(tzinfo=self.zone)
        # Without separators a digit too few shifts all the others: 20250806093 would be 09:03.
        if self.written.isalpha() and self.write(found) != text:
            raise ValueError(text)
        return found

    def write(self, instant: datetime) -> str:
        """An instant in this form and zone."""
        return instant.astimezone(self.zone).strftime(self.pattern)

    def write_date(self, day: date) -> str:
        """A date in this form."""
        return day.strftime(self.pattern)


@dataclass(frozen=True, slots=True)
class IsoFormat(Format):
    """ISO 8601 with any number of decimals. A text without a marker is in ``zone``; a marker is believed."""

    def _instant(self, text: str) -> datetime:
        found = datetime.fromisoformat(text)
        return found.replace(tzinfo=self.zone) if found.tzinfo is None else found


@lru_cache(maxsize=4_096)
def _understood(form: Format, text: str) -> datetime | None:
    """Remembered, because the messages of a dossier repeat its dates."""
    try:
        found = form._instant(text)
        found.astimezone(UTC)
    except (ValueError, OverflowError):
        return None
    return found


COMPACT: Final = Format("%Y%m%d%H%M%S", "yyyyMMddHHmmss")
SLASHED: Final = Format("%d/%m/%Y", "dd/MM/yyyy")
DASHED: Final = Format("%d-%m-%Y", "dd-MM-yyyy")
EDXML_DATE: Final = Format("%Y/%m/%d", "yyyy/MM/dd")
EDXML_TIME: Final = Format("%Y/%m/%d %H:%M:%S", "yyyy/MM/dd HH:mm:ss")
UTC_UNMARKED: Final = IsoFormat("%Y-%m-%dT%H:%M:%S", "yyyy-MM-ddTHH:mm:ss (UTC)", timezone.utc)  # noqa: UP017
ISO: Final = IsoFormat("%Y-%m-%dT%H:%M:%S+07:00", "yyyy-MM-ddTHH:mm:ss+07:00")


def local_date(instant: datetime) -> date:
    """The date in Vietnam at an instant."""
    return instant.astimezone(VIETNAM).date()
