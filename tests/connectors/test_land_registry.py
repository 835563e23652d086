"""The land registration office's connector: the behaviour of all connectors, and what is its own."""

from __future__ import annotations

import asyncio
import json
from base64 import b64decode, b64encode
from contextlib import suppress
from dataclasses import replace
from hashlib import sha256
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from connectors.land_registry.connector import ENDPOINTS, LandRegistry
from connectors.land_registry.inbound import HOOKS, emission_of
from connectors.land_registry.office import Turn
from connectors.land_registry.simulator import LandRegistrySimulator
from router.sdk import BadRequest, Checked, Event, Invalid, ObjectError, Request, Transient, Unauthorised, Uncertain
from router.sdk.testing import answer_json
from router.sdk.testing.cases import Inbound, Outbound
from router.sdk.testing.objects import MemoryObjects
from router.sdk.testing.quirks import Quirk
from router.sdk.testing.rig import Kit, Rig
from router.sdk.testing.suite import ConnectorSuite
from tests.connectors.conftest import running

CODE = "H39.25.01-250616-0012"
OFFICE = "H39.16.01.02"
KEY, SECRET = "a key of this test", "a secret of this test"
PAPER = b"%PDF-1.7 hop dong chuyen nhuong\n"
NOTICE = "TB-1042/CCT"


def config(url: str) -> dict[str, Any]:
    return {"http": {"base_url": url}, "api_key": KEY, "webhook_secret": SECRET, "agency": OFFICE}


def ilis_config(url: str) -> dict[str, Any]:
    login = {"dialect": "ilis", "user": "lgsp", "password": "a password of this test"}
    return {"http": {"base_url": url}, "webhook_secret": SECRET, "agency": OFFICE, **login}


def knows_the_file(simulator: LandRegistrySimulator, event: Event) -> None:
    """Everything but L1 is about a file that the office has."""
    if event.type != "land.file_submitted":
        file = {"NguoiNop": {"HoTen": "Nguyễn Văn A"}, "ThongTinThuaDat": []}
        simulator.knows(event.subject, file, notice=NOTICE)


def simulated(clock: Any, **login: Any) -> LandRegistrySimulator:
    return LandRegistrySimulator(clock, secret=SECRET, agency=OFFICE, wants_supplement=lambda _: False, **login)


def words(code: str, text: str) -> dict[str, Any]:
    return {"data": None, "status": {"success": code == "0", "code": code, "message": text}}


def kit(settings: Any, **login: Any) -> Kit:
    return Kit(
        "connectors.land_registry",
        LandRegistry,
        lambda clock: simulated(clock, **login),
        settings,
        words,
        knows_the_file,
        lambda: MemoryObjects([PAPER]),
    )


VBDLIS = kit(config, api_key=KEY)
CASES = VBDLIS.cases()
ILIS = kit(ilis_config, user="lgsp", password="a password of this test")


class TestBehaviour(ConnectorSuite):
    kit = VBDLIS


@pytest.fixture
async def rig():
    async with running(VBDLIS) as started:
        yield started


@pytest.fixture
async def ilis():
    async with running(ILIS) as started:
        yield started


def outbound(event_type: str) -> Outbound:
    return next(case for case in CASES.outbound if case.event.type == event_type)


def inbound(event_type: str) -> Inbound:
    return next(case for case in CASES.inbound if case.emissions[0].type == event_type)


async def handle(rig: Rig, case: Inbound, **changes: Any):
    request = rig.request(case, body={**case.request.body, **changes})
    return (await rig.route(case).handle(request)).emissions[0]


# Logging in


@pytest.mark.parametrize("missing", [{"dialect": "vbdlis"}, {"dialect": "ilis", "user": "lgsp"}])
def test_a_dialect_without_its_credentials_is_refused_at_the_start(missing: dict[str, str]):
    with pytest.raises(ValidationError, match="needs"):
        LandRegistry.config_model.model_validate(
            {"http": {"base_url": "http://x"}, "webhook_secret": SECRET, "agency": OFFICE, **missing}
        )


