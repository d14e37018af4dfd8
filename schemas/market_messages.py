"""Requests and replies about symbols, ticks and candles."""

from typing import Annotated, Any, Literal, NotRequired

from pydantic import AfterValidator, ConfigDict, Field
from pydantic_core import PydanticCustomError
from typing_extensions import TypedDict

from scopegate.schemas.fields import (
    AccountRequest,
    Epoch,
    Flag,
    Int,
    One,
    OneOrMore,
    OrAbsent,
    Request,
    StreamRequest,
    SymbolName,
    Text,
)

NO_EFFECT = "Accepted, but has no effect."
GRANULARITIES = (60, 120, 180, 300, 600, 900, 1800, 3600, 7200, 14400, 28800, 86400)
LandingCompany = Literal["iom", "malta", "maltainvest", "svg", "virtual", "vanuatu"]
ContractTypes = Annotated[
    list[Annotated[Text, Field(pattern=r"^[A-Z]{2,30}$")]], Field(max_length=100)
]
BarrierCategories = list[
    Literal["american", "asian", "euro_atm", "euro_non_atm", "lookback", "non_financial", "reset"]
]


def _granularity(value: int) -> int:
    if value not in GRANULARITIES:
        raise PydanticCustomError(
            "granularity",
            "Must be one of {those}.",
            {"those": ", ".join(map(str, GRANULARITIES))},
        )
    return value


class ActiveSymbols(AccountRequest):
    """A request for the symbols."""

    active_symbols: Literal["brief", "full"] = Field(
        description="`brief`, or `full` to add the latest price of each symbol."
    )
    barrier_category: OrAbsent[BarrierCategories] = Field(None, description=NO_EFFECT)
    contract_type: OrAbsent[ContractTypes] = Field(
        None, description="Only symbols with contracts of at least one of these types."
    )
    landing_company: OrAbsent[LandingCompany] = Field(None, description=NO_EFFECT)
    landing_company_short: OrAbsent[LandingCompany] = Field(None, description=NO_EFFECT)
    product_type: OrAbsent[Literal["basic"]] = Field(None, description=NO_EFFECT)


class ActiveSymbol(TypedDict):
    allow_forward_starting: int
    """Always 1; `contracts_for` lists the contracts with a forward start."""
    delay_amount: NotRequired[int]
    """The delay of the prices: always 0; only with `full`."""
    display_name: str
    """The name of the symbol for display."""
    display_order: int
    """The position of the symbol in lists, from 1 on."""
    exchange_is_open: int
    """1 if the market is open now, else 0."""
    exchange_name: NotRequired[str]
    """The name of the exchange, such as `FOREX` or `RANDOM`; only with `full`."""
    intraday_interval_minutes: NotRequired[int]
    """The interval of intraday durations in minutes: always 1; only with `full`."""
    is_trading_suspended: int
    """Always 0: trading is never suspended."""
    market: str
    """The market of the symbol, such as `forex` or `synthetic_index`."""
    market_display_name: str
    """The name of the market for display."""
    pip: float
    """The smallest change of the price, such as 0.01."""
    quoted_currency_symbol: NotRequired[str]
    """The currency in which the symbol is quoted; only with `full`."""
    spot: NotRequired[float]
    """The latest price; only with `full`."""
    spot_age: NotRequired[str]
    """The seconds since the latest tick, as text; only with `full`."""
    spot_percentage_change: NotRequired[str]
    """The change of the price since 00:00 UTC in percent, as text; only with `full`."""
    spot_time: NotRequired[str]
    """The time of the latest tick in epoch seconds, as text; only with `full`."""
    subgroup: str
    """The subgroup of the symbol: `synthetics`, `baskets` or `none`."""
    subgroup_display_name: str
    """The name of the subgroup for display."""
    submarket: str
    """The submarket of the symbol, such as `major_pairs` or `random_index`."""
    submarket_display_name: str
    """The name of the submarket for display."""
    symbol: str
    """The name of the symbol in requests and replies."""
    symbol_type: str
    """The kind of symbol, such as `forex` or `stockindex`."""


class ActiveSymbolsReply(TypedDict):
    active_symbols: list[ActiveSymbol]
    """The symbols, in display order."""


class AssetIndex(AccountRequest):
    """A request for the contract categories of each symbol and their durations."""

    asset_index: One
    landing_company: OrAbsent[LandingCompany] = Field(None, description=NO_EFFECT)
    landing_company_short: OrAbsent[LandingCompany] = Field(None, description=NO_EFFECT)


