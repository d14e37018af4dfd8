"""The JavaScript client in Node: what it sees under cuts equals the ledger."""

import asyncio
import contextlib
import itertools
import json
import random
import shutil
import sqlite3
from pathlib import Path
from typing import Any

import pytest

from scopegate.listening import listen
from scopegate.testing import world
from tests.browser.tools import missing, node_module
from tests.client import counting
from tests.client.cut_trading import trading_gateway
from tests.client.cutting_proxy import cutting_proxy, random_cuts
from tests.product_files import ROOT
from tests.served import Served, fetch

CLIENT = ROOT / "client" / "scopegate-client.js"
PURCHASES = 15
LONGEST_LIFE = 4_000
"""Bytes after which a connection is cut at the latest."""


def copied(name: str, folder: Path) -> Path:
    """Copy a program and what it imports to a folder; return where the program is."""
    shutil.copy(Path(__file__).with_name("steps.mjs"), folder)
    return Path(shutil.copy(Path(__file__).with_name(name), folder))


def assert_all_is_seen(seen: dict[str, Any], served: Served) -> None:
    """What a client in JavaScript has seen is what the gateway has stored."""
    with contextlib.closing(sqlite3.connect(served.db)) as database:
        rows = database.execute(
            "SELECT id, balance_after FROM ledger WHERE loginid = ? ORDER BY id",
            [served.loginids[0]],
        ).fetchall()
        contracts = [number for (number,) in database.execute("SELECT id FROM contracts")]
    assert seen["gaps"] == []
    assert seen["entries"] == [number for number, _ in rows[1:]]
    assert seen["balances"] == [units / 100 for _, units in rows]
    assert sorted(seen["bought"]) == sorted(seen["closed"]) == sorted(contracts)
    assert {later - epoch for epoch, later in itertools.pairwise(seen["ticks"])} == {1}


@pytest.mark.lengthy
async def test_nothing_is_lost_or_doubled_in_node(tmp_path: Path) -> None:
    node = shutil.which("node") or missing("node is missing")
    program = tmp_path / "trading.mjs"
    for name in ("trading.mjs", "trading.js"):
        shutil.copy(Path(__file__).with_name(name), tmp_path / name)
    (tmp_path / "node_modules").symlink_to(node_module("ws").parent)
    async with trading_gateway(tmp_path) as (served, proxy, token):
        proxy.next_cut = random_cuts(random.Random(2), LONGEST_LIFE).__next__
        url = f"ws://127.0.0.1:{proxy.port}/websockets/v3"
        running = await asyncio.create_subprocess_exec(
            *(node, program, CLIENT, url, token, str(PURCHASES)),
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        try:
            async with asyncio.timeout(60):
                printed, complaints = await running.communicate()
        finally:
            if running.returncode is None:
                running.kill()
                await running.wait()
        assert complaints == b""
        assert proxy.cuts > 5
        assert_all_is_seen(json.loads(printed), served)


async def test_a_gateway_serves_the_client_and_its_types() -> None:
    async with world() as here, listen(here.gateway) as port:
        page = f"http://127.0.0.1:{port}/scopegate-client"
        status, kind, body = await asyncio.to_thread(fetch, f"{page}.js")
        assert (status, kind, body) == (200, "text/javascript", CLIENT.read_bytes())
        status, _, body = await asyncio.to_thread(fetch, f"{page}.d.ts")
        assert (status, body) == (200, CLIENT.with_suffix(".d.ts").read_bytes())


async def test_a_bot_sees_what_happens(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """The program asks for what is to happen to its connection and to the market."""
    monkeypatch.setattr("scopegate.handlers.exchange.account_calls.MAX_MISSED", 2)
    counting.made.clear()
    node = shutil.which("node") or missing("node is missing")
    program = copied("behaviour.mjs", tmp_path)
    (tmp_path / "node_modules").symlink_to(node_module("ws").parent)
    async with (
        world(handlers=["tests.client.counting"]) as here,
        listen(here.gateway) as port,
        cutting_proxy(port) as proxy,
    ):
        waiting: set[asyncio.Task[None]] = set()

        async def do(what: str) -> None:
            match what.split():
                case ["advance", seconds]:
                    here.clock.advance(float(seconds))
                case ["cut", "after", "replies"]:
                    waiting.add(asyncio.create_task(proxy.cut_after("replies")))
                    await asyncio.sleep(0)
                case ["cut", "off"]:
                    proxy.refuses = True
                    proxy.cut()
                    await proxy.attempts(2)
                case ["cut"]:
                    proxy.cut()
                case ["go", "on"]:
                    proxy.refuses = False
                case _:
                    raise AssertionError(what)

        running = await asyncio.create_subprocess_exec(
            *(node, program, CLIENT, f"ws://127.0.0.1:{proxy.port}", f"ws://127.0.0.1:{port}"),
            *(await here.token(), await here.token()),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        assert running.stdin is not None
        assert running.stdout is not None
        assert running.stderr is not None
        try:
            async with asyncio.timeout(60):
                while (line := (await running.stdout.readline()).decode().strip()) not in (
                    "done",
                    "",
                ):
                    await do(line)
                    running.stdin.write(b"ok\n")
                complaints = (await running.stderr.read()).decode()
        finally:
            if running.returncode is None:
                running.kill()
            await running.wait()
        assert (line, complaints) == ("done", "")
        await asyncio.gather(*waiting)


@pytest.mark.lengthy
async def test_a_bot_has_bad_days(tmp_path: Path) -> None:
    """Its client looks for lost replies every half second, so that nobody waits for it."""
    counting.made.clear()
    node = shutil.which("node") or missing("node is missing")
    program = copied("bad_days.mjs", tmp_path)
    (tmp_path / "node_modules").symlink_to(node_module("ws").parent)
    text, often = CLIENT.read_text(), "const PING_EVERY = 1;"
    assert text.count("const PING_EVERY = 10;") == 1
    client = tmp_path / "client.mjs"
    client.write_text(text.replace("const PING_EVERY = 10;", often))
    async with world(handlers=["tests.client.counting"]) as here, listen(here.gateway) as port:
        running = await asyncio.create_subprocess_exec(
            *(node, program, client, f"ws://127.0.0.1:{port}"),
            *(await here.token(), await here.token()),
            stderr=asyncio.subprocess.PIPE,
        )
        try:
            async with asyncio.timeout(60):
                _, complaints = await running.communicate()
        finally:
            if running.returncode is None:
                running.kill()
                await running.wait()
    assert running.returncode == 0, complaints.decode()
    assert len(counting.made) == 1
