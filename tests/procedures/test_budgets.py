"""Budgets as definitions may say them: the same day, working days and hours, calendar days."""

from __future__ import annotations

from datetime import datetime

import pytest

from router.errors import ConfigError
from router.procedures.definitions_file import parse_definition
from router.procedures.dues import agency_due, due_at, local, micros
from router.procedures.duration import Duration
from router.procedures.engine import opened, step
from router.procedures.instance import Event
from router.sdk.dates import VIETNAM
from tests.procedures.story import CLOCKWORK

FORM = """
procedure: x
version: 1
title: {{vi: a, en: a}}
source: a
budget: {budget}
roles: {{one: {{vi: a, en: a}}}}
start: work
nodes:
  work:
    {{kind: task, role: one, days: {budget}, title: {{vi: a, en: a}}, edges: [{{event: dossier.withdrawn, to: done}}]}}
  done: {{kind: end, state: returned, title: {{vi: a, en: a}}}}
  refused: {{kind: end, state: refused, title: {{vi: a, en: a}}}}
  withdrawn: {{kind: end, state: withdrawn, title: {{vi: a, en: a}}}}
"""


@pytest.mark.parametrize(
    ("budget", "accepted", "due"),
    [
        ("same day", "2025-08-15T14:59", "2025-08-15T17:00"),
        ("same day", "2025-08-15T15:00", "2025-08-18T17:00"),
        ("3", "2025-08-15T14:00", "2025-08-20T14:00"),
        ("0.5", "2025-08-15T14:00", "2025-08-18T08:00"),
        ("3 working days", "2025-08-15T14:00", "2025-08-20T14:00"),
        ("8 working hours", "2025-08-15T14:00", "2025-08-18T14:00"),
        ("30 calendar days", "2025-08-15T14:00", "2025-09-15T14:00"),
    ],
)
def test_a_budget_counts_from_acceptance(budget: str, accepted: str, due: str) -> None:
    begun = datetime.fromisoformat(accepted).replace(tzinfo=VIETNAM)
    shape = parse_definition(FORM.format(budget=budget), "x.yaml")
    at = micros(begun)
    facts = {"status": 2, "code": "x", "procedure": "x", "agency": "H39.16"}
    made = step(shape, opened(shape, at), Event("dossier.accepted", "s", "1", at, at, facts), CLOCKWORK, at).instance
    expected = datetime.fromisoformat(due).replace(tzinfo=VIETNAM)
    assert local(due_at(made.due.whole)) == expected
    assert local(agency_due(made.due)) == expected


@pytest.mark.parametrize("budget", ["0", "-3", "3 weeks", "same week"])
def test_other_budgets_are_refused_with_the_line(budget: str) -> None:
    with pytest.raises(ConfigError, match=r"line 6, budget"):
        parse_definition(FORM.format(budget=budget), "x.yaml")


def test_a_budget_is_told_in_both_languages() -> None:
    assert Duration.read("8 working hours").words("vi") == "8 giờ làm việc"
    assert Duration.read("same day").words("vi") == "trong ngày"
    assert Duration.read("2.5 working days").words("en") == "2.5 working days"
