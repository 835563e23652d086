"""Routing rules: what they match, in which order, and where an event goes that none of them takes."""

from __future__ import annotations

from datetime import date
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from router.events import CE_DELIVERED_TO, CE_REGISTRY_VERSION, LGSP_DETAIL, LGSP_REASON
from router.routing.agencies import (
    Active,
    Agency,
    Ambiguous,
    Circular,
    Code,
    Dissolved,
    Grammar,
    Registry,
    Relation,
    Succession,
    Unknown,
    grammar_of,
)
from router.routing.lint import check
from router.routing.registry_files import shipped_registry
from router.routing.rules_file import shipped_rules
from router.routing.table import Facts, Match, Routes, Rule

AFTER = date(2025, 8, 15)
BEFORE = date(2025, 6, 16)
SHIPPED = Routes(shipped_rules(), shipped_registry(), AFTER)
SUBMITTED = Facts("dossier.submitted", "portal")

SMALL = Registry(
    "v7",
    [
        Agency("province", "Tỉnh", "province", serves={"one_stop": "one-stop", "tax": "tax"}),
        Agency("office", "Văn phòng", "office", parent="province", serves={"one_stop": "own-desk"}),
        Agency("district", "Huyện", "district", parent="province", valid_to=date(2025, 7, 1)),
        Agency("ended", "Đã giải thể", "office", valid_to=date(2025, 3, 1)),
    ],
    [Code("H39", "province"), Code("H39.1", "office"), Code("H39.2", "district"), Code("H39.3", "ended")],
    [
        Succession("district", Relation.SPLIT_INTO, "province", date(2025, 7, 1), "commune=1"),
        Succession("district", Relation.SPLIT_INTO, "office", date(2025, 7, 1), "commune=2"),
        Succession("ended", Relation.DISSOLVED, "", date(2025, 3, 1)),
    ],
)


def routed(rules: list[Rule], facts: Facts) -> tuple[str, ...]:
    return Routes(rules, SMALL, AFTER).decide(facts).recipients


@pytest.mark.parametrize(
    ("match", "facts", "taken"),
    [
        ({}, SUBMITTED, True),
        ({"type": "dossier.*"}, SUBMITTED, True),
        ({"type": "land.*"}, SUBMITTED, False),
        ({"type": ["land.*", "dossier.submitted"]}, SUBMITTED, True),
        ({"type": "DOSSIER.submitted"}, SUBMITTED, False),
        ({"source": "portal"}, SUBMITTED, True),
        ({"source": "one-stop-*"}, SUBMITTED, False),
        ({"type": "dossier.*", "source": "one-stop-*"}, SUBMITTED, False),
        ({"procedure": "1.00*"}, SUBMITTED._replace(procedure="1.004222"), True),
        ({"procedure": "1.00*"}, SUBMITTED, False),
        ({"priority": "urgent"}, SUBMITTED._replace(urgent=True), True),
        ({"priority": "urgent"}, SUBMITTED, False),
        ({"priority": "ordinary"}, SUBMITTED, True),
        ({"priority": "ordinary"}, SUBMITTED._replace(urgent=True), False),
        ({"addressee": "H39.1"}, SUBMITTED._replace(addressed_to="H39.1"), True),
        ({"addressee": "H39"}, SUBMITTED._replace(addressed_to="H39.1"), True),
        ({"addressee": "province"}, SUBMITTED._replace(addressed_to="H39.1"), True),
        ({"addressee": "H39.1"}, SUBMITTED._replace(addressed_to="H39"), False),
        ({"addressee": "H39"}, SUBMITTED, False),
    ],
)
def test_a_rule_takes_what_all_its_parts_fit(match, facts, taken):
    expected = ("x",) if taken else ("router",)
    assert routed([Rule(name="one", match=Match(**match), to="x")], facts) == expected


def test_all_rules_that_match_apply_in_order_and_each_recipient_once():
    rules = [
        Rule(name="a", to=("x", "y")),
        Rule(name="b", match=Match(type="land.*"), to="never"),
        Rule(name="c", to=("y", "z", "x")),
    ]
    assert routed(rules, SUBMITTED) == ("x", "y", "z")


def test_a_stop_ends_the_search_only_when_its_rule_matches():
    rules = [
        Rule(name="a", match=Match(type="land.*"), to="a", stop=True),
        Rule(name="b", to="b", stop=True),
        Rule(name="c", to="c"),
    ]
    assert routed(rules, SUBMITTED) == ("b",)
    assert routed(rules, Facts("land.finished", "portal")) == ("a",)


