"""Requests and replies about exchange rates."""

from typing import Annotated

from pydantic import ConfigDict, Field
from typing_extensions import TypedDict

from scopegate.schemas.fields import AccountRequest, One, OrAbsent, StreamRequest, Text

CurrencyCode = Annotated[Text, Field(pattern=r"^[a-zA-Z0-9]{2,20}$")]


class ExchangeRates(StreamRequest, AccountRequest):
    """A request for the rates of a currency in one other or all others, and a stream of one."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "exchange_rates": 1,
                    "base_currency": "BTC",
                    "target_currency": "USD",
                    "subscribe": 1,
                },
                {"exchange_rates": 1, "base_currency": "USD"},
            ]
        }
    )

    exchange_rates: One
    base_currency: CurrencyCode = Field(description="The currency of which one unit is valued.")
    include_spread: OrAbsent[One] = Field(
        None, description="1 to add the bid and the ask rate; needs `target_currency`."
    )
    target_currency: OrAbsent[CurrencyCode] = Field(
        None,
        description="The currency of the rate; all others if it is absent. `subscribe` needs it.",
    )


class Spread(TypedDict):
    ask_rate: float
    """The units of the target currency paid to buy one unit of the base currency."""
    bid_rate: float
    """The units of the target currency received for selling one unit of the base currency."""
    spot_rate: float
    """The units of the target currency that one unit of the base currency is worth."""


class RatesBody(TypedDict):
    base_currency: str
    """The currency of which one unit is valued."""
    date: int
    """The time of the rates, in epoch seconds."""
    rates: dict[str, float | Spread]
    """The value of one unit of `base_currency` by target currency: a number, or an object with
    `include_spread`."""


class ExchangeRatesReply(TypedDict):
    exchange_rates: RatesBody
    """The rates of a currency at the latest ticks."""
