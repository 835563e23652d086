"""What lint refuses, with its line, and that what it lets through does no harm, whatever it says and is told."""

from __future__ import annotations

import copy
from importlib.resources import files
from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from router.errors import ConfigError
from router.procedures.definitions_file import linted, parse_definition
from tests.procedures.story import Story
from tests.procedures.test_any_order import RECEIVERS, SAID, STATES, tell

HEAD = """procedure: trial
version: 1
title: {vi: Thử, en: Trial}
source: a test
codes: ["9.000001*"]
roles: {office: {vi: Cơ quan, en: office}}
variables: {asked: [a, b, c], n: 0, name: "", flag: false}
start: work
nodes:
"""
WORK = """  work:
    kind: task
    role: office
    days: 3
    title: {vi: Làm, en: Work}
    edges:
      - {event: "dossier.*", when: event.status == 10, to: done}
      - {event: dossier.component_changed, when: event.state == "DONE", to: asking}
    timeout: {after: 5 working days, alert: late}
    compensation: {kind: none, text: {vi: không có gì, en: nothing}}
"""
FORK = """  asking: {kind: fan_out, title: {vi: Hỏi, en: Ask}, each: vars.asked, branches: [opinion]}
  opinion:
    kind: wait
    title: {vi: Chờ, en: Wait}
    edges:
      - {event: dossier.component_changed, item: event.component, when: event.state == "DONE", to: heard}
    timeout: {after: 2 working days, to: heard}
  heard: {kind: join, of: asking, title: {vi: Đủ, en: Heard}, edges: [{to: decision}]}
  decision:
    kind: manual
    role: office
    title: {vi: Quyết, en: Decide}
    edges:
      - {event: "dossier.*", when: event.status == 10, to: done}
    timeout: {after: 5 working days, alert: late}
"""
ENDS = """  done: {kind: end, state: returned, title: {vi: Xong, en: Done}}
  refused: {kind: end, state: refused, title: {vi: Từ chối, en: Refused}}
  withdrawn: {kind: end, state: withdrawn, title: {vi: Rút, en: Withdrawn}}
"""
WHOLE = HEAD + WORK + FORK + ENDS


def faults(text: str) -> list[tuple[int, str]]:
    return [(line, finding.text) for line, finding in linted(text, "trial.yaml")[1] if finding.fault]


def test_the_whole_of_it_has_nothing_to_find() -> None:
    assert linted(WHOLE, "trial.yaml")[1] == []


@pytest.mark.parametrize(
    ("before", "after", "line", "says"),
    [
        ("to: asking}\n", "to: asking}\n      - {}\n", 18, "says where `to`"),
        ("to: asking}\n", "to: asking}\n      - {set: {n: vars.n + 1}}\n", 18, "says where `to`"),
        ("edges: [{to: decision}]", "edges: [{to: asking}]", 20, "round in circles without an event"),
        ("of: asking, title", "of: asking, mode: quorum, title", 27, "a join with mode quorum has a `quorum`"),
        ("branches: [opinion]", "branches: [asking]", 20, "round in circles without an event"),
        ("days, to: heard}", "days, to: decision}", 28, "reached from inside and outside of `asking`"),
        ('event.state == "DONE", to: asking}', 'event.state == "DONE", to: opinion}', 21, "inside and outside"),
        ("== 10, to: done}\n      - {event: d", "== 10, to: heard}\n      - {event: d", 10, "leads to `heard` without"),
        ("    days: 3\n", "    days: -3\n", 13, "a duration is like"),
        ("    days: 3\n", "    days: 0\n", 13, "above 0"),
        ("    days: 3\n", "    days: 99999999\n", 13, "a duration is like"),
        ("    days: 3\n", "    days: 3000\n", 13, "at most 2,500 working days"),
        ("    days: 3\n", "    days: 1/0\n", 13, "divides by zero"),
        ("after: 5 working", "after: 1/0 working", 18, "divides by zero"),
        ("after: 5 working", "after: 0.5 calendar", 18, "counted whole"),
        ("when: event.status == 10", "when: event.status == 11", 16, "is never 11: it is one of 1, 2"),
        ("when: event.status == 10", 'when: event.status == "10"', 16, "is a number, `'10'` a text"),
        ("when: event.status == 10", "when: 'event.status in [9, 12]'", 16, "is never 12"),
        ('event.state == "DONE", to: asking', 'event.state == "DON", to: asking', 17, "is never 'DON'"),
        ('event.state == "DONE", to: asking', 'event.notice == "DONE", to: asking', 17, "does not tell `notice`"),
        ("to: asking}", "to: asking, set: {name: vars.name + 1}}", 17, "a text and a number cannot be added"),
        ("to: asking}", "to: asking, set: {n: event.component}}", 17, "`n` is a number, `event.component` a text"),
        ("to: asking}", "to: asking, append: {n: event.component}}", 17, "only a list is appended to"),
        ("to: asking}", "to: asking, set: {gone: 1}}", 17, "there is no variable `gone`"),
        ("to: asking}", 'to: asking, needs: finance.complete == "yes"}', 17, "they are never equal"),
        ("each: vars.asked", "each: vars.n", 20, "`each` is a list"),
        ("  withdrawn: {kind: end, state: withdrawn, title: {vi: Rút, en: Withdrawn}}\n", "", 9, "no way for status 7"),
        ("  refused: {kind: end, state: refused, title: {vi: Từ chối, en: Refused}}\n", "", 9, "no way for status 3"),
        ("state: returned", "state: filed", 16, ""),
        ("start: work\n", "start: work\ncorrections: {11: work}\n", 9, "they are 1 to 10"),
        ("start: work\n", "start: work\npause_limits: {5: {after: 1 hour, to: gone}}\n", 9, "there is no node `gone`"),
        ("start: work\n", "start: work\npause_limits: {4: {after: 1 hour, alert: late}}\n", 9, "in 5, 6 and 8 alone"),
        ("    days: 3\n", "    days: 3\n    state: odd\n", 10, "only an end has a `state`"),
    ],
)  # fmt: skip
def test_a_slip_is_a_fault_with_its_line(before: str, after: str, line: int, says: str) -> None:
    assert before in WHOLE
    found = faults(WHOLE.replace(before, after, 1))
    if says:
        assert any(one == line and says in text for one, text in found), found
    else:
        assert found == []  # returned is still said by an edge of status 10


