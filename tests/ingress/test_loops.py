"""A document whose trace header already names us: dropped with an alert, never forwarded in a circle (case 23)."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime

import pytest

from connectors.one_stop.inbound import emission_of
from router.errors import LedgerError, NotReceived
from router.events import DOCUMENT_TOPIC, ROUTER, topic_of
from router.ingress.intake import Intake
from router.ingress.loops import ALERT, QUIET, Loops, clear_when_quiet
from router.ledger import alerts
from router.sdk.inbound import DOCUMENT_ID, Reference
from router.sdk.records import Document, Trace
from router.sdk.records.document import BusinessType, DocumentPriority, Party
from router.sdk.testing.cases import Cases
from router.sdk.testing.rig import running
from tests.connectors.test_one_stop import KIT as ONE_STOP
from tests.ingress.harness import OWNER_KEY, PARTITIONS, Note, Rig, emission, encode, texts

ORGANS = ("H39.30", "000.30.00.H39")  # ours, by both grammars
LETTER = "000.00.00.G22,2025/06/16,7816/VPCP-TTĐT"
ORIGINAL = "000.00.00.G22,2025/06/10,7701/VPCP-TTĐT"


@pytest.fixture
async def rig():
    made = await Rig.start()
    made.told = []
    loops = Loops(made.ledger, made.clock, ORGANS, lambda *said: made.told.append(said))
    made.intake = Intake(
        made.bus, made.ledger, made.clock, encode, partitions=PARTITIONS, owner_key=OWNER_KEY, loops=loops
    )
    yield made
    await made.stop()


def letter(text="7816", code=LETTER, passed=(), **changes):
    return emission(text, code, type="document.sent", subject=Reference(DOCUMENT_ID, code), passed=passed, **changes)


async def open_alerts(rig):
    return [(a.name, a.subject, a.times) for a in await rig.ledger.read(alerts.open_alerts)]


@pytest.mark.parametrize("ours", [*ORGANS, " h39.30 "])
async def test_a_document_that_names_us_is_dropped_with_an_alert_and_a_line_in_the_log(rig, ours):
    await rig.receive(letter(passed=("H56", ours)), source="truc")
    assert rig.log(DOCUMENT_TOPIC) == rig.log(topic_of(ROUTER)) == []
    assert await open_alerts(rig) == [(ALERT, "truc", 1)]
    assert rig.told == [(ALERT, "truc", f"{LETTER} has passed here before: dropped")]


@pytest.mark.parametrize("passed", [(), ("H56", "G22"), ("H39",), ("H39.30.01",)])
async def test_a_document_that_names_others_goes_on(rig, passed):
    await rig.receive(letter(passed=passed))
    assert texts(rig.log(DOCUMENT_TOPIC)) == ["7816"]
    assert await open_alerts(rig) == []


async def test_what_came_with_it_goes_on(rig):
    others = [letter("before", f"{LETTER}/1"), letter("after", f"{LETTER}/2")]
    await rig.receive(others[0], letter(passed=ORGANS[:1]), others[1], source="truc")
    assert sorted(texts(rig.log(DOCUMENT_TOPIC))) == ["after", "before"]


async def test_one_document_to_several_receivers_is_one_loop(rig):
    await rig.receive(*(letter(identity=f"m/{to}", passed=ORGANS) for to in ("H53.16", "H53.05")), source="truc")
    assert await open_alerts(rig) == [(ALERT, "truc", 1)]


async def test_nothing_is_dropped_while_the_alert_cannot_be_stored(rig, monkeypatch):
    async def away(_work):
        raise LedgerError("away")

    monkeypatch.setattr(rig.ledger, "write", away)
    with pytest.raises(NotReceived):
        await rig.receive(letter(passed=ORGANS))


async def test_the_alert_is_counted_while_more_come_and_cleared_after_a_quiet_day(rig):
    await rig.receive(letter(passed=ORGANS), source="truc")
    await rig.clock.advance(QUIET - 1)
    await clear_when_quiet(rig.ledger, rig.clock)
    await rig.receive(letter(passed=ORGANS), source="truc")
    await rig.clock.advance(QUIET - 1)
    await clear_when_quiet(rig.ledger, rig.clock)
    assert await open_alerts(rig) == [(ALERT, "truc", 2)]
    await rig.clock.advance(1)
    await clear_when_quiet(rig.ledger, rig.clock)
    assert await open_alerts(rig) == []


def test_the_entry_that_the_sender_begins_with_is_no_passage():
    """Where the installation's own agency writes a letter, its name comes first and says nothing of a circle."""
    assert document("H39", traces=("H39",)).passed() == ()
    assert document("H39", traces=("H39", "G22", "H39")).passed() == ("G22", "H39")
    assert document("G22", traces=("H39", "G22")).passed() == ("H39", "G22")


