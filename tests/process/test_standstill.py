"""A process that stands still for five seconds goes on; `tests.hostile.stop` takes a minute."""

import pytest

from tests.hostile.stop import process_stands_still
from tests.served import Served

pytestmark = pytest.mark.sqlite

SECONDS = 5.0


@pytest.mark.lengthy
async def test_a_process_that_stands_still_loses_nothing(served: Served) -> None:
    await process_stands_still(served, SECONDS)
