"""A gateway for the tests of a bot: on a free port, in a thread of its own, its clock at hand.

    with live_gateway(balance="500.00") as exchange:
        playing = exchange.run(bot.play, exchange.url, exchange.token("trade"))
        exchange.wait_for("buy")
        exchange.clock.advance(300)
        assert playing.result(timeout=10) == exchange.contracts()[0]["profit"]

Under pytest the fixture `scopegate` is one of these.

Rules:
- What trades is `scopegate.testing.world` alone; here are the thread, and the waiting.
- What is called here returns once it is done. Nothing is a matter of time: whoever moves the clock
  gets it back when all ticks are told and what has ended is settled.
- A bot that fails makes its test fail, whether or not anybody asks for its result. What it raises
  once the gateway has left is not counted: that is how most bots learn of it.
- While the clock is moved nothing is read from clients. What they send is answered afterwards, so
  at a moment that does not depend on how quick anybody is.
"""

import asyncio
import math
import threading
import time
from collections import Counter, defaultdict
from collections.abc import AsyncIterator, Callable, Coroutine, Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, wait
from contextlib import AbstractAsyncContextManager, asynccontextmanager, contextmanager
from dataclasses import replace
from datetime import datetime
from decimal import Decimal, InvalidOperation
from typing import Any, NamedTuple, ParamSpec, TypeVar

import orjson

from scopegate.exchange.feed import Feed
from scopegate.exchange.money import CURRENCIES, to_units
from scopegate.exchange.symbols import SYMBOLS
from scopegate.gateway.access.apps import App
from scopegate.gateway.transport.connection import Connection, Transport
from scopegate.gateway.transport.handshake import Handshake
from scopegate.listening import listen
from scopegate.market_start import parse_start
from scopegate.runtime.clock import HandClock
from scopegate.settings import SettingsError
from scopegate.testing import NOON, PATIENCE, MemoryClient, World, world

Amount = str | int | float | Decimal
"""Money in its currency, such as `"500.00"`."""
Moment = str | int | float | datetime
"""A moment of the market: epoch seconds, or a date and time, in UTC unless it says otherwise."""

FIXED_SETTINGS = frozenset(
    ("db", "demo", "host", "port", "speed", "tls_cert", "tls_key", "tls_self_signed")
)
"""Settings that are not for a test to choose: where it listens, what it keeps, how it runs."""

LAST_STEPS = 0.1
"""Real seconds that bots have to fail by themselves before the gateway closes."""
GOODBYE = 2.0
"""Real seconds that bots have to end once the gateway has hung up."""
GOING_AWAY = 1001
"""The close code of a gateway that does not come back, unlike one that is started again."""
_TURN = 0.0005
"""Real seconds between two looks at what clients are about."""

_P = ParamSpec("_P")
_T = TypeVar("_T")
_Message = dict[str, Any]


class BotFuture(Future[_T]):
    """The result or exception of a bot, and whether the test has seen it."""

    def __init__(self, name: str) -> None:
        super().__init__()
        self.name = name
        self.seen = False
        self.left_alone = False
        """Whether it was waited for already at the end of a test."""

    def result(self, timeout: float | None = None) -> _T:
        """What the bot returns. Raises what it raised, and `TimeoutError` while it runs."""
        try:
            return super().result(timeout)
        finally:
            self.seen = self.done()

    def exception(self, timeout: float | None = None) -> BaseException | None:
        """What the bot raised. Raises `TimeoutError` while it runs."""
        try:
            return super().exception(timeout)
        finally:
            self.seen = self.done()

    def unreported(self) -> BaseException | None:
        """The bot's exception, if the test has not seen it; exit code 0 is not a failure."""
        if not self.done() or self.seen:
            return None
        problem = self.exception()
        if problem is None or (isinstance(problem, SystemExit) and not problem.code):
            return None
        problem.add_note(f"The bot {self.name}, run by scopegate.run, has failed.")
        return problem


