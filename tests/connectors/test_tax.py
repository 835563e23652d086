"""The tax office's connector: the behaviour of all connectors, and what is its own."""

from __future__ import annotations

import json
from base64 import b64encode
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from connectors.tax import xml
from connectors.tax.connector import Tax
from connectors.tax.notices import MOST_LINES, read_file
from connectors.tax.simulator import TaxSimulator
from router.sdk import DOSSIER_CODE, BadRequest, Checked, Context, Invalid, Reference, Request, Unauthorised, Uncertain
from router.sdk.records import ObligationRequest
from router.sdk.testing import answer_json
from router.sdk.testing.cases import Inbound, Outbound
from router.sdk.testing.clock import CountingIds, ManualClock
from router.sdk.testing.objects import MemoryObjects
from router.sdk.testing.quirks import Quirk
from router.sdk.testing.rig import Kit, Rig
from router.sdk.testing.suite import ConnectorSuite
from tests.connectors.conftest import running

KEY, TOKEN = "a key of this test", "a token of this test"
OFFICE = "H39.90"
CODE = "H39.25.01-250616-0012"


def config(url: str) -> dict[str, Any]:
    return {
        "http": {"base_url": url},
        "system_id": "lgsp",
        "system_key": KEY,
        "webhook_token": TOKEN,
        "agency": OFFICE,
    }


def simulated(clock: Any, **more: Any) -> TaxSimulator:
    settings = {"returns": lambda _: False, "system_key": KEY, **more}
    return TaxSimulator(clock, token=TOKEN, agency=OFFICE, **settings)


def kit(**more: Any) -> Kit:
    return Kit(
        "connectors.tax",
        Tax,
        lambda clock: simulated(clock, **more),
        config,
        lambda code, text: {"MaKetQua": code, "MoTa": text},
        objects=MemoryObjects,
    )


KIT = kit()
CASES = KIT.cases()


class TestBehaviour(ConnectorSuite):
    kit = KIT


@pytest.fixture
async def rig():
    async with running(KIT) as started:
        yield started


def outbound(event_type: str) -> Outbound:
    return next(case for case in CASES.outbound if case.event.type == event_type)


def inbound(path: str) -> Inbound:
    return next(case for case in CASES.inbound if case.request.path == path)


PCTT = outbound("tax.obligation_requested")


def line(notice: str = "TB-1/CCT", amount: object = 6_000_000, day: str = "23-06-2025", item: str = "Lệ phí") -> str:
    return (
        f"<LIST><MA_SO_THUE>8300012345</MA_SO_THUE><SO_QUYET_DINH>{notice}</SO_QUYET_DINH>"
        f"<NGAY_QUYET_DINH>{day}</NGAY_QUYET_DINH><TEN_TIEUMUC>{item}</TEN_TIEUMUC><SO_TIEN>{amount}</SO_TIEN></LIST>"
    )


def row(code: str, *lines: str) -> str:
    return f"<ROW><MA_HSO>{code}</MA_HSO>{''.join(lines)}</ROW>"


def file(*rows: str) -> bytes:
    return f"<ROW_LIST>{''.join(rows)}</ROW_LIST>".encode()


async def send(rig: Rig, content: bytes, **more: Any):
    body = {"MaTep": "TEP-1", "NoiDung": b64encode(content).decode(), **more}
    case = inbound("/thong-bao")
    return await rig.route(case).handle(rig.request(case, body=body))


# A notice file


async def test_three_dossiers_of_which_nobody_knows_one_are_three_events_that_add_up_to_the_file(rig: Rig):
    received = await send(rig, file(row("A-1", line("TB-1")), row("A-2", line("TB-2", 5)), row("X-9", line("TB-3", 7))))
    records = [emission.record for emission in received.emissions]
    assert [emission.subject.value for emission in received.emissions] == ["A-1", "A-2", "X-9"]
    assert {(record.file_lines, record.file_total) for record in records} == {(3, 6_000_012)}
    assert sum(record.total for record in records) == 6_000_012
    assert not any(emission.mints for emission in received.emissions)


async def test_the_file_is_kept_as_it_came_under_the_hash_that_its_events_carry(rig: Rig):
    content = b"\xef\xbb\xbf rubbish " + file(row(CODE, line()))
    received = await send(rig, content)
    assert await rig.connector.context.objects.get(received.emissions[0].record.file_hash) == content


