"""Definitions at the door: what is refused, with its line, and how they are drawn and played again."""

from __future__ import annotations

import json
import re
from collections import Counter
from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import pytest

from router.errors import ConfigError, OrderRefused
from router.procedures.definition import Definition
from router.procedures.definitions_file import linted, parse_definition, shipped_definitions
from router.procedures.draw import as_svg, as_text
from router.procedures.expression import Expression
from router.procedures.histories import History, compare, played
from router.procedures.library import Library
from router.procedures.record import record
from router.procedures.rows import log_row
from router.procedures.verdict import Verdict
from tests.procedures.story import CLOCKWORK
from tests.procedures.test_land_transfer import noticed

HISTORIES = sorted((Path(__file__).parent / "histories").glob("*.json"))
LIBRARY = Library(shipped_definitions())
GOOD = """procedure: trial
version: 1
title: {vi: Thử, en: Trial}
source: a test
codes: ["9.000001*"]
roles: {office: {vi: Cơ quan, en: office}}
variables: {asked: []}
start: work
nodes:
  work:
    kind: task
    role: office
    title: {vi: Làm, en: Work}
    edges:
      - {event: "dossier.*", when: event.status == 9, to: done}
    compensation: {kind: none, text: {vi: không có gì, en: nothing}}
  done: {kind: end, state: returned, title: {vi: Xong, en: Done}}
  refused: {kind: end, state: refused, title: {vi: Từ chối, en: Refused}}
  withdrawn: {kind: end, state: withdrawn, title: {vi: Rút, en: Withdrawn}}
"""


def test_a_good_definition_has_nothing_to_find() -> None:
    _, findings = linted(GOOD, "trial.yaml")
    assert findings == []


@pytest.mark.parametrize(
    ("before", "after", "line", "says"),
    [
        ("to: done", "to: gone", 15, "there is no node `gone`"),
        ("role: office\n", "role: police\n", 12, "there is no role `police`"),
        ('event: "dossier.*"', "event: dossier.finished", 15, "there is no event type"),
        ("event.status == 9", "event.stauts == 9", 15, "`event.stauts` does not exist"),
        ("event.status == 9", "finance.complete", 15, "belongs into `needs`"),
        ("event.status == 9", "status == 9", 15, "`status` is no name here"),
        ("event.status == 9", "__import__('os')", 15, "Call is not allowed"),
        ("event.status == 9", "event.status ==", 15, "is not an expression"),
        ("kind: task", "kind: chore", 11, "is not one of the values it may have"),
        ("state: returned, ", "", 17, "an end has a `state`"),
        ("start: work", "start: done", 10, "no way leads here"),
        ("version: 1", "version: 1\nversion: 2", 3, "stands there twice"),
        ("roles:", "rolls:", 1, "is missing"),
        ("    edges:\n", "    timeout: {after: 5 days, to: done}\n    edges:\n", 14, "a duration is like"),
        ("kind: task", "kind: fan_out\n    branches: [done]", 10, "an edge of a fan_out begins further branches"),
    ],
)
def test_a_fault_is_named_with_its_line(before: str, after: str, line: int, says: str) -> None:
    assert before in GOOD
    with pytest.raises(ConfigError) as raised:
        parse_definition(GOOD.replace(before, after, 1), "trial.yaml")
    assert says in str(raised.value)
    assert raised.value.line == line


def test_a_wait_without_an_end_is_remarked_and_not_refused() -> None:
    text = GOOD.replace("kind: task", "kind: manual").replace(
        "    compensation: {kind: none, text: {vi: không có gì, en: nothing}}\n", ""
    )
    _, findings = linted(text, "trial.yaml")
    assert [(line, finding.fault) for line, finding in findings] == [(10, False)]


def test_the_most_exact_code_wins_and_others_run_as_any_dossier() -> None:
    library = Library([*shipped_definitions(), parse_definition(GOOD, "trial.yaml")])
    day = date(2025, 8, 4)
    assert library.for_dossier("9.000001.000.00.00.H56", day).procedure == "trial"
    assert library.for_dossier("1.012783", day).procedure == "land_transfer"
    assert library.for_dossier("8.888888", day).procedure == "any_dossier"
    assert library.for_dossier("", day).procedure == "any_dossier"


