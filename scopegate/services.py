"""Services by type: code that needs a part of the gateway asks for its type.

Rules:
- A service is created once per start, when it is first needed; they are closed in reverse order.
- A missing service is found before anything is created (`check`) and reported by name.
"""

import functools
import inspect
import types
import typing
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterable, Iterator, Mapping
from contextlib import AbstractAsyncContextManager, AsyncExitStack, contextmanager
from typing import Any, TypeVar, Union

from scopegate.gateway.calls.registry import DeclarationError
from scopegate.settings import SettingsError
from scopegate.store.errors import StoreError

T = TypeVar("T")

Provider = Callable[..., Any]
"""A class, a function that returns a service, or one under `asynccontextmanager` that yields it.
The types of its parameters are what it needs; its return type is what it provides."""

_LIFETIMES = (AsyncIterator, AsyncGenerator, AbstractAsyncContextManager)


class Services:
    """The services of one start."""

    def __init__(self, providers: Iterable[Provider], given: Mapping[type, object]) -> None:
        """`given` are services that exist already; they win over a provider of the same type.

        Of two providers of one type the later one counts. Raises `DeclarationError` for a provider
        without a return type.
        """
        self._made: dict[type, Any] = dict(given)
        self._providers: dict[type, Provider] = {}
        for provider in providers:
            self._providers[provided_by(provider)] = provider
        self._stack = AsyncExitStack()

    async def __aenter__(self) -> "Services":
        """Begin; services are created when they are needed."""
        return self

    async def __aexit__(self, *problem: Any) -> None:
        await self._stack.__aexit__(*problem)

    def __getitem__(self, kind: type[T]) -> T:
        """Return a service that was created or given. Raises `KeyError` if there is none."""
        found: T = self._made[kind]
        return found

    def add(self, kind: type, service: object) -> None:
        """Add a service that exists already."""
        self._made[kind] = service

    def check(self, needy: Iterable[Provider], also: Iterable[type] = ()) -> None:
        """Raise `DeclarationError` if these, or a provider, need a type that nothing provides.

        Also if services need each other. `also` are types that will be provided later.
        """
        there = {*self._made, *self._providers, *also}
        for kind in self._providers:
            self._check_circle(kind, [])
        for one in [*needy, *self._providers.values()]:
            for name, need in needs_of(one).items():
                if need.kind not in there and not need.optional:
                    names = ", ".join(sorted({kind.__name__ for kind in there}))
                    raise DeclarationError(
                        f"{name_of(one)} asks for {name}: {need.kind.__name__}, which nothing"
                        f" provides. Available: {names}. Add the plugin that provides it, or a"
                        " service in your services="
                    )

    def _check_circle(self, kind: type, needing: list[type]) -> None:
        if kind in needing:
            circle = " -> ".join(each.__name__ for each in [*needing, kind])
            raise DeclarationError(f"these services need each other: {circle}")
        provider = self._providers.get(kind)
        if provider is not None and kind not in self._made:
            for need in needs_of(provider).values():
                self._check_circle(need.kind, [*needing, kind])

    async def get(self, kind: type) -> Any:
        """Return a service; if necessary, create it now with everything that it needs."""
        if kind in self._made:
            return self._made[kind]
        self._made[kind] = made = await self._run(self._providers[kind])
        return made

    async def make(self, needy: Callable[..., T]) -> T:
        """Call a class or a function with the services that it needs."""
        needs = needs_of(needy)
        given = {
            name: await self.get(need.kind)
            for name, need in needs.items()
            if not need.optional or need.kind in self._made or need.kind in self._providers
        }
        absent = dict.fromkeys(needs.keys() - given.keys())
        with _named("make", needy):
            return needy(**given, **absent)

    async def _run(self, provider: Provider) -> Any:
        made = await self.make(provider)
        return await self._entered(provider, made) if has_lifetime(provider) else made

    async def enter(self, background: Callable[..., AbstractAsyncContextManager[Any]]) -> None:
        """Enter an async context manager with the services that it needs; `__aexit__` leaves it."""
        await self._entered(background, await self.make(background))

    async def _entered(self, provider: Provider, made: Any) -> Any:
        """Enter a context manager and return its value. Raises `DeclarationError` if that fails."""
        with _named("open", provider):
            return await self._stack.enter_async_context(made)


