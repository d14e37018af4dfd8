"""The two engines, and the table of numbers, for the tests of stores."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import pytest

from scopegate.store.location import Location
from scopegate.store.store import Store
from scopegate.store.transactions import Announcement, Job, Transaction
from tests import postgresql

ENGINES = ("sqlite", "postgresql")


@pytest.fixture(params=ENGINES)
def location(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Location]:
    """Where a new database is, with nothing in it."""
    if request.param == "sqlite":
        yield tmp_path / "test.db"
        return
    if missing := postgresql.missing():
        pytest.skip(missing)
    yield postgresql.empty_database()


@dataclass(frozen=True)
class Told(Announcement):
    kind: ClassVar[str] = "told"
    x: int


def create(transaction: Transaction) -> None:
    transaction.execute("CREATE TABLE t (x INTEGER UNIQUE)")


def put(x: int) -> Job[None]:
    def job(transaction: Transaction) -> None:
        transaction.execute("INSERT INTO t VALUES (?)", x)

    return job


async def numbers(store: Store) -> list[int]:
    return await store.read(
        lambda reader: [row[0] for row in reader.all("SELECT x FROM t ORDER BY x")]
    )
