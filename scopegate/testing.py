"""A gateway to test against: the real one, with a clock that is moved by hand, in process.

For our own tests and for authors of calls of their own::

    async with world(handlers=["my_package.calls"]) as here:
        client = here.connect()
        await client.authorize(await here.token("read"))
        assert (await client.ask({"greet": "Ada"}))["greet"] == "Hello, Ada"

Rules: nothing here replaces a part of the gateway but its clock and its sockets. The database is a
file in a temporary folder, since a database in memory has other locks.
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
from scopegate.gateway.access import apps, passwords, tokens, users
from scopegate.gateway.access.apps import App
from scopegate.gateway.access.mail import Letter
from scopegate.gateway.access.users import RESIDENCE
from scopegate.gateway.calls.registry import Registry
from scopegate.gateway.transport.handshake import Handshake
from scopegate.runtime.clock import HandClock
from scopegate.settings import chosen
from scopegate.store import sqlite as store
from scopegate.store.sqlite import Snapshot, Transaction

T = TypeVar("T")

NOON = 1_767_268_800.0
"""2026-01-01 12:00 UTC: where the market stands when a world begins."""

PAGES = "http://127.0.0.1:5555"
"""The origin of the gateway's own pages."""

PATIENCE = 10.0
"""Real seconds that a reply may take before a test fails."""


class Client:
    """A client of the gateway: asks, and is told. Subclasses carry the messages.

    Every successful reply, and every event of a stream, is checked against the types that its call
    declares.
    """

    def __init__(self, registry: Registry) -> None:
        self._registry = registry
        self._ids = itertools.count(1)
        self._asked: dict[Any, asyncio.Future[dict[str, Any]]] = {}
        self._told: deque[dict[str, Any]] = deque()
        self._news = asyncio.Event()
        self._wrong: ValidationError | None = None
        """An event that was not of the type that its call declares."""
        self.closed: tuple[int, str] | None = None
        """The close code and reason, once the gateway has ended the connection."""

    def send_text(self, text: bytes) -> None:
        """Send any text, as it is."""
        raise NotImplementedError

    async def ask(self, request: Mapping[str, Any]) -> dict[str, Any]:
        """Send a request and wait for its first reply, whatever else arrives meanwhile."""
        self._raise_wrong()
        message = dict(request)
        message.setdefault("req_id", next(self._ids))
        future: asyncio.Future[dict[str, Any]] = asyncio.get_running_loop().create_future()
        self._asked[message["req_id"]] = future
        self.send_text(orjson.dumps(message))
        async with asyncio.timeout(PATIENCE):
            reply = await future
        _check(self._registry, message, reply)
        return reply

    async def authorize(self, token: str) -> dict[str, Any]:
        """Sign in; the `authorize` object. Fails if that is refused."""
        reply = await self.ask({"authorize": token})
        assert "error" not in reply, reply["error"]  # noqa: S101 - a test helper
        body: dict[str, Any] = reply["authorize"]
        return body

    async def refused(self, request: Mapping[str, Any]) -> str:
        """Send a request that must be refused; the code of its error."""
        reply = await self.ask(request)
        assert "error" in reply, f"not refused: {reply}"  # noqa: S101 - a test helper
        code: str = reply["error"]["code"]
        return code

    async def next(self) -> dict[str, Any]:
        """The next message that is no reply to `ask`: an event of a stream."""
        async with asyncio.timeout(PATIENCE):
            while not self._told:
                self._news.clear()
                await self._news.wait()
        self._raise_wrong()
        return self._told.popleft()

    def _raise_wrong(self) -> None:
        wrong, self._wrong = self._wrong, None
        if wrong is not None:
            raise wrong

    @property
    def told(self) -> list[dict[str, Any]]:
        """What has arrived and was not asked for, taken away."""
        self._raise_wrong()
        taken = list(self._told)
        self._told.clear()
        return taken

    async def ended(self) -> tuple[int, str]:
        """Wait until the gateway ends the connection; the close code and reason."""
        async with asyncio.timeout(PATIENCE):
            while self.closed is None:
                self._news.clear()
                await self._news.wait()
        return self.closed

    def _arrived(self, text: bytes) -> None:
        message = orjson.loads(text)
        future = self._asked.pop(message.get("req_id"), None)
        if future is not None and not future.done():
            future.set_result(message)
        else:
            self._told.append(message)
            self._news.set()
            if "subscription" in message:
                try:
                    _check(self._registry, message["echo_req"], message)
                except ValidationError as wrong:  # the bus would only log it
                    self._wrong = wrong

    def _ended(self, code: int, reason: str) -> None:
        self.closed = (code, reason)
        self._news.set()
        for future in self._asked.values():
            if not future.done():
                future.set_exception(ConnectionError(f"closed: {code} {reason}"))


