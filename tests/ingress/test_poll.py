"""Polled sources: received first, then confirmed, then the cursor; a failing one waits and tells."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest

from router.errors import NotReceived
from router.ingress.poll import LONGEST_PAUSE, PolledSource
from router.ledger import alerts
from router.ledger import identity as table
from router.sdk.connector import Connector, ConnectorConfig, Context
from router.sdk.event import Event
from router.sdk.inbound import Poll, Polled
from router.sdk.outcomes import Receipt
from router.sdk.testing.clock import CountingIds
from tests.ingress.harness import MANIFEST, Rig, emission, ids, texts


class Plain(Connector[ConnectorConfig]):
    """A connector whose inbound side a test gives."""

    manifest = MANIFEST
    config_model = ConnectorConfig

    async def deliver(self, event: Event) -> Receipt:
        return Receipt()


class Partner:
    """A partner with pages, by cursor."""

    def __init__(self, *pages: Sequence[str]) -> None:
        self.pages = pages
        self.fetched: list[str] = []
        self.confirmed: list[str] = []
        self.problem: Exception | None = None
        self.confirm_problem: Exception | None = None

    async def fetch(self, cursor: str) -> Polled:
        self.fetched.append(cursor)
        if self.problem is not None:
            raise self.problem
        at = int(cursor or 0)
        if at >= len(self.pages):
            return Polled((), cursor)

        async def confirm() -> None:
            if self.confirm_problem is not None:
                raise self.confirm_problem
            self.confirmed.append(str(at))

        found = [emission(text, identity=text) for text in self.pages[at]]
        return Polled(found, str(at + 1), confirm, more=at + 1 < len(self.pages))


class Alarms:
    """What was raised, written as the service does."""

    def __init__(self, rig: Rig) -> None:
        self._rig = rig
        self.raised: list[tuple[str, str, str]] = []

    async def __call__(self, name: str, subject: str, detail: str) -> None:
        self.raised.append((name, subject, detail))
        now = self._rig.clock.now()
        await self._rig.ledger.write(lambda conn: alerts.raise_alert(conn, name, subject, detail, now=now))


def source(rig: Rig, partner: Partner, receive: Any = None) -> PolledSource:
    connector = Plain(ConnectorConfig(), Context("one-stop-h39", rig.clock, CountingIds(), objects=None))  # type: ignore[arg-type]
    poll = Poll("changes", 60.0, partner.fetch)
    return PolledSource("one-stop-h39", connector, poll, ledger=rig.ledger, receive=receive or rig.intake.receive)


async def cursor(rig: Rig) -> str:
    return await rig.ledger.read(lambda conn: table.read_cursor(conn, "one-stop-h39", "changes"))


async def turn(polled: PolledSource, rig: Rig, alarms: Alarms) -> float:
    return await polled.turn(rig.clock, CountingIds(), lambda: True, alarms)


async def test_all_pages_are_received_and_confirmed_and_the_cursor_is_kept(rig: Rig) -> None:
    partner = Partner("12", "3")
    assert await turn(source(rig, partner), rig, Alarms(rig)) == 60.0
    assert texts(rig.log()) == ["1", "2", "3"]
    assert partner.confirmed == ["0", "1"]
    assert await cursor(rig) == "2"


async def test_a_successor_goes_on_from_the_saved_cursor(rig: Rig) -> None:
    await turn(source(rig, Partner("12")), rig, Alarms(rig))
    partner = Partner("12", "3")
    await turn(source(rig, partner), rig, Alarms(rig))
    assert partner.fetched == ["1"]


async def test_what_is_not_received_is_neither_confirmed_nor_passed(rig: Rig) -> None:
    async def refuse(*_: Any) -> None:
        raise NotReceived("", "")

    partner, alarms = Partner("12"), Alarms(rig)
    await turn(source(rig, partner, refuse), rig, alarms)
    assert partner.confirmed == []
    assert await cursor(rig) == ""
    assert [name for name, _, _ in alarms.raised] == ["poll_failed"]


async def test_a_confirmation_that_fails_is_repeated_with_the_same_events_under_the_same_ids(rig: Rig) -> None:
    partner, alarms = Partner("1"), Alarms(rig)
    partner.confirm_problem = ConnectionError()
    polled = source(rig, partner)
    await turn(polled, rig, alarms)
    partner.confirm_problem = None
    await turn(polled, rig, alarms)
    assert partner.confirmed == ["0"]
    assert len(ids(rig.log())) == 2
    assert len(set(ids(rig.log()))) == 1


@pytest.mark.parametrize("problem", [ConnectionError("079200001234"), KeyError("MaHoSo")])
async def test_a_failing_source_waits_longer_each_time_and_tells_without_the_partners_words(
    rig: Rig, problem: Exception
) -> None:
    partner, alarms = Partner("1"), Alarms(rig)
    partner.problem = problem
    polled = source(rig, partner)
    pauses = [await turn(polled, rig, alarms) for _ in range(30)]
    assert pauses == sorted(pauses)
    assert pauses[0] < pauses[1]
    assert pauses[-1] <= LONGEST_PAUSE
    assert {raised[2] for raised in alarms.raised} == {type(problem).__name__}


async def test_a_source_that_recovers_clears_its_alert(rig: Rig) -> None:
    partner, alarms = Partner("1"), Alarms(rig)
    partner.problem = ConnectionError()
    polled = source(rig, partner)
    await turn(polled, rig, alarms)
    assert len(await rig.ledger.read(alerts.open_alerts)) == 1
    partner.problem = None
    assert await turn(polled, rig, alarms) == 60.0
    assert await rig.ledger.read(alerts.open_alerts) == []


async def test_a_source_whose_lease_is_lost_stops_between_pages(rig: Rig) -> None:
    partner, answers = Partner("1", "2", "3"), iter([True, False])
    await source(rig, partner).turn(rig.clock, CountingIds(), lambda: next(answers), Alarms(rig))
    assert texts(rig.log()) == ["1"]
