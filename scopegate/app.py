"""Composes a gateway: builds every part, introduces handlers to it, and owns their lifetimes.

Rules: the only file that knows every part; what it opens it closes, in reverse; nobody is given the
gateway itself, only the parts they need.
"""

import asyncio
import contextlib
import importlib
import importlib.metadata
import inspect
import os
import ssl
import typing
from collections.abc import AsyncIterator, Callable, Iterable, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from functools import lru_cache, partial
from ipaddress import ip_network
from pathlib import Path
from typing import Any

from scopegate import market_start
from scopegate.exchange import ledger as accounts
from scopegate.exchange.announcements import Announcements
from scopegate.exchange.copying import Copying
from scopegate.exchange.desk import Desk
from scopegate.exchange.feed import Feed
from scopegate.exchange.ledger import Account, Ledger
from scopegate.exchange.payments import Teller
from scopegate.exchange.rates import Rates
from scopegate.exchange.rules import Margins
from scopegate.gateway import local_ca
from scopegate.gateway.access import tokens, users
from scopegate.gateway.access.apps import TEST_APP
from scopegate.gateway.access.guard import Access
from scopegate.gateway.access.passwords import Passwords
from scopegate.gateway.bus import Bus
from scopegate.gateway.calls import DeclarationError, Registry
from scopegate.gateway.clock import Clock, HandClock, RunningClock
from scopegate.gateway.connection import Connection, Transport
from scopegate.gateway.dispatch import Dispatcher
from scopegate.gateway.fairness import Scheduler, Workers
from scopegate.gateway.limits import (
    HTTP_PER_MINUTE,
    PROFILES,
    Claim,
    ConcurrencyLimiter,
    Profile,
    RateLimiter,
    RequestLimiter,
)
from scopegate.gateway.mail import LogMailer, Mailer, mailer
from scopegate.gateway.oauth import TokenEndpoint
from scopegate.gateway.server import Accept, Listening, Server, Visitor
from scopegate.gateway.session import Session, unsigned_holder
from scopegate.gateway.site import Site
from scopegate.gateway.store import Store, StoreUnavailableError, Transaction
from scopegate.gateway.supervisor import supervise
from scopegate.gateway.token_form import without_tokens
from scopegate.handlers.accounts import Accounts
from scopegate.handlers.apps import Apps
from scopegate.handlers.assessment import Assessment
from scopegate.handlers.calendars import Calendars
from scopegate.handlers.consent import Consent
from scopegate.handlers.copying import CopyTrading
from scopegate.handlers.countries import COUNTRIES
from scopegate.handlers.exchange_rates import ExchangeRates
from scopegate.handlers.exclusion import SelfExclusion
from scopegate.handlers.general import General
from scopegate.handlers.market import Market, Ticker
from scopegate.handlers.markups import Markups
from scopegate.handlers.offers import Offers
from scopegate.handlers.opening import Opening
from scopegate.handlers.orders import Orders
from scopegate.handlers.oversight import Oversight
from scopegate.handlers.pages import Pages
from scopegate.handlers.payment_agents import PaymentAgents
from scopegate.handlers.payments import Payments
from scopegate.handlers.places import Places
from scopegate.handlers.portfolio import Portfolio
from scopegate.handlers.profile import Profile as UserProfile
from scopegate.handlers.proposals import Proposals
from scopegate.handlers.sessions import Sessions
from scopegate.handlers.tokens import Tokens
from scopegate.handlers.trading import Trading
from scopegate.handlers.verification import Verification
from scopegate.limits_in_force import limits_in_force
from scopegate.retention import EVERY, Retention
from scopegate.schemas.scopes import ALL_SCOPES
from scopegate.settings import RESIDENCE, Settings, SettingsError

HANDLER_GROUP = "scopegate.handlers"
"""The entry-point group in which installed packages offer calls."""

DEMO_EMAIL = "demo@scopegate.invalid"


