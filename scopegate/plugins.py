"""Plugins: what a gateway offers besides its own calls, from installed packages and modules."""

import functools
import importlib
import importlib.metadata
import inspect
import re
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from importlib.resources.abc import Traversable
from typing import Any

from pydantic import BaseModel

from scopegate.gateway.calls.errors import ApiError
from scopegate.gateway.calls.limits import Limit
from scopegate.gateway.calls.registry import DeclarationError, Registry
from scopegate.offered import EXCHANGE
from scopegate.retention import Rule
from scopegate.schemas.scopes import Scope
from scopegate.services import Provider, check_form
from scopegate.store.integrity import FaultCheck
from scopegate.store.migrating import Check

HANDLER_GROUP = "scopegate.handlers"
"""The entry-point group in which installed packages offer plugins and calls."""

_NAME = re.compile(r"[a-z][a-z0-9_]{0,29}", re.ASCII)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Plugin:
    """Calls, with everything that they need.

    Constructors, services and background work ask for what they need by the types of their
    parameters: a service of any plugin, or a part of the gateway (`docs/plugins.md` lists them).
    Raises `DeclarationError` for a wrong field, such as a name with other characters than
    lower-case letters, digits and underscores.
    """

    name: str
    """The name of its settings, tables and migrations."""
    handlers: Sequence[type] = ()
    """The classes whose methods are calls; each start creates one instance of each."""
    scopes: Sequence[Scope] = ()
    """The scopes that it declares: its calls need them and the gateway does not have them."""
    services: Sequence[Provider] = ()
    """The services that handlers ask for by type: classes, functions, or functions under
    `asynccontextmanager` that yield a service and close it at the end."""
    background: Sequence[Callable[..., AbstractAsyncContextManager[Any]]] = ()
    """Work that runs while the gateway serves: functions under `asynccontextmanager`. Each is
    entered after all handlers are created, and left at the stop, the last first."""
    settings: type[BaseModel] | None = None
    """The class of its settings, which is also a service. Its fields are set by the environment
    variables `SCOPEGATE_<NAME>_<FIELD>` and the table `[name]` in the settings file."""
    migrations: Traversable | None = None
    """A folder of SQL files whose names begin with 0001, 0002, …: the migrations that create its
    tables. Names of tables and indexes begin with the plugin's name (`weather_places`)."""
    check: Check | None = None
    """Called before any migration; raises `StoreError` if the plugin must not use the database."""
    errors: Mapping[type[Exception], Callable[[Any], ApiError]] | None = None
    """The plugin's exceptions that handlers may raise, each with the error for clients."""
    replies: Mapping[str, type] = field(default_factory=dict)
    """Calls of the gateway to whose replies its `Accounts` add fields (`authorize`, `sign_in` and
    `sign_in_demo`), each with the whole type of the reply."""
    limits: Sequence[Limit] = ()
    """Its own limits, which the call `limits` lists."""
    retention: Sequence[Rule] = ()
    """The rules by which old rows of its tables are deleted."""
    checks: Mapping[str, FaultCheck] = field(default_factory=dict)
    """What `scopegate check` checks in its tables, by name: functions of a `Snapshot` that return
    or yield a sentence about each fault. The name is printed after the plugin's (`weather.places`);
    those of the exchange are printed alone."""
    several_workers: bool = False
    """Whether it works in several worker processes at once (`--workers`). Each of them has its own
    handlers, services, background work and streams."""
    same_in_workers: Sequence[type] = ()
    """Its services that the first worker process creates, and the others get from it, pickled."""
    trusted: bool = False
    """Whether it is the exchange: the first step of its handlers runs without a task
    (`Registry.add`), and it describes the gateway's own scopes itself."""
    is_named: bool = True
    """Whether its author chose the name; a module without a plugin becomes one by its own name."""

    def __post_init__(self) -> None:
        name: Any = self.name
        if not (isinstance(name, str) and _NAME.fullmatch(name)):
            raise DeclarationError(
                f"{self.name!r} is not a valid plugin name: begin with a lower-case letter and"
                " use up to 30 lower-case letters, digits and underscores"
            )
        for part in (
            "handlers",
            "scopes",
            "services",
            "background",
            "limits",
            "retention",
            "same_in_workers",
        ):
            if not isinstance(getattr(self, part), list | tuple):
                raise DeclarationError(
                    f"plugin {self.name}: {part} must be a tuple or a list, such as {part}=(…,)"
                )
        for handler in self.handlers:
            if not inspect.isclass(handler):
                raise DeclarationError(
                    f"plugin {self.name}: {handler!r} in handlers is not a class"
                )
        for scope in self.scopes:
            if not isinstance(scope, Scope):
                raise DeclarationError(f"plugin {self.name}: {scope!r} in scopes is not a Scope")
        for service in self.services:
            check_form(service)
        for background in self.background:
            check_form(background, background=True)
        for part, kind in (("limits", Limit), ("retention", Rule)):
            for each in getattr(self, part):
                if not isinstance(each, kind):
                    raise DeclarationError(
                        f"plugin {self.name}: {each!r} in {part} is not a {kind.__name__}"
                    )
        errors: Mapping[Any, Any] = self.errors or {}
        for error, convert in errors.items():
            if not (inspect.isclass(error) and issubclass(error, Exception) and callable(convert)):
                raise DeclarationError(
                    f"plugin {self.name}: errors must map classes of exceptions to functions, not"
                    f" {error!r}"
                )
        checks: Any = self.checks
        if not isinstance(checks, Mapping):
            raise DeclarationError(
                f'plugin {self.name}: checks must map names to functions, such as {{"places": …}}'
            )
        for check, faults in checks.items():
            if not (isinstance(check, str) and _NAME.fullmatch(check)):
                raise DeclarationError(
                    f"plugin {self.name}: {check!r} is not a valid name of a check: begin with a"
                    " lower-case letter and use up to 30 lower-case letters, digits and underscores"
                )
            if not callable(faults) or _is_async(faults):
                raise DeclarationError(
                    f"plugin {self.name}: the check {check} must be a function that is not async,"
                    f" not {faults!r}"
                )
        settings: Any = self.settings
        if settings is not None and not (
            inspect.isclass(settings) and issubclass(settings, BaseModel)
        ):
            raise DeclarationError(
                f"plugin {self.name}: settings must be a class, a pydantic BaseModel"
            )
        if self.migrations is not None and not hasattr(self.migrations, "iterdir"):
            raise DeclarationError(
                f'plugin {self.name}: migrations must be a folder, such as files("{self.name}") /'
                ' "migrations" or a Path'
            )