def test_two_of_one_version_are_refused() -> None:
    with pytest.raises(ConfigError):
        Library([parse_definition(GOOD, "a.yaml"), parse_definition(GOOD, "b.yaml")])


@pytest.mark.parametrize("shape", shipped_definitions(), ids=lambda shape: shape.name)
def test_every_definition_is_drawn_with_all_its_nodes(shape) -> None:
    drawn = ET.fromstring(as_svg(shape, "vi"))
    titles = {node.text for node in drawn.iter("{http://www.w3.org/2000/svg}title")}
    assert {node.title.vi for node in shape.nodes.values()} <= titles
    told = as_text(shape, "en")
    assert all(f" {name}:" in told for name, node in shape.nodes.items() if node.role or node.kind)


@pytest.mark.parametrize("lang", ["vi", "en"])
@pytest.mark.parametrize("shape", shipped_definitions(), ids=lambda shape: shape.name)
def test_a_drawing_marks_alerts_clocks_and_compensations_and_explains_them(shape: Definition, lang: str) -> None:
    picture = ET.fromstring(as_svg(shape, lang))
    marked = Counter(each.get("class") for each in picture.iter() if each.get("class"))
    nodes = shape.nodes.values()
    wanted = {
        "alert": sum(1 for node in nodes if node.timeout is not None and node.timeout.alert),
        "compensation": sum(1 for node in nodes if node.compensation and node.compensation.kind != "none"),
        "clock": sum(1 for node in nodes if node.clock != "authority"),
    }
    owners = {node.clock for node in nodes} - {"authority"}
    explained = {"alert": 1, "compensation": 1, "clock": len(owners)}
    assert marked == {kind: count + explained[kind] for kind, count in wanted.items() if count}
    told = "".join(picture.itertext())
    for node in nodes:
        if node.compensation is not None and node.compensation.kind != "none":
            assert getattr(node.compensation.text, lang) in told


@pytest.mark.parametrize("file", HISTORIES, ids=lambda file: file.stem)
def test_a_recorded_history_is_judged_as_it_was(file: Path) -> None:
    history = History.read(file.name, json.loads(file.read_text("utf-8")))
    assert compare(history, LIBRARY, CLOCKWORK) == []


def test_a_history_that_is_judged_otherwise_is_found() -> None:
    values = json.loads(HISTORIES[0].read_text("utf-8"))
    values["events"][0]["verdict"] = "illegal_transition"
    values["end_state"] = "lost"
    found = compare(History.read("h", values), LIBRARY, CLOCKWORK)
    assert [(each.number, each.recorded) for each in found] == [(0, "illegal_transition"), (-1, "lost")]


def _number_with(values: dict[str, Any], what: str) -> str:
    return next(number for number, effects in values["effects"].items() if what in effects)


@pytest.mark.parametrize("what", ["flags", "moves", "sends", "alerts", "refunds"])
def test_a_change_of_each_kind_is_found_in_the_line_that_leads_to_it(what: str) -> None:
    file = next(file for file in HISTORIES if file.stem == "land_use_change_recalculated")
    values = json.loads(file.read_text("utf-8"))
    if what == "flags":
        number = "1"
        values["events"][1]["flags"] = ["planted"]
    else:
        of = "sends" if what == "refunds" else what
        number = _number_with(values, of)
        said = values["effects"][number][of]
        said[0] = re.sub(r"amount \d+", "amount 1", said[0]) if what == "refunds" else said[0] + " planted"
    found = compare(History.read("h", values), LIBRARY, CLOCKWORK)
    assert [(each.number, each.what) for each in found] == [(int(number), "sends" if what == "refunds" else what)]


def test_an_effect_that_is_new_or_gone_is_found() -> None:
    values = json.loads(HISTORIES[0].read_text("utf-8"))
    number = _number_with(values, "moves")
    gone = values["effects"].pop(number)
    (new,) = compare(History.read("h", values), LIBRARY, CLOCKWORK)
    assert (new.number, new.what, new.recorded) == (int(number), "moves", "(in another order or number)")
    values["effects"][number] = {**gone, "sends": ["dossier.overdue_detected to H39.16: planted"]}
    (lost,) = compare(History.read("h", values), LIBRARY, CLOCKWORK)
    assert (lost.what, lost.recorded) == ("sends", "dossier.overdue_detected to H39.16: planted")