async def test_a_file_that_is_refused_is_not_kept(rig: Rig):
    with pytest.raises(BadRequest):
        await send(rig, file(row(CODE, line(amount="nhiều"))))
    assert not rig.connector.context.objects.stored


async def test_the_same_file_again_gives_the_same_identities_and_bytes(rig: Rig):
    content = file(row("A-1", line("TB-1"), line("TB-2")), row("A-2", line("TB-3")))
    first, second = await send(rig, content), await send(rig, content)
    told = [[(each.identity, each.original) for each in received.emissions] for received in (first, second)]
    assert told[0] == told[1]
    assert len({identity for identity, _ in told[0]}) == 3


async def test_a_corrected_file_gives_other_identities(rig: Rig):
    first, second = await send(rig, file(row(CODE, line(amount=1)))), await send(rig, file(row(CODE, line(amount=2))))
    assert first.emissions[0].identity != second.emissions[0].identity


async def test_base64_with_line_breaks_is_read(rig: Rig):
    text = b64encode(file(row(CODE, line()))).decode()
    lines = "\r\n".join(text[at : at + 76] for at in range(0, len(text), 76))
    assert (await send(rig, b"", NoiDung=lines)).emissions


@pytest.mark.parametrize("content", ["not base64!", "", None, 7])
async def test_a_file_that_is_not_base64_is_refused(rig: Rig, content: Any):
    with pytest.raises(BadRequest, match="NoiDung"):
        await send(rig, b"", NoiDung=content)


async def test_a_file_without_one_sound_dossier_is_refused_with_the_first_reason(rig: Rig):
    with pytest.raises(BadRequest, match=r"MA_HSO\[0\]: field SO_TIEN"):
        await send(rig, file(row("A-1", line(amount="1,5")), row("A-2")))


async def test_a_dossier_that_cannot_be_read_becomes_a_dead_letter_with_its_own_rows(rig: Rig):
    content = file(row("A-1", line("TB-1")), row("A-2", line("TB-2", "1,5")), row("", line("TB-3")))
    received = await send(rig, content)
    wrong, nameless = received.unreadable
    assert (wrong.subject, wrong.type, wrong.addressed_to) == (
        Reference(DOSSIER_CODE, "A-2"),
        "tax.notice_issued",
        "H39.90",
    )
    assert b"1,5" in wrong.original
    assert b"A-1" not in wrong.original
    assert "SO_TIEN" in wrong.en
    assert nameless.subject is None
    assert len({wrong.identity, nameless.identity}) == 2
    again = await send(rig, content)
    assert [part.identity for part in again.unreadable] == [wrong.identity, nameless.identity]


@pytest.mark.parametrize(
    "answered", [{CODE: {"LanLap": "hai"}}, {CODE: "PCTT-1"}, {CODE: {"LanLap": 2**40}}], ids=["text", "string", "huge"]
)
async def test_a_wrong_pctt_fails_its_own_dossier_only(rig: Rig, answered: Any):
    received = await send(rig, file(row(CODE, line()), row("A-2", line("TB-2"))), PhieuChuyen=answered)
    assert [emission.subject.value for emission in received.emissions] == ["A-2"]
    assert json.loads(received.reply.body)["MaKetQua"] == "05"


@pytest.mark.parametrize("answered", [None, [], "x", {}])
async def test_without_a_pctt_the_generation_is_open(rig: Rig, answered: Any):
    received = await send(rig, file(row(CODE, line())), PhieuChuyen=answered)
    assert (received.emissions[0].record.generation, received.emissions[0].record.obligation_number) == (0, None)


WRONG = {
    "no line": row("B-1"),
    "no code": row("", line()),
    "code on two lines": row("B\n1", line()),
    "no amount": row("B-1", line(amount="")),
    "fraction": row("B-1", line(amount="1000.5")),
    "negative": row("B-1", line(amount=-1)),
    "absurd": row("B-1", line(amount=10**18)),
    "thousands of digits": row("B-1", line(amount="9" * 5000)),
    "other digits": row("B-1", line(amount="١٢٣")),
    "underscore": row("B-1", line(amount="1_000")),
    "element in the amount": row("B-1", line(amount="1<b/>000")),
    "two amounts": row("B-1", line(amount="1</SO_TIEN><SO_TIEN>2")),
    "date with slashes": row("B-1", line(day="23/06/2025")),
    "no such day": row("B-1", line(day="31-06-2025")),
    "no notice": row("B-1", line(notice="")),
    "endless text": row("B-1", line(item="x" * 501)),
    "too many lines": row("B-1", *[line()] * (MOST_LINES + 1)),
    "a good line and a bad one": row("B-1", line(), line(amount="?")),
}


