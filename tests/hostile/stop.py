"""Stop a gateway's process for a while, as a debugger or a machine does, and check what follows.

    python -m tests.hostile.stop [--seconds 60]

A single process goes on where it was. Of two workers, one that stands still is killed and replaced.
"""

import argparse
import asyncio
import os
import signal
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import orjson

from tests.process.client_steps import until
from tests.process.test_workers import Workers, replaced
from tests.served import Served, SocketClient

TICKS = 5
TERMS = {
    "amount": 1,
    "basis": "stake",
    "contract_type": "CALL",
    "currency": "USD",
    "symbol": "1HZ100V",
    "duration": TICKS,
    "duration_unit": "t",
}
BUY = {"buy": "1", "price": 10, "parameters": TERMS}
AFTERWARDS = 3
"""Ticks that must come after the stop."""


async def settled(client: SocketClient, contracts: set[int]) -> None:
    """Wait until each of these contracts is paid out, once, by the stream of transactions."""
    seen: list[int] = []
    while contracts - set(seen):
        entry = (await until(client, "transaction"))["transaction"]
        if entry.get("action") == "sell":
            seen.append(entry["contract_id"])
    assert len(seen) == len(set(seen)), f"paid twice: {seen}"


async def contract(client: SocketClient, number: int) -> dict[str, Any]:
    """What the gateway says of a contract."""
    reply = await client.ask({"proposal_open_contract": 1, "contract_id": number})
    found: dict[str, Any] = reply["proposal_open_contract"]
    return found


async def ticks(client: SocketClient, after: int, until_epoch: int) -> dict[int, float]:
    """The quote of every second up to this one; none may be missing, come twice or go back."""
    quotes: dict[int, float] = {}
    while after < until_epoch:
        tick = (await until(client, "tick"))["tick"]
        assert tick["epoch"] == after + 1, f"the tick after {after} is {tick['epoch']}"
        after = tick["epoch"]
        quotes[after] = tick["quote"]
    return quotes


async def process_stands_still(served: Served, seconds: float) -> str:
    """Stop a single process while contracts are open and purchases are under way.

    The clients send no pings: their library would close a connection that answers none.
    """
    async with (
        served.connected(ping_interval=None) as trader,
        served.connected(ping_interval=None) as watcher,
        served.connected(ping_interval=None) as ticker,
    ):
        for client in (trader, watcher):
            await client.authorize(served.token)
        await watcher.ask({"transaction": 1, "subscribe": 1})
        first = (await ticker.ask({"ticks": "1HZ100V", "subscribe": 1}))["tick"]["epoch"]
        calm = [(await trader.ask(BUY))["buy"]["contract_id"] for _ in range(3)]
        await settled(watcher, set(calm))
        bought = [(await trader.ask(BUY))["buy"]["contract_id"] for _ in range(10)]
        served.process.send_signal(signal.SIGSTOP)
        stopped_at = time.time()
        try:
            for number in range(10):  # these are answered afterwards
                trader.send_text(orjson.dumps(BUY | {"req_id": 900_000 + number}))
            await asyncio.sleep(seconds)  # what is tested is that the time passes
        finally:
            served.process.send_signal(signal.SIGCONT)
        late = []
        for _ in range(10):
            reply = await until(trader, "buy")
            assert "error" not in reply, reply
            late.append(reply["buy"]["contract_id"])
        await settled(watcher, {*bought, *late})
        quotes = await ticks(ticker, first, int(time.time()) + AFTERWARDS)
        assert max(quotes) > stopped_at + seconds
        usual = {await lasted(trader, number, quotes) for number in calm}
        for number in (*bought, *late):
            assert await lasted(trader, number, quotes) in usual, number
        reply = await trader.ask({"statement": 1, "action_type": "buy", "limit": 100})
        kept = {entry["contract_id"] for entry in reply["statement"]["transactions"]}
        assert {*calm, *bought, *late} <= kept
    assert await asyncio.to_thread(served.stop) == 0
    assert served.stderr == "", served.stderr
    return (
        f"{len(quotes)} ticks without a gap, {len(bought)} contracts settled at their tick,"
        f" {len(late)} purchases of the meantime answered"
    )


async def lasted(client: SocketClient, number: int, quotes: dict[int, float]) -> int:
    """How many seconds a contract took from its entry to its exit, which has the tick's quote."""
    found = await contract(client, number)
    ended = found["exit_tick_time"]
    assert float(found["exit_tick"]) == float(quotes[ended]), found
    return int(ended - found["entry_tick_time"])


async def worker_stands_still(gateway: Workers) -> str:
    """Stop one of two workers, which is then replaced; the clients of the other go on."""
    first, second = before = gateway.workers()
    async with gateway.at(first) as client, gateway.at(second) as lost:
        for each in (client, lost):
            await each.authorize(gateway.token)
        bought = (await lost.ask(BUY))["buy"]["contract_id"]
        begun = (await client.ask({"ticks": "1HZ100V", "subscribe": 1}))["tick"]["epoch"]
        os.kill(second, signal.SIGSTOP)
        stopped_at = time.monotonic()
        new = await replaced(gateway, before, client)
        took = time.monotonic() - stopped_at
        await lost.ended()
        quotes = await ticks(client, begun, int(time.time()) + AFTERWARDS)
        async with gateway.at(new) as late:
            await late.authorize(gateway.token)
            reply = await late.ask({"statement": 1, "action_type": "buy", "limit": 100})
            kept = {entry["contract_id"] for entry in reply["statement"]["transactions"]}
            assert bought in kept
            assert "error" not in await late.ask(BUY)
    assert await asyncio.to_thread(gateway.stop) == 0
    assert "Traceback" not in gateway.stderr, gateway.stderr
    return f"replaced after {took:.1f} s, and {len(quotes)} ticks without a gap at the other worker"


def main() -> int:
    """Run the command; its exit code is 1 if something is not as it should be."""
    parser = argparse.ArgumentParser(prog="python -m tests.hostile.stop", description=__doc__)
    parser.add_argument("--seconds", type=float, default=60.0)
    options = parser.parse_args()
    try:
        with tempfile.TemporaryDirectory() as folder, Served(Path(folder)) as served:
            found = asyncio.run(process_stands_still(served, options.seconds))
            print(f"a process that stood still for {options.seconds:.0f} s: {found}")
        with (
            tempfile.TemporaryDirectory() as folder,
            Workers(Path(folder), "--workers", "2") as workers,
        ):
            print(f"a worker that stands still: {asyncio.run(worker_stands_still(workers))}")
    except AssertionError as failed:
        print(f"failed: {failed}")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
