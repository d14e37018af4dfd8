"""The parts of a gateway, checked before any of them is created.

Rule: every mistake in a plugin is found here and reported by name, before a file is created.
"""

from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass
from typing import Any, Final

from scopegate.gateway.access.accounts import Accounts
from scopegate.gateway.access.faults_in_force import Faults
from scopegate.gateway.access.guard import Access
from scopegate.gateway.access.overview import Overview
from scopegate.gateway.access.passwords import Passwords
from scopegate.gateway.access.restrictions import RestrictionKinds
from scopegate.gateway.access.users import Residence
from scopegate.gateway.calls.bus import Bus
from scopegate.gateway.calls.counting import ConcurrencyLimiter
from scopegate.gateway.calls.handling import Handling
from scopegate.gateway.calls.limits import LimitsInForce, Profile
from scopegate.gateway.calls.registry import DeclarationError, Registry
from scopegate.gateway.calls.scheduling import Workers
from scopegate.gateway.calls.wire_faults import FaultKinds
from scopegate.handlers.gateway.app_calls import Apps
from scopegate.handlers.gateway.consent_calls import Consent
from scopegate.handlers.gateway.fault_calls import FaultInjection
from scopegate.handlers.gateway.gateway_scopes import SCOPES
from scopegate.handlers.gateway.general_calls import General
from scopegate.handlers.gateway.operator_calls import Operator
from scopegate.handlers.gateway.oversight_calls import Oversight
from scopegate.handlers.gateway.page_calls import Pages
from scopegate.handlers.gateway.restriction_calls import RestrictedTokens
from scopegate.handlers.gateway.session_calls import Sessions
from scopegate.handlers.gateway.token_calls import Tokens
from scopegate.offered import EXCHANGE
from scopegate.plugins import Plugin, each_once, installed, of_modules
from scopegate.runtime.clock import Clock, WallClock
from scopegate.runtime.health import Health
from scopegate.runtime.metrics import Metrics
from scopegate.runtime.siblings import Siblings
from scopegate.schemas.scopes import Scope, Scopes
from scopegate.services import Services, provided_by
from scopegate.settings import Settings, SettingsError
from scopegate.store.store import Store

HANDLERS: Final[tuple[type, ...]] = (
    General,
    Sessions,
    Tokens,
    RestrictedTokens,
    Apps,
    Pages,
    Consent,
    Oversight,
    Operator,
    FaultInjection,
)
"""The classes with the calls of every gateway."""

_OWN: Final = {str(scope): scope for scope in SCOPES}

GIVEN: Final[frozenset[type]] = frozenset(
    {
        Access,
        Accounts,
        Bus,
        Clock,
        ConcurrencyLimiter,
        FaultKinds,
        Faults,
        Handling,
        Health,
        LimitsInForce,
        Metrics,
        Passwords,
        Profile,
        Registry,
        Residence,
        RestrictionKinds,
        Scopes,
        Settings,
        Siblings,
        Store,
        Workers,
    }
)
"""The parts of the gateway that services, handlers and background work may ask for by type."""


def _wall_clock() -> Clock:
    """Return a clock with real time, for gateways whose plugins have no market."""
    return WallClock()


PROVIDERS: Final = (
    Accounts,
    Access,
    FaultKinds,
    Faults,
    Overview,
    Passwords,
    RestrictionKinds,
    _wall_clock,
)
"""The gateway's own services."""

REPLACEABLE: Final = (Accounts, Clock, FaultKinds, RestrictionKinds)
"""Those of them that plugins may replace."""