@pytest.mark.parametrize("wrong", WRONG.values(), ids=WRONG)
def test_a_wrong_dossier_is_named_and_fails_no_other(wrong: str):
    found = read_file(file(row("A-1", line("TB-1")), wrong, row("A-2", line("TB-2"))), None)
    assert [notice.record.code for notice in found.notices] == ["A-1", "A-2"]
    assert [fault.place for fault in found.faults] == ["MA_HSO[1]"]
    assert found.dossiers == 3


def test_a_dossier_in_two_rows_is_one_and_fails_as_one():
    good = read_file(file(row("A-1", line("TB-1", 1)), row("A-2", line()), row("A-1", line("TB-1", 2))), None)
    assert [(notice.record.code, notice.record.total) for notice in good.notices] == [("A-1", 3), ("A-2", 6_000_000)]
    assert good.dossiers == 2
    bad = read_file(file(row("A-1", line("TB-1", 1)), row("A-2", line()), row("A-1", line("TB-1", "?"))), None)
    assert [notice.record.code for notice in bad.notices] == ["A-2"]


def test_dossiers_without_a_code_are_counted_one_by_one():
    found = read_file(file(row("", line()), row("A-1", line()), row("", line())), None)
    assert (found.dossiers, len(found.notices), len(found.faults)) == (3, 1, 2)


def test_a_comment_inside_an_amount_does_not_cut_it():
    assert read_file(file(row(CODE, line(amount="6<!-- -->000"))), None).total == 6000


@pytest.mark.parametrize("amount", ["1200000", "1.200.000", " 1200000 "])
def test_money_is_whole_dong_with_or_without_its_dots(amount: str):
    total = read_file(file(row(CODE, line(amount=amount))), None).total
    assert (total, type(total)) == (1_200_000, int)


def test_what_a_fault_says_quotes_no_value():
    found = read_file(file(row("A-1", line()), row("B-1", line(amount="080090001234x", day="080090001234"))), None)
    assert "0800" not in repr(found.faults)


@pytest.mark.parametrize(
    "content",
    [
        b"<ROW_LIST><ROW><MA_HSO>A</MA_HSO><ROW><MA_HSO>B</MA_HSO></ROW></ROW></ROW_LIST>",
        b"<ROW><MA_HSO>A</MA_HSO><MA_HSO>B</MA_HSO></ROW>",
        b"<MA_HSO>A</MA_HSO>",
        b"<ROW_LIST/>",
        file(*[row("A", line())] * 5001),
    ],
    ids=["nested", "two codes", "no dossier around it", "empty", "too many"],
)
def test_a_file_of_another_shape_is_refused_whole(content: bytes):
    with pytest.raises(BadRequest):
        read_file(content, None)


SOUND = st.tuples(st.integers(0, 10**12), st.just("23-06-2025"))
UNSOUND = st.tuples(st.integers(0, 10**12), st.just("2025-06-23"))


@settings(deadline=None)  # a busy machine is no defect
@given(st.lists(st.lists(SOUND | UNSOUND, min_size=1, max_size=3), min_size=1, max_size=8))
def test_every_file_is_its_events_and_its_faults(dossiers: list[list[tuple[int, str]]]):
    rows = [
        row(f"A-{index}", *(line(f"TB-{index}-{at}", amount, day) for at, (amount, day) in enumerate(lines)))
        for index, lines in enumerate(dossiers)
    ]
    found = read_file(file(*rows), None)
    sound = [lines for lines in dossiers if all(day == "23-06-2025" for _, day in lines)]
    assert found.dossiers == len({notice.record.code for notice in found.notices}) + len(found.faults)
    assert sum(notice.record.total for notice in found.notices) == sum(amount for lines in sound for amount, _ in lines)
    assert found.total == sum(amount for lines in dossiers for amount, day in lines if day == "23-06-2025")


# XML


