"""Who may call an inbound route."""

from __future__ import annotations

from base64 import b64encode
from datetime import UTC, datetime

import pytest
from pydantic import SecretStr

from router.sdk import Request, Unauthenticated
from router.sdk import auth as under_test
from router.sdk.auth import NONCE, SIGNATURE, TIMESTAMP, WINDOW, Basic, Signature, Token, sign
from router.sdk.testing.clock import ManualClock

SECRET = SecretStr("bí mật của bài kiểm thử")
KEY = SECRET.get_secret_value().encode()


def request(headers: dict[str, str], body: bytes = b"{}") -> Request:
    return Request("POST", "/x", {}, headers, body, datetime(2025, 6, 16, tzinfo=UTC))


def signed(clock: ManualClock, nonce: str = "n-1", body: bytes = b"{}", *, late: int = 0) -> Request:
    timestamp = str(clock.now() // 1_000_000 - late)
    return request({TIMESTAMP: timestamp, NONCE: nonce, SIGNATURE: sign(KEY, timestamp, nonce, body)}, body)


def test_the_right_token_passes():
    assert Token(SECRET)(request({"authorization": f"Bearer {SECRET.get_secret_value()}"})) is None


def test_a_token_may_stand_in_another_header_without_a_prefix():
    assert Token(SECRET, "X-Api-Key", "")(request({"x-api-key": SECRET.get_secret_value()})) is None


@pytest.mark.parametrize("given", [None, "", "Bearer ", "Bearer khác", SECRET.get_secret_value(), "bearer \udcff"])
def test_any_other_token_is_refused(given: str | None):
    headers = {} if given is None else {"authorization": given.encode("utf-8", "replace").decode()}
    with pytest.raises(Unauthenticated):
        Token(SECRET)(request(headers))


def test_the_right_user_and_password_pass():
    given = b64encode(f"mc:{SECRET.get_secret_value()}".encode()).decode()
    assert Basic("mc", SECRET)(request({"authorization": f"Basic {given}"})) is None


@pytest.mark.parametrize("given", ["", "Basic", "Basic ###", "Basic " + b64encode(b"mc:khac").decode(), "Basic bWM="])
def test_any_other_user_or_password_is_refused(given: str):
    with pytest.raises(Unauthenticated):
        Basic("mc", SECRET)(request({"authorization": given}))


def test_a_signature_passes_once():
    clock = ManualClock()
    check = Signature(SECRET, clock)
    check(signed(clock))
    with pytest.raises(Unauthenticated):
        check(signed(clock))
    check(signed(clock, "n-2"))


@pytest.mark.parametrize("late", [WINDOW, -WINDOW])
def test_a_clock_may_differ_by_five_minutes(late: int):
    clock = ManualClock()
    assert Signature(SECRET, clock)(signed(clock, late=late)) is None


@pytest.mark.parametrize("late", [WINDOW + 1, -WINDOW - 1])
def test_a_clock_that_differs_by_more_is_refused(late: int):
    clock = ManualClock()
    with pytest.raises(Unauthenticated):
        Signature(SECRET, clock)(signed(clock, late=late))


@pytest.mark.parametrize("header", [TIMESTAMP, NONCE, SIGNATURE])
def test_every_part_of_a_signature_is_needed(header: str):
    clock = ManualClock()
    given = signed(clock)
    headers = {name: value for name, value in given.headers.items() if name != header}
    with pytest.raises(Unauthenticated):
        Signature(SECRET, clock)(request(headers))


@pytest.mark.parametrize(("header", "other"), [(TIMESTAMP, "1750035601"), (NONCE, "n-9"), (SIGNATURE, "00" * 32)])
def test_nothing_that_is_signed_can_be_changed(header: str, other: str):
    clock = ManualClock()
    with pytest.raises(Unauthenticated):
        Signature(SECRET, clock)(request({**signed(clock).headers, header: other}))


def test_the_body_is_signed():
    clock = ManualClock()
    with pytest.raises(Unauthenticated):
        Signature(SECRET, clock)(request(dict(signed(clock).headers), b'{"SoTien": 1}'))


@pytest.mark.parametrize("timestamp", ["", "²", "1e9", "-1", "9" * 5000])
def test_a_timestamp_that_is_no_number_is_refused(timestamp: str):
    headers = {TIMESTAMP: timestamp, NONCE: "n", SIGNATURE: sign(KEY, timestamp, "n", b"{}")}
    with pytest.raises(Unauthenticated):
        Signature(SECRET, ManualClock())(request(headers))


def test_a_nonce_without_end_is_refused():
    clock = ManualClock()
    with pytest.raises(Unauthenticated):
        Signature(SECRET, clock)(signed(clock, "n" * 129))


async def test_nonces_are_forgotten_when_their_time_can_no_longer_pass():
    clock = ManualClock()
    check = Signature(SECRET, clock)
    first = signed(clock, late=-WINDOW)  # the partner's clock is ahead: it may come again for ten minutes
    check(first)
    for second in range(2 * WINDOW):
        await clock.advance(1)
        check(signed(clock, f"later-{second}"))
        with pytest.raises(Unauthenticated):
            check(first)
    await clock.advance(2 * WINDOW + 1)
    check(signed(clock, "last"))
    assert len(check._nonces) == 1


def test_the_memory_for_nonces_is_bounded(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(under_test, "NONCES", 10)
    clock = ManualClock()
    check = Signature(SECRET, clock)
    for number in range(50):
        check(signed(clock, f"n-{number}"))
    assert len(check._nonces) == 10


def test_a_refusal_does_not_say_what_was_wrong():
    clock = ManualClock()
    texts = set()
    for given in (request({}), request({**signed(clock).headers, SIGNATURE: "x"}), signed(clock, late=WINDOW + 1)):
        with pytest.raises(Unauthenticated) as caught:
            Signature(SECRET, clock)(given)
        texts.add((caught.value.vi, caught.value.en))
    assert len(texts) == 1
