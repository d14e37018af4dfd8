"""Composes a gateway: its own calls, those of plugins, and all that they need, in the right order.

Rules: what it opens it closes, in reverse; nobody is given the gateway itself, only the services
that they ask for by type.
"""

import asyncio
import contextlib
import sqlite3
from collections.abc import AsyncIterator, Callable, Collection, Iterable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any, Final, TypeVar

from pydantic import BaseModel

from scopegate import demo as demo_user
from scopegate import plugins as found
from scopegate.demo import Demo
from scopegate.gateway.access import users
from scopegate.gateway.access.accounts import Accounts
from scopegate.gateway.access.apps import TEST_APP
from scopegate.gateway.access.guard import Access
from scopegate.gateway.access.mail import Mailer, mailer
from scopegate.gateway.access.passwords import Passwords
from scopegate.gateway.access.users import Residence
from scopegate.gateway.calls.bus import Bus
from scopegate.gateway.calls.dispatch import Dispatcher
from scopegate.gateway.calls.fairness import Scheduler, Workers
from scopegate.gateway.calls.limits import (
    Claim,
    ConcurrencyLimiter,
    LimitsInForce,
    Profile,
    RateLimiter,
)
from scopegate.gateway.calls.registry import DeclarationError, Registry
from scopegate.gateway.calls.session import Session, unsigned_holder
from scopegate.gateway.calls.token_form import without_tokens
from scopegate.gateway.transport.connection import Connection, Transport
from scopegate.gateway.transport.peer import Accept
from scopegate.gateway.transport.visitor import Visitor
from scopegate.handlers.gateway.apps import Apps
from scopegate.handlers.gateway.consent import Consent
from scopegate.handlers.gateway.countries import COUNTRIES
from scopegate.handlers.gateway.general import General
from scopegate.handlers.gateway.oversight import Oversight
from scopegate.handlers.gateway.pages import Pages
from scopegate.handlers.gateway.scopes import SCOPES
from scopegate.handlers.gateway.sessions import Sessions
from scopegate.handlers.gateway.tokens import Tokens
from scopegate.limits_in_force import limits_in_force
from scopegate.offered import keep_offered
from scopegate.plugins import EXCHANGE, Plugin
from scopegate.retention import EVERY, Retention
from scopegate.runtime.clock import Clock, WallClock
from scopegate.runtime.supervisor import supervise
from scopegate.schemas.scopes import Scope, Scopes
from scopegate.services import Services, provided_by
from scopegate.settings import Settings, SettingsError, plugin_settings, warn_of_tables
from scopegate.store.sqlite import Store, StoreUnavailableError

T = TypeVar("T")

HANDLERS: Final[tuple[type, ...]] = (General, Sessions, Tokens, Apps, Pages, Consent, Oversight)
"""The calls of every gateway."""

_OWN: Final = {str(scope): scope for scope in SCOPES}

GIVEN: Final[frozenset[type]] = frozenset(
    {
        Access,
        Accounts,
        Bus,
        Clock,
        ConcurrencyLimiter,
        LimitsInForce,
        Passwords,
        Profile,
        Registry,
        Residence,
        Scopes,
        Settings,
        Store,
        Workers,
    }
)
"""The parts of the gateway that services, handlers and background work may ask for by type."""


def _wall_clock() -> Clock:
    """Real time, where no plugin has a market with its own."""
    return WallClock()


