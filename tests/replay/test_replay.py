"""Replays from plan to report, on a running delivery: frozen once, ordered once, in lane order, whatever is killed."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from itertools import count
from types import SimpleNamespace

import pytest
from sqlalchemy import func, select

import router.replay.planner as planner_module
from router.clock import SystemClock
from router.errors import LedgerUnavailable, OrderRefused
from router.ledger.dead_letters import DeadFilter
from router.ledger.replays import ItemState, ReplayState
from router.ledger.rows import Verb
from router.ledger.tables import audit as audit_table
from router.ledger.tables import orders
from router.replay.desk import Plan, ReplayDesk
from router.replay.planner import Planner
from router.replay.runner import ReplayRunner
from router.sdk import Invalid
from tests.delivery.installation import PARTNER, Script, installation

DOSSIERS = [f"H39-{n}" for n in range(12)]
MADE = Plan("an", "đối tác đã sửa")


class EverythingFine:
    """Today's view of a release in which everything can be sent."""

    def unreadable(self, body):
        return ""

    def routed_to(self, body):
        return [PARTNER]

    def operation(self, recipient, event_type):
        from tests.delivery.installation import manifest

        return manifest().operations[0]

    async def unprepared(self, recipient, delivery, body):
        return ""


class FirstBreaks(EverythingFine):
    """The first event of a dossier cannot be prepared."""

    async def unprepared(self, recipient, delivery, body):
        return "thiếu thửa đất" if body.value.endswith(b"/0") else ""


class Place:
    """A running installation with dead letters, and the means to replay them."""

    def __init__(self, inner, script):
        self.inner, self.script = inner, script
        clock = SystemClock()
        planner = Planner(inner.ledger, clock, EverythingFine())
        self.desk = ReplayDesk(inner.ledger, clock, planner)
        self.runner = ReplayRunner(inner.ledger, inner.service._ownership, clock)
        self.stopping = False

    async def plan(self, **changes):
        from dataclasses import replace

        return await self.desk.plan(replace(MADE, **changes), lambda _: None)

    async def start(self, plan_id):
        return await self.desk.start(plan_id, who="an", why="bắt đầu")

    async def until(self, plan_id, *states):
        async with asyncio.timeout(10):
            while True:
                await self.runner.turn()
                seen = await self.desk.status(plan_id)
                if seen.replay.state in states:
                    return seen
                await asyncio.sleep(0.01)


@asynccontextmanager
async def dead(tmp_path, dossiers=DOSSIERS, answers=1):
    """An installation in which the first event of every dossier is dead, with two more parked behind it."""
    script = Script()
    for dossier in dossiers:
        script.answers[f"{dossier}/0"] = [Invalid("malformed", code="07") for _ in range(answers)]
    async with installation(tmp_path, script=script) as inner:
        await inner.publish(*[(f"{dossier}/{n}", dossier) for n in range(3) for dossier in dossiers])
        for dossier in dossiers:
            await inner.settled(f"{dossier}/0", "dead")
        yield Place(inner, script)


async def test_a_replay_sends_every_item_once_and_what_is_parked_behind_follows_in_order(tmp_path):
    async with dead(tmp_path) as place:
        plan_id = await place.plan(canary=(1, 5))
        await place.start(plan_id)
        seen = await place.until(plan_id, ReplayState.FINISHED)
        assert seen.counts == {"done": len(DOSSIERS)}
        await place.inner.until(lambda: len(place.script.taken) == 3 * len(DOSSIERS))
        for dossier in DOSSIERS:
            assert [e for e in place.script.taken if e.startswith(f"{dossier}/")] == [
                f"{dossier}/{n}" for n in range(3)
            ]


async def test_the_list_is_frozen_what_dies_later_is_not_in_it(tmp_path):
    async with dead(tmp_path) as place:
        plan_id = await place.plan()
        place.script.answers["late/0"] = [Invalid("malformed", code="07")]
        await place.inner.publish(("late/0", "late"))
        await place.inner.settled("late/0", "dead")
        await place.start(plan_id)
        await place.until(plan_id, ReplayState.FINISHED)
        _, late = await place.inner.delivery("late/0")
        assert late.state.value == "dead"


