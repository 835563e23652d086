"""Statistics that add up: the articles' figures, and a second opinion on every class."""

from __future__ import annotations

from collections import Counter
from collections.abc import AsyncIterator
from datetime import UTC, date, datetime, timedelta
from itertools import pairwise
from random import Random
from typing import Any

import pytest
from sqlalchemy import text

from router.ledger import dossiers
from router.ledger.dossiers import By
from router.procedures.calendar import load_calendar
from router.procedures.deadlines import Standing, standing
from router.procedures.definitions_file import shipped_definitions
from router.procedures.dues import Clockwork, day_of
from router.procedures.library import Library
from router.procedures.office import Place
from router.procedures.rows import facts_row
from router.reports.generated import Wanted
from router.reports.generated import dossiers as generated
from router.reports.names import Names
from router.reports.page import NATIONAL, RECEIVED, page
from router.reports.period import Period
from router.reports.service import Reports, with_shares
from router.routing.registry_files import shipped_registry
from router.sdk.dates import VIETNAM
from router.sdk.testing.clock import ManualClock
from tests.ledger.harness import in_memory
from tests.procedures.story import Story

CALENDAR = load_calendar()
CLOCKWORK = Clockwork(CALENDAR, place_of=lambda code: Place((code, code.rpartition(".")[0], "H43")))
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
    rows = await Reports(ledger, Today(), CLOCKWORK).statistics(Period.read("2025"), By.AGENCY)
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
            due = datetime(2026, 3, chance.randint(1, 28), 10, tzinfo=UTC)
            row |= {"due_date": due.date().isoformat(), "due_whole": int(due.timestamp()) * 1_000_000}
        if row["status"] in (5, 6) and chance.random() < 0.7:
            row["paused_since"] = row["due_whole"] + chance.randint(-2, 2) * 86_400_000_000
    await load(ledger, rows)
    today = date(2026, 2, 1)
    expected = Counter(
        standing(
            due=date.fromisoformat(row["due_date"]),
            finished=date.fromisoformat(row["finished_date"]) if row["finished_date"] else None,
            paused_for_supplement=row["status"] == 5,
            today=today,
            paused=day_of(row["paused_since"]) if row["paused_since"] else None,
        )
        for row in rows
    )
    (whole,) = (await Reports(ledger, Today(), CLOCKWORK).statistics(Period.read("2025"), By.LEVEL))[-1:]
    assert {each: whole[each.value] for each in Standing} == {each: expected[each] for each in Standing}
    assert sum(whole[each.value] for each in Standing) + whole["closed"] + whole["without_due"] == whole["received"]


async def test_what_was_stopped_for_good_or_replaced_is_closed_and_at_no_risk(ledger: Any) -> None:
    rows = list(generated(Wanted(0, 0, 2, 1), CALENDAR, 2025, 3, AGENCIES))
    ended = [row for row in rows if row["finished_date"]]
    for row, status in zip(ended, (8, 4), strict=True):
        row["status"] = status
    await load(ledger, rows)
    reports = Reports(ledger, Today(), CLOCKWORK)
    (whole,) = (await reports.statistics(Period.read("2025"), By.LEVEL))[-1:]
    assert (whole["closed"], whole["pending_overdue"], whole["solved"]) == (2, 1, 0)
    (form,) = (await reports.national(Period.read("2025"), By.LEVEL))[-1:]
    assert (form["closed"] + form["open"] + form["solved"], form["solved"]) == (form["concerned"], 0)
    assert {row["code"] for row in await reports.at_risk(1, 10)} == {r["code"] for r in rows if r not in ended}


async def test_what_is_at_risk_is_listed_by_agency_with_the_oldest_date_first(ledger: Any) -> None:
    rows = list(generated(Wanted(0, 0, 0, 30), CALENDAR, 2025, 5, AGENCIES))
    await load(ledger, rows)
    listed = await Reports(ledger, Today(), CLOCKWORK).at_risk(1, 100)
    assert len(listed) == 30
    assert listed == sorted(listed, key=lambda row: (row["agency"], row["due_date"], row["code"]))
    assert all(row["days_left"] < 0 and not row["apology"] for row in listed)


