"""Money that waits, from the command line of an installation whose service does not run."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

import pytest
from click.testing import Result
from typer.testing import CliRunner

from router.cli.main import app
from router.clock import SystemClock
from tests.ledger.harness import new_file, opened
from tests.ledger.test_money_orders import ID, suspended


def lgsp(*words: str) -> Result:
    return CliRunner().invoke(app, words)


@pytest.fixture
def waiting(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LGSP_DATA", str(tmp_path))
    monkeypatch.setenv("LGSP_PROCEDURES__ENABLED", "true")
    monkeypatch.chdir(tmp_path)

    async def fill() -> None:
        async with opened(new_file(tmp_path), SystemClock()) as ledger:
            await suspended(ledger)

    asyncio.run(fill())


@pytest.mark.usefixtures("waiting")
def test_it_is_listed_masked_released_and_then_gone() -> None:
    (row,) = json.loads(lgsp("payments", "suspended", "--json").output)
    assert (row["suspended"], row["reason"], row["open_notices"]) == (1_000, "amount_mismatch", {"TB-1/CCT": 900})
    assert "079123456789" not in str(row)
    refused = lgsp("payments", "release", ID, row["id"], "TB-9", "--reason", "x")
    assert (refused.exit_code, "there is no notice TB-9" in refused.output) == (1, True)
    done = lgsp("payments", "release", ID, row["id"], "TB-1/CCT", "--reason", "đã đối chiếu")
    assert (done.exit_code, "applied here" in done.output) == (0, True)
    assert "No money waits." in lgsp("payments", "suspended").output
    assert lgsp("payments", "refund", ID, row["id"], "--reason", "x").exit_code == 1