async def test_it_stops_by_itself_when_the_old_cause_comes_back(tmp_path):
    async with dead(tmp_path, answers=2) as place:
        plan_id = await place.plan(canary=(2,))
        await place.start(plan_id)
        seen = await place.until(plan_id, ReplayState.STOPPED)
        assert "came back" in seen.replay.note
        assert seen.counts["left"] >= len(DOSSIERS) - 2
        assert seen.counts["failed"] >= 1
        again = await place.plan()
        assert (await place.desk.status(again)).replay.items == len(DOSSIERS)


async def test_a_delivery_is_in_one_replay_at_a_time(tmp_path):
    async with dead(tmp_path) as place:
        first = await place.plan()
        second = await place.plan()
        assert (await place.desk.status(first)).replay.items == len(DOSSIERS)
        left_out = await place.desk.status(second)
        assert (left_out.replay.items, left_out.counts) == (0, {"refused": len(DOSSIERS)})
        assert {item.result for item in await place.desk.items(second)} == {f"in the hands of replay {first}"}
        name, _ = await place.inner.delivery("H39-3/0")
        with pytest.raises(OrderRefused, match=f"in the hands of replay {first}"):
            await place.plan(names=[name])


async def test_pause_counts_from_the_next_item_and_resume_goes_on(tmp_path):
    async with dead(tmp_path) as place:
        plan_id = await place.plan(canary=(1, 1, 1))
        await place.start(plan_id)
        await place.runner.turn()
        await place.desk.pause(plan_id, who="bình", why="chờ")
        for _ in range(5):
            await place.runner.turn()
        counts = (await place.desk.status(plan_id)).counts
        assert counts["waiting"] == len(DOSSIERS) - 1
        await place.start(plan_id)
        await place.until(plan_id, ReplayState.FINISHED)


async def test_cancelling_leaves_the_rest_dead(tmp_path):
    async with dead(tmp_path) as place:
        plan_id = await place.plan(canary=(1,))
        await place.start(plan_id)
        await place.runner.turn()
        await place.desk.cancel(plan_id, who="an", why="nhầm nhóm")
        assert (await place.desk.status(plan_id)).counts["left"] == len(DOSSIERS) - 1
        with pytest.raises(OrderRefused, match="is cancelled"):
            await place.start(plan_id)


async def test_of_two_operators_at_once_one_wins_and_the_other_is_told(tmp_path):
    async with dead(tmp_path) as place:
        plan_id = await place.plan()
        both = await asyncio.gather(
            place.desk.start(plan_id, who="an", why="a"),
            place.desk.start(plan_id, who="bình", why="b"),
            return_exceptions=True,
        )
        refused = [each for each in both if isinstance(each, OrderRefused)]
        assert len(refused) == 1
        assert str(refused[0]) == f"replay {plan_id} is running: it cannot become running"


async def test_a_runner_that_dies_between_two_writes_orders_nothing_twice(tmp_path):
    async with dead(tmp_path) as place:
        plan_id = await place.plan(canary=(3,))
        await place.start(plan_id)
        write, calls = place.inner.ledger.write, 0

        async def dying(work):
            nonlocal calls
            calls += 1
            if calls % 3 == 0:
                raise LedgerUnavailable("killed before")
            answer = await write(work)
            if calls % 5 == 0:
                raise LedgerUnavailable("killed behind")
            return answer

        for _ in range(40):
            runner = ReplayRunner(place.inner.ledger, place.inner.service._ownership, SystemClock())
            place.inner.ledger.write = dying
            try:
                await runner.turn()
            except LedgerUnavailable:
                pass
            finally:
                place.inner.ledger.write = write
            await asyncio.sleep(0.01)
        await place.until(plan_id, ReplayState.FINISHED)
        made = await place.inner.ledger.read(
            lambda conn: conn.execute(select(orders.c.seq, orders.c.shard, func.count()).group_by("shard", "seq")).all()
        )
        assert len(made) == len(DOSSIERS)
        assert {row[2] for row in made} == {1}
        assert sorted(e for e in place.script.taken if e.endswith("/0")) == sorted(f"{d}/0" for d in DOSSIERS)


