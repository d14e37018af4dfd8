"""Requests and replies about what an app's owner gets for the contracts bought through it."""

from typing import Annotated, Literal

from pydantic import ConfigDict, Field
from typing_extensions import TypedDict

from scopegate.schemas.fields import AccountRequest, Flag, Int, LoginId, One, OrAbsent, Text

Moment = Annotated[
    Text,
    Field(
        pattern=r"^([0-9]{4}-[0-9]{1,2}-[0-9]{1,2} [0-9]{1,2}:[0-9]{1,2}:[0-9]{1,2}|[0-9]{1,10})$"
    ),
]
_FROM = "The first moment: epoch seconds, or `yyyy-mm-dd hh:mm:ss` (UTC)."
_TO = "The last moment, which is within the range."
_RANGE = {"date_from": "2026-01-01 00:00:00", "date_to": "2026-01-31 23:59:59"}


class AppMarkupDetails(AccountRequest):
    """Asks for the markup of each contract bought through the user's apps."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"app_markup_details": 1, "limit": 100, **_RANGE}]}
    )

    app_markup_details: One
    app_id: OrAbsent[Int] = Field(None, description="One of the user's apps alone.")
    client_loginid: OrAbsent[LoginId] = Field(None, description="One buyer's account alone.")
    date_from: Moment = Field(description=_FROM)
    date_to: Moment = Field(description=_TO)
    description: OrAbsent[Flag] = Field(None, description="Without effect.")
    limit: Annotated[Int, Field(ge=0, le=1_000)] = Field(1_000, description="The most to list.")
    offset: Annotated[Int, Field(ge=0, le=10**9)] = Field(
        0, description="How many of them to leave out first."
    )
    sort: Literal["ASC", "DESC"] = Field("DESC", description="The direction of time.")
    sort_fields: OrAbsent[list[Literal["app_id", "client_loginid", "transaction_time"]]] = Field(
        None, max_length=3, description="What to sort by; by `transaction_time` if not given."
    )


class MarkupOfContract(TypedDict):
    app_id: int
    app_markup: float
    app_markup_usd: float
    app_markup_value: float
    client_currcode: str
    client_loginid: str
    dev_currcode: str
    dev_loginid: str
    transaction_id: int
    transaction_time: str


class MarkupsOfContracts(TypedDict):
    transactions: list[MarkupOfContract]


class AppMarkupDetailsReply(TypedDict):
    app_markup_details: MarkupsOfContracts


class AppMarkupStatistics(AccountRequest):
    """Asks what the user got through each of their apps."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"app_markup_statistics": 1, **_RANGE}]}
    )

    app_markup_statistics: One
    date_from: Moment = Field(description=_FROM)
    date_to: Moment = Field(description=_TO)


class MarkupOfApp(TypedDict):
    app_id: int
    app_markup_usd: float
    app_markup_value: float
    dev_currcode: str
    transactions_count: int


class MarkupsOfApps(TypedDict):
    breakdown: list[MarkupOfApp]
    total_app_markup_usd: float
    total_transactions_count: int


class AppMarkupStatisticsReply(TypedDict):
    app_markup_statistics: MarkupsOfApps
