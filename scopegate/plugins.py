"""Calls of installed packages and of the modules that the command line names."""

import importlib
import importlib.metadata
import inspect
import typing
from collections.abc import Iterable, Mapping
from typing import Any

from scopegate.gateway.calls.registry import DeclarationError, Registry

HANDLER_GROUP = "scopegate.handlers"
"""The entry-point group in which installed packages offer calls."""


def handlers(modules: Iterable[str], parts: Mapping[type, object]) -> list[object]:
    """Handlers from installed packages and the named modules, given the parts they ask for.

    Raises `DeclarationError` for what cannot be loaded, and for a part that nobody offers.
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
