"""Attacks end at their limits, and good clients are answered; `tests.hostile.mix` measures them."""

import asyncio
from contextlib import AsyncExitStack
from urllib.parse import urlsplit

import pytest

from tests.hostile.attacks import ATTACKS, Attacking, Target
from tests.hostile.good_clients import GoodClients
from tests.hostile.mix import OPTIONS, complaints, people
from tests.memory_folder import memory_folder
from tests.served import Served
from tests.stores import run_once

pytestmark = [pytest.mark.timeout(600), pytest.mark.sqlite]


@pytest.mark.lengthy
async def test_every_attack_meets_its_limits_and_good_clients_are_answered() -> None:
    # In memory, as the command measures it: a disk that stalls is not the attackers' doing.
    with memory_folder() as folder, Served(folder, *OPTIONS) as served:
        good_tokens, attacking_tokens = await asyncio.to_thread(run_once, served.db, people)
        port = urlsplit(served.url).port
        assert port is not None
        async with AsyncExitStack() as stack:
            good = await stack.enter_async_context(GoodClients(port, good_tokens))
            for name in ATTACKS:
                async with Attacking(name, Target(port, attacking_tokens)) as attack:
                    await attack.meets_its_limits()
                assert not [each for each in attack.seen if each.startswith("InternalServerError")]
            assert good.problems == []
            assert good.answered > len(ATTACKS)
        assert await asyncio.to_thread(served.stop) == 0
        assert complaints(served) == ""