@dataclass(frozen=True, slots=True)
class Demo:
    """What a demo user needs to begin: their accounts, and this start's token for the first."""

    accounts: Sequence[Account]
    token: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Gateway:
    """A composed gateway: what the command line and the tests hold on to."""

    settings: Settings
    store: Store
    bus: Bus
    access: Access
    ledger: Ledger
    desk: Desk
    feed: Feed
    clock: Clock
    registry: Registry
    demo: Demo | None
    scheduler: Scheduler
    workers: Workers
    connect: Accept


@dataclass(frozen=True, slots=True)
class Connect:
    """Makes the connection of a client."""

    dispatcher: Dispatcher
    scheduler: Scheduler
    access: Access
    limiter: RateLimiter
    connections: ConcurrencyLimiter
    any_app_id: bool
    """Whether an unknown app_id means the test app."""

    def refusal(self, visitor: Visitor) -> str | None:
        """The limit that keeps this visitor from connecting, or `None`. Counts as a message."""
        holder = unsigned_holder(visitor.address, visitor.origin, visitor.host)
        broken = self.connections.broken_by([holder], self._connection)
        return broken or self.limiter.message_broken_by(holder.key, 0)

    @property
    def _connection(self) -> list[Claim]:
        return [Claim("connections", self.limiter.profile.connections_per_address)]

    def __call__(
        self, visitor: Visitor, send: Callable[[bytes], None], transport: Transport
    ) -> Connection:
        """A connection of this visitor's, over this transport."""
        session = Session(
            send,
            app_id=self._app_id(visitor.app_id),
            address=visitor.address,
            language=without_tokens(visitor.language),
            user_agent=without_tokens(visitor.user_agent),
            origin=without_tokens(visitor.origin),
            host=visitor.host,
            proxied=visitor.proxied,
            secure=visitor.secure,
        )
        self.access.join(session)
        session.on_leave(partial(self.access.leave, session))
        holders, claims = (session.unsigned,), self._connection
        self.connections.take(holders, claims)
        session.on_leave(partial(self.connections.give_back, holders, claims))
        return Connection(self.dispatcher, self.scheduler, session, transport)

    def _app_id(self, text: str) -> int | None:
        """The app that a client names; `None` if there is no such app."""
        if not _is_app_id(text):
            return None
        app_id = int(text)
        if self.access.app(app_id) is not None:
            return app_id
        return TEST_APP if self.any_app_id else None


def _is_app_id(text: str) -> bool:
    return text.isascii() and text.isdigit() and len(text) <= 15


@dataclass(frozen=True, slots=True)
class _Parts:
    """Everything that handlers are made of. Building it opens and reads nothing."""

    profile: Profile
    requests: int
    """HTTP requests that an address block may make in a minute."""
    held: ConcurrencyLimiter
    store: Store
    clock: Clock
    feed: Feed
    bus: Bus
    access: Access
    ledger: Ledger
    copying: Copying
    desk: Desk
    mail: Mailer | None
    rates: Rates
    teller: Teller
    workers: Workers
    residence: str

    def by_type(self) -> Mapping[type, object]:
        """Each part by the type under which a constructor may ask for it."""
        return {
            Access: self.access,
            Bus: self.bus,
            Clock: self.clock,
            Copying: self.copying,
            Desk: self.desk,
            Feed: self.feed,
            Ledger: self.ledger,
            Profile: self.profile,
            Store: self.store,
            Workers: self.workers,
        }


@lru_cache(maxsize=2)
def _feed(seed: str) -> Feed:
    """Gateways of one process that share a seed, as those of tests, compute each price once."""
    return Feed(seed)


def _build(
    profile: Profile,
    margins: Margins,
    store: Store,
    clock: Clock,
    seed: str,
    mail: Mailer | None,
    residence: str = RESIDENCE,
    requests: int = HTTP_PER_MINUTE["open"],
) -> _Parts:
    feed = _feed(seed)
    # Neighbours on one floor: that a token holds is the access's to know, and is passed on.
    copying = Copying(store, clock, tokens.holds)
    rates = Rates(feed)
    held = ConcurrencyLimiter()
    return _Parts(
        profile=profile,
        requests=requests,
        held=held,
        store=store,
        clock=clock,
        feed=feed,
        bus=Bus(),
        access=Access(store, profile, held),
        ledger=Ledger(store, clock),
        copying=copying,
        desk=Desk(store, feed, clock, margins, copying),
        mail=mail,
        rates=rates,
        teller=Teller(store, rates, clock),
        workers=Workers(),
        residence=residence,
    )