async def test_ilis_gets_the_same_message_under_a_bearer_token(ilis: Rig):
    case = outbound("land.file_submitted")
    await ilis.deliver(case)
    request = next(request for operation, request in ilis.simulator.requests if operation == "tiepnhan")
    assert request.json() == case.request.body
    assert request.headers["authorization"] == f"Bearer {OFFICE}-token-1"
    assert "x-api-key" not in request.headers


async def test_calls_at_once_log_in_once(ilis: Rig):
    await asyncio.gather(*(ilis.deliver(outbound("land.result_returned")) for _ in range(5)))
    assert len(ilis.simulator.tokens) == 1


async def test_a_token_is_renewed_before_it_ends(ilis: Rig):
    await ilis.deliver(outbound("land.file_submitted"))
    await ilis.clock.advance(3600 - 29)
    await ilis.deliver(outbound("land.file_submitted"))
    assert len(ilis.simulator.tokens) == 2


async def test_a_token_that_ended_early_is_renewed_in_the_same_call(ilis: Rig):
    await ilis.deliver(outbound("land.file_submitted"))
    ilis.simulator.revoke()
    assert (await ilis.deliver(outbound("land.file_submitted"))).duplicate
    assert len(ilis.simulator.tokens) == 2


async def test_a_token_refused_twice_stops_the_recipient(ilis: Rig):
    ilis.says(outbound("land.file_submitted"), "401", "", 401)
    assert isinstance(await ilis.failure(outbound("land.file_submitted")), Unauthorised)
    assert len(ilis.simulator.tokens) == 2


@pytest.mark.parametrize("quirk", [Quirk.FAIL_AFTER_WORK, Quirk.UNREADABLE, Quirk.RESET, Quirk.BUSY])
async def test_a_login_that_fails_leaves_nothing_uncertain(ilis: Rig, quirk: Quirk):
    ilis.simulator.quirks.plan("token", quirk)
    assert isinstance(await ilis.failure(outbound("land.file_submitted")), Transient)
    assert ilis.taken() == 0


@pytest.mark.parametrize("granted", [{}, {"access_token": "t", "expires_in": "soon"}])
async def test_a_login_without_a_token_is_transient(ilis: Rig, granted: dict[str, str]):
    ilis.simulator.scripted["token"] = answer_json(granted)
    assert isinstance(await ilis.failure(outbound("land.file_submitted")), Transient)


async def test_a_wrong_password_stops_the_recipient():
    async with running(kit(ilis_config, user="lgsp", password="another")) as rig:
        error = await rig.failure(outbound("land.file_submitted"))
    assert isinstance(error, Unauthorised)


# What goes out


async def test_what_a_land_office_does_not_take_is_invalid(rig: Rig):
    event = replace(outbound("land.file_submitted").event.event(), type="document.sent")
    with pytest.raises(Invalid):
        await rig.connector.deliver(event)


async def test_a_completion_goes_out_under_the_dossier_it_belongs_to(rig: Rig):
    await rig.deliver(outbound("tax.obligation_completed"))
    assert rig.simulator.effects[-1].code == CODE


async def test_an_answer_that_does_not_say_whether_it_is_success_is_uncertain(rig: Rig):
    rig.simulator.scripted["tiepnhan"] = answer_json({"data": {"MaHoSoVBDLIS": "VP-1"}})
    assert isinstance(await rig.failure(outbound("land.file_submitted")), Uncertain)


async def test_success_in_words_only_is_no_success(rig: Rig):
    rig.simulator.scripted["tiepnhan"] = answer_json({"data": {}, "status": {"success": "true", "message": "OK"}})
    with pytest.raises(Exception, match="code 1"):
        await rig.deliver(outbound("land.file_submitted"))


async def test_a_file_that_is_not_stored_keeps_the_message_back(rig: Rig):
    rig.connector.context.objects.stored.clear()
    assert isinstance(await rig.failure(outbound("land.file_submitted")), ObjectError)
    assert rig.taken() == 0


async def test_files_go_out_as_keys_where_the_office_fetches_them():
    settings = kit(lambda url: {**config(url), "files": "reference"}, api_key=KEY)
    async with running(settings) as rig:
        await rig.deliver(outbound("land.file_submitted"))
    sent = rig.simulator.requests[-1][1].json()["DanhSachGiayToDinhKem"][0]
    assert "NoiDung" not in sent
    assert sent["Khoa"] == sha256(PAPER).hexdigest()


