"""Requests and replies about contracts that an account has bought."""

from typing import Annotated, Literal, NotRequired

from pydantic import ConfigDict, Field
from typing_extensions import TypedDict

from scopegate.schemas.fields import AccountRequest, Flag, Int, One, OrAbsent, StreamRequest, Text
from scopegate.schemas.trading_messages import (
    CancellationShown,
    ContractId,
    ContractType,
    OrdersShown,
    ValidationParams,
)

HeldTypes = Annotated[list[ContractType], Field(max_length=100)]
DayOrEpoch = Annotated[
    Text,
    Field(pattern=r"^([0-9]{4}-(0?[1-9]|1[012])-(0?[1-9]|[12][0-9]|3[01])|[0-9]{1,10})$"),
]


class ProposalOpenContract(StreamRequest, AccountRequest):
    """Asks how an open contract stands, or all of them."""

    proposal_open_contract: One
    contract_id: OrAbsent[ContractId] = Field(
        None, description="One contract, also when it is closed; without it all that are open."
    )


class Portfolio(AccountRequest):
    """Asks for the contracts that are open."""

    portfolio: One
    contract_type: OrAbsent[HeldTypes] = Field(None, description="Of these types alone.")


class ProfitTable(AccountRequest):
    """Asks for the contracts that are closed."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"profit_table": 1, "description": 1, "limit": 10}]}
    )

    profit_table: One
    contract_type: OrAbsent[HeldTypes] = Field(None, description="Of these types alone.")
    date_from: OrAbsent[DayOrEpoch] = Field(None, description="Bought at or after this moment.")
    date_to: OrAbsent[DayOrEpoch] = Field(None, description="Bought at or before this moment.")
    description: Flag = Field(0, description="1 to have each contract explained in words.")
    limit: Annotated[Int, Field(ge=0, le=500)] = Field(50, description="How many at the most.")
    offset: Annotated[Int, Field(ge=0, le=2**53 - 1)] = Field(
        0, description="How many to leave out."
    )
    sort: Literal["ASC", "DESC"] = Field("DESC", description="`DESC` has the latest sale first.")


class RealityCheck(AccountRequest):
    """Asks for a summary of what was traded since signing in."""

    reality_check: One


class TickShown(TypedDict):
    epoch: int
    flag: NotRequired[str | None]
    name: NotRequired[str | None]
    tick: float
    tick_display_value: str


class AuditDetails(TypedDict):
    all_ticks: NotRequired[list[TickShown]]
    contract_end: NotRequired[list[TickShown]]
    contract_start: NotRequired[list[TickShown]]


class TransactionIds(TypedDict):
    buy: int
    sell: NotRequired[int]


class ValidToUpdate(TypedDict, total=False):
    stop_loss: int
    take_profit: int


class OpenContract(TypedDict, total=False):
    account_id: int
    app_markup_amount: str
    audit_details: AuditDetails | None
    barrier: str | None
    barrier_count: int
    barrier_spot_distance: str
    bid_price: float
    buy_price: float
    cancellation: CancellationShown
    commission: float | None
    contract_id: int
    contract_type: str
    currency: str
    current_spot: float
    current_spot_display_value: str
    current_spot_high_barrier: str
    current_spot_low_barrier: str
    current_spot_time: int
    date_expiry: int
    date_settlement: int
    date_start: int
    display_name: str
    display_number_of_contracts: str
    display_value: str
    entry_spot: float
    entry_spot_display_value: str
    entry_tick: float
    entry_tick_display_value: str
    entry_tick_time: int
    exit_tick: float
    exit_tick_display_value: str
    exit_tick_time: int
    expiry_time: int
    growth_rate: float
    high_barrier: str
    id: str
    is_expired: int
    is_forward_starting: int
    is_intraday: int
    is_path_dependent: int
    is_settleable: int
    is_sold: int
    is_valid_to_cancel: int
    is_valid_to_sell: int
    is_valid_to_update: ValidToUpdate
    limit_order: OrdersShown
    longcode: str
    low_barrier: str
    multiplier: float
    payout: float
    profit: float
    profit_percentage: float
    purchase_time: int
    reset_barrier: str
    reset_time: int
    selected_spot: float
    selected_tick: int
    sell_price: float
    sell_spot: float
    sell_spot_display_value: str
    sell_spot_time: int
    sell_time: int
    shortcode: str
    status: str
    tick_count: int
    tick_passed: int
    tick_stream: list[TickShown]
    transaction_ids: TransactionIds
    underlying: str
    validation_error: str
    validation_error_code: str
    validation_params: ValidationParams


class ProposalOpenContractReply(TypedDict):
    proposal_open_contract: OpenContract


class HeldContract(TypedDict):
    app_id: int | None
    buy_price: float
    contract_id: int
    contract_type: str
    currency: str
    date_start: int
    expiry_time: int
    longcode: str
    payout: float
    purchase_time: int
    shortcode: str
    symbol: str
    transaction_id: int


class PortfolioBody(TypedDict):
    contracts: list[HeldContract]


class PortfolioReply(TypedDict):
    portfolio: PortfolioBody


class ClosedContract(TypedDict):
    app_id: int | None
    buy_price: float
    contract_id: int
    contract_type: NotRequired[str]
    deal_cancellation_duration: NotRequired[str]
    duration_type: NotRequired[str | None]
    growth_rate: NotRequired[str]
    longcode: NotRequired[str]
    multiplier: NotRequired[str]
    payout: float
    purchase_time: int
    sell_price: float
    sell_time: int
    shortcode: NotRequired[str]
    transaction_id: int
    underlying_symbol: NotRequired[str]


class ProfitTableBody(TypedDict):
    count: int
    transactions: list[ClosedContract]


class ProfitTableReply(TypedDict):
    profit_table: ProfitTableBody


class RealityCheckBody(TypedDict):
    buy_amount: float
    buy_count: int
    currency: str
    loginid: str
    open_contract_count: int
    potential_profit: float
    sell_amount: float
    sell_count: int
    start_time: int


class RealityCheckReply(TypedDict):
    reality_check: RealityCheckBody