def test_an_event_never_goes_back_to_its_source():
    assert routed([Rule(name="a", to=("portal", "x"))], SUBMITTED) == ("x",)


@given(
    st.lists(st.lists(st.sampled_from(["a", "b", "c", "addressee:one_stop"]), min_size=1), max_size=4),
    st.sampled_from(["a", "b", "own-desk", "one-stop"]),
    st.sampled_from(["", "H39", "H39.1"]),
)
def test_whatever_the_rules_say_nothing_returns_to_its_source_or_goes_twice(targets, source, addressee):
    rules = [Rule(name=str(n), to=tuple(to)) for n, to in enumerate(targets)]
    found = routed(rules, Facts("dossier.submitted", source, addressed_to=addressee))
    assert found
    assert source not in found
    assert len(set(found)) == len(found)


@pytest.mark.parametrize(
    ("facts", "reason"),
    [
        (Facts("", "portal"), "malformed_event"),
        (Facts("dossier.submitted", ""), "malformed_event"),
        (SUBMITTED._replace(addressed_to="H99"), "unknown_addressee"),
        (SUBMITTED._replace(addressed_to="H39.2"), "ambiguous_successor"),
        (SUBMITTED._replace(addressed_to="H39.3"), "dissolved_addressee"),
        (Facts("land.finished", "portal"), "no_route"),
        (Facts("dossier.submitted", "one-stop", addressed_to="H39"), "no_route"),
        (SUBMITTED, "no_route"),  # the rule asks for an addressee's recipient, and there is none
    ],
)
def test_what_cannot_be_routed_goes_to_the_router_with_its_reason(facts, reason):
    decision = Routes([Rule(name="a", match=Match(type="dossier.*"), to="addressee:one_stop")], SMALL, AFTER).decide(
        facts
    )
    assert (decision.recipients, decision.reason) == (("router",), reason)
    assert dict(decision.headers)[LGSP_REASON] == reason.encode()


@pytest.mark.parametrize(
    ("code", "role", "recipient"), [("H39.1", "one_stop", "own-desk"), ("H39.1", "tax", "tax"), ("H39", "tax", "tax")]
)
def test_an_agency_is_served_by_its_own_recipient_or_its_nearest_parents(code, role, recipient):
    rule = Rule(name="a", to=f"addressee:{role}")
    assert routed([rule], SUBMITTED._replace(addressed_to=code)) == (recipient,)


@pytest.mark.parametrize(("commune", "recipient"), [("1", "one-stop"), ("2", "own-desk")])
def test_a_hint_tells_which_part_of_a_split_agency_is_meant(commune, recipient):
    facts = SUBMITTED._replace(addressed_to="H39.2", hints=(("commune", commune),))
    assert routed([Rule(name="a", to="addressee:one_stop")], facts) == (recipient,)


def test_an_agency_that_has_not_ended_yet_is_itself():
    routes = Routes([Rule(name="a", to="addressee:one_stop")], SMALL, BEFORE)
    decision = routes.decide(SUBMITTED._replace(addressed_to="H39.2"))
    assert decision.headers == ((CE_DELIVERED_TO, b"H39.2"), (CE_REGISTRY_VERSION, b"v7"))


# The registry and rules that come with the package


def test_an_event_to_long_an_goes_to_its_successor_in_tay_ninh():
    decision = SHIPPED.decide(Facts("land.file_submitted", "one-stop-h39", addressed_to="H39.16"))
    assert decision.recipients == ("land-h39",)
    assert decision.headers == (
        (CE_DELIVERED_TO, b"H53.16"),
        (CE_REGISTRY_VERSION, SHIPPED.registry.version.encode()),
    )


def test_an_event_to_a_split_district_without_its_commune_waits_for_a_person():
    decision = SHIPPED.decide(Facts("dossier.submitted", "portal", addressed_to="H39.25"))
    assert (decision.recipients, decision.reason) == (("router",), "ambiguous_successor")


def test_an_event_to_a_split_district_with_its_commune_goes_there():
    facts = Facts("dossier.submitted", "portal", addressed_to="H39.25", hints=(("commune", "28003"),))
    decision = SHIPPED.decide(facts)
    assert decision.recipients == ("one-stop-h53",)
    assert dict(decision.headers)[CE_DELIVERED_TO] == b"H53.102"


@pytest.mark.parametrize("code", ["28.22.H17", "999.010.01.H22", "H39.16 ", "h39.16", "'; --", "H" * 10_000])
def test_an_unregistered_code_is_unknown_whatever_it_looks_like(code):
    assert SHIPPED.registry.resolve(code, AFTER) == Unknown(code)