class LiveClock:
    """The market's clock: it stands still until the test moves it, or lets it run."""

    def __init__(self, thread: "_Thread", clock: HandClock, market: "_Market") -> None:
        self._thread = thread
        self._clock = clock
        self._market = market

    def now(self) -> float:
        """The present moment of the market, in epoch seconds."""
        return self._clock.now()

    def advance(self, seconds: float) -> None:
        """Move the market on, second by second; returns when all that brings is told and settled.

        Raises `TimeoutError` when a client does not read what it is sent.
        """
        if seconds < 0:
            raise ValueError(f"the market does not go back: {seconds} seconds")
        self._thread.do(self._market.advance(seconds))

    def to(self, moment: Moment) -> None:
        """Move the market on to a moment, as `advance` does."""
        self.advance(parse_start(str(moment)) - self.now())

    @contextmanager
    def running(self, speed: float) -> Iterator[None]:
        """Let the market go on by itself in this block, `speed` market seconds to a real one.

        For bots that are called and return when they have traded. Prices stay those of the seed;
        at which of them a bot buys is a matter of how quick it is.
        """
        running = self._thread.do(self._market.start(speed))
        try:
            yield
        finally:
            self._thread.do(self._market.stop(running))


class LiveGateway:
    """A gateway that listens, and what a test does with it.

    Accounts are named by their `loginid`; where none is given, the account is the one that the
    gateway was started with. Every method may be called from any thread but not from the event
    loop that a bot runs in: a bot cannot go on while that waits. In an asynchronous test, write
    `await asyncio.to_thread(scopegate.wait_for, "buy")`.
    """

    def __init__(self, thread: "_Thread", here: World, traffic: "_Traffic", port: int) -> None:
        self._thread = thread
        self._here = here
        self._traffic = traffic
        self._bots: list[BotFuture[Any]] = []
        self._observers: dict[str, MemoryClient] = {}
        self.clock = LiveClock(thread, here.clock, _Market(here, traffic))
        """The market's clock."""
        self.loginid = here.demo.loginid
        """The account that it was started with: a demo account, in the chosen currency."""
        self.port = port
        self.endpoint = f"ws://127.0.0.1:{port}"
        """Scheme, host and port, as some client libraries want it."""
        self.url = f"{self.endpoint}/websockets/v3?app_id=1089"
        """The whole address of the WebSocket, for the app that every gateway knows."""

    # The scene.

    def token(self, *scopes: str, loginid: str | None = None, app: App | None = None) -> str:
        """A new token with these scopes, or with all; with `app`, one that the app was given."""
        made = self._here.token(*scopes, loginid=loginid or self.loginid, app=app)
        return self._thread.do(made)

    def app(self, *scopes: str, name: str | None = None) -> App:
        """A new app that may have these scopes, or all; clients connect with its `app_id`."""
        return self._thread.do(self._here.app(*scopes, name=name))

    def open_account(
        self,
        email: str | None = None,
        *,
        balance: Amount = "10000.00",
        currency: str = "USD",
        virtual: bool = True,
    ) -> str:
        """The loginid of a new account: of a new user's with `email`, else one more of the first.

        A real-style one (`virtual=False`) is paper money all the same.
        """
        units = _units(balance, currency)

        async def opened() -> str:
            account = await self._here.open_account(email, currency=currency, virtual=virtual)
            await self._here.set_balance(units, account.loginid)
            return account.loginid

        return self._thread.do(opened())

    def set_balance(self, balance: Amount, loginid: str | None = None) -> None:
        """Book what an account lacks of this balance, or has beyond it, as an adjustment."""
        account = loginid or self.loginid
        units = _units(balance, self._ask(account, {"balance": 1})["currency"])
        self._thread.do(self._here.set_balance(units, account))

    # The bot.

    def run(self, bot: Callable[_P, _T], /, *args: _P.args, **kwargs: _P.kwargs) -> Future[_T]:
        """Run a bot in a thread of its own; the future of what it returns or raises.

        A bot that fails is reported by `wait_for` at once, so that no test waits for it in vain,
        and makes the test fail, unless the test has asked for its `result` or `exception`. For a
        bot that is a coroutine: `run(asyncio.run, bot(url, token))`.
        """
        done: BotFuture[_T] = BotFuture(getattr(bot, "__qualname__", repr(bot)))

        def work() -> None:
            try:
                result = bot(*args, **kwargs)
            except BaseException as problem:  # noqa: BLE001 - handed to whoever asks for the result
                done.set_exception(problem)
            else:
                done.set_result(result)
            self._traffic.record.changed()

        self._bots.append(done)
        threading.Thread(target=work, name="bot", daemon=True).start()
        return done

    def wait_for(
        self,
        msg_type: str,
        where: Callable[[dict[str, Any]], object] | None = None,
        *,
        refused: bool = False,
        patience: float = PATIENCE,
    ) -> dict[str, Any]:
        """The next message of this `msg_type` that a client is or was sent.

        Each message is given once: the first call gives the first of its type, the second the
        next, however long ago they were sent. With `where` it is the next of which that is true;
        those before it are passed over. Errors are skipped; with `refused`, the next error of
        this call is returned instead.

        Raises `TimeoutError` after `patience` real seconds, or the exception of a bot of `run`
        that the test has not seen yet.
        """
        wanted = _Sort(msg_type, refused)
        return self._traffic.record.next(wanted, where, patience, self._bots)

    @property
    def messages(self) -> list[dict[str, Any]]:
        """Every message that clients were sent, each client's in order."""
        return self._traffic.record.messages

    def ticks(self, symbol: str, seconds: int) -> list[dict[str, Any]]:
        """The ticks that the coming seconds will bring, which no client can see: `epoch`, `quote`.

        For a test that goes to the very moment at which a bot should act.
        """
        of, now = SYMBOLS[symbol], int(self.clock.now())
        found = self._here.gateway.service(Feed).ticks(of, now + 1, now + seconds)
        return [
            {"epoch": int(epoch), "quote": of.quote(int(pips))}
            for epoch, pips in zip(found.epochs, found.pips, strict=True)
        ]

    def hang_up(self) -> None:
        """End every connection, as a gateway does that stops; clients may connect anew."""
        self._thread.do(self._traffic.hang_up())

    # The books.

    def balance(self, loginid: str | None = None) -> float:
        """What the account holds, as the wire tells it."""
        balance: float = self._ask(loginid, {"balance": 1})["balance"]
        return balance

    def statement(self, loginid: str | None = None) -> list[dict[str, Any]]:
        """The last 999 entries of the account's ledger as `statement` tells them, oldest first."""
        told = self._ask(loginid, {"statement": 1, "description": 1, "limit": 999})
        entries: list[_Message] = told["transactions"]
        return entries[::-1]

    def contracts(self, loginid: str | None = None) -> list[dict[str, Any]]:
        """What was bought, as `proposal_open_contract` tells it, oldest first; see `statement`."""
        bought = [e["contract_id"] for e in self.statement(loginid) if e["action_type"] == "buy"]
        return [
            self._ask(loginid, {"proposal_open_contract": 1, "contract_id": contract_id})
            for contract_id in bought
        ]

    def _ask(self, loginid: str | None, request: _Message) -> Any:
        """The body of a reply to the account's owner, over a connection of our own."""
        account = loginid or self.loginid

        async def asked() -> Any:
            observer = self._observers.get(account)
            if observer is None:
                observer = self._here.connect()
                await observer.authorize(await self._here.token("read", loginid=account))
                self._observers[account] = observer
            reply = await observer.ask(request)
            if "error" in reply:
                raise RuntimeError(f"{request}: {reply['error']['message']}")
            return reply[reply["msg_type"]]

        return self._thread.do(asked())

    def check_bots(self) -> None:
        """Raise the exceptions of bots of `run` that the test has not seen, each once.

        Called at the end of each test. Several failures are raised together, in a group.
        """
        running = [bot for bot in self._bots if not (bot.done() or bot.left_alone)]
        wait(running, LAST_STEPS)
        for bot in running:
            bot.left_alone = True
        problems = [problem for bot in self._bots if (problem := bot.unreported()) is not None]
        if len(problems) == 1:
            raise problems[0]
        if problems:
            raise BaseExceptionGroup("bots have failed", problems)

    def _leave(self) -> None:
        """Everybody goes: the gateway hangs up, and bots in threads have a while to end."""
        self.hang_up()
        wait(self._bots, GOODBYE)


