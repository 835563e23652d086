"""A ledger that takes nothing, for as long as that lasts: everything waits, and it is said."""

from __future__ import annotations

from pathlib import Path

from router.errors import LedgerUnavailable
from tests.delivery.installation import FastClock, installation


async def test_an_outage_of_the_ledger_is_told_of_once_and_so_is_its_end(tmp_path: Path) -> None:
    said: list[str] = []
    async with installation(tmp_path, clock=FastClock()) as made:
        service, left = made.service, 5
        honest, service._log = service._commit.commit, lambda event, _facts: said.append(event)

        async def commit(group):
            nonlocal left
            if left:
                left -= 1
                raise LedgerUnavailable("DiskFullError 53100")
            return await honest(group)

        service._commit.commit = commit
        await made.publish(("e1", "A"), ("e2", "A"))
        await made.until(lambda: made.script.taken == ["e1", "e2"])
        assert [word for word in said if word.startswith("ledger")] == ["ledger_unavailable", "ledger_back"]
        assert service.tally.alerts["ledger_unavailable"] == 1