def test_an_irregular_code_is_valid_because_it_is_registered():
    resolved = SHIPPED.registry.resolve("H37.DN.001", AFTER)
    assert isinstance(resolved, Active)
    assert resolved.agency.id == "dn-lang-son"
    assert resolved.via == ()


@pytest.mark.parametrize(
    ("code", "grammar"),
    [
        ("000.00.16.H40", Grammar.OLD),
        ("H40.16", Grammar.NEW),
        ("H37.DN.001", Grammar.NEW),
        ("28.22.H17", Grammar.IRREGULAR),
        ("999.010.01.H22", Grammar.OLD),
        ("", Grammar.IRREGULAR),
    ],
)
def test_a_codes_grammar_is_named_by_its_look(code, grammar):
    assert grammar_of(code) is grammar


@pytest.mark.parametrize("today", [date(2025, 2, 28), date(2025, 3, 1), date(2025, 6, 30), date(2025, 7, 1), AFTER])
def test_every_registered_code_resolves_on_every_side_of_the_reform(today):
    registry = SHIPPED.registry
    for agency in registry.agencies.values():
        for code in registry.codes_of(agency.id):
            if max(code.valid_from, agency.valid_from) <= today:
                assert isinstance(registry.resolve(code.value, today), Active | Ambiguous), code.value


def test_an_agency_that_is_yet_to_be_is_unknown_and_not_dissolved():
    assert SHIPPED.registry.resolve("H53.16", date(2025, 2, 28)) == Unknown("H53.16")
    assert isinstance(SHIPPED.registry.resolve("H53.16", date(2025, 3, 1)), Active)


IDS = [f"a{n}" for n in range(5)]
SUCCESSIONS = st.lists(
    st.builds(
        Succession,
        st.sampled_from(IDS),
        st.sampled_from([Relation.RENAMED, Relation.MERGED_INTO, Relation.SPLIT_INTO, Relation.DISSOLVED]),
        st.sampled_from([*IDS, "elsewhere"]),
        st.sampled_from([BEFORE, AFTER]),
        st.sampled_from(["", "commune=1"]),
    ),
    max_size=8,
)


@given(SUCCESSIONS, st.lists(st.sampled_from([*IDS, ""]), min_size=5, max_size=5), st.sampled_from(IDS))
def test_successions_and_parents_in_a_circle_come_to_an_end(successions, parents, asked):
    agencies = [Agency(name, name, "office", parent) for name, parent in zip(IDS, parents, strict=True)]
    registry = Registry("v", agencies, [Code(name, name) for name in IDS], successions)
    for hints in ({}, {"commune": "1"}):
        resolved = registry.resolve(asked, AFTER, hints)
        assert isinstance(resolved, Active | Ambiguous | Circular | Dissolved | Unknown)
        if isinstance(resolved, Circular):
            ways = {(one.agency, one.successor) for one in successions}
            assert resolved.circle[0] == resolved.circle[-1]
            assert ways.issuperset(pairwise(resolved.circle))
            assert registry.circle() is not None
        if isinstance(resolved, Active):
            chain = registry.chain(resolved.agency)
            assert len(chain) == len({agency.id for agency in chain})
            assert registry.recipient(resolved.agency, "one_stop") is None


def test_routes_move_on_with_the_day_and_stay_the_same_within_it() -> None:
    routes = Routes([], shipped_registry(), date(2025, 6, 30))
    assert routes.on(date(2025, 6, 30)) is routes
    after = routes.on(date(2025, 7, 1))
    asked = Facts("dossier.submitted", "portal", addressed_to="H39")
    before = routes.resolve(asked)
    assert isinstance(before, Active)
    assert before.agency.id == "long-an"
    resolved = after.resolve(asked)
    assert isinstance(resolved, Active)
    assert resolved.agency.id == "tay-ninh"


ROUND = Registry(
    "v1",
    [Agency(name, f"Sở {name}", "department", valid_to=BEFORE) for name in "abc"],
    [Code("H39.1", "a")],
    [Succession(one, Relation.MERGED_INTO, other, BEFORE) for one, other in ("ab", "bc", "cb")],
)


def test_successions_in_a_circle_are_a_dead_letter_that_names_them():
    decision = Routes([Rule(name="a", to="x")], ROUND, AFTER).decide(SUBMITTED._replace(addressed_to="H39.1"))
    assert (decision.recipients, decision.reason) == (("router",), "circular_successor")
    assert dict(decision.headers)[LGSP_DETAIL].decode() == "b → c → b"


