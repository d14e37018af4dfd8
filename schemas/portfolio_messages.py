"""Requests and replies about the contracts of an account."""

from typing import Annotated, Literal, NotRequired

from pydantic import ConfigDict, Field
from typing_extensions import TypedDict

from scopegate.schemas.contract_types import ContractType
from scopegate.schemas.fields import AccountRequest, Flag, Int, One, OrAbsent, StreamRequest, Text
from scopegate.schemas.trading_messages import (
    CancellationShown,
    ContractId,
    OrdersShown,
    ValidationParams,
)

HeldTypes = Annotated[list[ContractType], Field(max_length=100)]
DayOrEpoch = Annotated[
    Text,
    Field(pattern=r"^([0-9]{4}-(0?[1-9]|1[012])-(0?[1-9]|[12][0-9]|3[01])|[0-9]{1,10})$"),
]


class ProposalOpenContract(StreamRequest, AccountRequest):
    """A request for the state of a contract or of all open contracts, and a stream of changes."""

    proposal_open_contract: One
    contract_id: OrAbsent[ContractId] = Field(
        None,
        description="The id of one contract, open or closed; without it, all open contracts.",
    )


class Portfolio(AccountRequest):
    """A request for the open contracts."""

    portfolio: One
    contract_type: OrAbsent[HeldTypes] = Field(None, description="Only contracts of these types.")


