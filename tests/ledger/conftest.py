import asyncio
from collections.abc import AsyncIterator, Iterator

import asyncpg
import pytest

from router.ledger import store
from router.ledger.schema import metadata
from router.ports import Ledger
from router.sdk.testing.clock import ManualClock
from tests.ledger.harness import PARTITIONS, RECIPIENT, in_memory, new_file, opened
from tests.parts.postgres import Server

KINDS = ["memory", "file", pytest.param("postgres", marks=pytest.mark.postgres)]


class Emptied:
    """One database for many tests, emptied before each: far cheaper than a new one. Ids go on counting."""

    def __init__(self, server: Server) -> None:
        self._server = server
        self.url = ""

    async def empty(self) -> str:
        """Its URL, without a row."""
        if not self.url:
            self.url = await self._server.fresh()
        connection = await asyncpg.connect(self.url)
        await connection.execute(";".join(f'DELETE FROM "{table}"' for table in metadata.tables))
        await connection.close()
        return self.url


@pytest.fixture(scope="session")
def emptied(postgres_server: Server) -> Iterator[Emptied]:
    """A database that tests share one after the other."""
    shared = Emptied(postgres_server)
    yield shared
    if shared.url:
        asyncio.run(postgres_server.drop(shared.url))


@pytest.fixture(params=KINDS)
async def bare(request, tmp_path) -> AsyncIterator[Ledger]:
    """Each kind of ledger, with tables and without a row."""
    if request.param == "memory":
        async with in_memory() as ledger:
            yield ledger
        return
    url = await request.getfixturevalue("emptied").empty() if request.param == "postgres" else new_file(tmp_path)
    async with opened(url, ManualClock(flows=True)) as ledger:
        yield ledger


@pytest.fixture
async def ledger(bare: Ledger) -> Ledger:
    """Each kind of ledger, with the shards of one recipient."""
    await bare.write(lambda conn: store.register_shards(conn, RECIPIENT, PARTITIONS))
    return bare
