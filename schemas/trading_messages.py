"""Requests and replies about pricing, buying and selling contracts."""

from typing import Annotated, Literal, NotRequired

from pydantic import BaseModel, ConfigDict, Field, JsonValue
from typing_extensions import TypedDict

from scopegate.schemas.fields import (
    AccountRequest,
    Epoch,
    Int,
    Number,
    One,
    OrAbsent,
    StreamRequest,
    SymbolName,
    Text,
    secret,
)
from scopegate.schemas.market_messages import NO_EFFECT

ContractType = Literal[
    "ACCU",
    "ASIAND",
    "ASIANU",
    "CALL",
    "CALLE",
    "CALLSPREAD",
    "DIGITDIFF",
    "DIGITEVEN",
    "DIGITMATCH",
    "DIGITODD",
    "DIGITOVER",
    "DIGITUNDER",
    "EXPIRYMISS",
    "EXPIRYMISSE",
    "EXPIRYRANGE",
    "EXPIRYRANGEE",
    "LBFLOATCALL",
    "LBFLOATPUT",
    "LBHIGHLOW",
    "MULTDOWN",
    "MULTUP",
    "NOTOUCH",
    "ONETOUCH",
    "PUT",
    "PUTE",
    "PUTSPREAD",
    "RANGE",
    "RESETCALL",
    "RESETPUT",
    "RUNHIGH",
    "RUNLOW",
    "SNOWDOWN",
    "SNOWUP",
    "TICKHIGH",
    "TICKLOW",
    "TURBOSLONG",
    "TURBOSSHORT",
    "UPORDOWN",
    "VANILLALONGCALL",
    "VANILLALONGPUT",
]
"""Every type of the published API; `contracts_for` lists those that are offered here."""

CurrencyCode = Annotated[Text, Field(pattern=r"^[a-zA-Z0-9]{2,20}$")]
BarrierText = Annotated[Text, Field(pattern=r"^[+-]?[0-9]+\.?[0-9]*$", max_length=20)]
ContractId = Annotated[Int, Field(ge=0, le=2**53 - 1)]
ProposalId = Annotated[Text, Field(pattern=r"^([A-Za-z0-9_-]{32,128}|1)$")]
Amount = Annotated[Number, Field(ge=0, le=10**12)]
TokenText = Annotated[Text, Field(pattern=r"^[A-Za-z0-9_\s-]+$", max_length=128)]

_OF_OTHERS = "For types of contracts that are not offered here."
_RISE: dict[str, JsonValue] = {
    "contract_type": "CALL",
    "symbol": "R_100",
    "currency": "USD",
    "basis": "stake",
    "amount": 10,
    "duration": 5,
    "duration_unit": "t",
}
_STAYS: dict[str, JsonValue] = {
    "contract_type": "RANGE",
    "symbol": "R_100",
    "currency": "USD",
    "basis": "stake",
    "amount": 10,
    "barrier": "+8.00",
    "barrier2": "-8.00",
    "duration": 5,
    "duration_unit": "m",
}
_GROWS: dict[str, JsonValue] = {
    "contract_type": "ACCU",
    "symbol": "R_100",
    "currency": "USD",
    "basis": "stake",
    "amount": 10,
    "growth_rate": 0.03,
    "limit_order": {"take_profit": 2},
}
_UP: dict[str, JsonValue] = {
    "contract_type": "MULTUP",
    "symbol": "R_100",
    "currency": "USD",
    "basis": "stake",
    "amount": 10,
    "multiplier": 100,
    "limit_order": {"take_profit": 5},
}


class LimitOrder(BaseModel):
    """Orders that close a multiplier, or with a profit an accumulator, by themselves."""

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)

    stop_loss: OrAbsent[Number] = Field(None, description="Close at a loss of this amount.")
    take_profit: OrAbsent[Number] = Field(None, description="Close at a profit of this amount.")


class ChangedOrder(BaseModel):
    """Orders in place of earlier ones; `null` takes one back, what is not named stays."""

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)

    stop_loss: Number | None = Field(None, description="Close at a loss of this amount.")
    take_profit: Number | None = Field(None, description="Close at a profit of this amount.")