class AssetIndexReply(TypedDict):
    asset_index: list[list[Any]]
    """A row per symbol: name, display name, and its contract categories with shortest and longest
    duration."""


class TradingTimes(Request):
    """A request for the trading hours of all symbols on a day."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"trading_times": "today"}]})

    trading_times: Annotated[Text, Field(pattern=r"^([0-9]{4}-[0-9]{1,2}-[0-9]{1,2}|today)$")] = (
        Field(description="The day (UTC): `yyyy-mm-dd`, or `today`.")
    )


class OpenAndClose(TypedDict):
    open: list[str]
    """The opening time (UTC), as `hh:mm:ss`, or `--` on a day without trading."""
    close: list[str]
    """The closing time (UTC), as `hh:mm:ss`, or `--` on a day without trading."""
    settlement: str
    """The settlement time (UTC), which is the closing time, or `--` on a day without trading."""


class SymbolTimes(TypedDict):
    events: list[dict[str, str]]
    """The weekdays with an early close, each with `dates` (the weekday) and `descrip` (the
    change)."""
    name: str
    """The name of the symbol for display."""
    symbol: str
    """The name of the symbol in requests and replies."""
    times: OpenAndClose
    """The trading hours on the requested day."""
    trading_days: list[str]
    """The weekdays on which the market opens, as `Mon`, Sunday first."""


class SubmarketTimes(TypedDict):
    name: str
    """The name of the submarket for display."""
    symbols: list[SymbolTimes]
    """The symbols of the submarket."""


class MarketTimes(TypedDict):
    name: str
    """The name of the market for display."""
    submarkets: list[SubmarketTimes]
    """The submarkets of the market."""


class TradingTimesBody(TypedDict):
    markets: list[MarketTimes]
    """The markets with their trading hours."""


class TradingTimesReply(TypedDict):
    trading_times: TradingTimesBody
    """The trading hours of all symbols on the requested day."""


class Ticks(StreamRequest):
    """A request for the latest tick of one or more symbols, and a stream of further ticks."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {"ticks": "R_100", "subscribe": 1},
                {"ticks": ["R_50", "R_100"], "subscribe": 1},
            ]
        }
    )

    ticks: OneOrMore[SymbolName] = Field(description="A symbol, or a list of symbols.")
    subscribe: Flag = Field(
        1, description="1, the default, to receive further ticks; 0 for the latest tick only."
    )


class Tick(TypedDict):
    ask: float
    """The ask price: one pip above the quote."""
    bid: float
    """The bid price: one pip below the quote."""
    epoch: int
    """The time of the tick, in epoch seconds."""
    id: NotRequired[str]
    """The id of the stream; absent without a subscription."""
    pip_size: int
    """The number of decimals of the price."""
    quote: float
    """The price of the symbol."""
    symbol: str
    """The name of the symbol."""


class TickReply(TypedDict):
    tick: Tick
    """A tick of a symbol."""


class EconomicCalendar(Request):
    """A request for the simulated economic figures that are released within a span of time."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"economic_calendar": 1, "currency": "USD"}]}
    )

    economic_calendar: One
    currency: OrAbsent[Annotated[Text, Field(pattern=r"^[a-zA-Z0-9]{2,20}$")]] = Field(
        None, description="Only figures of this currency."
    )
    end_date: OrAbsent[Epoch] = Field(
        None,
        description="The end of the span, in epoch seconds; a week after its start by default.",
    )
    start_date: OrAbsent[Epoch] = Field(
        None,
        description="The start of the span, in epoch seconds; now by default, or a week before an"
        " `end_date` in the past.",
    )


class DisplayValue(TypedDict):
    display_value: str
    """The value in percent, as text such as `2.5%`."""


class EconomicEvent(TypedDict):
    actual: NotRequired[DisplayValue]
    """The released value; absent before `release_date`."""
    currency: str
    """The currency that the figure belongs to."""
    event_name: str
    """The name of the figure."""
    forecast: DisplayValue
    """The expected value."""
    impact: int
    """The importance of the figure, from 1 (low) to 5 (high)."""
    previous: NotRequired[DisplayValue]
    """The value of the month before; absent until it is released."""
    release_date: int
    """The time of the release, in epoch seconds."""


class EconomicEvents(TypedDict):
    events: list[EconomicEvent]
    """The releases of the span, in order of time."""


class EconomicCalendarReply(TypedDict):
    economic_calendar: EconomicEvents
    """The simulated economic calendar."""


class TicksBatch(StreamRequest):
    """A request for the latest ticks of all symbols of a market, and a stream of further ones."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [{"ticks_batch": 1, "market": "cryptocurrency", "subscribe": 1}]
        }
    )

    ticks_batch: One
    market: Literal[
        "commodities", "cryptocurrency", "forex", "indices", "own", "stocks", "synthetic_index"
    ] = Field(description="The market, by its name in `active_symbols`.")


