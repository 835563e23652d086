"""What follows from an attempt: the table of outcomes, and the rules around budgets, ages and classes."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

import hypothesis.strategies as st
import pytest
from hypothesis import given

from router.delivery.outcome import (
    CHECK_BUDGET,
    SECOND,
    UNKNOWN_SCHEMA_PATIENCE,
    Facts,
    Work,
    after_call,
    after_check,
    delay,
    over,
    resume_calling,
)
from router.errors import MalformedPayload, UnknownSchema
from router.ledger.rows import Delivery, Failure, State
from router.sdk import (
    Checked,
    Closed,
    Idempotency,
    Invalid,
    Operation,
    Receipt,
    Rejected,
    Retry,
    Throttled,
    Transient,
    Unauthorised,
    Uncertain,
)

NOW = 1_000_000 * SECOND
RETRY = Retry(first_delay=10, factor=2, longest_delay=100, budget=3, unclassified_budget=2, maximal_age=3600)


def work(idempotency: Idempotency = Idempotency.NATURAL_KEY, **changes: object) -> Work:
    head = Delivery(
        shard=1, seq=1, key=b"k" * 16, state=State.WAITING, version=1, urgent=False, source="portal", event_id="e",
        event_type="dossier.accepted", subject="H39-1", offset=0, accepted_at=NOW - 60 * SECOND,
    )  # fmt: skip
    for name, value in changes.items():
        setattr(head, name, value)
    operation = Operation(name="op", events=("dossier.accepted",), idempotency=idempotency, timeout=60)
    return Work("tax-h39", head, operation, RETRY)


def facts(*, passing: bool = True, active: int = 3) -> Facts:
    return Facts(NOW, NOW - SECOND, passing, active, 0.5)


@pytest.mark.parametrize(
    ("answer", "state"),
    [
        (Receipt(), State.DELIVERED),
        (Receipt(duplicate=True), State.DUPLICATE),
        (Rejected("no"), State.REJECTED),
        (Transient("connect"), State.WAITING),
        (Throttled("wait", seconds=30), State.WAITING),
        (Closed("night", until=datetime.fromtimestamp(NOW / 1e6, UTC)), State.WAITING),
        (Unauthorised("login"), State.WAITING),
        (Invalid("contract"), State.DEAD),
        (MalformedPayload("x"), State.DEAD),
        (UnknownSchema("x"), State.WAITING),
        (Uncertain("timeout"), State.WAITING),
        (TimeoutError(), State.WAITING),
        (ZeroDivisionError(), State.WAITING),
    ],
)
def test_each_outcome_leads_to_its_state(answer: Receipt | Exception, state: State) -> None:
    assert after_call(work(), answer, facts()).state is state


def test_a_rejection_has_a_reply_and_is_no_dead_letter() -> None:
    following = after_call(work(), Rejected("unknown_dossier", "không có", code="02"), facts())
    assert following.reply
    assert not following.dead_letter
    assert following.receipt == {"code": "02", "reason": "unknown_dossier", "message": "không có"}


def test_refused_credentials_stop_the_recipient_and_spend_nothing() -> None:
    following = after_call(work(spent=2), Unauthorised("login"), facts())
    assert following.stop
    assert following.due is None
    assert following.spent == 2


def test_a_partner_that_asks_to_wait_is_waited_for_and_no_attempt_is_spent() -> None:
    following = after_call(work(spent=2), Throttled("retry_after", seconds=30), facts())
    assert following.due == NOW + 30 * SECOND
    assert following.spent == 2


def test_a_spent_budget_is_a_dead_letter_while_others_pass() -> None:
    following = after_call(work(spent=2, attempts=2), Transient("busy"), facts())
    assert following.state is State.DEAD
    assert following.failure is not None
    assert following.failure.reason == "exhausted"


def test_without_budget_and_age_only_a_person_gives_an_event_up() -> None:
    payment = work(spent=9_999, attempts=9_999, first_at=1)._replace(retry=Retry(budget="none", maximal_age="none"))
    following = after_call(payment, Transient("busy"), facts())
    assert (following.state, following.alert) == (State.WAITING, "aging")


@pytest.mark.parametrize(("passing", "active"), [(False, 3), (True, 2)])
def test_no_budget_kills_in_an_outage_or_with_too_few_lanes_to_judge(passing: bool, active: int) -> None:
    following = after_call(work(spent=2, attempts=2), Transient("busy"), facts(passing=passing, active=active))
    assert following.state is State.WAITING


def test_an_outage_spends_nothing() -> None:
    assert after_call(work(spent=2), Transient("busy"), facts(passing=False)).spent == 2


OLD = NOW - 3601 * SECOND


def test_a_maximal_age_ends_in_a_dead_letter_never_silently() -> None:
    following = after_call(work(first_at=OLD), Transient("busy"), facts())
    assert following.state is State.DEAD
    assert following.failure is not None
    assert following.failure.reason == "expired_age"


@pytest.mark.parametrize(
    ("changes", "around"),
    [
        ({"first_at": OLD}, facts(passing=False)),  # an outage that is not known yet
        ({"first_at": OLD}, facts(active=2)),  # too few to tell
        ({"first_at": OLD}, replace(facts(), down=True)),
        ({"first_at": OLD}, replace(facts(), open_since=NOW - 3600 * SECOND)),  # an outage or a hold just over
        ({"accepted_at": OLD, "first_at": None}, facts()),  # it waited, for whatever, and is tried for the first time
        ({"accepted_at": OLD, "first_at": NOW - SECOND}, facts()),
    ],
)
@pytest.mark.parametrize("answer", [Transient("busy"), Uncertain("reset"), ZeroDivisionError()])
def test_age_counts_only_while_the_recipient_works_for_others(
    changes: dict[str, object], around: Facts, answer: Exception
) -> None:
    assert after_call(work(**changes), answer, around).state is State.WAITING


@pytest.mark.parametrize(
    "answer",
    [Throttled("retry_after", seconds=60), Closed("night", until=datetime.fromtimestamp(NOW / 1e6 + 60, UTC))],
)
def test_a_partner_that_asks_to_wait_ages_nobody(answer: Exception) -> None:
    following = after_call(work(first_at=OLD), answer, facts())
    assert (following.state, following.due) == (State.WAITING, NOW + 60 * SECOND)
    assert following.alert == "aging"


@pytest.mark.parametrize(
    ("answer", "wait"),
    [
        (Throttled("retry_after", seconds=1e18), 3_600),
        (Throttled("retry_after", seconds=float("inf")), 3_600),
        (Throttled("retry_after", seconds=0), 1),
        (Closed("for_ever", until=datetime.max.replace(tzinfo=UTC)), 86_400),
        (Closed("over", until=datetime.min.replace(tzinfo=UTC)), 1),
    ],
)
def test_nothing_a_partner_says_keeps_it_unasked_for_ever_or_makes_us_ask_at_once(answer: Exception, wait: int) -> None:
    assert after_call(work(), answer, facts()).due == NOW + wait * SECOND


def test_what_the_partner_did_not_take_is_sent_however_old_it_is() -> None:
    asked = work(Idempotency.CHECKED, state=State.CALLING, first_at=OLD, failure=Failure("uncertain", "reset"))
    assert after_check(asked, Checked.NOT_DONE, facts()).state is State.WAITING


@pytest.mark.parametrize(("passing", "active"), [(False, 3), (True, 2)])
def test_where_nothing_dies_of_age_an_alert_speaks(passing: bool, active: int) -> None:
    around = facts(passing=passing, active=active)
    assert after_call(work(first_at=OLD), Transient("busy"), around).alert == "aging"
    assert after_call(work(first_at=OLD), Transient("busy"), replace(around, down=True)).alert == ""
    assert after_call(work(first_at=NOW - 3599 * SECOND), Transient("busy"), around).alert == ""


@pytest.mark.parametrize(
    ("outcome", "first_at", "answer", "cleared"),
    [
        ("transient", OLD, Receipt(), ["aging"]),
        ("transient", NOW - SECOND, Receipt(), []),
        ("transient", OLD, Throttled("wait", seconds=60), []),
        ("unknown_schema", NOW - SECOND, Receipt(), ["unknown_schema"]),
        ("unknown_schema", OLD, Invalid("contract"), ["aging", "unknown_schema"]),
        ("unknown_schema", OLD, UnknownSchema("x"), []),
    ],
)
def test_an_alert_goes_with_what_raised_it(
    outcome: str, first_at: int, answer: Receipt | Exception, cleared: list[str]
) -> None:
    failed = work(first_at=first_at, failure=Failure(outcome, "x"))
    assert over(failed.delivery, after_call(failed, answer, facts()), NOW) == cleared


def test_an_unknown_schema_waits_with_an_alert_and_dies_after_a_day() -> None:
    assert after_call(work(), UnknownSchema("x"), facts()).alert == "unknown_schema"
    old = NOW - UNKNOWN_SCHEMA_PATIENCE - 1
    assert after_call(work(first_at=old), UnknownSchema("x"), facts()).state is State.DEAD
    assert after_call(work(accepted_at=old), UnknownSchema("x"), facts()).state is State.WAITING, "a day's hold"
    held = replace(facts(), open_since=NOW - SECOND)
    assert after_call(work(first_at=old), UnknownSchema("x"), held).state is State.WAITING


@pytest.mark.parametrize(
    ("idempotency", "state"),
    [
        (Idempotency.NATURAL_KEY, State.WAITING),
        (Idempotency.CHECKED, State.CALLING),
        (Idempotency.NONE, State.UNCERTAIN),
    ],
)
def test_an_uncertain_call_follows_the_operations_class(idempotency: Idempotency, state: State) -> None:
    assert after_call(work(idempotency), Uncertain("reset"), facts()).state is state


def test_the_partner_is_asked_only_after_the_call_limit_has_passed() -> None:
    following = after_call(work(Idempotency.CHECKED), Uncertain("reset"), facts())
    assert following.due == NOW - SECOND + 60 * SECOND


@pytest.mark.parametrize(
    ("checked", "state"),
    [(Checked.DONE, State.DELIVERED), (Checked.NOT_DONE, State.WAITING), (Checked.UNKNOWN, State.CALLING)],
)
def test_the_partners_answer_decides(checked: Checked, state: State) -> None:
    assert after_check(work(Idempotency.CHECKED, state=State.CALLING), checked, facts()).state is state


def test_a_partner_that_never_says_leaves_it_to_a_person() -> None:
    asked = work(Idempotency.CHECKED, state=State.CALLING, spent=CHECK_BUDGET - 1)
    following = after_check(asked, Checked.UNKNOWN, facts())
    assert following.state is State.UNCERTAIN
    assert following.dead_letter


def test_a_call_cut_off_that_cannot_be_asked_about_is_never_sent_again_blindly() -> None:
    following = resume_calling(work(Idempotency.NONE, state=State.CALLING))
    assert following is not None
    assert following.state is State.UNCERTAIN
    assert resume_calling(work(Idempotency.CHECKED, state=State.CALLING)) is None


def test_an_unclassified_failure_names_its_place_and_dies_after_its_small_budget() -> None:
    try:
        raise KeyError("MaHoSo")
    except KeyError as error:
        following = after_call(work(spent=1, attempts=1), error, facts())
    assert following.state is State.DEAD
    assert following.failure is not None
    assert following.failure.reason == "unclassified"
    assert "test_outcome.py" in following.failure.place


def test_no_personal_number_is_stored_with_a_failure() -> None:
    following = after_call(work(), Invalid("contract", "CCCD 080123456789, gọi 0903123456, a.b@example.vn"), facts())
    assert following.failure is not None
    for clear in ("080123456789", "0903123456", "a.b@example.vn"):
        assert clear not in following.failure.message


def test_the_same_trouble_has_the_same_cause_and_another_has_another() -> None:
    first = after_call(work(), Invalid("contract", "one"), facts()).failure
    again = after_call(work(), Invalid("contract", "two"), facts()).failure
    other = after_call(work(), Invalid("malformed", "one"), facts()).failure
    assert isinstance(first, Failure)
    assert again is not None
    assert other is not None
    assert first.cause == again.cause != other.cause


@given(spent=st.integers(1, 200), jitter=st.floats(0, 0.999))
def test_pauses_grow_and_stay_within_their_bounds(spent: int, jitter: float) -> None:
    pause = delay(RETRY, spent, jitter)
    whole = min(100, 10 * 2 ** min(spent - 1, 60)) * SECOND
    assert whole // 2 <= pause <= whole
    assert delay(RETRY, spent + 1, jitter) >= pause
