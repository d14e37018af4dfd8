"""Requests and replies about which contracts are offered, and for how long."""

from typing import Any, Literal, NotRequired

from pydantic import ConfigDict, Field
from typing_extensions import TypedDict

from scopegate.schemas.fields import AccountRequest, Epoch, One, OrAbsent, SymbolName
from scopegate.schemas.market_messages import NO_EFFECT, LandingCompany
from scopegate.schemas.trading_messages import CurrencyCode


class ContractsFor(AccountRequest):
    """A request for the contracts that are offered for a symbol."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"contracts_for": "R_100"}]})

    contracts_for: SymbolName = Field(description="The symbol.")
    currency: CurrencyCode = Field(
        "USD", description="The currency in which the contracts are paid, and of all amounts."
    )
    landing_company: LandingCompany = Field("virtual", description=NO_EFFECT)
    landing_company_short: LandingCompany = Field("virtual", description=NO_EFFECT)
    product_type: OrAbsent[Literal["basic"]] = Field(None, description=NO_EFFECT)


class ContractsForCompany(AccountRequest):
    """A request for the contract types that are offered."""

    contracts_for_company: One
    landing_company: LandingCompany = Field("virtual", description=NO_EFFECT)


class TradingDurations(AccountRequest):
    """A request for the durations of contracts, by symbol and type."""

    trading_durations: One
    landing_company: OrAbsent[LandingCompany] = Field(None, description=NO_EFFECT)
    landing_company_short: OrAbsent[LandingCompany] = Field(None, description=NO_EFFECT)


class MultiplierFinancing(AccountRequest):
    """A request for the growth of the forward price of multipliers, by market day."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"multiplier_financing": "R_100"}]})

    multiplier_financing: SymbolName = Field(description="The symbol.")
    start: OrAbsent[Epoch] = Field(
        None,
        description="The start of the span, in epoch seconds; by default only the market day of"
        " `end` is listed.",
    )
    end: OrAbsent[Epoch] = Field(
        None, description="The end of the span, in epoch seconds; now by default."
    )


class FinancedDay(TypedDict):
    first_tick: int
    """The time of the first tick of the market day, in epoch seconds."""
    growth_per_tick: float
    """The growth of the logarithm of the forward price with each tick of the day."""
    step: int
    """The seconds from one tick to the next."""
    ticks: int
    """The number of ticks of the day."""


class Financing(TypedDict):
    symbol: str
    """The name of the symbol."""
    days: list[FinancedDay]
    """The market days of the span, earliest first."""


class MultiplierFinancingReply(TypedDict):
    multiplier_financing: Financing
    """The growth of the forward price of a symbol, by market day."""


class AvailableContract(TypedDict):
    barrier: NotRequired[str]
    """An example barrier, such as `+0.10` from the entry spot or, for days, a price; only with one
    barrier."""
    barrier_category: str
    """The kind of barrier: `american`, `asian`, `euro_atm`, `euro_non_atm`, `lookback`,
    `non_financial` or `reset`."""
    barrier_choices: NotRequired[list[str]]
    """Suggested strikes or barriers, the highest first; only for vanillas and turbos."""
    barriers: int
    """The number of barriers that a request names: 0, 1 or 2; a digit does not count."""
    cancellation_range: NotRequired[list[str]]
    """The cancellation times to choose from, such as `5m`; only for multipliers with
    cancellation."""
    contract_category: str
    """The category of the contract, such as `callput` or `digits`."""
    contract_category_display: str
    """The name of the category for display."""
    contract_display: str
    """The name of the contract type for display."""
    contract_type: str
    """The contract type, such as `CALL`."""
    default_stake: float
    """The suggested stake, or multiplier of a lookback, in units of the currency."""
    exchange_name: str
    """The name of the exchange, such as `FOREX` or `RANDOM`."""
    expiry_type: str
    """The kind of duration: `tick`, `intraday`, `daily` or `no_expiry`."""
    forward_starting_options: NotRequired[list[dict[str, Any]]]
    """The sessions to start in: `date`, `open` and `close` in epoch seconds as text; only with
    `forward`."""
    growth_rate_range: NotRequired[list[float]]
    """The growth rates to choose from, as shares per tick; only for accumulators."""
    high_barrier: NotRequired[str]
    """An example of the higher barrier; only with two barriers."""
    last_digit_range: NotRequired[list[int]]
    """The digits to choose from; only for types that take a digit."""
    low_barrier: NotRequired[str]
    """An example of the lower barrier; only with two barriers."""
    market: str
    """The market of the symbol, such as `forex` or `synthetic_index`."""
    max_contract_duration: str
    """The longest duration, such as `10t` or `365d`; empty without a fixed end."""
    max_stake: NotRequired[float]
    """The largest stake, in units of the currency; only for vanillas and turbos."""
    min_contract_duration: str
    """The shortest duration, such as `1t` or `15s`; empty without a fixed end."""
    min_stake: NotRequired[float]
    """The smallest stake, in units of the currency; only for vanillas and turbos."""
    multiplier_range: NotRequired[list[int]]
    """The multipliers to choose from; only for multipliers."""
    payout_choices: NotRequired[list[str]]
    """Suggested payouts per point, as text; only for turbos."""
    payout_limit: float
    """The largest payout of a contract, in units of the currency."""
    sentiment: str
    """The view of the market that the contract bets on, such as `up`, `down` or `low_vol`."""
    start_type: str
    """The kind of start: `spot` for now, `forward` for later."""
    submarket: str
    """The submarket of the symbol, such as `major_pairs` or `random_index`."""
    underlying_symbol: str
    """The name of the symbol."""