class ContractFields(BaseModel):
    """What kind of contract is wanted, on what, for how long, for how much."""

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)

    contract_type: ContractType = Field(
        description="What kind of contract; `contracts_for` lists those that are offered."
    )
    currency: CurrencyCode = Field(description="The currency of the account that is to buy.")
    symbol: SymbolName = Field(description="The symbol that it is on.")
    amount: OrAbsent[Amount] = Field(
        None, description="The stake or the payout, see `basis`; the multiplier of a lookback."
    )
    barrier: OrAbsent[BarrierText] = Field(
        None,
        description="`+0.10` from the entry spot, `2400.10` as a price, or the digit of a contract"
        " on digits; the higher of two.",
    )
    basis: OrAbsent[Literal["payout", "stake", "multiplier"]] = Field(
        None, description="What `amount` is."
    )
    date_start: OrAbsent[Epoch] = Field(
        None, description="When it starts, if that is later than now."
    )
    duration: OrAbsent[Annotated[Int, Field(ge=0, le=99_999_999)]] = Field(
        None, description="How long it lasts, in units of `duration_unit`."
    )
    multiplier: OrAbsent[Amount] = Field(
        None, description="By how much a multiplier multiplies, or a lookback."
    )
    selected_tick: OrAbsent[Int] = Field(
        None, description="Which of five ticks is to be the highest or the lowest: 1 to 5."
    )


class MoreContractFields(ContractFields):
    """What `proposal` and `buy` take beside that."""

    barrier2: OrAbsent[BarrierText] = Field(None, description="The lower of two barriers.")
    barrier_range: OrAbsent[Literal["tight", "middle", "wide"]] = Field(
        None, description="How far from the entry spot the barriers of a spread lie."
    )
    cancellation: OrAbsent[Annotated[Text, Field(pattern=r"^[A-Za-z0-9_]+$")]] = Field(
        None, description="How long a multiplier can be cancelled: `5m` to `60m`."
    )
    growth_rate: OrAbsent[Number] = Field(
        None, description="By how much an accumulator grows with every tick: 0.01 to 0.05."
    )
    limit_order: OrAbsent[LimitOrder] = Field(
        None, description="Orders that close a multiplier or an accumulator by themselves."
    )
    payout_per_point: OrAbsent[Number] = Field(
        None, description="What a turbo pays a point, instead of its `barrier`."
    )
    product_type: Literal["basic"] = Field("basic", description=NO_EFFECT)
    trade_risk_profile: OrAbsent[Literal["low", "medium", "high"]] = Field(
        None, description=_OF_OTHERS
    )


class Proposal(StreamRequest, AccountRequest, MoreContractFields):
    """Asks for the price of a contract."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {"proposal": 1, **_RISE, "subscribe": 1},
                {"proposal": 1, **_STAYS, "subscribe": 1},
                {"proposal": 1, **_UP, "subscribe": 1},
                {"proposal": 1, **_GROWS, "subscribe": 1},
            ]
        }
    )

    proposal: One
    date_expiry: OrAbsent[Epoch] = Field(None, description="When it ends, instead of `duration`.")
    duration_unit: Literal["d", "m", "s", "h", "t"] = Field(
        "s", description="Days, minutes, seconds, hours or ticks."
    )
    trading_period_start: OrAbsent[Int] = Field(None, description=_OF_OTHERS)


_Expiry = OrAbsent[Annotated[Int, Field(ge=1, le=9_999_999_999)]]
_Unit = OrAbsent[Literal["d", "m", "s", "h", "t"]]


class BuyParameters(MoreContractFields):
    """The contract to buy without a proposal before."""

    app_markup_percentage: OrAbsent[Number] = Field(None, description=NO_EFFECT)
    date_expiry: _Expiry = Field(None, description="When it ends, instead of `duration`.")
    duration_unit: _Unit = Field(None, description="Days, minutes, seconds, hours or ticks.")
    trading_period_start: _Expiry = Field(None, description=_OF_OTHERS)


class CopiedParameters(ContractFields):
    """The contract to buy for several accounts."""

    app_markup_percentage: OrAbsent[Number] = Field(None, description=NO_EFFECT)
    barrier2: OrAbsent[BarrierText] = Field(None, description="The lower of two barriers.")
    date_expiry: OrAbsent[Epoch] = Field(None, description="When it ends, instead of `duration`.")
    duration: OrAbsent[Annotated[Int, Field(ge=0, le=3_600)]] = Field(
        None, description="How long it lasts, in units of `duration_unit`."
    )
    duration_unit: _Unit = Field(None, description="Days, minutes, seconds, hours or ticks.")


class Buy(StreamRequest, AccountRequest):
    """Buys a contract."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {"buy": "1", "price": 10, "parameters": _RISE, "subscribe": 1},
                {"buy": "1", "price": 10, "parameters": _UP, "subscribe": 1},
            ]
        }
    )

    buy: ProposalId = Field(description="The `id` of a proposal, or 1 with `parameters`.")
    price: Amount = Field(description="The most to be paid.")
    parameters: OrAbsent[BuyParameters] = Field(None, description="The contract, when `buy` is 1.")