_PROVIDERS: Final = (Accounts, Access, Passwords, _wall_clock)
"""The gateway's own services, of which plugins may provide others."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Running:
    """A composed gateway: what the command line, programs and tests hold on to."""

    settings: Settings
    store: Store
    bus: Bus
    access: Access
    clock: Clock
    registry: Registry
    demo: Demo | None
    scheduler: Scheduler
    workers: Workers
    connect: Accept
    services: Services
    plugins: frozenset[str]
    """The names of the plugins that it offers."""

    def part(self, kind: type[T]) -> T:
        """A service or a handler by its type. Raises `KeyError` if there is none."""
        return self.services[kind]


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
class Composition:
    """What a gateway offers: its plugins, in order, and the calls that it leaves out."""

    plugins: tuple[Plugin, ...]
    omit: frozenset[str] = frozenset()

    def scopes(self) -> Scopes:
        """Every declared scope: those of plugins, then the gateway's own.

        A plugin may describe a scope of the gateway's own for its calls: its sentence is added, and
        the higher risk counts. The exchange describes all of its scopes itself. Raises
        `DeclarationError` if two plugins declare one name.
        """
        declared: dict[str, Scope] = {}
        for plugin in sorted(self.plugins, key=lambda plugin: not plugin.trusted):
            for scope in plugin.scopes:
                own = declared.get(scope) or (None if plugin.trusted else _OWN.get(scope))
                if own is None or own is scope:
                    declared[scope] = scope
                elif scope is _OWN.get(scope):
                    continue  # named, and not described
                elif scope in _OWN:
                    declared[scope] = own.with_more(scope)
                else:
                    raise DeclarationError(
                        f"scope {scope} is declared by {plugin.name} and by another plugin: one of"
                        " them must choose another name"
                    )
        return Scopes([*declared.values(), *(each for each in SCOPES if each not in declared)])

    def check(self) -> Registry:
        """Every call, without a gateway running: to be read, not to be made.

        Raises `DeclarationError` for whatever would stop a start.
        """
        names = [plugin.name for plugin in self.plugins]
        for plugin in self.plugins:
            if plugin.is_named and names.count(plugin.name) > 1:
                raise DeclarationError(f"there are two plugins of the name {plugin.name}")
            self._check_names(plugin)
        services = Services([*_PROVIDERS, *self._providers()], {})
        handlers = [handler for plugin in self.plugins for handler in plugin.handlers]
        services.check([*HANDLERS, *handlers], self._given())
        background = [each for plugin in self.plugins for each in plugin.background]
        services.check(background, {*self._given(), *handlers})
        registry = Registry(self.scopes())
        self.fill(registry, lambda handler: handler)
        return registry

    def _check_names(self, plugin: Plugin) -> None:
        """Raise `DeclarationError` if its settings, tables or services would meet those of others.

        Variables of the environment and names of tables begin with the name of a plugin.
        """
        for other in self.plugins:
            if plugin.is_named and other.is_named and other.name.startswith(f"{plugin.name}_"):
                raise DeclarationError(
                    f"the plugins {plugin.name} and {other.name} need names of which neither begins"
                    " with the other"
                )
            if other is not plugin and plugin.settings and other.settings is plugin.settings:
                raise DeclarationError(
                    f"the plugins {plugin.name} and {other.name} have the same class of settings"
                )
            kinds = {provided_by(each) for each in plugin.services}
            twice = kinds & {provided_by(each) for each in other.services}
            if other is not plugin and twice:
                raise DeclarationError(
                    f"the plugins {plugin.name} and {other.name} both provide"
                    f" {min(kind.__name__ for kind in twice)}"
                )
        for provider in plugin.services:
            kind = provided_by(provider)
            for base in (Accounts, Clock):
                if kind is not base and base in kind.__mro__:
                    raise DeclarationError(
                        f"{plugin.name} provides {kind.__name__}, which nobody asks for: in its"
                        f" place write a function that is annotated to return {base.__name__}"
                    )
            if kind in GIVEN - {Accounts, Clock}:
                raise DeclarationError(
                    f"{plugin.name} provides {kind.__name__}, which is the gateway's own"
                )
        meets = [
            name
            for name in Settings.model_fields
            if name == plugin.name or name.startswith(f"{plugin.name}_")
        ]
        if plugin.settings is not None and meets:
            raise DeclarationError(
                f"the gateway has a setting {meets[0]}: the plugin {plugin.name} needs another name"
            )

    def _providers(self) -> list[Callable[..., Any]]:
        return [provider for plugin in self.plugins for provider in plugin.services]

    def _given(self) -> set[type]:
        own = {plugin.settings for plugin in self.plugins if plugin.settings is not None}
        return {*GIVEN, *own}

    def fill(self, registry: Registry, made: Callable[[type], object]) -> None:
        """Add the calls of all handlers to a registry: of each what is `made` of it.

        Of the calls of a name to omit, the first is left out: those of the gateway come first.
        """
        left = self.omit
        for handler in HANDLERS:
            left -= registry.add(made(handler), eager=True, omit=left)
        for plugin in self.plugins:
            for handler in plugin.handlers:
                left -= registry.add(
                    made(handler), eager=plugin.trusted, omit=left, errors=plugin.errors or {}
                )
        for plugin in self.plugins:
            for name, reply in plugin.replies.items():
                registry.describe(name, reply)
        if left:
            raise DeclarationError(
                f"there is no call {min(left)} to leave out; `scopegate calls` lists all"
            )


def _composition(
    plugins: Iterable[Plugin] | None,
    modules: Iterable[str],
    without: Collection[str],
    omit: Iterable[str],
) -> Composition:
    """These plugins and those of the modules, but for what is left out."""
    chosen = standard(without) if plugins is None else plugins
    every = found.each_once([*chosen, *found.of_modules(modules)])
    names = {plugin.name for plugin in every}
    for name in without:
        if name not in names and name != EXCHANGE:
            raise SettingsError(f"without: there is no plugin {name} to leave out")
    return Composition(
        tuple(plugin for plugin in every if plugin.name not in without), frozenset(omit)
    )


def standard(without: Iterable[str] = ()) -> list[Plugin]:
    """The plugins of `scopegate serve`: the paper exchange, and those of installed packages."""
    plugins = found.installed()
    if EXCHANGE not in without:
        from scopegate.paper_exchange import PAPER_EXCHANGE  # numpy, and all of the market

        plugins.insert(0, PAPER_EXCHANGE)
    return plugins


def declared(
    modules: Iterable[str] = (),
    *,
    plugins: Iterable[Plugin] | None = None,
    without: Collection[str] = (),
    omit: Iterable[str] = (),
) -> Registry:
    """Every call that a gateway would offer, without one running: to be read, not to be made."""
    return _composition(plugins, modules, without, omit).check()


@asynccontextmanager
async def compose(
    settings: Settings,
    clock: Clock | None = None,
    mail: Mailer | None = None,
    *,
    plugins: Iterable[Plugin] | None = None,
    omit: Iterable[str] = (),
    options: Mapping[str, Mapping[str, Any]] | None = None,
) -> AsyncIterator[Running]:
    """A gateway with everything but a listener, until the block ends.

    `clock` replaces the running one, `mail` whatever the settings say of letters. `plugins` are
    those of `scopegate serve` where none are named, and `options` their settings by name. Raises
    `StoreError`, `SettingsError` or `DeclarationError` when it can not start.
    """
    if settings.residence not in COUNTRIES:
        raise SettingsError(
            f"residence: {settings.residence!r} is not a two-letter country code, such as id or gb"
        )
    composition = _composition(
        plugins, settings.handlers, settings.without, [*omit, *settings.omit_call]
    )
    composition.check()  # what is wrong with a declaration is said before a file is created
    if EXCHANGE not in {plugin.name for plugin in composition.plugins}:
        settings.refuse_market()
    own = _settings_of(settings, composition.plugins, options or {})
    given: dict[type, object] = {}
    if clock is not None:
        given[Clock] = clock
    if mail is not None:
        given[Mailer] = mail
    async with AsyncExitStack() as stack:
        store = await _opened(settings, composition.plugins, stack)
        workers, held, bus = Workers(), ConcurrencyLimiter(), Bus()
        stack.callback(workers.close)
        profile = settings.profile()
        limits = limits_in_force(profile, settings.requests())
        services = Services(
            [*_PROVIDERS, *(each for plugin in composition.plugins for each in plugin.services)],
            {
                Bus: bus,
                ConcurrencyLimiter: held,
                LimitsInForce: LimitsInForce(
                    [*limits, *(each for plugin in composition.plugins for each in plugin.limits)]
                ),
                Profile: profile,
                Residence: Residence(settings.residence),
                Scopes: composition.scopes(),
                Settings: settings,
                Store: store,
                Workers: workers,
                **own,
                **given,
            },
        )
        registry = Registry(services[Scopes])
        services.add(Registry, registry)
        mail_server = settings.mail_server()
        if mail is None and (mail_server is not None or settings.letters_in_log):
            services.add(Mailer, await stack.enter_async_context(mailer(mail_server)))
        await stack.enter_async_context(services)
        made: dict[type, object] = {}
        for handler in (
            *HANDLERS,
            *(each for plugin in composition.plugins for each in plugin.handlers),
        ):
            made[handler] = await services.make(handler)
        composition.fill(registry, lambda handler: made[handler])
        for handler, one in made.items():
            services.add(handler, one)
        access: Access = await services.get(Access)
        accounts: Accounts = await services.get(Accounts)
        now: Clock = await services.get(Clock)
        # The first writes: until here a start that fails leaves an empty database.
        await store.write(
            lambda transaction: keep_offered(transaction, composition.scopes(), composition.plugins)
        )
        await access.start()
        await store.write(lambda transaction: users.settle(transaction, settings.residence))
        further = [rule for plugin in composition.plugins for rule in plugin.retention]
        retention = Retention(store, now, further)
        services.add(Retention, retention)
        keeping = [
            supervise("access", access.run),
            supervise("retention", partial(_purge, retention)),
        ]
        stack.push_async_callback(_finish, keeping, access)
        for plugin in composition.plugins:
            for background in plugin.background:
                await services.enter(background)
        demo = await demo_user.settle(store, settings, accounts, services[Scopes])
        if demo is not None and settings.demo_at_pages:
            services[Pages].show_demo(demo.accounts[0].loginid, demo.token)
        limiter = RateLimiter(profile)
        scheduler = Scheduler()
        dispatcher = Dispatcher(
            registry,
            bus,
            limiter,
            held,
            used=access.used,
            refusal=access.refusal,
        )
        yield Running(
            settings=settings,
            store=store,
            bus=bus,
            access=access,
            clock=now,
            registry=registry,
            demo=demo,
            scheduler=scheduler,
            workers=workers,
            connect=Connect(dispatcher, scheduler, access, limiter, held, settings.any_app_id),
            services=services,
            plugins=frozenset(plugin.name for plugin in composition.plugins),
        )


def _settings_of(
    settings: Settings, plugins: Iterable[Plugin], options: Mapping[str, Mapping[str, Any]]
) -> dict[type, BaseModel]:
    """The settings of each plugin that has some, by their type. Raises `SettingsError`."""
    plugins = list(plugins)
    unknown = options.keys() - {each.name for each in plugins if each.settings is not None}
    if unknown:
        raise SettingsError(f"{min(unknown)}: no plugin here has settings of this name")
    if settings.from_surroundings:
        warn_of_tables([plugin.name for plugin in plugins if plugin.settings is not None])
    return {
        plugin.settings: plugin_settings(
            plugin.name,
            plugin.settings,
            options.get(plugin.name, {}),
            from_surroundings=settings.from_surroundings,
        )
        for plugin in plugins
        if plugin.settings is not None
    }


async def _opened(settings: Settings, plugins: tuple[Plugin, ...], stack: AsyncExitStack) -> Store:
    def check(connection: sqlite3.Connection) -> None:
        for plugin in plugins:
            if plugin.check is not None:
                plugin.check(connection)

    folders = {each.name: each.migrations for each in plugins if each.migrations is not None}
    store = Store(settings.db, check, folders)
    await store.open()
    stack.push_async_callback(store.close)
    return store


async def _finish(keeping: list[asyncio.Task[None]], access: Access) -> None:
    for task in keeping:
        task.cancel()
    await asyncio.gather(*keeping, return_exceptions=True)
    with contextlib.suppress(StoreUnavailableError):  # it is logged, and a stop goes on
        await access.flush()


async def _purge(retention: Retention) -> None:
    while True:
        await asyncio.sleep(EVERY)
        await retention.purge()
