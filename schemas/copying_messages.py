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
    """Begins to copy the trader who handed out a token."""

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

    copy_start: TraderToken = secret(description="A token of the trader's, of any scope.")
    assets: OrAbsent[OneOrMore[Asset]] = Field(
        None, description="Of these symbols alone; one, or a list."
    )
    max_trade_stake: OrAbsent[Stake] = Field(
        None, description="Nothing that costs more than this is copied."
    )
    min_trade_stake: OrAbsent[Stake] = Field(
        None, description="Nothing that costs less than this is copied."
    )
    trade_types: OrAbsent[OneOrMore[TradeType]] = Field(
        None, description="Of these types of contracts alone; one, or a list."
    )


class CopyStartReply(TypedDict):
    copy_start: int


class CopyStop(AccountRequest):
    """Copies a trader no more."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"copy_stop": "TOKEN_OF_THE_TRADER"}]}
    )

    copy_stop: TraderToken = secret(
        description="A token of the trader's, or what `copytrading_list` shows in its place."
    )


class CopyStopReply(TypedDict):
    copy_stop: int


class CopytradingList(AccountRequest):
    """Asks who copies the account, and whom it copies."""

    copytrading_list: One


class CopierShown(TypedDict):
    loginid: str


class TraderShown(TypedDict):
    assets: list[str]
    loginid: str
    max_trade_stake: float | None
    min_trade_stake: float | None
    token: str
    trade_types: list[str]


class CopytradingListBody(TypedDict):
    copiers: list[CopierShown]
    traders: list[TraderShown]


class CopytradingListReply(TypedDict):
    copytrading_list: CopytradingListBody


class CopytradingStatistics(Request):
    """Asks how well somebody trades who lets others copy."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"copytrading_statistics": 1, "trader_id": "CR900001"}]}
    )

    copytrading_statistics: One
    trader_id: LoginId = Field(description="The trader's account.")


class CopytradingStatisticsBody(TypedDict):
    active_since: int
    avg_duration: int
    avg_loss: float
    avg_profit: float
    copiers: int
    last_12months_profitable_trades: float
    monthly_profitable_trades: dict[str, float]
    performance_probability: float
    total_trades: int
    trades_breakdown: dict[str, float]
    trades_profitable: float
    yearly_profitable_trades: dict[str, float]


class CopytradingStatisticsReply(TypedDict):
    copytrading_statistics: CopytradingStatisticsBody


class CopyReport(StreamRequest, AccountRequest):
    """Asks what was copied for the account of late, and what was refused."""

    copy_report: One
    limit: Annotated[Int, Field(ge=0, le=1_000)] = Field(
        50, description="How many trades at the most."
    )


class CopyShown(TypedDict):
    action: str
    code: NotRequired[str]
    contract_id: int | None
    message: NotRequired[str]
    time: int
    trader: str
    trader_contract_id: int


class CopyReportBody(TypedDict):
    copies: list[CopyShown]
    id: NotRequired[str]
    loginid: str


class CopyReportReply(TypedDict):
    copy_report: CopyReportBody
