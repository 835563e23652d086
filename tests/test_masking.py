"""Personal data is out of sight wherever a text or a decoded payload is shown."""

from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st

from router.masking import PERSONAL_FIELDS, mask, mask_value

NUMBERS = [
    "001099012345", "012345678", "0312345678", "0312345678-001", "0312345678001", "0912345678", "+84912345678",
    "02438251234", "10201234567890", "1020123456789012",
]  # fmt: skip
SPACED = [
    "0912 345 678", "0912.345.678", "091-234-5678", "079 085 012 345", "079.085.012.345", "079-085-012-345",
    "012 345 678", "012.345.678", "024.3825.1234", "+84 24 3825 1234", "(091) 2345678", "(024) 3825 1234",
    "84 912 345 678",
]  # fmt: skip
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


@pytest.mark.parametrize("number", [*NUMBERS, *SPACED])
def test_only_three_digits_of_a_number_are_left(number):
    assert sum(c.isdigit() for c in mask(f"gọi {number} ngay")) <= 3


@given(st.integers(0, 999_999_999), st.sampled_from(["", " ", ".", "-"]))
def test_a_citizens_id_is_masked_however_it_is_grouped(number, between):
    digits = f"0{number:011d}"
    written = between.join(digits[n : n + 3] for n in range(0, 12, 3))
    assert sum(c.isdigit() for c in mask(f"căn cước {written}, cấp năm nào")) <= 3


@given(st.integers(0, 9_999_999), st.sampled_from(["024", "028", "0236", "0205"]), st.sampled_from(["", " ", ".", "-"]))
def test_a_landline_is_masked_however_it_is_grouped(number, area, between):
    local = f"3{number:07d}"[: 11 - len(area)]
    written = between.join([area, local[:4], local[4:]])
    assert sum(c.isdigit() for c in mask(f"điện thoại {written}")) <= 3


def test_the_last_three_digits_of_an_id_stay():
    assert mask("CCCD 001099012345") == "CCCD *********345"


READABLE = [
    "H39.25.01-250616-0007", "H15.50.05.13-261008-0975", "G09.20-20260609-0092637", "000.00.16.H40-210601-0001",
    "550e8400-e29b-41d4-a716-446655440000", "00000000-0000-4000-8000-000000000000", "a" * 3 + "1" * 61,
    "20250806093000", "2025-06-16 08:00:00", "06/08/2025 09:30:00", "16/06/2025",
    "120.000.000 đồng", "1.250.000.000", "500.000 VND", "120 000 000 VND", "987,406", "tax-h39/3/152", "10.0.0.12:5432",
]  # fmt: skip


@given(st.uuids())
def test_an_event_id_stays_readable(identity):
    assert mask(f"sự kiện {identity} đã gửi") == f"sự kiện {identity} đã gửi"


@pytest.mark.parametrize("mail", ["nguyen.van.a@example.vn", "a+b@mail.example.gov.vn"])
def test_an_email_address_is_masked(mail):
    masked = mask(f"gửi {mail}, ngay")
    assert mail not in masked
    assert "example" not in masked


@pytest.mark.parametrize(
    "text", ["H39.16", "2025-06-16T08:00:00Z", "000.00.16.H40", "đã tồn tại", "lỗi 500", "", *READABLE]
)
def test_what_is_not_personal_is_left_alone(text):
    assert mask(text) == text


@given(st.text())
def test_masking_twice_changes_nothing_more(text):
    assert mask(mask(text)) == mask(text)


@pytest.mark.parametrize("field", sorted(PERSONAL_FIELDS))
def test_a_personal_field_is_masked_at_any_depth(field):
    shown = mask_value({"code": "H39.1", "deep": [{field: "Nguyễn Văn A"}], field: "Nguyễn Văn A"})
    assert shown == {"code": "H39.1", "deep": [{field: "N*** V*** A***"}], field: "N*** V*** A***"}


@pytest.mark.parametrize("value", [date(1990, 2, 3), 1990, 79085012345, 1.5, True, b"x", "0123"])
@pytest.mark.parametrize("field", ["birth_date", "identity_number", "NgaySinh", "SoChungMinh", "DiaChiThuongTru"])
def test_whatever_stands_in_a_personal_field_is_masked(field, value):
    assert mask_value({field: value, "amount": 120_000_000, "due_date": date(2025, 8, 15)}) == {
        field: "***",
        "amount": 120_000_000,
        "due_date": date(2025, 8, 15),
    }


@pytest.mark.parametrize("field", ["HoTen", "received_by", "NguoiTiepNhan", "from_officer", "TenChuHoSo", "ho_ten"])
def test_officers_and_citizens_are_masked_by_the_partners_names_too(field):
    assert mask_value([{field: "Trần Thị Bích Ngọc"}]) == [{field: "T*** T*** B*** N***"}]
    assert mask_value({field: None}) == {field: None}


def test_a_number_in_a_free_text_of_a_payload_is_masked():
    assert mask_value({"note": "gọi 0912345678", "amount": 500000, "papers": ()}) == {
        "note": "gọi *******678",
        "amount": 500000,
        "papers": [],
    }
