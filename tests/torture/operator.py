"""The operator of these tests: answers for what only a person may decide, until nothing is left to be delivered."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from contextlib import suppress

from router.errors import LedgerError, OrderRefused
from router.ledger.dead_letters import DeadFilter
from router.ledger.query import Named
from router.ledger.rows import State, Verb
from router.operations import Operations
from tests.torture.installation import PARTNERS, REFUSING, SOURCE, Installation
from tests.torture.load import Sent

LOOK_EVERY = 0.1
WHO = "trực ban"
WHY = "đã hỏi đối tác"


async def settle(made: Installation, sent: Sequence[Sent], *, limit: float) -> None:
    """Wait until all that was received had its effect at every partner and nothing is unfinished in the ledger.

    An uncertain delivery is skipped if the partner has it, and replayed if not. Fails with what is missing.
    """
    try:
        async with asyncio.timeout(limit), made.ledger() as ledger:
            operations = made.operations(ledger)
            while missing(made, sent) or not await quiet(operations):
                await answer(made, operations)
                await asyncio.sleep(LOOK_EVERY)
    except TimeoutError:
        raise AssertionError(f"not delivered in {limit} s: {missing(made, sent)[:20]}\n{made.words()}") from None


async def until_backlog(made: Installation, state: str, count: int, *, limit: float) -> None:
    """Wait until so many deliveries are in this state."""
    async with asyncio.timeout(limit):
        while await backlog(made, state) != count:
            await asyncio.sleep(LOOK_EVERY)


async def attend(made: Installation, over: asyncio.Event) -> None:
    """Decide whatever comes up, until it is over."""
    async with made.ledger() as ledger:
        operations = made.operations(ledger)
        while not over.is_set():
            await answer(made, operations)
            await asyncio.sleep(LOOK_EVERY)


def missing(made: Installation, sent: Sequence[Sent]) -> list[tuple[str, str]]:
    """Deliveries that had no effect yet, and replies that the source has not got, as (recipient, code)."""
    answered = {taken.answers for taken in made.partners[SOURCE].record}
    refusing = made.partners[REFUSING]
    return [
        (name, event.code) for name in PARTNERS for event in sent if not made.partners[name].took(SOURCE, event.id)
    ] + [(SOURCE, event.code) for event in sent if refusing.refuses(event.id) and event.id not in answered]


async def quiet(operations: Operations) -> bool:
    """Whether no delivery is unfinished."""
    try:
        backlogs = (await operations.status()).backlogs
    except LedgerError:
        return False
    return not any(row.waiting or row.calling or row.dead or row.uncertain for row in backlogs)


async def backlog(made: Installation, state: str) -> int:
    """How many deliveries are in this state."""
    async with made.ledger() as ledger:
        rows = (await made.operations(ledger).status()).backlogs
    return sum(int(getattr(row, state)) for row in rows)


async def answer(made: Installation, operations: Operations) -> None:
    """Decide for every uncertain delivery and dead letter there is."""
    try:
        listed = await operations.dead(DeadFilter(), 200)
    except LedgerError:
        return
    await asyncio.gather(*(decide(made, operations, named) for named in listed))


async def decide(made: Installation, operations: Operations, named: Named) -> None:
    """Skip what the partner has, replay what it has not or called malformed; what fails is asked again next time."""
    row = named.delivery
    reason = row.failure.reason if row.failure else ""
    assert row.state is State.UNCERTAIN or reason == "malformed", f"{named.name} is {row.state}: {row.failure}"
    verb = Verb.SKIP if made.partners[named.recipient].took(row.source, row.event_id) else Verb.REPLAY
    with suppress(OrderRefused, LedgerError):
        await operations.order(named.name, verb, who=WHO, why=WHY)
