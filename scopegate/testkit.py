"""A gateway for tests of bots: on a free port, in its own thread, with a clock the test moves.

    with live_gateway(balance="500.00") as exchange:
        playing = exchange.run(bot.play, exchange.url, exchange.token("trade"))
        exchange.wait_for("buy")
        exchange.clock.advance(300)
        assert playing.result(timeout=10) == exchange.contracts()[0]["profit"]

With pytest, the fixture `scopegate` is such a gateway.

Rules:
- The trading is that of `scopegate.testing.world`; this module adds the thread and the waiting.
- Every method returns when its work is done; nothing depends on timing. A call that moves the clock
  returns when all ticks are sent and everything that has ended is settled.
- A bot that fails makes its test fail, even if the test does not ask for its result. Exceptions
  after the gateway has closed do not count: that is how most bots notice the end.
- While the clock moves, nothing is read from clients. What they send is answered afterwards, so
  at a market time that does not depend on how fast they are.
"""

import asyncio
import math
import threading
import time
from collections import Counter, defaultdict
from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Mapping
from concurrent.futures import Future, wait
from contextlib import asynccontextmanager, contextmanager
from dataclasses import replace
from datetime import datetime
from decimal import Decimal, InvalidOperation
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple, ParamSpec, TypeVar
from urllib.parse import urlencode

import orjson

from scopegate.event_thread import EventThread
from scopegate.exchange import book
from scopegate.exchange.feed import Feed
from scopegate.exchange.money import CURRENCIES, to_units
from scopegate.exchange.symbols import SYMBOLS
from scopegate.faults_of_settings import in_words
from scopegate.gateway.access import stored_faults, tokens
from scopegate.gateway.access.apps import App
from scopegate.gateway.access.faults_in_force import Faults
from scopegate.gateway.calls import token_form
from scopegate.gateway.calls.errors import ApiError
from scopegate.gateway.calls.faults import Course
from scopegate.gateway.calls.wire_faults import FaultKinds
from scopegate.gateway.transport.connection import Connection, Transport
from scopegate.gateway.transport.handshake import Handshake
from scopegate.listening import listen
from scopegate.market_start import parse_start
from scopegate.recordings.history import History
from scopegate.reports.report import Bot, Report, report_of
from scopegate.reports.trades import of_contracts
from scopegate.runtime.clock import HandClock
from scopegate.scripted import ScriptedMarket
from scopegate.settings import SettingsError
from scopegate.store.transactions import Transaction
from scopegate.testing import PATIENCE, MemoryClient, World, world

Amount = str | int | float | Decimal
"""An amount in its currency, such as `"500.00"`."""
Moment = str | int | float | datetime
"""A market time: epoch seconds, or a date and time (UTC unless it has an offset)."""

FIXED_SETTINGS = frozenset(
    ("db", "demo", "host", "port", "speed", "tls_cert", "tls_key", "tls_self_signed")
)
"""Settings that a test cannot choose: where the gateway listens, what it stores, how it runs."""

LAST_STEPS = 0.1
"""Real seconds in which running bots can still fail before the gateway closes."""
GOODBYE = 2.0
"""Real seconds that bots have to end after the gateway has closed their connections."""
GOING_AWAY = 1001
"""The close code of a gateway that stops for good, unlike one that is restarted."""
_TURN = 0.0005
"""Real seconds between two checks of the clients."""

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
        """Whether the end of a test has already waited for it."""

    def result(self, timeout: float | None = None) -> _T:
        """Return the bot's result or raise its exception; `TimeoutError` if it still runs."""
        try:
            return super().result(timeout)
        finally:
            self.seen = self.done()

    def exception(self, timeout: float | None = None) -> BaseException | None:
        """Return the bot's exception, if any. Raises `TimeoutError` if it still runs."""
        try:
            return super().exception(timeout)
        finally:
            self.seen = self.done()

    @property
    def outcome(self) -> str:
        """How it has ended, in a few words; for a report, so the test has not seen it."""
        if not self.done():
            return "still running"
        problem = super().exception()
        if problem is None:
            return "returned"
        return f"failed with {type(problem).__name__}: {problem}".removesuffix(": ")

    def unreported(self) -> BaseException | None:
        """Return the bot's exception if the test has not seen it; exit code 0 is not a failure."""
        if not self.done() or self.seen:
            return None
        problem = self.exception()
        if problem is None or (isinstance(problem, SystemExit) and not problem.code):
            return None
        problem.add_note(f"The bot {self.name}, run by scopegate.run, has failed.")
        return problem


