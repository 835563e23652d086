"""Durable before answered, in the order of arrival, and nothing newer around a failure."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from router.bus.memory import Fault, Faults
from router.errors import BadRequest, CommitUnknown, LedgerUnavailable, NotReceived, RowRefused
from router.events import LGSP_DIGEST, TopicPartition, header, key_of, partition_of
from router.ingress.identity import identify
from router.ingress.intake import SLICE, Intake
from router.ledger import query
from router.ledger.engine import SqliteLedger
from router.sdk.inbound import DOSSIER_CODE
from tests.ingress.harness import MANIFEST, OWNER_KEY, PARTITIONS, Rig, emission, encode, ids, notice, texts


class Planned(Faults):
    """Fails the publishes that a list says, per call and partition; then none."""

    def __init__(self, *faults: Fault | None) -> None:
        self.faults = list(faults)
        self.is_down = False
        self.asked: list[tuple[TopicPartition, int]] = []

    def publish(self, partition: TopicPartition, count: int) -> Fault | None:
        self.asked.append((partition, count))
        return self.faults.pop(0) if self.faults else None

    def down(self) -> bool:
        return self.is_down


def codes(count: int, *, same_partition: bool) -> list[str]:
    """Codes whose keys share a partition, or have one each."""
    found: dict[int, list[str]] = {}
    for n in range(1000):
        code = f"H39.16-250616-{n:04d}"
        found.setdefault(partition_of(key_of(DOSSIER_CODE, code).bytes, PARTITIONS), []).append(code)
    return found[0][:count] if same_partition else [found[n][0] for n in range(count)]


async def test_fifty_requests_at_once_of_one_dossier_keep_the_order_of_arrival(rig: Rig) -> None:
    wanted = [str(n) for n in range(50)]
    await asyncio.gather(*(rig.receive(emission(text)) for text in wanted))
    assert texts(rig.log()) == wanted


async def test_requests_at_once_share_publishes(rig: Rig) -> None:
    rig.bus.faults = planned = Planned()
    await asyncio.gather(*(rig.receive(emission(str(n))) for n in range(50)))
    assert len(planned.asked) == 1


async def test_a_request_longer_than_a_slice_goes_in_slices_and_in_order(rig: Rig) -> None:
    wanted = [str(n) for n in range(SLICE * 2 + 5)]
    await asyncio.gather(rig.receive(*(emission(text) for text in wanted)), rig.receive(emission("after")))
    assert texts(rig.log()) == [*wanted, "after"]
    assert rig.intake.slices == 3


async def test_an_answer_lost_after_the_publish_makes_the_partner_send_again_under_the_same_id(rig: Rig) -> None:
    rig.bus.faults = Planned(Fault(durable=1, told=0))
    with pytest.raises(NotReceived):
        await rig.receive(emission("4"))
    await rig.receive(emission("4"))
    first, again = rig.log()
    assert ids([first]) == ids([again])
    assert header(first.headers, LGSP_DIGEST) == header(again.headers, LGSP_DIGEST)


async def test_a_process_that_dies_between_publish_and_answer_leaves_the_id_to_its_successor(rig: Rig) -> None:
    await rig.receive(emission("4"))
    successor = rig.another()
    await successor.receive(emission("4"))
    assert len(set(ids(rig.log()))) == 1
    await successor.intake.close()


async def test_a_failed_publish_fails_the_requests_in_it_and_the_next_ones_go_through(rig: Rig) -> None:
    rig.bus.faults = Planned(Fault(durable=0, told=0))
    failed = await asyncio.gather(*(rig.receive(emission(t)) for t in ("1", "2")), return_exceptions=True)
    assert [type(each) for each in failed] == [NotReceived, NotReceived]
    await rig.receive(emission("3"))
    assert texts(rig.log()) == ["3"]


async def test_what_is_known_to_be_durable_in_front_of_a_failure_is_received(rig: Rig) -> None:
    rig.bus.faults = Planned(Fault(durable=2, told=2))
    results = await asyncio.gather(*(rig.receive(emission(t)) for t in ("1", "2", "3")), return_exceptions=True)
    assert [type(each) for each in results] == [type(None), type(None), NotReceived]
    assert texts(rig.log()) == ["1", "2"]


async def test_a_failed_partition_does_not_fail_requests_of_others(rig: Rig) -> None:
    first, second = codes(2, same_partition=False)
    rig.bus.faults = Planned(Fault(durable=0, told=0), None)
    results = await asyncio.gather(
        rig.receive(emission("1", first)), rig.receive(emission("2", second)), return_exceptions=True
    )
    assert [type(each) for each in results] == [NotReceived, type(None)]


async def test_a_request_is_received_only_when_all_of_it_is(rig: Rig) -> None:
    first, second = codes(2, same_partition=False)
    rig.bus.faults = Planned(None, Fault(durable=0, told=0))
    with pytest.raises(NotReceived):
        await rig.receive(emission("1", first), emission("2", second))


async def test_a_slice_that_fails_ends_its_request_and_nothing_of_it_follows(rig: Rig) -> None:
    rig.bus.faults = Planned(Fault(durable=0, told=0))
    with pytest.raises(NotReceived):
        await rig.receive(*(emission(str(n)) for n in range(SLICE * 3)))
    assert rig.log() == []


async def test_a_request_is_not_received_while_a_later_slice_of_it_can_fail(rig: Rig) -> None:
    rig.bus.faults = Planned(None, Fault(durable=0, told=0))
    with pytest.raises(NotReceived):
        await rig.receive(*(emission(str(n)) for n in range(SLICE + 1)))


async def test_a_broker_that_comes_back_is_used_again(rig: Rig) -> None:
    rig.bus.faults = planned = Planned()
    planned.is_down = True
    with pytest.raises(NotReceived):
        await rig.receive(emission("1"))
    planned.is_down = False
    await rig.receive(emission("1"))
    assert texts(rig.log()) == ["1"]


async def test_an_event_that_waits_is_received_while_the_bus_is_away(rig: Rig) -> None:
    rig.bus.faults = planned = Planned()
    planned.is_down = True
    await rig.receive(notice("1"))
    assert await rig.ledger.read(query.unsettled) == (0, 1)
    planned.is_down = False
    assert rig.log() == []


class FailingLedger:
    """The ledger of a test, whose next write fails."""

    def __init__(self, ledger: SqliteLedger, error: Exception, *, committed: bool) -> None:
        self._ledger, self._error, self._committed = ledger, error, committed
        self.failed = False

    async def open(self) -> None: ...
    async def close(self) -> None: ...

    async def read(self, work: Callable[[Any], Any]) -> Any:
        return await self._ledger.read(work)

    async def write(self, work: Callable[[Any], Any]) -> Any:
        if self.failed:
            return await self._ledger.write(work)
        self.failed = True
        if self._committed:
            await self._ledger.write(work)
        raise self._error


@pytest.mark.parametrize(
    ("error", "committed"),
    [(LedgerUnavailable("away"), False), (CommitUnknown("?"), False), (CommitUnknown("?"), True)],
)
async def test_a_ledger_that_fails_or_leaves_its_commit_open_costs_one_repetition_under_the_same_id(
    rig: Rig, error: Exception, committed: bool
) -> None:
    ledger = FailingLedger(rig.ledger, error, committed=committed)
    intake = Intake(rig.bus, ledger, rig.clock, encode, partitions=PARTITIONS, owner_key=OWNER_KEY)
    with pytest.raises(NotReceived):
        await intake.receive("s", MANIFEST, [emission("4")])
    assert rig.log() == []
    await intake.receive("s", MANIFEST, [emission("4")])
    await intake.receive("s", MANIFEST, [emission("4")])
    assert len(set(ids(rig.log()))) == 1
    await intake.close()


async def test_a_row_the_ledger_refuses_fails_its_own_request_alone(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse_bad(conn: Any, requests: Any, *, now: int) -> Any:
        if any(draft.emission.original == b"bad" for _, drafts in requests for draft in drafts):
            raise RowRefused("refused by the database")
        return identify(conn, requests, now=now)

    monkeypatch.setattr("router.ingress.intake.identify", refuse_bad)
    results = await asyncio.gather(*(rig.receive(emission(t)) for t in ("good", "bad", "too")), return_exceptions=True)
    assert [type(each) for each in results] == [type(None), BadRequest, type(None)]
    assert texts(rig.log()) == ["good", "too"]


async def test_a_defect_reaches_the_request_and_leaves_none_waiting(rig: Rig) -> None:
    ledger = FailingLedger(rig.ledger, ZeroDivisionError(), committed=False)
    intake = Intake(rig.bus, ledger, rig.clock, encode, partitions=PARTITIONS, owner_key=OWNER_KEY)
    with pytest.raises(ZeroDivisionError):
        await intake.receive("s", MANIFEST, [emission("4")])
    await intake.receive("s", MANIFEST, [emission("5")])
    assert texts(rig.log()) == ["5"]
    await intake.close()


async def test_a_caller_that_gives_up_does_not_disturb_the_others(rig: Rig) -> None:
    given_up, other = asyncio.create_task(rig.receive(emission("1"))), asyncio.create_task(rig.receive(emission("2")))
    await asyncio.sleep(0)
    given_up.cancel()
    await other
    assert texts(rig.log()) == ["1", "2"]


async def test_a_failure_after_a_caller_gave_up_does_not_disturb_the_others(rig: Rig) -> None:
    rig.bus.faults = Planned(Fault(durable=0, told=0))
    given_up, other = asyncio.create_task(rig.receive(emission("1"))), asyncio.create_task(rig.receive(emission("2")))
    await asyncio.sleep(0)
    given_up.cancel()
    with pytest.raises(NotReceived):
        await other
    await rig.receive(emission("3"))
    assert texts(rig.log()) == ["3"]


async def test_a_closed_intake_takes_nothing(rig: Rig) -> None:
    await rig.intake.close()
    with pytest.raises(NotReceived):
        await rig.receive(emission())


async def _unreachable(*_: object) -> None:
    raise LedgerUnavailable("gone")


async def test_a_request_without_events_needs_neither_bus_nor_ledger(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    rig.bus.faults = planned = Planned()
    planned.is_down = True
    monkeypatch.setattr(rig.ledger, "write", _unreachable)
    await rig.receive()
    assert (planned.asked, rig.intake.slices) == ([], 0)