async def test_an_interrupted_plan_is_visible_cannot_be_started_and_can_be_gone_on_with(tmp_path):
    async with dead(tmp_path) as place:
        planner = Planner(place.inner.ledger, SystemClock(), EverythingFine())

        async def killed(*_):
            raise ConnectionError("killed")

        planner.dry_run = killed
        with pytest.raises(ConnectionError):
            await ReplayDesk(place.inner.ledger, SystemClock(), planner).plan(MADE, lambda _: None)
        (seen,) = await place.desk.listed(10)
        assert seen.replay.state is ReplayState.FREEZING
        with pytest.raises(OrderRefused, match="is freezing"):
            await place.start(seen.replay.id)
        await place.desk.plan_on(seen.replay.id, lambda _: None)
        after = await place.desk.status(seen.replay.id)
        assert (after.replay.state, after.replay.items) == (ReplayState.PLANNED, len(DOSSIERS))


@pytest.mark.parametrize("by_name", [True, False])
async def test_a_plan_killed_at_any_write_is_gone_on_with_to_the_whole_list(tmp_path, monkeypatch, by_name):
    monkeypatch.setattr(planner_module, "PAGE", 3)
    async with dead(tmp_path) as place:
        names = [(await place.inner.delivery(f"{dossier}/0"))[0] for dossier in reversed(DOSSIERS)]
        asked = {"names": names} if by_name else {}
        honest = place.desk
        for fatal in range(2, 20):
            ledger = killing(place.inner.ledger, fatal)
            place.desk = ReplayDesk(ledger, SystemClock(), Planner(ledger, SystemClock(), EverythingFine()))
            try:
                plan_id = await place.plan(**asked)
            except ConnectionError:
                place.desk = honest
                (seen, *_) = await place.desk.listed(1)
                plan_id = seen.replay.id
                assert seen.replay.state is ReplayState.FREEZING
                await place.desk.plan_on(plan_id, lambda _: None)
            else:
                break
            items = await place.desk.items(plan_id)
            assert sorted(item.name for item in items) == sorted(names)
            assert [(item.shard, item.seq) for item in items] == sorted((item.shard, item.seq) for item in items)
            assert all(item.safe for item in items)
            await place.desk.cancel(plan_id, who="an", why="lại từ đầu")
        assert fatal > 8  # create, four pages frozen, four examined


def killing(ledger, fatal):
    """The ledger of a process that is killed just before its ``fatal``-th write."""
    calls = count(1)

    async def killed(work):
        if next(calls) >= fatal:
            raise ConnectionError("killed")
        return await ledger.write(work)

    return SimpleNamespace(read=ledger.read, write=killed)


@asynccontextmanager
async def both_dead(tmp_path):
    """Two dead letters in one lane: the first was skipped, and restored when the second was dead."""
    script = Script()
    for n in (0, 1):
        script.answers[f"H39-1/{n}"] = [Invalid("malformed", code="07")]
    async with installation(tmp_path, script=script) as inner:
        await inner.publish(*[(f"H39-1/{n}", "H39-1") for n in range(3)])
        await inner.settled("H39-1/0", "dead")
        first, _ = await inner.delivery("H39-1/0")
        await inner.operations.order(first, Verb.SKIP, who="an", why="thử")
        await inner.settled("H39-1/1", "dead")
        await inner.operations.order(first, Verb.RESTORE, who="an", why="gửi cả hai")
        second, _ = await inner.delivery("H39-1/1")
        yield Place(inner, script), first, second


