"""`scopegate serve --market`: one process, several workers, restarts, and files that are wrong."""

import asyncio
import os
import signal
import sys
from pathlib import Path
from typing import Any

import pytest

from tests import stores
from tests.scenarios.test_own_markets import CALL, FIRST, ticks, written
from tests.served import PATIENCE, Served, SocketClient, scopegate, serving

OPTIONS = ("--market", "OWN_X=ticks.csv", "--seed", "own")


async def ask(client: SocketClient, **request: Any) -> Any:
    """The body of a reply that is no error."""
    reply = await client.ask(request)
    assert "error" not in reply, (request, reply["error"])
    return reply[reply["msg_type"]]


async def test_the_market_begins_at_the_first_tick_and_goes_on_after_a_restart(
    tmp_path: Path,
) -> None:
    prices = ticks()
    written(tmp_path / "ticks.csv", prices)
    with serving(tmp_path, *OPTIONS, "--speed", "20") as gateway:
        async with gateway.connected() as client:
            await client.authorize(gateway.token)
            shown = await ask(client, ticks="OWN_X", subscribe=1)
            assert FIRST <= shown["epoch"] < FIRST + 1_200
            assert shown["quote"] == float(prices[shown["epoch"]])
            call = {**CALL, "duration": 5, "duration_unit": "t"}
            bought = await ask(client, buy=1, price=10, parameters=call, subscribe=1)
            while True:
                message = await client.next()
                contract = message.get("proposal_open_contract", {})
                if contract.get("is_sold"):
                    break
            assert contract["exit_tick_display_value"] == prices[contract["exit_tick_time"]]
        assert gateway.stop() == 0
        gateway.command("check")
        gateway.start()
        async with gateway.connected() as client:
            await client.authorize(gateway.token)
            held = await ask(client, proposal_open_contract=1, contract_id=bought["contract_id"])
            assert held["exit_tick"] == contract["exit_tick"]
            assert (await ask(client, ticks="OWN_X"))["epoch"] > shown["epoch"]


@pytest.mark.lengthy
@pytest.mark.sqlite
@pytest.mark.skipif(sys.platform != "linux", reason="worker processes need Linux")
async def test_workers_and_their_replacements_have_the_same_market(tmp_path: Path) -> None:
    prices = ticks()
    written(tmp_path / "ticks.csv", prices)
    with Served(tmp_path, *OPTIONS, "--speed", "20", "--workers", "2") as gateway:
        for kill in (True, False):
            seen: set[int] = set()
            for _ in range(8):
                async with gateway.connected() as client:
                    await client.authorize(gateway.token)
                    call = {**CALL, "duration": 5, "duration_unit": "t"}
                    await ask(client, buy=1, price=10, parameters=call)
                    history = await ask(client, ticks_history="OWN_X", end="latest", count=50)
                    for epoch, quote in zip(history["times"], history["prices"], strict=True):
                        assert quote == float(prices[epoch])
                        seen.add(epoch)
            assert seen
            if kill:
                first = gateway.workers()
                os.kill(first[1], signal.SIGKILL)
                await until_replaced(gateway, first[1])


async def until_replaced(gateway: Served, pid: int) -> None:
    """Wait until another worker serves in the place of this one."""
    async with asyncio.timeout(PATIENCE):
        while len(set(gateway.workers()) - {pid}) < 2:
            async with gateway.connected() as client:  # by the other one meanwhile
                await ask(client, ping=1)


async def test_a_fault_is_of_a_market_that_there_is(tmp_path: Path) -> None:
    """Whether a command asks for it or the settings do."""
    written(tmp_path / "ticks.csv", ticks())
    with Served(tmp_path, *OPTIONS, "--fault", "spike symbol=OWN_X") as gateway:
        start = ("fault", "start", "tick_gap", "--token", gateway.token, *stores.option(gateway.db))
        done = await asyncio.to_thread(scopegate, *start, "symbol=OWN_X", folder=tmp_path)
        assert done.returncode == 0, done.stderr
        done = await asyncio.to_thread(scopegate, *start, "symbol=OWN_Y", folder=tmp_path)
        assert done.returncode != 0
        assert "symbol: There is no symbol OWN_Y. active_symbols lists all" in done.stderr


def test_a_token_may_be_restricted_to_a_market_that_there_is(tmp_path: Path) -> None:
    written(tmp_path / "ticks.csv", ticks())
    with Served(tmp_path, *OPTIONS) as gateway:
        create = ("token", "create", "--loginid", "CR900001", "--scopes", "trade", "--name")
        gateway.command(*create, "Mine", "--symbol", "OWN_X", "--market", "own")
        assert "OWN_X" in gateway.command("token", "list")
        done = scopegate(
            *(*create, "Other", "--symbol", "OWN_Y", *stores.option(gateway.db)), folder=tmp_path
        )
        assert done.returncode != 0
        assert "There is no OWN_Y; active_symbols lists what there is." in done.stderr


def test_a_wrong_file_stops_the_start_with_its_line(tmp_path: Path) -> None:
    (tmp_path / "ticks.csv").write_text(f"epoch,quote\n{FIRST},1.5\n{FIRST + 1},NaN\n")
    done = scopegate("serve", *OPTIONS, *stores.serve_options(tmp_path / "own.db"), folder=tmp_path)
    assert done.returncode == 1
    assert "market: OWN_X: ticks.csv: line 3: quote: 'NaN' is not a price" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        (("--market", "X=ticks.csv"), "market: 'X=ticks.csv' must be NAME=FILE"),
        (("--market", "OWN_X"), "market: 'OWN_X' must be NAME=FILE"),
        (("--market", "OWN_X=a.csv:9"), "the number of decimals must be from 1 to 8"),
        (("--market", "OWN_X=a.csv", "--market", "OWN_X=b.csv"), "two files have the same name"),
        (("--market", "OWN_X=none.csv"), "none.csv cannot be read: No such file or directory"),
        (("--fault", "spike symbol=OWN_X"), "symbol: There is no symbol OWN_X."),
        (
            ("--market", "OWN_X=none.csv", "--without", "exchange"),
            "market: needs the paper exchange, which is left out",
        ),
    ],
)
def test_a_wrong_setting_is_refused(
    tmp_path: Path, options: tuple[str, ...], expected: str
) -> None:
    done = scopegate("serve", *options, *stores.serve_options(tmp_path / "own.db"), folder=tmp_path)
    assert done.returncode != 0
    assert expected in done.stderr
    assert "Traceback" not in done.stderr
