"""A land-use fee that is calculated again: what was paid counts towards it, and only the difference moves."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from router.procedures.decisions import REFUNDED, RELEASED, decided
from router.procedures.finance import given_back, noticed, requested, returned
from router.procedures.obligation import IN_PART, NOT_STARTED, NOTICE_UNKNOWN, Finance, NoticeState, Settled, balance
from router.procedures.payments import completed, paid
from router.procedures.takeover import left_over
from router.procedures.verdict import Verdict
from tests.procedures.story import Story, definition


def determined(*totals: int, version: int = 2) -> Story:
    """A change of land use whose notices TB1, TB2, … have come and are not paid."""
    story = Story(f"land_use_change/{version}")
    story.status(2)
    story.component("extract", "RECEIVED")
    story.component("extract", "DONE")
    story.component("field_check", "DONE")
    story.component("decision", "DONE", number="12/QĐ-UBND")
    story.request(1)
    for number, total in enumerate(totals, start=1):
        story.notice(f"TB{number}", 1, total)
    return story


def refunds(story: Story) -> int:
    asked = sum(emit.record["amount"] for emit in story.emissions("payment.refund_requested"))
    held = balance(story.instance.finance)
    assert asked == held.refunded
    assert held.received == held.allocated + held.refunded + held.suspended + held.carried + held.fees
    return asked


def test_a_higher_fee_asks_for_the_difference_alone() -> None:
    story = determined(900)
    story.pays(900, "TB1")
    story.request(2)
    assert (balance(story.instance.finance).carried, refunds(story)) == (900, 0)
    story.notice("TB5", 2, 1_500)
    assert (story.instance.finance.due, story.instance.finance.paid("TB5")) == (600, 900)
    assert story.pays(600, "TB5", phase="CONFIRM") is Verdict.APPLIED
    assert story.instance.finance.complete
    assert (story.nodes, refunds(story)) == ({"registration"}, 0)


def test_a_lower_fee_gives_the_difference_back() -> None:
    story = determined(900)
    story.pays(900, "TB1")
    story.request(2)
    story.notice("TB5", 2, 700)
    assert story.instance.finance.complete
    assert refunds(story) == 200
    back = story.emissions("payment.refund_requested")[0].record
    assert (back["notice_number"], back["content"]) == ("TB1", "recalculated")


def test_the_first_version_gives_all_of_it_back_and_asks_for_all_of_the_new() -> None:
    story = determined(900, version=1)
    story.pays(900, "TB1")
    story.request(2)
    story.notice("TB5", 2, 1_500)
    assert (refunds(story), story.instance.finance.due) == (900, 1_500)


def test_what_both_owners_paid_waits_until_both_new_notices_are_there() -> None:
    story = determined(500, 500)
    story.pays(500, "TB1")
    story.pays(500, "TB2")
    story.request(2)
    story.notice("TB5", 2, 600)
    assert (balance(story.instance.finance).carried, refunds(story)) == (400, 0)
    story.notice("TB6", 2, 300)
    assert (balance(story.instance.finance).carried, refunds(story)) == (0, 100)


def test_money_of_one_obligation_pays_no_other() -> None:
    story = determined(900)
    story.notice("TB2", 1, 80, item="1001")
    story.pays(900, "TB1")
    story.pays(80, "TB2")
    story.request(2)
    story.notice("TB6", 2, 100, item="1001")
    assert story.instance.finance.due == 20
    assert balance(story.instance.finance).carried == 900
    story.notice("TB5", 2, 900)
    assert (story.instance.finance.due, refunds(story)) == (20, 0)


def test_a_payment_of_the_void_notice_that_is_heard_of_late_is_taken_over_as_well() -> None:
    story = determined(900)
    story.request(2)
    story.notice("TB5", 2, 1_000)
    assert story.pays(900, "TB1", reference="late") is Verdict.APPLIED
    assert (story.instance.finance.due, refunds(story)) == (100, 0)
    assert story.pays(900, "TB1", reference="late") is Verdict.NOTED


def test_money_of_a_returned_request_waits_for_the_next_one() -> None:
    story = determined(900)
    story.pays(400, "TB1")
    story.event("tax.obligation_returned", generation=1)
    assert (balance(story.instance.finance).carried, refunds(story)) == (400, 0)
    story.request(2)
    story.notice("TB5", 2, 900)
    assert story.instance.finance.due == 500


def test_who_withdraws_while_the_fee_is_calculated_again_gets_all_of_it() -> None:
    story = determined(900)
    story.pays(900, "TB1")
    story.request(2)
    story.status(7)
    assert (balance(story.instance.finance).carried, refunds(story)) == (0, 900)


def test_an_obligation_that_is_owed_no_more_is_given_back_at_the_end() -> None:
    story = determined(900)
    story.notice("TB2", 1, 80, item="1001")
    story.pays(900, "TB1")
    story.pays(80, "TB2")
    story.request(2)
    story.notice("TB5", 2, 900)
    assert (story.nodes, balance(story.instance.finance).carried) == ({"registration"}, 80)
    story.event("land.finished", end_state="0", message="L12")
    story.status(9)
    assert refunds(story) == 0
    story.status(10)
    assert (story.instance.end_state, refunds(story)) == ("returned", 80)


@pytest.mark.parametrize("version", [1, 2])
def test_a_statement_of_the_treasury_and_its_payment_are_given_back_or_taken_over_once(version: int) -> None:
    story = determined(900, version=version)
    story.event("tax.obligation_completed", notice="TB1", amount=900)
    story.request(2)
    assert story.pays(900, "TB1") is Verdict.APPLIED
    story.notice("TB5", 2, 900)
    assert refunds(story) == (900 if version == 1 else 0)
    assert balance(story.instance.finance).received == 900


def test_the_word_changes_no_digest_of_a_definition_that_does_not_say_it() -> None:
    assert definition("land_use_change/1").digest == "d89dc87ea74a1afb"  # as it was before there was the word
    assert definition("land_use_change/2").digest != definition("land_use_change/1").digest


NUMBERS = ["TB1", "TB2", "TB3", "TB4"]
MONEY = st.one_of(
    st.tuples(st.just("request"), st.integers(1, 4)),
    st.tuples(st.just("returned"), st.integers(1, 4)),
    st.tuples(
        st.just("notice"), st.sampled_from(NUMBERS), st.integers(1, 4), st.sampled_from([5, 10, 20, 30]),
        st.sampled_from(["ACTIVE", "ACTIVE", "ACTIVE", "EXEMPT", "CANCELLED"]), st.sampled_from(["2801", "1001"]),
    ),
    st.tuples(
        st.just("pays"), st.sampled_from(["", *NUMBERS]), st.sampled_from([5, 10, 20, 30]), st.booleans(),
        st.integers(0, 30),
    ),
    st.tuples(st.just("completed"), st.sampled_from(NUMBERS), st.sampled_from([5, 10, 20, 30])),
    st.tuples(st.just("ended"), st.booleans()),
    st.tuples(
        st.just("decided"), st.integers(0, 30), st.sampled_from(["", *NUMBERS]), st.sampled_from([0, 3, 5, 10]),
    ),
)  # fmt: skip


def settled(now: Finance, said: tuple) -> Settled:
    match said:
        case ("request", generation):
            return requested(now, f"PC-{generation}", generation)
        case ("returned", generation):
            return returned(now, generation)
        case ("notice", number, generation, total, state, item):
            line = {"item": item, "amount": total}
            return noticed(
                now,
                {"number": number, "generation": generation, "total": total, "lines": [line], "notice_status": state},
            )
        case ("pays", notice, amount, confirmed, reference):
            facts = {"reference": f"R{reference}", "notice": notice, "amount": amount, "payment_status": "PAID"}
            return paid(now, facts | {"phase": "CONFIRM" if confirmed else "EVIDENCE"})
        case ("completed", number, amount):
            return completed(now, number, amount)
        case ("decided", reference, notice, amount):
            facts = {"reference": f"R{reference}", "notice": notice, "amount": amount}
            return decided(now, RELEASED if notice else REFUNDED, facts)
        case ("ended", withdrawn):
            if withdrawn:
                return given_back(now, "withdrawn")
            left, refunds = left_over(now)
            return Settled(left, Verdict.APPLIED, "", refunds)
    raise AssertionError(said)


@pytest.mark.parametrize("takes_over", [False, True])
@settings(max_examples=400, deadline=None)
@given(st.lists(MONEY, max_size=30))
def test_no_order_of_notices_payments_and_generations_makes_or_loses_money(takes_over: bool, told: list) -> None:
    now, refunded, came = Finance(takes_over=takes_over), 0, dict[str, int]()
    for said in told:
        result = settled(now, said)
        now, refunded = result.finance, refunded + sum(each.amount for each in result.refunds)
        if said[0] == "pays" and result.reason not in ("already_confirmed", "amount_mismatch"):
            came[f"R{said[4]}"] = said[2]
        held = balance(now)
        assert not held.odd
        assert held.received == held.allocated + held.refunded + held.suspended + held.carried + held.fees
        assert refunded == held.refunded
        assert not held.carried or takes_over
        known = {each.reference: each.amount for each in now.payments if not each.reference.startswith("completed ")}
        assert {reference: known[reference] for reference in came} == came
        for notice in now.notices:
            assert 0 <= now.paid(notice.number) <= notice.total
            assert notice.state in (NoticeState.ACTIVE, NoticeState.PAID) or not now.paid(notice.number)
        waiting = [each for each in now.payments if each.carried]
        open_ones = [each for each in now.latest if now.open(each)]
        assert not [
            (payment, notice)
            for payment in waiting
            for number, _ in payment.carried
            for notice in open_ones
            if (old := now.notice(number)) is not None and old.items == notice.items
        ]
        assert all(each.reason in (NOTICE_UNKNOWN, NOT_STARTED, "amount_mismatch", IN_PART) for each in now.payments
                   if each.suspended)  # fmt: skip