class ProfitTable(AccountRequest):
    """A request for the closed contracts."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"profit_table": 1, "description": 1, "limit": 10}]}
    )

    profit_table: One
    contract_type: OrAbsent[HeldTypes] = Field(None, description="Only contracts of these types.")
    date_from: OrAbsent[DayOrEpoch] = Field(
        None,
        description="Only contracts bought at or after this moment: epoch seconds, or the start of"
        " a day `yyyy-mm-dd` (UTC).",
    )
    date_to: OrAbsent[DayOrEpoch] = Field(
        None,
        description="Only contracts bought at or before this moment: epoch seconds, or the end of a"
        " day `yyyy-mm-dd` (UTC).",
    )
    description: Flag = Field(
        0,
        description="1 to describe each contract by type, longcode, shortcode and further fields,"
        " else 0.",
    )
    limit: Annotated[Int, Field(ge=0, le=500)] = Field(
        50, description="The maximum number of contracts."
    )
    offset: Annotated[Int, Field(ge=0, le=2**53 - 1)] = Field(
        0, description="The number of contracts to skip."
    )
    sort: Literal["ASC", "DESC"] = Field(
        "DESC", description="`DESC` lists the latest sale first, `ASC` the earliest."
    )


class RealityCheck(AccountRequest):
    """A request for a summary of the trading since the sign-in."""

    reality_check: One


class TickShown(TypedDict):
    epoch: int
    """The time of the tick, in epoch seconds."""
    flag: NotRequired[str | None]
    """Always `highlight_tick`; only on the entry and exit ticks of `audit_details`."""
    name: NotRequired[str | None]
    """The name `Entry Spot` or `Exit Spot`; only on those ticks of `audit_details`."""
    tick: float
    """The price of the tick."""
    tick_display_value: str
    """The price, as text with all decimals."""


class AuditDetails(TypedDict):
    all_ticks: NotRequired[list[TickShown]]
    """The ticks from the entry to the exit; only for contracts with a duration in ticks."""
    contract_end: NotRequired[list[TickShown]]
    """The exit tick."""
    contract_start: NotRequired[list[TickShown]]
    """The entry tick; absent if the contract closed before it."""


class TransactionIds(TypedDict):
    buy: int
    """The id of the purchase in the statement."""
    sell: NotRequired[int]
    """The id of the payment in the statement; absent while the contract is open."""


class ValidToUpdate(TypedDict, total=False):
    stop_loss: int
    """Always 1: the stop-loss order can be changed; absent for accumulators."""
    take_profit: int
    """Always 1: the take-profit order can be changed."""


class OpenContract(TypedDict, total=False):
    account_id: int
    """The digits of the account's loginid, as a number."""
    app_markup_amount: str
    """The app's markup in the price, as text with all decimals; absent without a markup."""
    audit_details: AuditDetails | None
    """The ticks that decided the contract; null while it is open."""
    barrier: str | None
    """The barrier or digit as text; for an Asian contract the final average, for a lookback the
    extreme so far."""
    barrier_count: int
    """The number of barriers; 2 for an accumulator."""
    barrier_spot_distance: str
    """The distance of both barriers from the spot, as text; only for accumulators."""
    bid_price: float
    """The price for selling the contract now, in units of the currency; once closed, the amount
    paid."""
    buy_price: float
    """The price paid, with any cancellation fee and markup, in units of the currency."""
    cancellation: CancellationShown
    """The right to cancel; only for multipliers bought with it."""
    commission: float | None
    """The commission plus the financing so far, in units of the currency; only for multipliers."""
    contract_id: int
    """The id of the contract."""
    contract_type: str
    """The contract type, such as `CALL`."""
    currency: str
    """The currency of the contract."""
    current_spot: float
    """The latest price or, once the contract is closed, the price at its exit tick."""
    current_spot_display_value: str
    """The value of `current_spot`, as text with all decimals."""
    current_spot_high_barrier: str
    """The higher barrier for the next tick, as a price in text; only for accumulators."""
    current_spot_low_barrier: str
    """The lower barrier for the next tick, as a price in text; only for accumulators."""
    current_spot_time: int
    """The time of `current_spot`, in epoch seconds."""
    date_expiry: int
    """The end of the contract, in epoch seconds: its expiry, or its last possible tick."""
    date_settlement: int
    """The same as `date_expiry`."""
    date_start: int
    """The start of the contract, in epoch seconds."""
    display_name: str
    """The name of the symbol for display."""
    display_number_of_contracts: str
    """The amount paid for each point, as text; only for vanillas and turbos."""
    display_value: str
    """The value of `bid_price`, as text with all decimals."""
    entry_spot: float
    """The price at the entry tick; absent before it."""
    entry_spot_display_value: str
    """The price at the entry tick, as text with all decimals; absent before it."""
    entry_tick: float
    """The same as `entry_spot`."""
    entry_tick_display_value: str
    """The same as `entry_spot_display_value`."""
    entry_tick_time: int
    """The time of the entry tick, in epoch seconds; absent before it."""
    exit_tick: float
    """The price at the exit tick; absent while the contract is open."""
    exit_tick_display_value: str
    """The price at the exit tick, as text with all decimals; absent while the contract is open."""
    exit_tick_time: int
    """The time of the exit tick, in epoch seconds; absent while the contract is open."""
    expiry_time: int
    """The same as `date_expiry`."""
    growth_rate: float
    """The growth with each tick, such as 0.03; only for accumulators."""
    high_barrier: str
    """The higher barrier as text; for an accumulator that of the current tick, for a lookback the
    highest price."""
    id: str
    """The id of the stream; absent without a subscription."""
    is_expired: int
    """1 if the contract has ended or is closed, else 0."""
    is_forward_starting: int
    """1 if the start was later than the purchase, else 0."""
    is_intraday: int
    """1 if the contract ends at most 24 hours after its start, else 0."""
    is_path_dependent: int
    """1 if ticks between the entry and the exit can decide the contract, else 0."""
    is_settleable: int
    """1 if the contract has ended or is closed, else 0; the same as `is_expired`."""
    is_sold: int
    """1 if the contract is closed (settled, sold or cancelled), else 0."""
    is_valid_to_cancel: int
    """1 if the contract can be cancelled now, else 0."""
    is_valid_to_sell: int
    """1 if the contract can be sold now, else 0."""
    is_valid_to_update: ValidToUpdate
    """The orders that can be changed; only for open multipliers and accumulators."""
    limit_order: OrdersShown
    """The orders of the contract; only for multipliers and accumulators."""
    longcode: str
    """The description of the contract as a sentence."""
    low_barrier: str
    """The lower barrier as text; for an accumulator that of the current tick, for a lookback the
    lowest price."""
    multiplier: float
    """The factor of a multiplier, or what a lookback pays for each 1.00 of price; else absent."""
    payout: float
    """The payout, in units of the currency; the maximum for a spread, 0 if none is fixed."""
    profit: float
    """The value of `bid_price` less `buy_price`, in units of the currency; negative for a loss."""
    profit_percentage: float
    """The profit in percent of `buy_price`, with two decimals."""
    purchase_time: int
    """The time of the purchase, in epoch seconds."""
    reset_barrier: str
    """The barrier after the reset, as a price in text; only for reset contracts, from the
    reset on."""
    reset_time: int
    """The time of the reset tick, in epoch seconds; only for reset contracts, from the reset on."""
    selected_spot: float
    """The price of the selected tick; only for high and low ticks, once it is known."""
    selected_tick: int
    """The number of the selected tick, from 1 to 5; only for high and low ticks."""
    sell_price: float
    """The amount paid, in units of the currency; absent while the contract is open."""
    sell_spot: float
    """The same as `exit_tick`."""
    sell_spot_display_value: str
    """The same as `exit_tick_display_value`."""
    sell_spot_time: int
    """The same as `exit_tick_time`."""
    sell_time: int
    """The time at which the contract was closed, in epoch seconds; absent while it is open."""
    shortcode: str
    """The terms of the contract as a compact code."""
    status: str
    """The status of the contract: `open`, `won`, `lost`, `sold` or `cancelled`."""
    tick_count: int
    """The duration in ticks, or the maximum for an accumulator; absent for other durations."""
    tick_passed: int
    """The number of ticks after the entry tick; only for accumulators."""
    tick_stream: list[TickShown]
    """The ticks since the entry, at most the latest 11; only for open contracts that last for
    ticks."""
    transaction_ids: TransactionIds
    """The ids of the purchase and the payment in the statement."""
    underlying: str
    """The name of the symbol."""
    validation_error: str
    """The reason why the open contract cannot be sold now; absent if it can."""
    validation_error_code: str
    """The error code of that reason."""
    validation_params: ValidationParams
    """The bounds of stake and orders; only for open multipliers and accumulators."""