DTD = '<!DOCTYPE ROW_LIST [<!ENTITY a "TB-1"><!ENTITY b SYSTEM "file:///etc/hostname">]>'
BOMB = "<!DOCTYPE r [<!ENTITY a 'xxxxxxxxxx'>" + "".join(
    f"<!ENTITY {chr(98 + n)} '{f'&{chr(97 + n)};' * 10}'>" for n in range(12)
)


@pytest.mark.parametrize(
    "content",
    [
        f"{DTD}<ROW_LIST>{row(CODE, line())}</ROW_LIST>".encode(),
        f"{DTD}<ROW_LIST>{row(CODE, line('&b;'))}</ROW_LIST>".encode(),
        f'<?xml version="1.0" encoding="UTF-16"?>{DTD}<ROW_LIST>{row(CODE, line())}</ROW_LIST>'.encode("utf-16"),
        f"{BOMB}]><r>&m;</r>".encode(),
        f"{BOMB}]><r>&m;</r>".encode("utf-16"),
    ],
    ids=["dtd", "external entity", "dtd in utf-16", "bomb", "bomb in utf-16"],
)
def test_xml_with_a_dtd_is_refused(content: bytes):
    with pytest.raises(BadRequest):
        xml.parse(content)


@pytest.mark.parametrize("depth", [21, 200, 100_000])
def test_xml_that_is_nested_too_deeply_is_refused(depth: int):
    with pytest.raises(BadRequest):
        xml.parse(b"<a>" * depth + b"</a>" * depth)


def test_xml_as_deep_as_allowed_is_read():
    assert xml.parse(b"<a>" * 20 + b"</a>" * 20).tag == "a"


def test_xml_that_is_too_long_is_refused_before_it_is_parsed():
    with pytest.raises(BadRequest, match="too large"):
        xml.parse(b"<a>" + b" " * xml.LARGEST + b"</a>")


@pytest.mark.parametrize("junk", [b"", b"\xef\xbb\xbf", b"\r\n rubbish ", b"HTTP <200> "])
def test_junk_before_the_declaration_is_cut_off(junk: bytes):
    assert xml.parse(junk + b'<?xml version="1.0" encoding="UTF-8"?><a/>').tag == "a"


def test_xml_in_utf_16_is_read():
    text = f'<?xml version="1.0" encoding="UTF-16"?><ROW_LIST>{row(CODE, line())}</ROW_LIST>'
    assert read_file(text.encode("utf-16"), None).notices[0].record.lines[0].sub_item == "Lệ phí"


@settings(deadline=None)  # a busy machine is no defect
@given(st.binary(max_size=200) | st.text(alphabet="<>/?!&;ROWMA_HSOLIST \n\x00", max_size=200).map(str.encode))
@example(b"<")
@example(b"\x00<a/>")
def test_any_bytes_are_a_file_or_a_named_refusal(content: bytes):
    with suppress(BadRequest):
        assert read_file(content, None).dossiers > 0


def pctt(**changes: Any) -> ObligationRequest:
    return ObligationRequest.model_validate({**PCTT.event.data, **changes})


def test_a_pctt_escapes_what_xml_would_take_for_markup():
    root = xml.parse(xml.obligation_xml(pctt(procedure_kind="Tách & hợp <thửa>"), "e"))
    assert root.findtext("LOAI_THU_TUC") == "Tách & hợp <thửa>"


def test_a_pctt_with_characters_that_xml_cannot_hold_is_invalid():
    with pytest.raises(Invalid, match="not_xml_text"):
        xml.obligation_xml(pctt(legal_basis="a\x00b"), "e")


def test_a_price_of_nothing_is_said_and_an_unknown_price_is_not():
    assert xml.parse(xml.obligation_xml(pctt(transfer_price=0), "e")).findtext("GIA_CHUYEN_NHUONG") == "0"
    assert xml.parse(xml.obligation_xml(pctt(transfer_price=None), "e")).find("GIA_CHUYEN_NHUONG") is None


# Returns and completions


async def test_a_completion_knows_only_the_notice_and_claims_no_dossier(rig: Rig):
    case = inbound("/hoan-thanh")
    emission = (await rig.route(case).handle(rig.request(case))).emissions[0]
    assert (emission.subject.scheme, emission.mints, emission.correlation_id) == ("notice", False, "")