def installed() -> list[Plugin]:
    """Return the plugins of installed packages. Raises `DeclarationError` if loading one fails."""
    found = []
    for entry in _entry_points(tuple(sys.path)):
        try:
            loaded = entry.load()
        except Exception as problem:
            raise DeclarationError(f"cannot load {entry.value}: {problem}") from problem
        found += _plugins_in(loaded, entry.name)
    return found


@functools.cache  # tests start many gateways in one process
def _entry_points(_path: tuple[str, ...]) -> tuple[importlib.metadata.EntryPoint, ...]:
    """Read the entry points of the packages in these folders, those of `sys.path`."""
    return tuple(importlib.metadata.entry_points(group=HANDLER_GROUP))


def of_modules(modules: Iterable[str]) -> list[Plugin]:
    """Return the plugins of these modules. Raises `DeclarationError` if one cannot be loaded."""
    return [plugin for name in modules for plugin in _plugins_in(imported(name), name)]


def each_once(plugins: Iterable[Plugin]) -> list[Plugin]:
    """Return the plugins without duplicates: a module may be both named and installed."""
    remaining: list[Plugin] = []
    handlers: set[type] = set()
    for plugin in dict.fromkeys(plugins):
        has_more = (
            plugin.scopes
            or plugin.services
            or plugin.background
            or plugin.migrations
            or plugin.checks
        )
        if not plugin.handlers or has_more or not handlers.issuperset(plugin.handlers):
            remaining.append(plugin)
            handlers.update(plugin.handlers)
    return remaining


def imported(name: str) -> Any:
    """Import a module by its name. Raises `DeclarationError` if that fails."""
    try:
        return importlib.import_module(name)
    except Exception as problem:
        raise DeclarationError(
            f"cannot import {name}: {type(problem).__name__}: {problem}"
        ) from problem


def _plugins_in(loaded: Any, name: str) -> list[Plugin]:
    """Return this plugin or those of a module; other classes with calls become a plugin."""
    if isinstance(loaded, Plugin):
        return [loaded]
    plain = re.sub(r"[^a-z0-9_]", "_", name.lower()).lstrip("_0123456789")[:30] or "plugin"
    if inspect.isclass(loaded):
        return [Plugin(name=plain, handlers=(loaded,), is_named=False)]
    if not inspect.ismodule(loaded):
        raise DeclarationError(
            f"{name} is {loaded!r}: name a Plugin, a module, or a class with calls"
        )
    # The module may import the exchange; only the gateway decides whether to offer that.
    plugins = [
        member for member in dict.fromkeys(_members(loaded, Plugin)) if member.name != EXCHANGE
    ]
    offered = {handler for plugin in plugins for handler in plugin.handlers}
    classes = [
        member
        for _, member in inspect.getmembers(loaded, inspect.isclass)
        if member.__module__ == loaded.__name__
        and member not in offered
        and Registry.declares_calls(member)
    ]
    if plugins and not classes:
        return plugins
    if not classes:
        where = getattr(loaded, "__file__", None) or "built in"
        raise DeclarationError(
            f"{loaded.__name__} ({where}) has neither a Plugin nor a class with a method under"
            " @call"
        )
    return [*plugins, Plugin(name=plain, handlers=classes, is_named=False)]


def _is_async(function: Any) -> bool:
    return inspect.iscoroutinefunction(function) or inspect.isasyncgenfunction(function)


def _members(module: Any, kind: type) -> list[Any]:
    return [member for member in vars(module).values() if isinstance(member, kind)]
