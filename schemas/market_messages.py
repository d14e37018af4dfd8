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

NO_EFFECT = "Taken, and without effect here."
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
            "One of {those} is needed.",
            {"those": ", ".join(map(str, GRANULARITIES))},
        )
    return value


class ActiveSymbols(AccountRequest):
    """Asks which symbols there are."""

    active_symbols: Literal["brief", "full"] = Field(
        description="`full` adds where each symbol stands now."
    )
    barrier_category: OrAbsent[BarrierCategories] = Field(None, description=NO_EFFECT)
    contract_type: OrAbsent[ContractTypes] = Field(
        None, description="Only symbols for which contracts of one of these types are offered."
    )
    landing_company: OrAbsent[LandingCompany] = Field(None, description=NO_EFFECT)
    landing_company_short: OrAbsent[LandingCompany] = Field(None, description=NO_EFFECT)
    product_type: OrAbsent[Literal["basic"]] = Field(None, description=NO_EFFECT)


class ActiveSymbol(TypedDict):
    allow_forward_starting: int
    delay_amount: NotRequired[int]
    display_name: str
    display_order: int
    exchange_is_open: int
    exchange_name: NotRequired[str]
    intraday_interval_minutes: NotRequired[int]
    is_trading_suspended: int
    market: str
    market_display_name: str
    pip: float
    quoted_currency_symbol: NotRequired[str]
    spot: NotRequired[float]
    spot_age: NotRequired[str]
    spot_percentage_change: NotRequired[str]
    spot_time: NotRequired[str]
    subgroup: str
    subgroup_display_name: str
    submarket: str
    submarket_display_name: str
    symbol: str
    symbol_type: str


class ActiveSymbolsReply(TypedDict):
    active_symbols: list[ActiveSymbol]


class AssetIndex(AccountRequest):
    """Asks which contracts each symbol is offered for, and for how long."""

    asset_index: One
    landing_company: OrAbsent[LandingCompany] = Field(None, description=NO_EFFECT)
    landing_company_short: OrAbsent[LandingCompany] = Field(None, description=NO_EFFECT)


class AssetIndexReply(TypedDict):
    asset_index: list[list[Any]]


class TradingTimes(Request):
    """Asks when each symbol's market is open on a day."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"trading_times": "today"}]})

    trading_times: Annotated[Text, Field(pattern=r"^([0-9]{4}-[0-9]{1,2}-[0-9]{1,2}|today)$")] = (
        Field(description="`yyyy-mm-dd`, or `today`.")
    )


class OpenAndClose(TypedDict):
    open: list[str]
    close: list[str]
    settlement: str


class SymbolTimes(TypedDict):
    events: list[dict[str, str]]
    name: str
    symbol: str
    times: OpenAndClose
    trading_days: list[str]


class SubmarketTimes(TypedDict):
    name: str
    symbols: list[SymbolTimes]


class MarketTimes(TypedDict):
    name: str
    submarkets: list[SubmarketTimes]


class TradingTimesBody(TypedDict):
    markets: list[MarketTimes]


class TradingTimesReply(TypedDict):
    trading_times: TradingTimesBody


class Ticks(StreamRequest):
    """Asks for the latest tick of one symbol or several, and for those that follow."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {"ticks": "R_100", "subscribe": 1},
                {"ticks": ["R_50", "R_100"], "subscribe": 1},
            ]
        }
    )

    ticks: OneOrMore[SymbolName] = Field(description="A symbol, or a list of them.")
    subscribe: Flag = Field(
        1, description="1, the default, to receive further ticks; 0 for the latest tick only."
    )


class Tick(TypedDict):
    ask: float
    bid: float
    epoch: int
    id: NotRequired[str]
    pip_size: int
    quote: float
    symbol: str


class TickReply(TypedDict):
    tick: Tick


class EconomicCalendar(Request):
    """Asks for the economic figures that are told within a span of time."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"economic_calendar": 1, "currency": "USD"}]}
    )

    economic_calendar: One
    currency: OrAbsent[Annotated[Text, Field(pattern=r"^[a-zA-Z0-9]{2,20}$")]] = Field(
        None, description="Only figures of this currency."
    )
    end_date: OrAbsent[Epoch] = Field(None, description="The last moment, as epoch seconds.")
    start_date: OrAbsent[Epoch] = Field(None, description="The first moment, as epoch seconds.")


class DisplayValue(TypedDict):
    display_value: str


class EconomicEvent(TypedDict):
    actual: NotRequired[DisplayValue]
    currency: str
    event_name: str
    forecast: DisplayValue
    impact: int
    previous: NotRequired[DisplayValue]
    release_date: int


class EconomicEvents(TypedDict):
    events: list[EconomicEvent]


class EconomicCalendarReply(TypedDict):
    economic_calendar: EconomicEvents


class TicksBatch(StreamRequest):
    """Asks for the latest ticks of all symbols of a market, and for those that follow."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [{"ticks_batch": 1, "market": "cryptocurrency", "subscribe": 1}]
        }
    )

    ticks_batch: One
    market: Literal[
        "commodities", "cryptocurrency", "forex", "indices", "stocks", "synthetic_index"
    ] = Field(description="The market as `active_symbols` names it.")


class BatchedTick(TypedDict):
    ask: str
    bid: str
    change: str
    epoch: int
    quote: str
    symbol: str


class TicksBatchReply(TypedDict):
    ticks_batch: list[BatchedTick]


class TicksHistory(StreamRequest):
    """Asks for ticks or candles of the past, and for those that follow."""

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

    ticks_history: SymbolName = Field(description="A symbol.")
    adjust_start_time: Flag = Field(
        0, description="1 to reach further back where the market was closed at the end."
    )
    count: OrAbsent[Annotated[Int, Field(ge=0, le=2**53 - 1)]] = Field(
        None, description="How many at the most: 1000 when not given, 5000 when more."
    )
    end: Annotated[Text, Field(pattern=r"^(latest|[0-9]{1,10})$")] = Field(
        description="The last moment, as epoch seconds, or `latest`."
    )
    granularity: OrAbsent[Annotated[Int, AfterValidator(_granularity)]] = Field(
        None,
        description="Seconds that a candle spans; 60 when not given.",
        json_schema_extra={"enum": list(GRANULARITIES)},
    )
    start: OrAbsent[Epoch] = Field(None, description="The first moment, as epoch seconds.")
    style: Literal["ticks", "candles"] = Field("ticks", description="What to answer with.")


class History(TypedDict):
    prices: list[float]
    times: list[int]


class HistoryReply(TypedDict):
    history: History
    pip_size: int


class Candle(TypedDict):
    close: float
    epoch: int
    high: float
    low: float
    open: float


class CandlesReply(TypedDict):
    candles: list[Candle]
    pip_size: int


class Ohlc(TypedDict):
    close: str
    epoch: int
    granularity: int
    high: str
    id: NotRequired[str]
    low: str
    open: str
    open_time: int
    pip_size: int
    symbol: str


class OhlcReply(TypedDict):
    ohlc: Ohlc
