"""A gateway to test against: the real one, in this process, with a clock that the test moves.

For the tests of this project and of your own calls::

    async with world(handlers=["my_package.calls"]) as here:
        client = here.connect()
        await client.authorize(await here.token("read"))
        assert (await client.ask({"greet": "Ada"}))["greet"] == "Hello, Ada"

Rules: only the clock, the sockets and the sending of e-mail are replaced. The database is a file in
a temporary folder, because a database in memory has other locks.
"""

import asyncio
import contextlib
import functools
import itertools
import math
import re
import tempfile
from collections import deque
from collections.abc import AsyncIterator, Callable, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, TypeVar, Union

import orjson
from pydantic import TypeAdapter, ValidationError

from scopegate.app import Running, compose
from scopegate.exchange import ledger as accounts
from scopegate.exchange.ledger import Account
from scopegate.framework import Gateway
from scopegate.gateway.access import apps, passwords, token_management, tokens, users
from scopegate.gateway.access.apps import App
from scopegate.gateway.access.mail import Letter
from scopegate.gateway.access.restrictions import RestrictionKinds
from scopegate.gateway.access.users import RESIDENCE
from scopegate.gateway.calls.registry import Registry
from scopegate.gateway.transport.handshake import Handshake
from scopegate.own_markets import first_moment
from scopegate.runtime.clock import HandClock
from scopegate.scripted import ScriptedMarket
from scopegate.settings import SettingsError, chosen
from scopegate.store.migrating import migrate
from scopegate.store.sqlite_connection import connect
from scopegate.store.transactions import Snapshot, Transaction

T = TypeVar("T")

NOON = 1_767_268_800.0
"""2026-01-01 12:00 UTC, the market time at which a test gateway begins."""

PAGES = "http://127.0.0.1:5555"
"""The origin of the gateway's own pages."""

ABNORMAL = 1006
"""The close code of a connection that ended without a close frame."""
PATIENCE = 10.0
"""Real seconds that a reply may take before a test fails."""
TIME_LIMIT = 60.0
"""Seconds of real time that a call of a `world` may take."""


class Client:
    """A test client of the gateway. Subclasses carry the messages.

    Every successful reply, and every event of a stream, is checked against the types that its call
    declares.
    """

    def __init__(self, registry: Registry) -> None:
        self._registry = registry
        self._ids = itertools.count(1)
        self._pending: dict[Any, asyncio.Future[dict[str, Any]]] = {}
        self._received: deque[dict[str, Any]] = deque()
        self._news = asyncio.Event()
        self._wrong: ValidationError | None = None
        """The error of an event that does not have the type that its call declares."""
        self.closed: tuple[int, str] | None = None
        """The close code and reason, once the gateway has ended the connection."""

    def send_text(self, text: bytes) -> None:
        """Send any text, as it is."""
        raise NotImplementedError

    async def ask(self, request: Mapping[str, Any]) -> dict[str, Any]:
        """Send a request and return its first reply, whatever else arrives meanwhile."""
        self._raise_wrong()
        message = dict(request)
        message.setdefault("req_id", next(self._ids))
        future: asyncio.Future[dict[str, Any]] = asyncio.get_running_loop().create_future()
        self._pending[message["req_id"]] = future
        self.send_text(orjson.dumps(message))
        async with asyncio.timeout(PATIENCE):
            reply = await future
        _check(self._registry, message, reply)
        return reply

    async def authorize(self, token: str) -> dict[str, Any]:
        """Sign in and return the `authorize` object. Fails if that is refused."""
        reply = await self.ask({"authorize": token})
        assert "error" not in reply, reply["error"]  # noqa: S101 - a test helper
        body: dict[str, Any] = reply["authorize"]
        return body

    async def refused(self, request: Mapping[str, Any]) -> str:
        """Send a request that must be refused, and return the code of its error."""
        reply = await self.ask(request)
        assert "error" in reply, f"not refused: {reply}"  # noqa: S101 - a test helper
        code: str = reply["error"]["code"]
        return code

    async def next(self) -> dict[str, Any]:
        """Return the next message that is not a reply to `ask`: an event of a stream."""
        async with asyncio.timeout(PATIENCE):
            while not self._received:
                self._news.clear()
                await self._news.wait()
        self._raise_wrong()
        return self._received.popleft()

    def _raise_wrong(self) -> None:
        wrong, self._wrong = self._wrong, None
        if wrong is not None:
            raise wrong

    @property
    def received(self) -> list[dict[str, Any]]:
        """The messages that arrived and are not replies to `ask`; reading them removes them."""
        self._raise_wrong()
        received = list(self._received)
        self._received.clear()
        return received

    async def ended(self) -> tuple[int, str]:
        """Wait until the gateway closes the connection; return the close code and reason."""
        async with asyncio.timeout(PATIENCE):
            while self.closed is None:
                self._news.clear()
                await self._news.wait()
        return self.closed

    def _arrived(self, text: bytes) -> None:
        message = orjson.loads(text)
        future = self._pending.pop(message.get("req_id"), None)
        if future is not None and not future.done():
            future.set_result(message)
        else:
            self._received.append(message)
            self._news.set()
            if "subscription" in message:
                try:
                    _check(self._registry, message["echo_req"], message)
                except ValidationError as wrong:  # the bus would only log it
                    self._wrong = wrong

    def _ended(self, code: int, reason: str) -> None:
        self.closed = (code, reason)
        self._news.set()
        for future in self._pending.values():
            if not future.done():
                future.set_exception(ConnectionError(f"closed: {code} {reason}"))