async def test_a_date_in_the_land_offices_form_is_refused_by_name(rig: Rig):
    case = inbound("/hoan-thanh")
    body = {**case.request.body, "NGAY_HOAN_THANH": "26/06/2025"}
    with pytest.raises(BadRequest, match="NGAY_HOAN_THANH: expected dd-MM-yyyy"):
        await rig.route(case).handle(rig.request(case, body=body))


ANY = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)


@settings(deadline=None)  # a busy machine is no defect
@given(
    st.sampled_from(["/thong-bao", "/tra-phieu", "/hoan-thanh"]),
    st.dictionaries(st.sampled_from(["NoiDung", "PhieuChuyen", "SO_TIEN", "LAN_LAP", "MA_GIAO_DICH", "LY_DO"]), ANY),
)
async def test_any_json_object_is_received_or_refused_by_name(path: str, changes: dict[str, Any]):
    connector = Tax(Tax.config_model.model_validate(config("http://x")), _context())
    case = inbound(path)
    body = json.dumps({**case.request.body, **changes}).encode()
    request = Request("POST", path, {}, {}, body, datetime(2025, 6, 16, tzinfo=UTC))
    route = next(route for route in connector.routes() if route.path == path)
    with suppress(BadRequest):
        assert (await route.handle(request)).emissions


def _context() -> Any:
    return Context("under-test", ManualClock(), CountingIds(), MemoryObjects())


# Calling the gateway


async def test_what_a_tax_office_does_not_take_is_invalid(rig: Rig):
    with pytest.raises(Invalid):
        await rig.connector.deliver(replace(PCTT.event.event(), type="document.sent"))


@pytest.mark.parametrize("said", [{}, {"MoTa": "Đã nhận"}, {"MaKetQua": None}, []])
async def test_an_answer_without_a_code_is_uncertain(rig: Rig, said: Any):
    rig.simulator.scripted["pctt"] = answer_json(said)
    assert isinstance(await rig.failure(PCTT), Uncertain)


async def test_a_wrong_system_key_stops_the_recipient():
    async with running(kit(system_key="another")) as rig:
        assert isinstance(await rig.failure(PCTT), Unauthorised)


@pytest.mark.parametrize("said", [{}, {"DaNhan": "false"}, {"DaNhan": None}])
async def test_a_check_that_does_not_say_claims_nothing(rig: Rig, said: Any):
    rig.simulator.scripted["check"] = answer_json(said)
    assert await rig.connector.check(outbound("delivery.rejected").event.event()) is Checked.UNKNOWN


async def test_a_pctt_sent_again_under_its_number_counts_once(rig: Rig):
    rig.plan(PCTT, Quirk.RESET)
    await rig.failure(PCTT)
    assert (await rig.deliver(PCTT)).duplicate
    assert [request.number for request in rig.simulator.waiting] == ["PCTT-0012-1"]


# The simulated office's side of the story


async def test_a_first_pctt_may_be_returned_and_the_second_is_taken():
    async with running(kit(returns=lambda _: True)) as rig:
        first, second = [case for case in CASES.outbound if case.answer is None][:2]
        await rig.deliver(first)
        assert [sent.identity for sent in rig.simulator.sent] == ["return/PCTT-0012-1"]
        await rig.deliver(second)
    assert [request.generation for request in rig.simulator.waiting] == [2]


async def test_a_batch_makes_a_file_that_the_connector_reads_and_the_books_agree():
    async with running(kit(batch=1, stranger="X-9")) as rig:
        await rig.deliver(PCTT)
        body = rig.simulator.bodies[-1]
        case = inbound("/thong-bao")
        received = await rig.route(case).handle(rig.request(case, body=body))
    records = [emission.record for emission in received.emissions]
    assert [record.code for record in records] == [CODE, "X-9"]
    assert rig.simulator.files == [(2, sum(record.total for record in records))]
    assert records[0].total == 30_000_000  # 0.5 % and 2 % of 1.2 billion


async def test_a_payment_is_confirmed_once():
    async with running(kit(batch=1)) as rig:
        await rig.deliver(PCTT)
        rig.simulator.paid(f"TB-{CODE}-1")
        rig.simulator.paid(f"TB-{CODE}-1")
    assert [sent.identity for sent in rig.simulator.sent if sent.identity.startswith("completion")] == [
        f"completion/TB-{CODE}-1"
    ]