@contextmanager
def live_gateway(
    *,
    seed: str = "test",
    start: Moment = NOON,
    balance: Amount = "10000.00",
    currency: str = "USD",
    handlers: str | Iterable[str] = (),
    **settings: Any,
) -> Iterator[LiveGateway]:
    """A gateway of one's own on a free port of this machine, until the block ends.

    The market begins at `start` and is that of `seed`. The account has `balance` in `currency`.
    `handlers` are modules with calls of one's own; `settings` are those of `scopegate serve`, such
    as `limits="deriv"`. Raises `SettingsError` where one of them is wrong, and at the end of the
    block what went wrong in the gateway's thread.
    """
    for name in FIXED_SETTINGS.intersection(settings):
        raise SettingsError(f"{name}: a gateway of a test's own is not told that")
    units = _units(balance, currency)
    begin = parse_start(str(start))
    modules = (handlers,) if isinstance(handlers, str) else handlers

    @asynccontextmanager
    async def composed(thread: _Thread) -> AsyncIterator[LiveGateway]:
        async with world(handlers=modules, seed=seed, start=begin, **settings) as here:
            traffic = _Traffic(here)
            async with listen(replace(here.gateway, connect=traffic)) as port:
                made = LiveGateway(thread, here, traffic, port)
                if currency != here.demo.currency:
                    made.loginid = (await here.open_account(currency=currency)).loginid
                await here.set_balance(units, made.loginid)
                yield made

    thread = _Thread()
    with thread.running(composed) as made:
        try:
            yield made
            made.check_bots()
        finally:
            made._leave()  # noqa: SLF001 - a gateway is left by whoever has made it


