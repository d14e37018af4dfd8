"""Requests and replies about pricing, buying and selling contracts."""

from typing import Annotated, Literal, NotRequired

from pydantic import BaseModel, ConfigDict, Field, JsonValue
from typing_extensions import TypedDict

from scopegate.schemas.contract_types import ContractType
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

CurrencyCode = Annotated[Text, Field(pattern=r"^[a-zA-Z0-9]{2,20}$")]
BarrierText = Annotated[Text, Field(pattern=r"^[+-]?[0-9]+\.?[0-9]*$", max_length=20)]
ContractId = Annotated[Int, Field(ge=0, le=2**53 - 1)]
ProposalId = Annotated[Text, Field(pattern=r"^([A-Za-z0-9_-]{32,128}|1)$")]
Amount = Annotated[Number, Field(ge=0, le=10**12)]
TokenText = Annotated[Text, Field(pattern=r"^[A-Za-z0-9_\s-]+$", max_length=128)]

_OF_OTHERS = "Only for contract types that are not offered here."
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
    """Orders that close a multiplier automatically or, with `take_profit` only, an accumulator."""

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)

    stop_loss: OrAbsent[Number] = Field(
        None,
        description="The loss at which a multiplier closes, in units of the currency.",
    )
    take_profit: OrAbsent[Number] = Field(
        None, description="The profit at which the contract closes, in units of the currency."
    )


class ChangedOrder(BaseModel):
    """Orders that replace earlier ones; `null` removes an order, an absent one is unchanged."""

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)

    stop_loss: Number | None = Field(
        None,
        description="The loss at which a multiplier closes, in units of the currency; `null` for"
        " none.",
    )
    take_profit: Number | None = Field(
        None,
        description="The profit at which the contract closes, in units of the currency; `null` for"
        " none.",
    )


class ContractFields(BaseModel):
    """The fields of a contract that a request for a price and the purchase requests share."""

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)

    contract_type: ContractType = Field(
        description="The type of the contract; `contracts_for` lists the types that are offered."
    )
    currency: CurrencyCode = Field(description="The currency of the account that buys.")
    symbol: SymbolName = Field(description="The symbol of the contract.")
    amount: OrAbsent[Amount] = Field(
        None,
        description="The stake or the payout, as `basis` says, in units of the currency; for a"
        " lookback, the multiplier.",
    )
    barrier: OrAbsent[BarrierText] = Field(
        None,
        description="The barrier, or the higher of two: `+0.10` from the entry spot, or `2400.10`"
        " as a price. For a contract on digits, the digit.",
    )
    basis: OrAbsent[Literal["payout", "stake", "multiplier"]] = Field(
        None, description="The meaning of `amount`; a lookback takes only `multiplier`."
    )
    date_start: OrAbsent[Epoch] = Field(
        None,
        description="The start, in epoch seconds, up to 24 hours ahead; the contract starts now by"
        " default.",
    )
    duration: OrAbsent[Annotated[Int, Field(ge=0, le=99_999_999)]] = Field(
        None, description="The duration, in units of `duration_unit`."
    )
    multiplier: OrAbsent[Amount] = Field(
        None,
        description="The factor of a multiplier, or the amount that a lookback pays for each 1.00"
        " of price.",
    )
    selected_tick: OrAbsent[Int] = Field(
        None, description="The tick of five that must be the highest or the lowest: 1 to 5."
    )


class MoreContractFields(ContractFields):
    """The further fields of a contract that `proposal` and `buy` take."""

    barrier2: OrAbsent[BarrierText] = Field(None, description="The lower of two barriers.")
    barrier_range: OrAbsent[Literal["tight", "middle", "wide"]] = Field(
        None,
        description="The distance of both barriers of a spread from the entry spot, instead of the"
        " barriers.",
    )
    cancellation: OrAbsent[Annotated[Text, Field(pattern=r"^[A-Za-z0-9_]+$")]] = Field(
        None,
        description="The time in which a multiplier can be cancelled: `5m`, `10m`, `15m`, `30m` or"
        " `60m`.",
    )
    growth_rate: OrAbsent[Number] = Field(
        None,
        description="The growth of an accumulator with each tick: 0.01, 0.02, 0.03, 0.04 or 0.05.",
    )
    limit_order: OrAbsent[LimitOrder] = Field(
        None, description="Orders that close a multiplier or an accumulator automatically."
    )
    payout_per_point: OrAbsent[Number] = Field(
        None, description="The amount that a turbo pays for each point, instead of `barrier`."
    )
    product_type: Literal["basic"] = Field("basic", description=NO_EFFECT)
    trade_risk_profile: OrAbsent[Literal["low", "medium", "high"]] = Field(
        None, description=_OF_OTHERS
    )