async def test_who_waits_for_the_tax_office_is_neither_overdue_nor_at_risk(ledger: Any) -> None:
    waiting, late = generated(Wanted(0, 0, 0, 2), CALENDAR, 2025, 5, AGENCIES)
    day = 86_400_000_000
    waiting |= {"status": 6, "paused_since": waiting["due_whole"] - 3 * day, "paused_status": 6}
    late |= {"status": 6, "paused_since": late["due_whole"] + 3 * day, "paused_status": 6}
    await load(ledger, [waiting, late])
    reports = Reports(ledger, Today(), CLOCKWORK)
    (whole,) = (await reports.statistics(Period.read("2025"), By.LEVEL))[-1:]
    assert (whole["pending"], whole["pending_overdue"], whole["paused"]) == (1, 1, 2)
    assert [row["code"] for row in await reports.at_risk(3, 10)] == [late["code"]]


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
    rows = await Reports(ledger, Today(), CLOCKWORK).statistics(Period.read("2025"), By.AGENCY)
    made = page(Period.read("2025"), rows, RECEIVED)
    assert "<b>" not in made
    assert "Trước hạn: 3 (42.86 %)" in made
    told = await Reports(ledger, Today(), CLOCKWORK).national(Period.read("2025"), By.AGENCY)
    assert "Từ kỳ trước" in page(Period.read("2025"), told, NATIONAL)
    assert "Không có hồ sơ" in page(Period.read("2024"), [], NATIONAL)


REGISTRY = shipped_registry()
NAMES = Names(REGISTRY, Library(shipped_definitions()))


@pytest.mark.parametrize(
    ("by", "code", "day", "name"),
    [
        (By.AGENCY, "H39.16", "2025-02-28", "Sở Tài nguyên và Môi trường Long An"),
        (By.AGENCY, "H39.16", "2025-03-01", "Sở Nông nghiệp và Môi trường Long An"),
        (By.AGENCY, "H39.25", "2025-12-31", "UBND huyện Bến Lức"),  # not those that it was split into
        (By.AGENCY, "000.01.25.H39", "2025-06-30", "UBND thị trấn Bến Lức"),
        (By.AGENCY, "H53.101", "2025-06-30", "H53.101"),  # from 1 July on
        (By.AGENCY, "H99", "2025-06-30", "H99"),
        (By.PROCEDURE, "1.012783.000.00.00.H39", "2025-06-30", "Chuyển quyền sử dụng đất có thuế"),
        (By.PROCEDURE, "9.999999", "2025-06-30", "9.999999"),
        (By.LEVEL, "commune", "2025-06-30", "Cấp xã"),
        (By.LEVEL, "hamlet", "2025-06-30", "hamlet"),
        (By.SECTOR, "G10-DD01", "2025-06-30", "G10-DD01"),
    ],
)
def test_a_group_bears_the_name_that_it_had_on_that_day(by: By, code: str, day: str, name: str) -> None:
    assert NAMES(by, code, date.fromisoformat(day)) == name


async def test_groups_of_a_report_bear_their_names_of_the_periods_end(ledger: Any) -> None:
    rows = list(generated(Wanted(3, 2, 1, 1), CALENDAR, 2025, 1, ("H39.16", "H39.<b>")))
    await load(ledger, [*rows[:-1], rows[-1] | {"agency": ""}])
    reports = Reports(ledger, Today(), CLOCKWORK, NAMES)
    for ask in (reports.statistics, reports.national):
        told = await ask(Period.read("2025"), By.AGENCY)
        assert {row["group"]: row["name"] for row in told} == {
            "": "(không rõ)",
            "H39.16": "Sở Nông nghiệp và Môi trường Long An",
            "H39.<b>": "H39.<b>",
            "total": "Tổng số",
        }
    made = page(Period.read("2025"), told, NATIONAL)
    assert "Sở Nông nghiệp và Môi trường Long An<small>H39.16</small>" in made
    assert "<td>H39.&lt;b&gt;</td>" in made


