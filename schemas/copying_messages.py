"""Requests and replies about copying another trader's contracts."""

from typing import Annotated, NotRequired

from pydantic import ConfigDict, Field
from typing_extensions import TypedDict

from scopegate.schemas.fields import (
    AccountRequest,
    Int,
    LoginId,
    Number,
    One,
    OneOrMore,
    OrAbsent,
    Request,
    StreamRequest,
    Text,
    secret,
)

TraderToken = Annotated[Text, Field(pattern=r"^[A-Za-z0-9_\s-]{15,32}$")]
Asset = Annotated[Text, Field(pattern=r"^[A-Za-z0-9_]{4,128}$")]
TradeType = Annotated[Text, Field(pattern=r"^[A-Za-z0-9_]{3,128}$")]
Stake = Annotated[Number, Field(le=10**9)]


class CopyStart(AccountRequest):
    """A request to copy the trader who handed out a token."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {"copy_start": "TOKEN_OF_THE_TRADER"},
                {
                    "copy_start": "TOKEN_OF_THE_TRADER",
                    "assets": ["R_50", "R_100"],
                    "trade_types": ["CALL", "PUT"],
                    "min_trade_stake": 1,
                    "max_trade_stake": 20,
                },
            ]
        }
    )

    copy_start: TraderToken = secret(description="A token of the trader, with any scope.")
    assets: OrAbsent[OneOrMore[Asset]] = Field(
        None, description="Only contracts on these symbols: one, or a list; all by default."
    )
    max_trade_stake: OrAbsent[Stake] = Field(
        None,
        description="The highest price of the trader's contract that is copied, in units of the"
        " currency.",
    )
    min_trade_stake: OrAbsent[Stake] = Field(
        None,
        description="The lowest price of the trader's contract that is copied, in units of the"
        " currency.",
    )
    trade_types: OrAbsent[OneOrMore[TradeType]] = Field(
        None, description="Only contracts of these types: one, or a list; all by default."
    )


class CopyStartReply(TypedDict):
    copy_start: int
    """Always 1: the trader is copied."""


class CopyStop(AccountRequest):
    """A request to stop copying a trader."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"copy_stop": "TOKEN_OF_THE_TRADER"}]}
    )

    copy_stop: TraderToken = secret(
        description="A token of the trader, or the `token` in the reply of `copytrading_list`."
    )


class CopyStopReply(TypedDict):
    copy_stop: int
    """Always 1: the trader is no longer copied."""


class CopytradingList(AccountRequest):
    """A request for the accounts that copy this one, and the traders whom it copies."""

    copytrading_list: One


class CopierShown(TypedDict):
    loginid: str
    """The loginid of an account that copies this one."""


class TraderShown(TypedDict):
    assets: list[str]
    """The symbols that are copied; `*` alone for all."""
    loginid: str
    """The loginid of the trader's account."""
    max_trade_stake: float | None
    """The highest price that is copied, in units of the currency; null without a limit."""
    min_trade_stake: float | None
    """The lowest price that is copied, in units of the currency; null without a limit."""
    token: str
    """A word that `copy_stop` takes instead of the trader's token; it gives no other access."""
    trade_types: list[str]
    """The contract types that are copied; `*` alone for all."""


class CopytradingListBody(TypedDict):
    copiers: list[CopierShown]
    """The accounts that copy this one, in the order of their start."""
    traders: list[TraderShown]
    """The traders whom this account copies, in the order of the start."""


class CopytradingListReply(TypedDict):
    copytrading_list: CopytradingListBody
    """The copiers and the traders of the account."""


class CopytradingStatistics(Request):
    """A request for the performance of a trader who allows copying."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"copytrading_statistics": 1, "trader_id": "CR900001"}]}
    )

    copytrading_statistics: One
    trader_id: LoginId = Field(description="The loginid of the trader's account.")


class CopytradingStatisticsBody(TypedDict):
    active_since: int
    """The time when the first closed contract was bought, in epoch seconds; else of the account's
    opening."""
    avg_duration: int
    """The average time that a contract was open, in seconds."""
    avg_loss: float
    """The average result of a losing contract in percent of its price, 0 or below."""
    avg_profit: float
    """The average profit of a winning contract in percent of its price; 0 if there is none."""
    copiers: int
    """The number of accounts that copy the trader."""
    last_12months_profitable_trades: float
    """The share of profitable contracts closed in the last 365 days, in percent."""
    monthly_profitable_trades: dict[str, float]
    """The share of profitable contracts by month of closing (`yyyy-mm`, UTC), in percent."""
    performance_probability: float
    """The probability (0 to 1) that chance alone earns less than the settled contracts; 0.5 without
    any."""
    total_trades: int
    """The number of all closed contracts."""
    trades_breakdown: dict[str, float]
    """The share of contracts in each market, in percent."""
    trades_profitable: float
    """The share of profitable contracts, in percent."""
    yearly_profitable_trades: dict[str, float]
    """The share of profitable contracts by year of closing (`yyyy`, UTC), in percent."""


class CopytradingStatisticsReply(TypedDict):
    copytrading_statistics: CopytradingStatisticsBody
    """The performance of a trader in the latest 5,000 closed contracts."""


class CopyReport(StreamRequest, AccountRequest):
    """A request for the latest trades that were copied or refused, and a stream of further ones."""

    copy_report: One
    limit: Annotated[Int, Field(ge=0, le=1_000)] = Field(
        50, description="The maximum number of trades."
    )


class CopyShown(TypedDict):
    action: str
    """The action of the trader: `buy`, `sell` or `cancel`."""
    code: NotRequired[str]
    """The error code if the copy was refused; absent if it was made."""
    contract_id: int | None
    """The id of the copy; null if its purchase was refused."""
    message: NotRequired[str]
    """The error message if the copy was refused; absent if it was made."""
    time: int
    """The time of the copy or refusal, in epoch seconds."""
    trader: str
    """The loginid of the trader's account."""
    trader_contract_id: int
    """The id of the trader's contract."""


class CopyReportBody(TypedDict):
    copies: list[CopyShown]
    """The copied and the refused trades, latest first."""
    id: NotRequired[str]
    """The id of the stream; absent without a subscription."""
    loginid: str
    """The loginid of the copying account."""


class CopyReportReply(TypedDict):
    copy_report: CopyReportBody
    """The latest trades that were copied or refused."""
