"""Headers as one blob come back byte for byte."""

from hypothesis import given
from hypothesis import strategies as st

from router.framing import pack, unpack

HEADERS = st.lists(st.tuples(st.text(st.characters(exclude_categories=["Cs"]), max_size=30), st.binary(max_size=400)))


@given(HEADERS)
def test_headers_come_back_with_order_and_repetitions(headers):
    assert unpack(pack(headers)) == headers


def test_a_value_longer_than_two_bytes_can_count_comes_back():
    headers = [("ce_id", b"x" * 70_000), ("ce_id", b"")]
    assert unpack(pack(headers)) == headers
