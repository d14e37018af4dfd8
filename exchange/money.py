"""Money: whole numbers of a currency's smallest unit throughout.

Rules: `Decimal` is used only where a person or a message writes an amount, floats only in JSON.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from functools import cache


@dataclass(frozen=True, slots=True)
class Currency:
    """A currency that an account can have."""

    code: str
    name: str
    digits: int
    """The number of decimals."""
    is_crypto: bool = False
    counts_for: int = 1
    """The units of an ordinary currency that one unit counts as, where a rule names an amount."""


CURRENCIES: Mapping[str, Currency] = {
    currency.code: currency
    for currency in (
        Currency("AUD", "Australian Dollar", 2),
        Currency("EUR", "Euro", 2),
        Currency("GBP", "Pound Sterling", 2),
        Currency("USD", "US Dollar", 2),
        Currency("BTC", "Bitcoin", 8, is_crypto=True, counts_for=50_000),
        Currency("ETH", "Ethereum", 8, is_crypto=True, counts_for=2_000),
        Currency("LTC", "Litecoin", 8, is_crypto=True, counts_for=100),
        Currency("USDC", "USD Coin", 2, is_crypto=True),
    )
}


_SCALES: Mapping[str, int] = {code: 10**each.digits for code, each in CURRENCIES.items()}


def to_number(units: int, currency: str) -> float:
    """Convert an amount to its number in JSON: the float nearest to the decimal amount."""
    return units / _SCALES[currency]


def to_text(units: int, currency: str) -> str:
    """Format an amount with all its decimals, such as `10000.00`."""
    whole, rest = divmod(abs(units), _SCALES[currency])
    return f"{'-' if units < 0 else ''}{whole}.{str(rest).zfill(CURRENCIES[currency].digits)}"


def to_units(amount: Decimal, currency: str) -> int:
    """Convert an amount to smallest units. Raises `ValueError` if it has too many decimals."""
    units = amount.scaleb(CURRENCIES[currency].digits)
    if units != units.to_integral_value():
        raise ValueError(f"{currency} has at most {CURRENCIES[currency].digits} decimals")
    return int(units)


def rounded_units(amount: Decimal, currency: str, rounding: str) -> int:
    """Round an amount to smallest units; `rounding` is a mode of the module `decimal`."""
    smallest = Decimal(1).scaleb(-CURRENCIES[currency].digits)
    return to_units(amount.quantize(smallest, rounding), currency)


@cache
def bound_in(bound: Decimal, currency: str) -> int:
    """Convert an amount that a rule names for all currencies to smallest units of one of them."""
    return to_units(bound / CURRENCIES[currency].counts_for, currency)
