"""What every connector has to do, as tests. A connector's own test file says::

    class TestBehaviour(ConnectorSuite):
        kit = Kit("connectors.one_stop", OneStop, simulator, config, words)

It needs pytest and pytest-asyncio, so nothing but tests may import it.
"""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import AsyncIterator
from typing import Any, ClassVar

import pytest

from router.errors import BadRequest, IngressError, Unauthenticated
from router.sdk.connector import Connector
from router.sdk.inbound import Refusal, Route
from router.sdk.manifest import ErrorRow, Idempotency
from router.sdk.outcomes import Checked, Failure, Outcome, Throttled, Transient, Unauthorised, Uncertain
from router.sdk.testing.cases import Inbound, Outbound, body_of, seen
from router.sdk.testing.quirks import Quirk
from router.sdk.testing.rig import Kit, Rig, assert_nothing_personal, running
from router.sdk.testing.simulator import Outgoing, answer_json
from schemas.catalogue import EVENT_TYPES

__all__ = ["ConnectorSuite", "Kit"]

UNKNOWN_CODE = "no-such-code"
UNSOUND = "không đọc được \x00 \ud800"
#: Quirks of a single request, and what they have to come out as. Those with a receipt are tested on their own.
BROKEN = (
    (Quirk.FAIL_AFTER_WORK, Uncertain),
    (Quirk.BUSY, Transient),
    (Quirk.BUSY_WITH_TIME, Throttled),
    (Quirk.UNREADABLE, Uncertain),
    (Quirk.RESET, Uncertain),
)


def assert_outcome(error: Exception, outcome: Outcome) -> None:
    """An exception is of this outcome; any that is no named failure is *unclassified*."""
    found = error.outcome if isinstance(error, Failure) else Outcome.UNCLASSIFIED
    assert found is outcome, f"{type(error).__name__}: {error}"


def row_name(row: ErrorRow) -> str:
    """A row of the error map as a test's id."""
    parts = (row.operation, row.code, row.http, row.text, row.reason)
    return "-".join(re.sub(r"\s+", "_", str(part)) for part in parts if part is not None)