def _offer(parts: _Parts, modules: Iterable[str]) -> tuple[Registry, Ticker, Pages]:
    """The registry of all calls, ours and those of strangers, and what must be told more."""
    registry = Registry()
    general = General(
        parts.clock, parts.profile, limits_in_force(parts.profile, parts.requests), parts.residence
    )
    portfolio = Portfolio(parts.desk, parts.store, parts.bus, parts.workers)
    proposals = Proposals(
        parts.feed, parts.clock, parts.bus, parts.profile, parts.desk.margins, parts.access
    )
    ticker = Ticker(parts.feed, parts.clock, parts.bus)
    passwords = Passwords()
    pages = Pages(parts.access, parts.store, passwords)
    exchange_rates = ExchangeRates(parts.rates, parts.clock, parts.bus)
    for follower in (
        parts.desk.second,
        portfolio.second,
        proposals.second,
        exchange_rates.second,
    ):
        ticker.follow(follower)
    ours: list[object] = [
        general,
        Sessions(parts.access, parts.ledger, parts.store, parts.clock),
        Market(parts.feed, parts.clock, parts.workers),
        exchange_rates,
        Calendars(Announcements(parts.feed.seed), parts.clock, parts.workers),
        Offers(parts.feed, parts.clock, parts.desk.margins),
        proposals,
        Trading(parts.desk, proposals, portfolio, parts.access, parts.clock, parts.rates),
        Orders(parts.desk, parts.access, parts.clock, parts.store),
        portfolio,
        Accounts(
            parts.ledger,
            parts.desk,
            parts.teller,
            parts.rates,
            parts.clock,
            parts.access,
            parts.bus,
            parts.workers,
        ),
        CopyTrading(
            parts.copying, parts.access, parts.store, parts.bus, parts.clock, parts.workers
        ),
        Payments(parts.teller, parts.ledger, parts.access),
        PaymentAgents(parts.teller, parts.access, parts.store),
        UserProfile(parts.access, parts.store, parts.clock),
        Assessment(parts.access, parts.store),
        Tokens(parts.access, parts.store),
        Apps(parts.access, parts.store),
        Verification(parts.store, parts.mail),
        Opening(parts.access, parts.store, parts.clock, passwords),
        Places(),
        Markups(parts.store),
        SelfExclusion(parts.access, parts.store, parts.clock),
        pages,
        Consent(parts.access, parts.store),
        Oversight(parts.access, parts.store, parts.ledger),
    ]
    for handler in ours:
        registry.add(handler, eager=True)
    for handler in _strangers(modules, parts.by_type()):
        registry.add(handler, eager=False)
    general.counted((call.name, call.rate) for call in registry)
    return registry, ticker, pages


def declared(modules: Iterable[str] = ()) -> Registry:
    """Every call that a gateway would offer, without one running: to be read, not to be made."""
    nowhere = Store(Path(os.devnull))
    parts = _build(PROFILES["open"], Margins(), nowhere, HandClock(0.0), "none", LogMailer())
    return _offer(parts, modules)[0]


