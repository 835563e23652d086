"""What a partner bears holds for all processes together, whoever owns how much of its shards."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from router.delivery.calls import Recipient
from tests.delivery.installation import PARTITIONS, PARTNER, Scripted, installation, manifest


def recipient(concurrency: int, rate: float) -> Recipient:
    return Recipient(PARTNER, Scripted.__new__(Scripted), manifest(), concurrency, rate)


def pace(made: Recipient) -> float:
    assert made.limiter is not None
    return made.limiter.max_rate / made.limiter.time_period


@given(
    st.lists(st.integers(0, 12), min_size=1, max_size=8).filter(any),
    st.integers(1, 64),
    st.floats(0.01, 500),
)
def test_all_parts_together_are_never_more_than_the_whole(owned: list[int], concurrency: int, rate: float) -> None:
    processes = [recipient(concurrency, rate) for count in owned if count]
    for process, count in zip(processes, filter(None, owned), strict=True):
        process.share(count, sum(owned))
    assert sum(map(pace, processes)) == pytest.approx(rate)
    assert all(1 <= process.ordinary <= process.slots for process in processes)
    for process, count in zip(processes, filter(None, owned), strict=True):
        assert process.slots == max(1, concurrency * count // sum(owned))


async def test_the_parts_follow_the_shards_that_a_process_owns(tmp_path: Path) -> None:
    async with installation(tmp_path) as place:
        mine = place.service.recipients[PARTNER]
        await place.until(lambda: len(place.service.shards) == 2 * PARTITIONS)
        mine.rate = 6.0
        owned = [each for each in place.service.shards.values() if each.shard.recipient == PARTNER]
        place.service.dispatcher.remove(owned[0])
        assert (mine.slots, mine.ordinary, pace(mine)) == (2, 1, pytest.approx(4.0))
        place.service.dispatcher.add(owned[0])
        assert (mine.slots, mine.ordinary, pace(mine)) == (4, 3, pytest.approx(6.0))
