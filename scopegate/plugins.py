"""Calls of installed packages and of the modules that the command line names."""

import importlib
import importlib.metadata
import inspect
import typing
from collections.abc import Collection, Iterable, Mapping
from typing import Any

from scopegate.gateway.calls.registry import DeclarationError, Registry

HANDLER_GROUP = "scopegate.handlers"
"""The entry-point group in which installed packages offer calls."""


def classes_of(modules: Iterable[str]) -> list[type]:
    """The classes with calls of installed packages and of the named modules; none is made yet.

    Raises `DeclarationError` for what cannot be loaded.
    """
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
    return list(classes)


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
        where = getattr(loaded, "__file__", None) or "built in"
        raise DeclarationError(
            f"{loaded.__name__} ({where}) has no class with a method under @call"
        )
    return found


def needs_of(handler: type, offered: Collection[type]) -> dict[str, type]:
    """The parts that a constructor asks for by type, by the names of its parameters.

    Raises `DeclarationError` for a part that is not offered.
    """
    constructor: Any = inspect.getattr_static(handler, "__init__")
    if constructor is object.__init__:
        return {}
    wanted = typing.get_type_hints(constructor)
    wanted.pop("return", None)
    for name, parameter in list(inspect.signature(constructor).parameters.items())[1:]:
        plain = parameter.kind in (parameter.POSITIONAL_OR_KEYWORD, parameter.KEYWORD_ONLY)
        if plain and parameter.default is parameter.empty and name not in wanted:
            raise DeclarationError(
                f"{handler.__name__}.__init__ does not say what {name} is: annotate it with a type"
            )
    for name, part in wanted.items():
        if part not in offered:
            names = ", ".join(sorted(each.__name__ for each in offered))
            raise DeclarationError(
                f"{handler.__name__}.__init__ asks for {name}: {part!r}; it can have {names}"
            )
    return wanted


def made(handler: type, parts: Mapping[type, object]) -> object:
    """An object of the class, given the parts that its constructor names by type.

    Raises `DeclarationError` where that fails.
    """
    needs = needs_of(handler, parts.keys())
    try:
        return handler(**{name: parts[part] for name, part in needs.items()})
    except Exception as problem:
        raise DeclarationError(
            f"cannot make {handler.__name__}: {type(problem).__name__}: {problem}"
        ) from problem
