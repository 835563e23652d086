"""A broker and a database of these tests' own, since they are killed."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass

import pytest

from tests.parts.kafka import Broker, PartMissing, own_broker
from tests.parts.postgres import Cluster, own_cluster


@dataclass
class Parts:
    """The two, and the database of the one installation that all tests share."""

    broker: Broker
    cluster: Cluster
    database: str = ""

    async def address(self) -> dict[str, str]:
        """Bus and ledger as the configuration names them."""
        if not self.database:
            self.database = await self.cluster.server.fresh()
        return {"bus": f"kafka://{self.broker.bootstrap}", "ledger": self.database}


@pytest.fixture(scope="session")
def parts() -> Iterator[Parts]:
    """A broker and a database, running. A missing part skips the test; with ``CI=true`` it fails."""
    with ExitStack() as stack:
        try:
            made = Parts(stack.enter_context(own_broker()), stack.enter_context(own_cluster()))
        except PartMissing as missing:
            if os.environ.get("CI") == "true":
                pytest.fail(str(missing))
            pytest.skip(str(missing))
        yield made
