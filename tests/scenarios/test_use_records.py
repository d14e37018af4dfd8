"""Uses of tokens are written a few at a time, and none is lost."""

import asyncio
from functools import partial

import pytest

from scopegate.gateway.access.use_records import WRITTEN_TOGETHER
from scopegate.store.errors import StoreUnavailableError
from scopegate.store.transactions import Snapshot, Transaction
from scopegate.testing import World


def _written(reader: Snapshot) -> int:
    row = reader.single("SELECT count(*), sum(uses) FROM token_uses WHERE address LIKE '10.0.0.%'")
    assert row[0] == (row[1] or 0)  # each was used once
    return int(row[0])


async def _used_from_everywhere(world: World) -> int:
    """Use a token for two calls from each of a hundred addresses; return how many uses that is."""
    token = await world.token("read")
    for number in range(100):
        client = world.connect(address=f"10.0.0.{number}")
        await client.authorize(token)
        await client.ask({"balance": 1})
        client.leave()
    return 200


async def test_a_write_does_not_wait_until_all_uses_are_written(world: World) -> None:
    uses = await _used_from_everywhere(world)

    _, at_once = await asyncio.gather(
        world.gateway.access.records.flush(), world.gateway.store.write(_written)
    )
    assert at_once <= WRITTEN_TOGETHER
    assert await world.gateway.store.write(_written) == uses


@pytest.mark.sqlite  # a limit of SQLite is the fault
async def test_a_disk_that_is_full_amid_uses_loses_none_of_them(world: World) -> None:
    store, records = world.gateway.store, world.gateway.access.records

    def limit(pages: int, transaction: Transaction) -> None:
        transaction.execute(f"PRAGMA max_page_count = {pages}")

    uses = await _used_from_everywhere(world)
    pages = await store.write(lambda transaction: transaction.single("PRAGMA page_count")[0])
    await store.write(partial(limit, pages + 1))
    with pytest.raises(StoreUnavailableError):
        await records.flush()
    assert 0 < await store.read(_written) < uses
    await store.write(partial(limit, 1_000_000))
    await records.flush()
    assert await store.read(_written) == uses