def _units(amount: Amount, currency: str) -> int:
    """An amount of this currency in its smallest units. Raises `SettingsError`."""
    if currency not in CURRENCIES:
        raise SettingsError(f"currency: {currency!r} is none of {', '.join(CURRENCIES)}")
    try:
        units = to_units(Decimal(str(amount)), currency)
    except (InvalidOperation, ValueError):
        units = -1
    if units < 0:
        raise SettingsError(f"balance: {amount!r} is no amount of {currency} to hold")
    return units


class _Market:
    """Moves the market, in the gateway's thread."""

    def __init__(self, here: World, traffic: "_Traffic") -> None:
        self._here = here
        self._traffic = traffic
        self._running = False

    async def advance(self, seconds: float) -> None:
        if self._running:
            raise RuntimeError("the clock runs by itself: there is nothing to move")
        async with self._traffic.held():
            await self._to(self._here.clock.now() + seconds)

    async def _to(self, end: float) -> None:
        """Go on to this moment, each second with all that it brings before the next."""
        clock = self._here.clock
        while (now := clock.now()) < end:
            clock.advance(min(math.floor(now) + 1.0, end) - now)
            await self._here.caught_up()
            await self._traffic.drained()

    async def start(self, speed: float) -> asyncio.Task[None]:
        if speed <= 0:
            raise ValueError(f"the market does not go on at a speed of {speed}")
        if self._running:
            raise RuntimeError("the clock runs already")
        self._running = True
        return asyncio.create_task(self._run(speed))

    async def stop(self, running: asyncio.Task[None]) -> None:
        self._running = False
        running.cancel()
        await asyncio.wait([running])
        if not running.cancelled():
            running.result()
        await self._here.caught_up()  # it may have been stopped within a second

    async def _run(self, speed: float) -> None:
        loop = asyncio.get_running_loop()
        begun, origin = loop.time(), self._here.clock.now()
        while True:
            await asyncio.sleep(1 / speed)
            await self._to(origin + (loop.time() - begun) * speed)