@dataclass(frozen=True, slots=True)
class Composition:
    """The plugins of a gateway, in order, and the calls that it leaves out."""

    plugins: tuple[Plugin, ...]
    omit: frozenset[str] = frozenset()

    def scopes(self) -> Scopes:
        """Return every declared scope: those of plugins, then the gateway's own.

        A plugin may describe one of the gateway's scopes for its own calls: its sentence is added,
        and the higher risk counts. The exchange describes all of its scopes itself. Raises
        `DeclarationError` if two plugins declare the same name.
        """
        declared: dict[str, Scope] = {}
        for plugin in sorted(self.plugins, key=lambda plugin: not plugin.trusted):
            for scope in plugin.scopes:
                own = declared.get(scope) or (None if plugin.trusted else _OWN.get(scope))
                if own is None or own is scope:
                    declared[scope] = scope
                elif scope is _OWN.get(scope):
                    continue  # declared without a description of its own
                elif scope in _OWN:
                    declared[scope] = own.with_more(scope)
                else:
                    raise DeclarationError(
                        f"scope {scope} is declared by {plugin.name} and by another plugin:"
                        " rename one"
                    )
        return Scopes([*declared.values(), *(each for each in SCOPES if each not in declared)])

    def check(self) -> Registry:
        """Return every call; they can be read, and made once the registry is bound to handlers.

        Raises `DeclarationError` for every declaration that would stop a start.
        """
        names = [plugin.name for plugin in self.plugins]
        for plugin in self.plugins:
            if plugin.is_named and names.count(plugin.name) > 1:
                raise DeclarationError(f"two plugins have the name {plugin.name}: rename one")
            self._check_names(plugin)
        services = Services([*PROVIDERS, *self._providers()], {})
        handlers = [handler for plugin in self.plugins for handler in plugin.handlers]
        services.check([*HANDLERS, *handlers], self._given())
        background = [each for plugin in self.plugins for each in plugin.background]
        services.check(background, {*self._given(), *handlers})
        registry = Registry(self.scopes())
        self._fill(registry)
        return registry

    def _check_names(self, plugin: Plugin) -> None:
        """Raise `DeclarationError` if its settings, tables or services collide with another's.

        Environment variables and table names begin with the name of a plugin.
        """
        for other in self.plugins:
            if plugin.is_named and other.is_named and other.name.startswith(f"{plugin.name}_"):
                raise DeclarationError(
                    f"the names of the plugins {plugin.name} and {other.name} conflict: neither"
                    " may begin with the other"
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
            for base in REPLACEABLE:
                if kind is not base and base in kind.__mro__:
                    raise DeclarationError(
                        f"{plugin.name} provides {kind.__name__}, but services ask for"
                        f" {base.__name__}: provide a function that is annotated to return"
                        f" {base.__name__}"
                    )
            if kind in GIVEN.difference(REPLACEABLE):
                raise DeclarationError(
                    f"{plugin.name} provides {kind.__name__}, which is the gateway's own"
                )
        meets = [
            name
            for name in Settings.fields_by_name()
            if name == plugin.name or name.startswith(f"{plugin.name}_")
        ]
        if plugin.settings is not None and meets:
            raise DeclarationError(
                f"the plugin {plugin.name} needs another name: the gateway has a setting {meets[0]}"
            )

    def _providers(self) -> list[Callable[..., Any]]:
        return [provider for plugin in self.plugins for provider in plugin.services]

    def _given(self) -> set[type]:
        own = {plugin.settings for plugin in self.plugins if plugin.settings is not None}
        return {*GIVEN, *own}

    def _fill(self, registry: Registry) -> None:
        """Add the calls of all handlers to a registry.

        If several calls have a name in `omit`, the first is left out: the gateway's come first.
        """
        left = self.omit
        for handler in HANDLERS:
            left -= registry.add(handler, trusted=True, omit=left)
        for plugin in self.plugins:
            for handler in plugin.handlers:
                left -= registry.add(
                    handler, trusted=plugin.trusted, omit=left, errors=plugin.errors or {}
                )
        for plugin in self.plugins:
            for name, reply in plugin.replies.items():
                registry.describe(name, reply)
        if left:
            raise DeclarationError(
                f"there is no call {min(left)} to leave out; `scopegate calls` lists all"
            )


def check_for_workers(plugins: Iterable[Plugin]) -> None:
    """Raise `SettingsError` if one of the plugins does not work in several worker processes."""
    _check_for_several(
        plugins, "workers: {} ", "worker processes", instead="Serve it with --workers 1"
    )


def check_for_gateways(plugins: Iterable[Plugin]) -> None:
    """Raise `SettingsError` if one of the plugins does not work beside other gateways."""
    _check_for_several(
        plugins,
        "another gateway serves this database, and {} ",
        "processes",
        instead="Stop the other gateway",
    )


def _check_for_several(
    plugins: Iterable[Plugin], begin: str, processes: str, *, instead: str
) -> None:
    for plugin in plugins:
        if not plugin.several_workers:
            raise SettingsError(
                f"{begin.format(plugin.name)}does not state that it works in several {processes};"
                f" docs/plugins.md says what it takes. {instead}, or set several_workers=True in"
                " its Plugin"
            )


def composition_of(
    plugins: Iterable[Plugin] | None,
    modules: Iterable[str],
    without: Collection[str],
    omit: Iterable[str],
) -> Composition:
    """Compose these plugins, or the standard ones, and those of the modules.

    `without` names plugins to leave out, and `omit` calls. Raises `SettingsError` for an unknown
    plugin.
    """
    chosen = standard(without) if plugins is None else plugins
    every = each_once([*chosen, *of_modules(modules)])
    names = {plugin.name for plugin in every}
    for name in without:
        if name not in names and name != EXCHANGE:
            raise SettingsError(f"without: there is no plugin {name} to leave out")
    return Composition(
        tuple(plugin for plugin in every if plugin.name not in without), frozenset(omit)
    )


def standard(without: Iterable[str] = ()) -> list[Plugin]:
    """Return the plugins of `scopegate serve`: the exchange, and those of installed packages."""
    plugins = installed()
    if EXCHANGE not in without:
        from scopegate.paper_exchange import PAPER_EXCHANGE  # imports numpy and the market

        plugins.insert(0, PAPER_EXCHANGE)
    return plugins


def declared(
    modules: Iterable[str] = (),
    *,
    plugins: Iterable[Plugin] | None = None,
    without: Collection[str] = (),
    omit: Iterable[str] = (),
) -> Registry:
    """Return every call that a gateway would offer; the calls can be read but not made."""
    return composition_of(plugins, modules, without, omit).check()
