"""Requests and replies about markups: what an app's owner earns on contracts bought through it."""

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
_TO = "The last moment, inclusive, in the same formats as `date_from`."
_RANGE = {"date_from": "2026-01-01 00:00:00", "date_to": "2026-01-31 23:59:59"}


class AppMarkupDetails(AccountRequest):
    """A request for the markup of each contract that was bought through the user's apps."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"app_markup_details": 1, "limit": 100, **_RANGE}]}
    )

    app_markup_details: One
    app_id: OrAbsent[Int] = Field(None, description="Only markups of this app of the user.")
    client_loginid: OrAbsent[LoginId] = Field(
        None, description="Only markups that this account paid."
    )
    date_from: Moment = Field(description=_FROM)
    date_to: Moment = Field(description=_TO)
    description: OrAbsent[Flag] = Field(None, description="Accepted, but has no effect.")
    limit: Annotated[Int, Field(ge=0, le=1_000)] = Field(
        1_000, description="The maximum number of markups."
    )
    offset: Annotated[Int, Field(ge=0, le=10**9)] = Field(
        0, description="The number of markups to skip."
    )
    sort: Literal["ASC", "DESC"] = Field(
        "DESC", description="`DESC` sorts times from latest to earliest, `ASC` the other way."
    )
    sort_fields: OrAbsent[list[Literal["app_id", "client_loginid", "transaction_time"]]] = Field(
        None, max_length=3, description="The fields to sort by; `transaction_time` by default."
    )


class MarkupOfContract(TypedDict):
    app_id: int
    """The id of the app through which the contract was bought."""
    app_markup: float
    """The markup, in units of the buyer's currency."""
    app_markup_usd: float
    """The markup in US dollars, at the rate of the purchase."""
    app_markup_value: float
    """The markup, in units of the owner's currency; equal to `app_markup`."""
    client_currcode: str
    """The currency of the buyer's account."""
    client_loginid: str
    """The loginid of the buyer's account."""
    dev_currcode: str
    """The currency of the owner's account, the same as the buyer's."""
    dev_loginid: str
    """The loginid of the owner's account that received the markup."""
    transaction_id: int
    """The id of the purchase in the buyer's statement."""
    transaction_time: str
    """The time of the purchase in epoch seconds, as text."""


class MarkupsOfContracts(TypedDict):
    transactions: list[MarkupOfContract]
    """The markups, in the requested order."""


class AppMarkupDetailsReply(TypedDict):
    app_markup_details: MarkupsOfContracts
    """The markup of each contract that was bought through the user's apps."""


class AppMarkupStatistics(AccountRequest):
    """A request for the sums of the user's markups through each of their apps."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"app_markup_statistics": 1, **_RANGE}]}
    )

    app_markup_statistics: One
    date_from: Moment = Field(description=_FROM)
    date_to: Moment = Field(description=_TO)


class MarkupOfApp(TypedDict):
    app_id: int
    """The id of the app."""
    app_markup_usd: float
    """The sum of the markups in US dollars, each at the rate of its purchase."""
    app_markup_value: float
    """The sum of the markups, in units of `dev_currcode`."""
    dev_currcode: str
    """The currency of the markups."""
    transactions_count: int
    """The number of contracts with a markup."""


class MarkupsOfApps(TypedDict):
    breakdown: list[MarkupOfApp]
    """The sums by app and currency, in this order."""
    total_app_markup_usd: float
    """The sum of all markups in US dollars, each at the rate of its purchase."""
    total_transactions_count: int
    """The number of all contracts with a markup."""


class AppMarkupStatisticsReply(TypedDict):
    app_markup_statistics: MarkupsOfApps
    """The sums of the user's markups."""