class LiveClock:
    """The market's clock, which moves only when the test moves it or lets it run."""

    def __init__(self, thread: EventThread, clock: HandClock, market: "_Market") -> None:
        self._thread = thread
        self._clock = clock
        self._market = market

    def now(self) -> float:
        """Return the current market time in epoch seconds."""
        return self._clock.now()

    def advance(self, seconds: float) -> None:
        """Move the clock second by second; return when all ticks are sent and contracts settled.

        Raises `TimeoutError` if a client does not read what it is sent.
        """
        if seconds < 0:
            raise ValueError(f"the market cannot go back: {seconds} seconds")
        self._thread.do(self._market.advance(seconds))

    def to(self, moment: Moment) -> None:
        """Move the clock to a moment, as `advance` does."""
        self.advance(parse_start(str(moment)) - self.now())

    @contextmanager
    def running(self, speed: float) -> Iterator[None]:
        """Let the clock run in this block, at `speed` market seconds per real second.

        For bots that are called and return when they have traded. The prices are still those of
        the seed, but at which of them a bot buys depends on how fast it is.
        """
        running = self._thread.do(self._market.start(speed))
        try:
            yield
        finally:
            self._thread.do(self._market.stop(running))


class LiveFault:
    """A fault that a test has begun, until its end or the end of the gateway."""

    def __init__(
        self, course: Course, record: "_Record", bots: list[BotFuture[Any]], end: Callable[[], None]
    ) -> None:
        self._course = course
        self._record = record
        self._bots = bots
        self._end = end

    @property
    def kind(self) -> str:
        """The name of its kind."""
        return self._course.fault.kind

    @property
    def strikes(self) -> int:
        """How often it has struck so far."""
        return self._course.counts.strikes

    def wait(self, times: int = 1, *, patience: float = PATIENCE) -> None:
        """Wait until it has struck this often in all.

        Raises `TimeoutError` after `patience` real seconds, or the exception of a bot of `run` that
        the test has not seen yet.
        """
        self._record.until(
            lambda: True if self.strikes >= times else None,
            lambda: (
                f"the fault {self._course.fault.in_words()} has struck {self.strikes} times,"
                f" not {times}, within {patience:g} s"
            ),
            patience,
            self._bots,
        )

    def end(self) -> None:
        """End the fault; connections go on without it."""
        self._end()