class MemoryClient(Client):
    """A client in this process, which uses the gateway's own connection without a socket."""

    congested = False

    def __init__(self, gateway: Running, handshake: Handshake) -> None:
        super().__init__(gateway.registry)
        self._connection = gateway.connect(handshake, self._arrived, self)

    def send_text(self, text: bytes) -> None:
        """Send any text, as it is."""
        self._connection.receive([text])

    def leave(self) -> None:
        """Disconnect without a message."""
        self._connection.leave()

    def close(self, code: int, reason: str) -> None:
        """Called when the gateway closes the connection."""
        self._ended(code, reason)

    def abort(self) -> None:
        """Called when the gateway cuts the connection off."""
        self._ended(ABNORMAL, "")

    def go_silent(self) -> None:
        """Called when the gateway leaves the connection half-open; nothing more arrives."""

    def batched(self, work: Callable[[], None]) -> None:
        """Run the work; there are no writes to combine."""
        work()

    def pause(self) -> None:
        """Called when the gateway stops reading; does nothing for a client in memory."""

    def resume(self) -> None:
        """Called when the gateway reads again."""


class Mailbox:
    """Keeps the e-mails that the gateway would have sent, the latest last."""

    def __init__(self) -> None:
        self.letters: list[Letter] = []

    def send(self, letter: Letter) -> None:
        """Keep the e-mail."""
        self.letters.append(letter)

    def code(self, email: str) -> str:
        """Return the code in the latest e-mail to this address. Fails if there is none."""
        for letter in reversed(self.letters):
            if letter.to == email and (found := _CODE.search(letter.text)):
                return found[1]
        raise AssertionError(f"no e-mail with a code was sent to {email}")


_CODE = re.compile(r"^    (\w+)$", re.MULTILINE)


