"""What an answer means: the manifest's rows first, then what HTTP itself says, and no guess beyond."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from router.sdk.http import UnclassifiedAnswer, classify
from router.sdk.manifest import ErrorRow, Manifest
from router.sdk.outcomes import (
    Failure,
    Invalid,
    Outcome,
    Rejected,
    Throttled,
    Transient,
    Unauthorised,
    Uncertain,
)


def row(outcome: Outcome, reason: str, **parts: object) -> ErrorRow:
    return ErrorRow.model_validate({"outcome": outcome, "reason": reason, **parts})


MANIFEST = Manifest(
    name="t",
    version="1",
    partner="t",
    role="other",
    errors=(
        row(Outcome.DUPLICATE, "exists", text="đã tồn tại"),
        row(Outcome.DELIVERED, "ok", code="00"),
        row(Outcome.TRANSIENT, "interrupted", code="03", text="thử lại"),
        row(Outcome.REJECTED, "refused_by_land", code="03", operation="land"),
        row(Outcome.INVALID, "malformed", code="22"),
        row(Outcome.THROTTLED, "locked", code="23", seconds=7200.0),
        row(Outcome.REJECTED, "gone", http=404, operation="status"),
        row(Outcome.TRANSIENT, "known_500", http=500, code="20"),
        row(Outcome.CLOSED, "night", code="99"),
        row(Outcome.UNCLASSIFIED, "never_explained", code="77"),
    ),
)


@pytest.mark.parametrize(
    ("status", "failure"),
    [
        (301, Transient), (400, Invalid), (401, Unauthorised), (403, Unauthorised), (404, Transient), (405, Transient),
        (408, Uncertain), (410, Transient), (413, Invalid), (421, Transient), (422, Invalid), (425, Transient),
        (429, Transient), (500, Uncertain), (502, Uncertain), (503, Transient), (504, Uncertain), (599, Uncertain),
    ],
)  # fmt: skip
def test_without_a_row_the_http_status_decides(status: int, failure: type[Failure]):
    assert type(classify(MANIFEST, "any", status=status)) is failure


@pytest.mark.parametrize("status", [402, 406, 407, 409, 415, 418])
def test_a_status_that_says_nothing_of_the_message_is_unclassified(status: int):
    with pytest.raises(UnclassifiedAnswer) as caught:
        classify(MANIFEST, "any", status=status)
    assert caught.value.code == str(status)


@pytest.mark.parametrize("status", [200, 201, 202, 204])
def test_a_success_without_a_code_is_a_success(status: int):
    assert classify(MANIFEST, "any", status=status) is None


@pytest.mark.parametrize("status", [429, 503])
def test_retry_after_is_kept(status: int):
    found = classify(MANIFEST, "any", status=status, retry_after="90")
    assert isinstance(found, Throttled)
    assert found.seconds == 90.0


@pytest.mark.parametrize("said", ["", "soon", "-5", "1.5", "²"])
def test_a_retry_after_that_is_no_number_is_no_throttling(said: str):
    assert type(classify(MANIFEST, "any", status=503, retry_after=said)) is Transient


@pytest.mark.parametrize("code", ["20", "99"])
def test_retry_after_is_kept_where_a_row_fits(code: str):
    """Not processed, or closed, for the row's own reason; and when to come again."""
    found = classify(MANIFEST, "any", status=500 if code == "20" else 200, code=code, retry_after="90")
    assert isinstance(found, Throttled)
    assert (found.seconds, found.reason) == (90.0, "known_500" if code == "20" else "night")


def test_rows_come_before_http():
    found = classify(MANIFEST, "any", status=500, code="20")
    assert isinstance(found, Transient)
    assert found.reason == "known_500"


def test_a_row_for_an_operation_is_for_that_operation():
    assert isinstance(classify(MANIFEST, "status", status=404), Rejected)
    assert isinstance(classify(MANIFEST, "other", status=404), Transient)
    assert isinstance(classify(MANIFEST, "land", code="03"), Rejected)


def test_the_first_row_that_fits_wins():
    found = classify(MANIFEST, "land", code="03", message="Gián đoạn, THỬ LẠI sau")
    assert isinstance(found, Failure)
    assert found.reason == "interrupted"


def test_already_there_is_said_by_the_text():
    assert classify(MANIFEST, "any", code="-3", message="Hồ sơ ĐÃ TỒN TẠI") is Outcome.DUPLICATE


def test_a_pause_comes_from_the_row():
    found = classify(MANIFEST, "any", code="23")
    assert isinstance(found, Throttled)
    assert found.seconds == 7200.0


def test_a_row_that_closes_without_a_time_waits_a_minute():
    found = classify(MANIFEST, "any", code="99")
    assert isinstance(found, Throttled)
    assert found.seconds == 60.0


@pytest.mark.parametrize("code", ["77", "78", "0", "1000"])
def test_a_code_nobody_explained_is_unclassified(code: str):
    with pytest.raises(UnclassifiedAnswer) as caught:
        classify(MANIFEST, "any", code=code, message="Lỗi lạ")
    assert caught.value.code == code


def test_a_failure_says_code_and_reason():
    found = classify(MANIFEST, "any", code="22", message="Sai QĐ 28")
    assert isinstance(found, Invalid)
    assert (found.code, found.reason, found.message) == ("22", "malformed", "Sai QĐ 28")


@pytest.mark.parametrize("code", ["22", "none"])
@pytest.mark.parametrize("status", [200, 400, 500])
def test_a_partner_that_quotes_a_citizen_is_masked(code: str, status: int):
    message = "Công dân 080090001234, MST 8300012345, ĐT 0901234567, a.nguyen@example.vn"
    try:
        found = classify(MANIFEST, "any", status=status, code=code, message=message)
    except UnclassifiedAnswer as error:
        found = error
    assert isinstance(found, Exception)
    shown = f"{found} {found!r} {getattr(found, 'message', '')}"
    for personal in ("080090001234", "8300012345", "0901234567", "a.nguyen@example.vn"):
        assert personal not in shown


@given(st.integers(100, 999), st.text(max_size=4), st.text(max_size=20))
def test_only_success_is_taken_for_success(status: int, code: str, message: str):
    try:
        found = classify(MANIFEST, "any", status=status, code=code, message=message)
    except UnclassifiedAnswer:
        return
    if found is None:
        assert status < 300
        assert not code
    elif isinstance(found, Outcome):
        assert code == "00" or "đã tồn tại" in message.casefold()