def test_what_the_ledger_has_of_dates_and_refunds_is_compared_with_its_history() -> None:
    file = next(file for file in HISTORIES if file.stem == "land_use_change_recalculated")
    history = History.read("h", json.loads(file.read_text("utf-8")))
    definition = LIBRARY.pinned(history.procedure, history.definition)
    after = played(history, definition, CLOCKWORK).instance
    assert compare(replace(history, effects=None, after=after), LIBRARY, CLOCKWORK) == []
    odd = replace(
        after,
        due=replace(after.due, whole=after.due.whole[:-1]),
        finance=replace(after.finance, payments=tuple(p._replace(refunded=0) for p in after.finance.payments)),
    )
    found = compare(replace(history, effects=None, after=odd), LIBRARY, CLOCKWORK)
    assert [each.what for each in found] == ["refunds", "moves"]


def test_a_recorded_file_holds_no_code_or_number_and_plays_as_the_dossier_did() -> None:
    story = noticed()
    assert story.pays(2_500_000, "TB1", reference="079123456789") is Verdict.APPLIED
    story.request(2)
    story.status(7)
    lines = [log_row(each) for each in story.log]
    history = History("h", "land_transfer", 1, story.instance.end_state, lines, after=story.instance)
    values = json.loads(json.dumps(record(history, LIBRARY, CLOCKWORK)))
    text = json.dumps(values)
    assert not [word for word in ("079123456789", "TB1", "PC-1", "H39.16-250804-0001") if word in text]
    assert compare(History.read("again", values), LIBRARY, CLOCKWORK) == []
    sent = [each for effects in values["effects"].values() for each in effects.get("sends", ())]
    assert "amount 2500000" in next(each for each in sent if each.startswith("payment.refund_requested to H39.16"))


def test_what_is_judged_otherwise_today_is_not_recorded() -> None:
    story = noticed()
    lines = [{**log_row(each), "verdict": "late_ignored"} for each in story.log]
    with pytest.raises(OrderRefused, match="judges it otherwise today"):
        record(History("h", "land_transfer", 1, "", lines), LIBRARY, CLOCKWORK)


@pytest.mark.parametrize(
    ("text", "holds"),
    [
        ("event.status in [1, 2] and not vars.late", True),
        ("event.status == 3 or vars.count + 1 > 4", False),
        ("event.missing > 3", False),
        ("event.missing == null", True),
        ("event.name in vars.names", True),
        ("event.name > 3", False),
        ("1 < event.status <= 2", True),
    ],
)
def test_guards_compare_what_is_there(text: str, holds: bool) -> None:
    scope = {"event": {"status": 2, "name": "a"}, "vars": {"late": False, "count": 3, "names": ["a"]}}
    assert Expression(text).holds(scope) is holds


@pytest.mark.parametrize("lang", ["vi", "en"])
@pytest.mark.parametrize("drawn", shipped_definitions(), ids=lambda each: each.name)
def test_a_drawing_shows_every_node_apart_from_the_others_with_its_whole_title(drawn: Definition, lang: str) -> None:
    picture = ET.fromstring(as_svg(drawn, lang))
    space = {"s": "http://www.w3.org/2000/svg"}
    boxes = {}
    for group in picture.findall("s:g", space):
        box, *_ = group.findall("s:rect", space)
        said = [each.text or "" for each in group.findall("s:text", space)]
        title = group.findtext("s:title", namespaces=space) or ""
        assert " ".join(said[:-1]) == title
        assert all(len(line) <= 26 for line in said[:-1])
        boxes[title] = (int(box.get("x", 0)), int(box.get("y", 0)))
    assert len(set(boxes.values())) == len(drawn.nodes)
    lanes = [each.get("x") for each in picture.findall("s:text", space) if each.get("fill") == "#345"]
    assert len(lanes) >= len(drawn.roles)
    assert min(x for x, _ in boxes.values()) >= 190