async def test_a_return_cut_off_after_the_work_is_asked_about_and_makes_one_new_request(rig: Rig):
    case = outbound("tax.obligation_returned")
    rig.plan(case, Quirk.RESET)
    await rig.failure(case)
    assert await rig.connector.check(case.event.event()) is Checked.DONE
    assert [sent.identity for sent in rig.simulator.sent] == [f"pctt/PCTT-{CODE}-2"]


async def test_a_check_that_is_answered_with_an_error_claims_nothing(rig: Rig):
    rig.simulator.scripted["check"] = answer_json(words("1", "Hệ thống bận"))
    assert await rig.connector.check(outbound("land.result_disputed").event.event()) is Checked.UNKNOWN


# What comes in


@pytest.mark.parametrize("hook", HOOKS, ids=lambda hook: hook.path)
def test_no_secret_stands_in_a_webhooks_path(hook: Any):
    assert hook.path.count("/") == 1


async def test_an_utc_time_without_marker_is_read_as_utc_and_kept_local_dates_stay(rig: Rig):
    emission = await handle(rig, inbound("land.finished"), NgayKetThuc="2025-07-03T18:30:00")
    assert emission.record.ended_at.isoformat() == "2025-07-03T18:30:00+00:00"  # 4 July, 01:30 in Vietnam


async def test_a_local_date_in_another_form_is_refused_by_name(rig: Rig):
    with pytest.raises(BadRequest, match=r"NgayChoBoSung: expected dd/MM/yyyy"):
        await handle(rig, inbound("land.supplement_requested"), NgayChoBoSung="2025-06-25")


async def test_a_file_that_comes_along_is_stored_by_its_content(rig: Rig):
    case = inbound("land.finished")
    emission = await handle(rig, case)
    file = emission.record.results[0]
    stored = await rig.connector.context.objects.get(file.object_key)
    assert stored == b64decode(case.request.body["TepKetQua"][0]["NoiDung"])
    assert (file.sha256, file.size) == (sha256(stored).hexdigest(), len(stored))


async def test_a_file_with_line_breaks_in_its_base64_is_read(rig: Rig):
    text = b64encode(PAPER * 9).decode()
    lines = "\r\n".join(text[at : at + 76] for at in range(0, len(text), 76))
    emission = await handle(rig, inbound("land.finished"), TepKetQua=[{"TenGiayTo": "GCN", "NoiDung": lines}])
    assert emission.record.results[0].size == 9 * len(PAPER)


@pytest.mark.parametrize("content", ["not base64!", "", None, 7, ["x"]])
async def test_a_file_that_is_not_base64_is_refused_by_place(rig: Rig, content: Any):
    with pytest.raises(BadRequest, match=r"TepKetQua\[0\]\.NoiDung"):
        await handle(rig, inbound("land.finished"), TepKetQua=[{"TenGiayTo": "GCN", "NoiDung": content}])


async def test_the_event_is_far_smaller_than_the_files_it_names(rig: Rig):
    large = b64encode(b"x" * 3_000_000).decode()
    emission = await handle(rig, inbound("land.finished"), TepKetQua=[{"TenGiayTo": "GCN", "NoiDung": large}])
    assert len(emission.record.model_dump_json()) < 2_000


async def test_a_receipt_number_from_then_on_means_the_dossier(rig: Rig):
    emission = await handle(rig, inbound("land.receipt_assigned"))
    assert [(each.scheme, each.value) for each in emission.references] == [("receipt_number", "VP-2025-000812")]


async def test_a_pctt_of_another_generation_is_another_message(rig: Rig):
    case = inbound("tax.obligation_requested")
    first, second = await handle(rig, case), await handle(rig, case, LanLap=2)
    assert first.identity != second.identity


async def test_messages_without_an_id_leave_repetitions_to_their_content(rig: Rig):
    assert (await handle(rig, inbound("land.supplement_requested"))).identity == ""


async def test_a_land_office_introduces_no_dossier(rig: Rig):
    for case in CASES.inbound:
        assert not (await handle(rig, case)).mints


