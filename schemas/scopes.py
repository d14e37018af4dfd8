"""The five scopes: what a token or an app may do for the owner of an account."""

from collections.abc import Iterable
from enum import StrEnum


class Scope(StrEnum):
    """One permission; the value is its name on the wire."""

    READ = "read"
    TRADE = "trade"
    PAYMENTS = "payments"
    ADMIN = "admin"
    TRADING_INFORMATION = "trading_information"


ALL_SCOPES: frozenset[Scope] = frozenset(Scope)

MANAGING: frozenset[Scope] = frozenset({Scope.ADMIN, Scope.PAYMENTS})
"""Calls that need only these scopes refuse tokens of apps, unless the call allows them."""

DANGER: dict[Scope, int] = {
    Scope.ADMIN: 3,
    Scope.PAYMENTS: 2,
    Scope.TRADE: 1,
    Scope.READ: 0,
    Scope.TRADING_INFORMATION: 0,
}
"""How dangerous each scope is in the hands of an app, the most dangerous first.

0 means that it changes nothing. Scopes above 0 are never ticked in advance at the consent page.
"""

PLAIN_WORDS: dict[Scope, str] = {
    Scope.READ: "See your personal details, settings, limits, balances, purchase history and"
    " sign-ins",
    Scope.TRADE: "Buy and sell contracts, copy traders, top up demo accounts",
    Scope.PAYMENTS: "Move money between your accounts, pay as a payment agent, and withdraw to one"
    " with a code that you get by e-mail",
    Scope.ADMIN: "Open accounts, change settings, manage tokens and apps, become a payment agent,"
    " set limits on trading",
    Scope.TRADING_INFORMATION: "See your balances, open contracts and trading history",
}
"""What the owner's API token may do with each scope, as shown to the owner."""

APP_WORDS: dict[Scope, str] = {
    Scope.READ: "See your e-mail address, personal details, settings and past sign-ins, and the"
    " balances, limits and purchases of the chosen accounts.",
    Scope.TRADE: "Buy and sell contracts with the money in the chosen accounts, and copy other"
    " traders. It can lose all of that money. It can also top up demo accounts.",
    Scope.PAYMENTS: "Move money between the chosen accounts, and withdraw it to payment agents with"
    " a code that only you get by e-mail.",
    Scope.ADMIN: "Open accounts and register apps for you, let others copy your contracts, change"
    " preferences, add missing personal details, and create more tokens that may do what the app"
    " may. It cannot touch your own tokens and apps, other connected apps, or your trading limits.",
    Scope.TRADING_INFORMATION: "See the balances, open contracts and trading history of the chosen"
    " accounts.",
}
"""What an app may do with each scope, as shown to its user."""


def in_order(scopes: Iterable[Scope]) -> list[Scope]:
    """The given scopes in the order of their declaration: the order of every reply."""
    chosen = frozenset(scopes)
    return [scope for scope in Scope if scope in chosen]