def test_the_rules_check_names_a_circle():
    assert "b → c → b" in {finding.problem.partition(": ")[2] for finding in check(Routes([], ROUND, AFTER), [], [])}


GRACE = Registry(
    "v2",
    [
        Agency("tinh", "Tỉnh", "province", serves={"one_stop": "new"}),
        Agency("xa1", "Xã 1", "commune", "tinh"),
        Agency("xa2", "Xã 2", "commune", "tinh"),
        Agency(
            "huyen", "Huyện", "district", valid_to=date(2025, 7, 1), serves={"one_stop": "old"},
            grace_until=date(2025, 8, 1),
        ),
    ],
    [Code("H39.25", "huyen", valid_to=date(2025, 7, 1)), Code("H53.1", "xa1"), Code("H53.2", "xa2")],
    [Succession("huyen", Relation.SPLIT_INTO, f"xa{n}", date(2025, 7, 1), f"commune={n}") for n in (1, 2)],
)  # fmt: skip
TO_ONE_STOP = [Rule(name="a", to="addressee:one_stop")]


@pytest.mark.parametrize(
    ("day", "event", "commune", "recipient", "told"),
    [
        ("2025-06-30", "dossier.submitted", "", "old", b"H39.25"),
        ("2025-07-01", "dossier.submitted", "", "router", None),  # new business: to a successor, or to a person
        ("2025-07-01", "dossier.submitted", "2", "new", b"H53.2"),
        ("2025-07-01", "dossier.progressed", "", "old", b"H39.25"),  # what continues drains
        ("2025-07-31", "tax.notice_issued", "2", "old", b"H39.25"),
        ("2025-08-01", "tax.notice_issued", "2", "new", b"H53.2"),
        ("2025-08-01", "dossier.progressed", "", "router", None),
    ],
)
def test_within_its_grace_an_ended_agency_takes_what_continues_and_nothing_new(day, event, commune, recipient, told):
    hints = (("commune", commune),) if commune else ()
    routes = Routes(TO_ONE_STOP, GRACE, date.fromisoformat(day))
    decision = routes.decide(Facts(event, "portal", addressed_to="H39.25", hints=hints))
    assert decision.recipients == (recipient,)
    assert dict(decision.headers).get(CE_DELIVERED_TO) == told


@pytest.mark.parametrize("end", [None, date(2025, 8, 1)])
def test_an_agency_that_ended_without_successor_drains_within_its_grace_and_then_takes_nothing(end):
    ended = Agency("a", "Chi cục", "office", valid_to=date(2025, 7, 1), serves={"one_stop": "old"}, grace_until=end)
    successions = [Succession("a", Relation.DISSOLVED, "", date(2025, 7, 1))]
    routes = Routes(TO_ONE_STOP, Registry("v", [ended], [Code("H39.1", "a")], successions), date(2025, 7, 31))
    going_on = routes.decide(Facts("payment.evidenced", "portal", addressed_to="H39.1"))
    begun = routes.decide(Facts("dossier.submitted", "portal", addressed_to="H39.1"))
    assert going_on.recipients == (("old",) if end else ("router",))
    assert begun.reason == "dissolved_addressee"


def test_every_step_of_a_resolution_can_be_told():
    steps: list[str] = []
    SHIPPED.registry.resolve("000.00.16.H39", AFTER, note=steps.append)
    assert [step.partition(":")[0] for step in steps] == ["000.00.16.H39", "long-an-so-nnmt", "tay-ninh-so-nnmt"]
    assert "merged into tay-ninh-so-nnmt on 2025-07-01" in steps[1]
    assert steps[2].endswith("at work on 2025-08-15")


def test_a_code_means_nothing_before_its_first_day_even_if_its_agency_works_already():
    registry = Registry("v", [Agency("a", "A", "office")], [Code("H1", "a", date(2025, 7, 1))], [])
    assert registry.resolve("H1", BEFORE) == Unknown("H1")
    assert isinstance(registry.resolve("H1", AFTER), Active)


def test_rules_that_say_the_same_have_the_same_digest_wherever_they_stand():
    one, other = Rule(name="a", to="x", line=3), Rule(name="a", to="x", line=7)
    assert Routes([one], SMALL, AFTER).digest == Routes([other], SMALL, BEFORE).digest
    assert Routes([one], SMALL, AFTER).digest != Routes([Rule(name="a", to="y")], SMALL, AFTER).digest