#: A second opinion, in words of its own: which class a row of Thuận Bắc is in, by its two dates alone.
SECOND_OPINION = """
SELECT CASE WHEN finished_date IS NULL THEN 'open'
            WHEN julianday(finished_date) - julianday(due_date) < 0 THEN 'early'
            WHEN julianday(finished_date) - julianday(due_date) > 0 THEN 'overdue' ELSE 'on_time' END AS class,
       COUNT(*) FROM dossier GROUP BY 1
"""


async def test_an_independent_query_agrees_with_the_classes(ledger: Any) -> None:
    """The rows hold events and dates; nobody has written a class anywhere."""
    rows = list(generated(Wanted(194, 1_587, 1, 7), CALENDAR, 2025, 1, AGENCIES))
    assert not {"class", "standing", *Standing} & rows[0].keys()
    await load(ledger, rows)
    whole = (await Reports(ledger, Today(), CLOCKWORK).statistics(Period.read("2025"), By.SECTOR))[-1]
    second = await ledger.read(lambda conn: dict(tuple(row) for row in conn.execute(text(SECOND_OPINION))))
    assert second == {"early": 194, "on_time": 1_587, "overdue": 1, "open": 7}
    assert {name: whole[name] for name in ("early", "on_time", "overdue")} == {
        name: second[name] for name in ("early", "on_time", "overdue")
    }
    assert whole["pending"] + whole["pending_overdue"] == second["open"]


async def test_the_national_form_is_what_a_count_by_hand_gives(ledger: Any) -> None:
    rows = list(generated(Wanted(200, 200, 60, 60), CALENDAR, 2025, 9, AGENCIES))
    chance = Random(4)
    for row in rows:
        if not row["finished_date"] and chance.random() < 0.3:
            row |= {"status": 5, "paused_status": 5, "paused_since": row["received_at"]}
        elif row["finished_date"] and chance.random() < 0.1:
            row["status"] = chance.choice((3, 7))
    await load(ledger, rows)
    period = Period.read("2025-Q3")
    told = await Reports(ledger, Today(), CLOCKWORK).national(period, By.AGENCY)
    expected: Counter[str] = Counter()
    for row in rows:
        received = date.fromisoformat(row["received_date"])
        finished = date.fromisoformat(row["finished_date"]) if row["finished_date"] else date.max
        due = date.fromisoformat(row["due_date"])
        if received > period.last or finished < period.first:
            continue
        expected["carried_over" if received < period.first else row["channel"]] += 1
        if finished > period.last:
            late = "open_overdue" if due < period.last else "open_in_time"
            expected["open_supplement" if row["status"] == 5 else late] += 1
        elif row["status"] in (3, 7):
            expected["closed"] += 1
        else:
            expected["early" if finished < due else "on_time" if finished == due else "overdue"] += 1
    assert {name: told[-1][name] for name in expected} == expected
    assert min(expected.values()) > 0
    for row in told:
        assert row["carried_over"] + row["received"] == row["concerned"]
        assert row["solved"] + row["closed"] + row["open"] == row["concerned"]
    assert told[-1]["concerned"] == sum(row["concerned"] for row in told[:-1])


