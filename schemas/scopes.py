"""Scopes: the permissions of tokens and apps that a gateway declares.

A scope is identified by its name, on the wire and in the database: two scopes of one name are the
same permission. Its declaration describes for owners what it allows.
"""

import re
from collections.abc import Iterable, Iterator
from enum import IntEnum
from typing import Annotated, Final

from pydantic import AfterValidator, Field
from pydantic_core import PydanticCustomError

from scopegate.schemas.declared import Declared

_NAME = re.compile(r"[a-z][a-z0-9_.:-]{0,39}", re.ASCII)


class Risk(IntEnum):
    """The risk of granting a scope to an app."""

    LOW = 0
    """The scope changes nothing. The consent page selects only such scopes in advance."""
    MEDIUM = 1
    HIGH = 2
    """Calls that need only scopes of this risk or higher refuse tokens of apps by default."""
    CRITICAL = 3


class Scope(str):
    """One permission: a name, a sentence for owners, and a risk.

    `allows` describes the permission for a token of the owner, `allows_apps` for an app, if that
    differs. Raises `ValueError` if the name has characters other than lower-case letters, digits
    and `_.:-`, or if the sentence is missing.
    """

    __slots__ = ("allows", "allows_apps", "risk")

    allows: str
    allows_apps: str
    risk: Risk

    def __new__(
        cls, name: str, allows: str, *, risk: Risk = Risk.LOW, allows_apps: str = ""
    ) -> "Scope":
        """Create a scope of this name."""
        if not _NAME.fullmatch(name):
            raise ValueError(
                f"{name!r} is not a valid scope name: begin with a lower-case letter and use up"
                " to 40 lower-case letters, digits and _.:-"
            )
        if not allows.strip():
            raise ValueError(f"scope {name}: give a sentence that tells users what it allows")
        made = super().__new__(cls, name)
        made.allows = allows
        made.allows_apps = allows_apps or allows
        made.risk = Risk(risk)
        return made

    def with_more(self, other: "Scope") -> "Scope":
        """This scope, extended by what `other` allows."""
        return Scope(
            self,
            f"{_sentence(self.allows)} {_sentence(other.allows)}",
            allows_apps=f"{_sentence(self.allows_apps)} {_sentence(other.allows_apps)}",
            risk=max(self.risk, other.risk),
        )

    def __getnewargs_ex__(self) -> tuple[tuple[str, str], dict[str, object]]:
        return (str(self), self.allows), {"risk": self.risk, "allows_apps": self.allows_apps}

    def __repr__(self) -> str:
        return f"<Scope {self!s}>"


def _sentence(text: str) -> str:
    return text if text.endswith((".", "!", "?")) else f"{text}."


class Scopes:
    """The scopes of one gateway, in the order in which replies list them."""

    def __init__(self, declared: Iterable[Scope]) -> None:
        """Raises `ValueError` if a name is declared twice."""
        self._scopes: dict[str, Scope] = {}
        for scope in declared:
            if scope in self._scopes:
                raise ValueError(f"scope {scope} is declared twice")
            self._scopes[scope] = scope
        self.names: Final = frozenset(self._scopes)
        """The names of the scopes."""

    def __iter__(self) -> Iterator[Scope]:
        return iter(self._scopes.values())

    def __contains__(self, name: object) -> bool:
        return name in self._scopes

    def in_order(self, names: Iterable[str]) -> list[str]:
        """Sort these names in the order of declaration; those no longer declared come last."""
        return in_order(names, self._scopes)

    def __len__(self) -> int:
        return len(self._scopes)


def in_order(names: Iterable[str], declared: Iterable[str]) -> list[str]:
    """Sort names in the order of declaration; undeclared names come last."""
    chosen = set(names)
    known = [str(name) for name in declared if name in chosen]
    return known + sorted(chosen.difference(known))


SCOPES: Final = "scopes"
"""The key of the scopes among the declared names."""


def _distinct(names: list[str]) -> list[str]:
    if len(set(names)) != len(names):
        raise PydanticCustomError("distinct", "Each scope may appear only once.")
    return names


ScopeNames = Annotated[
    list[Annotated[str, Field(strict=True), Declared(SCOPES)]], AfterValidator(_distinct)
]
"""Names of declared scopes, without duplicates."""