class _Sort(NamedTuple):
    """The key by which `wait_for` distinguishes messages."""

    msg_type: str
    is_error: bool


class _Record:
    """What clients were sent, written by the gateway's thread and read by any."""

    def __init__(self) -> None:
        self._condition = threading.Condition()
        self._texts: list[bytes] = []
        self._by_sort: dict[_Sort, list[bytes]] = defaultdict(list)
        self._given: Counter[_Sort] = Counter()

    def add(self, text: bytes) -> None:
        message = orjson.loads(text)
        sort = _Sort(message["msg_type"], "error" in message)
        with self._condition:
            self._texts.append(text)
            self._by_sort[sort].append(text)
            self._condition.notify_all()

    def changed(self) -> None:
        """Something else has happened that those who wait should look at."""
        with self._condition:
            self._condition.notify_all()

    @property
    def messages(self) -> list[_Message]:
        with self._condition:
            texts = list(self._texts)
        return [orjson.loads(text) for text in texts]

    def next(
        self,
        wanted: _Sort,
        where: Callable[[_Message], object] | None,
        patience: float,
        bots: list[BotFuture[Any]],
    ) -> _Message:
        """The next that was not given before; see `LiveGateway.wait_for`."""
        deadline = time.monotonic() + patience
        with self._condition:
            while True:
                if (found := self._take(wanted, where)) is not None:
                    return found
                for bot in bots:
                    if (problem := bot.unreported()) is not None:
                        raise problem
                remaining = deadline - time.monotonic()
                if remaining <= 0:
                    raise TimeoutError(self._in_vain(wanted, patience))
                self._condition.wait(remaining)

    def _take(self, wanted: _Sort, where: Callable[[_Message], object] | None) -> _Message | None:
        for text in self._by_sort[wanted][self._given[wanted] :]:
            self._given[wanted] += 1
            message: _Message = orjson.loads(text)
            if where is None or where(message):
                return message
        return None

    def _in_vain(self, wanted: _Sort, patience: float) -> str:
        sent = ", ".join(
            f"{len(texts)} {'refused ' if sort.is_error else ''}{sort.msg_type}"
            for sort, texts in self._by_sort.items()
            if texts
        )
        kind = f"{'refused ' if wanted.is_error else ''}{wanted.msg_type}"
        text = f"no {kind} was sent within {patience:g} s; sent so far: {sent or 'nothing'}"
        refusals = self._by_sort.get(wanted._replace(is_error=True))
        if refusals and not wanted.is_error:
            error = orjson.loads(refusals[-1])["error"]
            text += f". The last {wanted.msg_type} was refused: {error['code']}, {error['message']}"
        try:
            asyncio.get_running_loop()
        except RuntimeError:
            return text
        return text + (
            ". A bot in this event loop cannot go on while it is waited for:"
            " await asyncio.to_thread(...)"
        )


