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

PLAIN_WORDS: dict[Scope, str] = {
    Scope.READ: "See your settings, limits, balance and purchase history",
    Scope.TRADE: "Buy and sell contracts, renew expired purchases, top up demo accounts",
    Scope.PAYMENTS: "Withdraw to payment agents and move money between your accounts",
    Scope.ADMIN: "Open accounts, change settings, and make or delete tokens",
    Scope.TRADING_INFORMATION: "See your trading history",
}
"""What an owner is told that each scope allows."""


def in_order(scopes: Iterable[Scope]) -> list[Scope]:
    """The given scopes in the order of their declaration: the order of every reply."""
    chosen = frozenset(scopes)
    return [scope for scope in Scope if scope in chosen]