@asynccontextmanager
async def compose(
    settings: Settings, clock: Clock | None = None, mail: Mailer | None = None
) -> AsyncIterator[Gateway]:
    """A gateway with everything but a listener, until the block ends.

    `clock` replaces the running one, `mail` whatever the settings say of letters. Raises
    `StoreError`, `SettingsError` or `DeclarationError` when it can not start.
    """
    if settings.residence not in COUNTRIES:
        raise SettingsError(
            f"residence: {settings.residence!r} is not a two-letter country code, such as id or gb"
        )
    declared(settings.handlers)  # what is wrong with a call is said before anything is written
    async with AsyncExitStack() as stack:
        store = Store(settings.db)
        await store.open()
        stack.push_async_callback(store.close)
        start = await store.write(
            lambda transaction: market_start.settle(
                transaction, seed=settings.seed, start=settings.start, speed=settings.speed
            )
        )
        if clock is None:
            clock = RunningClock(start.clock, settings.speed, least=start.resume)
        mail_server = settings.mail_server()
        if mail is None and (mail_server is not None or settings.letters_in_log):
            mail = await stack.enter_async_context(mailer(mail_server))
        parts = _build(
            settings.profile(),
            settings.margins(),
            store,
            clock,
            start.seed,
            mail,
            settings.residence,
            settings.requests(),
        )
        stack.callback(parts.workers.close)
        registry, ticker, pages = _offer(parts, settings.handlers)
        access = parts.access
        await access.start()
        await store.write(lambda transaction: users.settle(transaction, settings.residence))
        demo = await _demo(store, settings, clock.now())
        if demo is not None and settings.demo_at_pages:
            pages.show_demo(demo.accounts[0].loginid, demo.token)
        await _mark(store, clock, settings.speed)  # before the first second is published
        keeping = [
            supervise("access", access.run),
            supervise("retention", partial(_purge, Retention(store, clock))),
            supervise("the market's mark", partial(_keep_mark, store, clock, settings.speed)),
        ]
        stack.push_async_callback(_finish, keeping, access, store, clock)
        await parts.desk.start()
        stack.push_async_callback(parts.desk.close)
        ticker.start(after=parts.desk.now)
        stack.callback(ticker.stop)
        limiter = RateLimiter(parts.profile)
        scheduler = Scheduler()
        dispatcher = Dispatcher(
            registry,
            parts.bus,
            limiter,
            parts.held,
            used=access.used,
            refusal=access.refusal,
        )
        yield Gateway(
            settings=settings,
            store=store,
            bus=parts.bus,
            access=access,
            ledger=parts.ledger,
            desk=parts.desk,
            feed=parts.feed,
            clock=clock,
            registry=registry,
            demo=demo,
            scheduler=scheduler,
            workers=parts.workers,
            connect=Connect(
                dispatcher, scheduler, access, limiter, parts.held, settings.any_app_id
            ),
        )


async def _finish(
    keeping: list[asyncio.Task[None]], access: Access, store: Store, clock: Clock
) -> None:
    for task in keeping:
        task.cancel()
    await asyncio.gather(*keeping, return_exceptions=True)
    with contextlib.suppress(StoreUnavailableError):  # it is logged, and a stop goes on
        await access.flush()
        await store.write(lambda transaction: market_start.stand(transaction, clock.now()))


async def _keep_mark(store: Store, clock: Clock, speed: float) -> None:
    """Keep a mark ahead of the market; it never resumes before its mark."""
    while True:
        await asyncio.sleep(market_start.MARK_EVERY)
        await _mark(store, clock, speed)


async def _mark(store: Store, clock: Clock, speed: float) -> None:
    await store.write(lambda transaction: market_start.run(transaction, clock.now(), speed))


async def _purge(retention: Retention) -> None:
    while True:
        await asyncio.sleep(EVERY)
        await retention.purge()


async def _demo(store: Store, settings: Settings, at: float) -> Demo | None:
    """Create the demo user on an empty database, and replace the demo token of the last start.

    The last demo token ends at every start, also at one without a demo user. Tokens that the demo
    user created at the pages stay.
    """

    def job(transaction: Transaction) -> Demo | None:
        tokens.end_demo(transaction)
        if not settings.demo_at_pages and (signed_in := users.demo(transaction)) is not None:
            tokens.end_sign_ins_of_user(transaction, signed_in["id"])
        if not (settings.demo or settings.on_loopback):
            return None
        if transaction.one("SELECT 1 FROM users") is None:
            user_id = users.create(
                transaction, DEMO_EMAIL, country=settings.residence, is_demo=True
            )
            accounts.open_with_balance(transaction, user_id, virtual=(True, False, False), at=at)
        user = users.demo(transaction)
        if user is None:
            return None
        owned = accounts.accounts(transaction, user["id"])
        first = next(account for account in owned if account.is_virtual)
        token = tokens.create(transaction, first.loginid, "Demo", ALL_SCOPES, kind="demo")
        return Demo([first, *(account for account in owned if account != first)], token)

    return await store.write(job)


# Calls of strangers.


