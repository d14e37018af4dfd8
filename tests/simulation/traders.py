"""Clients that trade, pay, follow, copy, revoke, stall and leave, as chance decides.

Rules:
- Each trader has two accounts and one token with all scopes, which is never revoked. It creates
  further tokens, uses them, and revokes them, perhaps while they are in use.
- A purchase or a payment has a key of its own, so that a row of the database tells which request
  has made it. If the reply was lost, it is sometimes made once more with the same key.
"""

import asyncio
import contextlib
import functools
import itertools
import random
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field
from typing import Any

import orjson

from tests.simulation.checks import Checks, Operation
from tests.simulation.network import Connection, Network
from tests.simulation.surroundings import clock

SYMBOL = "R_100"
PAUSE = 1.5
"""The mean of the seconds between two requests."""
PATIENCE = 40.0
"""Seconds that a client waits for a reply."""


class Disconnected(Exception):
    """The connection has ended."""


class Link:
    """A client's connection: requests with their replies."""

    def __init__(self, network: Network, checks: Checks, address: str) -> None:
        self._checks = checks
        self._numbers = itertools.count(1)
        self._waiting: dict[int, asyncio.Future[dict[str, Any]]] = {}
        self.is_over = False
        self.token = ""
        self.loginid = ""
        self.connection: Connection = network.connect(address, self._receive)

    def send(self, request: dict[str, Any], operation: Operation) -> asyncio.Future[dict[str, Any]]:
        """Send a request; its reply, or `Disconnected`."""
        number = next(self._numbers)
        reply: asyncio.Future[dict[str, Any]] = asyncio.get_running_loop().create_future()
        if self.is_over:
            reply.set_exception(Disconnected())
            return reply
        self._checks.sends(self.connection, number, operation)
        self._waiting[number] = reply
        self.connection.send(orjson.dumps({**request, "req_id": number}))
        return reply

    def _receive(self, text: bytes | None) -> None:
        if text is None:
            self.is_over = True
            for reply in self._waiting.values():
                if not reply.done():
                    reply.set_exception(Disconnected())
                    reply.exception()  # nobody may have waited for it
            self._waiting.clear()
            return
        message = orjson.loads(text)
        waiting = self._waiting.pop(message.get("req_id"), None)
        if waiting is not None and not waiting.done():
            waiting.set_result(message)


