"""Personal data is out of sight wherever a text or a decoded payload is shown."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from router.masking import PERSONAL_FIELDS, mask, mask_value

NUMBERS = ["001099012345", "012345678", "0312345678", "0312345678-001", "0312345678001", "0912345678", "+84912345678"]
SPACED = ["0912 345 678", "0912.345.678", "091-234-5678"]
AROUND = st.text(st.characters(exclude_categories=["Nd", "Cs"], exclude_characters=".+-_@"), max_size=10)


@pytest.mark.parametrize("number", [*NUMBERS, *SPACED])
@pytest.mark.parametrize("text", ["{}", "CCCD {} sai", "[{}]", "số:{},", "a/{}/b", "=“{}”"])
def test_a_persons_number_is_masked_wherever_it_stands(number, text):
    masked = mask(text.format(number))
    assert number not in masked
    assert number[:-3] not in masked


@pytest.mark.parametrize("number", NUMBERS)
@given(before=AROUND, behind=AROUND)
def test_a_number_is_masked_between_any_words(number, before, behind):
    assert number not in mask(f"{before} {number} {behind}")


def test_the_last_three_digits_of_an_id_stay():
    assert mask("CCCD 001099012345") == "CCCD *********345"


@pytest.mark.parametrize("mail", ["nguyen.van.a@example.vn", "a+b@mail.example.gov.vn"])
def test_an_email_address_is_masked(mail):
    masked = mask(f"gửi {mail}, ngay")
    assert mail not in masked
    assert "example" not in masked


@pytest.mark.parametrize("text", ["H39.16", "2025-06-16T08:00:00Z", "000.00.16.H40", "đã tồn tại", "lỗi 500", ""])
def test_what_is_not_personal_is_left_alone(text):
    assert mask(text) == text


@given(st.text())
def test_masking_twice_changes_nothing_more(text):
    assert mask(mask(text)) == mask(text)


@pytest.mark.parametrize("field", sorted(PERSONAL_FIELDS))
def test_a_personal_field_is_masked_at_any_depth(field):
    shown = mask_value({"code": "H39.1", "deep": [{field: "Nguyễn Văn A"}], field: "Nguyễn Văn A"})
    assert shown == {"code": "H39.1", "deep": [{field: "N*** V*** A***"}], field: "N*** V*** A***"}


def test_a_number_in_a_free_text_of_a_payload_is_masked():
    assert mask_value({"note": "gọi 0912345678", "amount": 500000, "papers": ()}) == {
        "note": "gọi *******678",
        "amount": 500000,
        "papers": [],
    }