class BatchedTick(TypedDict):
    ask: str
    """The ask price, one pip above the quote, as text with all decimals."""
    bid: str
    """The bid price, one pip below the quote, as text with all decimals."""
    change: str
    """The change of the price since 00:00 UTC in percent, as text with two decimals."""
    epoch: int
    """The time of the tick, in epoch seconds."""
    quote: str
    """The price, as text with all decimals."""
    symbol: str
    """The name of the symbol."""


class TicksBatchReply(TypedDict):
    ticks_batch: list[BatchedTick]
    """The latest tick of each symbol; in updates, only of symbols with a new tick."""


class TicksHistory(StreamRequest):
    """A request for past ticks or candles, and a stream of further ones."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {"ticks_history": "R_100", "end": "latest", "count": 10, "subscribe": 1},
                {
                    "ticks_history": "R_100",
                    "end": "latest",
                    "count": 10,
                    "style": "candles",
                    "granularity": 60,
                    "subscribe": 1,
                },
            ]
        }
    )

    ticks_history: SymbolName = Field(description="The symbol.")
    adjust_start_time: Flag = Field(
        0,
        description="1 to shift the span back to the last tick if the market is closed at `end`;"
        " needs `start`.",
    )
    count: OrAbsent[Annotated[Int, Field(ge=0, le=2**53 - 1)]] = Field(
        None,
        description="The maximum number of ticks or candles: 1000 by default; more than 5000 counts"
        " as 5000.",
    )
    end: Annotated[Text, Field(pattern=r"^(latest|[0-9]{1,10})$")] = Field(
        description="The end of the span: epoch seconds, or `latest`."
    )
    granularity: OrAbsent[Annotated[Int, AfterValidator(_granularity)]] = Field(
        None,
        description="The length of a candle, in seconds; 60 by default.",
        json_schema_extra={"enum": list(GRANULARITIES)},
    )
    start: OrAbsent[Epoch] = Field(
        None,
        description="The start of the span, in epoch seconds; by default, as far back as `count`"
        " reaches.",
    )
    style: Literal["ticks", "candles"] = Field(
        "ticks", description="`ticks` for single prices, `candles` for candles."
    )


class History(TypedDict):
    prices: list[float]
    """The prices, earliest first."""
    times: list[int]
    """The times of the prices in epoch seconds, in the same order."""


class HistoryReply(TypedDict):
    history: History
    """The ticks of the requested span."""
    pip_size: int
    """The number of decimals of the prices."""


class Candle(TypedDict):
    close: float
    """The last price; of the latest candle, the last one so far."""
    epoch: int
    """The start of the candle, in epoch seconds."""
    high: float
    """The highest price."""
    low: float
    """The lowest price."""
    open: float
    """The first price."""


class CandlesReply(TypedDict):
    candles: list[Candle]
    """The candles of the requested span, earliest first; the latest may still be growing."""
    pip_size: int
    """The number of decimals of the prices."""


class Ohlc(TypedDict):
    close: str
    """The latest price of the candle, as text with all decimals."""
    epoch: int
    """The time of the latest tick, in epoch seconds."""
    granularity: int
    """The length of the candle, in seconds."""
    high: str
    """The highest price of the candle so far, as text with all decimals."""
    id: NotRequired[str]
    """The id of the stream."""
    low: str
    """The lowest price of the candle so far, as text with all decimals."""
    open: str
    """The first price of the candle, as text with all decimals."""
    open_time: int
    """The start of the candle, in epoch seconds."""
    pip_size: int
    """The number of decimals of the prices."""
    symbol: str
    """The name of the symbol."""


class OhlcReply(TypedDict):
    ohlc: Ohlc
    """The growing candle after a tick."""