class Scene:
    """A test gateway with its clock and mailbox, and helpers for clients, tokens and apps."""

    def __init__(self, gateway: Running, clock: HandClock, mail: Mailbox) -> None:
        assert gateway.demo is not None  # noqa: S101 - a scene has the setting `demo`
        self.gateway = gateway
        self.clock = clock
        self.mail = mail
        self.loginid = gateway.demo.accounts[0].loginid
        """The demo user's first account."""
        self.user_id = gateway.demo.accounts[0].user_id
        self._names = itertools.count(1)

    def service(self, kind: type[T]) -> T:
        """Return a service or a handler of the gateway by its type."""
        return self.gateway.service(kind)

    def connect(
        self,
        *,
        app_id: int | str = 1089,
        address: str = "127.0.0.1",
        language: str = "EN",
        origin: str = "",
        host: str = PAGES.removeprefix("http://"),
        proxied: bool = False,
        at_pages: bool = False,
    ) -> MemoryClient:
        """Connect a client of an app: a page of `origin`, or with `at_pages` a gateway page."""
        handshake = Handshake(
            address=address,
            app_id=str(app_id),
            language=language,
            user_agent="scopegate.testing",
            origin=PAGES if at_pages else origin,
            host=host,
            proxied=proxied,
        )
        return MemoryClient(self.gateway, handshake)

    async def owner(self) -> MemoryClient:
        """Connect one of the gateway's pages, at which the demo user has signed in."""
        client = self.connect(at_pages=True)
        reply = await client.ask({"sign_in_demo": 1})
        held = [account["token"] for account in reply["sign_in_demo"]["accounts"]]
        await client.ask({"authorize": "MULTI", "tokens": held})
        return client

    async def token(
        self,
        *scopes: str,
        loginid: str | None = None,
        app: App | None = None,
        restrictions: Mapping[str, Any] | None = None,
    ) -> str:
        """Create a token for an account, by default for the demo account and with all scopes.

        With `app` it is the token that the app gets when the account's owner consents. A token
        without an app may have `restrictions`, as for the call `token_create`.
        """
        chosen = frozenset(scopes) or self.gateway.registry.scopes.names
        name = f"Test {next(self._names)}"
        target = loginid or self.loginid
        kinds = self.gateway.services[RestrictionKinds]
        values = kinds.checked(restrictions or {})

        def job(transaction: Transaction) -> str:
            if app is None:
                new = tokens.NewToken(target, name, chosen)
                return token_management.create_restricted(transaction, kinds, new, values)
            owner = _owner_of(transaction, target)
            return tokens.create(
                transaction,
                tokens.NewToken(
                    target,
                    name,
                    chosen & app.scopes,
                    kind="app",
                    link_id=apps.link(transaction, app, owner, chosen, [target]),
                ),
            )

        return await self.gateway.store.write(job)

    async def app(
        self,
        *scopes: str,
        name: str | None = None,
        owner: int | None = None,
        markup: str = "0",
        flow: str = "both",
    ) -> App:
        """Register an app of the demo user, or of the user `owner`; `markup` is in percent."""
        values = {
            "name": name or f"App {next(self._names)}",
            "scopes": frozenset(scopes) or self.gateway.registry.scopes.names,
            "redirect_uri": "https://app.example.com/back",
            "markup": markup,
            "flow": flow,
        }
        user_id = owner or self.user_id
        return await self.gateway.store.write(
            lambda transaction: apps.register(transaction, user_id, values)
        )

    async def _delivered(self) -> None:
        """Wait until everything that was published is delivered."""
        delivered = asyncio.get_running_loop().create_future()
        self.gateway.bus.when_idle(lambda: delivered.set_result(None))
        await delivered


def _owner_of(reader: Snapshot, loginid: str) -> int:
    """Return the id of the user who owns the account."""
    row = reader.single("SELECT user_id FROM accounts WHERE loginid = ?", loginid)
    user_id: int = row["user_id"]
    return user_id


