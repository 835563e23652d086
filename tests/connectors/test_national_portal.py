"""The national portal's connector: the behaviour of all connectors, and what is its own."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import replace
from hashlib import sha256
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from connectors.national_portal import mapping
from connectors.national_portal.connector import NationalPortal
from connectors.national_portal.inbound import payment_of, submission_of
from connectors.national_portal.simulator import NationalPortalSimulator
from router.sdk import (
    BadRequest,
    Checked,
    Event,
    Invalid,
    NotReceived,
    Receipt,
    Rejected,
    Request,
    Throttled,
    Transient,
    Unauthorised,
    Uncertain,
)
from router.sdk.national import FEE, PROGRESS
from router.sdk.records import Applicant, Attachment, Dossier, Payment, ProgressLine, Supplement, SupplementRound
from router.sdk.records import Receipt as RejectionRecord
from router.sdk.records.common import Fee
from router.sdk.testing import Outgoing, Simulator, answer_json
from router.sdk.testing.cases import Inbound, Outbound
from router.sdk.testing.objects import MemoryObjects
from router.sdk.testing.quirks import Quirk
from router.sdk.testing.rig import Kit, Rig
from router.sdk.testing.suite import ConnectorSuite
from tests.connectors.conftest import running

TOKEN, PASSWORD = "a token of this test", "a password of this test"
UNIT, CODE = "H39.25.01", "H39.25.01-250616-0012"
PAPERS = {
    "/tep/don-dang-ky.pdf": b"%PDF-1.7 don dang ky bien dong\n",
    "/tep/chung-tu.pdf": b"%PDF-1.7 giay nop tien vao ngan sach\n",
}


def config(url: str, **more: Any) -> dict[str, Any]:
    return {
        "http": {"base_url": url},
        "user": "h39",
        "password": PASSWORD,
        "dstcode": "VN:GOV:000.00.00.G22:vpcpdvcqg",
        "unit": UNIT,
        "webhook_token": TOKEN,
        **more,
    }


def simulated(clock: Any, **more: Any) -> NationalPortalSimulator:
    made = NationalPortalSimulator(clock, token=TOKEN, on_paid=lambda _: None, user="h39", password=PASSWORD, **more)
    made.papers = dict(PAPERS)
    return made


def words(code: str, text: str, result: Any = None) -> dict[str, Any]:
    return {"error_code": code, "message": text, "result": result}


def knows_the_dossier(simulator: NationalPortalSimulator, event: Event) -> None:
    """A supplement is an update of a dossier that the portal has."""
    if event.type.startswith("dossier.supplement"):
        simulator.dossiers.setdefault(event.subject, {"MaHoSo": event.subject})


def kit(simulator: Mapping[str, Any] | None = None, **more: Any) -> Kit:
    return Kit(
        "connectors.national_portal",
        NationalPortal,
        lambda clock: simulated(clock, **(simulator or {})),
        lambda url: config(url, **more),
        words,
        knows_the_dossier,
        MemoryObjects,
    )


KIT = kit()
CASES = KIT.cases()


class TestBehaviour(ConnectorSuite):
    kit = KIT

    async def test_already_there_is_a_duplicate(self, rig: Rig, first: Outbound) -> None:
        """Here the words answer an insert with the advice to update; only of the update too are they a duplicate."""
        rig.plan(first, Quirk.DUPLICATE_ACK, Quirk.DUPLICATE_ACK)
        assert (await rig.deliver(first)).duplicate


@pytest.fixture
async def rig():
    async with running(KIT) as started:
        yield started


def outbound(event_type: str) -> Outbound:
    return next(case for case in CASES.outbound if case.event.type == event_type)


def inbound(event_type: str) -> Inbound:
    return next(case for case in CASES.inbound if case.emissions[0].type == event_type)


ACCEPTED, READY = outbound("dossier.accepted"), outbound("dossier.result_ready")
SUBMISSION, EVIDENCE = inbound("dossier.submitted"), inbound("payment.evidenced")


def changed(case: Outbound, **data: Any) -> Outbound:
    event = case.event.model_copy(update={"data": {**case.event.data, **data}})
    return case.model_copy(update={"event": event})


def asked(rig: Rig) -> list[tuple[str, str]]:
    bodies = [incoming.json() for operation, incoming in rig.simulator.requests if operation == "integration"]
    return [(body["service"], body["isUpdating"]) for body in bodies]


def logins(rig: Rig) -> int:
    return [operation for operation, _ in rig.simulator.requests].count("login")


def portal(rig: Rig) -> NationalPortalSimulator:
    assert isinstance(rig.simulator, NationalPortalSimulator)
    return rig.simulator


# Insert or update


INSERT, UPDATE, LOOK_UP = ("DongBoHoSoMC", "False"), ("DongBoHoSoMC", "True"), ("TraCuuHoSo", "False")


async def test_a_dossier_that_exists_is_updated_and_the_flag_is_a_text(rig: Rig) -> None:
    await rig.deliver(ACCEPTED)
    assert not (await rig.deliver(READY)).duplicate
    assert asked(rig) == [INSERT, INSERT, UPDATE]


@pytest.mark.parametrize("code", ["0", "00", "3", "-3"])
async def test_exists_already_is_no_success_of_an_insert_under_any_of_its_codes(rig: Rig, code: str) -> None:
    rig.says(ACCEPTED, code, "HỒ SƠ ĐÃ TỒN TẠI")
    assert (await rig.deliver(ACCEPTED)).duplicate
    assert asked(rig) == [INSERT, UPDATE]


async def test_exists_already_under_a_code_for_malformed_data_is_malformed(rig: Rig) -> None:
    rig.says(ACCEPTED, "2", "Trường đã tồn tại")
    assert isinstance(await rig.failure(ACCEPTED), Invalid)
    assert asked(rig) == [INSERT]


@pytest.mark.parametrize("existing", range(3))
async def test_the_last_snapshot_is_at_the_portal_whichever_code_says_exists(rig: Rig, existing: int) -> None:
    for number in range(existing + 1):
        await rig.deliver(changed(ACCEPTED, note=f"lần {number}"))
    assert portal(rig).dossiers[CODE]["GhiChu"] == f"lần {existing}"


async def test_looking_up_first_never_inserts_twice() -> None:
    async with running(kit(strategy="lookup")) as rig:
        await rig.deliver(ACCEPTED)
        await rig.deliver(READY)
        assert asked(rig) == [LOOK_UP, INSERT, LOOK_UP, UPDATE]


async def test_a_dossier_that_appears_between_look_up_and_insert_is_updated() -> None:
    async with running(kit(strategy="lookup")) as rig:
        rig.plan(ACCEPTED, Quirk.WRONG_CHARSET, Quirk.DUPLICATE_ACK)  # the look-up's answer is only written otherwise
        assert not (await rig.deliver(ACCEPTED)).duplicate
        assert asked(rig) == [LOOK_UP, INSERT, UPDATE]


@pytest.mark.parametrize("result", [None, [], {}])
async def test_nothing_found_may_be_said_with_success_as_well(result: Any) -> None:
    async with running(kit(strategy="lookup")) as rig:
        rig.simulator.scripted["integration"] = answer_json(words("00", "", result))
        await rig.deliver(ACCEPTED)
        assert asked(rig) == [LOOK_UP, INSERT]


async def test_a_look_up_that_is_refused_is_not_taken_for_nothing_found() -> None:
    async with running(kit(strategy="lookup")) as rig:
        rig.says(ACCEPTED, "-3", "Không có quyền tra cứu")
        assert isinstance(await rig.failure(ACCEPTED), Rejected)
        assert asked(rig) == [LOOK_UP]


async def test_a_supplement_is_an_update_that_needs_no_look_up() -> None:
    async with running(kit(strategy="lookup")) as rig:
        await rig.deliver(outbound("dossier.supplement_requested"))
        assert asked(rig) == [UPDATE]


async def test_a_supplement_of_a_dossier_that_the_portal_does_not_have_is_rejected(rig: Rig) -> None:
    event = outbound("dossier.supplement_requested").event.event()
    with pytest.raises(Rejected, match="unknown_dossier"):
        await rig.connector.deliver(event)
    assert asked(rig) == [UPDATE]


async def test_what_the_portal_does_not_take_is_invalid(rig: Rig) -> None:
    with pytest.raises(Invalid, match="not_served"):
        await rig.connector.deliver(replace(ACCEPTED.event.event(), type="document.sent"))


@pytest.mark.parametrize("code", [True, None, "", [], {}])
async def test_an_answer_without_a_code_is_no_success(rig: Rig, code: Any) -> None:
    rig.says(ACCEPTED, code, "Thành công")
    assert isinstance(await rig.failure(ACCEPTED), Uncertain)


# The session


async def test_calls_at_once_share_one_login(rig: Rig) -> None:
    await asyncio.gather(*(rig.deliver(ACCEPTED) for _ in range(5)))
    assert logins(rig) == 1


async def test_a_session_is_kept_until_the_portal_says_that_it_has_ended(rig: Rig) -> None:
    await rig.deliver(ACCEPTED)
    await rig.clock.advance(86_400)
    await rig.deliver(READY)
    assert logins(rig) == 1


async def test_calls_that_meet_an_ended_session_at_once_renew_it_once(rig: Rig) -> None:
    await rig.deliver(ACCEPTED)
    portal(rig).end_sessions()
    await asyncio.gather(*(rig.deliver(READY) for _ in range(5)))
    assert logins(rig) == 2


async def test_a_call_that_learns_late_that_its_session_ended_takes_the_one_renewed_meanwhile(rig: Rig) -> None:
    await rig.deliver(ACCEPTED)
    portal(rig).end_sessions()
    rig.plan(ACCEPTED, Quirk.SLOW)
    late = asyncio.create_task(rig.deliver(READY))
    while not rig.simulator.quirks.hits:
        rig.simulator.requested.clear()
        await rig.simulator.requested.wait()
    await rig.deliver(READY)
    await rig.clock.advance(rig.simulator.quirks.delay)
    await late
    assert logins(rig) == 2


async def test_a_session_that_ends_between_insert_and_update_is_renewed_in_place() -> None:
    async with running(kit({"calls_a_session": 2})) as rig:
        await rig.deliver(ACCEPTED)
        await rig.deliver(READY)
        assert [effect.identity for effect in rig.simulator.effects] == ["status/2", "status/9"]
        assert logins(rig) == 2


async def test_sessions_that_always_end_are_transient_and_tried_twice_only() -> None:
    async with running(kit({"calls_a_session": 0})) as rig:
        error = await rig.failure(ACCEPTED)
        assert (type(error), getattr(error, "reason", "")) == (Transient, "session_expired")
        assert logins(rig) == 2


@pytest.mark.parametrize("quirk", [Quirk.FAIL_AFTER_WORK, Quirk.UNREADABLE, Quirk.RESET, Quirk.BUSY])
async def test_a_login_that_breaks_leaves_nothing_uncertain(rig: Rig, quirk: Quirk) -> None:
    reply = outbound("delivery.rejected")  # of this a person would have to decide
    rig.simulator.quirks.plan("login", quirk)
    assert type(await rig.failure(reply)) is Transient
    await rig.deliver(reply)
    assert len(portal(rig).replies) == 1


async def test_a_login_that_shall_wait_waits(rig: Rig) -> None:
    rig.simulator.quirks.plan("login", Quirk.BUSY_WITH_TIME)
    assert isinstance(await rig.failure(ACCEPTED), Throttled)


@pytest.mark.parametrize(
    "said",
    [
        words("3", "Tài khoản đã tồn tại"),
        words("3", "Chưa khai báo đơn vị"),
        words("77", "Lỗi lạ"),
        words("0", "Thành công"),
        {"error_code": "0", "session": ""},
        {"session": "S1"},
    ],
)
async def test_what_the_portal_says_of_a_login_is_not_about_the_event(rig: Rig, said: Any) -> None:
    rig.simulator.scripted["login"] = answer_json(said)
    assert type(await rig.failure(ACCEPTED)) is Transient


@pytest.mark.parametrize("status", [400, 404, 500, 302])
async def test_a_login_under_an_http_error_is_transient(rig: Rig, status: int) -> None:
    rig.simulator.scripted["login"] = Outgoing(status, b"")
    assert type(await rig.failure(ACCEPTED)) is Transient


@pytest.mark.parametrize("wrong", [{"password": "another"}, {"user": "h40"}])
async def test_refused_credentials_stop_the_recipient(wrong: dict[str, str]) -> None:
    async with running(kit(**wrong)) as rig:
        assert isinstance(await rig.failure(ACCEPTED), Unauthorised)


async def test_a_secret_is_in_no_url_header_or_repr_and_only_in_the_body_of_the_login(rig: Rig) -> None:
    await rig.deliver(ACCEPTED)
    shown = repr(rig.connector.config)
    for operation, request in rig.simulator.requests:
        shown += f"{request.path}{request.query}{request.headers}"
        shown += request.body.decode() if operation != "login" else ""
    assert PASSWORD not in shown
    assert TOKEN not in shown


# What goes out


@pytest.mark.parametrize(
    ("status", "raw"),
    [("SUPPLEMENT_REQUESTED", "5"), ("FINANCIAL_OBLIGATION", "6"), ("STOPPED", "8"), ("WITHDRAWN", "7")],
)
async def test_a_status_goes_out_as_it_is(rig: Rig, status: str, raw: str) -> None:
    """Some systems report 5, 6 and 8 as 9, so that nothing looks late."""
    await rig.deliver(changed(ACCEPTED, status=status, raw_status=raw, finished_at="2025-06-20T03:00:00Z"))
    assert portal(rig).dossiers[CODE]["TrangThaiHoSo"] == raw


async def test_no_identity_number_is_invented(rig: Rig) -> None:
    applicant = {key: value for key, value in ACCEPTED.event.data["applicant"].items() if key != "identity_number"}
    await rig.deliver(changed(ACCEPTED, applicant=applicant))
    sent = portal(rig).dossiers[CODE]
    assert not {"SoGiayToChuHoSo", "DinhDanhCHS"} & set(sent)


@pytest.mark.parametrize(("number", "kind"), [("080090001234", "1"), ("301234567", "2"), ("B1234567", None)])
def test_a_kind_of_identity_number_is_named_only_where_its_length_tells(number: str, kind: str | None) -> None:
    given = changed(ACCEPTED, applicant={"name": "Lê Thị Cúc", "kind": "CITIZEN", "identity_number": number})
    made = mapping.dossier_data(given.event.event().read(Dossier))
    assert [each["LoaiDinhDanh"] for each in made.get("DinhDanhCHS", [])] == ([kind] if kind else [])
    assert made["SoGiayToChuHoSo"] == number


async def test_texts_are_cut_where_the_portal_would_refuse_them(rig: Rig) -> None:
    await rig.deliver(changed(ACCEPTED, summary="Đ" * 1001))
    await rig.deliver(changed(outbound("dossier.progressed"), officer="Nguyễn " * 10))
    line = rig.simulator.requests[-1][1].json()["data"][0]
    assert (len(portal(rig).dossiers[CODE]["TrichYeuHoSo"]), len(line["NguoiXuLy"])) == (1000, 50)


async def test_a_status_line_that_is_not_known_here_keeps_the_senders_code(rig: Rig) -> None:
    await rig.deliver(changed(outbound("dossier.progressed"), status="UNKNOWN", raw_status="12"))
    assert rig.simulator.requests[-1][1].json()["data"][0]["TrangThai"] == "12"


async def test_files_go_out_under_the_address_where_the_portal_can_fetch_them() -> None:
    async with running(kit(files_url="https://tep.example.vn/lgsp/")) as rig:
        await rig.deliver(READY)
        key = READY.event.data["results"][0]["object_key"]
        assert portal(rig).dossiers[CODE]["DanhSachGiayToKetQua"][0]["url"] == f"https://tep.example.vn/lgsp/{key}"


@given(count=st.integers(min_value=0, max_value=60))
def test_progress_lines_go_in_order_in_full_tens(count: int) -> None:
    lines = [{"NoiDungXuLy": str(number)} for number in range(count)]
    made = mapping.chunks(lines)
    assert [line for chunk in made for line in chunk] == lines
    assert all(len(chunk) == 10 for chunk in made[:-1])
    assert all(0 < len(chunk) <= 10 for chunk in made)


async def test_the_catalogue_of_procedures_can_be_read(rig: Rig) -> None:
    assert await rig.connector.catalogue() == [{"MaTTHC": "1.012783"}]


async def test_the_portal_is_well_under_either_spelling_of_success() -> None:
    for spelling in ("0", "00"):
        async with running(kit({"ok": spelling})) as rig:
            assert await rig.connector.probe()
            assert (await rig.deliver(ACCEPTED)).code == spelling


async def test_a_portal_that_answers_with_an_error_does_not_pass_for_well(rig: Rig) -> None:
    rig.simulator.quirks.plan("integration", Quirk.OK_WITH_ERROR)
    assert not await rig.connector.probe()


# Asking the portal


async def test_a_dossier_is_done_when_the_portal_says_of_it_what_the_event_says(rig: Rig) -> None:
    assert await rig.connector.check(ACCEPTED.event.event()) is Checked.NOT_DONE
    await rig.deliver(ACCEPTED)
    assert await rig.connector.check(ACCEPTED.event.event()) is Checked.DONE
    assert await rig.connector.check(READY.event.event()) is Checked.NOT_DONE


async def test_the_same_status_with_other_fees_is_not_done(rig: Rig) -> None:
    obligation = outbound("dossier.status_changed")
    await rig.deliver(obligation)
    fees = [{"code": "TB-2001/CCT", "name": "Thuế TNCN tính lại", "amount": 20_000_000}]
    assert await rig.connector.check(changed(obligation, fees=fees).event.event()) is Checked.NOT_DONE


async def test_a_portal_that_answers_with_the_status_alone_is_believed(rig: Rig) -> None:
    rig.simulator.scripted["integration"] = answer_json(words("0", "", {"MaHoSo": CODE, "TrangThaiHoSo": "2"}))
    assert await rig.connector.check(ACCEPTED.event.event()) is Checked.DONE


@pytest.mark.parametrize("event_type", ["dossier.progressed", "delivery.rejected"])
async def test_what_cannot_be_looked_up_is_unknown(rig: Rig, event_type: str) -> None:
    assert await rig.connector.check(outbound(event_type).event.event()) is Checked.UNKNOWN


async def test_no_claim_is_made_while_the_portal_is_away(rig: Rig) -> None:
    await rig.deliver(ACCEPTED)
    rig.simulator.quirks.away = True
    assert await rig.connector.check(ACCEPTED.event.event()) is Checked.UNKNOWN


# What comes in


async def handle(rig: Rig, case: Inbound, **changes: Any):
    body = {key: value for key, value in {**case.request.body, **changes}.items() if value is not None}
    return (await rig.route(case).handle(rig.request(case, body=body))).emissions[0]


async def test_a_citizen_who_answers_a_supplement_submits_the_code_again_as_another_event(rig: Rig) -> None:
    first, again = await handle(rig, SUBMISSION), await handle(rig, SUBMISSION, NgayNopHoSo="20250620093000")
    assert first.subject == again.subject
    assert first.identity != again.identity


async def test_a_submission_without_a_time_leaves_repetitions_to_its_content(rig: Rig) -> None:
    emission = await handle(rig, SUBMISSION, NgayNopHoSo=None)
    assert (emission.identity, emission.time) == ("", SUBMISSION.request.received)


@pytest.mark.parametrize("written", ["06-08-2025", "2025/08/06 09:30:00", "2025080609300", "2025-08-06T09:30:00Z"])
async def test_a_time_in_another_form_than_the_portals_is_refused_by_name(rig: Rig, written: str) -> None:
    with pytest.raises(BadRequest, match=r"NgayNopHoSo: expected yyyyMMddHHmmss") as caught:
        await handle(rig, SUBMISSION, NgayNopHoSo=written)
    assert written not in f"{caught.value} {caught.value.vi}"


async def test_a_status_not_known_here_is_kept_as_the_portal_wrote_it(rig: Rig) -> None:
    record = (await handle(rig, SUBMISSION, TrangThaiHoSo="11", KenhThucHien="7")).record
    assert (record.status, record.raw_status, record.channel, record.raw_channel) == ("UNKNOWN", "11", "UNKNOWN", "7")


async def test_only_submissions_introduce_a_dossier(rig: Rig) -> None:
    assert [(await handle(rig, case)).mints for case in (SUBMISSION, EVIDENCE)] == [True, False]


@pytest.mark.parametrize("status", ["0", "2", "", None, "true"])
async def test_what_does_not_say_paid_is_no_evidence(rig: Rig, status: Any) -> None:
    with pytest.raises(BadRequest, match="TrangThaiThanhToan"):
        await handle(rig, EVIDENCE, TrangThaiThanhToan=status)


@pytest.mark.parametrize("amount", [0, -1, "12,5", 0.5, None])
async def test_an_amount_that_is_no_money_is_refused(rig: Rig, amount: Any) -> None:
    with pytest.raises(BadRequest, match="SoTien"):
        await handle(rig, EVIDENCE, SoTien=amount)


async def test_instalments_of_one_notice_are_different_payments(rig: Rig) -> None:
    times = ("20250620101500", "20250720101500")
    found = [await handle(rig, EVIDENCE, MaThamChieu=None, ThoiGianThanhToan=time) for time in times]
    assert len({emission.identity for emission in found}) == 2
    assert {reference.value for each in found for reference in each.references if reference.scheme == "notice"} == {
        "TB-1042/CCT"
    }


async def test_evidence_that_names_neither_payment_nor_notice_is_refused(rig: Rig) -> None:
    with pytest.raises(BadRequest, match="MaThamChieu or MaThongBaoThue"):
        await handle(rig, EVIDENCE, MaThamChieu=None, MaThongBaoThue=None)


async def test_a_receipt_comes_from_its_address_only_not_from_claims_in_the_message(rig: Rig) -> None:
    claim = {"name": "x", "MaThanhPhanHoSo": "x", "url": "key", "HashTepTin": "x", "DungLuong": 1, "LoaiTep": "x"}
    assert (await handle(rig, EVIDENCE, ChungTu=[claim])).record.receipts == ()


def paper(url: Any, **more: Any) -> dict[str, Any]:
    return {"TaiLieuNop": [{"name": "Đơn", "url": url, **more}]}


async def test_a_paper_is_stored_by_its_content_and_twice_is_once(rig: Rig) -> None:
    for _ in range(2):
        emission = await handle(rig, SUBMISSION, **paper(f"{rig.simulator.url}/tep/don-dang-ky.pdf"))
    content = PAPERS["/tep/don-dang-ky.pdf"]
    file = emission.record.papers[0]
    assert rig.connector.context.objects.stored == {file.object_key: content}
    assert (file.sha256, file.size, file.role) == (sha256(content).hexdigest(), len(content), "khac")


@pytest.mark.parametrize(
    "url",
    ["https://elsewhere.example/a.pdf", "{base}.elsewhere.example/a.pdf", "{base}@elsewhere.example/a.pdf",
     "//elsewhere.example/a.pdf", "a.pdf", "", None, 7, ["/tep/don-dang-ky.pdf"]],
)  # fmt: skip
async def test_a_message_sends_us_nowhere_but_to_the_portal(rig: Rig, url: Any) -> None:
    where = url.format(base=rig.simulator.url) if isinstance(url, str) else url
    with pytest.raises(BadRequest, match=r"TaiLieuNop\[0\]\.url"):
        await handle(rig, SUBMISSION, **paper(where))
    assert not rig.simulator.requests


async def test_a_paper_that_is_not_there_is_refused_by_place(rig: Rig) -> None:
    with pytest.raises(BadRequest, match=r"TaiLieuNop\[0\]\.url"):
        await handle(rig, SUBMISSION, **paper("/tep/khong-co.pdf"))


async def test_a_paper_that_is_not_what_its_hash_says_is_refused(rig: Rig) -> None:
    with pytest.raises(BadRequest, match=r"TaiLieuNop\[0\]\.HashTepTin"):
        await handle(rig, SUBMISSION, **paper("/tep/don-dang-ky.pdf", HashTepTin="00" * 32))


@pytest.mark.parametrize("quirk", [Quirk.BUSY, Quirk.FAIL_AFTER_WORK, Quirk.RESET])
async def test_a_message_whose_paper_cannot_be_fetched_now_shall_be_sent_again(rig: Rig, quirk: Quirk) -> None:
    rig.simulator.quirks.plan("paper", quirk)
    with pytest.raises(NotReceived):
        await handle(rig, SUBMISSION, **paper("/tep/don-dang-ky.pdf"))
    assert (await handle(rig, SUBMISSION, **paper("/tep/don-dang-ky.pdf"))).record.papers


async def test_nothing_is_fetched_for_a_message_that_is_refused_anyway(rig: Rig) -> None:
    with pytest.raises(BadRequest, match="MaTTHC"):
        await handle(rig, SUBMISSION, MaTTHC=None, **paper("/tep/don-dang-ky.pdf"))
    assert not rig.simulator.requests


async def test_files_may_be_at_an_address_of_their_own(rig: Rig) -> None:
    elsewhere = kit(files={"base_url": rig.simulator.url})
    async with running(elsewhere) as other:
        emission = await handle(other, SUBMISSION, **paper(f"{rig.simulator.url}/tep/don-dang-ky.pdf"))
        assert emission.record.papers[0].size == len(PAPERS["/tep/don-dang-ky.pdf"])
        assert not other.simulator.requests


ANY = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)
NAMES = sorted(
    {field.partner for field in (*mapping.DOSSIER, *mapping.APPLICANT, *mapping.PAYMENT)}
    | {"DinhDanhCHS", "MucDo", "MaSoThue", "DonViXuLy"}
)


@settings(deadline=None)  # a busy machine is no defect
@given(case=st.sampled_from((SUBMISSION, EVIDENCE)), body=st.dictionaries(st.sampled_from(NAMES), ANY, max_size=6))
def test_any_json_object_is_an_event_or_a_named_refusal(case: Inbound, body: dict[str, Any]) -> None:
    whole = {**case.request.body, **body}
    request = Request("POST", case.request.path, {}, {}, json.dumps(whole).encode(), case.request.received)
    reading = submission_of if case is SUBMISSION else payment_of
    with suppress(BadRequest):
        emission = reading(whole, request)
        assert emission.subject.value == emission.record.code
        assert emission.time.tzinfo is not None


@pytest.mark.parametrize(
    ("table", "record"),
    [
        (mapping.DOSSIER, Dossier), (mapping.APPLICANT, Applicant), (mapping.PAPER, Attachment),
        (mapping.RESULT, Attachment), (mapping.ROUND, Supplement), (mapping.SUPPLEMENT, SupplementRound),
        (PROGRESS, ProgressLine), (FEE, Fee), (mapping.PAYMENT, Payment), (mapping.PAYER, Applicant),
        (mapping.REJECTION, RejectionRecord),
    ],
)  # fmt: skip
def test_field_tables_name_only_fields_that_records_have(table: Any, record: Any) -> None:
    assert {field.ours for field in table} <= set(record.model_fields)


# The simulated portal's side of the story


async def said(rig: Rig, service: str, data: Any, updating: Any = "False") -> str:
    """What the portal says to a message that the connector would not send."""
    await rig.connector.probe()
    session = rig.simulator.requests[-1][1].json()["session"]
    body = {"session": session, "madonvi": UNIT, "service": service, "isUpdating": updating, "data": data}
    answer = await rig.connector._http.request("POST", "/integration", json_body=body)
    return f"{answer.object()['error_code']} {answer.object()['message']}"


GOOD = ACCEPTED.request.body["data"][0]
LINE = outbound("dossier.progressed").request.body["data"][0]


@pytest.mark.parametrize(
    ("service", "data", "updating", "code"),
    [
        ("DongBoHoSoMC", [GOOD], False, "2"),  # a JSON boolean
        ("DongBoHoSoMC", GOOD, "False", "2"),
        ("DongBoHoSoMC", [GOOD, GOOD], "False", "2"),
        ("DongBoHoSoMC", [{**GOOD, "NgayNopHoSo": "16/06/2025"}], "False", "2"),
        ("DongBoHoSoMC", [{**GOOD, "TrangThaiHoSo": 2}], "False", "2"),
        ("DongBoHoSoMC", [{**GOOD, "DanhSachLePhi": [{"Gia": "6.000.000"}]}], "False", "2"),
        ("DongBoHoSoMC", [{**GOOD, "TrichYeuHoSo": "Đ" * 1001}], "False", "2"),
        ("DongBoHoSoMC", [{**GOOD, "ChuHoSo": ""}], "False", "2"),
        ("DongBoHoSoMC", [{**GOOD, "MaTTHC": "9.999999"}], "False", "4"),
        ("DongBoHoSoMC", [GOOD], "True", "3"),  # nothing to update
        ("CapNhatTienDoHoSoMC", [LINE] * 11, "False", "2"),
        ("CapNhatTienDoHoSoMC", [], "False", "2"),
        ("CapNhatTienDoHoSoMC", [{**LINE, "NguoiXuLy": "N" * 51}], "False", "2"),
        ("XoaHoSo", [GOOD], "False", "2"),
    ],
)
async def test_the_portal_refuses_what_is_of_the_wrong_form(
    rig: Rig, service: str, data: Any, updating: Any, code: str
) -> None:
    assert (await said(rig, service, data, updating)).split()[0] == code
    assert rig.taken() == 0


async def test_the_portal_takes_up_to_ten_lines_at_once(rig: Rig) -> None:
    lines = [{**LINE, "NoiDungXuLy": f"Bước {number}"} for number in range(10)]
    assert (await said(rig, "CapNhatTienDoHoSoMC", lines)).split()[0] == "0"
    assert rig.taken() == 10


async def test_a_citizen_pays_each_notice_once_and_the_treasury_hears_of_it() -> None:
    heard: list[str] = []
    simulator = replace(KIT, simulator=lambda clock: NationalPortalSimulator(clock, token=TOKEN, on_paid=heard.append))
    async with running(simulator) as rig:
        for _ in range(2):
            await rig.deliver(outbound("dossier.status_changed"))
        assert heard == ["TB-1042/CCT", "TB-1043/CCT"]
        assert story(rig.simulator) == ["payment/TT-TB-1042/CCT", "payment/TT-TB-1043/CCT"]


async def test_a_dossier_that_a_citizen_filed_is_known_to_the_portal_and_only_updated(rig: Rig) -> None:
    portal(rig).file({**SUBMISSION.request.body, "MaHoSo": CODE})
    receipt: Receipt = await rig.deliver(ACCEPTED)
    assert asked(rig) == [INSERT, UPDATE]
    assert receipt.reference == f"DVCQG-{CODE}"
    assert portal(rig).history[CODE] == ["1", "2"]
    assert story(rig.simulator) == ["submitted"]


def story(simulator: Simulator) -> list[str]:
    return [sent.identity for sent in simulator.sent]
