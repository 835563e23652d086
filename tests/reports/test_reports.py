"""Statistics that add up: the articles' figures, and a second opinion on every class."""

from __future__ import annotations

from collections import Counter
from collections.abc import AsyncIterator
from datetime import UTC, date, datetime
from random import Random
from typing import Any

import pytest

from router.ledger import dossiers
from router.ledger.dossiers import By
from router.procedures.calendar import load_calendar
from router.procedures.deadlines import Standing, standing
from router.reports.generated import Wanted
from router.reports.generated import dossiers as generated
from router.reports.page import page
from router.reports.period import Period
from router.reports.service import Reports, total, with_shares
from router.sdk.testing.clock import ManualClock
from tests.ledger.harness import in_memory

CALENDAR = load_calendar()
AGENCIES = ("H43.25.01", "H43.05")


class Today(ManualClock):
    def business(self) -> datetime:
        return datetime(2026, 2, 1, tzinfo=UTC)


@pytest.fixture
async def ledger() -> AsyncIterator[Any]:
    async with in_memory() as made:
        yield made


async def load(ledger: Any, rows: list[dict[str, Any]]) -> None:
    for start in range(0, len(rows), 2_000):
        await ledger.write(lambda conn, start=start: dossiers.add(conn, rows[start : start + 2_000]))


async def test_thuan_bac_adds_up_to_the_dossier(ledger: Any) -> None:
    await load(ledger, list(generated(Wanted(194, 15_875, 1, 7), CALENDAR, 2025, 1, AGENCIES)))
    rows = await Reports(ledger, Today()).statistics(Period.read("2025"), By.AGENCY)
    whole = rows[-1]
    counted = ("received", "early", "on_time", "overdue", "pending_overdue", "pending")
    assert {name: whole[name] for name in counted} == {
        "received": 16_077, "early": 194, "on_time": 15_875, "overdue": 1, "pending_overdue": 7, "pending": 0,
    }  # fmt: skip
    assert sum(row["received"] for row in rows[:-1]) == 16_077
    assert [row["group"] for row in rows] == ["H43.05", "H43.25.01", "total"]


def test_the_shares_of_long_an_are_those_of_the_article() -> None:
    row = {"group": "Long An", "received": 987_406, "early": 533_946, "on_time": 429_840, "overdue": 3_741}
    told = with_shares(row)
    assert (told["solved"], told["early_percent"], told["on_time_percent"], told["overdue_percent"]) == (
        967_527, 55.19, 44.43, 0.39,
    )  # fmt: skip
    assert told["received"] - told["solved"] == 19_879


async def test_every_class_is_the_one_that_the_rule_gives(ledger: Any) -> None:
    chance, rows = Random(3), list(generated(Wanted(60, 60, 60, 60), CALENDAR, 2025, 3, AGENCIES))
    for row in rows:
        row["status"] = chance.choice((9, 10)) if row["finished_date"] else chance.choice((2, 4, 5, 6))
        if chance.random() < 0.2 and not row["finished_date"]:
            row["due_date"] = date(2026, 3, chance.randint(1, 28)).isoformat()
    await load(ledger, rows)
    today = date(2026, 2, 1)
    expected = Counter(
        standing(
            due=date.fromisoformat(row["due_date"]),
            finished=date.fromisoformat(row["finished_date"]) if row["finished_date"] else None,
            paused_for_supplement=row["status"] == 5,
            today=today,
        )
        for row in rows
    )
    (whole,) = (await Reports(ledger, Today()).statistics(Period.read("2025"), By.LEVEL))[-1:]
    assert {each: whole[each.value] for each in Standing} == {each: expected[each] for each in Standing}
    assert sum(whole[each.value] for each in Standing) + whole["closed"] + whole["without_due"] == whole["received"]


async def test_what_is_at_risk_is_listed_by_agency_with_the_oldest_date_first(ledger: Any) -> None:
    rows = list(generated(Wanted(0, 0, 0, 30), CALENDAR, 2025, 5, AGENCIES))
    await load(ledger, rows)
    listed = await Reports(ledger, Today()).at_risk(1, 100)
    assert len(listed) == 30
    assert listed == sorted(listed, key=lambda row: (row["agency"], row["due_date"], row["code"]))
    assert all(row["days_left"] < 0 and not row["apology"] for row in listed)


@pytest.mark.parametrize(
    ("text", "first", "last"),
    [
        ("2025", "2025-01-01", "2025-12-31"),
        ("2025-Q3", "2025-07-01", "2025-09-30"),
        ("2025-Q4", "2025-10-01", "2025-12-31"),
        ("2025-02", "2025-02-01", "2025-02-28"),
        ("2024-12", "2024-12-01", "2024-12-31"),
        ("2025-07-01", "2025-07-01", "2025-07-01"),
    ],
)
def test_periods(text: str, first: str, last: str) -> None:
    assert Period.read(text)[1:] == (date.fromisoformat(first), date.fromisoformat(last))


@pytest.mark.parametrize("text", ["2025-Q5", "2025-13", "25", "2025-1", ""])
def test_what_is_no_period_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"period|month|day"):
        Period.read(text)


async def test_the_page_says_every_number_and_escapes_names(ledger: Any) -> None:
    await load(ledger, list(generated(Wanted(3, 2, 1, 1), CALENDAR, 2025, 1, ("H43.<b>",))))
    rows = await Reports(ledger, Today()).statistics(Period.read("2025"), By.AGENCY)
    made = page("Báo cáo", rows)
    assert "<b>" not in made
    assert "Trước hạn: 3" in made
    assert total(rows[:-1])["received"] == 7