class MemoryClient(Client):
    """A client in this process, over the gateway's own connection and no socket."""

    congested = False

    def __init__(self, gateway: Running, handshake: Handshake) -> None:
        super().__init__(gateway.registry)
        self._connection = gateway.connect(handshake, self._arrived, self)

    def send_text(self, text: bytes) -> None:
        """Send any text, as it is."""
        self._connection.receive([text])

    def leave(self) -> None:
        """Go away without a word."""
        self._connection.leave()

    def close(self, code: int, reason: str) -> None:
        """The gateway ends the connection."""
        self._ended(code, reason)

    def batched(self, work: Callable[[], None]) -> None:
        """There are no writes to put together."""
        work()

    def pause(self) -> None:
        """The gateway reads no more; a client in memory needs no telling."""

    def resume(self) -> None:
        """The gateway reads again."""


class Mailbox:
    """Keeps what the gateway would have sent by e-mail, the latest last."""

    def __init__(self) -> None:
        self.letters: list[Letter] = []

    def send(self, letter: Letter) -> None:
        """Keep the letter."""
        self.letters.append(letter)

    def code(self, email: str) -> str:
        """The code in the latest letter to this address. Fails where there is none."""
        for letter in reversed(self.letters):
            if letter.to == email and (found := _CODE.search(letter.text)):
                return found[1]
        raise AssertionError(f"no letter with a code has gone to {email}")


_CODE = re.compile(r"^    (\w+)$", re.MULTILINE)


class Scene:
    """A gateway with its clock and its mailbox, and ways to set the scene."""

    def __init__(self, gateway: Running, clock: HandClock, mail: Mailbox) -> None:
        assert gateway.demo is not None  # noqa: S101 - a scene listens on loopback
        self.gateway = gateway
        self.clock = clock
        self.mail = mail
        self.loginid = gateway.demo.accounts[0].loginid
        """The demo user's first account."""
        self.user_id = gateway.demo.accounts[0].user_id
        self._names = itertools.count(1)

    def service(self, kind: type[T]) -> T:
        """A service or a handler of the gateway, by its type."""
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
        """A client of an app, from an address; a page of this origin, or one of the gateway's."""
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
        """A page of the gateway's own, at which the demo user has signed in."""
        client = self.connect(at_pages=True)
        reply = await client.ask({"sign_in_demo": 1})
        held = [account["token"] for account in reply["sign_in_demo"]["accounts"]]
        await client.ask({"authorize": "MULTI", "tokens": held})
        return client

    async def token(self, *scopes: str, loginid: str | None = None, app: App | None = None) -> str:
        """A token for an account (the demo one): all scopes when none are named.

        With `app` it is the token that the app gets when the account's owner lets it act.
        """
        chosen = frozenset(scopes) or self.gateway.registry.scopes.names
        name = f"Test {next(self._names)}"
        target = loginid or self.loginid

        def job(transaction: Transaction) -> str:
            if app is None:
                return tokens.create(transaction, tokens.NewToken(target, name, chosen))
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
        """An app of the demo user's, or of the user with this number; `markup` is in percent."""
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

    async def _told(self) -> None:
        """Wait until what was published is delivered."""
        told = asyncio.get_running_loop().create_future()
        self.gateway.bus.when_idle(lambda: told.set_result(None))
        await told


def _owner_of(reader: Snapshot, loginid: str) -> int:
    """The user whose account this is."""
    row = reader.single("SELECT user_id FROM accounts WHERE loginid = ?", loginid)
    user_id: int = row["user_id"]
    return user_id


class World(Scene):
    """A gateway with the paper exchange: a scene with accounts and their money."""

    def __init__(
        self, gateway: Running, clock: HandClock, mail: Mailbox, accounts: Sequence[Account]
    ) -> None:
        super().__init__(gateway, clock, mail)
        self._accounts = accounts

    @classmethod
    async def around(cls, gateway: Running, clock: HandClock, mail: Mailbox) -> "World":
        """The world of a gateway with a demo user, as every gateway on loopback has one."""
        assert gateway.demo is not None  # noqa: S101 - a test helper
        loginids = [each.loginid for each in gateway.demo.accounts]
        owned = await gateway.store.read(
            lambda reader: [accounts.account(reader, loginid) for loginid in loginids]
        )
        return cls(gateway, clock, mail, owned)

    @property
    def demo(self) -> Account:
        """The demo account that every world has."""
        return self._accounts[0]

    @property
    def real(self) -> list[Account]:
        """The demo user's two real-style accounts."""
        return list(self._accounts[1:])

    async def user(
        self, email: str, *, password: str | None = None, country: str = RESIDENCE
    ) -> list[Account]:
        """Another user, with a real-style account and a demo one."""
        kept = None if password is None else passwords.hash_password(password)

        def job(transaction: Transaction) -> list[Account]:
            user_id = users.create(transaction, email, password_hash=kept, country=country)
            at = self.clock.now()
            accounts.open_with_balance(transaction, user_id, virtual=(True, False), at=at)
            return accounts.accounts(transaction, user_id)

        return await self.gateway.store.write(job)

    async def account(
        self, currency: str, balance: int, *, is_virtual: bool = False, owner: int | None = None
    ) -> Account:
        """An account of the demo user's (or this one's), with a balance in smallest units."""
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
        """Add to an account (the demo one), in its currency's smallest units."""
        target = loginid or self.demo.loginid
        action = "deposit" if amount > 0 else "withdrawal"
        posting = accounts.Posting(
            loginid=target, action=action, amount=amount, at=self.clock.now()
        )
        await self.gateway.store.write(lambda transaction: accounts.post(transaction, posting))

    async def set_balance(self, balance: int, loginid: str | None = None) -> None:
        """Book what an account (the demo one) lacks of a balance, or has beyond it."""
        target = loginid or self.demo.loginid
        await self.gateway.store.write(
            lambda transaction: accounts.set_balance(
                transaction, target, "adjustment", balance, at=self.clock.now()
            )
        )

    async def open_account(
        self, email: str | None = None, *, currency: str = "USD", virtual: bool = True
    ) -> Account:
        """An empty account of another user's, or of the demo user where no `email` is given."""

        def job(transaction: Transaction) -> Account:
            user_id = self.demo.user_id if email is None else users.create(transaction, email)
            return accounts.open_account(
                transaction, user_id, currency=currency, is_virtual=virtual, at=self.clock.now()
            )

        return await self.gateway.store.write(job)

    async def caught_up(self) -> None:
        """Wait until the market has told all that its clock has reached, and has settled it."""
        from scopegate.exchange.desk import Desk  # numpy, and all of the market

        while self.gateway.service(Desk).now < int(self.clock.now()):
            await self._told()
            self.clock.advance(0)  # a crowd makes ticks late: the rest is told now
        await self.gateway.service(Desk).settled()
        await self._told()