class World(Scene):
    """A test gateway with the paper exchange: a scene with accounts and their money."""

    def __init__(
        self, gateway: Running, clock: HandClock, mail: Mailbox, accounts: Sequence[Account]
    ) -> None:
        super().__init__(gateway, clock, mail)
        self._accounts = accounts

    @classmethod
    async def around(cls, gateway: Running, clock: HandClock, mail: Mailbox) -> "World":
        """Create the world of a gateway with a demo user."""
        assert gateway.demo is not None  # noqa: S101 - a test helper
        loginids = [each.loginid for each in gateway.demo.accounts]
        owned = await gateway.store.read(
            lambda reader: [accounts.account(reader, loginid) for loginid in loginids]
        )
        return cls(gateway, clock, mail, owned)

    @property
    def demo(self) -> Account:
        """The demo user's demo account."""
        return self._accounts[0]

    @property
    def real(self) -> list[Account]:
        """The demo user's two real-style accounts."""
        return list(self._accounts[1:])

    def market(self, symbol: str) -> ScriptedMarket:
        """Return a market whose next prices the test chooses: `market("R_100").jump("+2%")`."""
        from scopegate.exchange.feed import Feed  # imports numpy and the market

        return ScriptedMarket(self.service(Feed), symbol, self.clock.now, lambda change: change())

    async def user(
        self, email: str, *, password: str | None = None, country: str = RESIDENCE
    ) -> list[Account]:
        """Create another user with a real-style account and a demo account."""
        password_hash = None if password is None else passwords.hash_password(password)

        def job(transaction: Transaction) -> list[Account]:
            user_id = users.create(transaction, email, password_hash=password_hash, country=country)
            at = self.clock.now()
            accounts.open_with_balance(transaction, user_id, virtual=(True, False), at=at)
            return accounts.accounts(transaction, user_id)

        return await self.gateway.store.write(job)

    async def account(
        self, currency: str, balance: int, *, is_virtual: bool = False, owner: int | None = None
    ) -> Account:
        """Open an account of the demo user, or of `owner`; `balance` is in the smallest units."""
        user_id = owner or self.demo.user_id

        def job(transaction: Transaction) -> Account:
            at = self.clock.now()
            opened = accounts.open_account(
                transaction, user_id, currency=currency, is_virtual=is_virtual, at=at
            )
            accounts.set_balance(transaction, opened.loginid, "deposit", balance, at=at)
            return accounts.account(transaction, opened.loginid)

        return await self.gateway.store.write(job)

    async def credit(self, amount: int, loginid: str | None = None) -> None:
        """Add an amount to an account (by default the demo account), in the smallest units."""
        target = loginid or self.demo.loginid
        action = "deposit" if amount > 0 else "withdrawal"
        posting = accounts.Posting(
            loginid=target, action=action, amount=amount, at=self.clock.now()
        )
        await self.gateway.store.write(lambda transaction: accounts.post(transaction, posting))

    async def set_balance(self, balance: int, loginid: str | None = None) -> None:
        """Set the balance of an account (by default the demo account) by booking the difference."""
        target = loginid or self.demo.loginid
        await self.gateway.store.write(
            lambda transaction: accounts.set_balance(
                transaction, target, "adjustment", balance, at=self.clock.now()
            )
        )

    async def open_account(
        self, email: str | None = None, *, currency: str = "USD", virtual: bool = True
    ) -> Account:
        """Open an empty account of a new user with this `email`, or of the demo user without it."""

        def job(transaction: Transaction) -> Account:
            user_id = self.demo.user_id if email is None else users.create(transaction, email)
            return accounts.open_account(
                transaction, user_id, currency=currency, is_virtual=virtual, at=self.clock.now()
            )

        return await self.gateway.store.write(job)

    async def caught_up(self) -> None:
        """Wait until the market has published and settled everything up to its clock's time."""
        from scopegate.exchange.desk import Desk  # imports numpy and the market

        while self.gateway.service(Desk).now < int(self.clock.now()):
            await self._delivered()
            self.clock.advance(0)  # many streams make ticks late: publish the rest now
        await self.gateway.service(Desk).settled()
        await self._delivered()


@asynccontextmanager
async def scene(gateway: Gateway, *, start: float = NOON, **settings: Any) -> AsyncIterator[Scene]:
    """Run your gateway in this process, with a new database and a clock that only the test moves.

    `settings` override those of the gateway, and a mapping under a plugin's name those of the
    plugin. The environment and settings files are not read. There is always a demo user. Raises
    what `compose` raises.
    """
    with tempfile.TemporaryDirectory(prefix="scopegate-") as folder:
        clock, mail = HandClock(start), Mailbox()
        own = _of_plugins(settings)
        options = {
            name: {**gateway.options.get(name, {}), **own.get(name, {})}
            for name in gateway.options.keys() | own.keys()
        }
        fixed = {"demo": True, "db": Path(folder) / "scene.db"}
        given = chosen(**{**gateway.defaults, "port": 0, **settings, **fixed})
        composed = compose(
            given, clock, mail, plugins=gateway.plugins, omit=gateway.omit, options=options
        )
        async with composed as running:
            running.scheduler.round_length = math.inf
            yield Scene(running, clock, mail)


