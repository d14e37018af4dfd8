"""Clients that keep to the limits, whose latencies are measured while others attack."""

import asyncio
import itertools
import json
import math
import time
from collections import defaultdict
from contextlib import AsyncExitStack
from typing import Any

from tests.hostile.attacks import TERMS, Attacker, Connection, Target, encoded
from tests.simulation.frames import CLOSE, PING, TEXT, pong

GAP = 0.35
"""Seconds from one call of a client to its next: 137 general calls a minute, of the 180 allowed."""
PATIENCE = 30.0
"""Seconds after which an answer counts as missing."""
TRADED = TERMS | {"amount": 1, "symbol": "1HZ100V", "duration": 1, "duration_unit": "h"}
READS, TRADES, TICKS = "reads", "trades", "ticks"


class GoodClient:
    """A client that reads, trades and has a stream of ticks."""

    def __init__(self, token: str) -> None:
        self._token = token
        self._answers: dict[int, asyncio.Future[tuple[float, dict[str, Any]]]] = {}
        self._numbers = itertools.count(1)
        self._contract = 0
        self._due = 0.0
        """When the next call is made, by `time.perf_counter`."""
        self.seconds: dict[str, list[float]] = defaultdict(list)
        """How long each call took, and how late each tick was, by group."""
        self.answered = 0
        self.problems: list[str] = []
        """Errors, and what was not answered."""

    async def run(self, connection: Connection) -> None:
        """Make calls until cancelled."""
        reading = asyncio.ensure_future(self._read(connection))
        self._due = time.perf_counter()
        try:
            await self._ask(connection, "", authorize=self._token)
            await self._ask(connection, "", ticks="1HZ100V", subscribe=1)
            while True:
                bought = await self._ask(connection, TRADES, buy="1", price=10, parameters=TRADED)
                await self._ask(connection, READS, ping=1)
                await self._ask(connection, READS, balance=1)
                await self._ask(connection, READS, proposal=1, **TRADED)
                if self._contract:  # that of the round before has begun by now
                    await self._ask(connection, TRADES, sell=self._contract, price=0)
                self._contract = bought.get("buy", {}).get("contract_id", 0)
        finally:
            reading.cancel()
            await asyncio.wait([reading])

    async def _ask(self, connection: Connection, group: str, **message: Any) -> dict[str, Any]:
        number = next(self._numbers)
        future = self._answers[number] = asyncio.get_running_loop().create_future()
        began = time.perf_counter()
        await connection.send(encoded(**message, req_id=number))
        try:
            async with asyncio.timeout(PATIENCE):
                arrived, reply = await future
        except TimeoutError:
            self.problems.append(f"{message} was not answered")
            return {}
        self.answered += 1
        if "error" in reply:
            self.problems.append(f"{message}: {reply['error']}")
        if group:
            self.seconds[group].append(arrived - began)
        # After a delay it keeps its place in time. Otherwise clients that were delayed together
        # would stay together, and wait for each other ever after.
        now = time.perf_counter()
        self._due += GAP * math.ceil((now - self._due) / GAP)
        await asyncio.sleep(self._due - now)
        return reply

    async def _read(self, connection: Connection) -> None:
        async for kind, payload in connection.frames():
            arrived, at = time.perf_counter(), time.time()
            if kind == PING:
                connection.writer.write(pong(payload))
            elif kind == CLOSE:
                self.problems.append(f"closed: {payload!r}")
            elif kind == TEXT:
                message = json.loads(payload)
                answered = self._answers.pop(message.get("req_id", 0), None)
                if answered is not None:
                    answered.set_result((arrived, message))
                elif message["msg_type"] == "tick":
                    self.seconds[TICKS].append(at - message["tick"]["epoch"])
        self.problems.append("disconnected")


class GoodClients:
    """All of them, until the end of a block."""

    def __init__(self, port: int, tokens: list[str]) -> None:
        self._attacker = Attacker(Target(port, []), -1)
        self._clients = [GoodClient(token) for token in tokens]

    async def __aenter__(self) -> "GoodClients":
        self._stack = AsyncExitStack()
        self._running = []
        for number, client in enumerate(self._clients):
            # Next to each other in time, they would wait for each other.
            await asyncio.sleep(GAP / len(self._clients))
            connection = await self._stack.enter_async_context(
                self._attacker.websocket(self._attacker.address(number))
            )
            self._running.append(asyncio.ensure_future(client.run(connection)))
        return self

    async def __aexit__(self, *_: object) -> None:
        for each in self._running:
            each.cancel()
        await asyncio.wait(self._running)
        await self._stack.aclose()

    @property
    def problems(self) -> list[str]:
        """What went wrong for any of them."""
        failed = [repr(each.exception()) for each in self._running if each.done()]
        return failed + [problem for client in self._clients for problem in client.problems]

    @property
    def answered(self) -> int:
        """How many calls each of them has had answered, at least."""
        return min(client.answered for client in self._clients)

    def taken(self) -> dict[str, list[float]]:
        """The seconds by group since this was last called."""
        taken: dict[str, list[float]] = defaultdict(list)
        for client in self._clients:
            for group, seconds in client.seconds.items():
                taken[group] += seconds
            client.seconds.clear()
        return taken