@asynccontextmanager
async def scene(gateway: Gateway, *, start: float = NOON, **settings: Any) -> AsyncIterator[Scene]:
    """A gateway of one's own in this process, with a new database and a clock that stands still.

    `settings` win over those of the gateway, and a mapping by a plugin's name over that plugin's;
    the environment and settings files are not looked at. Raises what `compose` raises.
    """
    with tempfile.TemporaryDirectory(prefix="scopegate-") as folder:
        clock, mail = HandClock(start), Mailbox()
        own = _of_plugins(settings)
        options = {
            name: {**gateway.options.get(name, {}), **own.get(name, {})}
            for name in gateway.options.keys() | own.keys()
        }
        given = chosen(
            **{**gateway.defaults, "port": 0, **settings, "db": Path(folder) / "scene.db"}
        )
        composed = compose(
            given, clock, mail, plugins=gateway.plugins, omit=gateway.omit, options=options
        )
        async with composed as running:
            running.scheduler.round_length = math.inf
            yield Scene(running, clock, mail)


def _of_plugins(settings: dict[str, Any]) -> dict[str, Any]:
    """Take the settings of plugins out of these: each is a mapping by a plugin's name."""
    names = [name for name, value in settings.items() if isinstance(value, Mapping)]
    return {name: settings.pop(name) for name in names}


@asynccontextmanager
async def world(
    *, handlers: Iterable[str] = (), seed: str = "test", start: float = NOON, **settings: Any
) -> AsyncIterator[World]:
    """A gateway of one's own, with the modules of `handlers` offered as well.

    `settings` are further ones, a mapping by a plugin's name those of the plugin; the environment
    and settings files are not looked at. Letters are kept in its `mail`, unless a mail server is
    set. Raises what `compose` raises.
    """
    with tempfile.TemporaryDirectory(prefix="scopegate-") as folder:
        clock = HandClock(start)
        db = Path(folder) / "world.db"
        db.write_bytes(_empty_database())
        options = _of_plugins(settings)
        given = chosen(
            db=db,
            seed=seed,
            start=repr(start),
            handlers=tuple(handlers),
            port=0,
            **settings,
        )
        mail = Mailbox()
        composed = compose(given, clock, None if given.smtp_host else mail, options=options)
        async with composed as gateway:
            # A client in memory is answered at once, however long the test has been busy before.
            gateway.scheduler.round_length = math.inf
            yield await World.around(gateway, clock, mail)


@functools.cache  # to migrate one takes a third of a start
def _empty_database() -> bytes:
    """The file of a new, migrated database."""
    with tempfile.TemporaryDirectory(prefix="scopegate-") as folder:
        empty = Path(folder) / "empty.db"
        with contextlib.closing(store.connect(empty)) as connection:
            store.migrate(connection)
        return empty.read_bytes()


_adapters: dict[tuple[type, ...], TypeAdapter[Any]] = {}


def _check(registry: Registry, message: Mapping[str, Any], reply: Mapping[str, Any]) -> None:
    """Check a reply against the types that its call declares."""
    name = registry.find(message)
    call = registry.get(name) if name is not None else None
    if call is None or "error" in reply:
        return
    adapter = _adapters.get(call.replies)
    if adapter is None:
        any_of: Any = Union[call.replies]  # noqa: UP007 - made from a tuple
        adapter = _adapters[call.replies] = TypeAdapter(any_of)
    head = ("echo_req", "req_id", "passthrough", "msg_type", "subscription")
    body = {key: value for key, value in reply.items() if key not in head}
    adapter.validate_python(body, strict=False, extra="forbid")