def _strangers(modules: Iterable[str], parts: Mapping[type, object]) -> list[object]:
    """Handlers from installed packages and the named modules, given the parts they ask for."""
    classes: dict[type, None] = {}
    for entry in importlib.metadata.entry_points(group=HANDLER_GROUP):
        try:
            loaded = entry.load()
        except Exception as problem:
            raise DeclarationError(f"cannot load {entry.value}: {problem}") from problem
        classes |= dict.fromkeys(_handler_classes(loaded))
    for name in modules:
        try:
            module = importlib.import_module(name)
        except Exception as problem:
            raise DeclarationError(
                f"cannot import {name}: {type(problem).__name__}: {problem}"
            ) from problem
        classes |= dict.fromkeys(_handler_classes(module))
    return [_make(handler, parts) for handler in classes]


def _handler_classes(loaded: Any) -> list[type]:
    """A class, or every class of a module that declares a call."""
    if inspect.isclass(loaded):
        return [loaded]
    found = [
        member
        for _, member in inspect.getmembers(loaded, inspect.isclass)
        if member.__module__ == loaded.__name__ and Registry.declares_calls(member)
    ]
    if not found:
        raise DeclarationError(f"{loaded.__name__} has no class with a method under @call")
    return found


def _make(handler: type, parts: Mapping[type, object]) -> object:
    """An object of the class, given the parts that its constructor names by type."""
    constructor = vars(handler).get("__init__")
    hints = typing.get_type_hints(constructor) if constructor is not None else {}
    hints.pop("return", None)
    arguments: dict[str, object] = {}
    for name, wanted in hints.items():
        if wanted not in parts:
            offered = ", ".join(sorted(part.__name__ for part in parts))
            raise DeclarationError(
                f"{handler.__name__}.__init__ asks for {name}: {wanted!r}; it can have {offered}"
            )
        arguments[name] = parts[wanted]
    return handler(**arguments)


# Listening.


@asynccontextmanager
async def listen(gateway: Gateway, tls: ssl.SSLContext | None = None) -> AsyncIterator[int]:
    """The port that the gateway listens on, with TLS or without, until the block ends."""
    settings = gateway.settings
    server = Server(
        Listening(
            host=settings.host,
            port=settings.port,
            tls=tls,
            compression=settings.compression,
            trusted_proxies=tuple(ip_network(network) for network in settings.trusted_proxy),
            hosts=settings.hosts(),
            ping_after=settings.ping_after,
        ),
        gateway.connect,
        site(gateway, secure=tls is not None),
        gateway.scheduler,
    )
    try:
        port = await server.start()
    except OSError as problem:
        raise SettingsError(
            f"cannot listen on {settings.host}:{settings.port}: {_why(problem)}; choose another"
            " address with --host or --port"
        ) from problem
    try:
        yield port
    finally:
        await server.stop()


def site(gateway: Gateway, *, secure: bool) -> Site:
    """What the gateway answers over plain HTTP, or over TLS where it is `secure`."""
    return Site(
        gateway.registry,
        TokenEndpoint(gateway.store),
        app_of=gateway.access.app,
        workers=gateway.workers,
        limiter=RequestLimiter(gateway.settings.requests()),
        secure=secure,
        # A browser then insists on TLS for a year, which does not suit a certificate for one run.
        keeps_to_tls=secure and gateway.settings.tls_cert is not None,
    )


def _why(problem: OSError) -> str:
    """The system's own words; asyncio puts many more around them."""
    return os.strerror(problem.errno) if problem.errno and problem.errno > 0 else str(problem)


def tls_context(settings: Settings) -> ssl.SSLContext | None:
    """TLS as it is set, or `None` for plain connections. Raises `SettingsError`."""
    if settings.tls_self_signed:
        return local_ca.context(
            settings.db,
            dict.fromkeys((settings.host, *settings.allowed_host, "localhost", "127.0.0.1", "::1")),
        )
    if settings.tls_cert is None or settings.tls_key is None:
        return None
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    try:
        context.load_cert_chain(settings.tls_cert, settings.tls_key)
    except (OSError, ssl.SSLError) as problem:
        raise SettingsError(f"tls_cert, tls_key: {problem}") from problem
    return context
