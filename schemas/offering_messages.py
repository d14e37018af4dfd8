"""Requests and replies about which contracts are offered, and for how long."""

from typing import Any, Literal, NotRequired

from pydantic import ConfigDict, Field
from typing_extensions import TypedDict

from scopegate.schemas.fields import AccountRequest, Epoch, One, OrAbsent, SymbolName
from scopegate.schemas.market_messages import NO_EFFECT, LandingCompany
from scopegate.schemas.trading_messages import CurrencyCode


class ContractsFor(AccountRequest):
    """Asks which contracts are offered for a symbol."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"contracts_for": "R_100"}]})

    contracts_for: SymbolName = Field(description="A symbol.")
    currency: CurrencyCode = Field("USD", description="The currency of an account.")
    landing_company: LandingCompany = Field("virtual", description=NO_EFFECT)
    landing_company_short: LandingCompany = Field("virtual", description=NO_EFFECT)
    product_type: OrAbsent[Literal["basic"]] = Field(None, description=NO_EFFECT)


class ContractsForCompany(AccountRequest):
    """Asks which types of contracts are offered."""

    contracts_for_company: One
    landing_company: LandingCompany = Field("virtual", description=NO_EFFECT)


class TradingDurations(AccountRequest):
    """Asks how long contracts may last, by symbol and type."""

    trading_durations: One
    landing_company: OrAbsent[LandingCompany] = Field(None, description=NO_EFFECT)
    landing_company_short: OrAbsent[LandingCompany] = Field(None, description=NO_EFFECT)


class MultiplierFinancing(AccountRequest):
    """Lists the growth of the forward price of multipliers, day by day."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"multiplier_financing": "R_100"}]})

    multiplier_financing: SymbolName = Field(description="A symbol.")
    start: OrAbsent[Epoch] = Field(
        None, description="List market days from this moment on; only the latest one by default."
    )
    end: OrAbsent[Epoch] = Field(
        None, description="List market days up to this moment; up to now by default."
    )


class FinancedDay(TypedDict):
    first_tick: int
    growth_per_tick: float
    step: int
    ticks: int


class Financing(TypedDict):
    symbol: str
    days: list[FinancedDay]


class MultiplierFinancingReply(TypedDict):
    multiplier_financing: Financing


class AvailableContract(TypedDict):
    barrier: NotRequired[str]
    barrier_category: str
    barrier_choices: NotRequired[list[str]]
    barriers: int
    cancellation_range: NotRequired[list[str]]
    contract_category: str
    contract_category_display: str
    contract_display: str
    contract_type: str
    default_stake: float
    exchange_name: str
    expiry_type: str
    forward_starting_options: NotRequired[list[dict[str, Any]]]
    growth_rate_range: NotRequired[list[float]]
    high_barrier: NotRequired[str]
    last_digit_range: NotRequired[list[int]]
    low_barrier: NotRequired[str]
    market: str
    max_contract_duration: str
    max_stake: NotRequired[float]
    min_contract_duration: str
    min_stake: NotRequired[float]
    multiplier_range: NotRequired[list[int]]
    payout_choices: NotRequired[list[str]]
    payout_limit: float
    sentiment: str
    start_type: str
    submarket: str
    underlying_symbol: str


class ContractsForBody(TypedDict):
    available: list[AvailableContract]
    close: int
    feed_license: str
    hit_count: int
    open: int
    spot: float


class ContractsForReply(TypedDict):
    contracts_for: ContractsForBody


class OfferedType(TypedDict):
    barrier_category: str
    contract_category: str
    contract_category_display: str
    contract_display: str
    contract_type: str
    default_stake: float
    sentiment: str


class ContractsForCompanyBody(TypedDict):
    available: list[OfferedType]
    hit_count: int


class ContractsForCompanyReply(TypedDict):
    contracts_for_company: ContractsForCompanyBody


class Named(TypedDict):
    display_name: str
    name: str


class DurationBounds(TypedDict):
    display_name: str
    max: int
    min: int
    name: str


class TradeDurations(TypedDict):
    durations: list[DurationBounds]
    trade_type: Named


class SubmarketDurations(TypedDict):
    market: Named
    submarket: Named
    symbol: list[Named]
    trade_durations: list[TradeDurations]


class MarketDurations(TypedDict):
    data: list[SubmarketDurations]
    market: Named
    submarket: Named


class TradingDurationsReply(TypedDict):
    trading_durations: list[MarketDurations]