class Proposal(StreamRequest, AccountRequest, MoreContractFields):
    """A request for the price of a contract, and a stream of further prices."""

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
    date_expiry: OrAbsent[Epoch] = Field(
        None, description="The end, in epoch seconds, instead of `duration`."
    )
    duration_unit: Literal["d", "m", "s", "h", "t"] = Field(
        "s",
        description="The unit of `duration`: `d` days, `h` hours, `m` minutes, `s` seconds (the"
        " default) or `t` ticks.",
    )
    trading_period_start: OrAbsent[Int] = Field(None, description=_OF_OTHERS)


_Expiry = OrAbsent[Annotated[Int, Field(ge=1, le=9_999_999_999)]]
_Unit = OrAbsent[Literal["d", "m", "s", "h", "t"]]


class BuyParameters(MoreContractFields):
    """The contract that `buy` buys without a proposal."""

    app_markup_percentage: OrAbsent[Number] = Field(None, description=NO_EFFECT)
    date_expiry: _Expiry = Field(
        None, description="The end, in epoch seconds, instead of `duration`."
    )
    duration_unit: _Unit = Field(
        None,
        description="The unit of `duration`: `d` days, `h` hours, `m` minutes, `s` seconds (the"
        " default) or `t` ticks.",
    )
    trading_period_start: _Expiry = Field(None, description=_OF_OTHERS)


class CopiedParameters(ContractFields):
    """The contract that `buy_contract_for_multiple_accounts` buys without a proposal."""

    app_markup_percentage: OrAbsent[Number] = Field(None, description=NO_EFFECT)
    barrier2: OrAbsent[BarrierText] = Field(None, description="The lower of two barriers.")
    date_expiry: OrAbsent[Epoch] = Field(
        None, description="The end, in epoch seconds, instead of `duration`."
    )
    duration: OrAbsent[Annotated[Int, Field(ge=0, le=3_600)]] = Field(
        None, description="The duration, in units of `duration_unit`."
    )
    duration_unit: _Unit = Field(
        None,
        description="The unit of `duration`: `d` days, `h` hours, `m` minutes, `s` seconds (the"
        " default) or `t` ticks.",
    )


class Buy(StreamRequest, AccountRequest):
    """A request to buy a contract, and a stream of its state."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {"buy": "1", "price": 10, "parameters": _RISE, "subscribe": 1},
                {"buy": "1", "price": 10, "parameters": _UP, "subscribe": 1},
            ]
        }
    )

    buy: ProposalId = Field(
        description="The `id` of a proposal, or 1 to buy the contract in `parameters`."
    )
    price: Amount = Field(description="The highest price to pay, in units of the currency.")
    parameters: OrAbsent[BuyParameters] = Field(
        None,
        description="The contract to buy when `buy` is 1, in the fields of `proposal`:"
        " `contract_type`, `symbol` and `currency` are required; `amount`, `barrier`, `barrier2`,"
        " `barrier_range`, `basis`, `cancellation`, `date_expiry`, `date_start`, `duration`,"
        " `duration_unit`, `growth_rate`, `limit_order`, `multiplier`, `payout_per_point` and"
        " `selected_tick` depend on the type.",
    )


class BuyForSeveral(AccountRequest):
    """A request to buy a contract for several accounts, each by a token of its own."""

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
        description="The `id` of a proposal, or 1 to buy the contract in `parameters`."
    )
    price: Amount = Field(
        description="The highest price to pay for each, in units of the currency."
    )
    tokens: Annotated[list[TokenText], Field(max_length=100)] = secret(
        description="A token with the `trade` scope for each account."
    )
    parameters: OrAbsent[CopiedParameters] = Field(
        None,
        description="The contract to buy when `buy_contract_for_multiple_accounts` is 1, in the"
        " fields of `proposal`: `contract_type`, `symbol` and `currency` are required; `amount`,"
        " `barrier`, `barrier2`, `basis`, `date_expiry`, `date_start`, `duration`, `duration_unit`,"
        " `multiplier` and `selected_tick` depend on the type.",
    )


class Sell(AccountRequest):
    """A request to sell a contract back."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"sell": 1, "price": 0}]})

    sell: ContractId = Field(description="The `contract_id` of the contract.")
    price: Amount = Field(
        description="The lowest price to accept, in units of the currency; 0 accepts any price."
    )