def _of_plugins(settings: dict[str, Any]) -> dict[str, Any]:
    """Remove and return the settings of plugins: each is a mapping under a plugin's name."""
    names = [name for name, value in settings.items() if isinstance(value, Mapping)]
    return {name: settings.pop(name) for name in names}


@asynccontextmanager
async def world(
    *,
    handlers: Iterable[str] = (),
    seed: str = "test",
    start: float | None = None,
    market: Mapping[str, str | Path] | None = None,
    **settings: Any,
) -> AsyncIterator[World]:
    """Run a gateway with the paper exchange and the calls of the modules in `handlers`.

    `market` has files by the names of your own markets. The market's time begins at `start`, by
    default at the first tick of these files or, without any, at `NOON`.
    `settings` are further settings; a mapping under a plugin's name holds those of the plugin. The
    environment and settings files are not read. There is always a demo user. E-mails are kept in
    its `mail`, unless a mail server is set. Raises what `compose` raises.
    """
    files = _named_files(market or {})
    begin = start
    if begin is None:
        first = first_moment(chosen(market=files).market_files) if files else None
        begin = NOON if first is None else first
    with tempfile.TemporaryDirectory(prefix="scopegate-") as folder:
        clock = HandClock(begin)
        db = Path(folder) / "world.db"
        db.write_bytes(_empty_database())
        options = _of_plugins(settings)
        given = chosen(
            db=db,
            seed=seed,
            start=repr(begin),
            market=files,
            handlers=tuple(handlers),
            port=0,
            **{**settings, "demo": True},
        )
        mail = Mailbox()
        composed = compose(given, clock, None if given.smtp_host else mail, options=options)
        async with composed as gateway:
            # Clients in memory are answered at once, even if the test was busy for long before.
            gateway.scheduler.round_length = math.inf
            # A machine that is busy must not decide what a test sees.
            connect: Any = gateway.connect
            connect.dispatcher.time_limit = TIME_LIMIT
            yield await World.around(gateway, clock, mail)


def _named_files(market: Mapping[str, str | Path]) -> tuple[str, ...]:
    """Return files of own markets as the setting `market`. Raises `SettingsError`."""
    if not isinstance(market, Mapping):
        raise SettingsError('market: give files by name, such as {"OWN_X": "ticks.csv"}')
    return tuple(f"{name}={path}" for name, path in market.items())


@functools.cache  # the migrations take a third of a start
def _empty_database() -> bytes:
    """Return the file content of a new, migrated database."""
    with tempfile.TemporaryDirectory(prefix="scopegate-") as folder:
        empty = Path(folder) / "empty.db"
        with contextlib.closing(connect(empty)) as connection:
            migrate(connection)
        return empty.read_bytes()


_adapters: dict[tuple[type, ...], TypeAdapter[Any]] = {}


def _check(registry: Registry, message: Mapping[str, Any], reply: Mapping[str, Any]) -> None:
    """Check a reply against the types, or the error codes, that its call declares."""
    name = registry.find(message)
    call = registry.get(name) if name is not None else None
    if call is None:
        return
    if "error" in reply:
        code = reply["error"]["code"]
        known = call.error_codes is None or code in call.error_codes
        assert known, f"{call.name} answers {code}: name it in error_codes="  # noqa: S101
        return
    adapter = _adapters.get(call.replies)
    if adapter is None:
        any_of: Any = Union[call.replies]  # noqa: UP007 - made from a tuple
        adapter = _adapters[call.replies] = TypeAdapter(any_of)
    head = ("echo_req", "req_id", "passthrough", "msg_type", "subscription", "position", "gap")
    body = {key: value for key, value in reply.items() if key not in head}
    adapter.validate_python(body, strict=False, extra="forbid")
