"""The one-stop's connector: the behaviour of all connectors, and what is its own."""

from __future__ import annotations

import asyncio
import json
from dataclasses import replace
from datetime import UTC, date, datetime
from typing import Any

import pytest

from connectors.one_stop.connector import OneStop
from connectors.one_stop.simulator import OneStopSimulator
from router.sdk import BadRequest, Event, Transient, Unauthorised, Uncertain
from router.sdk.testing import answer_json
from router.sdk.testing.cases import Outbound
from router.sdk.testing.clock import ManualClock
from router.sdk.testing.quirks import Quirk
from router.sdk.testing.rig import Kit, Rig
from router.sdk.testing.suite import ConnectorSuite
from tests.connectors.conftest import running

TOKEN = "a token of this test"
PROVINCE, DISTRICT, COMMUNE = "000.00.16.H39", "000.00.39.H39", "000.16.39.H39"
#: Three levels receive until 1 July 2025, two from then on.
UNITS = [
    {"code": PROVINCE, "level": "province"},
    {"code": DISTRICT, "level": "district", "valid_to": "2025-07-01"},
    {"code": COMMUNE, "level": "commune"},
]


def config(url: str) -> dict[str, Any]:
    return {
        "http": {"base_url": url},
        "client_id": "lgsp",
        "client_secret": "a secret of this test",
        "webhook_token": TOKEN,
        "units": UNITS,
    }


def knows_the_dossier(simulator: OneStopSimulator, event: Event) -> None:
    """Everything but a submission is about a dossier that the one-stop has."""
    if event.type != "dossier.submitted" and event.type.partition(".")[0] in ("land", "tax", "payment"):
        simulator.dossiers[event.subject] = {"MaHoSo": event.subject, "MaTTHC": "1.012783", "ChuHoSo": {"HoTen": "An"}}
        simulator.status[event.subject] = "4"


KIT = Kit(
    "connectors.one_stop",
    OneStop,
    lambda clock: OneStopSimulator(clock, token=TOKEN, agency=COMMUNE),
    config,
    lambda code, text: {"code": code, "message": text},
    knows_the_dossier,
)


class TestBehaviour(ConnectorSuite):
    kit = KIT


@pytest.fixture
async def rig():
    async with running(KIT) as started:
        yield started


@pytest.fixture
def submission() -> Outbound:
    return next(case for case in KIT.cases().outbound if case.event.type == "dossier.submitted")


def message(day: date, unit: str, kind: str = "TiepNhan") -> bytes:
    case = next(case for case in KIT.cases().inbound if case.request.body["LoaiSuKien"] == kind)
    body = json.loads(json.dumps(case.request.body))
    body["ThoiGian"] = f"{day:%Y%m%d}090000"
    body["DuLieu"]["DonViXuLy"] = unit
    return json.dumps(body).encode()


async def receive(rig: Rig, content: bytes):
    case = KIT.cases().inbound[0].model_copy()
    request = case.request.model_copy(update={"body": content.decode()})
    return await rig.connector.routes()[0].handle(request.request({}))


@pytest.mark.parametrize("unit", [PROVINCE, DISTRICT, COMMUNE])
async def test_three_levels_receive_until_30_june_2025(rig: Rig, unit: str):
    received = await receive(rig, message(date(2025, 6, 30), unit))
    assert [emission.addressed_to for emission in received.emissions] == [unit]


@pytest.mark.parametrize("unit", [PROVINCE, COMMUNE])
async def test_province_and_commune_receive_from_1_july_2025(rig: Rig, unit: str):
    assert (await receive(rig, message(date(2025, 7, 1), unit))).emissions


async def test_a_district_receives_nothing_from_1_july_2025(rig: Rig):
    with pytest.raises(BadRequest, match="receives nothing"):
        await receive(rig, message(date(2025, 7, 1), DISTRICT))


async def test_the_day_is_counted_in_vietnam(rig: Rig):
    case = next(case for case in KIT.cases().inbound if case.request.body["LoaiSuKien"] == "TiepNhan")
    late = json.loads(json.dumps(case.request.body))
    late["ThoiGian"], late["DuLieu"]["DonViXuLy"] = "20250701000000", DISTRICT  # 30 June, 17:00 UTC
    with pytest.raises(BadRequest, match="receives nothing"):
        await receive(rig, json.dumps(late).encode())


async def test_a_dossier_of_an_abolished_district_still_progresses(rig: Rig):
    received = await receive(rig, message(date(2025, 7, 7), DISTRICT, "CapNhatTrangThai"))
    assert received.emissions[0].type == "dossier.status_changed"


async def test_a_dossier_received_for_another_unit_is_judged_by_the_counter(rig: Rig):
    body = json.loads(message(date(2025, 7, 7), DISTRICT))
    body["DuLieu"]["DonViTiepNhan"] = COMMUNE
    received = await receive(rig, json.dumps(body).encode())
    assert received.emissions[0].addressed_to == DISTRICT


async def test_calls_at_once_log_in_once(rig: Rig, submission: Outbound):
    await asyncio.gather(*(rig.deliver(submission) for _ in range(5)))
    assert [operation for operation, _ in rig.simulator.requests].count("login") == 1


async def test_a_token_is_renewed_before_it_ends(rig: Rig, submission: Outbound):
    await rig.deliver(submission)
    await rig.clock.advance(3600 - 29)
    await rig.deliver(submission)
    assert [operation for operation, _ in rig.simulator.requests].count("login") == 2