class SellForSeveral(AccountRequest):
    """A request to sell, for each of several accounts, its contract with this shortcode."""

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
    price: Amount = Field(
        description="The lowest price to accept for each, in units of the currency; 0 accepts any"
        " price."
    )
    shortcode: Annotated[Text, Field(pattern=r"^[A-Za-z0-9_.-]+$", max_length=200)] = Field(
        description="The `shortcode` in the reply of `buy_contract_for_multiple_accounts`."
    )
    tokens: Annotated[
        list[Annotated[Text, Field(pattern=r"^[a-zA-Z0-9-]+$", max_length=128)]],
        Field(max_length=100),
    ] = secret(description="A token with the `trade` scope for each account.")


class SellExpired(AccountRequest):
    """A request to settle contracts that have ended, which the gateway also does by itself."""

    sell_expired: One


class Cancel(AccountRequest):
    """A request to cancel a multiplier that was bought with the right to cancel."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"cancel": 1}]})

    cancel: ContractId = Field(description="The `contract_id` of the contract.")


class ContractUpdate(AccountRequest):
    """A request to change the orders of a multiplier or an accumulator."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {"contract_update": 1, "contract_id": 1, "limit_order": {"take_profit": 5}}
            ]
        }
    )

    contract_update: One
    contract_id: ContractId = Field(description="The `contract_id` of the contract.")
    limit_order: ChangedOrder = Field(
        description="The orders to change: `null` removes an order, an absent one is unchanged."
    )


class ContractUpdateHistory(AccountRequest):
    """A request for the orders that were placed for a contract."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"contract_update_history": 1, "contract_id": 1}]}
    )

    contract_update_history: One
    contract_id: ContractId = Field(description="The `contract_id` of the contract.")
    limit: Annotated[Number, Field(ge=1, le=999)] = Field(
        500,  # type: ignore[assignment] # an integer is a number
        description="The maximum number of orders.",
    )


# Prices and trades.


class OrderShown(TypedDict):
    display_name: str
    """The name of the order for display: `Stop loss`, `Stop out` or `Take profit`."""
    display_order_amount: NotRequired[str | None]
    """The amount as text with all decimals, negative for a loss; absent in `contract_update`."""
    order_amount: float | None
    """The profit or (negative) loss at which the contract closes, in units of the currency; null
    without an order."""
    order_date: NotRequired[int]
    """The time of the order, in epoch seconds; absent if no order is placed."""
    value: str | None
    """The price at which the order closes the contract, as text; null for an accumulator or no
    order."""


class OrdersShown(TypedDict, total=False):
    stop_loss: OrderShown
    """The stop-loss order; absent if none is placed."""
    stop_out: OrderShown
    """The stop-out, which closes a multiplier when its whole stake is lost; absent for
    accumulators."""
    take_profit: OrderShown
    """The take-profit order; absent if none is placed."""


class CancellationShown(TypedDict):
    ask_price: float
    """The fee for the right to cancel, in units of the currency."""
    date_expiry: int
    """The last moment at which the contract can be cancelled, in epoch seconds."""


class Range(TypedDict):
    max: str
    """The largest amount, as text with all decimals."""
    min: NotRequired[str]
    """The smallest amount, as text with all decimals; absent for payouts."""


class ValidationParams(TypedDict, total=False):
    max_payout: str
    """The largest payout, as text with all decimals; only for accumulators."""
    max_ticks: int
    """The number of ticks after which the contract ends; only for accumulators."""
    payout: Range
    """The bounds of the payout; only for contracts with a fixed payout."""
    stake: Range
    """The bounds of the stake."""
    stop_loss: Range
    """The bounds of a stop-loss order; only for multipliers."""
    take_profit: Range
    """The bounds of a take-profit order; only for multipliers and accumulators."""


class BarriersShown(TypedDict, total=False):
    barrier: str
    """The single barrier as a price in text, or the chosen digit; absent if there is none or
    two."""
    high_barrier: str
    """The higher of two barriers, as a price in text."""
    low_barrier: str
    """The lower of two barriers, as a price in text."""


class ContractDetails(BarriersShown, total=False):
    app_markup_amount: str
    """The app's markup in the price, as text with all decimals; absent without a markup."""
    barrier_spot_distance: str
    """The distance of both barriers from the spot, as text; only for accumulators."""
    last_tick_epoch: int
    """The time of the latest tick, in epoch seconds; only for accumulators."""
    maximum_payout: float
    """The largest payout, in units of the currency; only for accumulators."""
    maximum_stake: str
    """The largest stake, as text with all decimals; only for accumulators."""
    maximum_ticks: int
    """The number of ticks after which the contract ends; only for accumulators."""
    minimum_stake: str
    """The smallest stake, as text with all decimals; only for accumulators."""
    tick_size_barrier: float
    """The distance of both barriers as a share of the spot; only for accumulators."""
    tick_size_barrier_percentage: str
    """The same distance in percent, as text such as `0.06186%`; only for accumulators."""
    ticks_stayed_in: list[int]
    """The lengths of up to 100 recent runs of ticks within the barriers, current last; only for
    accumulators."""