async def test_what_is_open_at_the_end_is_carried_over_into_the_next_period(ledger: Any) -> None:
    await load(ledger, list(generated(Wanted(200, 200, 60, 60), CALENDAR, 2025, 10, AGENCIES)))
    reports = Reports(ledger, Today(), CLOCKWORK)
    quarters = [(await reports.national(Period.read(f"2025-Q{n}"), By.LEVEL))[-1] for n in (1, 2, 3, 4)]
    for before, after in pairwise(quarters):
        assert after["carried_over"] == before["open"]
    year = (await reports.national(Period.read("2025"), By.LEVEL))[-1]
    assert sum(quarter["received"] for quarter in quarters) == year["received"]
    assert sum(quarter["solved"] for quarter in quarters) == year["solved"]


async def test_a_period_that_still_runs_ends_today(ledger: Any) -> None:
    await load(ledger, list(generated(Wanted(0, 0, 0, 20), CALENDAR, 2025, 5, AGENCIES)))
    running = (await Reports(ledger, Today(), CLOCKWORK).national(Period.read("2026"), By.AGENCY))[-1]
    until_today = (await Reports(ledger, Today(), CLOCKWORK).national(Period.read("2026-01"), By.AGENCY))[-1]
    assert (running["carried_over"], running["received"]) == (20, 0)
    assert running["open_overdue"] == until_today["open_overdue"] == 20


async def test_an_agency_is_counted_with_all_below_it(ledger: Any) -> None:
    await load(ledger, list(generated(Wanted(20, 20, 0, 4), CALENDAR, 2025, 1, (*AGENCIES, "H43.25.02"))))
    reports, year = Reports(ledger, Today(), CLOCKWORK), Period.read("2025")
    below = await reports.statistics(year, By.AGENCY, agency="H43.25")
    assert [row["group"] for row in below] == ["H43.25.01", "H43.25.02", "total"]
    assert (await reports.statistics(year, By.AGENCY, agency="H43"))[-1]["received"] == 44
    assert await reports.statistics(year, By.AGENCY, agency="H44") == []
    assert {row["agency"] for row in await reports.at_risk(0, 100, "H43.25")} <= {"H43.25.01", "H43.25.02"}


async def test_what_is_due_soon_is_counted_in_working_days(ledger: Any) -> None:
    (row,) = generated(Wanted(0, 0, 0, 1), CALENDAR, 2025, 5, AGENCIES)
    row |= {"due_date": "2026-02-02", "overdue_detected_at": None}  # Today is Sunday 1 February
    await load(ledger, [row])
    reports = Reports(ledger, Today(), CLOCKWORK)
    assert await reports.at_risk(0, 10) == []
    (risk,) = await reports.at_risk(1, 10)
    assert (risk["days_left"], risk["working_days_left"], risk["overdue"]) == (1, 0, False)


async def test_dossiers_told_by_their_events_are_counted_in_the_class_of_their_dates(ledger: Any) -> None:
    """From events through the engine and its calendar to the report: early, on time, overdue, waiting for papers."""
    start = datetime(2025, 8, 4, 8, 0, tzinfo=VIETNAM)  # due after 13 working days: 21 August
    rows = []
    for number, end in enumerate((20, 21, 22, None, None)):
        story = Story("land_transfer", start=start)
        code = f"H39.16-250804-{number:04d}"
        story.status(2, code=code, channel="ONLINE", sector="G10-DD01")
        if end is not None:
            story.event("dossier.corrected", at=start.replace(day=end, hour=16), status=9, corrects=True)
        elif number == 4:
            story.status(5, code=code, at=start + timedelta(days=1))
        key = {"key": number.to_bytes(16)}
        rows.append(key | facts_row(story.instance, lambda code: "department"))
    await load(ledger, rows)
    (row, _) = await Reports(ledger, Today(), CLOCKWORK).statistics(Period.read("2025-08"), By.SECTOR)
    assert [row["due_date"] for row in rows[:3]] == ["2025-08-21"] * 3
    assert row["group"] == "G10-DD01"
    counted = ("early", "on_time", "overdue", "pending_overdue", "waiting_supplement", "online")
    assert [row[name] for name in counted] == [1, 1, 1, 1, 1, 5]