async def test_a_token_that_ended_early_is_renewed_once_in_the_same_call(rig: Rig, submission: Outbound):
    await rig.deliver(submission)
    rig.simulator.tokens.clear()
    await rig.deliver(submission)
    assert [operation for operation, _ in rig.simulator.requests][-4:] == [
        "submission", "submission", "login", "submission",
    ]  # fmt: skip


@pytest.mark.parametrize("quirk", [Quirk.FAIL_AFTER_WORK, Quirk.UNREADABLE, Quirk.RESET, Quirk.BUSY])
async def test_a_login_that_breaks_leaves_nothing_uncertain(rig: Rig, submission: Outbound, quirk: Quirk):
    rig.simulator.quirks.plan("login", quirk)
    assert type(await rig.failure(submission)) is Transient
    await rig.deliver(submission)


async def test_refused_client_credentials_stop_the_recipient(rig: Rig, submission: Outbound):
    rig.simulator.scripted["login"] = answer_json({"error": "invalid_client"}, 400)
    error = await rig.failure(submission)
    assert isinstance(error, Unauthorised)
    assert error.reason == "login_refused"


@pytest.mark.parametrize("body", [{}, [], "ok", {"message": "Thành công"}])
async def test_an_answer_without_a_code_is_no_success(rig: Rig, submission: Outbound, body: Any):
    rig.simulator.scripted["submission"] = answer_json(body)
    assert isinstance(await rig.failure(submission), Uncertain)


async def test_a_secret_is_in_no_url_and_no_repr(rig: Rig, submission: Outbound):
    await rig.deliver(submission)
    shown = repr(rig.connector.config) + "".join(f"{r.path}{r.query}" for _, r in rig.simulator.requests)
    assert "a secret of this test" not in shown
    assert TOKEN not in shown


class TestSimulator:
    """The simulated one-stop owns the state of its dossiers."""

    async def test_it_takes_a_submission_through_reception_and_says_so(self, rig: Rig, submission: Outbound):
        await rig.deliver(submission)
        assert rig.simulator.history[submission.event.subject] == ["1", "2", "4"]
        assert [sent.identity for sent in rig.simulator.sent][:2] == ["status/2/LP01", "L1"]
        assert rig.simulator.illegal == []

    async def test_a_dossier_that_was_returned_goes_nowhere(self, rig: Rig, submission: Outbound):
        await rig.deliver(submission)
        for operation in ("land-finished", "late notice"):
            case = next(c for c in KIT.cases().outbound if c.event.type == _TYPES[operation])
            await rig.connector.deliver(case.event.event())
        assert rig.simulator.status[submission.event.subject] == "10"

    async def test_data_are_corrected_and_the_land_office_told(self, rig: Rig):
        await rig.deliver(the_case("land.correction_requested"))
        assert [sent.identity for sent in rig.simulator.sent][-1] == "L4"

    async def test_a_dossier_of_the_wrong_procedure_is_stopped_and_another_takes_its_place(self, rig: Rig):
        case = the_case("land.wrong_procedure")
        await rig.deliver(case)
        code, fresh = case.event.subject, rig.simulator.replaced[case.event.subject]
        assert (rig.simulator.status[code], rig.simulator.status[fresh]) == ("8", "4")
        assert [(sent.code, sent.identity) for sent in rig.simulator.sent][:3] == [
            (code, "status/8"),
            (fresh, "status/2"),
            (fresh, "L1"),
        ]

    async def test_a_wrong_certificate_goes_back_and_the_next_one_is_handed_over(self):
        async with running(replace(KIT, simulator=doubting)) as rig:
            finished = the_case("land.finished")
            await rig.deliver(finished)
            assert (rig.simulator.status[finished.event.subject], rig.simulator.sent[-1].identity) == ("4", "L14/1")
            await rig.connector.deliver(finished.event.event())
            assert rig.simulator.status[finished.event.subject] == "10"

    async def test_each_overdue_notice_is_answered_with_an_apology_and_the_first_sets_a_new_date(self, rig: Rig):
        case = the_case("dossier.overdue_detected")
        code = case.event.subject
        rig.simulator.dossiers[code] = {"MaHoSo": code}
        for number in (1, 2):
            await rig.connector.deliver(replace(case.event.event(), id=f"overdue-{number}"))
            assert rig.simulator.overdue(code) == number
            assert rig.simulator.dossiers[code]["NgayHenTra"].endswith("170000")
        assert [sent.identity for sent in rig.simulator.sent] == ["apology", "apology"]

    async def test_a_reply_takes_effect_once(self, rig: Rig):
        case = next(c for c in KIT.cases().outbound if c.event.type == "delivery.rejected")
        await rig.deliver(case)
        await rig.deliver(case)
        assert rig.simulator.rejections == ["5f1c7c0e-1111-5000-8000-000000000001"]


def the_case(event_type: str) -> Outbound:
    return next(case for case in KIT.cases().outbound if case.event.type == event_type)


def doubting(clock: ManualClock) -> OneStopSimulator:
    return OneStopSimulator(clock, token=TOKEN, agency=COMMUNE, disputes=lambda _: True)


_TYPES = {"land-finished": "land.finished", "late notice": "tax.notice_issued"}


def test_the_clock_of_these_tests_stands_before_the_reorganisation():
    assert ManualClock().business() < datetime(2025, 7, 1, tzinfo=UTC)