class ProposalBody(TypedDict):
    ask_price: float
    """The price of the contract, with any cancellation fee and markup, in units of the currency."""
    barrier_choices: NotRequired[list[str]]
    """Suggested strikes or barriers, the highest first; only for vanillas and turbos."""
    barrier_spot_distance: NotRequired[str]
    """The barrier as a signed distance from the spot, as text; only for turbos."""
    cancellation: NotRequired[CancellationShown]
    """The right to cancel; only for multipliers that request it."""
    commission: NotRequired[float | None]
    """The commission, in units of the currency; only for multipliers."""
    contract_details: NotRequired[ContractDetails]
    """Further details, such as barriers; absent if there are none."""
    date_expiry: int
    """The end of the contract, in epoch seconds: its expiry, or its last possible tick."""
    date_start: int
    """The start of the contract, in epoch seconds."""
    display_number_of_contracts: NotRequired[str]
    """The amount paid for each point, as text; only for vanillas and turbos."""
    display_value: str
    """The price of the contract, as text with all decimals."""
    id: str
    """The id of the proposal, which `buy` takes for a minute, or as long as its stream is open."""
    limit_order: NotRequired[OrdersShown]
    """The orders of the contract; for accumulators, absent without a take-profit order."""
    longcode: str
    """The description of the contract as a sentence."""
    max_stake: NotRequired[float]
    """The largest stake at this barrier, in units of the currency; only for vanillas and turbos."""
    min_stake: NotRequired[float]
    """The smallest stake, in units of the currency; only for vanillas and turbos."""
    multiplier: NotRequired[float]
    """The factor of a multiplier, or what a lookback pays for each 1.00 of price; else absent."""
    payout: float
    """The payout, in units of the currency; the maximum for a spread, 0 if none is fixed."""
    payout_choices: NotRequired[list[str]]
    """The payout per point at each of `barrier_choices`, as text; only for turbos."""
    spot: float
    """The latest price of the symbol."""
    spot_time: int
    """The time of the latest price, in epoch seconds."""
    validation_params: NotRequired[ValidationParams]
    """The bounds of the stake, the payout and the orders."""


class ProposalReply(TypedDict):
    proposal: ProposalBody
    """The price of a contract."""


class BuyBody(TypedDict):
    balance_after: float
    """The balance of the account after the purchase, in units of the currency."""
    buy_price: float
    """The price paid, with any cancellation fee and markup, in units of the currency."""
    contract_id: int
    """The id of the contract."""
    longcode: str
    """The description of the contract as a sentence."""
    payout: float
    """The payout, in units of the currency; the maximum for a spread, 0 if none is fixed."""
    purchase_time: int
    """The time of the purchase, in epoch seconds."""
    shortcode: str
    """The terms of the contract as a compact code."""
    start_time: int
    """The start of the contract, in epoch seconds."""
    transaction_id: int
    """The id of the purchase in the statement."""


