"""Requests and replies about what currencies are worth."""

from typing import Annotated

from pydantic import ConfigDict, Field
from typing_extensions import TypedDict

from scopegate.schemas.fields import AccountRequest, One, OrAbsent, StreamRequest, Text

CurrencyCode = Annotated[Text, Field(pattern=r"^[a-zA-Z0-9]{2,20}$")]


class ExchangeRates(StreamRequest, AccountRequest):
    """Asks what a currency is worth in another, or in all others."""

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
    base_currency: CurrencyCode = Field(description="The currency of which one unit is told.")
    include_spread: OrAbsent[One] = Field(
        None, description="1 to tell the bid and the ask as well, of one target."
    )
    target_currency: OrAbsent[CurrencyCode] = Field(
        None, description="The currency it is told in; all others when absent. A stream has one."
    )


class Spread(TypedDict):
    ask_rate: float
    bid_rate: float
    spot_rate: float


class RatesBody(TypedDict):
    base_currency: str
    date: int
    rates: dict[str, float | Spread]


class ExchangeRatesReply(TypedDict):
    exchange_rates: RatesBody