@pytest.mark.parametrize("quorum", [4, 9])
def test_a_quorum_is_no_more_than_the_branches_that_begin(quorum: int) -> None:
    text = WHOLE.replace("each: vars.asked, branches: [opinion]", "branches: [opinion]").replace(
        "of: asking, title", f"of: asking, mode: quorum, quorum: {quorum}, title"
    )
    assert any("a quorum is no more" in said for _, said in faults(text))


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("? {a: 1}\n: 2\n", "a key is a word or a number"),
        ("? [a]\n: 2\n", "a key is a word or a number"),
        ("a: &a [*a]\n", "are not used here"),
        ("valid_from: 2025-13-45\n", "cannot be read"),
        ("a: " + "[" * 30_000, "more than 50 levels"),
        ("- " * 30_000, "more than 50 levels"),
        ("a: !!python/object:os.system {}\n", "could not determine a constructor"),
        ("a: " + "9" * 5000, "cannot be read"),
        ("a" * 200_001, "too large"),
    ],
)
def test_what_is_no_yaml_of_ours_is_refused_and_nothing_else_raised(text: str, says: str) -> None:
    with pytest.raises(ConfigError) as raised:
        linted(text, "odd.yaml")
    assert says in str(raised.value)


def test_all_that_is_wrong_with_the_form_is_said_at_once_each_with_its_line() -> None:
    text = (
        WHOLE.replace("version: 1", "version: 0").replace("kind: manual", "kind: chore").replace("days: 3", "days: x")
    )
    assert [line for line, _ in faults(text)] == [2, 13, 29]


LATER = 'event: dossier.component_changed, item: event.component, when: event.state == "RECEIVED"'
GROWS = f"branches: [opinion], edges: [{{{LATER}}}]}}"
GROWING = WHOLE.replace("branches: [opinion]}", GROWS)


def test_branches_that_begin_later_are_waited_for_as_long_as_nothing_has_gone_on_behind_the_join() -> None:
    story = Story(parse_definition(GROWING, "trial.yaml"))
    story.status(2)
    story.component("x", "DONE")
    story.component("d", "RECEIVED")
    story.component("a", "RECEIVED")  # has its branch
    assert story.nodes == {f"opinion[{one}]" for one in "abcd"}
    for one in ("a", "b", "c"):
        story.component(one, "DONE")
    assert story.nodes == {"opinion[d]"}
    story.component("d", "DONE")
    assert story.nodes == {"decision"}
    story.component("e", "RECEIVED")
    assert story.nodes == {"decision"}