class ContractsForBody(TypedDict):
    available: list[AvailableContract]
    """The contracts: a row for each type, kind of duration, barrier category and start type."""
    close: int
    """The last second of the present trading session, or of the next one, in epoch seconds."""
    feed_license: str
    """The licence of the prices: always `realtime`."""
    hit_count: int
    """The number of rows in `available`."""
    open: int
    """The start of the present trading session, or of the next one, in epoch seconds."""
    spot: float
    """The latest price of the symbol."""


class ContractsForReply(TypedDict):
    contracts_for: ContractsForBody
    """The contracts that are offered for a symbol."""


class OfferedType(TypedDict):
    barrier_category: str
    """The kind of barrier: `american`, `asian`, `euro_atm`, `euro_non_atm`, `lookback`,
    `non_financial` or `reset`."""
    contract_category: str
    """The category of the contract, such as `callput` or `digits`."""
    contract_category_display: str
    """The name of the category for display."""
    contract_display: str
    """The name of the contract type for display."""
    contract_type: str
    """The contract type, such as `CALL`."""
    default_stake: float
    """The suggested stake: always 10."""
    sentiment: str
    """The view of the market that the contract bets on, such as `up`, `down` or `low_vol`."""


class ContractsForCompanyBody(TypedDict):
    available: list[OfferedType]
    """The contract types, each once for each barrier category."""
    hit_count: int
    """The number of rows in `available`."""


class ContractsForCompanyReply(TypedDict):
    contracts_for_company: ContractsForCompanyBody
    """The contract types that are offered."""


class Named(TypedDict):
    display_name: str
    """The name for display."""
    name: str
    """The name in requests and replies."""


class DurationBounds(TypedDict):
    display_name: str
    """The unit for display: `Ticks`, `Seconds` or `Days`."""
    max: int
    """The longest duration, in this unit."""
    min: int
    """The shortest duration, in this unit."""
    name: str
    """The unit: `t` for ticks, `s` for seconds, `d` for days."""


class TradeDurations(TypedDict):
    durations: list[DurationBounds]
    """The shortest and the longest duration in each unit that is offered."""
    trade_type: Named
    """The contract type."""


class SubmarketDurations(TypedDict):
    market: Named
    """The market of the symbols."""
    submarket: Named
    """The submarket of the symbols."""
    symbol: list[Named]
    """The symbols of the submarket."""
    trade_durations: list[TradeDurations]
    """The durations of each contract type that has a duration."""


class MarketDurations(TypedDict):
    data: list[SubmarketDurations]
    """The durations in each submarket of the market."""
    market: Named
    """The market of the symbols."""
    submarket: Named
    """The first submarket of the market; `data` has all of them."""


class TradingDurationsReply(TypedDict):
    trading_durations: list[MarketDurations]
    """The durations of contracts, by market."""