@dataclass
class Trader:
    """One user with its accounts, and what it does."""

    number: int
    network: Network
    checks: Checks
    chance: random.Random
    accounts: list[str]
    master: str
    """The text of the token with all scopes."""
    others: "list[Trader]" = field(default_factory=list)
    is_calm: Callable[[], bool] = lambda: False
    tokens: dict[str, str] = field(default_factory=dict)
    """The texts of its tokens, by their names."""
    contracts: list[int] = field(default_factory=list)
    """The contracts that it has bought last."""
    sellable: list[int] = field(default_factory=list)
    """Those of them that last for seconds, not ticks: these can be sold."""
    allows_copiers: bool = False
    copied: list[str] = field(default_factory=list)
    """The tokens of others with which it copies them."""
    links: list[Link] = field(default_factory=list)
    """Its connections that are signed in."""
    unanswered: list[tuple[dict[str, Any], Operation]] = field(default_factory=list)
    """Purchases and payments whose reply was lost."""
    _numbers: Any = field(default_factory=lambda: itertools.count(1))

    @property
    def name(self) -> str:
        """The name of its first token."""
        return f"m{self.number}"

    async def live(self) -> None:
        """Connect again and again; several of these at the same time share what the trader has."""
        while True:
            with contextlib.suppress(Disconnected, ConnectionError):
                await self._session()
            await asyncio.sleep(self.chance.expovariate(1 / 2.0))

    async def _session(self) -> None:
        link = Link(self.network, self.checks, f"10.0.0.{self.number}")
        name = self.chance.choice([self.name, *self.tokens])
        reply = await self._ask(link, {"authorize": self._text(name)}, token=name)
        if "error" in reply:
            self.tokens.pop(name, None)
            link.connection.close()
            return
        link.token, link.loginid = name, reply["authorize"]["loginid"]
        self.links.append(link)
        try:
            await self._act_for_a_while(link)
        finally:
            self.links.remove(link)

    async def _act_for_a_while(self, link: Link) -> None:
        if not self.allows_copiers:
            reply = await self._ask(link, {"set_settings": 1, "allow_copiers": 1})
            self.allows_copiers = "error" not in reply
        for request in ({"balance": 1}, {"transaction": 1}, {"ticks": SYMBOL}):
            if self.chance.random() < 0.7:
                await self._ask(link, {**request, "subscribe": 1})
        ends = clock.now + self.chance.expovariate(1 / 60.0)
        while clock.now < ends:
            if self.is_calm():
                await asyncio.sleep(1.0)
                ends = max(ends, clock.now + 5.0)
                continue
            await self.chance.choices(*self._actions)[0](link)
            await asyncio.sleep(self.chance.expovariate(1 / PAUSE))
        link.connection.close()
        while not link.is_over:
            await asyncio.sleep(0.5)

    def _text(self, name: str) -> str:
        return self.master if name == self.name else self.tokens[name]

    async def _ask(
        self,
        link: Link,
        request: dict[str, Any],
        *,
        token: str = "",
        key: str = "",
        about: str = "",
    ) -> dict[str, Any]:
        operation = Operation(
            call=next(iter(request)),
            token=token or link.token,
            loginid=link.loginid,
            key=key,
            sent_at=clock.now,
            subscribes="subscribe" in request,
            about=about,
        )
        if key:
            request["passthrough"] = {"idempotency_key": key}
        try:
            async with asyncio.timeout(PATIENCE):
                reply = await link.send(request, operation)
        except (Disconnected, TimeoutError):
            if key:
                self.unanswered.append((request, operation))
            if not link.is_over:
                link.connection.reset()
            raise Disconnected from None
        code = reply.get("error", {}).get("code")
        if code == "AuthorizationRequired" and self.chance.random() < 0.5:
            link.connection.close()  # its token was revoked
            raise Disconnected
        return reply

    @functools.cached_property
    def _actions(self) -> tuple[list[Callable[[Link], Any]], list[float]]:
        """What it does, and how often it does each."""
        weights = {
            self._buy: 5.0,
            self._sell: 2.0,
            self._transfer: 2.0,
            self._several: 1.0,
            self._twice: 0.5,
            self._create_token: 1.0,
            self._revoke_token: 0.7,
            self._revoke_while_used: 0.5,
            self._follow_anew: 1.0,
            self._follow_contract: 1.0,
            self._repeat: 1.0,
            self._look: 1.0,
            self._copy: 0.7,
            self._stop_copying: 0.3,
            self._wrong: 0.5,
            self._history: 0.2,
        }
        return list(weights), list(weights.values())

    def _purchase(self) -> dict[str, Any]:
        stake = self.chance.randrange(35, 2_000) / 100
        ticks = self.chance.random() < 0.7
        return {
            "buy": 1,
            "price": 100,
            "parameters": {
                "contract_type": self.chance.choice(("CALL", "PUT")),
                "symbol": SYMBOL,
                "currency": "USD",
                "basis": "stake",
                "amount": stake,
                "duration": self.chance.randrange(1, 6) if ticks else self.chance.randrange(15, 26),
                "duration_unit": "t" if ticks else "s",
            },
        }

    def _key(self) -> str:
        return f"{self.number}-{next(self._numbers)}"

    async def _buy(self, link: Link) -> None:
        reply = await self._ask(link, self._purchase(), key=self._key())
        self._bought(reply)

    def _bought(self, reply: dict[str, Any]) -> None:
        if "buy" in reply:
            contract = reply["buy"]["contract_id"]
            lists = [self.contracts]
            if "T_" not in reply["buy"]["shortcode"]:
                lists.append(self.sellable)
            for each in lists:
                each.append(contract)
                del each[:-4]

    async def _together(self, *requests: Coroutine[Any, Any, Any]) -> list[Any]:
        """Make requests at the same time; their replies, without those that were lost."""
        replies = await asyncio.gather(*requests, return_exceptions=True)
        for reply in replies:
            if isinstance(reply, BaseException) and not isinstance(reply, Disconnected):
                raise reply
        return [reply for reply in replies if not isinstance(reply, BaseException)]

    async def _several(self, link: Link) -> None:
        """Send several requests at once."""
        count = self.chance.randrange(2, 5)
        purchases = [self._ask(link, self._purchase(), key=self._key()) for _ in range(count)]
        for reply in await self._together(*purchases):
            self._bought(reply)

    async def _twice(self, link: Link) -> None:
        """Send one purchase twice at once, perhaps over two connections; it is made once."""
        request, key = self._purchase(), self._key()
        links = (link, self.chance.choice(self.links))
        for reply in await self._together(
            *(self._ask(each, dict(request), key=key) for each in links)
        ):
            self._bought(reply)

    async def _sell(self, link: Link) -> None:
        """Sell a contract, perhaps over two connections at once."""
        if self.sellable:
            request = {"sell": self.chance.choice(self.sellable), "price": 0}
            links = self.links if self.chance.random() < 0.5 else [link]
            await self._together(*(self._ask(each, dict(request)) for each in links))

    async def _transfer(self, link: Link) -> None:
        if link.loginid:
            [other] = [each for each in self.accounts if each != link.loginid]
            request = {
                "transfer_between_accounts": 1,
                "account_from": link.loginid,
                "account_to": other,
                "amount": self.chance.randrange(100, 500) / 100,
                "currency": "USD",
            }
            await self._ask(link, request, key=self._key())

    async def _create_token(self, link: Link) -> None:
        if len(self.tokens) >= 4:
            return
        name = f"t{self.number}x{next(self._numbers)}"
        scopes = ["read", "trade", "payments", "admin"]
        reply = await self._ask(
            link, {"api_token": 1, "new_token": name, "new_token_scopes": scopes}
        )
        for token in reply.get("api_token", {}).get("tokens", ()):
            if token["display_name"] == name and "*" not in token["token"]:
                self.tokens[name] = token["token"]

    async def _revoke_token(self, link: Link) -> None:
        if self.tokens:
            name = self.chance.choice(list(self.tokens))
            text = self.tokens[name]
            reply = await self._ask(link, {"api_token": 1, "delete_token": text}, about=name)
            if "error" not in reply:
                self.tokens.pop(name, None)

    async def _revoke_while_used(self, link: Link) -> None:
        """Revoke the token of another connection while that one buys."""
        used = [each for each in self.links if each is not link and each.token in self.tokens]
        if used:
            other = self.chance.choice(used)
            text = self.tokens.pop(other.token)
            await self._together(
                *(self._ask(other, self._purchase(), key=self._key()) for _ in range(3)),
                self._ask(link, {"api_token": 1, "delete_token": text}, about=other.token),
            )

    async def _follow_anew(self, link: Link) -> None:
        await self._ask(link, {"forget_all": ["balance", "transaction"]})
        if self.chance.random() < 0.7:
            await self._ask(link, {"balance": 1, "subscribe": 1})
        if self.chance.random() < 0.7:
            await self._ask(link, {"transaction": 1, "subscribe": 1})

    async def _follow_contract(self, link: Link) -> None:
        if self.contracts:
            contract = self.chance.choice(self.contracts)
            await self._ask(
                link, {"proposal_open_contract": 1, "contract_id": contract, "subscribe": 1}
            )

    async def _copy(self, link: Link) -> None:
        other = self.chance.choice(self.others)
        if other.allows_copiers and len(self.copied) < 2:
            text = other._text(self.chance.choice([other.name, *other.tokens]))
            if "error" not in await self._ask(link, {"copy_start": text}):
                self.copied.append(text)

    async def _stop_copying(self, link: Link) -> None:
        if self.copied:
            await self._ask(link, {"copy_stop": self.copied.pop()})

    async def _repeat(self, link: Link) -> None:
        """Make a purchase or a payment once more whose reply was lost."""
        for request, operation in self.unanswered:
            if operation.loginid == link.loginid:
                self.unanswered.remove((request, operation))
                await self._ask(link, dict(request), key=operation.key)
                return

    async def _look(self, link: Link) -> None:
        request = self.chance.choice(({"time": 1}, {"ping": 1}, {"balance": 1}, {"portfolio": 1}))
        await self._ask(link, dict(request))

    async def _history(self, link: Link) -> None:
        """Ask for much more than the buffers of a connection hold, and perhaps read none of it."""
        if self.chance.random() < 0.5:
            link.connection.stall()
            loop = asyncio.get_running_loop()
            loop.call_later(self.chance.expovariate(1 / 2.0), link.connection.read_on)
        request = {"ticks_history": SYMBOL, "end": "latest", "count": 1_000}
        await self._together(*(self._ask(link, dict(request)) for _ in range(5)))

    async def _wrong(self, link: Link) -> None:
        request = self.chance.choice(({"buy": 1}, {"nonsense": 1}, {"sell": "x"}))
        await self._ask(link, dict(request))