@pytest.mark.parametrize(
    ("before", "after", "says"),
    [
        ('item: event.component, when: event.state == "RECEIVED"', "to: heard", "begins further branches"),
        ("each: vars.asked, branches", "branches", "begins further branches"),
        ("of: asking, title", "of: asking, mode: any, title", "its join waits for `all`"),
    ],
)
def test_a_fan_out_that_grows_has_a_list_and_a_join_that_waits_for_all(before: str, after: str, says: str) -> None:
    assert GROWING.count(before) == 1
    assert any(says in text for _, text in faults(GROWING.replace(before, after)))


def test_a_list_shorter_than_its_quorum_goes_on_when_all_have_answered() -> None:
    text = WHOLE.replace("of: asking, title", "of: asking, mode: quorum, quorum: 9, title")
    story = Story(parse_definition(text, "trial.yaml"))
    story.status(2)
    story.component("x", "DONE")
    for one in ("a", "b", "c"):
        story.component(one, "DONE")
    assert story.nodes == {"decision"}


@pytest.mark.parametrize(("mode", "enough"), [("mode: any", ["b"]), ("mode: quorum, quorum: 2", ["b", "a"])])
def test_enough_answers_end_the_other_branches_and_what_they_still_say_is_late(mode: str, enough: list[str]) -> None:
    story = Story(parse_definition(WHOLE.replace("of: asking, title", f"of: asking, {mode}, title"), "trial.yaml"))
    story.status(2)
    story.component("x", "DONE")
    for one in enough:
        assert "decision" not in story.nodes
        story.component(one, "DONE")
    assert story.nodes == {"decision"}
    assert story.component("c", "DONE").value == "late_ignored"
    story.later(days=10)
    assert story.nodes == {"decision"}


SHIPPED = {
    entry.name: yaml.safe_load(entry.read_text("utf-8"))
    for entry in (files("router.procedures") / "definitions").iterdir()
    if entry.name.endswith(".yaml")
}
ODD = st.one_of(
    st.sampled_from([
        None, True, "", -1, 0, 9, 10**9, 0.5, "1/0", "99999999 working days", "1 minutes", [], {}, ["a", "a"], {"x": 1},
        "vars.n", "vars.done + 1", "vars.refused + 1", "event.status == 4", 'event.state == "DONE"', "finance.complete",
        "event.receivers", "not vars.recalled", "quorum", "any", "task", "fan_out", "join", "end", "dossier.*",
        "tax.notice_issued", "1 == 1", "vars.receivers + vars.receivers", "2025-01-01",
    ]),
    st.text(max_size=8),
)  # fmt: skip


def places(value: Any, place: tuple = ()) -> list[tuple]:
    found = [place] if place else []
    if isinstance(value, dict):
        return found + [inner for key, each in value.items() for inner in places(each, (*place, key))]
    if isinstance(value, list):
        return found + [inner for key, each in enumerate(value) for inner in places(each, (*place, key))]
    return found


@st.composite
def mutated(draw: st.DrawFn) -> str:
    """A shipped definition with one to three parts taken away, replaced, repeated, or led to another node."""
    values = copy.deepcopy(SHIPPED[draw(st.sampled_from(sorted(SHIPPED)))])
    for _ in range(draw(st.integers(1, 3))):
        where = draw(st.sampled_from(places(values)))
        inside = values
        for key in where[:-1]:
            inside = inside[key]
        match draw(st.sampled_from(["drop", "odd", "elsewhere", "again"])):
            case "drop":
                del inside[where[-1]]
            case "odd":
                inside[where[-1]] = draw(ODD)
            case "elsewhere":
                nodes = values.get("nodes")
                inside[where[-1]] = draw(st.sampled_from(sorted(nodes) if isinstance(nodes, dict) and nodes else ["x"]))
            case _:
                inside[where[-1]] = copy.deepcopy(draw(st.sampled_from([values, *values.values()])))
        if not values:
            break
    return yaml.safe_dump(values, allow_unicode=True)


TOLD = st.one_of(SAID, st.tuples(st.just("says"), st.sampled_from([*RECEIVERS, "G22"]), st.sampled_from(STATES)))


@settings(max_examples=250, deadline=None)
@given(mutated(), st.lists(TOLD, max_size=12))
def test_lint_raises_nothing_else_and_what_it_lets_through_survives_any_events(text: str, told: list) -> None:
    try:
        definition, findings = linted(text, "mutated.yaml")
    except ConfigError:
        return
    if definition is None or any(finding.fault for _, finding in findings):
        return
    story = Story(definition)
    story.event("document.sent", business="NEW", sender="G22", receivers=RECEIVERS, document="D1")
    for said in told:
        if said[0] == "says":
            story.event("document.status_changed", document="D1", organ=said[1], state=said[2])
        else:
            tell(story, said)
        assert bool(story.instance.end_state) == (not story.instance.tokens)
