"""A request for a quote, as a client sends it."""

import hashlib
import json
from dataclasses import dataclass, fields
from decimal import Decimal
from typing import Final


@dataclass(frozen=True, slots=True, kw_only=True)
class QuoteRequest:
    """The fields of `proposal`, unchecked; `None` for those that were left out.

    Amounts are in the units of the currency, moments in epoch seconds.
    """

    contract_type: str
    symbol: str
    currency: str
    amount: Decimal | None = None
    basis: str | None = None
    date_expiry: int | None = None
    date_start: int | None = None
    duration: int | None = None
    duration_unit: str = "s"
    markup: Decimal = Decimal(0)
    """What the owner of the app adds to the price, as a share of the payout, stake or value."""

    # Only some types take these (`ContractType.takes`).
    barrier: str | None = None
    barrier2: str | None = None
    barrier_range: str | None = None
    cancellation: str | None = None
    growth_rate: Decimal | None = None
    multiplier: Decimal | None = None
    payout_per_point: Decimal | None = None
    selected_tick: int | None = None
    stop_loss: Decimal | None = None
    take_profit: Decimal | None = None
    trade_risk_profile: str | None = None
    trading_period_start: int | None = None

    def digest(self) -> str:
        """Return a digest of what is to be bought: the same for `10` and `10.0`, with any markup.

        It is stored, so it must not change for a field that is left out.
        """
        asked = {
            name: str(value.normalize()) if isinstance(value, Decimal) else value
            for name in _NAMES
            if name != "markup" and (value := getattr(self, name)) is not None
        }
        return hashlib.sha256(json.dumps(asked).encode()).hexdigest()


_NAMES: Final = tuple(sorted(each.name for each in fields(QuoteRequest)))
_OF_EVERY_TYPE = {
    *("contract_type", "symbol", "currency", "amount", "basis", "markup"),
    *("date_expiry", "date_start", "duration", "duration_unit"),
}
SPECIAL_FIELDS: Final = tuple(name for name in _NAMES if name not in _OF_EVERY_TYPE)
"""The fields that some types take and others refuse."""