async def test_two_dead_letters_of_a_lane_go_out_one_after_the_other(tmp_path):
    async with both_dead(tmp_path) as (place, first, second):
        plan_id = await place.plan(names=[second, first])
        assert [(item.name, item.safe) for item in await place.desk.items(plan_id)] == [(first, True), (second, True)]
        await place.start(plan_id)
        seen = await place.until(plan_id, ReplayState.FINISHED)
        assert seen.counts == {"done": 2}
        await place.inner.until(lambda: len(place.script.taken) == 3)
        assert place.script.taken == [f"H39-1/{n}" for n in range(3)]


async def test_behind_an_item_that_is_left_out_nothing_of_its_lane_is_safe(tmp_path):
    async with both_dead(tmp_path) as (place, first, second):
        planner = Planner(place.inner.ledger, SystemClock(), FirstBreaks())
        place.desk = ReplayDesk(place.inner.ledger, SystemClock(), planner)
        items = await place.desk.items(await place.plan())
        assert [(item.name, item.safe) for item in items] == [(first, False), (second, False)]
        assert items[1].findings[0]["code"] == "not_head"


@pytest.mark.parametrize("end", ["cancel", "pause"])
async def test_what_is_ordered_when_a_replay_ends_is_settled_and_free_again(tmp_path, end):
    async with dead(tmp_path, answers=2) as place:
        plan_id = await place.plan(canary=(4,))
        await place.start(plan_id)
        await place.runner.turn()
        await getattr(place.desk, end)(plan_id, who="an", why="nhầm")
        async with asyncio.timeout(10):
            while (await place.desk.status(plan_id)).counts.get("ordered"):
                await place.runner.turn()
                await asyncio.sleep(0.01)
        assert (await place.desk.status(plan_id)).counts["failed"] == 4
        if end == "pause":
            await place.desk.cancel(plan_id, who="an", why="nhầm")
        again = await place.plan()
        assert (await place.desk.status(again)).replay.items == len(DOSSIERS)


async def test_an_item_that_changed_meanwhile_is_refused_with_the_reason(tmp_path):
    async with dead(tmp_path) as place:
        plan_id = await place.plan()
        name, _ = await place.inner.delivery("H39-0/0")
        await place.inner.operations.replay(name, who="bình", why="gấp", body=None)
        await place.inner.settled("H39-0/0", "delivered")
        await place.start(plan_id)
        seen = await place.until(plan_id, ReplayState.FINISHED)
        assert seen.counts == {"done": len(DOSSIERS) - 1, "refused": 1}
        (item,) = [each for each in await place.desk.items(plan_id) if each.state is ItemState.REFUSED]
        assert "changed meanwhile" in item.result


async def test_the_pace_bounds_how_many_go_out(tmp_path):
    async with dead(tmp_path) as place:
        plan_id = await place.plan(canary=(), rate=1.0)
        await place.start(plan_id)
        await place.runner.turn()
        await asyncio.sleep(0.05)
        await place.runner.turn()
        counts = (await place.desk.status(plan_id)).counts
        assert counts.get("waiting", 0) >= len(DOSSIERS) - 1


async def test_a_filter_chooses_by_text_code_and_partner(tmp_path):
    async with dead(tmp_path) as place:
        plan_id = await place.plan(wanted=DeadFilter(subject="H39-4", partner_code="07"))
        (item,) = await place.desk.items(plan_id)
        assert (item.safe, [finding["code"] for finding in item.findings]) == (True, ["natural_key"])
        assert (await place.desk.status(await place.plan(wanted=DeadFilter(partner_code="99")))).replay.items == 0


async def test_everything_an_operator_does_stands_in_the_audit_table(tmp_path):
    async with dead(tmp_path) as place:
        plan_id = await place.plan()
        await place.start(plan_id)
        await place.until(plan_id, ReplayState.FINISHED)
        rows = await place.inner.ledger.read(
            lambda conn: conn.execute(select(audit_table.c.verb, audit_table.c.who, audit_table.c.why)).all()
        )
        verbs = [row.verb for row in rows]
        assert verbs[:2] == ["replay_plan", "replay_start"]
        assert verbs[2:] == ["replay"] * len(DOSSIERS)
        assert {row.why for row in rows[2:]} == {f"replay {plan_id}: đối tác đã sửa"}
