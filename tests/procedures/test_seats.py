"""Who is asked to undo its work: the agency that has the role, where somebody has said which one that is."""

from __future__ import annotations

from pathlib import Path

import pytest

from router.errors import ConfigError
from router.procedures.calendar import Calendar, load_calendar
from router.procedures.dues import Clockwork
from router.procedures.office import Place
from tests.procedures.story import CLOCKWORK, Story
from tests.procedures.test_land_transfer import paid

SEATS = """
jurisdiction: long-an
seats:
  - {role: land, of: [H39], agency: H39.13}
  - {role: land, of: [H39.16], agency: H39.13.02}
"""
PLACES = {"H39.16": Place(("H39.16", "H39")), "H39.25": Place(("H39.25", "H39"))}


def written(folder: Path, text: str) -> Calendar:
    file = folder / "days.yaml"
    file.write_text(text, "utf-8")
    return load_calendar("long-an", file)


def asked(story: Story) -> dict[str, str]:
    """The agency that is asked, by node."""
    return {each.record["name"]: each.addressed_to for each in story.emissions("procedure.compensation_requested")}


def test_the_nearest_entry_counts_and_without_one_the_dossiers_own_agency(tmp_path: Path) -> None:
    clockwork = Clockwork(written(tmp_path, SEATS), place_of=PLACES.__getitem__)
    assert clockwork.seat("H39.16", "land") == "H39.13.02"
    assert clockwork.seat("H39.25", "land") == "H39.13"
    assert clockwork.seat("H39.16", "tax") == "H39.16"


def test_a_withdrawal_asks_each_role_where_it_sits(tmp_path: Path) -> None:
    story = paid()
    story.clockwork = Clockwork(written(tmp_path, SEATS), place_of=PLACES.__getitem__)
    story.status(7)
    assert asked(story) == {"certificate": "H39.13.02", "determination": "H39.16", "appraisal": "H39.13.02"}
    nobody_said = paid()
    nobody_said.status(7)
    assert set(asked(nobody_said).values()) == {"H39.16"}


def test_seats_are_no_part_of_what_due_dates_are_counted_by(tmp_path: Path) -> None:
    bare = written(tmp_path, "jurisdiction: long-an")
    assert written(tmp_path, SEATS).version == bare.version
    assert CLOCKWORK.seat("H39.16", "land") == "H39.16"


def test_a_role_sits_in_one_place_for_an_agency(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="stands there twice"):
        written(tmp_path, SEATS + "  - {role: land, of: [H39], agency: H39.14}")
