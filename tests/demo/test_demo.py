"""The demo is the acceptance: it plays the whole story on real parts, and finds the faults planted in it."""

from __future__ import annotations

from pathlib import Path

import pytest

from router.demo.check import compare, states
from router.demo.run import Choices, run_demo
from router.demo.sabotage import Sabotage
from router.sdk.testing import Effect, Sent

SMALL = {"dossiers": 10, "documents": 3, "as_json": True}


async def test_the_story_ends_with_everything_delivered_once_and_in_order(tmp_path: Path, capsys) -> None:  # type: ignore[no-untyped-def]
    assert await run_demo(Choices(keep=tmp_path, **SMALL)) == 0
    printed = capsys.readouterr().out
    assert '"returned": 10' in printed
    assert '"differences": []' in printed
    assert "malformed: dead → waiting" in printed
    assert "unknown_dossier: dead → discarded" in printed


@pytest.mark.kafka
@pytest.mark.postgres
async def test_the_same_story_on_kafka_and_postgresql(  # type: ignore[no-untyped-def]
    tmp_path: Path, capsys, kafka_bootstrap: str, postgres_url: str
) -> None:
    choices = Choices(keep=tmp_path, bus=f"kafka://{kafka_bootstrap}", ledger=postgres_url, **SMALL)
    assert await run_demo(choices) == 0
    assert '"differences": []' in capsys.readouterr().out


@pytest.mark.parametrize(("sabotage", "kind"), [("lose", "lost"), ("swap", "order"), ("double", "twice")])
async def test_a_planted_fault_is_found(tmp_path: Path, capsys, sabotage: str, kind: str) -> None:  # type: ignore[no-untyped-def]
    assert await run_demo(Choices(keep=tmp_path, sabotage=Sabotage(sabotage), **SMALL)) == 1
    assert f'"kind": "{kind}"' in capsys.readouterr().out


def target(sender: str, kind: str) -> str:
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
