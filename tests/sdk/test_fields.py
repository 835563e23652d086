"""Field tables: a partner's names, dates, codes and numbers in both directions."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from router.sdk import BadRequest
from router.sdk.dates import COMPACT
from router.sdk.fields import Codes, Field, read, write

NUMBER = (Field("SoTien", "amount", number=True),)
PAPER = (Field("TenGiayTo", "name", required=True),)
TABLE = (
    Field("MaHoSo", "code", required=True),
    Field("TrangThai", "status", codes=Codes({"1": "NEW", "9": "READY"})),
    Field("Ngay", "at", format=COMPACT),
    Field("GiayTo", "papers", fields=PAPER, many=True),
    Field("CapTinh", "provincial", flag=True),
)


@pytest.mark.parametrize(
    ("given_", "amount"),
    [(1_200_000, 1_200_000), ("1200000", 1_200_000), ("1.200.000", 1_200_000), (50_000.0, 50_000), ("-5", -5)],
)
def test_an_amount_is_read_as_vietnamese_write_it(given_: Any, amount: int):
    assert read({"SoTien": given_}, NUMBER) == {"amount": amount}


@pytest.mark.parametrize(
    "given_", ["1200000.50", "1200000.00", "12.00", "1,200,000", "1.2.3", "một triệu", 0.5, True, float("nan"), "1e6"]
)
def test_an_amount_that_is_no_whole_number_is_refused_and_never_rounded(given_: Any):
    with pytest.raises(BadRequest, match="SoTien"):
        read({"SoTien": given_}, NUMBER)


@given(st.integers(-(10**15), 10**15))
def test_thousands_may_be_set_apart(amount: int):
    assert read({"SoTien": f"{amount:,}".replace(",", ".")}, NUMBER) == {"amount": amount}


@pytest.mark.parametrize("value", [None, "", []])
def test_what_is_left_out_or_empty_is_left_out(value: Any):
    assert read({"MaHoSo": "A", "Ngay": value, "GiayTo": value}, TABLE) == {"code": "A"}


@pytest.mark.parametrize("value", [None, "", []])
def test_what_is_required_is_refused_when_empty(value: Any):
    with pytest.raises(BadRequest, match="MaHoSo"):
        read({"MaHoSo": value}, TABLE)


def test_a_field_deep_inside_is_named_and_never_quoted():
    with pytest.raises(BadRequest) as caught:
        read({"MaHoSo": "A", "GiayTo": [{"TenGiayTo": "Đơn"}, {"Khac": "Nguyễn Văn A"}]}, TABLE)
    assert "GiayTo[1].TenGiayTo" in caught.value.vi
    assert "Nguyễn" not in f"{caught.value.vi}{caught.value}"


@pytest.mark.parametrize("value", ["x", 7, {"TenGiayTo": "Đơn"}, ["Đơn"]])
def test_a_list_of_objects_is_nothing_else(value: Any):
    with pytest.raises(BadRequest, match="GiayTo"):
        read({"MaHoSo": "A", "GiayTo": value}, TABLE)


@pytest.mark.parametrize(("code", "symbol"), [("1", "NEW"), (1, "NEW"), ("11", "UNKNOWN"), (None, None)])
def test_a_code_that_is_not_listed_is_the_unknown_symbol(code: Any, symbol: str | None):
    assert read({"MaHoSo": "A", "TrangThai": code}, TABLE).get("status") == symbol


def test_both_directions_agree():
    values = {
        "MaHoSo": "A",
        "TrangThai": "9",
        "Ngay": "20250806093000",
        "GiayTo": [{"TenGiayTo": "Đơn"}],
        "CapTinh": True,
    }
    assert write(read(values, TABLE) | {"papers": [{"name": "Đơn"}]}, TABLE) == values