class LiveGateway:
    """A gateway that listens, with the methods for a test.

    Accounts are named by their `loginid`; the default is the account that the gateway was started
    with. Every method may be called from any thread, but not from the event loop in which a bot
    runs: the bot cannot continue while that waits. In an asynchronous test, write
    `await asyncio.to_thread(scopegate.wait_for, "buy")`.
    """

    def __init__(self, thread: EventThread, here: World, traffic: "_Traffic", port: int) -> None:
        self._thread = thread
        self._here = here
        self._traffic = traffic
        self._bots: list[BotFuture[Any]] = []
        self._observers: dict[str, MemoryClient] = {}
        self.clock = LiveClock(thread, here.clock, _Market(here, traffic))
        """The market's clock."""
        self.loginid = here.demo.loginid
        """The account that it was started with: a demo account in the chosen currency."""
        self.port = port
        self.endpoint = f"ws://127.0.0.1:{port}"
        """Scheme, host and port, as some client libraries expect."""
        self.url = f"{self.endpoint}/websockets/v3?app_id=1089"
        """The full WebSocket address, with the app_id that every gateway has."""

    # Tokens, apps and accounts.

    def token(
        self,
        *scopes: str,
        loginid: str | None = None,
        app: App | None = None,
        **restrictions: Any,
    ) -> str:
        """Create a token with these scopes, or with all; with `app`, a token of that app.

        `restrictions` are what the token is restricted to, by the names that the call
        `restriction_kinds` lists: `token("trade", max_stake=5)`.
        """
        made = self._here.token(
            *scopes, loginid=loginid or self.loginid, app=app, restrictions=restrictions
        )
        return self._thread.do(made)

    def app(self, *scopes: str, name: str | None = None) -> App:
        """Register an app with these scopes, or with all; its `id` is the app_id of its clients."""
        return self._thread.do(self._here.app(*scopes, name=name))

    def open_account(
        self,
        email: str | None = None,
        *,
        balance: Amount = "10000.00",
        currency: str = "USD",
        virtual: bool = True,
    ) -> str:
        """Open an account and return its loginid: of a new user with `email`, else of the first.

        A real-style account (`virtual=False`) holds paper money too.
        """
        units = _units(balance, currency)

        async def opened() -> str:
            account = await self._here.open_account(email, currency=currency, virtual=virtual)
            await self._here.set_balance(units, account.loginid)
            return account.loginid

        return self._thread.do(opened())

    def set_balance(self, balance: Amount, loginid: str | None = None) -> None:
        """Set the balance of an account by booking the difference as an adjustment."""
        account = loginid or self.loginid
        units = _units(balance, self._ask(account, {"balance": 1})["currency"])
        self._thread.do(self._here.set_balance(units, account))

    # Bots.

    def run(self, bot: Callable[_P, _T], /, *args: _P.args, **kwargs: _P.kwargs) -> Future[_T]:
        """Run a bot in its own thread; return a future of its result or exception.

        If a bot fails, `wait_for` raises its exception at once, so that no test waits in vain, and
        the test fails, unless it has asked for the bot's `result` or `exception`. For a bot that
        is a coroutine: `run(asyncio.run, bot(url, token))`.
        """
        done: BotFuture[_T] = BotFuture(getattr(bot, "__qualname__", repr(bot)))

        def work() -> None:
            try:
                result = bot(*args, **kwargs)
            except BaseException as problem:  # noqa: BLE001 - stored in the future
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
        """Return the next message of this `msg_type` that a client is or was sent.

        Each message is returned once: the first call returns the first of its type, the second the
        next, no matter how long ago they were sent. With `where`, return the next one for which it
        is true, and skip those before it. Errors are skipped; with `refused`, return the next error
        of this call instead.

        Raises `TimeoutError` after `patience` real seconds, or the exception of a bot of `run`
        that the test has not seen yet.
        """
        wanted = _Sort(msg_type, refused)
        return self._traffic.record.next(wanted, where, patience, self._bots)

    @property
    def messages(self) -> list[dict[str, Any]]:
        """Every message that clients were sent, in order for each client."""
        return self._traffic.record.messages

    def ticks(self, symbol: str, seconds: int) -> list[dict[str, Any]]:
        """Return the ticks of the next seconds, which no client can see yet: `epoch`, `quote`.

        For a test that moves the clock to the exact moment at which a bot should act.
        """
        of, now = SYMBOLS[symbol], int(self.clock.now())
        found = self._here.gateway.service(Feed).ticks(of, now + 1, now + seconds)
        return [
            {"epoch": int(epoch), "quote": of.quote(int(pips))}
            for epoch, pips in zip(found.epochs, found.pips, strict=True)
        ]

    def market(self, symbol: str) -> ScriptedMarket:
        """Return a market whose next prices the test chooses: `market("R_100").jump("+2%")`.

        They change for every client of this gateway, from the next tick on.
        """
        feed = self._here.gateway.service(Feed)
        return ScriptedMarket(feed, symbol, self.clock.now, self._in_thread)

    def _in_thread(self, change: Callable[[], None]) -> None:
        async def changed() -> None:
            change()

        self._thread.do(changed())

    def save_recording(self, path: str | Path) -> None:
        """Write what bots and the gateway have sent each other so far to a new file.

        Secrets are masked, and times are those of the market: the same test gives the same file.
        `scopegate.recordings.replay.replaying` serves it to a bot without a gateway. Raises
        `RecordingError` if the file exists or cannot be written.
        """

        async def saved() -> None:
            self._traffic.history.save(Path(path))

        self._thread.do(saved())

    def report(self, title: str = "A bot on Scopegate") -> Report:
        """Return what bots did so far: calls, trades with expected results, refusals, faults."""
        return self._thread.do(self._reported(title))

    async def _reported(self, title: str) -> Report:
        gateway = self._here.gateway
        contracts = await gateway.store.read(book.every)
        entries, masks = self._traffic.history.read()
        bots = [Bot(bot.name, masks.text(bot.outcome)) for bot in self._bots]
        trades = of_contracts(contracts, gateway.service(Feed))
        seconds = self._here.clock.now() - self._traffic.history.start
        return report_of(title, entries, trades, bots, seconds=seconds)

    def hang_up(self) -> None:
        """Close every connection, as a gateway does when it stops; clients may connect again."""
        self._thread.do(self._traffic.hang_up())

    def fault(
        self, kind: str, *, token: str | None = None, app: App | None = None, **options: Any
    ) -> LiveFault:
        """Begin a fault of the bots' connections, of those of an app, or of those with a token.

        `scopegate.fault("drop", after="buy")`. docs/faults.md lists the kinds and their options.
        Connections that are open and later ones have it. Raises `SettingsError` if it is invalid.
        """
        return self._thread.do(self._fault(kind, options, token, app))

    async def _fault(
        self, kind: str, options: _Message, token: str | None, app: App | None
    ) -> LiveFault:
        gateway, record = self._here.gateway, self._traffic.record
        calls = {call.name for call in gateway.registry}
        try:
            fault = gateway.service(FaultKinds).checked(kind, options, calls)
        except ApiError as problem:
            raise SettingsError(f"fault: {in_words(problem)}") from None
        if token is None:
            course = Course(fault, self._traffic.counted)
            self._traffic.put_on(course, app)
            return LiveFault(
                course,
                record,
                self._bots,
                lambda: self._thread.do(self._traffic.take_off(course)),
            )

        def job(transaction: Transaction) -> int:
            found = tokens.find(transaction, token_form.digest(token))
            if found is None:
                raise SettingsError("fault: token: there is no such token")
            return stored_faults.start(transaction, fault, token_id=found.id)

        number = await gateway.store.write(job)
        course = gateway.service(Faults).course(number)
        course.changed = self._traffic.counted
        ending = partial(stored_faults.end, numbers=[number])
        return LiveFault(
            course,
            record,
            self._bots,
            lambda: self._thread.do(gateway.store.write(ending)),
        )

    # Balances and contracts.

    def balance(self, loginid: str | None = None) -> float:
        """Return the account's balance, as the call `balance` reports it."""
        balance: float = self._ask(loginid, {"balance": 1})["balance"]
        return balance

    def statement(self, loginid: str | None = None) -> list[dict[str, Any]]:
        """Return the last 999 entries of the account's `statement`, oldest first."""
        reply = self._ask(loginid, {"statement": 1, "description": 1, "limit": 999})
        entries: list[_Message] = reply["transactions"]
        return entries[::-1]

    def contracts(self, loginid: str | None = None) -> list[dict[str, Any]]:
        """Return the contracts that were bought, as `proposal_open_contract` reports them.

        Oldest first; only those in the entries that `statement` returns.
        """
        bought = [e["contract_id"] for e in self.statement(loginid) if e["action_type"] == "buy"]
        return [
            self._ask(loginid, {"proposal_open_contract": 1, "contract_id": contract_id})
            for contract_id in bought
        ]

    def _ask(self, loginid: str | None, request: _Message) -> Any:
        """Ask as the account's owner, over a separate connection; return the body of the reply."""
        account = loginid or self.loginid

        async def ask() -> Any:
            observer = self._observers.get(account)
            if observer is None:
                observer = self._here.connect()
                await observer.authorize(await self._here.token("read", loginid=account))
                self._observers[account] = observer
            reply = await observer.ask(request)
            if "error" in reply:
                raise RuntimeError(f"{request}: {reply['error']['message']}")
            return reply[reply["msg_type"]]

        return self._thread.do(ask())

    def check_bots(self) -> None:
        """Raise the exceptions of bots of `run` that the test has not seen, each once.

        Called at the end of each test. Several exceptions are raised together, as a group.
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
        """Close all connections, and wait at most `GOODBYE` seconds for bots to end."""
        self._traffic.has_ended = True
        self.hang_up()
        wait(self._bots, GOODBYE)


@contextmanager
def live_gateway(
    *,
    seed: str = "test",
    start: Moment | None = None,
    market: Mapping[str, str | Path] | None = None,
    balance: Amount = "10000.00",
    currency: str = "USD",
    handlers: str | Iterable[str] = (),
    **settings: Any,
) -> Iterator[LiveGateway]:
    """Run a separate gateway on a free port of this machine until the block ends.

    The market begins at `start` and has the prices of `seed`. `market` has files of ticks or
    candles by the names of your own markets; without a `start`, the market then begins at their
    first tick, and else at 2026-01-01 12:00 UTC. The account has `balance` in
    `currency`. `handlers` are modules with your own calls; `settings` are those of
    `scopegate serve`, such as `limits="deriv"`. Raises `SettingsError` if one of them is wrong and,
    at the end of the block, exceptions of the gateway's thread.
    """
    for name in FIXED_SETTINGS.intersection(settings):
        raise SettingsError(f"{name}: the gateway of a test does not take this setting")
    units = _units(balance, currency)
    begin = None if start is None else parse_start(str(start))
    modules = (handlers,) if isinstance(handlers, str) else handlers

    @asynccontextmanager
    async def composed(thread: EventThread) -> AsyncIterator[LiveGateway]:
        running = world(handlers=modules, seed=seed, start=begin, market=market, **settings)
        async with running as here:
            traffic = _Traffic(here)
            async with listen(replace(here.gateway, connect=traffic)) as port:
                made = LiveGateway(thread, here, traffic, port)
                if currency != here.demo.currency:
                    made.loginid = (await here.open_account(currency=currency)).loginid
                await here.set_balance(units, made.loginid)
                yield made

    thread = EventThread()
    with thread.running(composed) as made:
        try:
            yield made
            made.check_bots()
        finally:
            made._leave()  # noqa: SLF001 - only this function, which created the gateway, closes it


def _units(amount: Amount, currency: str) -> int:
    """Convert an amount of this currency to its smallest units. Raises `SettingsError`."""
    if currency not in CURRENCIES:
        raise SettingsError(f"currency: {currency!r} must be one of {', '.join(CURRENCIES)}")
    try:
        units = to_units(Decimal(str(amount)), currency)
    except (InvalidOperation, ValueError):
        units = -1
    if units < 0:
        raise SettingsError(f"balance: {amount!r} is not a valid amount of {currency}")
    return units


def _query_of(handshake: Handshake) -> str:
    """Return the parameters of a client's address, as far as the gateway uses them."""
    return urlencode({"app_id": handshake.app_id, "l": handshake.language})