ANY = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)
NAMES = sorted({field.partner for hook in HOOKS for field in hook.table} | {"MaBanTin", "DonViNhan"})


@settings(deadline=None)  # a busy machine is no defect
@given(hook=st.sampled_from(HOOKS), body=st.dictionaries(st.sampled_from(NAMES), ANY, max_size=12))
def test_any_json_object_is_an_event_or_a_named_refusal(hook: Any, body: dict[str, Any]):
    content = json.dumps(body).encode()
    request = Request("POST", hook.path, {}, {}, content, CASES.inbound[0].request.received)
    with suppress(BadRequest):
        emission = emission_of(hook, {"SoBienNhan": CODE, **body}, request, OFFICE)
        assert emission.type == hook.event
        assert emission.subject.value


# The simulated office's side of the story


def story(rig: Rig) -> list[str]:
    return [sent.identity for sent in rig.simulator.sent]


async def test_a_complete_file_is_given_a_number_moved_on_and_sent_to_the_tax_office(rig: Rig):
    await rig.deliver(outbound("land.file_submitted"))
    assert story(rig) == ["L15_RECEIPT/", "L2/THAMDINH", f"pctt/PCTT-{CODE}-1"]


async def test_the_certificate_waits_for_both_payment_evidence_and_completion(rig: Rig):
    await rig.deliver(outbound("land.file_submitted"))
    await rig.deliver(outbound("tax.notice_issued"))
    await rig.deliver(outbound("payment.evidenced"))
    assert "L12/1" not in story(rig)
    await rig.deliver(outbound("tax.obligation_completed"))
    assert story(rig)[-1] == "L12/1"


async def test_a_file_in_which_a_date_has_another_form_is_not_taken(rig: Rig):
    body = {**outbound("land.file_submitted").request.body, "NgayHenTra": "2025-07-03"}
    answer = await rig.connector._http.request("POST", "/api/hoso/tiepnhan", json_body=body, headers={"X-Api-Key": KEY})
    assert answer.object()["status"]["message"] == "NgayHenTra không hợp lệ"
    assert rig.taken() == 0


@pytest.mark.parametrize("each", [*HOOKS, *ENDPOINTS.values()])
def test_field_tables_name_only_fields_that_records_have(each: Any):
    assert {field.ours for field in each.table} <= set(each.record.model_fields)


@pytest.mark.parametrize(
    ("turn", "said"),
    [
        (Turn.WRONG_DATA, ["L15_CORRECTION/"]),
        (Turn.WRONG_PROCEDURE, ["L15_WRONG_PROCEDURE/"]),
        (Turn.KEPT_AT_APPRAISAL, []),
    ],
)
async def test_a_file_may_be_held_up_before_the_tax_office_is_asked(turn: Turn, said: list[str]):
    async with running(kit(config, api_key=KEY, turn=lambda _: turn)) as rig:
        await rig.deliver(outbound("land.file_submitted"))
        assert story(rig)[2:] == said
        if turn is Turn.KEPT_AT_APPRAISAL:
            rig.simulator.release(CODE)
            assert story(rig)[-1] == f"pctt/PCTT-{CODE}-1"


async def test_a_recalculated_obligation_is_asked_again_after_its_first_notice_was_paid():
    async with running(kit(config, api_key=KEY, turn=lambda _: Turn.RECALCULATED)) as rig:
        for event in ("land.file_submitted", "tax.notice_issued", "payment.evidenced", "tax.obligation_completed"):
            await rig.deliver(outbound(event))
    assert story(rig)[-1] == f"pctt/PCTT-{CODE}-2"
    assert rig.simulator.files[CODE].notices == set()


async def test_a_disputed_certificate_is_issued_anew_once_for_each_dispute(rig: Rig):
    for event in ("land.file_submitted", "tax.notice_issued", "payment.evidenced", "tax.obligation_completed"):
        await rig.deliver(outbound(event))
    await rig.deliver(outbound("land.result_disputed"))
    await rig.deliver(outbound("land.result_disputed"))
    assert story(rig)[-2:] == ["L12/1", "L12/2"]