@contextmanager
def _named(doing: str, provider: Provider) -> Iterator[None]:
    """Turn a failure into a `DeclarationError` that names the class or the function at fault.

    Errors of the store, of settings and of declarations are clear enough and are not changed.
    """
    try:
        yield
    except (StoreError, SettingsError, DeclarationError):
        raise
    except Exception as problem:
        raise DeclarationError(
            f"cannot {doing} {name_of(provider)}: {type(problem).__name__}: {problem}"
        ) from problem


class Need(typing.NamedTuple):
    """The service that one parameter asks for."""

    kind: type
    optional: bool
    """Whether the parameter gets `None` if there is no such service."""


@functools.cache
def needs_of(needy: Provider) -> Mapping[str, Need]:
    """Return the services that a constructor or a function asks for, by parameter name.

    Parameters with a default are ignored. Raises `DeclarationError` for one without a type.
    """
    constructor: Any = needy
    if inspect.isclass(needy):
        constructor = inspect.getattr_static(needy, "__init__")
        if constructor is object.__init__:
            return {}
    hints = _hints(constructor)
    hints.pop("return", None)
    parameters = list(inspect.signature(constructor).parameters.items())
    if inspect.isclass(needy):
        parameters = parameters[1:]
    for name, parameter in parameters:
        plain = parameter.kind in (parameter.POSITIONAL_OR_KEYWORD, parameter.KEYWORD_ONLY)
        if not plain or parameter.default is not parameter.empty:
            hints.pop(name, None)
        elif name not in hints:
            raise DeclarationError(f"{name_of(needy)}: annotate {name} with a type")
    return {name: _need(needy, name, hint) for name, hint in hints.items()}


def _need(needy: Provider, name: str, hint: Any) -> Need:
    if typing.get_origin(hint) in (Union, types.UnionType):
        kinds = [each for each in typing.get_args(hint) if each is not type(None)]
        if len(kinds) == 1 and isinstance(kinds[0], type):
            return Need(kinds[0], optional=True)
    elif isinstance(hint, type):
        return Need(hint, optional=False)
    raise DeclarationError(
        f"{name_of(needy)} asks for {name}: {hint!r}; annotate it with the class of a service"
    )


def name_of(provider: Any) -> str:
    """Return the name of a class or a function for error messages."""
    return str(getattr(provider, "__qualname__", repr(provider)))


def has_lifetime(provider: Provider) -> bool:
    """Return whether a provider is an async context manager, by its return type."""
    if inspect.isclass(provider):
        return False
    return typing.get_origin(_hints(provider).get("return")) in _LIFETIMES


def check_form(provider: Any, *, background: bool = False) -> None:
    """Raise `DeclarationError` unless this is a provider, or background work if asked for."""
    if not callable(provider):
        raise DeclarationError(f"{provider!r} is neither a class nor a function")
    if inspect.isasyncgenfunction(provider) or inspect.iscoroutinefunction(provider):
        raise DeclarationError(
            f"{name_of(provider)} is an async function: write @asynccontextmanager above it, and"
            " yield once"
        )
    if background and not has_lifetime(provider):
        raise DeclarationError(
            f"{name_of(provider)} is not a background service: write an async function that"
            " yields once, under @asynccontextmanager, and annotate that it returns"
            " AsyncIterator[None]"
        )


@functools.cache
def provided_by(provider: Provider) -> type:
    """Return the type that a provider creates. Raises `DeclarationError` if it has none."""
    if inspect.isclass(provider):
        return provider
    returned = _hints(provider).get("return")
    if typing.get_origin(returned) in _LIFETIMES:
        returned = typing.get_args(returned)[0]
    if not isinstance(returned, type) or returned is type(None):
        raise DeclarationError(f"{name_of(provider)} must annotate the service that it returns")
    return returned


def _hints(function: Any) -> dict[str, Any]:
    try:
        return typing.get_type_hints(function)
    except Exception as problem:
        raise DeclarationError(
            f"the types of {name_of(function)} cannot be read: {problem}; import them outside of"
            " TYPE_CHECKING"
        ) from problem
