from collections.abc import AsyncIterator

import pytest

from router.ledger import store
from router.ports import Ledger
from router.sdk.testing.clock import ManualClock
from tests.ledger.harness import PARTITIONS, RECIPIENT, in_memory, new_file, opened

KINDS = ["memory", "file", pytest.param("postgres", marks=pytest.mark.postgres)]


@pytest.fixture(params=KINDS)
async def bare(request, tmp_path) -> AsyncIterator[Ledger]:
    """Each kind of ledger, with tables and without a row."""
    if request.param == "memory":
        async with in_memory() as ledger:
            yield ledger
    elif request.param == "file":
        async with opened(await new_file(tmp_path), ManualClock(flows=True)) as ledger:
            yield ledger
    else:
        server = request.getfixturevalue("postgres_server")
        url = await server.fresh()
        async with opened(url, ManualClock(flows=True)) as ledger:
            yield ledger
        await server.drop(url)


@pytest.fixture
async def ledger(bare: Ledger) -> Ledger:
    """Each kind of ledger, with the shards of one recipient."""
    await bare.write(lambda conn: store.register_shards(conn, RECIPIENT, PARTITIONS))
    return bare