class ConnectorSuite:
    """The behaviour of all connectors. ``kit`` is set by the subclass."""

    kit: ClassVar[Kit]

    def pytest_generate_tests(self, metafunc: pytest.Metafunc) -> None:
        """One test for each golden case, row of the error map, quirk."""
        cases, manifest = self.kit.cases(), self.kit.manifest
        wanted = {
            "outbound": (cases.outbound, [case.name for case in cases.outbound]),
            "inbound": (cases.inbound, [case.name for case in cases.inbound]),
            "row": (manifest.errors, [row_name(row) for row in manifest.errors]),
            "broken": (BROKEN, [quirk.value for quirk, _ in BROKEN]),
        }
        for name, (values, ids) in wanted.items():
            if name in metafunc.fixturenames:
                metafunc.parametrize(name, values, ids=ids)

    @pytest.fixture
    async def rig(self) -> AsyncIterator[Rig]:
        """The connector, open, before its partner."""
        async with running(self.kit) as started:
            yield started

    @pytest.fixture
    def first(self) -> Outbound:
        """The first outbound case that is delivered."""
        return next(case for case in self.kit.cases().outbound if case.expect.outcome is Outcome.DELIVERED)

    # The manifest

    def test_every_operation_serves_event_types_of_the_catalogue(self) -> None:
        """Nothing is served that no schema describes; nothing is served twice."""
        served = [event for operation in self.kit.manifest.operations for event in operation.events]
        assert set(served) <= set(EVENT_TYPES)
        assert len(served) == len(set(served))
        assert set(self.kit.manifest.emits) <= set(EVENT_TYPES)

    def test_every_event_type_served_has_a_golden_case(self) -> None:
        """What has no case is not known to work."""
        served = {event for operation in self.kit.manifest.operations for event in operation.events}
        assert served == {case.event.type for case in self.kit.cases().outbound}

    def test_every_event_type_emitted_has_a_golden_case(self) -> None:
        """What has no case is not known to work."""
        shown = {emission.type for case in self.kit.cases().inbound for emission in case.emissions}
        assert set(self.kit.manifest.emits) == shown

    def test_checked_operations_come_with_a_check(self) -> None:
        """The class *checked* is a promise that the partner can be asked."""
        checked = any(each.idempotency is Idempotency.CHECKED for each in self.kit.manifest.operations)
        assert not checked or self.kit.connector.check is not Connector.check

    def test_no_payment_expires(self) -> None:
        """Money has moved: only a person gives such an event up."""
        paying = [each for each in self.kit.manifest.operations if each.moves_money]
        assert all(self.kit.manifest.retry_of(each).maximal_age is None for each in paying)

    def test_each_failure_in_the_error_map_is_explained_in_both_languages(self, row: ErrorRow) -> None:
        """An operator reads why, in Vietnamese and in English; a maintainer, how it is known."""
        assert row.outcome in (Outcome.DELIVERED, Outcome.DUPLICATE) or (row.vi and row.en)
        assert row.source

    # Outbound

    async def test_golden_outbound_case(self, rig: Rig, outbound: Outbound) -> None:
        """The partner gets exactly this, and its answer comes out as that."""
        if outbound.answer is not None:
            rig.simulator.scripted[rig.operation(outbound)] = answer_json(outbound.answer.body, outbound.answer.status)
        expected = outbound.expect
        if expected.outcome in (Outcome.DELIVERED, Outcome.DUPLICATE):
            receipt = await rig.deliver(outbound)
            assert receipt.duplicate is (expected.outcome is Outcome.DUPLICATE)
            for name in ("code", "message", "reference"):
                assert getattr(expected, name) in (None, getattr(receipt, name))
        else:
            error = await rig.failure(outbound)
            assert_outcome(error, expected.outcome)
            assert expected.reason in (None, getattr(error, "reason", None))
        wanted = (outbound.request.method, outbound.request.path)
        got = [request for _, request in rig.simulator.requests if (request.method, request.path) == wanted]
        assert outbound.request.body in [body_of(request) for request in got]
        assert outbound.request.headers.items() <= got[-1].headers.items()

    async def test_error_row_comes_out_as_it_says(self, rig: Rig, first: Outbound, row: ErrorRow) -> None:
        """Each row is reached, and means at the connector what it means in the map."""
        case = first
        if row.operation is not None:
            serving = next(each for each in self.kit.manifest.operations if each.name == row.operation)
            case = next(each for each in self.kit.cases().outbound if each.event.type in serving.events)
        rig.says(case, row.code or UNKNOWN_CODE, row.text or "", row.http or 200)
        if row.outcome in (Outcome.DELIVERED, Outcome.DUPLICATE):
            assert (await rig.deliver(case)).duplicate is (row.outcome is Outcome.DUPLICATE)
        else:
            error = await rig.failure(case)
            assert_outcome(error, row.outcome)
            assert getattr(error, "reason", None) == row.reason

    async def test_a_code_that_is_in_no_row_is_unclassified(self, rig: Rig, first: Outbound) -> None:
        """Nothing is guessed from a code that nobody explained."""
        rig.says(first, UNKNOWN_CODE, "")
        assert_outcome(await rig.failure(first), Outcome.UNCLASSIFIED)

    async def test_words_that_no_text_can_hold_change_nothing(self, rig: Rig, first: Outbound) -> None:
        """A NUL and half a surrogate pair, which JSON can write and UTF-8 or a database cannot."""
        body = json.dumps(self.kit.words(UNKNOWN_CODE, UNSOUND)).encode()
        rig.simulator.scripted[rig.operation(first)] = Outgoing(200, body, {"Content-Type": "application/json"})
        assert_outcome(await rig.failure(first), Outcome.UNCLASSIFIED)

    async def test_refused_credentials_stop_the_recipient(self, rig: Rig, first: Outbound) -> None:
        """HTTP 401 is about us, not about this event."""
        rig.says(first, "", "", 401)
        assert isinstance(await rig.failure(first), Unauthorised)

    async def test_quirk_comes_out_as_what_it_is(
        self, rig: Rig, first: Outbound, broken: tuple[Quirk, type[Exception]]
    ) -> None:
        """Done, not done and unknown are told apart; sending again has no second effect."""
        quirk, failure = broken
        rig.plan(first, quirk)
        error = await rig.failure(first)
        assert type(error) is failure
        assert not isinstance(error, Throttled) or error.seconds == 1.0
        done = 0 if quirk in (Quirk.BUSY, Quirk.BUSY_WITH_TIME) else 1
        assert rig.taken() == done
        await rig.deliver(first)
        assert rig.taken() == 1

    async def test_what_is_sent_again_under_its_natural_key_has_no_second_effect(
        self, rig: Rig, outbound: Outbound
    ) -> None:
        """The class is a promise about the partner; its simulation has to keep it as well. A delivery of several calls
        that breaks off leaves, sent again, what an unbroken one leaves.
        """
        operation = self.kit.manifest.operation_for(outbound.event.type)
        again = operation is not None and operation.idempotency is Idempotency.NATURAL_KEY
        if not again or outbound.expect.outcome is not Outcome.DELIVERED:
            return
        async with running(self.kit) as unbroken:
            await unbroken.deliver(outbound)
        rig.plan(outbound, Quirk.FAIL_AFTER_WORK)
        assert isinstance(await rig.failure(outbound), Uncertain)
        for _ in range(2):
            await rig.connector.deliver(outbound.event.event())
            assert rig.taken() == unbroken.taken()

    async def test_an_error_under_http_200_is_no_success(self, rig: Rig, first: Outbound) -> None:
        """The body decides."""
        rig.plan(first, Quirk.OK_WITH_ERROR)
        await rig.failure(first)
        assert rig.taken() == 0

    async def test_already_there_is_a_duplicate(self, rig: Rig, first: Outbound) -> None:
        """In the partner's words, whether true or not."""
        rig.plan(first, Quirk.DUPLICATE_ACK)
        assert (await rig.deliver(first)).duplicate

    async def test_an_answer_in_the_old_code_page_is_read(self, rig: Rig, first: Outbound) -> None:
        """Labelled as UTF-8, and written in windows-1258."""
        rig.plan(first, Quirk.WRONG_CHARSET)
        assert not (await rig.deliver(first)).duplicate

    async def test_a_partner_that_is_gone_is_transient_and_comes_back(self, rig: Rig, first: Outbound) -> None:
        """Nothing has left, so nothing is uncertain."""
        await rig.simulator.down()
        assert isinstance(await rig.failure(first), Transient)
        await rig.simulator.up()
        await rig.deliver(first)
        assert rig.taken() == 1

    async def test_a_call_cut_off_leaves_the_connector_usable(self, rig: Rig, first: Outbound) -> None:
        """The dispatcher cuts calls at their limit; the next one goes out as if nothing had been."""
        rig.plan(first, Quirk.SLOW)
        call = asyncio.create_task(rig.deliver(first))
        while rig.simulator.quirks.hits.get(Quirk.SLOW) is None:
            rig.simulator.requested.clear()
            await rig.simulator.requested.wait()
        call.cancel()
        await asyncio.gather(call, return_exceptions=True)
        await rig.clock.advance(rig.simulator.quirks.delay)
        await rig.deliver(first)
        assert rig.taken() == 1

    async def test_check_tells_the_truth(self, rig: Rig, outbound: Outbound) -> None:
        """Not done before, done after, and no claim while the partner is away."""
        operation = self.kit.manifest.operation_for(outbound.event.type)
        if operation is None or operation.idempotency is not Idempotency.CHECKED:
            return
        event = outbound.event.event()
        self.kit.prepare(rig.simulator, event)
        assert await rig.connector.check(event) is Checked.NOT_DONE
        rig.plan(outbound, Quirk.FAIL_AFTER_WORK)
        await rig.failure(outbound)
        assert await rig.connector.check(event) is Checked.DONE
        rig.simulator.quirks.away = True
        assert await rig.connector.check(event) is Checked.UNKNOWN

    async def test_the_probe_tells_whether_the_partner_answers(self, rig: Rig) -> None:
        """A partner that is away or gone does not pass for one that works."""
        assert await rig.connector.probe()
        rig.simulator.quirks.away = True
        assert not await _passes(rig.connector)
        await rig.simulator.down()
        assert not await _passes(rig.connector)

    # Inbound

    async def test_golden_inbound_case(self, rig: Rig, inbound: Inbound) -> None:
        """A message means exactly these events, and is answered so."""
        request = rig.request(inbound)
        route = rig.route(inbound)
        route.authenticate(request)
        received = await route.handle(request)
        assert [
            seen(emission, expected) for emission, expected in zip(received.emissions, inbound.emissions, strict=True)
        ] == list(inbound.emissions)
        if inbound.reply is not None:
            assert json.loads(received.reply.body) == inbound.reply
        for emission in received.emissions:
            assert_nothing_personal(repr(emission), emission.record.model_dump(), rig.connector.config)

    async def test_a_message_without_credentials_is_refused(self, rig: Rig, inbound: Inbound) -> None:
        """Before anything of it is read."""
        with pytest.raises(Unauthenticated):
            rig.route(inbound).authenticate(inbound.request.request({}))

    async def test_a_message_that_is_not_json_is_refused(self, rig: Rig, inbound: Inbound) -> None:
        """In both languages, in the partner's own form, and without quoting it."""
        route = rig.route(inbound)
        with pytest.raises(BadRequest) as caught:
            await route.handle(rig.request(inbound, body="{'HoTen': 'Nguyễn Văn A'"))
        assert_told(route, caught.value)
        assert "Nguyễn Văn A" not in f"{caught.value!r} {caught.value.vi}"

    async def test_a_message_that_lacks_everything_is_refused(self, rig: Rig, inbound: Inbound) -> None:
        """An empty object is no event."""
        route = rig.route(inbound)
        with pytest.raises(BadRequest) as caught:
            await route.handle(rig.request(inbound, body={}))
        assert_told(route, caught.value)

    async def test_a_message_that_is_too_long_is_refused_in_the_partners_form(self, rig: Rig, inbound: Inbound) -> None:
        """The route says how much it takes; ingress counts."""
        route = rig.route(inbound)
        assert len(inbound.request.content()) < route.max_bytes <= self.kit.manifest.inbound.max_bytes
        reply = route.refuse(Refusal(413, "Nội dung quá dài", "too long"))
        assert (reply.status, b"too long" in reply.body) == (413, True)


def assert_told(route: Route, error: IngressError) -> None:
    """A refusal reaches the partner in both languages."""
    assert error.vi
    assert str(error)
    reply = route.refuse(Refusal(error.status, error.vi, error.en))
    assert reply.status == error.status
    assert error.vi in reply.body.decode()
    assert error.en in reply.body.decode()


async def _passes(connector: Connector[Any]) -> bool:
    try:
        return await connector.probe()
    except Failure:
        return False