class BuyReply(TypedDict):
    buy: BuyBody
    """The contract that was bought."""


class BoughtForOne(TypedDict):
    buy_price: float
    """The price paid, with any cancellation fee and markup, in units of the currency."""
    contract_id: int
    """The id of the contract."""
    longcode: str
    """The description of the contract as a sentence."""
    payout: float
    """The payout, in units of the currency; the maximum for a spread, 0 if none is fixed."""
    purchase_time: int
    """The time of the purchase, in epoch seconds."""
    shortcode: str
    """The terms of the contract as a code, which `sell_contract_for_multiple_accounts` takes."""
    start_time: int
    """The start of the contract, in epoch seconds."""
    token: str
    """The token of the account, masked except for its last four characters."""
    transaction_id: int
    """The id of the purchase in the statement."""


class FailedForOne(TypedDict):
    code: str
    """The error code."""
    message_to_client: str
    """The error message."""
    token: str
    """The token of the account, masked except for its last four characters."""


class BuyForSeveralBody(TypedDict):
    result: list[BoughtForOne | FailedForOne]
    """The contract or the error of each token, in the order of `tokens`."""


class BuyForSeveralReply(TypedDict):
    buy_contract_for_multiple_accounts: BuyForSeveralBody
    """The result of the purchase for each account."""


class SellBody(TypedDict):
    balance_after: float
    """The balance of the account after the sale, in units of the currency."""
    contract_id: int
    """The id of the contract."""
    reference_id: int
    """The id of the contract's purchase in the statement."""
    sold_for: float
    """The amount paid for the contract, in units of the currency."""
    transaction_id: int
    """The id of the sale in the statement."""


class SellReply(TypedDict):
    sell: SellBody
    """The contract that was sold."""


class SoldForOne(TypedDict):
    balance_after: float
    """The balance of the account after the sale, in units of the currency."""
    contract_id: int
    """The id of the contract."""
    reference_id: int
    """The id of the contract's purchase in the statement."""
    sell_price: float
    """The amount paid for the contract, in units of the currency."""
    sell_time: str
    """The time of the sale (UTC), as `yyyy-mm-dd hh:mm:ss`."""
    transaction_id: int
    """The id of the sale in the statement."""


class SellForSeveralBody(TypedDict):
    result: list[SoldForOne | FailedForOne]
    """The sale or the error of each token, in the order of `tokens`."""


class SellForSeveralReply(TypedDict):
    sell_contract_for_multiple_accounts: SellForSeveralBody
    """The result of the sale for each account."""


class SellExpiredBody(TypedDict):
    count: int
    """The number of contracts that had ended."""


class SellExpiredReply(TypedDict):
    sell_expired: SellExpiredBody
    """The result of the settlement."""


class CancelReply(TypedDict):
    cancel: SellBody
    """The contract that was cancelled; `sold_for` is its stake."""


class UpdatedOrders(TypedDict, total=False):
    stop_loss: OrderShown
    """The stop-loss order, with null amount and value if none is placed; absent for
    accumulators."""
    take_profit: OrderShown
    """The take-profit order, with null amount and value if none is placed."""


class ContractUpdateReply(TypedDict):
    contract_update: UpdatedOrders
    """The orders of the contract after the change."""


class OrderRecord(TypedDict):
    display_name: str
    """The name of the order for display: `Stop loss` or `Take profit`."""
    order_amount: str
    """The profit or loss of the order, as positive text with all decimals; `0.00` if it was
    removed."""
    order_date: int
    """The time of the change, in epoch seconds."""
    order_type: str
    """The type of the order: `stop_loss` or `take_profit`."""
    value: str | None
    """The price at which the order closes the contract, as text; null for an accumulator or a
    removal."""


class ContractUpdateHistoryReply(TypedDict):
    contract_update_history: list[OrderRecord]
    """The orders that were placed, changed or removed, latest first."""