class _Market:
    """Moves the market's clock, in the gateway's thread."""

    def __init__(self, here: World, traffic: "_Traffic") -> None:
        self._here = here
        self._traffic = traffic
        self._running = False

    async def advance(self, seconds: float) -> None:
        if self._running:
            raise RuntimeError("the clock is running and cannot be moved")
        async with self._traffic.held():
            await self._to(self._here.clock.now() + seconds)

    async def _to(self, end: float) -> None:
        """Move to this moment second by second, and finish each second before the next."""
        clock = self._here.clock
        while (now := clock.now()) < end:
            clock.advance(min(math.floor(now) + 1.0, end) - now)
            await self._here.caught_up()
            await self._traffic.drained()

    async def start(self, speed: float) -> asyncio.Task[None]:
        if speed <= 0:
            raise ValueError(f"speed must be above 0, not {speed}")
        if self._running:
            raise RuntimeError("the clock is already running")
        self._running = True
        return asyncio.create_task(self._run(speed))

    async def stop(self, running: asyncio.Task[None]) -> None:
        self._running = False
        running.cancel()
        await asyncio.wait([running])
        if not running.cancelled():
            running.result()
        await self._here.caught_up()  # it may have been cancelled within a second

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
    """The messages that clients were sent; written by the gateway's thread, read by any."""

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
        """Wake the waiting threads because something else has happened."""
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
        """Return the next message that was not returned before; see `LiveGateway.wait_for`."""
        return self.until(
            lambda: self._take(wanted, where),
            lambda: self._in_vain(wanted, patience),
            patience,
            bots,
        )

    def until(
        self,
        find: Callable[[], _T | None],
        in_vain: Callable[[], str],
        patience: float,
        bots: list[BotFuture[Any]],
    ) -> _T:
        """Return what `find` finds, once it does; `in_vain` is the text of the `TimeoutError`."""
        deadline = time.monotonic() + patience
        with self._condition:
            while True:
                if (found := find()) is not None:
                    return found
                for bot in bots:
                    if (problem := bot.unreported()) is not None:
                        raise problem
                remaining = deadline - time.monotonic()
                if remaining <= 0:
                    raise TimeoutError(in_vain())
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
    """The connected clients; used only in the gateway's thread."""

    def __init__(self, here: World) -> None:
        self._connect = here.gateway.connect
        self._faults = here.gateway.service(Faults)
        self._clients: dict[Connection, Transport] = {}
        self._courses: dict[Course, App | None] = {}
        """The faults of the clients' connections, each with the app that it is for, if any."""
        self._strikes: dict[Course, int] = {}
        self._held = False
        self.has_ended = False
        """Whether the test has ended, so that what still happens is no part of it."""
        self.record = _Record()
        self.history = History(
            here.gateway.service(Feed).seed, here.clock.now, here.gateway.registry.secret_fields
        )

    def refusal(self, handshake: Handshake) -> str | None:
        """Return why this client may not connect, or `None` if it may."""
        return self._connect.refusal(handshake)

    def __call__(
        self, handshake: Handshake, send: Callable[[bytes], None], transport: Transport
    ) -> Connection:
        """Create the connection of a client and record the messages that it is sent."""

        history = self.history
        number = history.opened(_query_of(handshake))

        def sent(text: bytes) -> None:
            send(text)
            history.message(number, "received", text)
            self.record.add(text)

        def left() -> None:
            del self._clients[connection]
            code = connection.session.close_code
            if self.has_ended:
                return
            if code is None:
                history.left(number)
            else:
                history.closed(number, code)

        connection = self._connect(handshake, sent, transport)
        connection.observe(lambda text: history.message(number, "sent", text))
        self._clients[connection] = transport
        connection.session.on_leave(left)
        for course, app in self._courses.items():
            self._put_on(connection, course, app)
        if self._held:
            transport.pause()
        return connection

    def counted(self, course: Course) -> None:
        """Note what a fault has done: called whenever it has counted something."""
        strikes = course.counts.strikes
        if strikes > self._strikes.get(course, 0):
            self._strikes[course] = strikes
            self.history.struck(course.fault.in_words())
        self.record.changed()

    def put_on(self, course: Course, app: App | None) -> None:
        """Let a fault act on the connections of clients, or on those of an app."""
        self._courses[course] = app
        for connection in list(self._clients):
            self._put_on(connection, course, app)

    def _put_on(self, connection: Connection, course: Course, app: App | None) -> None:
        if app is None or connection.session.app_id == app.id:
            self._faults.put_on(connection.session, course)

    async def take_off(self, course: Course) -> None:
        """End a fault of `put_on`."""
        self._courses.pop(course, None)
        for connection in list(self._clients):
            self._faults.take_off(connection.session, course)

    @asynccontextmanager
    async def held(self) -> AsyncIterator[None]:
        """Read nothing from clients in this block; what was read before is answered first."""
        self._held = True
        try:
            self._pause()
            while any(connection.busy for connection in self._clients):
                await asyncio.sleep(_TURN)
                self._pause()  # a connection resumes reading when its backlog is gone
            yield
        finally:
            self._held = False
            for transport in self._clients.values():
                transport.resume()

    def _pause(self) -> None:
        for transport in self._clients.values():
            transport.pause()

    async def drained(self) -> None:
        """Wait until clients have read what they were sent. Raises `TimeoutError`."""
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
        """Close all connections."""
        for transport in list(self._clients.values()):
            transport.close(GOING_AWAY, "the gateway is shutting down")
