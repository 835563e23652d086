"""The table against the recipients that exist."""

from __future__ import annotations

from datetime import date

from router.routing.agencies import Registry
from router.routing.table import Facts, Routes, Rule


def test_an_event_for_a_recipient_that_does_not_exist_goes_to_a_person() -> None:
    rules = [Rule(name="all", to=("portal", "gone"))]
    registry = Registry("r", [], [], [])
    day = date(2025, 8, 4)
    facts = Facts("dossier.accepted", "one-stop")
    assert Routes(rules, registry, day, ["portal"]).on(date(2025, 8, 5)).decide(facts).reason == "no_recipient"
    assert Routes(rules, registry, day, ["portal", "gone"]).decide(facts).recipients == ("portal", "gone")
