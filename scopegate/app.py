"""Composes a gateway: builds every part, introduces handlers to it, and owns their lifetimes.

Rules: the only file that knows every part; what it opens it closes, in reverse; nobody is given the
gateway itself, only the parts they need.
"""

import asyncio
import contextlib
import os
from collections.abc import AsyncIterator, Callable, Iterable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from functools import lru_cache, partial
from pathlib import Path

from scopegate import demo as demo_user
from scopegate import market_start, plugins
from scopegate.demo import Demo
from scopegate.exchange.announcements import Announcements
from scopegate.exchange.contracts.terms import Refusal
from scopegate.exchange.copying import Copying
from scopegate.exchange.desk import Desk
from scopegate.exchange.feed import Feed
from scopegate.exchange.heartbeat import Heartbeat
from scopegate.exchange.ledger import Ledger
from scopegate.exchange.payments import Teller
from scopegate.exchange.rates import Rates
from scopegate.exchange.rules import Margins
from scopegate.gateway.access import tokens, users
from scopegate.gateway.access.apps import TEST_APP
from scopegate.gateway.access.guard import Access
from scopegate.gateway.access.mail import LogMailer, Mailer, mailer
from scopegate.gateway.access.passwords import Passwords
from scopegate.gateway.access.users import RESIDENCE
from scopegate.gateway.calls.bus import Bus
from scopegate.gateway.calls.dispatch import Dispatcher
from scopegate.gateway.calls.fairness import Scheduler, Workers
from scopegate.gateway.calls.limits import (
    HTTP_PER_MINUTE,
    PROFILES,
    Claim,
    ConcurrencyLimiter,
    Profile,
    RateLimiter,
)
from scopegate.gateway.calls.registry import Registry
from scopegate.gateway.calls.session import Session, unsigned_holder
from scopegate.gateway.calls.token_form import without_tokens
from scopegate.gateway.transport.connection import Connection, Transport
from scopegate.gateway.transport.peer import Accept
from scopegate.gateway.transport.visitor import Visitor
from scopegate.handlers.accounts import Accounts
from scopegate.handlers.apps import Apps
from scopegate.handlers.assessment import Assessment
from scopegate.handlers.calendars import Calendars
from scopegate.handlers.consent import Consent
from scopegate.handlers.contract_streams import ContractStreams
from scopegate.handlers.contract_views import as_error
from scopegate.handlers.copying import CopyTrading
from scopegate.handlers.countries import COUNTRIES
from scopegate.handlers.exchange_rates import ExchangeRates
from scopegate.handlers.exclusion import SelfExclusion
from scopegate.handlers.general import General
from scopegate.handlers.market import Market
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
from scopegate.handlers.quotes import Quotes
from scopegate.handlers.sessions import Sessions
from scopegate.handlers.tick_streams import TickStreams
from scopegate.handlers.tokens import Tokens
from scopegate.handlers.trading import Trading
from scopegate.handlers.verification import Verification
from scopegate.limits_in_force import limits_in_force
from scopegate.retention import EVERY, Retention
from scopegate.runtime.clock import Clock, HandClock, RunningClock
from scopegate.runtime.supervisor import supervise
from scopegate.settings import Settings, SettingsError
from scopegate.store.sqlite import Store, StoreUnavailableError


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
    # The exchange knows no access: that a token holds is the access's to know, and is passed on.
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


def _offer(parts: _Parts, strangers: Iterable[object]) -> tuple[Registry, Heartbeat, Pages]:
    """The registry of all calls, ours and those of strangers, and what must be told more."""
    registry = Registry()
    general = General(
        parts.clock, parts.profile, limits_in_force(parts.profile, parts.requests), parts.residence
    )
    contract_streams = ContractStreams(parts.desk, parts.bus)
    quotes = Quotes(parts.feed, parts.clock, parts.bus, parts.desk.margins, parts.access)
    tick_streams = TickStreams(parts.feed, parts.bus)
    passwords = Passwords()
    pages = Pages(parts.access, parts.store, passwords)
    exchange_rates = ExchangeRates(parts.rates, parts.clock, parts.bus)
    heartbeat = Heartbeat(
        parts.clock,
        (
            tick_streams.second,
            parts.desk.second,
            contract_streams.second,
            quotes.second,
            exchange_rates.second,
        ),
        parts.bus.when_idle,
    )
    ours: list[object] = [
        general,
        Sessions(parts.access, parts.ledger, parts.store, parts.clock),
        Market(parts.feed, parts.clock, parts.workers, tick_streams),
        exchange_rates,
        Calendars(Announcements(parts.feed.seed), parts.clock, parts.workers),
        Offers(parts.feed, parts.clock, parts.desk.margins),
        Proposals(quotes, parts.profile),
        Trading(parts.desk, quotes, contract_streams, parts.access, parts.clock, parts.rates),
        Orders(parts.desk, parts.access, parts.clock, parts.store),
        Portfolio(parts.desk, parts.store, parts.workers, contract_streams),
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
    for handler in strangers:
        registry.add(handler, eager=False)
    general.counted((call.name, call.rate) for call in registry)
    return registry, heartbeat, pages


def declared(modules: Iterable[str] = ()) -> Registry:
    """Every call that a gateway would offer, without one running: to be read, not to be made."""
    return _declared(plugins.classes_of(modules))


def _declared(strangers: Iterable[type]) -> Registry:
    nowhere = Store(Path(os.devnull))
    parts = _build(PROFILES["open"], Margins(), nowhere, HandClock(0.0), "none", LogMailer())
    for handler in strangers:
        plugins.needs_of(handler, parts.by_type().keys())
    return _offer(parts, strangers)[0]


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
    plugin_classes = plugins.classes_of(settings.handlers)
    _declared(plugin_classes)  # what is wrong with a call is said before a file is created
    async with AsyncExitStack() as stack:
        store = Store(settings.db, market_start.check_feed)
        await store.open()
        stack.push_async_callback(store.close)
        start = await store.read(
            lambda reader: market_start.foresee(
                reader, seed=settings.seed, start=settings.start, speed=settings.speed
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
        strangers = [plugins.made(handler, parts.by_type()) for handler in plugin_classes]
        registry, heartbeat, pages = _offer(parts, strangers)
        # The first write: until here a start that fails leaves an empty database.
        await store.write(lambda transaction: market_start.settle(transaction, start))
        access = parts.access
        await access.start()
        await store.write(lambda transaction: users.settle(transaction, settings.residence))
        demo = await demo_user.settle(store, settings, clock.now())
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
        heartbeat.start(after=parts.desk.now)
        stack.callback(heartbeat.stop)
        limiter = RateLimiter(parts.profile)
        scheduler = Scheduler()
        dispatcher = Dispatcher(
            registry,
            parts.bus,
            limiter,
            parts.held,
            used=access.used,
            refusal=access.refusal,
            errors={Refusal: as_error},
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