class ProposalOpenContractReply(TypedDict):
    proposal_open_contract: OpenContract
    """The state of a contract; empty if the account has no open contract."""


class HeldContract(TypedDict):
    app_id: int | None
    """The id of the app through which the contract was bought; null without an app or for a
    copy."""
    buy_price: float
    """The price paid, with any cancellation fee and markup, in units of the currency."""
    contract_id: int
    """The id of the contract."""
    contract_type: str
    """The contract type, such as `CALL`."""
    currency: str
    """The currency of the contract."""
    date_start: int
    """The start of the contract, in epoch seconds."""
    expiry_time: int
    """The end of the contract, in epoch seconds: its expiry, or its last possible tick."""
    longcode: str
    """The description of the contract as a sentence."""
    payout: float
    """The payout, in units of the currency; the maximum for a spread, 0 if none is fixed."""
    purchase_time: int
    """The time of the purchase, in epoch seconds."""
    shortcode: str
    """The terms of the contract as a compact code."""
    symbol: str
    """The name of the symbol."""
    transaction_id: int
    """The id of the purchase in the statement."""


class PortfolioBody(TypedDict):
    contracts: list[HeldContract]
    """The open contracts, in the order of purchase."""


class PortfolioReply(TypedDict):
    portfolio: PortfolioBody
    """The open contracts of the account."""


class ClosedContract(TypedDict):
    app_id: int | None
    """The id of the app through which the contract was bought; null without an app or for a
    copy."""
    buy_price: float
    """The price paid, with any cancellation fee and markup, in units of the currency."""
    contract_id: int
    """The id of the contract."""
    contract_type: NotRequired[str]
    """The contract type, such as `CALL`; only with `description`."""
    deal_cancellation_duration: NotRequired[str]
    """The cancellation time, such as `60m`; only for multipliers bought with it, and with
    `description`."""
    duration_type: NotRequired[str | None]
    """The unit of the duration, `ticks`, `seconds` or `days`; null for multipliers; only with
    `description`."""
    growth_rate: NotRequired[str]
    """The growth with each tick, as text such as `0.03`; only for accumulators, with
    `description`."""
    longcode: NotRequired[str]
    """The description of the contract as a sentence; only with `description`."""
    multiplier: NotRequired[str]
    """The factor of a multiplier, as text; only for multipliers, with `description`."""
    payout: float
    """The payout, in units of the currency; the maximum for a spread, 0 if none is fixed."""
    purchase_time: int
    """The time of the purchase, in epoch seconds."""
    sell_price: float
    """The amount paid when the contract was closed, in units of the currency."""
    sell_time: int
    """The time at which the contract was closed, in epoch seconds."""
    shortcode: NotRequired[str]
    """The terms of the contract as a compact code; only with `description`."""
    transaction_id: int
    """The id of the purchase in the statement."""
    underlying_symbol: NotRequired[str]
    """The name of the symbol; only with `description`."""


class ProfitTableBody(TypedDict):
    count: int
    """The number of contracts in this reply."""
    transactions: list[ClosedContract]
    """The closed contracts, in the requested order."""


class ProfitTableReply(TypedDict):
    profit_table: ProfitTableBody
    """The closed contracts of the account."""


class RealityCheckBody(TypedDict):
    buy_amount: float
    """The total price of the contracts bought since `start_time`, in units of the currency."""
    buy_count: int
    """The number of contracts that the account bought since `start_time`."""
    currency: str
    """The currency of the account."""
    loginid: str
    """The loginid of the account."""
    open_contract_count: int
    """The number of contracts that are open now."""
    potential_profit: float
    """The profit if all open contracts were sold now, in units of the currency; negative for a
    loss."""
    sell_amount: float
    """The total amount paid for the contracts closed since `start_time`, in units of the
    currency."""
    sell_count: int
    """The number of contracts of the account that were closed since `start_time`."""
    start_time: int
    """The time of the sign-in on this connection, in epoch seconds."""


class RealityCheckReply(TypedDict):
    reality_check: RealityCheckBody
    """The trading of the account since the sign-in."""