class _Traffic:
    """The clients that are connected; lives in the gateway's thread."""

    def __init__(self, here: World) -> None:
        self._connect = here.gateway.connect
        self._clients: dict[Connection, Transport] = {}
        self._held = False
        self.record = _Record()

    def refusal(self, handshake: Handshake) -> str | None:
        """Why this visitor may not connect; `None` if it may."""
        return self._connect.refusal(handshake)

    def __call__(
        self, handshake: Handshake, send: Callable[[bytes], None], transport: Transport
    ) -> Connection:
        """The connection of a client, whose messages are recorded."""

        def sent(text: bytes) -> None:
            send(text)
            self.record.add(text)

        def left() -> None:
            del self._clients[connection]

        connection = self._connect(handshake, sent, transport)
        self._clients[connection] = transport
        connection.session.on_leave(left)
        if self._held:
            transport.pause()
        return connection

    @asynccontextmanager
    async def held(self) -> AsyncIterator[None]:
        """Read nothing in this block; what was read before it is answered before it."""
        self._held = True
        try:
            self._pause()
            while any(connection.busy for connection in self._clients):
                await asyncio.sleep(_TURN)
                self._pause()  # a connection reads again by itself once its backlog is gone
            yield
        finally:
            self._held = False
            for transport in self._clients.values():
                transport.resume()

    def _pause(self) -> None:
        for transport in self._clients.values():
            transport.pause()

    async def drained(self) -> None:
        """Wait until clients have taken what they were sent. Raises `TimeoutError`."""
        deadline = asyncio.get_running_loop().time() + PATIENCE
        while any(transport.congested for transport in self._clients.values()):
            if asyncio.get_running_loop().time() > deadline:
                raise TimeoutError(
                    f"a client has not read what it was sent for {PATIENCE:g} s. A bot in the event"
                    " loop of the test cannot read while the test moves the clock:"
                    " await asyncio.to_thread(...)"
                )
            await asyncio.sleep(_TURN)

    async def hang_up(self) -> None:
        """Say goodbye to everybody."""
        for transport in list(self._clients.values()):
            transport.close(GOING_AWAY, "the gateway is shutting down")


class _Thread:
    """An event loop in a thread of its own, and what is open in it."""

    def __init__(self) -> None:
        self._loop: asyncio.AbstractEventLoop
        self._ended: Future[None] = Future()
        self._failed: list[Exception] = []

    @contextmanager
    def running(self, make: Callable[["_Thread"], AbstractAsyncContextManager[_T]]) -> Iterator[_T]:
        """What `make` opens in the thread, until the block ends; raises what went wrong there."""
        begun: Future[tuple[_T, asyncio.Event]] = Future()

        async def main() -> None:
            self._loop = asyncio.get_running_loop()
            self._loop.set_exception_handler(self._complained)
            end = asyncio.Event()
            async with make(self) as made:
                begun.set_result((made, end))
                await end.wait()

        def work() -> None:
            try:
                asyncio.run(main())
            except BaseException as problem:  # noqa: BLE001 - raised where the block ends
                self._ended.set_exception(problem)
            else:
                self._ended.set_result(None)

        threading.Thread(target=work, name="scopegate", daemon=True).start()
        self._wait_for(begun)
        if not begun.done():
            self._ended.result()
        made, end = begun.result()
        try:
            yield made
        finally:
            if not self._ended.done():
                self._loop.call_soon_threadsafe(end.set)
            self._ended.result()
            if self._failed:
                raise ExceptionGroup("the gateway has failed", self._failed)

    def do(self, work: Coroutine[Any, Any, _T]) -> _T:
        """Run a coroutine there; what it returns or raises."""
        if self._ended.done():
            work.close()
            raise RuntimeError("the gateway has ended")
        done = asyncio.run_coroutine_threadsafe(work, self._loop)
        self._wait_for(done)
        if not done.done():
            raise RuntimeError("the gateway has ended")
        return done.result()

    def _wait_for(self, done: Future[Any]) -> None:
        """Wait for this, or for the end of the thread."""
        either: list[Future[Any]] = [done, self._ended]
        wait(either, return_when=FIRST_COMPLETED)

    def _complained(self, loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        """Keep what nobody else was told of."""
        problem = context.get("exception")
        self._failed.append(
            problem if isinstance(problem, Exception) else RuntimeError(context["message"])
        )