class BuyForSeveral(AccountRequest):
    """Buys a contract for several accounts, each named by a token of its own."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "buy_contract_for_multiple_accounts": "1",
                    "price": 10,
                    "parameters": _RISE,
                    "tokens": ["YOUR_TOKEN", "ANOTHER_TOKEN"],
                }
            ]
        }
    )

    buy_contract_for_multiple_accounts: ProposalId = Field(
        description="The `id` of a proposal, or 1 with `parameters`."
    )
    price: Amount = Field(description="The most to be paid for each.")
    tokens: Annotated[list[TokenText], Field(max_length=100)] = secret(
        description="A token with the trade scope for each account."
    )
    parameters: OrAbsent[CopiedParameters] = Field(
        None, description="The contract, when the call's value is 1."
    )


class Sell(AccountRequest):
    """Sells a contract back."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"sell": 1, "price": 0}]})

    sell: ContractId = Field(description="The contract's `contract_id`.")
    price: Amount = Field(description="The least to be got; 0 for whatever it is worth.")


class SellForSeveral(AccountRequest):
    """Sells contracts of one shortcode back, for several accounts."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "sell_contract_for_multiple_accounts": 1,
                    "price": 0,
                    "shortcode": "CALL_R_100_10_1767268800_5T_S0P_0",
                    "tokens": ["YOUR-TOKEN", "ANOTHER-TOKEN"],
                }
            ]
        }
    )

    sell_contract_for_multiple_accounts: One
    price: Amount = Field(description="The least to be got for each; 0 for whatever it is worth.")
    shortcode: Annotated[Text, Field(pattern=r"^[A-Za-z0-9_.-]+$", max_length=200)] = Field(
        description="What `buy_contract_for_multiple_accounts` told."
    )
    tokens: Annotated[
        list[Annotated[Text, Field(pattern=r"^[a-zA-Z0-9-]+$", max_length=128)]],
        Field(max_length=100),
    ] = secret(description="A token with the trade scope for each account.")


class SellExpired(AccountRequest):
    """Settles what has ended; the gateway does so by itself, this only waits for it."""

    sell_expired: One


class Cancel(AccountRequest):
    """Cancels a multiplier whose cancellation was paid for."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"cancel": 1}]})

    cancel: ContractId = Field(description="The contract's `contract_id`.")


class ContractUpdate(AccountRequest):
    """Changes the orders of a multiplier or an accumulator."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {"contract_update": 1, "contract_id": 1, "limit_order": {"take_profit": 5}}
            ]
        }
    )

    contract_update: One
    contract_id: ContractId = Field(description="Which contract.")
    limit_order: ChangedOrder = Field(description="`null` takes an order back.")


class ContractUpdateHistory(AccountRequest):
    """Asks which orders were placed for a contract."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"contract_update_history": 1, "contract_id": 1}]}
    )

    contract_update_history: One
    contract_id: ContractId = Field(description="Which contract.")
    limit: Annotated[Number, Field(ge=1, le=999)] = Field(
        500,  # type: ignore[assignment] # an integer is a number
        description="How many at the most.",
    )


