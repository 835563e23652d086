"""Dates as partners write them: each field has its own form and zone, inside there is one."""

from __future__ import annotations

from datetime import UTC, date, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from router.sdk.dates import (
    COMPACT,
    DASHED,
    EDXML_DATE,
    EDXML_TIME,
    ISO,
    SLASHED,
    UTC_UNMARKED,
    Format,
    local_date,
)

SAME = datetime(2025, 8, 6, 2, 30, tzinfo=UTC)  # 09:30 in Vietnam


@pytest.mark.parametrize(
    ("form", "text"),
    [
        (COMPACT, "20250806093000"),
        (EDXML_TIME, "2025/08/06 09:30:00"),
        (UTC_UNMARKED, "2025-08-06T02:30:00"),
        (UTC_UNMARKED, "2025-08-06T02:30:00.0000000"),
        (UTC_UNMARKED, "2025-08-06T02:30:00Z"),
        (UTC_UNMARKED, "2025-08-06T09:30:00+07:00"),
        (ISO, "2025-08-06T09:30:00+07:00"),
        (ISO, "2025-08-06T09:30:00"),
        (ISO, " 2025-08-06 09:30:00 "),
    ],
)
def test_one_instant_in_every_partners_form(form: Format, text: str):
    assert form.read(text, "NgayTiepNhan") == SAME
    assert form.read(text, "NgayTiepNhan").tzinfo is UTC


@pytest.mark.parametrize(
    ("form", "text"),
    [(SLASHED, "06/08/2025"), (DASHED, "06-08-2025"), (EDXML_DATE, "2025/08/06"), (COMPACT, "20250806235959")],
)
def test_one_day_in_every_partners_form(form: Format, text: str):
    assert form.read_date(text, "Ngay") == date(2025, 8, 6)


@pytest.mark.parametrize(
    ("form", "text"),
    [
        (COMPACT, ""),
        (COMPACT, "202508060930"),
        (COMPACT, "2025080609300"),
        (COMPACT, "20250806093060"),
        (COMPACT, "20250230093000"),
        (COMPACT, "06/08/2025"),
        (SLASHED, "2025/08/06"),
        (SLASHED, "31/02/2025"),
        (SLASHED, "06-08-2025"),
        (DASHED, "06/08/2025"),
        (EDXML_TIME, "2025-08-06 09:30:00"),
        (UTC_UNMARKED, "06/08/2025"),
        (UTC_UNMARKED, "0001-01-01T00:00:00+07:00"),
        (COMPACT, "00010101000000"),
    ],
)
def test_another_form_is_refused_naming_the_field_and_the_expected_form_only(form: Format, text: str):
    with pytest.raises(ValueError, match="NgayHenTra: expected") as caught:
        form.read(text, "NgayHenTra")
    assert str(caught.value) == f"NgayHenTra: expected {form.written}"


@given(st.datetimes(datetime(1900, 1, 2), datetime(2999, 12, 30)).map(lambda d: d.replace(microsecond=0, tzinfo=UTC)))
@pytest.mark.parametrize("form", [COMPACT, EDXML_TIME, UTC_UNMARKED, ISO])
def test_what_is_written_is_read_again(form: Format, instant: datetime):
    assert form.read(form.write(instant), "f") == instant


@given(st.dates(date(1000, 1, 1)))
@pytest.mark.parametrize("form", [SLASHED, DASHED, EDXML_DATE])
def test_a_day_that_is_written_is_read_again(form: Format, day: date):
    assert form.read_date(form.write_date(day), "f") == day


@pytest.mark.parametrize(
    ("instant", "day"),
    [
        (datetime(2025, 6, 30, 16, 59, 59, tzinfo=UTC), date(2025, 6, 30)),
        (datetime(2025, 6, 30, 17, 0, tzinfo=UTC), date(2025, 7, 1)),
    ],
)
def test_the_law_counts_days_of_vietnam(instant: datetime, day: date):
    assert local_date(instant) == day
