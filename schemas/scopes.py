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
"""The scopes whose calls are closed to tokens of apps unless a call says otherwise."""

BY_RISK: tuple[Scope, ...] = (
    Scope.ADMIN,
    Scope.PAYMENTS,
    Scope.TRADE,
    Scope.READ,
    Scope.TRADING_INFORMATION,
)
"""Every scope, the most dangerous first: the order in which an owner is shown them."""

DANGEROUS: frozenset[Scope] = frozenset({Scope.ADMIN, Scope.PAYMENTS, Scope.TRADE})
"""The scopes that change something: never preselected where a user allows an app."""

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
"""What a token that the owner made may do with each scope."""

APP_WORDS: dict[Scope, str] = {
    Scope.READ: "See your name, e-mail address, personal details, settings and past sign-ins, and"
    " the balances, limits and purchases of the accounts chosen here.",
    Scope.TRADE: "Buy and sell contracts with the money in the accounts chosen here, and copy other"
    " traders. It can lose all of that money. It can also top up demo accounts.",
    Scope.PAYMENTS: "Move money between the accounts chosen here, and withdraw it to payment agents"
    " with a code that only you get by e-mail.",
    Scope.ADMIN: "Open accounts in your name, let others copy your trades, change preferences, add"
    " personal details that are missing, create further tokens that may do what this app may, and"
    " register apps in your name. It cannot touch your own tokens and apps, other apps, or your"
    " trading limits.",
    Scope.TRADING_INFORMATION: "See the balances, open contracts and trading history of the"
    " accounts chosen here.",
}
"""What an app may do with each scope, as the consent page tells the user."""


def in_order(scopes: Iterable[Scope]) -> list[Scope]:
    """The given scopes in the order of their declaration: the order of every reply."""
    chosen = frozenset(scopes)
    return [scope for scope in Scope if scope in chosen]