# Prices and trades.


class OrderShown(TypedDict):
    display_name: str
    display_order_amount: NotRequired[str | None]
    order_amount: float | None
    order_date: NotRequired[int]
    value: str | None


class OrdersShown(TypedDict, total=False):
    stop_loss: OrderShown
    stop_out: OrderShown
    take_profit: OrderShown


class CancellationShown(TypedDict):
    ask_price: float
    date_expiry: int


class Range(TypedDict):
    max: str
    min: NotRequired[str]


class ValidationParams(TypedDict, total=False):
    max_payout: str
    max_ticks: int
    payout: Range
    stake: Range
    stop_loss: Range
    take_profit: Range


class BarriersShown(TypedDict, total=False):
    barrier: str
    high_barrier: str
    low_barrier: str


class ContractDetails(BarriersShown, total=False):
    app_markup_amount: str
    barrier_spot_distance: str
    last_tick_epoch: int
    maximum_payout: float
    maximum_stake: str
    maximum_ticks: int
    minimum_stake: str
    tick_size_barrier: float
    tick_size_barrier_percentage: str
    ticks_stayed_in: list[int]


class ProposalBody(TypedDict):
    ask_price: float
    barrier_choices: NotRequired[list[str]]
    barrier_spot_distance: NotRequired[str]
    cancellation: NotRequired[CancellationShown]
    commission: NotRequired[float | None]
    contract_details: NotRequired[ContractDetails]
    date_expiry: int
    date_start: int
    display_number_of_contracts: NotRequired[str]
    display_value: str
    id: str
    limit_order: NotRequired[OrdersShown]
    longcode: str
    max_stake: NotRequired[float]
    min_stake: NotRequired[float]
    multiplier: NotRequired[float]
    payout: float
    payout_choices: NotRequired[list[str]]
    spot: float
    spot_time: int
    validation_params: NotRequired[ValidationParams]


class ProposalReply(TypedDict):
    proposal: ProposalBody


class BuyBody(TypedDict):
    balance_after: float
    buy_price: float
    contract_id: int
    longcode: str
    payout: float
    purchase_time: int
    shortcode: str
    start_time: int
    transaction_id: int


class BuyReply(TypedDict):
    buy: BuyBody


class BoughtForOne(TypedDict):
    buy_price: float
    contract_id: int
    longcode: str
    payout: float
    purchase_time: int
    shortcode: str
    start_time: int
    token: str
    transaction_id: int


class FailedForOne(TypedDict):
    code: str
    message_to_client: str
    token: str


class BuyForSeveralBody(TypedDict):
    result: list[BoughtForOne | FailedForOne]


class BuyForSeveralReply(TypedDict):
    buy_contract_for_multiple_accounts: BuyForSeveralBody


class SellBody(TypedDict):
    balance_after: float
    contract_id: int
    reference_id: int
    sold_for: float
    transaction_id: int


class SellReply(TypedDict):
    sell: SellBody


class SoldForOne(TypedDict):
    balance_after: float
    contract_id: int
    reference_id: int
    sell_price: float
    sell_time: str
    transaction_id: int


class SellForSeveralBody(TypedDict):
    result: list[SoldForOne | FailedForOne]


class SellForSeveralReply(TypedDict):
    sell_contract_for_multiple_accounts: SellForSeveralBody


class SellExpiredBody(TypedDict):
    count: int


class SellExpiredReply(TypedDict):
    sell_expired: SellExpiredBody


class CancelReply(TypedDict):
    cancel: SellBody


class UpdatedOrders(TypedDict, total=False):
    stop_loss: OrderShown
    take_profit: OrderShown


class ContractUpdateReply(TypedDict):
    contract_update: UpdatedOrders


class OrderRecord(TypedDict):
    display_name: str
    order_amount: str
    order_date: int
    order_type: str
    value: str | None


class ContractUpdateHistoryReply(TypedDict):
    contract_update_history: list[OrderRecord]