def test_of_a_forwarded_copy_only_the_way_since_its_sender_forwarded_it_counts():
    """What we carried to a province comes back as the province's own copy for its communes: that is no circle."""
    assert document("H53", traces=("G22", "H39.30", "H53"), answers=(ORIGINAL,)).passed() == ()
    assert document("H53", traces=("G22", "H53", "H39.30"), answers=(ORIGINAL,)).passed() == ("H39.30",)
    assert "H39.30" in document("H53", traces=("H53", "H39.30", "H54", "H53"), answers=(ORIGINAL,)).passed()
    assert document("H53", traces=("G22", "H39.30"), answers=(ORIGINAL,)).passed() == ("G22", "H39.30")
    assert document("H53", traces=("H53", "H39.30"), answers=(LETTER,)).passed() == ("H39.30",)


@pytest.mark.parametrize("traces", [(), ("G22",), ("G22", "H56"), ("H39.30",), ("G22", "H56", "G22")])
@pytest.mark.parametrize("sender", ["G22", "H39.30"])
@pytest.mark.parametrize("answers", [(), (ORIGINAL,)])
def test_whoever_hands_a_document_on_is_found_in_what_it_passed(sender, traces, answers):
    at = datetime(2025, 6, 15, tzinfo=UTC)
    out = document(sender, traces, answers).through("H39.30", at)
    assert out.passed()[-1] == "H39.30"
    assert [trace.organ_id for trace in out.traces[: len(traces)]] == list(traces)
    assert [trace.passed_at for trace in out.traces] == sorted(trace.passed_at for trace in out.traces)


async def test_what_a_connector_sends_and_gets_back_is_dropped_with_an_alert(rig):
    case = next(case for case in Cases.load("connectors.one_stop").outbound if case.event.type == "document.sent")
    async with running(ONE_STOP) as partner:
        await partner.deliver(case)
        ((_, sent),) = list(partner.simulator.requests)[-1:]
        body = sent.json()
    message = {"LoaiSuKien": "VanBan", "MaTinNhan": "quay-lai", "ThoiGian": "20250616110000", "DuLieu": body}
    again = replace(emission_of(message, b"{}"), record=Note(text="7816"))
    await rig.receive(again, source="one-stop-h53")
    assert rig.log(DOCUMENT_TOPIC) == []
    assert await open_alerts(rig) == [(ALERT, "one-stop-h53", 1)]
    first = {**body, "TraceHeaderList": body["TraceHeaderList"][:-1]}  # as it was before it passed here
    fresh = replace(emission_of(message | {"DuLieu": first}, b"{}"), record=again.record)
    await rig.receive(fresh, source="one-stop-h53")
    assert len(rig.log(DOCUMENT_TOPIC)) == 1


def document(sender, traces, answers=()):
    at = datetime(2025, 6, 16, tzinfo=UTC)
    return Document(
        document_id=LETTER, number="7816", notation="VPCP-TTĐT", sender=Party(organ_id=sender, name="Cơ quan gửi"),
        promulgation_date=date(2025, 6, 16), document_type="2", subject="V/v …", priority=DocumentPriority.NORMAL,
        business_type=BusinessType.NEW, response_for=answers,
        traces=tuple(Trace(organ_id=organ, passed_at=at) for organ in traces),
    )  # fmt: skip
