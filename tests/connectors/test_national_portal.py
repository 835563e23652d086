"""The national portal's connector: the behaviour of all connectors, and what is its own."""

from __future__ import annotations

from typing import Any

import pytest

from connectors.national_portal import mapping
from connectors.national_portal.connector import NationalPortal
from connectors.national_portal.simulator import NationalPortalSimulator
from router.sdk import Checked, Unauthorised
from router.sdk.national import STATUS
from router.sdk.testing import answer_json
from router.sdk.testing.cases import Outbound
from router.sdk.testing.quirks import Quirk
from router.sdk.testing.rig import Kit, Rig
from router.sdk.testing.suite import ConnectorSuite
from tests.connectors.conftest import running

TOKEN, PASSWORD = "a token of this test", "a password of this test"


def config(url: str, **more: Any) -> dict[str, Any]:
    return {
        "http": {"base_url": url},
        "user": "h39",
        "password": PASSWORD,
        "dstcode": "VN:GOV:000.00.00.G22:vpcpdvcqg",
        "unit": "H39.25.01",
        "webhook_token": TOKEN,
        **more,
    }


def simulated(clock: Any, **more: Any) -> NationalPortalSimulator:
    return NationalPortalSimulator(clock, token=TOKEN, on_paid=lambda _: None, **more)


def kit(calls_a_session: int = 200, **more: Any) -> Kit:
    return Kit(
        "connectors.national_portal",
        NationalPortal,
        lambda clock: simulated(clock, calls_a_session=calls_a_session),
        lambda url: config(url, **more),
        lambda code, text: {"error_code": code, "message": text, "result": None},
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


ACCEPTED = outbound("dossier.accepted")


def integrations(rig: Rig) -> list[Any]:
    return [incoming.json() for operation, incoming in rig.simulator.requests if operation == "integration"]


async def test_a_dossier_that_exists_is_updated_and_the_flag_is_a_string(rig: Rig) -> None:
    await rig.deliver(ACCEPTED)
    await rig.deliver(outbound("dossier.result_ready"))
    flags = [body["isUpdating"] for body in integrations(rig)]
    assert flags == ["False", "False", "True"]


async def test_looking_up_first_never_inserts_twice() -> None:
    async with running(kit(strategy="lookup")) as rig:
        await rig.deliver(ACCEPTED)
        await rig.deliver(outbound("dossier.result_ready"))
        asked = [(body["service"], body["isUpdating"]) for body in integrations(rig)]
    lookup = ("TraCuuHoSo", "False")
    assert asked == [lookup, ("DongBoHoSoMC", "False"), lookup, ("DongBoHoSoMC", "True")]


async def test_the_same_upsert_twice_is_one_dossier_at_the_portal(rig: Rig) -> None:
    await rig.deliver(ACCEPTED)
    await rig.deliver(ACCEPTED)
    assert [effect.repeated for effect in rig.simulator.effects] == [False, True]


@pytest.mark.parametrize("code", ["0", "3", "-3"])
async def test_exists_already_is_a_duplicate_under_each_of_its_codes(rig: Rig, code: str) -> None:
    rig.says(ACCEPTED, code, "Hồ sơ đã tồn tại trên hệ thống")
    assert (await rig.deliver(ACCEPTED)).duplicate


@pytest.mark.parametrize("code", ["0", "00"])
async def test_success_has_two_spellings(rig: Rig, code: str) -> None:
    rig.says(ACCEPTED, code, "")
    assert not (await rig.deliver(ACCEPTED)).duplicate


async def test_a_session_that_ends_is_renewed_in_place() -> None:
    async with running(kit(calls_a_session=1)) as rig:
        await rig.deliver(ACCEPTED)
        await rig.deliver(outbound("dossier.progressed"))
        logins = [operation for operation, _ in rig.simulator.requests if operation == "login"]
        assert len(logins) == 2
        assert {effect.operation for effect in rig.simulator.effects} == {"DongBoHoSoMC", "CapNhatTienDoHoSoMC"}


async def test_refused_credentials_stop_the_recipient(rig: Rig) -> None:
    rig.simulator.scripted["login"] = answer_json({"error_code": "15", "message": "Sai tài khoản"})
    with pytest.raises(Unauthorised):
        await rig.deliver(ACCEPTED)


async def test_the_portal_is_asked_whether_it_has_a_dossier_in_this_status(rig: Rig) -> None:
    assert await rig.connector.check(ACCEPTED.event.event()) is Checked.NOT_DONE
    await rig.deliver(ACCEPTED)
    assert await rig.connector.check(ACCEPTED.event.event()) is Checked.DONE
    assert await rig.connector.check(outbound("dossier.result_ready").event.event()) is Checked.NOT_DONE


async def test_the_catalogue_of_procedures_can_be_read(rig: Rig) -> None:
    assert await rig.connector.catalogue() == [{"MaTTHC": "1.012783"}]


def test_progress_goes_in_chunks_of_ten() -> None:
    assert [len(chunk) for chunk in mapping.chunks([{}] * 23)] == [10, 10, 3]


@pytest.mark.parametrize(
    ("status", "code"), [("SUPPLEMENT_REQUESTED", "5"), ("FINANCIAL_OBLIGATION", "6"), ("STOPPED", "8")]
)
def test_a_paused_status_is_never_rewritten(status: str, code: str) -> None:
    assert STATUS.write(status) == code
