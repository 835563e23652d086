"""The demo is the acceptance: it plays the whole story on real parts, and finds the faults planted in it."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from router.clock import SystemClock
from router.demo.books import Books
from router.demo.check import compare, states
from router.demo.run import Choices, run_demo
from router.demo.sabotage import Sabotage
from router.demo.world import World
from router.procedures.dues import VIETNAM, micros
from router.procedures.instance import Dossier, Due, Instance, Move
from router.sdk.testing import Effect, Sent

SMALL = {"dossiers": 10, "documents": 3, "as_json": True}
SMALLEST = {"dossiers": 3, "documents": 0, "as_json": True}
#: What only the dossiers with a way of their own bring about.
RARE = {
    "dossier.apology_sent": 2,
    "dossier.overdue_detected": 2,
    "land.correction_requested": 1,
    "land.result_disputed": 1,
    "land.wrong_procedure": 1,
    "payment.refund_requested": 1,
}


def whole_story(printed: str) -> None:
    """Everything that ten dossiers must have gone through, as the summary tells it."""
    told: dict[str, Any] = json.loads(printed.splitlines()[-1])
    assert told["differences"] == []
    assert told["returned"] == 10
    assert {name: count for name, count in told["classes"].items() if count} == {
        "received": 11, "early": 8, "on_time": 1, "overdue": 1, "closed": 1,
    }  # fmt: skip
    assert {(letter["reason"], letter["now"]) for letter in told["dead_letters"]} == {
        ("malformed", "delivered"),
        ("unknown_dossier", "discarded"),
    }
    events = {row["type"]: row["events"] for row in told["events"]}
    assert {name: events.get(name) for name in RARE} == RARE
    timeline = [(line["what"], line["name"], line["says"]) for line in told["timeline"]["timeline"]]
    assert ("due date", "whole procedure", "2025-06-25 17:00: extension") in timeline
    assert [line[:2] for line in timeline].count(("event", "dossier.overdue_detected")) == 2


async def test_the_story_ends_with_everything_delivered_once_and_in_order(tmp_path: Path, capsys) -> None:  # type: ignore[no-untyped-def]
    assert await run_demo(Choices(keep=tmp_path, **SMALL)) == 0
    whole_story(capsys.readouterr().out)


@pytest.mark.kafka
@pytest.mark.postgres
async def test_the_same_story_on_kafka_and_postgresql(  # type: ignore[no-untyped-def]
    tmp_path: Path, capsys, kafka_bootstrap: str, postgres_url: str
) -> None:
    choices = Choices(keep=tmp_path, bus=f"kafka://{kafka_bootstrap}", ledger=postgres_url, **SMALL)
    assert await run_demo(choices) == 0
    whole_story(capsys.readouterr().out)


@pytest.mark.parametrize(("sabotage", "kind"), [("lose", "lost"), ("swap", "order"), ("double", "twice")])
async def test_a_planted_fault_is_found(tmp_path: Path, capsys, sabotage: str, kind: str) -> None:  # type: ignore[no-untyped-def]
    assert await run_demo(Choices(keep=tmp_path, sabotage=Sabotage(sabotage), **SMALLEST)) == 1
    assert f'"kind": "{kind}"' in capsys.readouterr().out


def target(_sender: str, _message: Sent, kind: str) -> str:
    return kind


SENT = {"one-stop": [Sent("H1", "a", ("portal",)), Sent("H1", "b", ("portal",)), Sent("H2", "a", ("portal",))]}


def effects(*made: tuple[str, str, str]) -> dict[str, list[Effect]]:
    return {"portal": [Effect(code, "op", identity, event_id) for code, identity, event_id in made]}


def test_the_check_is_content_with_order_per_dossier() -> None:
    assert compare(SENT, effects(("H1", "a", "1"), ("H2", "a", "3"), ("H1", "b", "2")), target) == []


@pytest.mark.parametrize(
    ("held", "kind"),
    [
        ([("H1", "a", "1"), ("H2", "a", "3")], "lost"),
        ([("H1", "b", "2"), ("H1", "a", "1"), ("H2", "a", "3")], "order"),
        ([("H1", "a", "1"), ("H1", "b", "2"), ("H2", "a", "3"), ("H2", "a", "4")], "twice"),
        ([("H1", "a", "1"), ("H1", "b", "2"), ("H2", "a", "3"), ("H3", "x", "9")], "extra"),
    ],
)
def test_the_check_names_what_differs(held: list[tuple[str, str, str]], kind: str) -> None:
    assert kind in {finding.kind for finding in compare(SENT, effects(*held), target)}


def test_a_wrong_end_state_is_named() -> None:
    [finding] = states({"H1": "10", "H2": "10"}, {"H1": "10", "H2": "9"}, "portal")
    assert (finding.code, finding.what) == ("H2", "9 instead of 10")


def test_what_is_said_after_a_takeover_is_for_the_successor() -> None:
    world, code = World.make(SystemClock()), "H39.25.01-250613-0008"
    world.one_stop.status[code], world.one_stop.dossiers[code], world.one_stop.history[code] = "4", {}, ["2", "4"]
    before, other = Sent(code, "L2/THAMDINH", ("one_stop",)), Sent("H39.25.01-250602-0001", "L12/1", ("one_stop",))
    world.land.sent.append(before)
    world.hand_over(code)
    after = Sent(code, "L12/1", ("one_stop",))
    found = [world.target("land-h39", message, "one_stop") for message in (before, after, other)]
    assert found == ["one-stop-h39", "one-stop-h53", "one-stop-h39"]
    assert (world.neighbour.status[code], code in world.one_stop.status) == ("4", False)


def day(number: int) -> int:
    return micros(datetime(2025, 6, number, 9, tzinfo=VIETNAM))


DONE = Instance(
    "land_transfer", 1, day(2), due=Due(whole=(Move(day(2), day(20), "one-stop"),)), end_state="returned",
    dossier=Dossier(code="H39.25.01-250602-0004", finished_at=day(20)),
)  # fmt: skip


@pytest.mark.parametrize(
    ("instance", "what", "overdue"),
    [
        (DONE, "", 0),
        (replace(DONE, end_state=""), "not ended", 0),
        (replace(DONE, dossier=replace(DONE.dossier, integrity_warning=True)), "integrity_warning", 0),
        (replace(DONE, dossier=replace(DONE.dossier, finished_at=day(21))), "", 1),
    ],
    ids=["as it must be", "open", "flagged", "overdue"],
)
def test_the_books_name_instances_that_are_not_as_they_must_be(instance: Instance, what: str, overdue: int) -> None:
    books = Books()
    books.look(instance)
    assert [finding.what.startswith(what) for finding in books.findings] == [True] * bool(what)
    assert len(books.overdue) == overdue
